//! Small random projections of matrices, from which the rank of a difference can be told.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use num_traits::Float;

use super::concentration::Concentration;
use super::decomposition::{
    Operand, Scratch, add_product, cholesky, divide_by_product, divide_by_triangle, gram,
    pivoted_cholesky,
};
use super::solver::reserve;
use super::{MatrixView, RankError, Tolerance};
use crate::Scalar;

/// So many rows of a matrix are widened to `f64` at once.
const BLOCK: usize = 128;

/// The rows and columns of a sketch that check what the others tell.
const PROBES: usize = 64;

/// Smaller parts of a sketch tell too little.
const SMALLEST: usize = 16;

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

    /// How far, in the Frobenius norm, a sketch of the difference may be from what exact arithmetic
    /// gives.
    ///
    /// Sums of n terms of random signs are within a few √n·2⁻⁵³ of their size (Higham and Mary 2019);
    /// this is 16 times that.
    fn rounding_of_difference(&self, other: &Self, size: usize) -> f64 {
        let sums = Float::sqrt(self.shape.0 as f64) + Float::sqrt(self.shape.1 as f64);
        8.0 * f64::EPSILON * sums * size as f64 * (self.norm + other.norm)
    }
}

/// Tells the rank of differences from sketches, where that is certain, reusing its working memory.
///
/// # When it is certain
///
/// Let D be the difference and σ(i) the i-th singular value of a matrix. The sketch S·D·R has a
/// leading part C of p rows and columns, from which a decomposition tells r, the number of its
/// singular values that look large, and a matrix of rank r that is near to D. The 48 rows of S and
/// columns of R that follow are independent of both, so they probe what is left of D: the spectral
/// norm of T, what is left in their place of the sketch. For S and R of independent normal values,
/// three bounds hold with high probability, without any assumption about D:
///
/// - σ(r + 1) of D is at most ‖T‖/ℓ(48), where ℓ(n) is a lower bound of χ² of n degrees of freedom;
/// - ‖D‖ is at most ‖C‖/ℓ(p);
/// - what is left of D without its i largest singular values, of spectral norm σ and Frobenius norm
///   φ, adds at most a·σ + b·φ to the singular values of C (Chevet), a ≈ p and b ≈ 2√p.
///
/// From the first and the last, the largest singular value of D has a lower bound, and so the
/// threshold has a lower and an upper one. The rank is r if σ(r + 1) of D must be below the lower
/// one, and σ(r) of C is larger than it could be if σ(r) of D were no more than the upper one. The
/// decomposition is a column-pivoted QR one, and a Cholesky decomposition shows that all r singular
/// values are so large. Rounding errors are added to all bounds, at 16 times what they are
/// if they are random.
///
/// So the rank is the one that all singular values would give, unless a bound fails: for one
/// difference at most with probability 10⁻¹⁰, over the choice of S and R. These are fixed for a
/// shape, so matrices that were made to deceive it can. There is no answer where singular values are
/// within a factor of about 100 of the threshold on either side, nor where the rank is near to p or
/// larger, nor for [`Tolerance::GavishDonoho`], which needs all singular values.
///
/// # References
///
/// - N. Halko, P. G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2),
///   2011, section 10. [doi:10.1137/090771806](https://doi.org/10.1137/090771806)
/// - Y. Nakatsukasa, "Fast and stable randomized low-rank matrix approximation", 2020, whose
///   approximation is the one of rank r. [arXiv:2009.11392](https://arxiv.org/abs/2009.11392)
/// - N. J. Higham, T. Mary, "A new approach to probabilistic rounding error analysis", SIAM Journal
///   on Scientific Computing 41(5), 2019. [doi:10.1137/18M1226312](https://doi.org/10.1137/18M1226312)
///
/// # Examples
///
/// See [`RandomProjection`].
#[derive(Clone, Default)]
pub struct SketchSolver {
    /// The leading part of the sketch, and the probes around it.
    sketch: Vec<f64>,
    /// R of the leading part.
    triangle: Vec<f64>,
    /// The column of the sketch that each column of R belongs to.
    order: Vec<usize>,
    /// R·Rᵀ of the first rows of R, and its own Cholesky decomposition.
    gram: Vec<f64>,
    cholesky: Vec<f64>,
    products: [Vec<f64>; 3],
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
    /// O(p³) time, where p is about 1.5 times the rank if that is less than the size of the sketches.
    pub fn rank_of_difference(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        tolerance: Tolerance,
    ) -> Result<Option<usize>, RankError> {
        self.rank_beyond(first, second, tolerance, 0)
    }

