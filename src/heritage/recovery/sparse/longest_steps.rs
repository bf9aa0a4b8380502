//! The longest step on the path between two models along the minimum spanning forest of the near pairs.

use alloc::vec;
use alloc::vec::Vec;

use super::NearPair;

/// For every pair, the largest distance on the path between the two models in the minimum spanning forest.
pub(super) fn longest_steps(models: usize, pairs: &[NearPair]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    // The sort is stable: ties go to the pair that comes first by name.
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

/// Joined sets, each smaller one below the larger, with the distance at which they were joined.
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

    /// The distance at which the two models came into one set.
    ///
    /// Distances never decrease on the way up, so the model that was joined earlier moves first.
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
