//! Single rows projected to a few random dimensions, so that rows of two matrices can be matched.

use alloc::vec;
use alloc::vec::Vec;

use super::matrix::in_units;
use super::{RowGroups, SketchError, SketchKey};
use crate::Scalar;

/// How many rows are kept.
const ROWS: usize = 32;

/// The number of dimensions kept per row.
const DIMENSIONS: usize = 16;

/// A sample of rows of a matrix, each projected to signed sums of its values in 16 buckets.
///
/// Unlike in a [`MatrixSketch`](super::MatrixSketch), signs and buckets depend on the column alone. So the
/// cosine of any two rows can be estimated, from one matrix or from two of equal width. The rows are the
/// first 32 at multiples of half the height of a group, or the first 32 rows if groups are single rows. They
/// don't change when a few rows are added at the end. Numbers are in units of a power of two chosen by the
/// largest one, so no weights are too large or too small.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSample {
    numbers: Vec<f32>,
}

impl RowSample {
    /// The number of dimensions of a row.
    pub const DIMENSIONS: usize = DIMENSIONS;

    /// The number of rows.
    pub const ROWS: usize = ROWS;

    /// All numbers, row by row.
    #[must_use]
    pub fn numbers(&self) -> &[f32] {
        &self.numbers
    }

    /// Creates a sample from its numbers, as returned by [`numbers`](Self::numbers).
    ///
    /// # Errors
    ///
    /// [`SketchError::Numbers`] unless there are 16 numbers for each of 32 rows, none above 2 in magnitude.
    pub fn from_numbers(numbers: Vec<f32>) -> Result<Self, SketchError> {
        if numbers.len() == ROWS * DIMENSIONS && numbers.iter().all(|number| number.abs() <= 2.0) {
            Ok(Self { numbers })
        } else {
            Err(SketchError::Numbers)
        }
    }

    /// The rows, each in 16 dimensions.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32; DIMENSIONS]> {
        self.numbers.as_chunks().0.iter()
    }
}

/// Samples the rows of a matrix, whose values are added in pieces.
#[derive(Clone, Debug)]
pub(crate) struct RowSampler {
    width: usize,
    stride: usize,
    key: SketchKey,
    position: usize,
    sums: Vec<f64>,
}

impl RowSampler {
    /// Whether a matrix has enough rows for a sample.
    pub(crate) fn has_enough(groups: RowGroups) -> bool {
        groups.rows() >= ROWS
    }

    pub(crate) fn new(groups: RowGroups, key: SketchKey) -> Self {
        Self {
            width: groups.width(),
            stride: (groups.height() / 2).max(1),
            key,
            position: 0,
            sums: vec![0.0; ROWS * DIMENSIONS],
        }
    }

    pub(crate) fn extend<T: Scalar>(&mut self, mut values: &[T]) {
        let hash = self.key.columns();
        while !values.is_empty() {
            let (row, column) = (self.position / self.width, self.position % self.width);
            let (now, later) = values.split_at(values.len().min(self.width - column));
            let place = row / self.stride;
            if place >= ROWS {
                return;
            }
            if row.is_multiple_of(self.stride) {
                let sums = &mut self.sums[place * DIMENSIONS..(place + 1) * DIMENSIONS];
                for (column, value) in (column..).zip(now) {
                    let minus = hash.signs(column / 64) >> (column % 64) & 1 == 1;
                    let value = value.widen();
                    sums[column % DIMENSIONS] += if minus { -value } else { value };
                }
            }
            self.position += now.len();
            values = later;
        }
    }

    pub(crate) fn finish(self) -> RowSample {
        let (numbers, _) = in_units(&self.sums);
        RowSample { numbers }
    }
}
