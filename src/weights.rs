//! Sources of weights: models as named layers, read in chunks.
//!
//! A [`WeightSource`] is one model, and a [`Layer`] is one of its named tensors. Nothing is computed here. A
//! source only lists its layers and returns their values, in chunks of the caller's size from any offset. So
//! two layers can be read in step, and a model larger than memory needs only a few megabytes.
//! [`InMemoryModel`] is a source over slices and vectors; [`Dequantised`] wraps a source with quantised
//! weights. Implementing the traits for anything that can return a range of bytes takes about twenty lines
//! ([`ElementType::decode`] does the rest).

mod any;
mod dequantised;
mod element;
mod floats;
mod in_memory;
mod joined;
mod transposed;
mod unfused;
mod values;
mod view;

use core::error::Error;

use alloc::boxed::Box;
use alloc::string::String;

use crate::Scalar;

pub use self::any::{AnyError, AnyLayer, AnySource};
pub use self::dequantised::{DequantiseError, Dequantised, DequantisedLayer};
pub use self::element::{DecodeError, ElementType, UnknownElementType};
#[cfg(feature = "safetensors")]
pub(crate) use self::floats::F4_E2M1;
#[cfg(feature = "gguf")]
pub(crate) use self::floats::binary16;
pub use self::in_memory::{InMemoryLayer, InMemoryModel, ShapeError};
pub use self::joined::{Joined, JoinedLayer};
pub use self::transposed::Transposed;
pub use self::unfused::Unfused;
pub(crate) use self::unfused::bias_of;
pub use self::values::{WeightSlice, WeightValues};
pub use self::view::LayerView;

/// One model: its name and the layers that hold its weights.
///
/// Layers may be listed in any order, but every call of [`layers`](Self::layers) must list the same ones.
/// With the `rayon` feature, sources are read from several threads at once, hence the `Sync` bound.
///
/// # Examples
///
/// A source over a store that returns ranges of bytes:
///
/// ```
/// use mother::Scalar;
/// use mother::weights::{DecodeError, ElementType, Layer, WeightSource};
///
/// struct StoredModel { name: String, tensors: Vec<(String, Vec<usize>, Vec<u8>)> }
/// struct StoredLayer<'a>(&'a (String, Vec<usize>, Vec<u8>));
///
/// impl WeightSource for StoredModel {
///     type Error = DecodeError;
///     type Layer<'a> = StoredLayer<'a>;
///
///     fn name(&self) -> &str { &self.name }
///     fn layers(&self) -> impl Iterator<Item = Result<StoredLayer<'_>, DecodeError>> {
///         self.tensors.iter().map(|tensor| Ok(StoredLayer(tensor)))
///     }
/// }
///
/// impl Layer for StoredLayer<'_> {
///     type Error = DecodeError;
///
///     fn name(&self) -> &str { &self.0.0 }
///     fn shape(&self) -> &[usize] { &self.0.1 }
///     fn element_type(&self) -> ElementType { ElementType::F32 }
///     fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), DecodeError> {
///         let bytes = &self.0.2[4 * offset..4 * (offset + values.len())];
///         ElementType::F32.decode(bytes, values)
///     }
/// }
///
/// let bytes = [1.5_f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
/// let model = StoredModel { name: "m".into(), tensors: vec![("w".into(), vec![2], bytes)] };
/// let mut last = [0.0_f64];
/// model.layers().next().unwrap()?.read(1, &mut last)?;
/// assert_eq!(last, [-2.0]);
/// # Ok::<(), DecodeError>(())
/// ```
///
/// A `&S`, `Box<S>` or `Arc<S>` of a source is also a source. [`AnySource`] gives sources of different types
/// one type.
pub trait WeightSource: Sync {
    /// Why listing the layers or reading one failed.
    type Error: Error + Send + Sync + 'static;

    /// A handle for one layer. It should be small, because callers keep one for every layer they use.
    type Layer<'a>: Layer<Error = Self::Error> + Send + Sync
    where
        Self: 'a;

    /// The model's name, used in results; it must be unique among the models of one call.
    fn name(&self) -> &str;

    /// Lists every layer whose values can be read.
    fn layers(&self) -> impl Iterator<Item = Result<Self::Layer<'_>, Self::Error>>;

