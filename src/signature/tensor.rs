//! What is kept of one tensor.

use alloc::string::String;
use alloc::vec::Vec;

use super::digest::SampleDigests;
use super::{Digest, PrecisionProfile, is_weight};
use crate::moments::Moments;
use crate::sketch::{MatrixSketch, RowSample};
use crate::weights::ElementType;

/// What is kept of one tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSignature {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) element_type: ElementType,
    pub(super) digest: Digest,
    pub(super) samples: SampleDigests,
    pub(super) moments: Moments,
    pub(super) profile: PrecisionProfile,
    pub(super) sketch: MatrixSketch,
    pub(super) rows: Option<RowSample>,
}

impl TensorSignature {
    /// The tensor's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The length of each dimension, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type the values were stored in.
    #[must_use]
    pub const fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// Whether it is a matrix, or a vector of at least 1,024 values.
    #[must_use]
    pub fn is_weight(&self) -> bool {
        is_weight(&self.shape)
    }

    /// Equal for tensors of equal values.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The moments of all values.
    #[must_use]
    pub const fn moments(&self) -> Moments {
        self.moments
    }

    /// How finely the values are resolved.
    #[must_use]
    pub const fn profile(&self) -> PrecisionProfile {
        self.profile
    }

    /// The sketch of the tensor as a matrix: its first dimension longer than 1 counts rows. Vectors
    /// that are weights are laid out in rows of 64 values, shorter ones are one row.
    #[must_use]
    pub const fn sketch(&self) -> &MatrixSketch {
        &self.sketch
    }

    /// Some of its rows in a few random dimensions, kept for the largest eight weights with at least
    /// 32 rows.
    #[must_use]
    pub const fn rows(&self) -> Option<&RowSample> {
        self.rows.as_ref()
    }

    /// Digests of some of its values: as they are, and as rounding to single precision, bfloat16 and half
    /// precision would leave them.
    #[must_use]
    pub const fn rounded_digests(&self) -> [u64; 4] {
        let samples = self.samples;
        [samples.exact, samples.single, samples.bfloat, samples.half]
    }

    pub(crate) const fn samples(&self) -> SampleDigests {
        self.samples
    }
}
