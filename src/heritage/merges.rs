//! Merges: models that are weighted averages of others.

use alloc::vec::Vec;

use num_traits::Float;

use super::recovery::NEARLY_ALL;
use crate::evidence::{Geometry, GroupEvidence, MOST_IN_COMMON, Merge, NearestAverage};
use crate::parallel;

mod selective;

pub use self::selective::find_selective_merges;

use self::selective::find_selective_merges_among;

/// Every parent of a merge has at least this weight.
const LEAST_WEIGHT: f64 = 0.05;

/// Models with a greater unrelatedness contribute nothing. An average of eight independent models, the most that are
/// found, has 7/9 from each of them.
const MOST_UNRELATED: f64 = 0.85;

/// What a merge leaves unexplained must be below this share of what chance, or a single parent, would leave.
const RESIDUAL: f64 = 0.1;

/// The same for sums in which a base has a negative weight. It is stricter because there are more such sums.
const RESIDUAL_WITH_BASE: f64 = 0.02;

/// Averages with a residual up to this are exact.
const EXACT: f64 = 1e-6;

/// A merge of another kind is preferred to an average if its residual is smaller by this factor.
const BETTER: f64 = 0.1;

/// If growth from one model to another is greater than this, the second was trained from the first. In most trees,
/// growth is 0.95.
const TRAINED: f64 = 0.4;

/// A model lies on the line between two others if the cosine of the angle between the directions to them is at most
/// this.
const ON_LINE: f64 = -0.95;

/// A step leaves such a line if the cosine of its angle to the line is at most this in magnitude.
const OFF_LINE: f64 = 0.5;

/// Finds the models that are averages of two to eight others, sorted by position.
///
/// For each model m, Wolfe's algorithm finds the nearest of all averages of the other models with
/// non-negative weights that sum to one, in the space of the differences a − m. Models with a weight of at
/// least 0.05 are the candidates. Their weights are fitted again without the others by least squares: if G
/// holds the inner products of the differences, the weights are proportional to G⁻¹1.
///
/// If the candidates were trained from m by orthogonal steps, the squared distance from m to their average
/// would be 1/Σ(1/d²(m, a)). They are accepted as the parents of a merge if the actual squared distance is
/// below a tenth of that, and also below a tenth of the squared distance to the nearest single model, so that
/// fine-tunes of averages are rejected. For averages of real networks these ratios were below 1e-8; for other
/// models of real trees they were at least 0.6.
///
/// Task arithmetic adds the differences of several models from their base to the base. If the weights of
/// these differences total more than 1, the base has a negative weight. So if no average is found, the search
/// looks for a model with a negative weight that turns the candidates into one. Its norm must be smaller than
/// theirs, the cosines of their steps from it between −0.2 and a third, and the squared distance below a fiftieth of
/// that to the nearest single model.
///
/// A model exactly midway between its parent and its child is also an average, and so is a model from which its child
/// was extrapolated: the weights show what was done, but not why. Merges that choose among the values of their
/// parents, such as TIES, aren't averages; use [`find_selective_merges`] to find them. Averages whose weights vary between
/// tensors only show in [`GroupEvidence::merges`](crate::evidence::GroupEvidence::merges).
///
/// # Complexity
///
/// O(n²) time and O(n) space for n models.
///
/// # Examples
///
/// ```
/// use mother::condensed::CondensedMatrix;
/// use mother::evidence::Geometry;
/// use mother::heritage::find_merges;
///
/// // Two orthogonal models of length 1, their average, and a stranger.
/// let distances = CondensedMatrix::new(4, vec![2.0, 0.5, 2.0, 0.5, 2.0, 1.5])?;
/// let geometry = Geometry::new(vec![1.0, 1.0, 0.5, 1.0], distances)?;
/// let merges = find_merges(&geometry);
/// assert_eq!(merges.len(), 1);
/// assert_eq!(merges[0].model(), 2);
/// assert_eq!(merges[0].parents(), &[(0, 0.5), (1, 0.5)]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # References
///
/// P. Wolfe, "Finding the nearest point in a polytope", Mathematical Programming 11 (1976),
/// DOI 10.1007/BF01580381.
#[must_use]
pub fn find_merges(geometry: &Geometry) -> Vec<Merge> {
    find_merges_among(geometry, |_, _| true)
}

