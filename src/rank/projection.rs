//! Small random projections of matrices, from which the rank of a difference can be told.

use alloc::vec::Vec;
use core::fmt;

use num_traits::Float;

use super::decomposition::{Operand, add_product};
use super::solver::reserve;
use super::{MatrixView, RankError};
use crate::Scalar;

/// So many rows of a matrix are widened to `f64` at once.
const BLOCK: usize = 128;

/// A projection of matrices of one shape to small square matrices, W ↦ S·W·R.
///
/// S and R are Gaussian matrices whose seed is the shape: every projection of one shape is the
/// same, but for its size, and a smaller one is the first rows and columns of a larger one.
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, RandomProjection, SketchSolver, Tolerance};
///
/// // Multiplication tables: the second has 3 more in every entry.
/// let first: Vec<f64> = (0..300 * 200).map(|i| ((i / 200) * (i % 200)) as f64).collect();
/// let second: Vec<f64> = first.iter().map(|value| value + 3.0).collect();
/// let projection = RandomProjection::new(300, 200, 96)?;
/// let first = projection.sketch(MatrixView::new(&first, 300, 200)?)?;
/// let second = projection.sketch(MatrixView::new(&second, 300, 200)?)?;
/// let rank = SketchSolver::new().rank_of_difference(&first, &second, Tolerance::Relative(1e-5))?;
/// assert_eq!(rank, Some(1));
/// # Ok::<(), mother::rank::RankError>(())
/// ```
#[derive(Clone)]
pub struct RandomProjection {
    shape: (usize, usize),
    size: usize,
    /// S, row after row.
    left: Vec<f64>,
    /// The transpose of R, row after row.
    right: Vec<f64>,
}

impl fmt::Debug for RandomProjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RandomProjection")
            .field("shape", &self.shape)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl RandomProjection {
    /// The projection of matrices with `rows` and `columns` to square matrices of `size`.
    ///
    /// Of the rows and columns of a sketch 64 check what the others tell: ranks up to about two thirds
    /// of `size` − 64 can be told. Beyond half of the shorter side singular values are quicker.
    ///
    /// # Errors
    ///
    /// [`RankError::OutOfMemory`].
    ///
    /// # Complexity
    ///
    /// O((rows + columns)·size) time and space.
    pub fn new(rows: usize, columns: usize, size: usize) -> Result<Self, RankError> {
        let seed = (rows as u64).rotate_left(32) ^ (columns as u64);
        Ok(Self {
            shape: (rows, columns),
            size,
            left: gaussian(seed, rows, size)?,
            right: gaussian(!seed, columns, size)?,
        })
    }

    /// The rows and columns of sketches.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Projects `matrix`.
    ///
    /// # Errors
    ///
    /// [`RankError::ShapesDiffer`] when it hasn't the shape of the projection's matrices;
    /// [`RankError::NonFinite`] naming the first row and column of NaN or an infinity;
    /// [`RankError::OutOfMemory`].
    ///
    /// # Complexity
    ///
    /// O(m·n·size) time for m rows of n values; the sketch, and 128 rows in `f64`, of extra space.
    pub fn sketch<T: Scalar>(&self, matrix: MatrixView<'_, T>) -> Result<Sketch, RankError> {
        let (rows, columns) = (matrix.rows(), matrix.columns());
        if (rows, columns) != self.shape {
            return Err(RankError::ShapesDiffer {
                first: self.shape,
                second: (rows, columns),
            });
        }
        let size = self.size;
        let mut values = zeros(size.saturating_mul(size))?;
        let mut block = zeros(rows.min(BLOCK) * columns)?;
        let mut projected = zeros(rows.min(BLOCK).saturating_mul(size))?;
        let mut squares = 0.0;
        if columns > 0 && size > 0 {
            for (index, some) in matrix.values().chunks(BLOCK * columns).enumerate() {
                let (first, count) = (index * BLOCK, some.len() / columns);
                let block = &mut block[..some.len()];
                squares += widen_into(block, some, first, columns)?;
                let projected = &mut projected[..count * size];
                projected.fill(0.0);
                let block = Operand::new(block, (count, columns), columns);
                let right = Operand::new(&self.right, (size, columns), columns);
                add_product(projected, block, right.transpose());
                let left = Operand::new(&self.left[first..], (size, count), rows);
                add_product(
                    &mut values,
                    left,
                    Operand::new(projected, (count, size), size),
                );
            }
        }
        Ok(Sketch {
            shape: self.shape,
            size,
            values,
            norm: Float::sqrt(squares),
        })
    }
}

