//! Merged models: which models are weighted averages of others.

use alloc::vec::Vec;

use super::recovery::NEARLY_ALL;
use crate::evidence::{Geometry, GroupEvidence};

mod nearest_average;
mod selective;

pub use self::selective::find_selective_merges;

use self::nearest_average::NearestAverage;
use self::selective::find_selective_merges_among;

/// Every parent of a merge has at least this weight.
const LEAST_WEIGHT: f64 = 0.05;

/// What a merge leaves unexplained is below this share of what chance, or one parent, would leave.
const RESIDUAL: f64 = 0.1;

/// The same for sums in which a base has a negative weight: there are more of them to choose from.
const RESIDUAL_WITH_BASE: f64 = 0.02;

/// A model that is a weighted average of others: but for rounding, or for what a
/// [selective](find_selective_merges) merge leaves out.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Merge {
    model: usize,
    parents: Vec<(usize, f64)>,
    residual: f64,
}

impl Merge {
    /// The position of the merged model.
    #[must_use]
    pub const fn model(&self) -> usize {
        self.model
    }

    /// The positions of the models that were averaged, two to eight of them, ascending, with their
    /// weights, which sum to 1. One of them may be a base with a negative weight: the others'
    /// differences from it were added up, with weights of more than 1 in all.
    #[must_use]
    pub fn parents(&self) -> &[(usize, f64)] {
        &self.parents
    }

    /// The squared distance of the model from the average, as a share of what it would be if the
    /// parents had nothing to do with the model: 0 for an exact average, 1 by chance.
    #[must_use]
    pub const fn residual(&self) -> f64 {
        self.residual
    }
}

/// Finds the models that are averages of two to eight others, in the order of their positions.
///
/// Of all averages of the others with weights that are not negative and sum to one, the nearest to
/// a model m is found by Wolfe's algorithm, in the space of the differences a − m. Those with a
/// weight of at least 0.05 are the candidates, and their weights are fitted again without the
/// others, by least squares: with G the inner products of the differences, they are proportional
/// to G⁻¹1.
///
/// If the candidates were trained from m by orthogonal steps, the squared distance of their average
/// would be 1/Σ(1/d²(m, a)). They are the parents of a merge if what is left is below a tenth of
/// that, and also below a tenth of the squared distance to the nearest single model (so a fine-tune
/// of an average is none). Averages of real networks had shares below 1e-8, other models of real
/// trees at least 0.6.
///
/// Task arithmetic adds the differences of several models from their base to the base. If the weights of
/// these differences are more than 1 in all, that of the base is negative. So where no average is found,
/// a model with a negative weight is looked for that makes one of the candidates. It must be shorter than
/// they are, the cosines of their steps from it at most a third, and what is left below a fiftieth of the
/// squared distance to the nearest single model.
///
/// A model that lies exactly midway between its parent and its child is an average, too: what was
/// done to weights can be told, not why. Merges that choose among the values of their parents, such as
/// TIES, are no averages; [`find_selective_merges`] looks for them.
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

/// The same, among pairs that were compared on as good as all of their weights.
fn find_merges_among(geometry: &Geometry, compared: impl Fn(usize, usize) -> bool) -> Vec<Merge> {
    let models = 0..geometry.squared_norms().len();
    models
        .filter_map(|model| merge_of(geometry, model, &compared))
        .collect()
}

/// What a model is an average of, if it is one.
fn merge_of(
    geometry: &Geometry,
    model: usize,
    compared: &impl Fn(usize, usize) -> bool,
) -> Option<Merge> {
    let squared = |other: usize| {
        let distances = geometry.squared_distances();
        distances.distance(model, other).unwrap_or(0.0)
    };
    // Of a copy all would be an average, too, and of unrelated models nothing is.
    let counts = |&other: &usize| {
        let unrelatedness = geometry.unrelatedness(model, other);
        other != model
            && squared(other) > 0.0
            && unrelatedness.is_some_and(|share| share <= Geometry::UNRELATED)
            && compared(model, other)
    };
    let others: Vec<usize> = (0..geometry.squared_norms().len()).filter(counts).collect();
    let nearest = others
        .iter()
        .map(|&other| squared(other))
        .fold(f64::INFINITY, f64::min);
    let average = NearestAverage::find(geometry, model, &others)?.without_below(LEAST_WEIGHT)?;
    let by_chance = 1.0 / (average.points().map(|(other, _)| 1.0 / squared(other))).sum::<f64>();
    let (average, left) = match average.squared_distance() {
        left if left < RESIDUAL * by_chance.min(nearest) => (average, left),
        _ => {
            let average = average.with_base(&others, LEAST_WEIGHT)?;
            let left = average.squared_distance();
            let most = RESIDUAL_WITH_BASE * by_chance.min(nearest);
            (left < most).then_some((average, left))?
        }
    };
    let mut parents: Vec<(usize, f64)> = average.points().collect();
    parents.sort_unstable_by_key(|&(parent, _)| parent);
    // Distances on different weights are those of no space, in which anything may be an average.
    let mut pairs = (parents.iter().enumerate())
        .flat_map(|(at, &(u, _))| parents[at + 1..].iter().map(move |&(v, _)| (u, v)));
    if average.is_impossible() || !pairs.all(|(u, v)| compared(u, v)) {
        return None;
    }
    Some(Merge {
        model,
        parents,
        residual: left / by_chance,
    })
}

/// The merges among the models of a group, one for each merged model; a copy of a merge is a copy.
pub(super) fn merges_of(group: &GroupEvidence) -> Vec<Merge> {
    let Some(geometry) = group.geometry() else {
        return Vec::new();
    };
    let compared = |u, v| group.compared(u, v).min(group.compared(v, u)) >= NEARLY_ALL;
    let is_copy = |model| group.original(model) != Some(model);
    let mut merges = find_merges_among(geometry, compared);
    // Rounding and pruning are steps of their own, which make no merges.
    merges.extend(find_selective_merges_among(geometry, |u, v| {
        compared(u, v) && !is_copy(u) && !is_copy(v)
    }));
    // A stable sort: a model that is an exact average is that.
    merges.sort_by_key(Merge::model);
    merges.dedup_by_key(|merge| merge.model());
    merges.retain(|merge| !is_copy(merge.model()));
    merges
}
