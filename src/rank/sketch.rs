//! Small random projections of matrices, from which the rank of a difference can be told.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use num_traits::Float;

use super::concentration::Concentration;
use super::decomposition::{
    Operand, Scratch, add_product, gram, is_positive_definite, pivoted_triangle,
};
use super::solver::reserve;
use super::{MatrixView, RankError, Tolerance};
use crate::Scalar;

/// So many rows of a matrix are widened to `f64` at once.
const BLOCK: usize = 128;

/// Sketches smaller than this tell nothing.
const SMALLEST: usize = 24;

/// Squares and fourth powers of what is within this and its inverse don't overflow.
const RANGE: f64 = 1e60;

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
/// let projection = RandomProjection::new(300, 200, 64)?;
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
    /// Ranks up to half of `size` can be told, so it is of use up to about half of the shorter side.
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
                add_product(&mut values, left, Operand::new(projected, (count, size), size));
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
        let mut of_row = 0.0;
        let mut finite = true;
        for (to, from) in widened.iter_mut().zip(values) {
            *to = from.widen();
            finite &= to.is_finite();
            of_row += *to * *to;
        }
        if !finite {
            let at_fault = widened.iter().enumerate().find(|(_, v)| !v.is_finite());
            let (column, &value) = at_fault.unwrap_or((0, &f64::NAN));
            return Err(RankError::NonFinite {
                row: first_row + row,
                column,
                value,
            });
        }
        squares += of_row;
    }
    Ok(squares)
}

fn zeros(count: usize) -> Result<Vec<f64>, RankError> {
    let mut values = Vec::new();
    reserve(&mut values, count)?;
    values.resize(count, 0.0);
    Ok(values)
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
    shape: (usize, usize),
    size: usize,
    /// Row after row.
    values: Vec<f64>,
    /// The Frobenius norm of the matrix.
    norm: f64,
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

    /// At most how far a sketch of the difference may be from what exact arithmetic gives.
    ///
    /// Of products of n terms each is within n·2⁻⁵³ of the sum of their magnitudes.
    fn rounding_of_difference(&self, other: &Self, size: usize) -> f64 {
        let random = Concentration::new(size);
        let (rows, columns) = self.shape;
        let of_right = columns as f64 * random.frobenius_norm(columns) * random.norm(rows);
        let of_left = rows as f64 * random.frobenius_norm(rows) * random.norm(columns);
        f64::EPSILON * (of_right + of_left) * (self.norm + other.norm)
    }
}

/// Tells the rank of differences from sketches, where that is certain, reusing its working memory.
///
/// # When it is certain
///
/// Let D be the difference, C = S·D·R its sketch, or the leading k rows and columns of it, and σ(i)
/// the i-th singular value of a matrix. For matrices S and R of independent normal values, three
/// bounds hold with high probability, without any assumption about D:
///
/// - σ(i) of C is at least s²·σ(i) of D, where s is a lower bound of the smallest singular value of
///   a Gaussian matrix of k rows and i columns;
/// - ‖C‖ is at least ℓ·‖D‖, with ℓ a lower bound of χ² of k degrees of freedom;
/// - what is left of D without its r largest singular values, of spectral norm σ and Frobenius norm
///   φ, adds at most a·σ + b·φ to the singular values of C (Chevet), a ≈ k and b ≈ 2√k.
///
/// From the first, what the sketch has beyond its r-th singular value bounds the rest of D; from the
/// other two the largest singular value of D has a lower and an upper bound, and so has the
/// threshold. The rank is r if σ(r + 1) of D must be below the least threshold, and σ(r) of C is
/// larger than it could be if σ(r) of D were at the largest threshold. The singular values of C are
/// bounded by a column-pivoted QR decomposition and a Cholesky decomposition; bounds of rounding
/// errors are added to all.
///
/// So the rank is the one that all singular values would give, unless a bound fails: for one
/// difference at most with probability 10⁻⁹, over the choice of S and R. These are fixed for a
/// shape, so matrices that were made to deceive it can. There is no answer where singular values are
/// close to the threshold - within a factor of about 100 for r ≈ k/2, less for smaller r - nor
/// where the rank is more than about k/2, nor for [`Tolerance::GavishDonoho`], which needs all
/// singular values.
///
/// # References
///
/// - N. Halko, P. G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2),
///   2011, section 10. [doi:10.1137/090771806](https://doi.org/10.1137/090771806)
/// - K. R. Davidson, S. J. Szarek, "Local operator theory, random matrices and Banach spaces", in
///   Handbook of the Geometry of Banach Spaces 1, 2001.
///   [doi:10.1016/S1874-5849(01)80010-3](https://doi.org/10.1016/S1874-5849(01)80010-3)
///
/// # Examples
///
/// See [`RandomProjection`].
#[derive(Clone, Default)]
pub struct SketchSolver {
    triangle: Vec<f64>,
    product: Vec<f64>,
    square: Vec<f64>,
    scratch: Scratch,
}

