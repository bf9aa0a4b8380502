//! The rank of a difference from two sketches, where they leave no doubt.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use num_traits::Float;

use super::concentration::{largest_norm, least_square};
use super::decomposition::{Operand, gram, multiply, subtract_product};
use super::interpolative::InterpolativeDecomposition;
use super::projection::{PROBES, Sketch, sum_of_squares};
use super::solver::make_room;
use super::{RankError, Tolerance};
use crate::registers::in_wide_registers;

/// How much larger than the effective rank parts are at first: ranks of trained updates are up to twice
/// that.
const ROOM: f64 = 2.0;

/// Smaller parts of a sketch tell too little.
const SMALLEST: usize = 16;

/// Squares and fourth powers of what is within this and its inverse don't overflow.
const RANGE: f64 = 1e60;

/// Tells the rank of differences from sketches, where that is certain, reusing its working memory.
///
/// # When it is certain
///
/// Let D be the difference and σ(i) the i-th singular value of a matrix. The sketch S·D·R has a part C
/// of p rows and columns after the first 64, from which a decomposition tells r, the number of its
/// singular values that look large, and a matrix of rank r that is near to D. The first 64 rows of S
/// and columns of R are independent of that, so they probe D, and what is left of it: T and U are
/// what is in their place of the sketch, before and after that matrix is taken away. As the probes
/// have independent normal values, and the other rows and columns are a part of orthogonal ones of
/// squared lengths M and N, these bounds hold, the first three with high probability, and without any
/// assumption about D. M and N are the sides of D, rounded up to powers of two or, where 256 rows and
/// columns are enough, to multiples of 256:
///
/// - σ(r + 1) of D is at most ‖U‖/ℓ, where ℓ is a lower bound of χ² of 64 degrees of freedom;
/// - ‖D‖ is at most ‖T‖/ℓ;
/// - ‖T‖ is at most a·‖D‖ + b·‖D‖_F (Chevet), a ≈ 221 and b ≈ 23, where ‖D‖_F is at most √r·‖D‖ and
///   what is left;
/// - σ(r) of C is at most √(M·N)·σ(r) of D.
///
/// From the second and the third, the threshold has an upper and a lower bound. The rank is r if
/// σ(r + 1) of D must be below the lower one, and σ(r) of D above the upper one. The decomposition is an
/// interpolative one, and a Cholesky decomposition shows that all r singular values are so
/// large. Rounding errors are added to all bounds, at 16 times what they are if they are random.
///
/// So the rank is the one that all singular values would give, unless a bound fails. Each fails with a
/// probability of at most 2⁻³⁰, and a rank rests on at most some sixty: for one difference it is wrong
/// with a probability below 10⁻⁷, over the choice of S and R. These are fixed for a shape, so matrices
/// that were made to deceive it can.
///
/// There is no answer where singular values come nearer to the threshold than a factor of some 10 to
/// 100 on either side, more the nearer the rank is to p; nor for
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
    /// Of the leading part.
    decomposition: InterpolativeDecomposition,
    products: [Vec<f64>; 3],
}

impl fmt::Debug for SketchSolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SketchSolver").finish_non_exhaustive()
    }
}

/// Two sketches, and what the probes tell of their difference.
struct SketchedDifference<'a> {
    first: &'a Sketch,
    second: &'a Sketch,
    tolerance: Tolerance,
    probed: Probed,
    /// The size of the largest part.
    largest: usize,
}

struct Probed {
    /// Bounds of the spectral norm of the probes.
    norm: Range<f64>,
    /// About (Σσ²)²/Σσ⁴ of the difference: no more than its rank.
    effective_rank: f64,
}

