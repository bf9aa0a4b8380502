//! Why a model fails, and in which layer.

use core::error::Error;
use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

/// The error of a source or of a kernel that a [`ModelFailure`] comes from.
///
/// Clones share the error, comparisons use its text, and deserialisation restores only the text.
///
/// # Examples
///
/// ```
/// use mother::signature::Cause;
/// use mother::weights::{InMemoryModel, ShapeError};
///
/// let shape = InMemoryModel::new("m").with_layer("w", [2], vec![1.0_f32]).unwrap_err();
/// let cause = Cause::new(shape.clone());
/// assert_eq!(cause.to_string(), shape.to_string());
/// assert_eq!(cause.downcast_ref::<ShapeError>(), Some(&shape));
/// assert_eq!(Cause::from(shape.to_string()), cause);
/// ```
#[derive(Clone)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "String", into = "String")
)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// Keeps an error.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// The error itself, if it is of this type.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

// An error is immutable, except for interior mutability, which is never exposed here.
impl UnwindSafe for Cause {}
impl RefUnwindSafe for Cause {}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self(<Box<dyn Error + Send + Sync>>::from(text).into())
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.to_string()
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

crate::errors::messages! {
    /// Why one model could not be measured.
    #[derive(Clone, Debug, PartialEq)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[non_exhaustive]
    pub enum ModelFailure {
        /// The source could not list its layers.
        Listing {
            /// What the source said.
            reason: Cause,
        } => "cannot list layers: {reason}",
        /// The source could not read a layer.
        Reading {
            /// The layer's name.
            layer: String,
            /// What the source said.
            reason: Cause,
        } => "cannot read layer `{layer}`: {reason}",
        /// A layer held different values when it was read again.
        Changed {
            /// The layer's name.
            layer: String,
        } => "layer `{layer}` changed while it was read",
        /// A weight is NaN or infinite.
        NotFinite {
            /// The layer's name.
            layer: String,
            /// The flat index of the first such weight found.
            index: usize,
            /// `NaN`, `inf` or `-inf`.
            value: String,
        } => "layer `{layer}` contains {value} at index {index}",
        /// Two layers of the model have the same name.
        DuplicateLayer {
            /// The name.
            layer: String,
        } => "two layers are named `{layer}`",
        /// The number of elements in a layer overflows.
        TooLarge {
            /// The layer's name.
            layer: String,
        } => "layer `{layer}` has too many elements",
        /// Sums of squares of its weights, or of their differences from another model's, overflow double
        /// precision.
        Overflow => "the squares of the weights overflow",
        /// The model has no tensor with two dimensions longer than 1.
        NoWeightMatrix => "no weight matrix",
        /// The model has no usable weight: no matrix and no vector of at least 1,024 values.
        NoWeight => "no usable weights",
        /// The models of its group share no selected layer.
        NoSharedLayer {
            /// The number of models in the group.
            models: usize,
        } => "the {models} models of this architecture share none of the selected layers",
        /// The singular values of a difference of layers could not be computed.
        Rank {
            /// The layer's name.
            layer: String,
            /// The error of the rank computation.
            reason: Cause,
        } => "cannot compute the rank of layer `{layer}`: {reason}",
    }
}

impl Error for ModelFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Listing { reason } | Self::Reading { reason, .. } | Self::Rank { reason, .. } => {
                Some(&*reason.0)
            }
            _ => None,
        }
    }
}

/// A model that was left out, and why.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SkippedModel {
    /// The model's name.
    pub model: String,
    /// Why it was left out.
    pub failure: ModelFailure,
}

impl fmt::Display for SkippedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model `{}`: {}", self.model, self.failure)
    }
}

impl Error for SkippedModel {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure.source()
    }
}
