//! The rank of a difference from two sketches, where they leave no doubt.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use num_traits::Float;

use super::concentration::Concentration;
use super::decomposition::{
    Operand, Scratch, add_product, cholesky, divide_by_product, divide_by_triangle, gram,
    pivoted_cholesky,
};
use super::projection::{Sketch, sum_of_squares};
use super::solver::reserve;
use super::{RankError, Tolerance};

/// The rows and columns of a sketch that check what the others tell.
const PROBES: usize = 64;

/// Smaller parts of a sketch tell too little.
const SMALLEST: usize = 16;

/// Squares and fourth powers of what is within this and its inverse don't overflow.
const RANGE: f64 = 1e60;

/// Tells the rank of differences from sketches, where that is certain, reusing its working memory.
///
/// # When it is certain
///
/// Let D be the difference and σ(i) the i-th singular value of a matrix. The sketch S·D·R has a
/// leading part C of p rows and columns, from which a decomposition tells r, the number of its
/// singular values that look large, and a matrix of rank r that is near to D. The 64 rows of S and
/// columns of R that follow are independent of both, so they probe what is left of D: the spectral
/// norm of T, what is left in their place of the sketch. For S and R of independent normal values,
/// three bounds hold with high probability, without any assumption about D:
///
/// - σ(r + 1) of D is at most ‖T‖/ℓ(64), where ℓ(n) is a lower bound of χ² of n degrees of freedom;
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
/// So the rank is the one that all singular values would give, unless a bound fails. Each fails with a
/// probability of at most 2⁻³², and a rank rests on at most some two hundred: for one difference it is
/// wrong with a probability below 10⁻⁷, over the choice of S and R. These are fixed for a shape, so
/// matrices that were made to deceive it can.
///
/// There is no answer where singular values come nearer to the threshold than a factor of some 10 to
/// 100 on either side, more the larger the matrix and the nearer the rank is to p; nor for
/// [`Tolerance::GavishDonoho`], which needs all singular values; nor for a difference of zero.
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
/// See [`RandomProjection`](super::RandomProjection).
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
            let difference = first
                .iter()
                .zip(second)
                .map(|(first, second)| first - second);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::{MatrixView, RandomProjection};

    const SHAPE: (usize, usize) = (200, 170);

    /// The sketch of a matrix with these singular values.
    ///
    /// A diagonal matrix is as good as any: turning it is turning normal values, which changes
    /// nothing for these.
    fn sketch(projection: &RandomProjection, spectrum: impl Fn(usize) -> f64) -> Sketch {
        let mut values = alloc::vec![0.0; SHAPE.0 * SHAPE.1];
        for index in 0..SHAPE.1 {
            values[index * SHAPE.1 + index] = spectrum(index);
        }
        let matrix = MatrixView::new(&values, SHAPE.0, SHAPE.1).unwrap();
        projection.sketch(matrix).unwrap()
    }

    fn rank(sketch: &Sketch, zero: &Sketch, tolerance: Tolerance) -> Option<usize> {
        let found = SketchSolver::new().rank_of_difference(sketch, zero, tolerance);
        assert_eq!(
            SketchSolver::new().rank_of_difference(zero, sketch, tolerance),
            found
        );
        found.unwrap()
    }

    fn projection_and_zero(size: usize) -> (RandomProjection, Sketch) {
        let projection = RandomProjection::new(SHAPE.0, SHAPE.1, size).unwrap();
        let zero = sketch(&projection, |_| 0.0);
        (projection, zero)
    }

    #[test]
    fn clear_ranks_are_told() {
        let (projection, zero) = projection_and_zero(160);
        for large in [1, 2, 5, 17, 48, 64] {
            let spectrum = |index| if index < large { 1.0 } else { 1e-7 };
            let sketch = sketch(&projection, spectrum);
            for tolerance in [
                Tolerance::Relative(1e-4),
                Tolerance::Absolute(1e-4),
                Tolerance::Numpy { epsilon: 5e-7 },
                Tolerance::RoundingNoise { deviation: 4e-6 },
            ] {
                let found = rank(&sketch, &zero, tolerance);
                assert_eq!(found, Some(large), "{large}, {tolerance}");
            }
        }
        let sketch = sketch(&projection, |_| 1e-7);
        assert_eq!(rank(&sketch, &zero, Tolerance::Absolute(1e-4)), Some(0));
    }

    /// Every answer must be the number of values above the threshold, however these lie.
    #[test]
    fn an_answer_is_right_whatever_the_spectrum() {
        let (projection, zero) = projection_and_zero(144);
        let mut told = 0;
        let mut check = |spectrum: &dyn Fn(usize) -> f64| {
            let sketch = sketch(&projection, spectrum);
            for exponent in [-2, -4, -6] {
                let threshold = 10.0_f64.powi(exponent);
                let right = (0..SHAPE.1).filter(|&i| spectrum(i) > threshold).count();
                for tolerance in [
                    Tolerance::Absolute(threshold),
                    Tolerance::Relative(threshold / spectrum(0)),
                ] {
                    let found = SketchSolver::new().rank_of_difference(&sketch, &zero, tolerance);
                    if let Some(found) = found.unwrap() {
                        assert_eq!(found, right, "{tolerance}");
                        told += 1;
                    }
                }
            }
        };
        for large in [1, 20, 60, 80, 120] {
            for rest in [0.0, 1e-7, 9.5e-5, 1.2e-4, 1e-3] {
                // A step, a step to a single value, a slope that ends in a step.
                check(&|i| if i < large { 1.0 } else { rest });
                check(&|i| match i {
                    i if i < large => 1.0,
                    i if i == large => rest,
                    _ => 1e-12,
                });
                check(&|i| {
                    if i < large {
                        0.9_f64.powi(i as i32)
                    } else {
                        rest.min(1e-6)
                    }
                });
            }
        }
        for ratio in [0.5_f64, 0.8, 0.95, 0.999] {
            check(&|i| ratio.powi(i as i32));
        }
        // One value that is large hides what is small beside it.
        check(&|i| if i == 0 { 1e6 } else { 1e-3 });
        assert!(told > 100, "{told}");
    }

    /// A sketch shows some of these as larger than they are.
    #[test]
    fn a_value_just_below_the_threshold_does_not_count() {
        let (projection, zero) = projection_and_zero(SMALLEST + PROBES);
        for place in 0..60 {
            let spectrum = |index| match index {
                index if index == place => 1.0,
                index if index == place + 1 => 0.95e-4,
                _ => 1e-9,
            };
            let sketch = sketch(&projection, spectrum);
            for tolerance in [Tolerance::Relative(1e-4), Tolerance::Absolute(1e-4)] {
                let found = rank(&sketch, &zero, tolerance);
                assert!(matches!(found, None | Some(1)), "{found:?}, {tolerance}");
            }
        }
    }

    #[test]
    fn doubt_has_no_answer() {
        let (projection, zero) = projection_and_zero(160);
        let tolerance = Tolerance::Relative(1e-4);
        let of = |spectrum: &dyn Fn(usize) -> f64| {
            rank(&sketch(&projection, spectrum), &zero, tolerance)
        };
        // Just above and below the threshold, too many, all noise, all zero, too large for squares.
        assert_eq!(of(&|i| if i < 8 { 1.0 } else { 1.1e-4 }), None);
        assert_eq!(of(&|i| if i < 8 { 1.0 } else { 0.9e-4 }), None);
        assert_eq!(of(&|i| if i < 150 { 1.0 } else { 1e-9 }), None);
        assert_eq!(of(&|_| 1.0), None);
        assert_eq!(of(&|_| 0.0), None);
        assert_eq!(of(&|_| 1e200), None);
        let clear = sketch(&projection, |i| if i < 8 { 1.0 } else { 1e-9 });
        assert_eq!(rank(&clear, &zero, Tolerance::GavishDonoho), None);
        // What is hidden by the rounding of large matrices.
        let large = sketch(&projection, |_| 1e14);
        assert_eq!(rank(&clear, &large, Tolerance::Absolute(1e-4)), None);
    }

    #[test]
    fn of_sketches_of_two_sizes_the_leading_part_is_used() {
        let (small, small_zero) = projection_and_zero(120);
        let (large, large_zero) = projection_and_zero(160);
        let spectrum = |i| if i < 8 { 1.0 } else { 1e-9 };
        let (small, large) = (sketch(&small, spectrum), sketch(&large, spectrum));
        let tolerance = Tolerance::Relative(1e-4);
        assert_eq!(rank(&small, &large_zero, tolerance), Some(8));
        assert_eq!(rank(&large, &small_zero, tolerance), Some(8));
    }

    #[test]
    fn wrong_shapes_and_tolerances_are_errors() {
        let (projection, zero) = projection_and_zero(96);
        let other = RandomProjection::new(3, 5, 96).unwrap();
        let matrix = [0.0; 15];
        let other = other.sketch(MatrixView::new(&matrix, 3, 5).unwrap());
        let mut solver = SketchSolver::new();
        let tolerance = Tolerance::Relative(1e-4);
        assert_eq!(
            solver.rank_of_difference(&zero, &other.unwrap(), tolerance),
            Err(RankError::ShapesDiffer {
                first: SHAPE,
                second: (3, 5)
            })
        );
        let sketch = sketch(&projection, |_| 1.0);
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            let found = solver.rank_of_difference(&zero, &sketch, Tolerance::Relative(value));
            assert!(matches!(found, Err(RankError::InvalidTolerance { .. })));
        }
    }
}
