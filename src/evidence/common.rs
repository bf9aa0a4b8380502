//! The weights that two models have in common, and which of these share an ancestor.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::geometry::share;
use crate::signature::TensorSignature;
use crate::sketch::{GroupComparison, RowGroups};

/// Models are unrelated if their squared distance is above this share of that between independent weights.
const UNRELATED: f64 = super::Geometry::UNRELATED;

/// A group of rows may be independent above this share, as it has few rows and a short sketch.
const UNRELATED_ROWS: f64 = 0.5;

/// Weights that were reinitialised, rather than trained, differ more than the rest by at least this factor.
pub(super) const MUCH: f64 = 4.0;

/// The greatest mean square of newly initialised rows, relative to the usual one of their matrix. A training step
/// that makes rows look new makes their squares three times as large, since it is nearly orthogonal to them.
const LONGEST_NEW_ROWS: f64 = 2.0;

/// Removes the last groups of rows, down to `start`, if they were reinitialised in one of the models, such
/// as the rows of tokens that were added to both.
pub(super) fn leave_out_new_rows(groups: &mut Vec<GroupComparison>, start: usize) {
    // Most matrices have no new rows, so medians are taken only where the last rows look new.
    if !(groups[start..].last()).is_some_and(|last| share_of(last) > UNRELATED_ROWS) {
        return;
    }
    let usual_share = median(&groups[start..], share_of);
    if !(groups[start..].last()).is_some_and(|last| is_new(share_of(last), usual_share)) {
        return;
    }
    let usual_squares =
        [0, 1].map(|model| median(&groups[start..], |group| mean_squares(group)[model]));
    let is_new = |group: &GroupComparison| {
        let mut squares = mean_squares(group).into_iter().zip(usual_squares);
        is_new(share_of(group), usual_share)
            && squares.all(|(squares, usual)| squares <= LONGEST_NEW_ROWS * usual)
    };
    while groups.len() > start && groups.last().is_some_and(is_new) {
        groups.pop();
    }
}

/// The mean square of a group's values in either model.
fn mean_squares(group: &GroupComparison) -> [f64; 2] {
    let values = group.values.max(1) as f64;
    [group.first_squared_norm, group.second_squared_norm].map(|norm| norm / values)
}

/// The upper median over groups; 0 for no groups.
fn median(groups: &[GroupComparison], of: impl Fn(&GroupComparison) -> f64) -> f64 {
    let mut values = [0.0; RowGroups::MAXIMUM];
    let count = groups.len().min(values.len());
    for (value, group) in values.iter_mut().zip(groups) {
        *value = of(group);
    }
    let values = &mut values[..count];
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(count / 2, f64::total_cmp).1
}

/// A group's squared distance as a share of that between independent rows.
fn share_of(group: &GroupComparison) -> f64 {
    let norms = group.first_squared_norm + group.second_squared_norm;
    share(group.squared_distance, norms)
}

/// Whether a group's share exceeds the usual one by more than training explains, so that its rows must be new.
/// Shares of independent rows scatter around 1 by √(2/buckets).
fn is_new(share: f64, usual: f64) -> bool {
    share > UNRELATED_ROWS && share > MUCH * usual
}

/// Two weights count as independent if their distance is above this share of that between independent weights.
///
/// The limit is lower for matrices of different heights: if rows were added or removed, the other rows stay near.
pub(super) fn limit(u: &TensorSignature, v: &TensorSignature) -> f64 {
    if u.shape() == v.shape() {
        UNRELATED
    } else {
        UNRELATED_ROWS
    }
}

/// One weight of both models.
pub(super) struct Tensor {
    /// Its index among the tensors that both models have.
    pub(super) at: usize,
    pub(super) groups: Range<usize>,
    values: usize,
    /// ‖u − v‖² / (‖u‖² + ‖v‖²): near 1 for independent weights.
    share: f64,
    /// The greatest share of related weights.
    limit: f64,
}

impl Tensor {
    pub(super) fn new(
        at: usize,
        (u, v): (&TensorSignature, &TensorSignature),
        groups: &[GroupComparison],
        range: Range<usize>,
    ) -> Self {
        let (mut squared, mut norms, mut values) = (0.0, 0.0, 0);
        for group in &groups[range.clone()] {
            squared += group.squared_distance;
            norms += group.first_squared_norm + group.second_squared_norm;
            values += group.values;
        }
        Self {
            at,
            groups: range,
            values,
            share: share(squared, norms),
            limit: limit(u, v),
        }
    }