impl fmt::Debug for SketchSolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SketchSolver").finish_non_exhaustive()
    }
}

impl SketchSolver {
    /// A solver without any memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The rank of the difference of two matrices, if their sketches leave no doubt.
    ///
    /// Of sketches of different sizes the larger is cut to the smaller.
    ///
    /// # Errors
    ///
    /// [`RankError::InvalidTolerance`] for a parameter that is NaN, infinite or negative;
    /// [`RankError::ShapesDiffer`]; [`RankError::OutOfMemory`].
    ///
    /// # Complexity
    ///
    /// O(k³) time, where k is about twice the rank if that is less than the size of the sketches.
    pub fn rank_of_difference(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        tolerance: Tolerance,
    ) -> Result<Option<usize>, RankError> {
        let size = first.size.min(second.size);
        self.rank_within(first, second, tolerance, SMALLEST..size + 1)
    }

    /// The same, from parts of the sketches of these sizes only.
    pub(super) fn rank_within(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        tolerance: Tolerance,
        sizes: Range<usize>,
    ) -> Result<Option<usize>, RankError> {
        tolerance.validate()?;
        if first.shape != second.shape {
            return Err(RankError::ShapesDiffer {
                first: first.shape,
                second: second.shape,
            });
        }
        let largest = sizes.end.saturating_sub(1);
        // From the smallest, each half as large again, to the largest.
        let halvings = |size: &usize| Some(size * 2 / 3);
        let steps = core::iter::successors(Some(largest), halvings)
            .take_while(|size| *size >= sizes.start.max(SMALLEST))
            .count();
        for step in (0..steps).rev() {
            let size = core::iter::successors(Some(largest), halvings)
                .nth(step)
                .unwrap_or(largest);
            let rank = self.rank_of_part(first, second, tolerance, size)?;
            if rank.is_some() {
                return Ok(rank);
            }
        }
        Ok(None)
    }

    /// The same, from the leading rows and columns.
    fn rank_of_part(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        tolerance: Tolerance,
        size: usize,
    ) -> Result<Option<usize>, RankError> {
        let shape = first.shape;
        // The resolution is that of the decomposition of the whole matrix.
        let resolution = shape.0.max(shape.1) as f64 * f64::EPSILON;
        let threshold =
            |largest: f64| tolerance.threshold_by_largest(shape, largest, largest * resolution);
        let norm = self.load_difference(first, second, size)?;
        if !(norm > 1.0 / RANGE && norm < RANGE && first.norm + second.norm < RANGE) {
            return Ok(None);
        }
        pivoted_triangle(&mut self.triangle, size, &mut self.scratch)?;
        let of_guess = self.triangle[0].abs() / size as f64;
        let Some(guess) = threshold(of_guess).map(|threshold| threshold * size as f64) else {
            return Ok(None);
        };
        let diagonal = self.triangle.iter().step_by(size + 1);
        let rank = diagonal.take_while(|value| value.abs() > guess).count();
        let random = Concentration::new(size);
        let Some(stretch) = random.smallest_singular_value(rank + 1) else {
            return Ok(None);
        };
        let sides = size as f64;
        let rounding = first.rounding_of_difference(second, size)
            + 4.0 * f64::EPSILON * sides * Float::sqrt(sides) * norm;

        let tail = self.norm_of_tail(rank, size)?;
        let (above, below) = random.norm_of_both_sides();
        let rest = (tail + rounding) / (stretch * stretch);
        let rest_norm = rest * Float::sqrt(shape.0.min(shape.1) as f64);
        let head = self.norm_of_head(rank, size)?;
        let upper = Float::sqrt(head.end + tail * tail) + rounding;
        let lower = Float::sqrt(head.start) - rounding - below * rest_norm;
        let most = threshold(upper / random.least_square());
        let least = threshold(Float::max(
            lower / (above + below * Float::sqrt(rank as f64)),
            0.0,
        ));
        let (Some(least), Some(most)) = (least, most) else {
            return Ok(None);
        };
        if !(rest < least) {
            return Ok(None);
        }
        let needed = (above + below) * most + below * rest_norm + rounding;
        let certain = rank == 0 || self.head_exceeds(needed, rank, size, head.end)?;
        Ok(certain.then_some(rank))
    }