/// The same, using only pairs that were compared on nearly all of their weights.
fn find_merges_among(
    geometry: &Geometry,
    compared: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<Merge> {
    let models = 0..geometry.squared_norms().len();
    let merges = parallel::map(models, |model| merge_of(geometry, model, &compared));
    merges.into_iter().flatten().collect()
}

/// The average that a model was made from, if any.
fn merge_of(
    geometry: &Geometry,
    model: usize,
    compared: &impl Fn(usize, usize) -> bool,
) -> Option<Merge> {
    let squared = |other: usize| {
        let distances = geometry.squared_distances();
        distances.distance(model, other).unwrap_or(0.0)
    };
    // A duplicate would make any model an average, and unrelated models contribute nothing.
    let counts = |&other: &usize| {
        let unrelatedness = geometry.unrelatedness(model, other);
        other != model
            && squared(other) > 0.0
            && unrelatedness.is_some_and(|share| share <= MOST_UNRELATED)
            && compared(model, other)
    };
    let others: Vec<usize> = (0..geometry.squared_norms().len()).filter(counts).collect();
    let nearest = others
        .iter()
        .map(|&other| squared(other))
        .fold(f64::INFINITY, f64::min);
    let product = |first, second| geometry.product_of_steps(model, first, second);
    let average = NearestAverage::find(product, &others)?.without_below(LEAST_WEIGHT)?;
    let by_chance = 1.0 / (average.points().map(|(other, _)| 1.0 / squared(other))).sum::<f64>();
    let (average, left) = match average.squared_distance() {
        left if left < RESIDUAL * by_chance.min(nearest) => (average, left),
        _ => {
            let average = average.with_base(&others, geometry.squared_norms(), LEAST_WEIGHT)?;
            let left = average.squared_distance();
            let most = RESIDUAL_WITH_BASE * by_chance.min(nearest);
            (left < most).then_some((average, left))?
        }
    };
    let parents: Vec<(usize, f64)> = average.points().collect();
    // Distances measured on different weights don't fit into one space, so anything may look like an average.
    let mut pairs = (parents.iter().enumerate())
        .flat_map(|(at, &(u, _))| parents[at + 1..].iter().map(move |&(v, _)| (u, v)));
    if average.is_impossible() || !pairs.all(|(u, v)| compared(u, v)) {
        return None;
    }
    Some(Merge::new(model, parents, left / by_chance))
}

/// Whether a model on the line between two others is their base rather than their average. One of the two was then
/// extrapolated away from the other, for example to subtract what that one had learnt.
///
/// It counts as the base if a third model was trained from it in another direction, and if no model that may be older could
/// be the parent of both ends.
fn is_base_between(
    group: &GroupEvidence,
    geometry: &Geometry,
    merge: &Merge,
    compared: impl Fn(usize, usize) -> bool,
) -> bool {
    let (model, &[(first, _), (second, _)]) = (merge.model(), merge.parents()) else {
        return false;
    };
    let squared = |u, v| geometry.squared_distance(u, v);
    let cosine_of = |from: usize, first: usize, second: usize| {
        let lengths = Float::sqrt(squared(from, first) * squared(from, second));
        geometry.product_of_steps(from, first, second) / lengths
    };
    let cosine = |from: usize| cosine_of(from, first, second);
    let others = || {
        let all = 0..group.models().len();
        all.filter(|&other| ![model, first, second].contains(&other) && compared(model, other))
    };
    let is_child = |child: usize| {
        let least = squared(child, first).min(squared(child, second));
        let from_model = squared(child, model);
        from_model < least
            && Float::abs(cosine_of(model, child, first)) <= OFF_LINE
            && others().all(|other| other == child || squared(child, other) > from_model)
    };
    let is_trained_from_model = |other: usize| {
        let growth = group
            .growth()
            .and_then(|growth| growth.coefficient(model, other));
        growth.is_some_and(|growth| growth > TRAINED)
    };
    let is_base = |base: usize| !is_trained_from_model(base) && cosine(base) <= MOST_IN_COMMON;
    let are_related = (geometry.unrelatedness(first, second))
        .is_some_and(|unrelatedness| unrelatedness <= Geometry::UNRELATED);
    are_related && cosine(model) <= ON_LINE && others().any(is_child) && !others().any(is_base)
}

/// The merges among the models of a group, at most one for each model. A copy of a merge counts as a copy.
pub(super) fn merges_of(group: &GroupEvidence) -> Vec<Merge> {
    let Some(geometry) = group.geometry() else {
        return Vec::new();
    };
    let compared = |u, v| group.compared(u, v).min(group.compared(v, u)) >= NEARLY_ALL;
    let is_copy = |model| group.original(model) != Some(model);
    let averages = find_merges_among(geometry, compared);
    // Steps in one direction, as of a series of checkpoints, make each model an average of its neighbours.
    let is_mutual = |merge: &Merge| averages.iter().any(|other| merge.is_mutual(other));
    let averages = averages.iter().filter(|merge| !is_mutual(merge)).cloned();
    // Quantisation and pruning are steps of their own and don't make merges.
    let selective = find_selective_merges_among(geometry, |u, v| {
        compared(u, v) && !is_copy(u) && !is_copy(v)
    });
    let (exact, approximate): (Vec<Merge>, Vec<Merge>) =
        averages.partition(|average| average.residual() <= EXACT);
    // With more weights, others explain a little more by chance.
    let approximate = approximate
        .into_iter()
        .map(|merge| (BETTER * merge.residual(), merge));
    let of_tensors = group.merges().iter().cloned();
    let certain = exact
        .into_iter()
        .chain(of_tensors)
        .map(|merge| (0.0, merge));
    let others = selective.into_iter().map(|merge| (merge.residual(), merge));
    let all = certain.chain(approximate).chain(others);
    let mut ranked: Vec<(f64, Merge)> =
        (all.filter(|(_, merge)| !is_base_between(group, geometry, merge, compared))).collect();
    // The sort is stable, so exact averages stay first, and then what tensors show.
    ranked
        .sort_by(|(first, u), (second, v)| u.model().cmp(&v.model()).then(first.total_cmp(second)));
    let mut merges: Vec<Merge> = ranked.into_iter().map(|(_, merge)| merge).collect();
    merges.dedup_by_key(|merge| merge.model());
    merges.retain(|merge| !is_copy(merge.model()));
    merges
}