    /// The same, but for what sketches of a smaller size tell.
    pub(super) fn rank_beyond(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        tolerance: Tolerance,
        smaller: usize,
    ) -> Result<Option<usize>, RankError> {
        tolerance.validate()?;
        if first.shape != second.shape {
            return Err(RankError::ShapesDiffer {
                first: first.shape,
                second: second.shape,
            });
        }
        let largest = first.size.min(second.size).saturating_sub(PROBES);
        let least = smaller.saturating_sub(PROBES).max(SMALLEST - 1);
        // From a small part on, each half as large again as the one before, to the largest.
        let parts = core::iter::successors(Some(largest), |part| Some(part * 2 / 3));
        let count = parts.clone().take_while(|&part| part > least).count();
        for step in (0..count).rev() {
            let part = parts.clone().nth(step).unwrap_or(largest);
            let rank = self.rank_of_part(first, second, tolerance, part)?;
            if rank.is_some() {
                return Ok(rank);
            }
        }
        Ok(None)
    }

    /// The same, from the leading rows and columns, and as many probes as there are.
    fn rank_of_part(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        tolerance: Tolerance,
        part: usize,
    ) -> Result<Option<usize>, RankError> {
        let shape = first.shape;
        // The resolution is that of the decomposition of the whole matrix.
        let resolution = shape.0.max(shape.1) as f64 * f64::EPSILON;
        let threshold =
            |largest: f64| tolerance.threshold_by_largest(shape, largest, largest * resolution);
        let size = part + PROBES;
        let norm = self.load_difference(first, second, size)?;
        if !(norm > 1.0 / RANGE && norm < RANGE && first.norm + second.norm < RANGE) {
            return Ok(None);
        }
        let sides = size as f64;
        let rounding = first.rounding_of_difference(second, size)
            + 4.0 * f64::EPSILON * sides * Float::sqrt(sides) * norm;
        let all_squares = self.decompose(part)?;
        let Some(guess) = threshold(self.triangle[0] / part as f64) else {
            return Ok(None);
        };
        let rank = self.rows_above(guess * part as f64, part);
        if rank == part {
            return Ok(None);
        }

        let (head, tail) = self.squares(rank, part, all_squares)?;
        let Some(probed) = self.norm_of_rest(rank, part, rounding)? else {
            return Ok(None);
        };
        let rest = probed / Concentration::new(PROBES).least_square();
        let rest_norm = rest * Float::sqrt(shape.0.min(shape.1) as f64);
        let random = Concentration::new(part);
        let (above, below) = random.norm_of_both_sides();
        let upper = Float::sqrt(head.end + tail) + rounding;
        let lower = Float::sqrt(head.start) - rounding - below * rest_norm;
        let lower = lower.max(0.0) / (above + below * Float::sqrt(rank as f64));
        let (Some(least), Some(most)) =
            (threshold(lower), threshold(upper / random.least_square()))
        else {
            return Ok(None);
        };
        let needed = (above + below) * most + below * rest_norm + rounding;
        let certain = rest < least && self.head_exceeds(needed, rank, all_squares)?;
        Ok(certain.then_some(rank))
    }

