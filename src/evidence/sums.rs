//! Sums over the weights that two models have in common.

use num_traits::Float;

use super::geometry::share;
use crate::signature::{Signature, TensorSignature};
use crate::sketch::GroupComparison;

/// Sums over the compared weights, and the squared distance of the short vectors.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) values: u64,
    pub(super) layers: usize,
    pub(super) squared_norms: [f64; 2],
    /// (‖u‖² + ‖v‖²) / 2 over the groups that differ.
    pub(super) squared_size_of_moved: f64,
    pub(super) squared_distance: f64,
    pub(super) squared_distance_of_vectors: f64,
    pub(super) distance: f64,
    pub(super) size: f64,
}

impl Sums {
    /// The compared share of a model's weights that count.
    pub(super) fn share_of(
        &self,
        model: &Signature,
        counts: impl Fn(&TensorSignature) -> bool,
    ) -> f64 {
        let counted = model.tensors().iter().filter(|tensor| counts(tensor));
        let all: u64 = counted.map(|tensor| tensor.moments().count()).sum();
        share(self.values as f64, all as f64).min(1.0)
    }

    /// Each item is the groups of one weight.
    pub(super) fn of<'a>(weights: impl Iterator<Item = &'a [GroupComparison]>) -> Self {
        let mut sums = Self::default();
        for groups in weights {
            sums.take(groups);
        }
        sums
    }

    fn take(&mut self, groups: &[GroupComparison]) {
        let (mut squared, mut values) = (0.0, 0);
        for group in groups {
            values += group.values as u64;
            self.squared_norms[0] += group.first_squared_norm;
            self.squared_norms[1] += group.second_squared_norm;
            squared += group.squared_distance;
            if group.squared_distance > 0.0 {
                self.squared_size_of_moved +=
                    0.5 * (group.first_squared_norm + group.second_squared_norm);
            }
        }
        if !groups.is_empty() {
            self.add_size(values);
        }
        self.squared_distance += squared;
        self.distance += Float::sqrt(squared);
    }

    /// Counts a weight with this many values.
    pub(super) fn add_size(&mut self, values: u64) {
        self.values += values;
        self.layers += 1;
        self.size += Float::sqrt(values as f64);
    }
}
