//! Signatures: summaries of models, each made in one pass, as a few thousand numbers that can be stored and
//! compared.
//!
//! [`SignatureOptions`] reads every value of a model once and returns a [`Signature`]. For each tensor this
//! contains its name, shape, stored type, a [`Digest`] of its values, its moments, its [`PrecisionProfile`],
//! a [`MatrixSketch`](crate::sketch::MatrixSketch) and up to 64 single values. The other weights can't be recovered
//! from it. Two models can be compared by their signatures alone (see [`evidence`](crate::evidence)), so each model
//! needs to be read only once.
//!
//! Layers that some libraries fuse, pack or transpose are signed in one common form (see
//! [`Unfused`](crate::weights::Unfused)), so that signatures are comparable whatever library wrote the
//! models.
//!
//! A tensor counts as a *weight* if it is a matrix, or a vector of at least 1,024 values, since some
//! libraries store matrices flat. Other tensors, such as norms and biases, get short sketches and are
//! compared together.
//!
//! # Size
//!
//! With the default of 32 buckets per group, a weight takes about 2.5 to 5 kB, whatever its own size: 16 to
//! 32 groups of rows, each with 32 single-precision numbers, a squared norm and two values. A small model of 20 weights
//! takes 40 to 90 kB.
//!
//! # Files
//!
//! With the feature `safetensors`, `Signature::to_bytes` writes a signature as a safetensors file and
//! `Signature::from_bytes` reads it. With the feature `serde`, it can be (de)serialised. Input is validated:
//! numbers that no model can have are an error.
//!
//! # Examples
//!
//! ```
//! use mother::signature::SignatureOptions;
//! use mother::weights::InMemoryModel;
//!
//! let values: Vec<f32> = (0..64 * 64).map(|i| (i % 31) as f32 - 15.0).collect();
//! let model = InMemoryModel::new("base").with_layer("w", [64, 64], values)?;
//! let signature = SignatureOptions::new().sign(&model)?;
//! assert_eq!(signature.name(), "base");
//! assert_eq!(signature.tensors()[0].sketch().groups().count(), 16);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod assembly;
mod digest;
mod failure;
#[cfg(feature = "safetensors")]
mod format;
#[cfg(any(feature = "serde", feature = "safetensors"))]
mod format_error;
mod grid;
mod options;
#[cfg(any(feature = "serde", feature = "safetensors"))]
mod parts;
mod profile;
mod rounding;
mod signing;
mod source;
mod tensor;
mod tied;

use alloc::string::String;
use alloc::vec::Vec;

pub use self::assembly::{AssemblyError, TensorNumbers};
pub use self::digest::Digest;
pub use self::failure::{Cause, ModelFailure, SkippedModel};
#[cfg(any(feature = "serde", feature = "safetensors"))]
pub use self::format_error::SignatureFormatError;
pub use self::options::SignatureOptions;
pub use self::profile::{Levels, PrecisionProfile};
pub(crate) use self::source::{Architecture, LayerShape, OpenModel, is_weight, is_weight_matrix};
pub use self::tensor::TensorSignature;

use crate::sketch::SketchKey;
use crate::weights::SkippedLayer;

/// The summary of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    name: String,
    key: SketchKey,
    buckets: usize,
    tensors: Vec<TensorSignature>,
    skipped: Vec<SkippedLayer>,
}

impl Signature {
    /// The version of a signature's contents and how they are computed; signatures of different versions
    /// can't be compared.
    pub const VERSION: u32 = 4;

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the same signature under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The key that determined the random signs of its sketches.
    #[must_use]
    pub const fn key(&self) -> SketchKey {
        self.key
    }

    /// The number of buckets per group of rows in the sketches of weights.
    #[must_use]
    pub const fn buckets(&self) -> usize {
        self.buckets
    }

    /// The tensors, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> &[TensorSignature] {
        &self.tensors
    }

    /// The tensor of this name, if the model has one.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::signature::SignatureOptions;
    /// use mother::weights::InMemoryModel;
    ///
    /// let model = InMemoryModel::new("m").with_layer("w", [2, 2], vec![9.0_f32, 1.0, 1.0, 1.0])?;
    /// let signature = SignatureOptions::new().sign(&model)?;
    /// assert_eq!(signature.tensor("w").map(|tensor| tensor.shape()), Some(&[2, 2][..]));
    /// assert_eq!(signature.tensor("v"), None);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorSignature> {
        let found = self
            .tensors
            .binary_search_by(|tensor| tensor.name().cmp(name));
        Some(&self.tensors[found.ok()?])
    }

    /// The tensors that were left out, with the reason: their values can't be decoded, or one isn't finite.
    #[must_use]
    pub fn skipped_layers(&self) -> &[SkippedLayer] {
        &self.skipped
    }

    /// The total number of values in all weights.
    #[must_use]
    pub fn weights(&self) -> u64 {
        let weights = self.tensors.iter().filter(|tensor| tensor.is_weight());
        weights.map(|tensor| tensor.moments().count()).sum()
    }

    /// How many bytes the values take in the types that they are stored in.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let tensors = self.tensors.iter();
        let bytes = tensors.map(|tensor| {
            let size = tensor.element_type().size() as u64;
            tensor.moments().count().saturating_mul(size)
        });
        bytes.fold(0, u64::saturating_add)
    }

    /// The total number of buckets and squared norms in its sketches.
    #[must_use]
    pub fn numbers(&self) -> usize {
        let sketches = self.tensors.iter().map(TensorSignature::sketch);
        let numbers = sketches.map(|sketch| sketch.buckets().len() + sketch.squared_norms().len());
        numbers.sum()
    }
}
