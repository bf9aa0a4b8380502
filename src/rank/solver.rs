//! Singular values of one matrix after another, in the same working memory.

use core::fmt;

use alloc::vec::Vec;

use super::decomposition::{Scratch, decompose};
use super::{MatrixView, Method, RankError, SingularValues};
use crate::Scalar;
use crate::powers::{biased_exponent, power_of_two};

/// The methods, in the order in which they are tried.
const METHODS: [Method; 2] = [Method::Svd, Method::Gram];

/// The allowed relative difference between the sum of the squared singular values and the sum of the squared
/// entries. Rounding stays a thousand times below this.
const NORM_TOLERANCE: f64 = 1e-9;

/// Finds the singular values of one matrix after another, reusing its working memory.
///
/// Memory grows to what the largest matrix so far needed, about three times that matrix in `f64`.
/// After that, a matrix of the same size allocates nothing.
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, SingularValueSolver};
///
/// let models = [[1.0_f32, 0.0, 0.0, 1.0], [2.0, 0.0, 0.0, 1.0], [2.0, 3.0, 0.0, 1.0]];
/// let mut solver = SingularValueSolver::new();
/// for pair in models.windows(2) {
///     let values = solver.singular_values_of_difference(
///         MatrixView::new(&pair[0], 2, 2)?,
///         MatrixView::new(&pair[1], 2, 2)?,
///     )?;
///     assert!(values.largest() >= 1.0);
/// }
/// # Ok::<(), mother::rank::RankError>(())
/// ```
#[derive(Clone)]
pub struct SingularValueSolver {
    /// The matrix of the current call, row after row, scaled.
    pub(super) matrix: Vec<f64>,
    /// The product of the matrix and its transpose, where only that is needed.
    pub(super) gram: Vec<f64>,
    pub(super) scratch: Scratch,
    found: SingularValues,
}

impl Default for SingularValueSolver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SingularValueSolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingularValueSolver")
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

