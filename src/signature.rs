//! Signatures: one model, read once, as a few thousand numbers that can be kept and compared.
//!
//! [`SignatureOptions`] reads every value of a model once and leaves a [`Signature`]: for each tensor
//! its name, shape, stored type and a [`Digest`] of its values, its moments, its
//! [`PrecisionProfile`], and a [`MatrixSketch`](crate::sketch::MatrixSketch). No weight can be
//! recovered from it. What two models say of each other follows from their signatures alone (see
//! [`evidence`](crate::evidence)), so a model has to be read only once in its life.
//!
//! Layers that some libraries fuse, pack or transpose are signed as others store them (see
//! [`Unfused`](crate::weights::Unfused)), so that signatures meet whatever wrote the models.
//!
//! A tensor counts as a *weight* if it is a matrix, or a vector of at least 1,024 values, since some
//! libraries store matrices flat; other tensors (norms, biases) are kept with short sketches and count
//! together.
//!
//! # Size
//!
//! A weight takes about 2 to 4.5 kB with the default of 32 buckets a group, whatever its own size: 16
//! to 32 groups of rows, each with 32 numbers in single precision and a squared norm. A small model of
//! 20 weights takes 40 to 90 kB.
//!
//! # Files
//!
//! With the feature `safetensors`, `Signature::to_bytes` writes a signature as a safetensors file and
//! `Signature::from_bytes` reads it; with the feature `serde` it is (de)serialised. Whatever is read is
//! checked: numbers that no model can have are an error.
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

/// What is kept of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    name: String,
    key: SketchKey,
    buckets: usize,
    tensors: Vec<TensorSignature>,
    skipped: Vec<SkippedLayer>,
}

impl Signature {
    /// The version of what a signature holds and how it is computed; signatures of different
    /// versions can't be compared.
    pub const VERSION: u32 = 2;

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same signature under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The key that decided the random signs of its sketches.
    #[must_use]
    pub const fn key(&self) -> SketchKey {
        self.key
    }

    /// The number of buckets of a group of rows in the sketches of weights.
    #[must_use]
    pub const fn buckets(&self) -> usize {
        self.buckets
    }

    /// The tensors, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> &[TensorSignature] {
        &self.tensors
    }

    /// The tensors that were left out, with the reason: their values can't be decoded, or one of
    /// them isn't finite.
    #[must_use]
    pub fn skipped_layers(&self) -> &[SkippedLayer] {
        &self.skipped
    }

    /// The number of values of all weights.
    #[must_use]
    pub fn weights(&self) -> u64 {
        let weights = self.tensors.iter().filter(|tensor| tensor.is_weight());
        weights.map(|tensor| tensor.moments().count()).sum()
    }

    /// How many numbers its sketches hold: buckets and squared norms.
    #[must_use]
    pub fn numbers(&self) -> usize {
        let sketches = self.tensors.iter().map(TensorSignature::sketch);
        let numbers = sketches.map(|sketch| sketch.buckets().len() + sketch.squared_norms().len());
        numbers.sum()
    }
}
