//! Recognises edits, which change lengths for other reasons than training does, from sampled rows.

use alloc::vec::Vec;

use super::copies::by_storing;
use crate::signature::TensorSignature;
use crate::sketch::RowSample;

/// The squared share of a row that rounding to single precision may change, with room for sums.
const SINGLE: f64 = 1e-12;

/// How many times its expectation the sum of squared errors from storing may be.
const FURTHER: f64 = 2.0;

/// A difference is clear if it is at least so many times as large as the errors from storing may be.
const CLEAR: f64 = 10.0;

/// How many rows are compared before all of them are, since nearly all steps are of training.
const GLANCE: usize = 4;

/// A row of a sample.
type Row = [f64; RowSample::DIMENSIONS];

/// The rows of two samples.
type Rows<'a> = [&'a [[f32; RowSample::DIMENSIONS]]; 2];

/// Whether all matrices that differ, as far as their rows were sampled, differ by a matrix of rank one, or all of
/// them by the lengths of their rows.
///
/// A direction is removed from matrices to change what a model does, which leaves a shorter model whose difference to
/// the original is orthogonal to it, just as a step of training is to its start. Rows are rescaled where a
/// normalisation is folded into weights. In neither case do lengths tell which model was first.
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

/// Whether all rows moved in one direction, up to this share of their squares.
fn is_of_rank_one(rows: Rows<'_>, by_storing: f64) -> bool {
    let limit = by_storing * rows[0].iter().map(|row| squares(&wide(row))).sum::<f64>();
    let (steps, squared) = steps(rows);
    let longest = (steps.iter()).max_by(|a, b| squares(a).total_cmp(&squares(b)));
    let left = |longest: &Row| steps.iter().map(|row| beside(row, longest)).sum::<f64>();
    squared > CLEAR * limit && longest.is_some_and(|longest| left(longest) <= limit)
}

/// Whether all rows kept their directions, up to this share of their squares.
fn has_rescaled_rows(rows: Rows<'_>, by_storing: f64) -> bool {
    let [first, second] = rows.map(|rows| rows.iter().map(wide));
    let limit = by_storing * second.clone().map(|row| squares(&row)).sum::<f64>();
    let left = (second.zip(first)).map(|(row, original)| beside(&row, &original));
    steps(rows).1 > CLEAR * limit && left.sum::<f64>() <= limit
}

/// How far each row moved, and the sum of the squares. The unit of each sample is a power of two that isn't kept.
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

/// The square of what a row has beside its part along another one.
fn beside(row: &Row, other: &Row) -> f64 {
    let along = dot(row, other);
    let length = squares(other);
    if length > 0.0 {
        squares(row) - along * along / length
    } else {
        squares(row)
    }
}
