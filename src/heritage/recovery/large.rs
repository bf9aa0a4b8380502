//! The joint decision for a large cluster of which all pairs were measured: that of a family of near pairs,
//! all of which are near.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::cluster::{Belief, Cluster, Tree};
use super::sparse::{Family, NearPair, trees_under};
use super::{RecoveryError, partial};
use crate::heritage::Stage;

/// The tree of a cluster; a stage given for all leaves no other state, one given for a member holds for the
/// edge into it whatever the state.
pub(super) fn tree(
    cluster: &Cluster<'_>,
    stage: Option<Stage>,
    stages: &[Option<Stage>],
) -> Result<Tree, RecoveryError> {
    let found = trees_under(&family(cluster), cluster.constraints(), stage, stages)?;
    let mut parents: Vec<Option<usize>> = found
        .placements
        .iter()
        .map(|placement| placement.parent)
        .collect();
    partial::hang_on_first_equal(cluster, &mut parents);
    let beliefs = found.placements.iter().map(|placement| Belief {
        confidence: placement.confidence,
        runner_up: placement.runner_up,
        joined: placement.joined,
        alike: None,
    });
    Ok(Tree {
        beliefs: Some(beliefs.collect()),
        parents,
        stages: found.stages.filter(|_| cluster.score(0).is_some()),
    })
}

fn family<'a>(cluster: &Cluster<'a>) -> Family<'a> {
    let models = cluster.len();
    let pairs = || (0..models).flat_map(move |first| (first + 1..models).map(move |v| (first, v)));
    let near = |(first, second)| NearPair {
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
    };
    let partial: HashMap<(usize, usize), Option<f64>> = if cluster.is_partial() {
        let both = pairs().flat_map(|(u, v)| [(u, v), (v, u)]);
        both.filter(|&(parent, child)| cluster.is_partial_parent(parent, child))
            .map(|edge| (edge, cluster.parent_distance(edge.0, edge.1)))
            .collect()
    } else {
        HashMap::new()
    };
    Family {
        names: (0..models).map(|member| cluster.name(member)).collect(),
        pairs: pairs().map(near).collect(),
        originals: Vec::new(),
        partial,
    }
}
