//! How well squared distances add up along a tree: in how many dimensions its steps seem to go.

use alloc::vec;
use alloc::vec::Vec;

use super::NEARLY_ALL;
use super::cluster::Cluster;

/// As many pairs as count for what real trees usually have.
pub(super) const PRIOR_PAIRS: f64 = 5.0;

/// The number of dimensions in which random steps would be as nearly orthogonal as those of the tree,
/// drawn to `usual` as by five pairs more.
///
/// In N dimensions the cosine of two random steps has the mean square 1/N. For a path of steps of
/// lengths aᵢ, d² of its ends is Σ aᵢ² + 2 Σ aᵢ aⱼ cos(i, j), so (d² − Σ aᵢ²)² has the mean
/// 4/N · Σ aᵢ² aⱼ² over pairs i < j of its steps. N is the inverse of the mean of the ratio of the two,
/// over all pairs of models that no edge joins. Siblings that learnt the same make it small.
///
/// O(n²) time and space.
pub(super) fn dimensions(cluster: &Cluster<'_>, parents: &[Option<usize>], usual: f64) -> f64 {
    let models = parents.len();
    let mut paths = vec![Path::default(); models * models];
    let mut placed: Vec<usize> = Vec::new();
    let (mut squared_cosines, mut pairs) = (PRIOR_PAIRS / usual, PRIOR_PAIRS);
    for model in downwards(parents) {
        if let Some(parent) = parents[model] {
            let step = cluster.squared_distance(parent, model);
            for &other in &placed {
                let path = paths[parent * models + other].longer(step);
                paths[model * models + other] = path;
                paths[other * models + model] = path;
                let products = path.products();
                // What two models have in common on a part says nothing of how steps add up.
                let compared = cluster.compared(model, other);
                let whole = compared.min(cluster.compared(other, model)) >= NEARLY_ALL;
                if other != parent && products > 0.0 && whole {
                    let error = cluster.squared_distance(model, other) - path.sum;
                    squared_cosines += error / products * error;
                    pairs += 1.0;
                }
            }
        }
        placed.push(model);
    }
    pairs / squared_cosines
}

/// The squared lengths of the steps between two models.
#[derive(Clone, Copy, Default)]
pub(super) struct Path {
    sum: f64,
    sum_of_squares: f64,
}

impl Path {
    pub(super) fn longer(self, step: f64) -> Self {
        Self {
            sum: self.sum + step,
            sum_of_squares: self.sum_of_squares + step * step,
        }
    }

    pub(super) const fn sum(self) -> f64 {
        self.sum
    }

    /// Four times the sum of the products of any two of them.
    pub(super) fn products(self) -> f64 {
        2.0 * (self.sum * self.sum - self.sum_of_squares)
    }
}

/// All models, parents before children.
pub(super) fn downwards(parents: &[Option<usize>]) -> Vec<usize> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    let mut order = Vec::new();
    for (child, parent) in parents.iter().enumerate() {
        match parent {
            Some(parent) => children[*parent].push(child),
            None => order.push(child),
        }
    }
    let mut next = 0;
    while let Some(&model) = order.get(next) {
        order.extend(&children[model]);
        next += 1;
    }
    order
}
