//! The signature of one tensor.

use alloc::string::String;
use alloc::vec::Vec;

use super::digest::SampleDigests;
use super::{Digest, PrecisionProfile, is_weight};
use crate::moments::Moments;
use crate::sketch::{MatrixSketch, RowSample};
use crate::weights::ElementType;

/// The summary of one tensor of a model.
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
    pub(super) values: Vec<f32>,
    pub(super) is_cut: bool,
    pub(super) is_tied: bool,
}

/// Parts of the names of statistics that batch normalisation collects, in PyTorch, TensorFlow and Flax.
const STATISTICS: [&str; 5] = [
    "running_mean",
    "running_var",
    "moving_mean",
    "moving_variance",
    "batch_stats",
];

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

    /// The stored type of the values.
    #[must_use]
    pub const fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// Whether the tensor is a matrix, or a vector of at least 1,024 values. The means and variances that batch
    /// normalisation collects, known by their names (`running_var`, `moving_mean`), are no weights: they follow the
    /// scale of the data, and are often longer than all weights together.
    #[must_use]
    pub fn is_weight(&self) -> bool {
        let mut parts = self.name.split(['.', '/', ':']);
        is_weight(&self.shape) && !parts.any(|part| STATISTICS.contains(&part))
    }

    /// A digest that is equal for tensors with equal values.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The moments of all values.
    #[must_use]
    pub const fn moments(&self) -> Moments {
        self.moments
    }

    /// The resolution of the values.
    #[must_use]
    pub const fn profile(&self) -> PrecisionProfile {
        self.profile
    }

    /// The sketch of the tensor as a matrix. Its first dimension longer than 1 counts rows. A vector that is
    /// a weight is arranged in rows of 64 values; a shorter one is a single row.
    #[must_use]
    pub const fn sketch(&self) -> &MatrixSketch {
        &self.sketch
    }

    /// Some of its rows projected to a few random dimensions; kept for the eight largest weights with at
    /// least 32 rows.
    #[must_use]
    pub const fn rows(&self) -> Option<&RowSample> {
        self.rows.as_ref()
    }

    /// Some of its values, at the positions that [`RowGroups::sampled_positions`] gives for the groups of its
    /// [sketch](Self::sketch), rounded to single precision. Empty if the tensor isn't a weight, or if they are unknown.
    ///
    /// [`RowGroups::sampled_positions`]: crate::sketch::RowGroups::sampled_positions
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether the tensor is a part of a stored one that holds several projections (see
    /// [`Layer::is_cut_from_fused`](crate::weights::Layer::is_cut_from_fused)).
    #[must_use]
    pub const fn is_cut_from_fused(&self) -> bool {
        self.is_cut
    }

    /// The tensor's name without digits, which layers of a stack have in common.
    pub(crate) fn name_without_digits(&self) -> String {
        let kept = self.name.chars().filter(|c| !c.is_ascii_digit());
        kept.collect()
    }

    /// Whether it repeats another matrix of the model, as a head that is tied to the embeddings does.
    pub(crate) const fn is_tied(&self) -> bool {
        self.is_tied
    }

    /// Digests of some of its values: as they are, and after rounding to single precision, bfloat16 and half
    /// precision.
    #[must_use]
    pub const fn rounded_digests(&self) -> [u64; 4] {
        let samples = self.samples;
        [samples.exact, samples.single, samples.bfloat, samples.half]
    }

    pub(crate) const fn samples(&self) -> SampleDigests {
        self.samples
    }
}
