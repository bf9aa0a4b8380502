//! Pairs that were compared on only part of the weights, and parents that can't be distinguished.

use alloc::vec::Vec;

use hashbrown::HashMap;
use num_traits::Float;

use super::NEARLY_ALL;
use super::cluster::Cluster;
use super::costs::SAYS_NOTHING;
use super::model::JointConstant;
use crate::condensed::CondensedMatrix;

/// The cost of an edge in units of c, in proportion to the weights that the parent lacks, if another model
/// has those too and is otherwise practically identical. Any value works that is clearly above the scatter of
/// ln D² and below the contribution of growth.
pub(super) const MISSING: f64 = 0.4;

/// The cost of an edge whose parent repeats weights that its child holds only once, in proportion to them.
/// Models are built by stacking another model's layers, but are rarely taken apart again.
const STACKED: f64 = 16.0;

/// The extra cost of an edge if its parent lacks rows that the child shares with another model that is otherwise
/// just as good a parent: rows added once aren't added again with the same values.
const LACKED: f64 = 4.0;

/// The extra cost of an edge if the child lacks rows of its parent: ln of the odds of 20. Vocabularies often grow at the
/// end, but rarely shrink there.
pub(super) const LOST_ROWS: f64 = 3.0;

/// If two longer models have the same extra rows, a shorter one was made from the one that is nearer by at least this
/// factor. Otherwise rows would have been removed and later restored with the same values.
const NEARER: f64 = 0.5;

/// Two models are practically the same to a third one if their distance is at most this share of their
/// distances to it.
const AS_GOOD_AS_THE_SAME: f64 = 0.2;

/// A model holds another one unchanged, up to rounding, if their distance is at most this share of that to a third one.
const UNCHANGED: f64 = 0.1;

/// Distances that differ by a smaller share are equal up to rounding.
const ROUNDING: f64 = 1e-9;

/// The extra cost of every edge whose parent doesn't have all weights of the child, or whose child lacks rows of its
/// parent. The cost is higher if another model has more of the child, and highest if a parent carries no
/// information at all. `distances` are those that the costs of edges otherwise come from, and `half_dimension` is
/// the cost of one unit of ln D².
pub(super) fn costs(
    cluster: &Cluster<'_>,
    distances: &CondensedMatrix,
    half_dimension: f64,
) -> HashMap<(usize, usize), f64> {
    let mut costs = HashMap::new();
    if !cluster.is_partial() {
        return costs;
    }
    let same: Vec<Vec<usize>> = (0..cluster.len())
        .map(|model| same(cluster, model).collect())
        .collect();
    let longer = |parent, child| longer(cluster, distances, parent, child);
    for child in 0..cluster.len() {
        let share = |parent: usize| cluster.compared(child, parent);
        let others = (0..cluster.len()).filter(|&parent| parent != child);
        let most = others.clone().map(share).fold(0.0, f64::max);
        for parent in others.clone() {
            let given = given(cluster, parent, child);
            if cluster.parent_distance(parent, child).is_none() {
                costs.insert((parent, child), given + SAYS_NOTHING);
                continue;
            }
            let measured = cluster.distance(parent, child);
            let replaces = |&other: &usize| {
                other != parent
                    && share(other) >= most
                    && !cluster.extends(other, child)
                    && cluster.distance(parent, other) <= AS_GOOD_AS_THE_SAME * measured
            };
            let lacks = most - share(parent);
            let mut replacing = (others.clone()).filter(|other| lacks > 0.0 && replaces(other));
            let mut missing = 0.0;
            if let Some(first) = replacing.next() {
                missing += half_dimension * MISSING * lacks;
                let differs =
                    |other| cluster.extends(other, parent) || cluster.extends(parent, other);
                if core::iter::once(first).chain(replacing).any(differs) {
                    missing += LACKED;
                }
            }
            // Models with equal weights are equally far from others.
            let ways = [(parent, child), (child, parent)];
            let longer = match ways.map(|(from, to)| mean_over([&same[from], &same[to]], longer)) {
                [own, 0.0] => own,
                // Distances that were scaled in both directions say nothing about which one is right.
                [own, reversed] => (own + reversed) / 2.0,
            };
            let cost = given + missing + 2.0 * half_dimension * longer;
            costs.insert((parent, child), cost);
        }
    }
    costs
}