    /// Loads the leading part of the sketch of the difference, and returns its Frobenius norm.
    fn load_difference(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        size: usize,
    ) -> Result<f64, RankError> {
        self.sketch.clear();
        reserve(&mut self.sketch, size * size)?;
        let mut squares = 0.0;
        for row in 0..size {
            let first = &first.values[row * first.size..][..size];
            let second = &second.values[row * second.size..][..size];
            let difference = first.iter().zip(second).map(|(first, second)| first - second);
            self.sketch.extend(difference);
            squares += sum_of_squares(&self.sketch[row * size..]);
        }
        Ok(Float::sqrt(squares))
    }

    /// Decomposes the leading part: a column-pivoted QR decomposition without Q. Returns the sum of
    /// its squares.
    fn decompose(&mut self, part: usize) -> Result<f64, RankError> {
        resize(&mut self.triangle, part * part)?;
        let leading = Operand::new(&self.sketch, (part, part), part + PROBES);
        gram(&mut self.triangle, leading.transpose());
        let squares = self.triangle.iter().step_by(part + 1).sum();
        let (triangle, order) = (&mut self.triangle, &mut self.order);
        let rows = pivoted_cholesky(triangle, order, part, &mut self.scratch)?;
        for (index, row) in triangle.chunks_exact_mut(part).enumerate() {
            row[..if index < rows { index } else { part }].fill(0.0);
        }
        Ok(squares)
    }

    /// How many rows of R are above a threshold, on the diagonal.
    fn rows_above(&self, threshold: f64, part: usize) -> usize {
        let diagonal = self.triangle.iter().step_by(part + 1);
        diagonal.take_while(|&&value| value > threshold).count()
    }

    /// Of the first rows of R, bounds of the square of the spectral norm; of the others, an upper
    /// bound of it.
    fn squares(
        &mut self,
        rank: usize,
        part: usize,
        all_squares: f64,
    ) -> Result<(Range<f64>, f64), RankError> {
        let head = &self.triangle[..rank * part];
        resize(&mut self.gram, rank * rank)?;
        gram(&mut self.gram, Operand::new(head, (rank, part), part));
        let tail = (all_squares - sum_of_squares(head)).max(0.0);
        let bounds = bounds_of_norm(&mut self.gram, &mut self.products[0], rank)?;
        Ok((bounds, tail + rounding_of_squares(all_squares, part)))
    }

    /// The spectral norm of what the probes see of the difference without its approximation of a
    /// rank, which must be less than the part's size; none if that can't be had.
    ///
    /// With C the part, H the first rows of R, H₁ the first columns of these, and X, Y the probes'
    /// rows and columns, all in the order of R, it approximates the probes of the probes by
    /// X·Z, Z = Hᵀ(HHᵀ)⁻¹·H₁⁻ᵀ·(the first rows of CᵀY). However inaccurate Z is, its rank is right,
    /// and errors in its product with X are in the result.
    fn norm_of_rest(
        &mut self,
        rank: usize,
        part: usize,
        rounding: f64,
    ) -> Result<Option<f64>, RankError> {
        let size = part + PROBES;
        self.cholesky.clone_from(&self.gram);
        if !cholesky(&mut self.cholesky, rank, &mut self.scratch)? {
            return Ok(None);
        }
        let [wide, narrow, rest] = &mut self.products;
        let head = Operand::new(&self.triangle, (rank, part), part);
        let leading = Operand::new(&self.sketch, (part, part), size);
        let columns = Operand::new(&self.sketch[part..], (part, PROBES), size);
        let below = &self.sketch[part * size..];

        // Zᵀ, and its columns in the order of the sketch.
        resize(wide, PROBES * part)?;
        add_product(wide, columns.transpose(), leading);
        resize(narrow, PROBES * rank)?;
        for (narrow, wide) in rows_of(narrow, rank).zip(wide.chunks_exact(part)) {
            for (to, &from) in narrow.iter_mut().zip(&self.order) {
                *to = wide[from];
            }
        }
        divide_by_triangle(narrow, &self.triangle, rank, part);
        divide_by_product(narrow, &self.cholesky, rank);
        wide.fill(0.0);
        add_product(wide, Operand::new(narrow, (PROBES, rank), rank), head);
        let gain_of_rows = Float::sqrt(sum_of_squares(wide));
        resize(rest, PROBES * part)?;
        for (to, from) in rest.chunks_exact_mut(part).zip(wide.chunks_exact(part)) {
            for (from, &to_column) in from.iter().zip(&self.order) {
                to[to_column] = -from;
            }
        }
        resize(wide, PROBES * PROBES)?;
        for (to, from) in wide.chunks_exact_mut(PROBES).zip(below.chunks_exact(size)) {
            to.copy_from_slice(&from[part..]);
        }
        let rows = Operand::new(below, (PROBES, part), size);
        let approximation = Operand::new(rest, (PROBES, part), part).transpose();
        add_product(wide, rows, approximation);
        resize(rest, PROBES * PROBES)?;
        gram(rest, Operand::new(wide, (PROBES, PROBES), PROBES));
        let square = bounds_of_norm(rest, narrow, PROBES)?.end;

        // X·Hᵀ(HHᵀ)⁻¹, which errors in Y are multiplied by.
        resize(wide, PROBES * part)?;
        for (to, from) in wide.chunks_exact_mut(part).zip(below.chunks_exact(size)) {
            for (to, &column) in to.iter_mut().zip(&self.order) {
                *to = from[column];
            }
        }
        resize(narrow, PROBES * rank)?;
        let ordered = Operand::new(wide, (PROBES, part), part);
        add_product(narrow, ordered, head.transpose());
        divide_by_product(narrow, &self.cholesky, rank);
        let gain_of_columns = Float::sqrt(sum_of_squares(narrow));
        let gain = (1.0 + gain_of_rows) * (1.0 + gain_of_columns);
        Ok(Some(Float::sqrt(square) + gain * rounding))
    }