/// Widens values, and returns the sum of their squares.
fn widen_into<T: Scalar>(
    widened: &mut [f64],
    values: &[T],
    first_row: usize,
    columns: usize,
) -> Result<f64, RankError> {
    let mut squares = 0.0;
    for (row, (widened, values)) in widened
        .chunks_exact_mut(columns)
        .zip(values.chunks_exact(columns))
        .enumerate()
    {
        for (to, from) in widened.iter_mut().zip(values) {
            *to = from.widen();
        }
        let of_row = sum_of_squares(widened);
        squares += of_row;
        // Finite values may have squares that aren't.
        let mut entries = widened.iter().enumerate();
        let at_fault = (!of_row.is_finite())
            .then(|| entries.find(|(_, value)| !value.is_finite()))
            .flatten();
        if let Some((column, &value)) = at_fault {
            return Err(RankError::NonFinite {
                row: first_row + row,
                column,
                value,
            });
        }
    }
    Ok(squares)
}

fn zeros(count: usize) -> Result<Vec<f64>, RankError> {
    let mut values = Vec::new();
    reserve(&mut values, count)?;
    values.resize(count, 0.0);
    Ok(values)
}

/// In eight sums, which compilers make quick.
pub(super) fn sum_of_squares(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| value * value).sum::<f64>()
}

/// So many rows of independent normal values of mean 0 and variance 1.
fn gaussian(seed: u64, columns: usize, rows: usize) -> Result<Vec<f64>, RankError> {
    let count = rows.saturating_mul(columns);
    let mut values = Vec::new();
    // Values come in pairs.
    reserve(&mut values, count.saturating_add(1))?;
    let mut state = seed;
    // Steele, Lea, Flood (2014): SplitMix64. In (0, 1), so that it has a logarithm.
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    while values.len() < count {
        // Box and Muller (1958).
        let radius = Float::sqrt(-2.0 * Float::ln(uniform()));
        let (sine, cosine) = Float::sin_cos(core::f64::consts::TAU * uniform());
        values.push(radius * cosine);
        values.push(radius * sine);
    }
    values.truncate(count);
    Ok(values)
}