    /// The number of values compared.
    pub(super) const fn values(&self) -> usize {
        self.values
    }

    /// Whether the two versions differ as if half of their rows were independent, and much more than is usual for
    /// the pair.
    pub(super) fn has_independent_rows(&self, usual: f64) -> bool {
        is_new(self.share, usual)
    }

    /// Whether the two versions are as far apart as independent weights.
    pub(super) fn is_far(&self) -> bool {
        self.share > self.limit
    }

    /// Whether the weight was trained rather than reinitialised, given the usual share of the pair.
    pub(super) fn is_trained(&self, usual: f64) -> bool {
        !self.is_far() || self.share <= MUCH * usual
    }
}

/// The share of values in weights that are nearer to each other than independent ones; 0 if there are no values.
///
/// A head that was reinitialised for another task keeps its name and often its shape, but doesn't show how
/// far the other weights moved. So each weight is tested on its own.
pub(super) fn share_of_near<'a>(tensors: impl Iterator<Item = &'a Tensor> + Clone) -> f64 {
    let all: usize = tensors.clone().map(|tensor| tensor.values).sum();
    let near = tensors.filter(|tensor| !tensor.is_far());
    let near: usize = near.map(|tensor| tensor.values).sum();
    near as f64 / all.max(1) as f64
}

/// The median share, each weight counted by its number of values.
pub(super) fn usual_share(tensors: &[Tensor]) -> f64 {
    let mut shares: Vec<(f64, usize)> = (tensors.iter())
        .map(|tensor| (tensor.share, tensor.values))
        .collect();
    shares.sort_by(|first, second| first.0.total_cmp(&second.0));
    let half = tensors.iter().map(|tensor| tensor.values).sum::<usize>() / 2;
    let mut below = 0;
    let reaches_half = |&&(_, values): &&(f64, usize)| {
        below += values;
        below > half
    };
    shares
        .iter()
        .find(reaches_half)
        .map_or(0.0, |&(share, _)| share)
}

/// Which of two models comes first, judging by the numbers of rows of their corresponding weights: the one with fewer
/// rows, if all weights agree.
///
/// Rows are usually added, and new rows don't look like trained ones. If nothing else changed, and in several weights
/// the extra rows are as long as the others, they were more likely removed from the other model. In a single weight
/// that may happen by chance, and the order is unknown.
pub(super) fn order_of_rows<'a>(
    kept: impl Iterator<Item = (&'a TensorSignature, &'a TensorSignature)>,
    has_changed: bool,
) -> Ordering {
    let of_rows =
        |(u, v): (&TensorSignature, &TensorSignature)| u.shape().first().cmp(&v.shape().first());
    let different: Vec<_> = kept.filter(|&pair| of_rows(pair).is_ne()).collect();
    let mut orders = different.iter().map(|&pair| of_rows(pair));
    let first = orders.next().unwrap_or(Ordering::Equal);
    if !orders.all(|order| order == first) {
        return Ordering::Equal;
    }
    let are_alike = !has_changed && different.iter().all(|(u, v)| are_own_rows_alike(u, v));
    match different.len() {
        1 if are_alike => Ordering::Equal,
        _ if are_alike => first.reverse(),
        _ => first,
    }
}

/// Whether the extra rows of the longer of two weights are about as long as its other rows.
fn are_own_rows_alike(u: &TensorSignature, v: &TensorSignature) -> bool {
    const ALIKE: core::ops::RangeInclusive<f64> = 0.8..=1.25;
    let rows = |tensor: &TensorSignature| tensor.sketch().groups().rows();
    let (short, long) = if rows(u) < rows(v) { (u, v) } else { (v, u) };
    let groups = long.sketch().groups();
    let [mut shared, mut own] = [(0.0, 0_usize); 2];
    for (group, norm) in long.sketch().squared_norms().iter().enumerate() {
        let start = group * groups.height();
        let sums = if start >= rows(short) {
            &mut own
        } else if start + groups.height() <= rows(short) {
            &mut shared
        } else {
            continue;
        };
        sums.0 += norm;
        sums.1 += groups.values(group).len();
    }
    let mean = |(norms, values): (f64, usize)| norms / values as f64;
    ALIKE.contains(&(mean(own) / mean(shared)))
}