/// What a part of two sketches tells of the rank.
enum Finding {
    Certain(usize),
    /// What it looks like.
    Doubtful(usize),
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
    /// O(p³) time, where p is about 1.4 times the rank if that is less than the size of the sketches less
    /// 64.
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
        let hopeless = largest <= least || tolerance == Tolerance::GavishDonoho;
        if hopeless || first.norm.max(second.norm) > RANGE {
            return Ok(None);
        }
        let probed = self.probe(first, second)?;
        if !(probed.norm.end > 1.0 / RANGE && probed.norm.end < RANGE) {
            return Ok(None);
        }
        let difference = SketchedDifference {
            first,
            second,
            tolerance,
            probed,
            largest,
        };
        // Few sizes, since the bounds must hold for all that may be looked at: each is four fifths of the
        // next.
        let at_least = |wanted: usize| {
            let mut part = largest;
            while part * 4 / 5 >= wanted {
                part = part * 4 / 5;
            }
            part
        };
        // Where the rank isn't much more than the effective one, the first part will do. A part that is
        // too small is cheap to find out, and one that is larger than it need be is not.
        let likely = (ROOM * difference.probed.effective_rank) as usize;
        let mut part = at_least(likely.max(least + 1));
        loop {
            let looks_like = match self.rank_of_part(&difference, part)? {
                Finding::Certain(rank) => return Ok(Some(rank)),
                Finding::Doubtful(_) if part == largest => return Ok(None),
                // All of it looks large: the rank can be any larger one.
                Finding::Doubtful(rank) if rank == part => part * 4 / 3,
                Finding::Doubtful(rank) => rank,
            };
            part = at_least(least_part(looks_like).max(part + 1));
        }
    }

    /// The same, from the leading rows and columns after the probes.
    fn rank_of_part(
        &mut self,
        difference: &SketchedDifference<'_>,
        part: usize,
    ) -> Result<Finding, RankError> {
        let SketchedDifference {
            first,
            second,
            tolerance,
            probed,
            largest,
        } = difference;
        let shape = first.shape;
        // The resolution is that of the decomposition of the whole matrix.
        let resolution = shape.0.max(shape.1) as f64 * f64::EPSILON;
        let threshold =
            |largest: f64| tolerance.threshold_by_largest(shape, largest, largest * resolution);
        let size = part + PROBES;
        let norm = self.load_difference(first, second, size)?;
        let sides = size as f64;
        let rounding = first.rounding_of_difference(second, size)
            + 4.0 * f64::EPSILON * sides * Float::sqrt(sides) * norm;
        let decomposition = &mut self.decomposition;
        decomposition.decompose(leading(&self.sketch, part), part)?;
        let guess = threshold(decomposition.longest_column() / part as f64).unwrap_or(0.0);
        let rank = decomposition.columns_above(guess * part as f64);
        let doubtful = Ok(Finding::Doubtful(rank));
        // Where there are larger parts, this one would likely be in vain.
        if rank == part || (part < *largest && part < least_part(rank)) {
            return doubtful;
        }

        let seen = least_square(PROBES);
        let Some(most) = threshold((probed.norm.end + rounding) / seen) else {
            return doubtful;
        };
        let needed = most * first.stretch.min(second.stretch) + rounding;
        if !(decomposition.exceeds(rank, needed)? && decomposition.interpolate(rank)?) {
            return doubtful;
        }
        let (rest, gain_of_rows) = self.norm_of_rest(part)?;
        let (of_spectral, of_frobenius) = largest_norm(PROBES);
        let certain = |gain_of_columns: f64| {
            let gain = (1.0 + gain_of_rows) * (1.0 + gain_of_columns);
            let rest = (rest + gain * rounding) / seen;
            let rest_norm = rest * Float::sqrt(shape.0.min(shape.1) as f64);
            let lower = (probed.norm.start - rounding - of_frobenius * rest_norm).max(0.0)
                / (of_spectral + of_frobenius * Float::sqrt(rank as f64));
            threshold(lower).is_some_and(|least| rest < least)
        };
        // No singular value of Ĉ is less than what is needed, so a bound of the gain comes free. Rounding
        // rarely matters so much that more must be known.
        if certain(self.norm_of_rows(part) / needed) || certain(self.gain_of_columns(part)?) {
            Ok(Finding::Certain(rank))
        } else {
            doubtful
        }
    }

    /// What the probes alone tell of a difference.
    fn probe(&mut self, first: &Sketch, second: &Sketch) -> Result<Probed, RankError> {
        self.load_difference(first, second, PROBES)?;
        let [_, square, product] = &mut self.products;
        let probes = Operand::new(&self.sketch, (PROBES, PROBES), PROBES);
        make_room(product, PROBES * PROBES)?;
        gram(product, probes);
        let trace: f64 = product.iter().step_by(PROBES + 1).sum();
        let squares = bounds_of_norm(product, square, PROBES)?;
        // With n probes, E‖TTᵀ‖² ≈ n⁴Σσ⁴ + 2n³(Σσ²)², and E‖T‖² = n²Σσ².
        let ratio = sum_of_squares(product) / (trace * trace) - 2.0 / PROBES as f64;
        Ok(Probed {
            norm: Float::sqrt(squares.start)..Float::sqrt(squares.end),
            effective_rank: 1.0 / ratio.max(1e-3),
        })
    }

    /// Loads the leading part of the sketch of the difference, and returns its Frobenius norm.
    fn load_difference(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        size: usize,
    ) -> Result<f64, RankError> {
        make_room(&mut self.sketch, size * size)?;
        let (first, second) = (first.rows(), second.rows());
        let rows = self.sketch.chunks_exact_mut(size).zip(first.zip(second));
        let squares: f64 = in_wide_registers(
            #[inline(always)]
            || {
                let mut squares = 0.0;
                for (row, (first, second)) in rows {
                    for (to, (first, second)) in row.iter_mut().zip(first.iter().zip(second)) {
                        *to = first - second;
                    }
                    squares += sum_of_squares(row);
                }
                squares
            },
        );
        Ok(Float::sqrt(squares))
    }

    /// The spectral norm of what the probes see of the difference without its approximation, and the norm
    /// of Z, which errors in X are multiplied by.
    ///
    /// With Ĉ the approximation of the part C, and X, Y the probes' rows and columns, X·Z is that of the
    /// probes of the probes, Z = Ĉ⁺Y. However inaccurate Z is, its rank is right, and errors in its product
    /// with X are in the result.
    fn norm_of_rest(&mut self, part: usize) -> Result<(f64, f64), RankError> {
        let size = part + PROBES;
        let [products, transposed, rest] = &mut self.products;
        let columns = Operand::new(&self.sketch[PROBES * size..], (part, PROBES), size);
        make_room(products, PROBES * part)?;
        multiply(products, columns.transpose(), leading(&self.sketch, part));
        self.decomposition.solve(products, transposed)?;
        let gain_of_rows = Float::sqrt(sum_of_squares(transposed));

        make_room(rest, PROBES * PROBES)?;
        let of_probes = rest.chunks_exact_mut(PROBES);
        for (to, from) in of_probes.zip(self.sketch.chunks_exact(size)) {
            to.copy_from_slice(&from[..PROBES]);
        }
        let rows = Operand::new(&self.sketch[PROBES..], (PROBES, part), size);
        let transposed = Operand::new(transposed, (PROBES, part), part);
        subtract_product(rest, rows, transposed.transpose());
        make_room(products, PROBES * PROBES)?;
        gram(products, Operand::new(rest, (PROBES, PROBES), PROBES));
        let square = bounds_of_norm(products, rest, PROBES)?.end;
        Ok((Float::sqrt(square), gain_of_rows))
    }

    /// The norm of X.
    fn norm_of_rows(&self, part: usize) -> f64 {
        Float::sqrt(rows_of_probes(&self.sketch, part).map(sum_of_squares).sum())
    }

    /// The norm of X·Ĉ⁺, which errors in Y are multiplied by.
    fn gain_of_columns(&mut self, part: usize) -> Result<f64, RankError> {
        let rows = rows_of_probes(&self.sketch, part);
        self.decomposition.norm_of_quotient(rows)
    }
}

