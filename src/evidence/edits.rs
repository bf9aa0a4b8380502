//! Recognises edits from sampled rows. Unlike training, they change the lengths of weights without showing a direction.

use alloc::vec::Vec;

use super::copies::by_storing;
use crate::signature::TensorSignature;
use crate::sketch::RowSample;

/// Rounding to single precision may change a row by this share of its square; sums of rounded values are included.
const SINGLE: f64 = 1e-12;

/// The sum of squared rounding errors from storing may be this many times its expected value.
const FURTHER: f64 = 2.0;

/// A difference counts only if its square is at least this many times what rounding errors may reach.
const CLEAR: f64 = 10.0;

/// This many rows are compared first, because nearly all models differ by training, which they already show.
const GLANCE: usize = 4;

/// A row of a sample.
type Row = [f64; RowSample::DIMENSIONS];

/// The rows of two samples.
type Rows<'a> = [&'a [[f32; RowSample::DIMENSIONS]]; 2];

/// Whether two models differ by an edit: either every matrix that differs does so by a matrix of rank one, or every one
/// only in the lengths of its rows. Matrices without sampled rows aren't tested.
///
/// Removing a direction from matrices, as is done to change what a model does, is an update of rank one. The edited
/// model is shorter, and its difference to the original is orthogonal to it, just as a step of training is orthogonal
/// to its starting point. Rows are rescaled when a normalisation is folded into weights. So the lengths of edited
/// models don't show which came first.
pub(super) fn are_edits<'a>(
    matched: impl Iterator<Item = (&'a TensorSignature, &'a TensorSignature)> + Clone,
) -> bool {
    let changed = matched.filter(|(u, v)| u.digest() != v.digest());
    let sampled = changed.filter_map(|(u, v)| {
        let by_storing = SINGLE + FURTHER * (by_storing(u) + by_storing(v));
        let rows = [u.rows()?, v.rows()?].map(|rows| rows.numbers().as_chunks().0);
        Some((rows, by_storing))
    });
    let all = |is_edit: fn(Rows<'_>, f64) -> bool| {
        let mut sampled = sampled.clone();
        sampled.all(|(rows, by_storing)| {
            let first = rows.map(|rows| rows.get(..GLANCE).unwrap_or(rows));
            is_edit(first, by_storing) && is_edit(rows, by_storing)
        })
    };
    sampled.clone().next().is_some() && (all(is_of_rank_one) || all(has_rescaled_rows))
}

/// Whether all rows moved along one direction. Rounding may add this share of their squares.
fn is_of_rank_one(rows: Rows<'_>, by_storing: f64) -> bool {
    let limit = by_storing * rows[0].iter().map(|row| squares(&wide(row))).sum::<f64>();
    let (steps, squared) = steps(rows);
    let longest = (steps.iter()).max_by(|a, b| squares(a).total_cmp(&squares(b)));
    let left = |longest: &Row| {
        steps
            .iter()
            .map(|row| perpendicular(row, longest))
            .sum::<f64>()
    };
    squared > CLEAR * limit && longest.is_some_and(|longest| left(longest) <= limit)
}

/// Whether all rows kept their directions. Rounding may add this share of their squares.
fn has_rescaled_rows(rows: Rows<'_>, by_storing: f64) -> bool {
    let [first, second] = rows.map(|rows| rows.iter().map(wide));
    let limit = by_storing * second.clone().map(|row| squares(&row)).sum::<f64>();
    let left = (second.zip(first)).map(|(row, original)| perpendicular(&row, &original));
    steps(rows).1 > CLEAR * limit && left.sum::<f64>() <= limit
}

/// How each row moved, and the sum of the squares. Each sample has its own unit, a power of two that isn't stored, so
/// the ratio of units that gives the smallest sum is taken.
fn steps([first, second]: Rows<'_>) -> (Vec<Row>, f64) {
    let in_unit = |unit: f64| {
        let pairs = first.iter().map(wide).zip(second.iter().map(wide));
        let step = |(u, v): (Row, Row)| core::array::from_fn(|at| unit * v[at] - u[at]);
        let steps: Vec<Row> = pairs.map(step).collect();
        let squared = steps.iter().map(squares).sum::<f64>();
        (steps, squared)
    };
    let steps = [0.5, 2.0].into_iter().map(in_unit);
    steps.fold(
        in_unit(1.0),
        |least, other| if other.1 < least.1 { other } else { least },
    )
}

fn wide(row: &[f32; RowSample::DIMENSIONS]) -> Row {
    row.map(f64::from)
}

fn dot(a: &Row, b: &Row) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn squares(row: &Row) -> f64 {
    dot(row, row)
}

/// The squared length of the part of a row that is perpendicular to another one.
fn perpendicular(row: &Row, other: &Row) -> f64 {
    let along = dot(row, other);
    let length = squares(other);
    if length > 0.0 {
        squares(row) - along * along / length
    } else {
        squares(row)
    }
}