/// The cost of weights and rows that the child gained or lost other than by training.
fn given(cluster: &Cluster<'_>, parent: usize, child: usize) -> f64 {
    // If the child has all of a part, the parent wasn't stacked from it.
    let more = 1.0 - cluster.compared(parent, child);
    let stacked = (cluster.repeated(parent) - cluster.repeated(child)).min(more);
    // Rows that a model has in common with a nearer, longer one were lost from that one.
    let loses_less = |other: usize| {
        other != parent
            && other != child
            && cluster.extends(other, child)
            && cluster.compared(parent, other) > cluster.compared(parent, child)
            && cluster.distance(child, other) <= NEARER * cluster.distance(parent, child)
    };
    let lost = if !cluster.extends(parent, child) {
        0.0
    } else if (0..cluster.len()).any(loses_less) {
        LOST_ROWS + LACKED
    } else {
        LOST_ROWS
    };
    let added = cluster.model().get(JointConstant::AddedWeights);
    added * (1.0 - cluster.compared(child, parent)) + STACKED * stacked.max(0.0) + lost
}

/// The mean of a number over all pairs of different models, one from each set; 0 if there are none.
fn mean_over(sets: [&[usize]; 2], number: impl Fn(usize, usize) -> f64) -> f64 {
    let firsts = sets[0].iter();
    let pairs = firsts.flat_map(|&first| sets[1].iter().map(move |&second| (first, second)));
    let different = pairs.filter(|(first, second)| first != second);
    let (sum, count) = different.fold((0.0, 0.0), |(sum, count), (first, second)| {
        (sum + number(first, second), count + 1.0)
    });
    sum / f64::max(count, 1.0)
}

/// The models with the same compared weights as this one, including itself.
fn same(cluster: &Cluster<'_>, model: usize) -> impl Iterator<Item = usize> {
    let covers = |u, v| cluster.compared(u, v) >= NEARLY_ALL;
    (0..cluster.len()).filter(move |&other| {
        other == model
            || cluster.distance(model, other) == 0.0 && covers(model, other) && covers(other, model)
    })
}

/// ln of the factor by which an edge is longer on all weights of the child than in `distances`.
fn longer(cluster: &Cluster<'_>, distances: &CondensedMatrix, parent: usize, child: usize) -> f64 {
    let scaled = cluster.parent_distance(parent, child);
    let scaled = scaled.filter(|&scaled| scaled != cluster.distance(parent, child));
    let longer = (scaled.zip(distances.distance(parent, child)))
        .map(|(scaled, distance)| Float::ln(scaled) - Float::ln(distance));
    longer.filter(|longer| longer.is_finite()).unwrap_or(0.0)
}

/// A model that gives the same information about a third one, and more: it holds nearly all weights of `model`
/// practically unchanged, and others that the third model also has. If there is none, this is `model` itself.
pub(super) fn whole(cluster: &Cluster<'_>, model: usize, third: usize) -> usize {
    if !cluster.is_partial() {
        return model;
    }
    let share = |other: usize| cluster.compared(third, other);
    let holds_all = |&other: &usize| {
        other != model
            && other != third
            && cluster.compared(model, other) >= NEARLY_ALL
            && cluster.distance(model, other) <= UNCHANGED * cluster.distance(model, third)
    };
    // The model itself comes first, so that it wins ties.
    let candidates = core::iter::once(model).chain((0..cluster.len()).filter(holds_all));
    (candidates.min_by(|&a, &b| share(b).total_cmp(&share(a)))).unwrap_or(model)
}

/// If a model's parent can't be distinguished from some of the parent's ancestors, makes the model a child of
/// the one nearest to the root.
///
/// A truncated or frozen copy holds nothing that only a later model has. What all models of a branch share
/// comes from the first of them.
pub(super) fn hang_on_first_equal(cluster: &Cluster<'_>, parents: &mut [Option<usize>]) {
    for child in 0..parents.len() {
        let Some(parent) = parents[child].filter(|_| !cluster.constraints().is_known(child)) else {
            continue;
        };
        let is_equal = |other: usize| {
            let (near, far) = (
                cluster.parent_distance(parent, child),
                cluster.parent_distance(other, child),
            );
            let same_share = cluster.compared(child, other) >= cluster.compared(child, parent);
            let equal =
                (near.zip(far)).is_some_and(|(near, far)| (far - near).abs() <= ROUNDING * near);
            // A child that lacks the same rows as its parent was made after they were lost.
            let lost_with_parent = cluster.extends(other, child) && !cluster.extends(parent, child);
            equal && same_share && !lost_with_parent && cluster.constraints().allows(other, child)
        };
        let mut first = parent;
        let mut ancestor = parents[parent];
        while let Some(other) = ancestor {
            if is_equal(other) {
                first = other;
            }
            ancestor = parents[other];
        }
        parents[child] = Some(first);
    }
}