    /// Layers of the model whose values can't be read, each with the reason.
    ///
    /// The default is none.
    fn skipped_layers(&self) -> &[SkippedLayer] {
        &[]
    }

    /// The number of groups of heads, if fused query, key and value projections list their rows group by
    /// group: the queries of the first group, its keys, its values, then those of the next group.
    ///
    /// GPT-NeoX and BLOOM store them like this, with one group per head; InternLM2 has one per key head. The
    /// default is `None`: all queries come first, then all keys, then all values.
    fn interleaved_groups(&self) -> Option<usize> {
        None
    }
}

macro_rules! delegate {
    ($($(#[$cfg:meta])* $pointer:ty $(, $bound:ident)?;)*) => {$(
        $(#[$cfg])*
        impl<S: WeightSource $(+ $bound)?> WeightSource for $pointer {
            type Error = S::Error;
            type Layer<'a>
                = S::Layer<'a>
            where
                Self: 'a;

            fn name(&self) -> &str {
                (**self).name()
            }

            fn layers(&self) -> impl Iterator<Item = Result<Self::Layer<'_>, Self::Error>> {
                (**self).layers()
            }

            fn skipped_layers(&self) -> &[SkippedLayer] {
                (**self).skipped_layers()
            }

            fn interleaved_groups(&self) -> Option<usize> {
                (**self).interleaved_groups()
            }
        }
    )*};
}

delegate! {
    &S;
    Box<S>;
    #[cfg(target_has_atomic = "ptr")]
    alloc::sync::Arc<S>, Send;
}

/// One named tensor of a model.
pub trait Layer {
    /// Why reading failed.
    type Error;

    /// The layer's name; unique in its model, and the same in all models of an architecture.
    fn name(&self) -> &str;

    /// The length of each dimension, outermost first; values are stored in row-major order.
    fn shape(&self) -> &[usize];

    /// The stored type of the values.
    fn element_type(&self) -> ElementType;

    /// Fills `values` with the layer's values, starting at flat index `offset`.
    ///
    /// Callers must keep `offset + values.len()` within the number of elements.
    ///
    /// # Errors
    ///
    /// Fails if the values can't be read; the contents of `values` are then unspecified.
    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), Self::Error>;

    /// How many values to read at once at least, because reading fewer costs nearly as much. Callers may
    /// still read fewer.
    ///
    /// The default is 1.
    fn preferred_length(&self) -> usize {
        1
    }

    /// All values, if they are already in memory and needn't be copied.
    ///
    /// The default is `None`.
    fn as_slice(&self) -> Option<WeightSlice<'_>> {
        None
    }

    /// Whether the layer is a part of a stored layer that holds several projections.
    ///
    /// The default is `false`. [`Unfused`] lists such parts. Which rows belong to which projection isn't
    /// always known, so comparisons take care with them.
    fn is_cut_from_fused(&self) -> bool {
        false
    }

    /// The mean squared change from rounding to the nearest level, if the source knows the levels of
    /// quantised values.
    ///
    /// The default is `None`. This is only needed if the values themselves don't show their levels (see
    /// [`PrecisionProfile::rounding`](crate::signature::PrecisionProfile::rounding)).
    ///
    /// # Errors
    ///
    /// Fails if the source can't read what it needs.
    fn rounding(&self) -> Result<Option<f64>, Self::Error> {
        Ok(None)
    }
}

/// A layer that a source contains but can't decode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    any(feature = "serde", feature = "safetensors"),
    derive(serde::Serialize, serde::Deserialize)
)]
pub struct SkippedLayer {
    /// The layer's name.
    pub layer: String,
    /// Why its values can't be read, in a few words.
    pub reason: String,
}

/// The number of elements of a tensor of this shape; `None` if the product overflows.
///
/// # Examples
///
/// ```
/// use mother::weights::element_count;
///
/// assert_eq!(element_count(&[3, 4]), Some(12));
/// assert_eq!(element_count(&[]), Some(1));
/// assert_eq!(element_count(&[usize::MAX, 2]), None);
/// ```
#[must_use]
pub fn element_count(shape: &[usize]) -> Option<usize> {
    // A zero makes the product zero even if the other lengths would overflow.
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1_usize, |count, &length| count.checked_mul(length))
}