/// X.
fn rows_of_probes(sketch: &[f64], part: usize) -> impl ExactSizeIterator<Item = &[f64]> + Clone {
    let rows = sketch.chunks_exact(part + PROBES).take(PROBES);
    rows.map(|row| &row[PROBES..])
}

/// The size of a part that will likely tell a rank.
const fn least_part(rank: usize) -> usize {
    rank * 7 / 6
}

/// The part of a sketch that isn't the probes.
fn leading(sketch: &[f64], part: usize) -> Operand<'_> {
    let size = part + PROBES;
    Operand::new(&sketch[PROBES * size + PROBES..], (part, part), size)
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
    make_room(square, size * size)?;
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

    /// What saves computing a gain must not be less than it.
    #[test]
    fn the_gain_of_columns_is_no_more_than_its_bound() {
        let (projection, zero) = projection_and_zero(160);
        for (large, ratio) in [(1, 1.0_f64), (8, 0.7), (40, 0.95), (70, 1.0)] {
            let spectrum = |index| {
                if index < large {
                    ratio.powi(index as i32)
                } else {
                    1e-9
                }
            };
            let sketch = sketch(&projection, spectrum);
            let (mut solver, part) = (SketchSolver::new(), 96);
            solver
                .load_difference(&sketch, &zero, part + PROBES)
                .unwrap();
            let decomposition = &mut solver.decomposition;
            let leading = leading(&solver.sketch, part);
            decomposition.decompose(leading, part).unwrap();
            let mut needed = 1e3;
            while !decomposition.exceeds(large, needed).unwrap() {
                needed *= 0.9;
            }
            assert!(decomposition.interpolate(large).unwrap());
            let bound = solver.norm_of_rows(part) / needed;
            let gain = solver.gain_of_columns(part).unwrap();
            assert!(gain <= bound && gain > 1e-3 * bound, "{gain} {bound}");
        }
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
