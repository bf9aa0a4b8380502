//! Finds which models form one tree.

use alloc::vec;
use alloc::vec::Vec;

use super::constraints::Constraints;
use super::{RecoveryError, Trees};
use crate::clustering::{Dendrogram, Linkage, Partition, linkage};
use crate::condensed::{CondensedMatrix, pairs_of};
use crate::disjoint_sets::DisjointSets;
use crate::evidence::{Coverage, Geometry, GroupEvidence, LEAST_COMPARED};

/// The evidence for one architecture, with the constraints on its models.
pub(super) type Group<'a> = (&'a GroupEvidence, &'a Constraints);

/// Finds the clusters of every group.
pub(super) fn clusters(
    groups: &[Group<'_>],
    trees: Trees,
    method: Linkage,
) -> Result<Vec<Partition>, RecoveryError> {
    match trees {
        Trees::Inferred => each(groups, |group| find_trees(group, method)),
        Trees::Threshold(distance) if distance >= 0.0 => each(groups, |group| {
            Ok(linkage(group.distances(), method)?.cut_at(distance))
        }),
        Trees::Threshold(distance) => Err(RecoveryError::Threshold { distance }),
        Trees::Count(trees) => cut_into(trees, groups, method),
    }
}

/// Clusters every group separately, and then applies its constraints.
fn each(
    groups: &[Group<'_>],
    cluster: impl Fn(&GroupEvidence) -> Result<Partition, RecoveryError>,
) -> Result<Vec<Partition>, RecoveryError> {
    let constrained = |(group, constraints): &Group<'_>| {
        let partition = cluster(group)?;
        Ok(if binds(constraints) {
            cluster_under_constraints(group, constraints, &partition)
        } else {
            partition
        })
    };
    groups.iter().map(constrained).collect()
}

fn find_trees(group: &GroupEvidence, method: Linkage) -> Result<Partition, RecoveryError> {
    if let (Some(geometry), Some(coverage)) = (group.geometry(), group.coverage()) {
        return Ok(find_trees_among_parts(geometry, coverage));
    }
    Ok(match group.geometry() {
        Some(geometry) => {
            let unrelatedness = CondensedMatrix::from_fn(group.models().len(), |i, j| {
                geometry.unrelatedness(i, j).unwrap_or(1.0)
            })?;
            linkage(&unrelatedness, method)?.cut_at(Geometry::UNRELATED)
        }
        None => {
            linkage(group.distances(), method)?
                .cut_at_widest_gap()
                .partition
        }
    })
}

/// Joins related models, starting with those that share most, but joins two sets only if most pairs between
/// them can be compared.
///
/// So a model with matrices from two families belongs to one of them and doesn't join them.
///
/// O(n² log n) time for n models.
fn find_trees_among_parts(geometry: &Geometry, coverage: &Coverage) -> Partition {
    let models = geometry.squared_norms().len();
    let share = |of: usize, with: usize| coverage.share(of, with).unwrap_or(0.0);
    let comparable = |u: usize, v: usize| share(u, v).max(share(v, u)) >= LEAST_COMPARED;
    let unrelatedness = |u: usize, v: usize| geometry.unrelatedness(u, v).unwrap_or(1.0);
    let mut pairs: Vec<(usize, usize)> = pairs_of(models)
        .filter(|&(u, v)| comparable(u, v) && unrelatedness(u, v) <= Geometry::UNRELATED)
        .collect();
    // The sort is stable: ties go to the pair that comes first by name.
    pairs.sort_by(|&(a, b), &(c, d)| {
        let shared = |u, v| share(u, v).min(share(v, u));
        (shared(c, d).total_cmp(&shared(a, b)))
            .then(unrelatedness(a, b).total_cmp(&unrelatedness(c, d)))
    });
    let mut members: Vec<Vec<usize>> = (0..models).map(|model| vec![model]).collect();
    let mut labels: Vec<usize> = (0..models).collect();
    for (first, second) in pairs {
        let (kept, joined) = (
            labels[first].min(labels[second]),
            labels[first].max(labels[second]),
        );
        if kept == joined {
            continue;
        }
        let cross =
            (members[kept].iter()).flat_map(|&u| members[joined].iter().map(move |&v| (u, v)));
        let comparable = cross.filter(|&(u, v)| comparable(u, v)).count();
        if 2 * comparable > members[kept].len() * members[joined].len() {
            let moved = core::mem::take(&mut members[joined]);
            moved.iter().for_each(|&model| labels[model] = kept);
            members[kept].extend(moved);
        }
    }
    Partition::from_labels(&labels)
}

/// Undoes the highest merges of all groups until there are this many clusters.
fn cut_into(
    trees: usize,
    groups: &[Group<'_>],
    method: Linkage,
) -> Result<Vec<Partition>, RecoveryError> {
    let models = groups.iter().map(|(group, _)| group.models().len()).sum();
    if trees == 0 || trees > models {
        return Err(RecoveryError::Count { trees, models });
    }
    let dendrograms: Vec<Dendrogram> = groups
        .iter()
        .map(|group| constrained_dendrogram(group, method))
        .collect::<Result<_, _>>()?;
    let mut counts = vec![1; groups.len()];
    for _ in groups.len()..trees {
        let mut highest: Option<(usize, f64)> = None;
        for (group, dendrogram) in dendrograms.iter().enumerate() {
            let left = dendrogram.steps().len() + 1 - counts[group];
            if let Some(step) = dendrogram.steps()[..left].last()
                && highest.is_none_or(|(_, height)| step.height > height)
            {
                highest = Some((group, step.height));
            }
        }
        if let Some((group, _)) = highest {
            counts[group] += 1;
        }
    }
    let cuts = groups.iter().zip(dendrograms.iter().zip(counts));
    cuts.map(|((_, constraints), (dendrogram, count))| {
        Ok(with_known_edges(constraints, &dendrogram.cut_into(count)?))
    })
    .collect()
}

/// The same clusters, joined where a known edge requires it.
fn with_known_edges(constraints: &Constraints, partition: &Partition) -> Partition {
    let mut clusters = DisjointSets::new(partition.count());
    let labels = partition.labels();
    for (child, parent) in constraints.known_edges() {
        clusters.join(labels[child], labels[parent]);
    }
    let joined: Vec<usize> = labels.iter().map(|&label| clusters.find(label)).collect();
    Partition::from_labels(&joined)
}

/// The dendrogram of a group that joins models of one possible tree before any others.
fn constrained_dendrogram(
    (group, constraints): &Group<'_>,
    method: Linkage,
) -> Result<Dendrogram, RecoveryError> {
    if !binds(constraints) && group.coverage().is_none() {
        return Ok(linkage(group.distances(), method)?);
    }
    let models = group.models().len();
    let related = match group.geometry() {
        Some(_) => find_trees(group, method)?,
        None => Partition::from_labels(&vec![0; models]),
    };
    let possible = cluster_under_constraints(group, constraints, &related);
    let mut known = DisjointSets::new(models);
    for (child, parent) in constraints.known_edges() {
        known.join(child, parent);
    }
    let distances = group.distances();
    let largest = distances.values().iter().copied().fold(0.0, f64::max);
    // Above every height at which models of one cluster are joined, whatever the linkage.
    let far = (models as f64) * if largest > 0.0 { largest } else { 1.0 };
    let constrained = CondensedMatrix::from_fn(models, |first, second| {
        let distance = distances.distance(first, second).unwrap_or(0.0);
        if known.find(first) == known.find(second) {
            0.0
        } else if possible.labels()[first] == possible.labels()[second] {
            distance
        } else {
            far + distance
        }
    })?;
    Ok(linkage(&constrained, method)?)
}

/// Whether any constraint says which models are, or aren't, in one tree.
fn binds(constraints: &Constraints) -> bool {
    constraints.roots().next().is_some() || constraints.known_edges().next().is_some()
}

/// Joins models that are known to be in one tree, and then the related models of each cluster, nearest first.
/// Never joins two roots, or a merge and the models it was made from if they were unrelated.
///
/// O(n² log n) time for n models, plus O(n²) for each root that is a merge.
fn cluster_under_constraints(
    group: &GroupEvidence,
    constraints: &Constraints,
    related: &Partition,
) -> Partition {
    let models = group.models().len();
    let mut trees = DisjointSets::new(models);
    for (child, parent) in constraints.known_edges() {
        trees.join(child, parent);
    }
    let mut rooted = vec![false; models];
    for root in constraints.roots() {
        rooted[trees.find(root)] = true;
    }
    let labels = related.labels();
    let unrelated = |first, second| {
        let unrelatedness = |geometry: &Geometry| geometry.unrelatedness(first, second);
        (group.geometry().and_then(unrelatedness)).is_some_and(|share| share > Geometry::UNRELATED)
    };
    let mut pairs: Vec<(usize, usize, f64)> = (group.distances().pairs())
        .filter(|&(first, second, _)| labels[first] == labels[second] && !unrelated(first, second))
        .collect();
    // The sort is stable: ties go to the models that come first by name.
    pairs.sort_by(|first, second| first.2.total_cmp(&second.2));
    for (first, second, _) in pairs {
        let (first, second) = (trees.find(first), trees.find(second));
        let both_rooted = rooted[first] && rooted[second];
        if first == second || both_rooted || are_apart(&mut trees, constraints, first, second) {
            continue;
        }
        let either_rooted = rooted[first] || rooted[second];
        rooted[trees.join(first, second)] = either_rooted;
    }
    let labels: Vec<usize> = (0..models).map(|model| trees.find(model)).collect();
    Partition::from_labels(&labels)
}

/// Whether one of the two sets contains a merge and the other a model that it was made from.
fn are_apart(
    trees: &mut DisjointSets,
    constraints: &Constraints,
    first: usize,
    second: usize,
) -> bool {
    constraints.apart().iter().any(|&(merge, parent)| {
        let (merge, parent) = (trees.find(merge), trees.find(parent));
        (merge, parent) == (first, second) || (parent, merge) == (first, second)
    })
}
