//! How well squared distances add up along a tree, and so in how many dimensions its steps appear to move.

use alloc::vec::Vec;

use num_traits::Float;

use super::model::{JointConstant, JointModel};
use crate::heritage::layout::Layout;

/// With this many pairs, the estimate from the pairs counts as much as the usual value. A smaller number would make
/// recovered trees look better than they are. From 200 to 1,000 it makes little difference on real trees.
const PRIOR_PAIRS: f64 = 300.0;

/// The median of χ² with one degree of freedom.
const MEDIAN_SQUARE: f64 = 0.4549;

/// Longer paths add no information to that of shorter ones.
const LONGEST_WAY: usize = 1000;

/// How nearly orthogonal the steps of a tree are.
#[derive(Clone, Copy)]
pub(super) struct Additivity {
    /// N: the number of dimensions in which random steps would be as nearly orthogonal as those of the tree.
    pub(super) dimensions: f64,
    /// c: between the usual value and N / 2. The more pairs there are, the closer it is to the latter.
    pub(super) half_dimension: f64,
}

/// How well squared distances add up along a recovered tree. c is at most `most` times the usual value.
///
/// In N dimensions the cosine of two random steps has the mean square 1/N. For a path of steps of lengths
/// aᵢ, d² between its ends is Σ aᵢ² + 2 Σ aᵢ aⱼ cos(i, j), so (d² − Σ aᵢ²)² has the mean 4/N · Σ aᵢ² aⱼ² over
/// pairs i < j of its steps. The ratio of the two is 1/N times a square with one degree of freedom, and N
/// follows from its median over the `pairs` that no edge joins, each with its squared distance. In a mean, a few
/// wrong edges would outweigh thousands of right ones.
///
/// `steps` are the squared lengths of the edges from each model's parent.
///
/// # Complexity
///
/// O(pairs · depth) time.
pub(super) fn additivity(
    parents: &[Option<usize>],
    steps: &[f64],
    pairs: impl Iterator<Item = (usize, usize, f64)>,
    (most, model): (f64, &JointModel),
) -> Additivity {
    let usual = model.get(JointConstant::HalfDimension);
    let depths = Layout::of_acyclic(parents).depth;
    let mut squared_cosines: Vec<f64> = Vec::new();
    for (first, second, squared) in pairs {
        let is_edge = parents[first] == Some(second) || parents[second] == Some(first);
        let way = (!is_edge).then(|| way(first, second, parents, &depths, steps));
        let Some(Some((sum, sum_of_squares))) = way else {
            continue;
        };
        let products = 2.0 * (sum * sum - sum_of_squares);
        if products > 0.0 {
            let error = squared - sum;
            squared_cosines.push(error / products * error);
        }
    }
    if squared_cosines.is_empty() {
        return Additivity {
            dimensions: 2.0 * usual,
            half_dimension: usual,
        };
    }
    let (count, middle) = (squared_cosines.len() as f64, squared_cosines.len() / 2);
    let (_, median, _) = squared_cosines.select_nth_unstable_by(middle, f64::total_cmp);
    let dimensions = MEDIAN_SQUARE / *median;
    let times = Float::powf(dimensions / (2.0 * usual), count / (count + PRIOR_PAIRS));
    Additivity {
        dimensions,
        half_dimension: usual * times.max(1.0).min(most),
    }
}

/// The sum of the squared step lengths between two models, and the sum of the squares of these; `None` if the
/// models are in different trees.
fn way(
    mut first: usize,
    mut second: usize,
    parents: &[Option<usize>],
    depths: &[usize],
    steps: &[f64],
) -> Option<(f64, f64)> {
    let (mut sum, mut sum_of_squares) = (0.0, 0.0);
    for _ in 0..LONGEST_WAY {
        if first == second {
            return Some((sum, sum_of_squares));
        }
        let lower = if depths[first] >= depths[second] {
            &mut first
        } else {
            &mut second
        };
        let step = steps[*lower];
        (sum, sum_of_squares) = (sum + step, sum_of_squares + step * step);
        *lower = parents[*lower]?;
    }
    None
}
