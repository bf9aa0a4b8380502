//! Ways between models: along the minimum spanning tree of the near pairs, and along the tree found.

use alloc::vec;
use alloc::vec::Vec;

use super::{Family, NearPair};
use crate::heritage::recovery::additivity::{PRIOR_PAIRS, Path, downwards};

/// Longer ways than this say nothing that shorter ones don't.
const LONGEST_WAY: usize = 1000;

/// For every pair the largest distance on the way between the two in the minimum spanning forest.
pub(super) fn longest_steps(models: usize, pairs: &[NearPair]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    // A stable sort: of equal distances the pair of the models that come first by name.
    order.sort_by(|&a, &b| pairs[a].distance.total_cmp(&pairs[b].distance));
    let mut joined = Joined {
        above: (0..models).map(|model| (model, f64::INFINITY)).collect(),
        sizes: vec![1; models],
    };
    for at in order {
        joined.join(pairs[at].first, pairs[at].second, pairs[at].distance);
    }
    let longest = |pair: &NearPair| joined.longest(pair.first, pair.second);
    pairs.iter().map(longest).collect()
}

/// Sets that were joined, the smaller below the larger, each with the distance at which it was.
struct Joined {
    above: Vec<(usize, f64)>,
    sizes: Vec<usize>,
}

impl Joined {
    fn top(&self, mut model: usize) -> usize {
        while self.above[model].0 != model {
            model = self.above[model].0;
        }
        model
    }

    fn join(&mut self, first: usize, second: usize, distance: f64) {
        let (first, second) = (self.top(first), self.top(second));
        if first == second {
            return;
        }
        let (lower, upper) = if self.sizes[first] <= self.sizes[second] {
            (first, second)
        } else {
            (second, first)
        };
        self.above[lower] = (upper, distance);
        self.sizes[upper] += self.sizes[lower];
    }

    /// The distance at which the two came into one set.
    ///
    /// Going up, distances never fall, so whoever was joined earlier goes first.
    fn longest(&self, mut first: usize, mut second: usize) -> f64 {
        let mut longest = 0.0;
        while first != second {
            let (of_first, of_second) = (self.above[first], self.above[second]);
            let (next, distance) = if of_first.1 <= of_second.1 && of_first.0 != first {
                (&mut first, of_first)
            } else {
                (&mut second, of_second)
            };
            if distance.0 == *next {
                return f64::INFINITY;
            }
            *next = distance.0;
            longest = f64::max(longest, distance.1);
        }
        longest
    }
}

/// As [`additivity::dimensions`](crate::heritage::recovery::additivity::dimensions), from the sampled
/// pairs, which stand for all.
pub(super) fn dimensions(family: &Family<'_>, parents: &[Option<usize>], usual: f64) -> f64 {
    let models = parents.len();
    let mut depths = vec![0_usize; models];
    let mut steps = vec![0.0; models];
    for model in downwards(parents) {
        if let Some(parent) = parents[model] {
            depths[model] = depths[parent] + 1;
            let ends = (parent.min(model), parent.max(model));
            let found =
                (family.pairs).binary_search_by_key(&ends, |pair| (pair.first, pair.second));
            steps[model] = found.map_or(0.0, |at| family.pairs[at].squared_distance);
        }
    }
    let (mut squared_cosines, mut pairs) = (0.0, 0.0);
    for &(first, second, squared) in &family.sample {
        let Some(path) = path(first, second, parents, &depths, &steps) else {
            continue;
        };
        let products = path.products();
        if products > 0.0 {
            let error = squared - path.sum();
            squared_cosines += error / products * error;
            pairs += 1.0;
        }
    }
    let all = models as f64 * (models as f64 - 1.0) / 2.0;
    let each = if pairs > 0.0 {
        f64::max(all / pairs, 1.0)
    } else {
        0.0
    };
    (PRIOR_PAIRS + each * pairs) / (PRIOR_PAIRS / usual + each * squared_cosines)
}

/// The way between two models of one tree.
fn path(
    mut first: usize,
    mut second: usize,
    parents: &[Option<usize>],
    depths: &[usize],
    steps: &[f64],
) -> Option<Path> {
    let mut path = Path::default();
    for _ in 0..LONGEST_WAY {
        if first == second {
            return Some(path);
        }
        let lower = if depths[first] >= depths[second] {
            &mut first
        } else {
            &mut second
        };
        path = path.longer(steps[*lower]);
        *lower = parents[*lower]?;
    }
    None
}
