//! The change of one weight: a product of two factors, and for DoRA the length of each output.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use crate::Scalar;

/// A matrix in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<f32>,
}

impl Matrix {
    pub(super) fn transposed(&self) -> Self {
        let values = (0..self.columns).flat_map(|column| {
            (0..self.rows).map(move |row| self.values[row * self.columns + column])
        });
        Self {
            rows: self.columns,
            columns: self.rows,
            values: values.collect(),
        }
    }
}

/// What is added to a matrix, and by what its rows or columns are multiplied afterwards.
#[derive(Clone, Debug)]
pub(super) struct Update {
    /// The factors: of as many rows as the weight, and of as many columns.
    pub(super) left: Matrix,
    pub(super) right: Matrix,
    pub(super) scale: f64,
    pub(super) factors: Factors,
}

/// By what the sum is multiplied.
#[derive(Clone, Debug)]
pub(super) enum Factors {
    None,
    OfRows(Vec<f64>),
    OfColumns(Vec<f64>),
}

impl Update {
    /// Changes the values of the weight from flat index `offset` on.
    pub(super) fn apply<T: Scalar>(&self, offset: usize, values: &mut [T]) {
        let (width, mut at) = (self.right.columns, offset);
        if width == 0 {
            return;
        }
        let mut sums = vec![0.0; width.min(values.len())];
        let mut rest = values;
        while !rest.is_empty() {
            let (row, column) = (at / width, at % width);
            let (now, later) = rest.split_at_mut(rest.len().min(width - column));
            let sums = &mut sums[..now.len()];
            self.add_row(row, column, sums);
            for (step, (value, sum)) in now.iter_mut().zip(sums).enumerate() {
                let factor = match &self.factors {
                    Factors::None => 1.0,
                    Factors::OfRows(factors) => factors.get(row).copied().unwrap_or(1.0),
                    Factors::OfColumns(factors) => {
                        factors.get(column + step).copied().unwrap_or(1.0)
                    }
                };
                *value = T::narrow((value.widen() + *sum) * factor);
            }
            at += now.len();
            rest = later;
        }
    }

    /// A row of the product from a column on.
    fn add_row(&self, row: usize, column: usize, sums: &mut [f64]) {
        sums.fill(0.0);
        let (rank, width) = (self.left.columns, self.right.columns);
        let left = self.left.values.get(row * rank..(row + 1) * rank);
        for (step, &left) in left.unwrap_or_default().iter().enumerate() {
            let left = self.scale * f64::from(left);
            let start = step * width + column;
            let right = self.right.values.get(start..start + sums.len());
            for (sum, &right) in sums.iter_mut().zip(right.unwrap_or_default()) {
                *sum += left * f64::from(right);
            }
        }
    }
}

/// The squared lengths of a matrix's rows or columns, which come in chunks.
pub(super) struct Lengths {
    width: usize,
    of_columns: bool,
    squares: Vec<f64>,
}

impl Lengths {
    pub(super) fn new(rows: usize, width: usize, of_columns: bool) -> Self {
        Self {
            width,
            of_columns,
            squares: vec![0.0; if of_columns { width } else { rows }],
        }
    }

    pub(super) fn add(&mut self, offset: usize, values: &[f64]) {
        for (index, value) in (offset..).zip(values) {
            let at = if self.of_columns {
                index % self.width
            } else {
                index / self.width
            };
            if let Some(square) = self.squares.get_mut(at) {
                *square += value * value;
            }
        }
    }

    /// By what each row or column is multiplied to have its magnitude.
    pub(super) fn factors(self, magnitudes: &[f32]) -> Factors {
        let factors = (self.squares.iter().zip(magnitudes)).map(|(&square, &magnitude)| {
            if square > 0.0 {
                f64::from(magnitude) / Float::sqrt(square)
            } else {
                1.0
            }
        });
        let factors = factors.collect();
        if self.of_columns {
            Factors::OfColumns(factors)
        } else {
            Factors::OfRows(factors)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_chunk_is_changed_as_the_whole_is() {
        let matrix = |rows, columns, values: &[f32]| Matrix {
            rows,
            columns,
            values: values.to_vec(),
        };
        let update = Update {
            left: matrix(3, 2, &[1.0, 2.0, 0.0, 1.0, -1.0, 3.0]),
            right: matrix(2, 4, &[1.0, 2.0, 3.0, 4.0, 0.5, 0.0, -1.0, 1.0]),
            scale: 2.0,
            factors: Factors::OfColumns(vec![1.0, 1.0, 1.0, 0.5]),
        };
        let base: Vec<f64> = (0..12).map(f64::from).collect();
        let mut whole = base.clone();
        update.apply(0, &mut whole);
        // 0 + 2 (1·1 + 2·0.5) and (3 + 2 (1·4 + 2·1)) / 2.
        assert_eq!((whole[0], whole[3]), (4.0, 7.5));
        for start in 0..12 {
            for end in start..=12 {
                let mut part = base[start..end].to_vec();
                update.apply(start, &mut part);
                assert_eq!(part, whole[start..end]);
            }
        }
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        let matrix = Matrix {
            rows: 2,
            columns: 3,
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        };
        assert_eq!(matrix.transposed().values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(matrix.transposed().transposed(), matrix);
    }
}
