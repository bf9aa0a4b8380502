//! The rank of a difference by the fastest method that leaves no doubt.

use num_traits::Float;

use super::decomposition::{Operand, cholesky, gram};
use super::solver::make_room;
use super::{MatrixView, Method, RankError, SingularValueSolver, Tolerance};
use crate::Scalar;

/// Smaller sums of squares may have lost digits.
const LEAST_SQUARES: f64 = 1e-200;

impl SingularValueSolver {
    /// The rank of `first` − `second` that the singular values give.
    ///
    /// # Errors
    ///
    /// Those of [`singular_values_of_difference`](Self::singular_values_of_difference), and
    /// [`RankError::InvalidTolerance`].
    pub(crate) fn rank_of_difference<T: Scalar>(
        &mut self,
        first: MatrixView<'_, T>,
        second: MatrixView<'_, T>,
        tolerance: Tolerance,
    ) -> Result<usize, RankError> {
        tolerance.validate()?;
        let shape = (first.rows(), first.columns());
        if shape == (second.rows(), second.columns()) {
            let values = first.values().iter().zip(second.values());
            let entries = values.map(|(first, second)| first.widen() - second.widen());
            self.load(entries, shape.1)?;
            if self.has_full_rank(shape, tolerance)? {
                return Ok(shape.0.min(shape.1));
            }
        }
        match self.solve_difference(first, second, &[Method::Gram]) {
            Ok(values) => {
                if let Some(rank) = values.certain_rank(tolerance) {
                    return Ok(rank);
                }
            }
            Err(RankError::NoConvergence { .. }) => {}
            Err(error) => return Err(error),
        }
        let values = self.singular_values_of_difference(first, second)?;
        Ok(values.rank(tolerance)?.value())
    }

    /// Whether all singular values of the loaded matrix A are certainly above the threshold τ: AAᵀ − τ² then has
    /// a Cholesky decomposition, which takes a tenth of the time of singular values. `false` decides nothing.
    fn has_full_rank(
        &mut self,
        (rows, columns): (usize, usize),
        tolerance: Tolerance,
    ) -> Result<bool, RankError> {
        let squares: f64 = self.matrix.iter().map(|entry| entry * entry).sum();
        let (size, rounding) = (rows.min(columns), rows.max(columns) as f64 * f64::EPSILON);
        // The sum of squares of the singular values is at least the square of the largest.
        let largest = Float::sqrt(squares);
        let threshold =
            tolerance.threshold_by_largest((rows, columns), largest, rounding * largest);
        let Some(threshold) = threshold else {
            return Ok(false);
        };
        // The product and its decomposition together are off by less than half of the second term.
        let shift = threshold * threshold + 4.0 * rounding * squares;
        if !(squares.is_finite() && squares > LEAST_SQUARES && size as f64 * shift < squares) {
            return Ok(false);
        }
        make_room(&mut self.gram, size * size)?;
        let matrix = Operand::new(&self.matrix, (rows, columns), columns);
        gram(
            &mut self.gram,
            if rows <= columns {
                matrix
            } else {
                matrix.transpose()
            },
        );
        for diagonal in self.gram.iter_mut().step_by(size + 1) {
            *diagonal -= shift;
        }
        cholesky(&mut self.gram, size, &mut self.scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix with these singular values: diagonal, but for rotations of neighbouring rows and columns.
    fn matrix(values: &[f64], rows: usize, columns: usize) -> alloc::vec::Vec<f64> {
        let mut matrix = alloc::vec![0.0; rows * columns];
        for (at, &value) in values.iter().enumerate() {
            matrix[at * columns + at] = value;
        }
        let (sine, cosine) = 0.7_f64.sin_cos();
        for row in 1..rows {
            for column in 0..columns {
                let (u, v) = (
                    matrix[(row - 1) * columns + column],
                    matrix[row * columns + column],
                );
                matrix[(row - 1) * columns + column] = cosine * u - sine * v;
                matrix[row * columns + column] = sine * u + cosine * v;
            }
        }
        for column in 1..columns {
            for row in 0..rows {
                let (u, v) = (
                    matrix[row * columns + column - 1],
                    matrix[row * columns + column],
                );
                matrix[row * columns + column - 1] = cosine * u - sine * v;
                matrix[row * columns + column] = sine * u + cosine * v;
            }
        }
        matrix
    }

    #[test]
    fn the_rank_is_that_of_the_singular_values() {
        let mut solver = SingularValueSolver::new();
        let all = [8.0, 4.0, 2.0, 1.0, 0.5, 1e-3];
        for (rows, columns) in [(6, 6), (6, 9), (9, 6)] {
            let zero = alloc::vec![0.0; rows * columns];
            for rank in 0..=6 {
                let own = matrix(&all[..rank], rows, columns);
                let view = MatrixView::new(&own, rows, columns).unwrap();
                let zero = MatrixView::new(&zero, rows, columns).unwrap();
                for (tolerance, expected) in [
                    (Tolerance::Absolute(1e-6), rank),
                    (Tolerance::Absolute(0.7), rank.min(4)),
                    (Tolerance::Absolute(9.0), 0),
                    (Tolerance::Relative(1e-2), rank.min(5)),
                    (Tolerance::RoundingNoise { deviation: 1e-6 }, rank),
                ] {
                    let found = solver.rank_of_difference(view, zero, tolerance);
                    assert_eq!(found, Ok(expected), "{rows} {columns} {rank} {tolerance}");
                    let is_full = solver
                        .load(own.iter().copied(), columns)
                        .and_then(|_| solver.has_full_rank((rows, columns), tolerance));
                    assert_eq!(
                        is_full,
                        Ok(expected == 6),
                        "{rows} {columns} {rank} {tolerance}"
                    );
                }
            }
        }
    }
}