impl SingularValueSolver {
    /// Creates a solver without any memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            matrix: Vec::new(),
            gram: Vec::new(),
            scratch: Vec::new(),
            found: SingularValues::none(),
        }
    }

    /// The singular values of `matrix`, largest first.
    ///
    /// There are none for an empty matrix, and all are zero for a matrix of zeros. Multiplying the matrix by
    /// a power of two multiplies them by exactly that power.
    ///
    /// # Errors
    ///
    /// [`RankError::NonFinite`] with the row and column of the first NaN or infinity;
    /// [`RankError::Overflow`] if entries near the largest `f64` make a singular value exceed
    /// it; [`RankError::OutOfMemory`]; [`RankError::NoConvergence`] if both the decomposition
    /// and the fallback fail.
    ///
    /// # Complexity
    ///
    /// O(m·n·min(m, n)) time.
    pub fn singular_values<T: Scalar>(
        &mut self,
        matrix: MatrixView<'_, T>,
    ) -> Result<&SingularValues, RankError> {
        let entries = matrix.values().iter().map(|value| value.widen());
        self.solve(
            entries,
            (matrix.rows(), matrix.columns()),
            &METHODS,
            decompose,
        )
    }

    /// The singular values of `first` − `second`, with the difference taken in `f64`.
    ///
    /// # Errors
    ///
    /// [`RankError::ShapesDiffer`], and those of [`singular_values`](Self::singular_values). Here
    /// [`RankError::NonFinite`] is about the difference, which is also infinite if two huge
    /// entries differ by more than `f64` can hold.
    ///
    /// # Complexity
    ///
    /// That of [`singular_values`](Self::singular_values).
    pub fn singular_values_of_difference<T: Scalar, U: Scalar>(
        &mut self,
        first: MatrixView<'_, T>,
        second: MatrixView<'_, U>,
    ) -> Result<&SingularValues, RankError> {
        self.solve_difference(first, second, &METHODS)
    }

    pub(super) fn solve_difference<T: Scalar, U: Scalar>(
        &mut self,
        first: MatrixView<'_, T>,
        second: MatrixView<'_, U>,
        methods: &[Method],
    ) -> Result<&SingularValues, RankError> {
        let shape = (first.rows(), first.columns());
        if shape != (second.rows(), second.columns()) {
            return Err(RankError::ShapesDiffer {
                first: shape,
                second: (second.rows(), second.columns()),
            });
        }
        let entries = first
            .values()
            .iter()
            .zip(second.values())
            .map(|(first, second)| first.widen() - second.widen());
        self.solve(entries, shape, methods, decompose)
    }

    /// The result of the last call; that of an empty matrix if it failed or there was none.
    #[must_use]
    pub fn into_singular_values(self) -> SingularValues {
        self.found
    }

    /// Scales the matrix, decomposes it by the first method that works, and scales back.
    ///
    /// `decompose` is a parameter so that tests can make methods fail.
    fn solve(
        &mut self,
        entries: impl ExactSizeIterator<Item = f64>,
        (rows, columns): (usize, usize),
        methods: &[Method],
        decompose: impl Fn(
            Method,
            &[f64],
            (usize, usize),
            &mut [f64],
            &mut Scratch,
        ) -> Result<(), RankError>,
    ) -> Result<&SingularValues, RankError> {
        let mut values = core::mem::replace(&mut self.found, SingularValues::none()).into_values();
        let largest = self.load(entries, columns)?;
        let smaller = rows.min(columns);
        values.clear();
        reserve(&mut values, smaller)?;
        values.resize(smaller, 0.0);
        let mut used = Method::Svd;
        // Otherwise the matrix is empty or all zeros, and all values are zero.
        if largest > 0.0 {
            let exponent = scaling_exponent(largest);
            let scale = power_of_two(-exponent);
            // Row by row, so that rounding doesn't add up over all entries.
            let squares = self
                .matrix
                .chunks_mut(columns)
                .map(|row| scale_row(row, scale))
                .sum();
            used = first_success(methods, |method| {
                decompose(
                    method,
                    &self.matrix,
                    (rows, columns),
                    &mut values,
                    &mut self.scratch,
                )?;
                if is_plausible(&values, squares) {
                    Ok(())
                } else {
                    Err(RankError::NoConvergence { rows, columns })
                }
            })?;
            let scale = power_of_two(exponent);
            for value in &mut values {
                *value = value.abs() * scale;
            }
            if values.iter().any(|value| value.is_infinite()) {
                return Err(RankError::Overflow);
            }
        }
        self.found = SingularValues::from_unsorted(values, rows, columns, used);
        Ok(&self.found)
    }

    /// Stores the entries and returns their largest magnitude, or 0 if there are none.
    pub(super) fn load(
        &mut self,
        entries: impl ExactSizeIterator<Item = f64>,
        columns: usize,
    ) -> Result<f64, RankError> {
        self.matrix.clear();
        reserve(&mut self.matrix, entries.len())?;
        self.matrix.extend(entries);
        let mut largest = 0.0_f64;
        let mut finite = true;
        for entry in &self.matrix {
            finite &= entry.is_finite();
            largest = largest.max(entry.abs());
        }
        if finite {
            return Ok(largest);
        }
        let at_fault = self.matrix.iter().enumerate().find(|(_, v)| !v.is_finite());
        let (index, &value) = at_fault.unwrap_or((0, &f64::NAN));
        Err(RankError::NonFinite {
            row: index / columns.max(1),
            column: index % columns.max(1),
            value,
        })
    }
}

/// Reserves room for `additional` more values.
pub(super) fn reserve<T>(values: &mut Vec<T>, additional: usize) -> Result<(), RankError> {
    values
        .try_reserve_exact(additional)
        .map_err(|_| RankError::OutOfMemory {
            bytes: additional.saturating_mul(size_of::<T>()),
        })
}