    /// Loads a part of the sketch of the difference, and returns its Frobenius norm.
    fn load_difference(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        size: usize,
    ) -> Result<f64, RankError> {
        self.triangle.clear();
        reserve(&mut self.triangle, size * size)?;
        let mut squares = 0.0;
        for row in 0..size {
            let first = &first.values[row * first.size..][..size];
            let second = &second.values[row * second.size..][..size];
            self.triangle
                .extend(first.iter().zip(second).map(|(first, second)| first - second));
            let row = &self.triangle[row * size..];
            squares += row.iter().map(|value| value * value).sum::<f64>();
        }
        Ok(Float::sqrt(squares))
    }

    /// An upper bound of the spectral norm of the triangle without its first columns.
    fn norm_of_tail(&mut self, rank: usize, size: usize) -> Result<f64, RankError> {
        let side = size - rank;
        resize(&mut self.product, side * side)?;
        let start = rank * size + rank;
        let tail = Operand::new(&self.triangle[start..], (side, side), size);
        gram(&mut self.product, tail);
        Ok(Float::sqrt(norm_of_lower(&self.product, side)))
    }

    /// Bounds of the square of the spectral norm of the triangle's first columns, whose Gram matrix
    /// is left in `product`.
    fn norm_of_head(&mut self, rank: usize, size: usize) -> Result<Range<f64>, RankError> {
        if rank == 0 {
            return Ok(0.0..0.0);
        }
        resize(&mut self.product, rank * rank)?;
        resize(&mut self.square, rank * rank)?;
        let head = Operand::new(&self.triangle, (size, rank), size);
        gram(&mut self.product, head.transpose());
        for row in 0..rank {
            for column in row + 1..rank {
                self.product[row * rank + column] = self.product[column * rank + row];
            }
        }
        let product = Operand::new(&self.product, (rank, rank), rank);
        gram(&mut self.square, product);
        let fourth = norm_of_lower(&self.square, rank);
        let second = norm_of_lower(&self.product, rank);
        Ok(fourth / second..Float::sqrt(fourth))
    }

    /// Whether all singular values of the triangle's first columns are larger than `needed`.
    fn head_exceeds(
        &mut self,
        needed: f64,
        rank: usize,
        size: usize,
        largest_square: f64,
    ) -> Result<bool, RankError> {
        let square = needed * needed;
        // Below this, rounding of the Gram matrix may decide.
        if !(square > 16.0 * size as f64 * f64::EPSILON * largest_square) {
            return Ok(false);
        }
        for value in self.product.iter_mut().step_by(rank + 1) {
            *value -= square;
        }
        is_positive_definite(&mut self.product, rank, &mut self.scratch)
    }
}

fn resize(values: &mut Vec<f64>, count: usize) -> Result<(), RankError> {
    values.clear();
    reserve(values, count)?;
    values.resize(count, 0.0);
    Ok(())
}

/// The Frobenius norm of a symmetric matrix whose lower triangle is given.
fn norm_of_lower(values: &[f64], size: usize) -> f64 {
    let squares = values.chunks_exact(size).enumerate().map(|(row, values)| {
        let left: f64 = values[..row].iter().map(|value| value * value).sum();
        2.0 * left + values[row] * values[row]
    });
    Float::sqrt(squares.sum())
}
