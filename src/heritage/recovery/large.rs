//! The joint decision for a large cluster in which all pairs were measured, made over its near pairs.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::cluster::{Cluster, Tree};
use super::sparse::{Family, NearPair, TreeRules, trees_under};
use super::{RecoveryError, partial};
use crate::arborescence::{DenseDigraph, Root, minimum_arborescence};
use crate::heritage::Stage;

/// How many of a model's nearest possible parents are considered. Ten are enough when
/// [`Index`](crate::heritage::Index) searches for them.
const NEAREST: usize = 48;

/// The tree of a cluster. A stage given for all models fixes the stage of the state; a stage given for one
/// member applies to the edge into it, whatever the state.
pub(super) fn tree(
    cluster: &Cluster<'_>,
    stage: Option<Stage>,
    stages: &[Option<Stage>],
) -> Result<Tree, RecoveryError> {
    let rules = TreeRules {
        model: cluster.model(),
        stage,
        stages,
    };
    let found = trees_under(&family(cluster)?, cluster.constraints(), &rules)?;
    let mut parents: Vec<Option<usize>> = found
        .placements
        .iter()
        .map(|placement| placement.parent)
        .collect();
    partial::hang_on_first_equal(cluster, &mut parents);
    let certainties = found
        .placements
        .into_iter()
        .map(|placement| placement.certainty);
    Ok(Tree {
        certainties: Some(certainties.collect()),
        missing: found.missing,
        parents,
        stages: found.stages.filter(|_| cluster.score(0).is_some()),
    })
}

/// The pairs in which one model is among the other's nearest possible parents, and those of the minimum
/// spanning tree; sorted.
fn near_pairs(cluster: &Cluster<'_>) -> Result<Vec<(usize, usize)>, RecoveryError> {
    let models = cluster.len();
    let distances = DenseDigraph::from_fn(models, |u, v| cluster.distance(u, v))?;
    let tree = minimum_arborescence(&distances, Root::At(0))?;
    let of_tree =
        (tree.parents().iter().enumerate()).filter_map(|(child, parent)| Some(((*parent)?, child)));
    let mut pairs: Vec<(usize, usize)> = of_tree.collect();
    for child in 0..models {
        let allowed = |&parent: &usize| cluster.constraints().allows(parent, child);
        let mut parents: Vec<usize> = (0..models).filter(allowed).collect();
        let nearer = |&u: &usize, &v: &usize| {
            let distances = (cluster.distance(u, child), cluster.distance(v, child));
            distances.0.total_cmp(&distances.1).then(u.cmp(&v))
        };
        if parents.len() > NEAREST {
            parents.select_nth_unstable_by(NEAREST, nearer);
            parents.truncate(NEAREST);
        }
        pairs.extend(parents.into_iter().map(|parent| (parent, child)));
    }
    let ordered = pairs.into_iter().map(|(u, v)| (u.min(v), u.max(v)));
    let mut pairs: Vec<(usize, usize)> = ordered.filter(|(u, v)| u != v).collect();
    pairs.sort_unstable();
    pairs.dedup();
    Ok(pairs)
}

fn family<'a>(cluster: &Cluster<'a>) -> Result<Family<'a>, RecoveryError> {
    let pairs = near_pairs(cluster)?;
    let near = |&(first, second): &(usize, usize)| NearPair {
        first,
        second,
        distance: cluster.distance(first, second),
        squared_distance: cluster.squared_distance(first, second),
        growth: (cluster.growth(first, second))
            .map(|(coefficient, layer, model)| [coefficient, layer, model]),
        vote: cluster.score_change(first, second),
        compared: [
            cluster.compared(first, second),
            cluster.compared(second, first),
        ],
        shared_sets: cluster.shared_sets(first, second),
    };
    let both = || pairs.iter().flat_map(|&(u, v)| [(u, v), (v, u)]);
    let is_partial = |&(parent, child): &(usize, usize)| cluster.is_partial_parent(parent, child);
    let partial: HashMap<(usize, usize), Option<f64>> = both()
        .filter(is_partial)
        .map(|edge| (edge, cluster.parent_distance(edge.0, edge.1)))
        .collect();
    Ok(Family {
        names: (0..cluster.len())
            .map(|member| cluster.name(member))
            .collect(),
        pairs: pairs.iter().map(near).collect(),
        // The constraints know them.
        merges: Vec::new(),
        originals: Vec::new(),
        partial,
    })
}
