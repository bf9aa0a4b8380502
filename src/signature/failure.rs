//! What can go wrong with one model, and in which layer.

use core::error::Error;
use core::fmt;

use alloc::string::String;

/// Why one model could not be measured.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ModelFailure {
    /// The source could not list its layers.
    Listing {
        /// What the source said.
        reason: String,
    },
    /// The source could not read a layer.
    Reading {
        /// The layer's name.
        layer: String,
        /// What the source said.
        reason: String,
    },
    /// A layer was read again and held other values than before.
    Changed {
        /// The layer's name.
        layer: String,
    },
    /// A weight is NaN or infinite.
    NotFinite {
        /// The layer's name.
        layer: String,
        /// The flat index of the first such weight that was met.
        index: usize,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// Two layers of the model have one name.
    DuplicateLayer {
        /// The name.
        layer: String,
    },
    /// The number of elements of a layer overflows.
    TooLarge {
        /// The layer's name.
        layer: String,
    },
    /// Sums of squares of its weights, or of how they differ from another model's, overflow double
    /// precision.
    Overflow,
    /// The model has no tensor with two dimensions longer than 1.
    NoWeightMatrix,
    /// The model has neither a matrix nor a vector of at least 1,024 values, or none that can be
    /// used.
    NoWeight,
    /// The models of its group share no layer that was selected.
    NoSharedLayer {
        /// How many models the group has.
        models: usize,
    },
    /// The singular values of a difference of layers could not be had.
    Rank {
        /// The layer's name.
        layer: String,
        /// What the rank kernel said.
        reason: String,
    },
}

impl fmt::Display for ModelFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listing { reason } => write!(f, "its layers can't be listed: {reason}"),
            Self::Reading { layer, reason } => {
                write!(f, "layer `{layer}` can't be read: {reason}")
            }
            Self::Changed { layer } => {
                write!(f, "layer `{layer}` changed while it was measured")
            }
            Self::NotFinite {
                layer,
                index,
                value,
            } => write!(f, "layer `{layer}` holds {value} at index {index}"),
            Self::DuplicateLayer { layer } => write!(f, "two of its layers are named `{layer}`"),
            Self::TooLarge { layer } => {
                write!(f, "layer `{layer}` has more elements than can be counted")
            }
            Self::Overflow => f.write_str("squares of its weights overflow"),
            Self::NoWeightMatrix => f.write_str("it has no weight matrix"),
            Self::NoWeight => f.write_str("it has no weights that can be used"),
            Self::NoSharedLayer { models } => write!(
                f,
                "the {models} models of its architecture share no layer of those selected"
            ),
            Self::Rank { layer, reason } => {
                write!(f, "the rank of layer `{layer}` can't be found: {reason}")
            }
        }
    }
}

impl Error for ModelFailure {}

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
