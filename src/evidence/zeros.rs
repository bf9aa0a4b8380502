//! Zeros that training left alone: which of two models was pruned.

use num_traits::Float;

use super::PairGrowth;
use super::copies::rounding;
use crate::signature::TensorSignature;

/// One model is sparser if it has this share more zeros among the weights of matrices.
const SPARSER: f64 = 0.05;

/// Matrices with more zeros than this were never trained, and their training says nothing about pruning.
const UNTRAINED: f64 = 0.95;

/// The error of β that leaves odds of about 20 for the sparser model being the child.
const ERROR: f64 = 1.5;

/// What stands for growth if one of two models was pruned; `None` if neither is sparser.
///
/// Models are pruned and then trained with their zeros held, or pruned further. Training without that hardly leaves a
/// zero, so a sparse model may be the parent of a dense one, but it rarely is: those who prune want fewer weights.
/// Growth can't tell, since pruning shortens a model. Rounding to a few levels makes zeros, too, so rounded matrices
/// don't count.
pub(super) fn growth_by_zeros<'a>(
    matched: impl Iterator<Item = (&'a TensorSignature, &'a TensorSignature)>,
) -> Option<PairGrowth> {
    let (mut more, mut all) = (0.0, 0.0);
    for (first, second) in matched {
        let share = |tensor: &TensorSignature| {
            tensor.profile().zeros() as f64 / tensor.moments().count().max(1) as f64
        };
        let shares = [share(first), share(second)];
        let is_rounded = rounding(first).is_some() || rounding(second).is_some();
        if first.shape().len() < 2 || is_rounded || shares.iter().any(|&share| share > UNTRAINED) {
            continue;
        }
        let values = first.moments().count() as f64;
        more += (shares[1] - shares[0]) * values;
        all += values;
    }
    (Float::abs(more) > SPARSER * all).then(|| PairGrowth {
        coefficient: Float::signum(more),
        layer_error: ERROR,
        ..PairGrowth::default()
    })
}
