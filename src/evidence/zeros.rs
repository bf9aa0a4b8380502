//! Zeros left by pruning: which of two models was pruned.

use num_traits::Float;

use super::PairGrowth;
use super::copies::rounding;
use crate::signature::TensorSignature;

/// A model is sparser than another if it has more zeros, by at least this share of the weights of matrices.
const SPARSER: f64 = 0.05;

/// Matrices with a larger share of zeros were initialised with zeros and not yet trained; they weren't pruned.
const UNTRAINED: f64 = 0.95;

/// The error of β for which the odds that the sparser model is the child are about 20.
const ERROR: f64 = 1.5;

/// What stands for growth if one of two models was pruned; `None` if neither is sparser.
///
/// After pruning, models are usually trained further with the zeros fixed, or pruned again. Training that doesn't fix the
/// zeros removes nearly all of them, so a dense model may be the child of a sparse one. That is rare, because people prune
/// to have fewer weights. Growth is of no use here, because pruning shortens a model. Matrices rounded to a few levels
/// don't count, because rounding creates zeros, too.
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