/// Resizes the vector to `count` values, all of which are to be overwritten.
pub(super) fn make_room(values: &mut Vec<f64>, count: usize) -> Result<(), RankError> {
    reserve(values, count.saturating_sub(values.len()))?;
    values.resize(count, 0.0);
    Ok(())
}

/// Multiplies a row by `scale` and returns the sum of its squares.
fn scale_row(row: &mut [f64], scale: f64) -> f64 {
    let mut squares = 0.0;
    for entry in row {
        *entry *= scale;
        squares += *entry * *entry;
    }
    squares
}

/// The exponent of the power of two by which to divide, so that the largest entry is near 1.
///
/// The result is limited so that both the power and its inverse are normal numbers.
fn scaling_exponent(largest: f64) -> i32 {
    (biased_exponent(largest).cast_signed() - 1023).clamp(-1000, 1000)
}

/// The first method for which `attempt` doesn't fail with [`RankError::NoConvergence`].
fn first_success(
    methods: &[Method],
    mut attempt: impl FnMut(Method) -> Result<(), RankError>,
) -> Result<Method, RankError> {
    let mut last = Ok(Method::Svd);
    for &method in methods {
        last = attempt(method).map(|()| method);
        if !matches!(last, Err(RankError::NoConvergence { .. })) {
            break;
        }
    }
    last
}

/// Whether `values` can be the singular values of entries with this sum of squares: their own must equal it.
fn is_plausible(values: &[f64], squares: f64) -> bool {
    let sum: f64 = values.iter().map(|value| value * value).sum();
    (sum - squares).abs() <= NORM_TOLERANCE * squares
}

#[cfg(test)]
mod tests {
    use super::super::Tolerance;
    use super::*;
    use crate::weights::ElementType;

    /// A 6×4 matrix with the singular values 8, 4, 2 and 0: scaled columns of a Hadamard matrix, as rows.
    const MATRIX: [f64; 24] = [
        2.0, 2.0, 2.0, 2.0, //
        -4.0, 4.0, -4.0, 4.0, //
        0.0, 0.0, 0.0, 0.0, //
        1.0, 1.0, -1.0, -1.0, //
        0.0, 0.0, 0.0, 0.0, //
        0.0, 0.0, 0.0, 0.0,
    ];
    const EXPECTED: [f64; 4] = [8.0, 4.0, 2.0, 0.0];

    /// Solves with some methods made to fail.
    fn solve_without(
        failing: &[Method],
        matrix: &[f64],
        shape: (usize, usize),
    ) -> Result<SingularValues, RankError> {
        let mut solver = SingularValueSolver::new();
        solver
            .solve(
                matrix.iter().copied(),
                shape,
                &METHODS,
                |method, matrix, shape, values, scratch| {
                    if failing.contains(&method) {
                        // A failed attempt may leave arbitrary values behind.
                        values.fill(f64::NAN);
                        let (rows, columns) = shape;
                        return Err(RankError::NoConvergence { rows, columns });
                    }
                    decompose(method, matrix, shape, values, scratch)
                },
            )
            .cloned()
    }

    fn transposed() -> Vec<f64> {
        (0..24)
            .map(|index| MATRIX[4 * (index % 6) + index / 6])
            .collect()
    }

    fn assert_within(found: &SingularValues, expected: &[f64], tolerance: f64) {
        for (value, expected) in found.values().iter().zip(expected) {
            assert!((value - expected).abs() <= tolerance, "{found:?}");
        }
        assert_eq!(found.values().len(), expected.len());
    }

    #[test]
    fn the_decomposition_is_used_where_it_converges() {
        let found = solve_without(&[], &MATRIX, (6, 4)).unwrap();
        assert_eq!(found.method(), Method::Svd);
        assert_within(&found, &EXPECTED, 1e-14);
    }

