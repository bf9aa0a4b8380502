//! The change of one weight: a matrix to add, and factors to scale the result.

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

/// A matrix that may be held as a product.
#[derive(Clone, Debug)]
pub(super) enum Table {
    Whole(Matrix),
    Product(Matrix, Matrix),
}

impl Table {
    pub(super) const fn rows(&self) -> usize {
        match self {
            Self::Whole(matrix) | Self::Product(matrix, _) => matrix.rows,
        }
    }

    pub(super) const fn columns(&self) -> usize {
        match self {
            Self::Whole(matrix) | Self::Product(_, matrix) => matrix.columns,
        }
    }

    fn transposed(&self) -> Self {
        match self {
            Self::Whole(matrix) => Self::Whole(matrix.transposed()),
            Self::Product(left, right) => Self::Product(right.transposed(), left.transposed()),
        }
    }

    /// A row from a column on.
    fn row(&self, row: usize, column: usize, values: &mut [f64]) {
        values.fill(0.0);
        let add = |values: &mut [f64], matrix: &Matrix, row: usize, factor: f64| {
            let start = row * matrix.columns + column;
            let found = matrix.values.get(start..start + values.len());
            for (sum, &value) in values.iter_mut().zip(found.unwrap_or_default()) {
                *sum += factor * f64::from(value);
            }
        };
        match self {
            Self::Whole(matrix) => add(values, matrix, row, 1.0),
            Self::Product(left, right) => {
                let rank = left.columns;
                let factors = left.values.get(row * rank..(row + 1) * rank);
                for (step, &factor) in factors.unwrap_or_default().iter().enumerate() {
                    add(values, right, step, f64::from(factor));
                }
            }
        }
    }
}

/// A matrix to add to a weight.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// LoRA's product.
    Added(Table),
    /// LoHa's elementwise product.
    Hadamard(Table, Table),
    /// LoKr's Kronecker product: each value of the first is multiplied by all of the second.
    Kronecker(Table, Table),
}

impl Change {
    pub(super) const fn rows(&self) -> usize {
        match self {
            Self::Added(table) | Self::Hadamard(table, _) => table.rows(),
            Self::Kronecker(first, second) => first.rows().saturating_mul(second.rows()),
        }
    }

    pub(super) const fn columns(&self) -> usize {
        match self {
            Self::Added(table) | Self::Hadamard(table, _) => table.columns(),
            Self::Kronecker(first, second) => first.columns().saturating_mul(second.columns()),
        }
    }

    pub(super) fn transposed(&self) -> Self {
        match self {
            Self::Added(table) => Self::Added(table.transposed()),
            Self::Hadamard(first, second) => {
                Self::Hadamard(first.transposed(), second.transposed())
            }
            Self::Kronecker(first, second) => {
                Self::Kronecker(first.transposed(), second.transposed())
            }
        }
    }

    /// A row from a column on.
    fn row(&self, row: usize, column: usize, values: &mut [f64]) {
        match self {
            Self::Added(table) => table.row(row, column, values),
            Self::Hadamard(first, second) => {
                let mut factors = vec![0.0; values.len()];
                first.row(row, column, values);
                second.row(row, column, &mut factors);
                for (value, factor) in values.iter_mut().zip(factors) {
                    *value *= factor;
                }
            }
            Self::Kronecker(first, second) => {
                let (height, width) = (second.rows().max(1), second.columns().max(1));
                let mut factors = vec![0.0; first.columns()];
                let mut inner = vec![0.0; second.columns()];
                first.row(row / height, 0, &mut factors);
                second.row(row % height, 0, &mut inner);
                for (at, value) in (column..).zip(values) {
                    let (factor, inner) = (factors.get(at / width), inner.get(at % width));
                    *value = factor
                        .zip(inner)
                        .map_or(0.0, |(factor, inner)| factor * inner);
                }
            }
        }
    }
}

/// An update of a matrix with these dimensions: adds a multiple of the change and then scales rows or
/// columns.
#[derive(Clone, Debug)]
pub(super) struct Update {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) change: Option<Change>,
    pub(super) scale: f64,
    pub(super) factors: Factors,
}

/// The factors that scale the sum.
#[derive(Clone, Debug)]
pub(super) enum Factors {
    None,
    OfRows(Vec<f64>),
    OfColumns(Vec<f64>),
}

impl Update {
    /// Changes the values of the weight, starting at flat index `offset`.
    pub(super) fn apply<T: Scalar>(&self, offset: usize, values: &mut [T]) {
        let (width, mut at) = (self.columns, offset);
        if width == 0 {
            return;
        }
        let mut sums = vec![0.0; width.min(values.len())];
        let mut rest = values;
        while !rest.is_empty() {
            let (row, column) = (at / width, at % width);
            let (now, later) = rest.split_at_mut(rest.len().min(width - column));
            let sums = &mut sums[..now.len()];
            if let Some(change) = &self.change {
                change.row(row, column, sums);
            }
            for (step, (value, sum)) in now.iter_mut().zip(sums).enumerate() {
                let factor = match &self.factors {
                    Factors::None => 1.0,
                    Factors::OfRows(factors) => factors.get(row).copied().unwrap_or(1.0),
                    Factors::OfColumns(factors) => {
                        factors.get(column + step).copied().unwrap_or(1.0)
                    }
                };
                *value = T::narrow((value.widen() + self.scale * *sum) * factor);
            }
            at += now.len();
            rest = later;
        }
    }
}

/// The squared norms of a matrix's rows or columns, accumulated in chunks.
pub(super) struct SquaredLengths {
    width: usize,
    of_columns: bool,
    squares: Vec<f64>,
}

impl SquaredLengths {
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

    /// The factors that give each row or column its magnitude.
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
            rows: 3,
            columns: 4,
            change: Some(Change::Added(Table::Product(
                matrix(3, 2, &[1.0, 2.0, 0.0, 1.0, -1.0, 3.0]),
                matrix(2, 4, &[1.0, 2.0, 3.0, 4.0, 0.5, 0.0, -1.0, 1.0]),
            ))),
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

    fn matrix(rows: usize, columns: usize, values: &[f32]) -> Matrix {
        let values = values.to_vec();
        Matrix {
            rows,
            columns,
            values,
        }
    }

    /// All values of a change.
    fn all(change: &Change) -> Vec<f64> {
        let mut values = vec![0.0; change.rows() * change.columns()];
        for (row, values) in values.chunks_mut(change.columns()).enumerate() {
            change.row(row, 0, values);
        }
        values
    }

    #[test]
    fn other_changes_are_products_of_two_tables_in_their_ways() {
        let first = Table::Product(matrix(2, 1, &[1.0, 2.0]), matrix(1, 2, &[3.0, -1.0]));
        let second = Table::Whole(matrix(2, 2, &[0.5, 1.0, 2.0, 4.0]));
        let hadamard = Change::Hadamard(first.clone(), second.clone());
        assert_eq!(all(&hadamard), [1.5, -1.0, 12.0, -8.0]);
        let kronecker = Change::Kronecker(first, second);
        let expected = [
            [1.5, 3.0, -0.5, -1.0],
            [6.0, 12.0, -2.0, -4.0],
            [3.0, 6.0, -1.0, -2.0],
            [12.0, 24.0, -4.0, -8.0],
        ];
        assert_eq!(all(&kronecker), expected.concat());
        let mut part = [0.0; 2];
        kronecker.row(1, 1, &mut part);
        assert_eq!(part, [12.0, -2.0]);
        let transposed = all(&kronecker.transposed());
        let columns = (0..4).flat_map(|column| expected.map(|row| row[column]));
        assert!(columns.eq(transposed));
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