    /// Whether all singular values of the first rows of R are larger than `needed`, and rounding of
    /// the Gram matrices can't have made them so.
    fn head_exceeds(
        &mut self,
        needed: f64,
        rank: usize,
        all_squares: f64,
    ) -> Result<bool, RankError> {
        let square = needed * needed + rounding_of_squares(all_squares, rank);
        for value in self.gram.iter_mut().step_by(rank + 1) {
            *value -= square;
        }
        cholesky(&mut self.gram, rank, &mut self.scratch)
    }
}

fn resize(values: &mut Vec<f64>, count: usize) -> Result<(), RankError> {
    values.clear();
    reserve(values, count)?;
    values.resize(count, 0.0);
    Ok(())
}

/// Rows of so many values; none if that is 0.
fn rows_of(values: &mut [f64], length: usize) -> impl Iterator<Item = &mut [f64]> {
    values.chunks_exact_mut(length.max(1))
}

/// What rounding may do to a matrix of sums of squares, of so many rows, and to its decomposition.
fn rounding_of_squares(all_squares: f64, size: usize) -> f64 {
    4.0 * size as f64 * f64::EPSILON * all_squares
}

fn sum_of_squares(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| value * value).sum::<f64>()
}

/// Bounds of the spectral norm of a symmetric matrix whose upper triangle is given, and which is
/// completed: with λ its eigenvalues, Σλ⁴/Σλ² ≤ max λ² ≤ √Σλ⁴.
fn bounds_of_norm(
    matrix: &mut [f64],
    square: &mut Vec<f64>,
    size: usize,
) -> Result<Range<f64>, RankError> {
    for row in 1..size {
        for column in 0..row {
            matrix[row * size + column] = matrix[column * size + row];
        }
    }
    resize(square, size * size)?;
    gram(square, Operand::new(matrix, (size, size), size));
    let rows = square.chunks_exact(size.max(1)).enumerate();
    let fourth: f64 = rows
        .map(|(row, values)| 2.0 * sum_of_squares(&values[row..]) - values[row] * values[row])
        .sum();
    let second = sum_of_squares(matrix);
    let least = if second > 0.0 { fourth / second } else { 0.0 };
    Ok(Float::sqrt(least)..Float::sqrt(Float::sqrt(fourth)))
}
