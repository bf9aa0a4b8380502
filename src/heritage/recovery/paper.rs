//! Eq. 4 to 6: the minimum arborescence of the distances, with a penalty for wrong directions.

use super::RecoveryError;
use super::cluster::{Cluster, Tree};
use crate::arborescence::{DenseDigraph, Root, minimum_arborescence};
use crate::condensed::CondensedMatrix;
use crate::heritage::Stage;

/// The tree for c of Eq. 6, given the stage that produced each member.
pub(super) fn tree(
    cluster: &Cluster<'_>,
    c: f64,
    stage: impl Fn(usize) -> Stage,
) -> Result<Tree, RecoveryError> {
    let lambda = c * mean(cluster.distances());
    let largest = cluster
        .distances()
        .values()
        .iter()
        .copied()
        .fold(0.0, f64::max);
    let range = cluster.len() as f64 * (largest + lambda);
    let costs = DenseDigraph::from_fn(cluster.len(), |parent, child| {
        if !cluster.constraints().allows(parent, child) {
            return f64::INFINITY;
        }
        let against = match (cluster.score(parent), cluster.score(child)) {
            (Some(of_parent), Some(of_child)) => match stage(child) {
                Stage::Specialization => of_parent < of_child,
                Stage::Generalization => of_parent >= of_child,
            },
            _ => false,
        };
        let penalty = if against { lambda } else { 0.0 };
        cluster.distance(parent, child) + penalty - cluster.constraints().bonus(child, range)
    })?;
    Ok(Tree {
        parents: minimum_arborescence(&costs, Root::Any)?.parents().into(),
        certainties: None,
        missing: alloc::vec::Vec::new(),
        stages: None,
    })
}

/// The mean over the whole matrix, including the zeros on its diagonal (Eq. 6).
fn mean(distances: &CondensedMatrix) -> f64 {
    let models = distances.size() as f64;
    2.0 * distances.values().iter().sum::<f64>() / (models * models)
}
