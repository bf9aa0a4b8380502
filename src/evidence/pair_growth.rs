//! How a model grew out of another: [`growth`](crate::growth) over the groups of rows of two signatures.

use alloc::vec::Vec;

use crate::growth::{MatrixGrowth, PooledGrowth, Step};
use crate::sketch::GroupComparison;

/// Training takes no greater share of weights by decay; averages of models do.
const MOST_DECAY: f64 = 0.1;

/// How a model grew out of the other: β and κ of [`growth`](crate::growth) with their errors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairGrowth {
    /// β from the first to the second model: near 1 if the second was trained from the first.
    pub coefficient: f64,
    /// The standard error of β if groups of rows are independent and layers agree.
    pub model_error: f64,
    /// The jackknife standard error of β over layers.
    pub layer_error: f64,
    /// κ from the first to the second model: −κ/2 is about the share of every weight that decay took.
    pub decay: f64,
    /// The standard error of κ if groups of rows are independent and layers agree.
    pub decay_error: f64,
}

impl PairGrowth {
    /// One β for all weights, each given by its groups; `None` where nothing tells.
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
                moved: group.squared_distance_at_one_norm(squared_norms),
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

    /// The square of the share of every weight that decay took, less what errors add to it.
    pub(super) fn squared_shrinkage(&self) -> f64 {
        let squared = self.decay * self.decay - self.decay_error * self.decay_error;
        (squared / 4.0).clamp(0.0, MOST_DECAY * MOST_DECAY)
    }
}

/// ‖u‖² and ‖v‖² of a whole matrix.
///
/// Steps are measured with both at one norm: weight decay moves a matrix towards zero as well, and were
/// that part of the step counted, its product with the random part would be in both sides of the
/// regression, with opposite signs.
fn squared_norms(groups: &[GroupComparison]) -> [f64; 2] {
    let sum = |of: fn(&GroupComparison) -> f64| groups.iter().map(of).sum();
    [
        sum(|group| group.first_squared_norm),
        sum(|group| group.second_squared_norm),
    ]
}
