//! How well squared distances add up along a tree, and how much they are to be trusted for it.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use super::cluster::Cluster;

/// As many pairs as count for the error that real trees have.
const PRIOR_PAIRS: f64 = 20.0;

/// The least error that is believed.
const LEAST_ERROR: f64 = 0.01;

/// The inverse of the relative error of squared distances as sums along the tree's paths.
///
/// Were all steps orthogonal, there would be none but chance; steps of siblings that learnt the
/// same make it large. It is the root of the mean of ((d²(i, j) − Σ) / Σ)² over all pairs that no
/// edge joins, where Σ is the sum over the path between them, with 20 pairs more that have the error
/// `1 / usual`.
///
/// O(n²) time and space.
pub(super) fn sharpness(cluster: &Cluster<'_>, parents: &[Option<usize>], usual: f64) -> f64 {
    let models = parents.len();
    let mut paths = vec![0.0; models * models];
    let mut placed: Vec<usize> = Vec::new();
    let (mut squares, mut pairs) = (PRIOR_PAIRS / (usual * usual), PRIOR_PAIRS);
    for model in downwards(parents) {
        let Some(parent) = parents[model] else {
            placed.push(model);
            continue;
        };
        let step = cluster.squared_distance(parent, model);
        for &other in &placed {
            let path = paths[parent * models + other] + step;
            paths[model * models + other] = path;
            paths[other * models + model] = path;
            if other != parent && path > 0.0 {
                let error = cluster.squared_distance(model, other) / path - 1.0;
                squares += error * error;
                pairs += 1.0;
            }
        }
        placed.push(model);
    }
    1.0 / Float::sqrt(squares / pairs).max(LEAST_ERROR)
}

/// All models, parents before children.
fn downwards(parents: &[Option<usize>]) -> Vec<usize> {
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
