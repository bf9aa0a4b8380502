//! Small random projections of matrices, from which the rank of a difference can be told.

use alloc::vec::Vec;
use core::fmt;

use num_traits::Float;

use super::decomposition::{Operand, add_product};
use super::hadamard::{HadamardRows, LANES};
use super::random::SplitMix;
use super::solver::reserve;
use super::{MatrixView, RankError};
use crate::Scalar;
use crate::registers::in_wide_registers;

/// The rows and columns of a sketch that check what the others tell.
pub(super) const PROBES: usize = 64;

/// So many columns of a matrix are widened to `f64` at once, and stay in the cache.
const BLOCK: usize = 64;

/// A projection of matrices of one shape to small square matrices, W ↦ S·W·R.
///
/// The first 64 rows of S and columns of R are Gaussian; the others have entries of 1 and −1, from a
/// subsampled randomised Hadamard transform by blocks of at most 256. Their seed is the shape: every projection of one shape
/// is the same, but for its size, and a smaller one is the first rows and columns of a larger one.
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
    left: Side,
    /// Transposed.
    right: Side,
    size: usize,
}

impl fmt::Debug for RandomProjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RandomProjection")
            .field("shape", &(self.left.length, self.right.length))
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl RandomProjection {
    /// The projection of matrices with `rows` and `columns` to square matrices of `size`, or of 64 more
    /// than the shorter side's next power of two if that is less.
    ///
    /// Of the rows and columns of a sketch 64 check what the others tell: ranks up to about two thirds
    /// of `size` − 64 can be told. Beyond three quarters of the shorter side singular values are quicker.
    ///
    /// # Errors
    ///
    /// [`RankError::OutOfMemory`].
    ///
    /// # Complexity
    ///
    /// O(rows + columns) time and space.
    pub fn new(rows: usize, columns: usize, size: usize) -> Result<Self, RankError> {
        let seed = (rows as u64).rotate_left(32) ^ (columns as u64);
        let signs = rows.min(columns).checked_next_power_of_two();
        let size = size.min(signs.unwrap_or(usize::MAX).saturating_add(PROBES));
        Ok(Self {
            left: Side::new(rows, size, seed)?,
            right: Side::new(columns, size, !seed)?,
            size,
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
    /// O(m·n·(64 + size/256) + n·size·(64 + size/256)) time for m rows of n values; (64·m + n·size) values
    /// of extra space.
    pub fn sketch<T: Scalar>(&self, matrix: MatrixView<'_, T>) -> Result<Sketch, RankError> {
        let shape = (self.left.length, self.right.length);
        if (matrix.rows(), matrix.columns()) != shape {
            return Err(RankError::ShapesDiffer {
                first: shape,
                second: (matrix.rows(), matrix.columns()),
            });
        }
        let mut sketch = Sketch {
            shape,
            size: self.size,
            stretch: self.left.signs.stretch() * self.right.signs.stretch(),
            values: zeros(self.size.saturating_mul(self.size))?,
            norm: 0.0,
        };
        if !matrix.values().is_empty() && self.size > 0 {
            let from_left = self.project_rows(matrix, &mut sketch)?;
            self.project_columns(&from_left, &mut sketch)?;
        }
        Ok(sketch)
    }

    /// The first rows of sketches.
    fn probes(&self) -> usize {
        self.size.min(PROBES)
    }

    /// S·W, by columns of eight rows each, and its products with the first columns of R, which are the
    /// first ones of the sketch.
    fn project_rows<T: Scalar>(
        &self,
        matrix: MatrixView<'_, T>,
        sketch: &mut Sketch,
    ) -> Result<Vec<[f64; LANES]>, RankError> {
        let (rows, columns) = (matrix.rows(), matrix.columns());
        let (size, probes) = (self.size, self.probes());
        let groups = size.div_ceil(LANES);
        let mut from_left = Vec::new();
        reserve(&mut from_left, groups.saturating_mul(columns))?;
        from_left.resize(groups * columns, [0.0; LANES]);
        let mut probed = zeros(size * probes)?;
        let mut widened = zeros(rows * columns.min(BLOCK) + LANES)?;
        let mut products = zeros(size * columns.min(BLOCK))?;
        let mut panel = self.left.signs.panel()?;
        let left = Operand::new(&self.left.gaussian, (probes, rows), rows);
        let mut squares = 0.0;
        for first in (0..columns).step_by(BLOCK) {
            let width = BLOCK.min(columns - first);
            squares += widen_into(&mut widened[..rows * width], matrix, first, width)?;
            let products = &mut products[..size * width];
            let (of_gaussian, of_signs) = products.split_at_mut(probes * width);
            of_gaussian.fill(0.0);
            add_product(
                of_gaussian,
                left,
                Operand::new(&widened, (rows, width), width),
            );
            for column in (0..width).step_by(LANES) {
                // What lanes hold beyond the last column is dropped.
                let entry = |row: usize| {
                    let row = widened[row * width + column..].first_chunk();
                    row.copied().unwrap_or_default()
                };
                let to_rows = of_signs.chunks_exact_mut(width);
                for (to, from) in to_rows.zip(self.left.signs.product(&mut panel, entry)) {
                    copy_lanes(&mut to[column..], from);
                }
            }
            let right = Operand::new(&self.right.gaussian[first..], (probes, width), columns);
            let projected = Operand::new(products, (size, width), width);
            add_product(&mut probed, projected, right.transpose());
            let to_groups = from_left.chunks_exact_mut(columns);
            for (to, rows) in to_groups.zip(products.chunks(LANES * width)) {
                transpose_into(&mut to[first..][..width], rows);
            }
        }
        let to_rows = sketch.values.chunks_exact_mut(size);
        for (to, from) in to_rows.zip(probed.chunks_exact(probes)) {
            to[..probes].copy_from_slice(from);
        }
        sketch.norm = Float::sqrt(squares);
        Ok(from_left)
    }

    /// The other columns of S·W·R, from S·W.
    fn project_columns(
        &self,
        from_left: &[[f64; LANES]],
        sketch: &mut Sketch,
    ) -> Result<(), RankError> {
        let (size, probes, columns) = (self.size, self.probes(), sketch.shape.1);
        let mut panel = self.right.signs.panel()?;
        let groups = from_left.chunks_exact(columns);
        for (from, to) in groups.zip(sketch.values.chunks_mut(LANES * size)) {
            let product = self.right.signs.product(&mut panel, |column| from[column]);
            for (lane, row) in to.chunks_exact_mut(size).enumerate() {
                for (to, from) in row[probes..].iter_mut().zip(product) {
                    *to = from[lane];
                }
            }
        }
        Ok(())
    }
}

/// What a [`RandomProjection`] multiplies matrices by, on one side: so many rows of a length.
#[derive(Clone)]
struct Side {
    length: usize,
    /// The first rows.
    gaussian: Vec<f64>,
    /// The other rows.
    signs: HadamardRows,
}

impl Side {
    fn new(length: usize, size: usize, seed: u64) -> Result<Self, RankError> {
        let mut random = SplitMix::new(seed);
        let probes = size.min(PROBES);
        let gaussian = random.normal(probes.saturating_mul(length))?;
        let signs = HadamardRows::new(length, size - probes, &mut random)?;
        Ok(Self {
            length,
            gaussian,
            signs,
        })
    }
}

/// The columns of at most eight rows, each as long as `columns`; lanes of other rows keep what they had.
fn transpose_into(columns: &mut [[f64; LANES]], rows: &[f64]) {
    for (lane, row) in rows.chunks_exact(columns.len()).enumerate() {
        for (column, &value) in columns.iter_mut().zip(row) {
            column[lane] = value;
        }
    }
}

/// As many values as there are in both.
#[inline(always)]
fn copy_lanes(to: &mut [f64], from: &[f64]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<LANES>(), from.first_chunk()) {
        *to = *from;
    } else {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// Widens columns of a matrix, and returns the sum of their squares.
fn widen_into<T: Scalar>(
    widened: &mut [f64],
    matrix: MatrixView<'_, T>,
    first: usize,
    width: usize,
) -> Result<f64, RankError> {
    let rows = matrix.values().chunks_exact(matrix.columns());
    let squares = in_wide_registers(
        #[inline(always)]
        || {
            let mut squares = 0.0;
            for (widened, row) in widened.chunks_exact_mut(width).zip(rows) {
                for (to, from) in widened.iter_mut().zip(&row[first..]) {
                    *to = from.widen();
                }
                squares += sum_of_squares(widened);
            }
            squares
        },
    );
    // Finite values may have squares that aren't.
    if !squares.is_finite() {
        check_finite(matrix)?;
    }
    Ok(squares)
}

/// Names the first value that isn't finite, if there is one.
fn check_finite<T: Scalar>(matrix: MatrixView<'_, T>) -> Result<(), RankError> {
    let mut values = matrix.values().iter().enumerate();
    match values.find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((index, value)) => Err(RankError::NonFinite {
            row: index / matrix.columns(),
            column: index % matrix.columns(),
            value: value.widen(),
        }),
    }
}

fn zeros(count: usize) -> Result<Vec<f64>, RankError> {
    let mut values = Vec::new();
    reserve(&mut values, count)?;
    values.resize(count, 0.0);
    Ok(values)
}

/// In eight sums, which compilers make quick.
#[inline(always)]
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

/// A matrix as a [`RandomProjection`] sees it: a small square matrix.
///
/// The sketch of a difference is the difference of the sketches.
#[derive(Clone, PartialEq)]
pub struct Sketch {
    /// Of the matrix: rows and columns.
    pub(super) shape: (usize, usize),
    pub(super) size: usize,
    /// How many times larger than the matrix's the singular values of the part that isn't Gaussian
    /// can be.
    pub(super) stretch: f64,
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

    pub(super) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.size.max(1))
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

    /// The rows of a side, one after the other.
    fn rows(side: &Side) -> Vec<Vec<f64>> {
        let gaussian = side.gaussian.chunks_exact(side.length).map(<[f64]>::to_vec);
        let mut rows: Vec<Vec<f64>> = gaussian.collect();
        let first = rows.len();
        let mut panel = side.signs.panel().unwrap();
        for column in 0..side.length {
            let entry = |index| [f64::from(u8::from(index == column)); LANES];
            for (index, product) in side.signs.product(&mut panel, entry).iter().enumerate() {
                if column == 0 {
                    rows.push(alloc::vec![0.0; side.length]);
                }
                rows[first + index][column] = product[0];
            }
        }
        rows
    }

    /// The definition, entry by entry; more columns than are widened at once.
    #[test]
    fn a_sketch_is_the_product_with_both_sides() {
        for (m, n, size) in [
            (2, 3, 4),
            (40, 2 * BLOCK + 3, PROBES + 35),
            (70, 9, usize::MAX),
        ] {
            let projection = RandomProjection::new(m, n, size).unwrap();
            let size = size.min(PROBES + m.min(n).next_power_of_two());
            let matrix: Vec<f32> = (0..m * n).map(|index| (index % 17) as f32 - 8.0).collect();
            let found = projection.sketch(MatrixView::new(&matrix, m, n).unwrap());
            let found = found.unwrap();
            assert_eq!((projection.size(), found.size()), (size, size));
            let (left, right) = (rows(&projection.left), rows(&projection.right));
            assert_eq!((left.len(), right.len()), (size, size));
            for (index, value) in found.values.iter().enumerate() {
                let (row, column) = (&left[index / size], &right[index % size]);
                let entries = matrix.iter().enumerate();
                let sum: f64 = entries
                    .map(|(at, &entry)| row[at / n] * f64::from(entry) * column[at % n])
                    .sum();
                assert!((value - sum).abs() < 1e-9, "{value} is not {sum}");
            }
            let squares: f32 = matrix.iter().map(|value| value * value).sum();
            assert!((found.norm - f64::from(squares).sqrt()).abs() < 1e-9);
        }
    }

    /// What makes a part of a sketch that isn't Gaussian no larger than it says.
    #[test]
    fn no_singular_value_is_stretched_more_than_said() {
        let projection = RandomProjection::new(50, 37, usize::MAX).unwrap();
        for (side, order) in [(&projection.left, 64.0_f64), (&projection.right, 64.0)] {
            let rows = &rows(side)[PROBES..];
            let length = side.length;
            // All rows together are √order times an isometry, so these are no more than that.
            assert_eq!(rows.len(), 64);
            for (i, j) in (0..length).flat_map(|i| (0..length).map(move |j| (i, j))) {
                let sum: f64 = rows.iter().map(|row| row[i] * row[j]).sum();
                assert_eq!(sum, if i == j { order } else { 0.0 });
            }
        }
        let matrix = [1.0; 50 * 37];
        let sketch = projection.sketch(MatrixView::new(&matrix, 50, 37).unwrap());
        assert_eq!(sketch.unwrap().stretch, 64.0);
    }

    #[test]
    fn a_smaller_sketch_is_a_part_of_a_larger_one() {
        let large = sketch(usize::MAX, &MATRIX);
        assert_eq!(large.size, PROBES + 2);
        for size in [2, 5, PROBES, PROBES + 1] {
            let small = sketch(size, &MATRIX);
            for (row, of_row) in small.values.chunks_exact(size).enumerate() {
                for (value, larger) in of_row.iter().zip(&large.values[row * large.size..]) {
                    assert!((value - larger).abs() < 1e-13);
                }
            }
        }
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
        for (rows, size) in [(usize::MAX, 2), (1 << 50, 1 << 10)] {
            let found = RandomProjection::new(rows, 1, size);
            assert!(matches!(found, Err(RankError::OutOfMemory { .. })));
        }
    }
}
