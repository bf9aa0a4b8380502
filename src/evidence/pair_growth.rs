//! How one model grew out of another: [`growth`](crate::growth) over the groups of rows of two signatures.

use alloc::vec::Vec;

use crate::growth::{MatrixGrowth, PooledGrowth, Step};
use crate::sketch::GroupComparison;

/// Weight decay in training removes no larger share of weights; averaging models does.
const MOST_DECAY: f64 = 0.1;

/// How one model grew out of the other: β and κ of [`growth`](crate::growth) with their standard errors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairGrowth {
    /// β from the first to the second model: near 1 if the second was trained from the first.
    pub coefficient: f64,
    /// The standard error of β, assuming independent groups of rows and agreeing layers.
    pub model_error: f64,
    /// The jackknife standard error of β over layers.
    pub layer_error: f64,
    /// κ from the first to the second model: decay removed a share of about −κ/2 of every weight.
    pub decay: f64,
    /// The standard error of κ, assuming independent groups of rows and agreeing layers.
    pub decay_error: f64,
}

impl PairGrowth {
    /// One β for all weights, each given by its groups; `None` if no group is informative.
    pub(super) fn of_weights<'a>(
        weights: impl Iterator<Item = &'a [GroupComparison]>,
    ) -> Option<Self> {
        let mut pooled = PooledGrowth::new();
        let mut steps = Vec::new();
        for groups in weights {
            let squared_norms = squared_norms(groups);
            let step = |group: &GroupComparison| Step {
                values: group.values,
                before: group.first_squared_norm,
                after: group.second_squared_norm,
                moved: group.squared_distance_at_equal_norms(squared_norms),
            };
            steps.clear();
            steps.extend(groups.iter().map(step));
            pooled.add(&MatrixGrowth::new(&steps));
        }
        let (decay, decay_error) = pooled.decay()?;
        Some(Self {
            coefficient: pooled.coefficient()?,
            model_error: pooled.model_error(),
            layer_error: pooled.layer_error(),
            decay,
            decay_error,
        })
    }

    /// The square of the share that decay removed of every weight, less the contribution of its error.
    pub(super) fn squared_shrinkage(&self) -> f64 {
        let squared = self.decay * self.decay - self.decay_error * self.decay_error;
        (squared / 4.0).clamp(0.0, MOST_DECAY * MOST_DECAY)
    }
}

/// ‖u‖² and ‖v‖² of a whole matrix.
///
/// Steps are measured with both matrices scaled to one norm. Weight decay also moves a matrix towards zero.
/// If that were part of the step, its product with the random part would appear on both sides of the
/// regression, with opposite signs.
fn squared_norms(groups: &[GroupComparison]) -> [f64; 2] {
    let sum = |of: fn(&GroupComparison) -> f64| groups.iter().map(of).sum();
    [
        sum(|group| group.first_squared_norm),
        sum(|group| group.second_squared_norm),
    ]
}