    #[test]
    fn gram_answers_when_the_decomposition_fails() {
        for (matrix, shape) in [(MATRIX.to_vec(), (6, 4)), (transposed(), (4, 6))] {
            let found = solve_without(&[Method::Svd], &matrix, shape).unwrap();
            assert_eq!(found.method(), Method::Gram);
            assert_within(&found, &EXPECTED, found.resolution());
            assert_within(&found, &EXPECTED[..], 1e-6);
            let rank = found.rank(Tolerance::numpy(ElementType::F32)).unwrap();
            assert_eq!((rank.value(), rank.method()), (3, Method::Gram));
        }
    }

    #[test]
    fn all_methods_agree_on_larger_matrices() {
        let mut state = 9_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) % 201) as f64 - 100.0
        };
        for (rows, columns, inner) in [(40, 25, 7), (25, 40, 7), (30, 30, 30), (70, 1, 1)] {
            let left: Vec<f64> = (0..rows * inner).map(|_| random()).collect();
            let right: Vec<f64> = (0..inner * columns).map(|_| random()).collect();
            let matrix: Vec<f64> = (0..rows * columns)
                .map(|at| {
                    (0..inner)
                        .map(|k| left[at / columns * inner + k] * right[k * columns + at % columns])
                        .sum()
                })
                .collect();
            let solve = |failing: &[Method]| solve_without(failing, &matrix, (rows, columns));
            let (svd, gram) = (solve(&[]).unwrap(), solve(&[Method::Svd]).unwrap());
            assert_within(&gram, svd.values(), gram.resolution());
            for found in [svd, gram] {
                let rank = found.rank(Tolerance::numpy(ElementType::F32)).unwrap();
                assert_eq!(rank.value(), inner, "{}", rank.method());
            }
        }
    }

    #[test]
    fn failure_of_all_is_an_error_and_not_a_panic() {
        let expected = RankError::NoConvergence {
            rows: 6,
            columns: 4,
        };
        assert_eq!(solve_without(&METHODS, &MATRIX, (6, 4)), Err(expected));
    }

    #[test]
    fn impossible_values_are_rejected() {
        for wrong in [f64::NAN, f64::INFINITY, 0.0, 8.1] {
            let mut solver = SingularValueSolver::new();
            let found = solver
                .solve(
                    MATRIX.iter().copied(),
                    (6, 4),
                    &METHODS,
                    |method, matrix, shape, values, scratch| {
                        decompose(method, matrix, shape, values, scratch)?;
                        if method == Method::Svd {
                            values.fill(wrong);
                        }
                        Ok(())
                    },
                )
                .unwrap();
            assert_eq!(found.method(), Method::Gram);
        }
    }

    #[test]
    fn lack_of_memory_ends_the_search() {
        let mut solver = SingularValueSolver::new();
        let error = RankError::OutOfMemory { bytes: 7 };
        let outcome = solver.solve(
            MATRIX.iter().copied(),
            (6, 4),
            &METHODS,
            |method, _, _, _, _| {
                assert_eq!(method, Method::Svd);
                Err(error.clone())
            },
        );
        assert_eq!(outcome, Err(error.clone()));
    }

    #[test]
    fn the_second_matrix_of_a_size_needs_no_memory() {
        let mut solver = SingularValueSolver::new();
        let view = MatrixView::new(&MATRIX, 6, 4).unwrap();
        let addresses = |solver: &SingularValueSolver| {
            (
                solver.matrix.as_ptr(),
                solver.scratch.as_ptr(),
                solver.found.values().as_ptr(),
            )
        };
        solver.singular_values(view).unwrap();
        let first = addresses(&solver);
        solver.singular_values(view).unwrap();
        assert_eq!(addresses(&solver), first);
        assert_eq!(solver.scratch.len(), solver.scratch.capacity());
    }

    #[test]
    fn scaling_stays_in_the_normal_range() {
        for (largest, exponent) in [
            (1.0, 0),
            (1.99, 0),
            (2.0, 1),
            (0.3, -2),
            (f64::MAX, 1000),
            (f64::MIN_POSITIVE, -1000),
            (5e-324, -1000),
        ] {
            assert_eq!(scaling_exponent(largest), exponent, "{largest}");
        }
    }
}