/// A matrix as a [`RandomProjection`] sees it: a small square matrix.
///
/// The sketch of a difference is the difference of the sketches.
#[derive(Clone, PartialEq)]
pub struct Sketch {
    /// Of the matrix: rows and columns.
    pub(super) shape: (usize, usize),
    pub(super) size: usize,
    /// Row after row.
    pub(super) values: Vec<f64>,
    /// The Frobenius norm of the matrix.
    pub(super) norm: f64,
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sketch")
            .field("shape", &self.shape)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Sketch {
    /// The number of rows, and of columns, of the sketch.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// How far, in the Frobenius norm, a sketch of the difference may be from what exact arithmetic
    /// gives.
    ///
    /// Sums of n terms of random signs are within a few √n·2⁻⁵³ of their size (Higham and Mary 2019);
    /// this is 16 times that.
    pub(super) fn rounding_of_difference(&self, other: &Self, size: usize) -> f64 {
        let sums = Float::sqrt(self.shape.0 as f64) + Float::sqrt(self.shape.1 as f64);
        8.0 * f64::EPSILON * sums * size as f64 * (self.norm + other.norm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRIX: [f64; 6] = [1.0, -2.0, 0.5, 4.0, 0.0, -3.0];

    fn sketch(size: usize, matrix: &[f64]) -> Sketch {
        let projection = RandomProjection::new(2, 3, size).unwrap();
        let matrix = MatrixView::new(matrix, 2, 3).unwrap();
        projection.sketch(matrix).unwrap()
    }

    /// The definition, entry by entry.
    #[test]
    fn a_sketch_is_the_product_with_both_sides() {
        let projection = RandomProjection::new(2, 3, 4).unwrap();
        let found = sketch(4, &MATRIX);
        for (index, value) in found.values.iter().enumerate() {
            let (row, column) = (index / 4, index % 4);
            let entry = |i: usize, j: usize| {
                projection.left[row * 2 + i] * MATRIX[i * 3 + j] * projection.right[column * 3 + j]
            };
            let sum: f64 = (0..6).map(|at| entry(at / 3, at % 3)).sum();
            assert!((value - sum).abs() < 1e-13, "{value} is not {sum}");
        }
        assert_eq!(found.norm, 30.25_f64.sqrt());
    }

    /// More rows than are widened at once.
    #[test]
    fn blocks_add_up() {
        let rows = 2 * BLOCK + 3;
        let projection = RandomProjection::new(rows, 1, 2).unwrap();
        let ones = alloc::vec![1.0_f32; rows];
        let found = projection.sketch(MatrixView::new(&ones, rows, 1).unwrap());
        let found = found.unwrap();
        for (row, of_row) in projection.left.chunks_exact(rows).enumerate() {
            let sum: f64 = of_row.iter().sum();
            let expected = [sum * projection.right[0], sum * projection.right[1]];
            for (value, expected) in found.values[2 * row..].iter().zip(expected) {
                assert!(
                    (value - expected).abs() < 1e-12,
                    "{value} is not {expected}"
                );
            }
        }
        assert!((found.norm - (rows as f64).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_smaller_sketch_is_a_part_of_a_larger_one() {
        let (small, large) = (sketch(2, &MATRIX), sketch(5, &MATRIX));
        for (row, of_row) in small.values.chunks_exact(2).enumerate() {
            for (value, larger) in of_row.iter().zip(&large.values[row * 5..]) {
                assert!((value - larger).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn normal_values_have_the_moments_of_the_normal_distribution() {
        let values = gaussian(7, 100, 1000).unwrap();
        let moment = |power| values.iter().map(|v| v.powi(power)).sum::<f64>() / 1e5;
        // Five standard deviations of these means: √((2k − 1)!!/10⁵) at most for the k-th moment.
        assert!(moment(1).abs() < 0.016);
        assert!((moment(2) - 1.0).abs() < 0.023);
        assert!(moment(3).abs() < 0.062);
        assert!((moment(4) - 3.0).abs() < 0.16);
        assert_ne!(values, gaussian(8, 100, 1000).unwrap());
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let projection = RandomProjection::new(2, 3, 4).unwrap();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut matrix = MATRIX;
            matrix[4] = value;
            let found = projection.sketch(MatrixView::new(&matrix, 2, 3).unwrap());
            let Err(RankError::NonFinite {
                row: 1,
                column: 1,
                value: named,
            }) = found
            else {
                panic!("{found:?}");
            };
            assert_eq!(named.to_bits(), value.to_bits());
        }
        // Finite, though its square isn't.
        assert_eq!(sketch(4, &[1e200; 6]).norm, f64::INFINITY);
    }

    #[test]
    fn nothing_has_an_empty_sketch() {
        assert!(sketch(0, &MATRIX).values.is_empty());
        for (rows, columns) in [(0, 3), (3, 0), (0, 0)] {
            let projection = RandomProjection::new(rows, columns, 4).unwrap();
            let empty: [f32; 0] = [];
            let found = projection.sketch(MatrixView::new(&empty, rows, columns).unwrap());
            assert_eq!(found.unwrap().values, [0.0; 16]);
        }
    }

    #[test]
    fn matrices_of_another_shape_are_refused() {
        let projection = RandomProjection::new(3, 2, 4).unwrap();
        let found = projection.sketch(MatrixView::new(&MATRIX, 2, 3).unwrap());
        let differ = RankError::ShapesDiffer {
            first: (3, 2),
            second: (2, 3),
        };
        assert_eq!(found, Err(differ));
    }

    #[test]
    fn what_does_not_fit_into_memory_is_an_error() {
        for (rows, size) in [(1, usize::MAX), (usize::MAX, 2), (1 << 40, 1 << 10)] {
            let found = RandomProjection::new(rows, 1, size);
            assert!(matches!(found, Err(RankError::OutOfMemory { .. })));
        }
    }
}
