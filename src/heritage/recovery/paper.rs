//! Eq. 4 to 6: the minimum arborescence of the distances and a penalty for a wrong direction.

use super::cluster::{Cluster, Tree, cheapest_tree};
use super::{RecoveryError, Stage};
use crate::condensed::CondensedMatrix;

/// The tree for c of Eq. 6 and the stage that made each member.
pub(super) fn tree(
    cluster: &Cluster<'_>,
    c: f64,
    stage: impl Fn(usize) -> Stage,
) -> Result<Tree, RecoveryError> {
    let lambda = c * mean(cluster.distances());
    cheapest_tree(cluster.len(), |parent, child| {
        let against = match (cluster.score(parent), cluster.score(child)) {
            (Some(of_parent), Some(of_child)) => match stage(child) {
                Stage::Specialization => of_parent < of_child,
                Stage::Generalization => of_parent >= of_child,
            },
            _ => false,
        };
        cluster.distance(parent, child) + if against { lambda } else { 0.0 }
    })
}

/// The mean over the whole matrix, whose diagonal counts as zero (Eq. 6).
fn mean(distances: &CondensedMatrix) -> f64 {
    let models = distances.size() as f64;
    2.0 * distances.values().iter().sum::<f64>() / (models * models)
}
