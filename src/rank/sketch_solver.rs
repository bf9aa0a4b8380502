//! The rank of a difference from two sketches, if they leave no doubt.

use alloc::vec::Vec;
use core::ops::Range;

use num_traits::Float;

use super::Tolerance;
use super::concentration::{DEVIATION, least_square};
use super::decomposition::{
    Operand, Scratch, cholesky, divide_by_product, gram, multiply, pivoted_cholesky,
    subtract_product,
};
use super::sketch::{PROBES, RandomProjection, Sketch, sum_of_squares};
use super::solver::make_room;

/// The ratio of the first part's size to the effective rank: ranks of trained updates are up to twice
/// the effective rank.
const ROOM: f64 = 2.0;

/// The least useful number of vectors; fewer carry too little information.
const SMALLEST: usize = 16;

/// Squares and fourth powers of norms between the inverse of this and this don't overflow.
const RANGE: f64 = 1e60;

/// Finds the rank of differences from sketches, if it is certain, reusing its working memory.
///
/// Let D be the difference, m its shorter side, n its longer one, and σ(i) its i-th singular value. Sketches
/// give D·Ψ and D·Ω, where Ψ are the probes, 32 vectors of independent normal values, and Ω are p others. As
/// in Halko, Martinsson and Tropp, the space spanned by r vectors of D·Ω contains nearly all of D if r is the
/// rank of D:
///
/// ```text
/// (DΩ)ᵀ(DΩ) = RᵀR       pivoted Cholesky: r of the vectors DΩ, those with much that is new
/// U = DΨ less its part in the space of these vectors
///
/// σ(r + 1) ≤ ‖U‖/ℓ      as r vectors span no more than r dimensions
/// σ(r) > x/ω            if the first r rows R₁ have R₁R₁ᵀ − x²I positive definite: another Cholesky
/// ‖D‖ ≤ ‖DΨ‖/ℓ          and at least (‖DΨ‖ − ‖U‖·√m/ℓ)/(√32 + t + √r)
/// ```
///
/// ℓ² is a lower bound of χ² with 32 degrees of freedom, since Ψ is independent of Ω and so of the r vectors;
/// ω is an upper bound of ‖Ω‖, and the last line is Chevet's bound. The norm of D gives the threshold an
/// upper and a lower bound. The rank is r if σ(r + 1) is below the lower bound and σ(r) above the upper one.
/// Rounding errors of the r vectors, and of the part subtracted from DΨ, make U no smaller. Rounding errors
/// of the products with D are added, at 16 times their size if they are random.
///
/// So the rank is the one that all singular values would give, unless a bound fails. Each fails with a
/// probability of at most 2⁻³², and a rank depends on at most about sixty. So for one difference it is wrong
/// with a probability below 10⁻⁷ over the choice of vectors. These are fixed for each shape, so someone can
/// craft matrices that give a wrong rank.
///
/// There is no answer if singular values come closer to the threshold than a factor of about 10 to 100 on
/// either side, a larger one the closer the rank is to p. There is also none for [`Tolerance::GavishDonoho`],
/// which needs all singular values, or for a difference of zero.
///
/// # References
///
/// - N. Halko, P. G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2),
///   2011, section 10. [doi:10.1137/090771806](https://doi.org/10.1137/090771806)
/// - N. J. Higham, T. Mary, "A new approach to probabilistic rounding error analysis", SIAM Journal
///   on Scientific Computing 41(5), 2019. [doi:10.1137/18M1226312](https://doi.org/10.1137/18M1226312)
#[derive(Default)]
pub(super) struct SketchSolver {
    /// The products of the difference, those of the probes first.
    products: Vec<f64>,
    /// The factor R of the Gram matrix G, and the column of G to which each of its columns belongs.
    triangle: Vec<f64>,
    order: Vec<usize>,
    chosen: Vec<f64>,
    coefficients: Vec<f64>,
    rest: Vec<f64>,
    square: Vec<f64>,
    scratch: Scratch,
}

/// Two sketches, and what the probes show about their difference.
struct Difference<'a> {
    first: &'a Sketch,
    second: &'a Sketch,
    tolerance: Tolerance,
    /// Bounds on the norm of the probes' products.
    norm: Range<f64>,
}

impl Difference<'_> {
    /// The threshold for singular values if this is the largest.
    fn threshold(&self, largest: f64) -> Option<f64> {
        let (_, long) = self.first.sides();
        // The resolution is that of a decomposition of the whole matrix.
        let resolution = long as f64 * f64::EPSILON * largest;
        (self.tolerance).threshold_by_largest(self.first.shape, largest, resolution)
    }
}

/// What some of the vectors show about the rank.
enum Finding {
    Certain(usize),
    /// The likely rank.
    Doubtful(usize),
}

impl SketchSolver {
    /// The rank of the difference of two matrices of one shape, if their sketches leave no doubt and there is
    /// memory. Only tries numbers of vectors above `fewer`.
    ///
    /// O(m·p²) time, where p is about 1.4 times the rank and m the shorter side.
    pub(super) fn rank_of_difference(
        &mut self,
        first: &Sketch,
        second: &Sketch,
        tolerance: Tolerance,
        fewer: usize,
    ) -> Option<usize> {
        tolerance.validate().ok()?;
        let largest = first.count().min(second.count()).saturating_sub(PROBES);
        let least = fewer.saturating_sub(PROBES).max(SMALLEST - 1);
        let hopeless = largest <= least || tolerance == Tolerance::GavishDonoho;
        if hopeless || first.norm.max(second.norm) > RANGE {
            return None;
        }
        self.products.clear();
        first.extend_difference(second, PROBES, &mut self.products)?;
        let (norm, effective_rank) = self.probe(first.sides().0)?;
        if !(norm.end > 1.0 / RANGE && norm.end < RANGE) {
            return None;
        }
        let difference = Difference {
            first,
            second,
            tolerance,
            norm,
        };
        // Only a few numbers of vectors are possible, since the bounds must hold for all of them: each is
        // four fifths of the next.
        let at_least = |wanted: usize| {
            let mut part = largest;
            while part * 4 / 5 >= wanted {
                part = part * 4 / 5;
            }
            part
        };
        let likely = (ROOM * effective_rank) as usize;
        let mut part = at_least(likely.max(least + 1));
        loop {
            let looks_like = match self.rank_by(&difference, part)? {
                Finding::Certain(rank) => return Some(rank),
                Finding::Doubtful(_) if part == largest => return None,
                // All values look large, so the rank can be any larger number.
                Finding::Doubtful(rank) if rank == part => part * 4 / 3,
                Finding::Doubtful(rank) => rank,
            };
            part = at_least(least_part(looks_like).max(part + 1));
        }
    }

    /// Bounds on the norm of the probes' products, and an estimate of (Σσ²)²/Σσ⁴ of the difference, which is
    /// at most its rank.
    fn probe(&mut self, length: usize) -> Option<(Range<f64>, f64)> {
        let products = &self.products[..PROBES * length];
        let norm = norm_of_rows(products, &mut self.chosen, &mut self.square)?;
        // With n probes, E‖(DΨ)ᵀ(DΨ)‖² ≈ n²Σσ⁴ + n(Σσ²)², and E‖DΨ‖² = nΣσ².
        let trace: f64 = self.chosen.iter().step_by(PROBES + 1).sum();
        let ratio = sum_of_squares(&self.chosen) / (trace * trace) - 1.0 / PROBES as f64;
        Some((norm, 1.0 / ratio.max(1e-3)))
    }

    /// What the first `part` vectors after the probes show.
    fn rank_by(&mut self, difference: &Difference<'_>, part: usize) -> Option<Finding> {
        let Difference { first, second, .. } = *difference;
        let (short, long) = first.sides();
        let count = PROBES + part;
        first.extend_difference(second, count, &mut self.products)?;
        let vectors = Operand::new(&self.products[PROBES * short..], (part, short), short);
        make_room(&mut self.triangle, part * part).ok()?;
        gram(&mut self.triangle, vectors);
        let squares: f64 = self.triangle.iter().step_by(part + 1).sum();
        let (triangle, order) = (&mut self.triangle, &mut self.order);
        let rows = pivoted_cholesky(triangle, order, part, &mut self.scratch).ok()?;
        let diagonal = triangle.iter().step_by(part + 1).take(rows);
        let sides = Float::sqrt(part as f64);
        let longest = if rows > 0 { triangle[0] } else { 0.0 };
        let guess = difference.threshold(longest / sides).unwrap_or(0.0) * sides;
        let rank = diagonal.take_while(|&&value| value > guess).count();
        if rank == part {
            return Some(Finding::Doubtful(rank));
        }

        let rounding = first.rounding_of_difference(second, count)
            + 8.0 * f64::EPSILON * Float::sqrt(short as f64 * squares);
        let seen = Float::sqrt(least_square(PROBES));
        let most = difference.threshold((difference.norm.end + rounding) / seen);
        let stretch = RandomProjection::stretch(long, part);
        let exceeds = |most| self.exceeds(rank, part, squares, most * stretch + rounding);
        if !most.map_or(Some(false), exceeds)? {
            return Some(Finding::Doubtful(rank));
        }
        let rest = (self.norm_of_rest(rank, part, short, squares)? + rounding) / seen;
        let norm = difference.norm.start - rounding - rest * Float::sqrt(short as f64);
        let probes = Float::sqrt(PROBES as f64) + DEVIATION;
        let least = difference.threshold(norm.max(0.0) / (probes + Float::sqrt(rank as f64)));
        Some(match least {
            Some(least) if rest < least => Finding::Certain(rank),
            _ => Finding::Doubtful(rank),
        })
    }

    /// Whether at least `rank` singular values of DΩ are certainly larger than `least`: it has at least as
    /// many as the leading rows of its decomposition.
    fn exceeds(&mut self, rank: usize, part: usize, squares: f64, least: f64) -> Option<bool> {
        for (row, values) in self.triangle.chunks_exact_mut(part).enumerate().take(rank) {
            values[..row].fill(0.0);
        }
        make_room(&mut self.chosen, rank * rank).ok()?;
        gram(
            &mut self.chosen,
            Operand::new(&self.triangle, (rank, part), part),
        );
        // The possible effect of rounding on G and its decompositions.
        let square = least * least + 4.0 * part as f64 * f64::EPSILON * squares;
        let diagonal = self.chosen.iter_mut().step_by(rank + 1);
        diagonal.for_each(|value| *value -= square);
        cholesky(&mut self.chosen, rank, &mut self.scratch).ok()
    }

    /// The norm of the probes' products after removing the first `rank` columns, including rounding.
    fn norm_of_rest(
        &mut self,
        rank: usize,
        part: usize,
        length: usize,
        squares: f64,
    ) -> Option<f64> {
        let (probes, vectors) = self.products.split_at(PROBES * length);
        let vectors = Operand::new(vectors, (part, length), length);
        let probed = Operand::new(probes, (PROBES, length), length);
        make_room(&mut self.coefficients, PROBES * part).ok()?;
        multiply(&mut self.coefficients, probed, vectors.transpose());
        // Only those of the chosen columns; the others stay zero.
        make_room(&mut self.chosen, PROBES * rank).ok()?;
        let chosen = &self.order[..rank];
        let rows = self.coefficients.chunks_exact_mut(part);
        for (row, to) in rows.zip(self.chosen.chunks_exact_mut(rank.max(1))) {
            to.iter_mut()
                .zip(chosen)
                .for_each(|(to, &at)| *to = row[at]);
        }
        divide_by_product(&mut self.chosen, &self.triangle, rank, part);
        self.coefficients.fill(0.0);
        let rows = self.coefficients.chunks_exact_mut(part);
        for (row, from) in rows.zip(self.chosen.chunks_exact(rank.max(1))) {
            chosen
                .iter()
                .zip(from)
                .for_each(|(&at, &from)| row[at] = from);
        }
        self.rest.clear();
        make_room(&mut self.rest, probes.len()).ok()?;
        self.rest.copy_from_slice(probes);
        let coefficients = Operand::new(&self.coefficients, (PROBES, part), part);
        subtract_product(&mut self.rest, coefficients, vectors);
        let sizes = sum_of_squares(&self.coefficients) * squares;
        let rounding = 8.0 * f64::EPSILON * Float::sqrt(part as f64 * sizes);
        let norm = norm_of_rows(&self.rest, &mut self.chosen, &mut self.square)?;
        Some(norm.end + rounding)
    }
}

/// The number of vectors that is likely to determine a rank.
const fn least_part(rank: usize) -> usize {
    rank * 7 / 6
}

/// Bounds on the spectral norm of a matrix with one row per probe. Also writes the matrix M of the products
/// of its rows. With λ the eigenvalues of M, Σλ⁴/Σλ² ≤ max λ² ≤ √Σλ⁴.
fn norm_of_rows(
    rows: &[f64],
    products: &mut Vec<f64>,
    square: &mut Vec<f64>,
) -> Option<Range<f64>> {
    let length = rows.len() / PROBES;
    let symmetric = |products: &mut Vec<f64>, rows: Operand<'_>| {
        make_room(products, PROBES * PROBES).ok()?;
        gram(products, rows);
        for row in 1..PROBES {
            for column in 0..row {
                products[row * PROBES + column] = products[column * PROBES + row];
            }
        }
        Some(sum_of_squares(products))
    };
    let second = symmetric(products, Operand::new(rows, (PROBES, length), length))?;
    let fourth = symmetric(square, Operand::new(products, (PROBES, PROBES), PROBES))?;
    let least = if second > 0.0 { fourth / second } else { 0.0 };
    let of_square = Float::sqrt(least)..Float::sqrt(Float::sqrt(fourth));
    Some(Float::sqrt(of_square.start)..Float::sqrt(of_square.end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::MatrixView;

    const SHAPE: (usize, usize) = (200, 170);

    /// The sketch of a matrix with these singular values.
    ///
    /// A diagonal matrix is as good as any: rotating it rotates the normal values, which doesn't change
    /// their distribution.
    fn sketch(projection: &RandomProjection, spectrum: impl Fn(usize) -> f64) -> Sketch {
        let mut values = alloc::vec![0.0; SHAPE.0 * SHAPE.1];
        for index in 0..SHAPE.1 {
            values[index * SHAPE.1 + index] = spectrum(index);
        }
        let matrix = MatrixView::new(&values, SHAPE.0, SHAPE.1).unwrap();
        projection.sketch(matrix).unwrap()
    }

    fn rank(sketch: &Sketch, zero: &Sketch, tolerance: Tolerance) -> Option<usize> {
        let of = |first, second| {
            let mut solver = SketchSolver::default();
            solver.rank_of_difference(first, second, tolerance, 0)
        };
        let found = of(sketch, zero);
        assert_eq!(of(zero, sketch), found);
        found
    }

    fn projection_and_zero(size: usize) -> (RandomProjection, Sketch) {
        let projection = RandomProjection::new(SHAPE, size).unwrap();
        let zero = sketch(&projection, |_| 0.0);
        (projection, zero)
    }

    #[test]
    fn clear_ranks_are_decided() {
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

    /// Every answer must be the number of values above the threshold, whatever their distribution.
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
                    if let Some(found) = rank(&sketch, &zero, tolerance) {
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
        // One large value hides the small ones.
        check(&|i| if i == 0 { 1e6 } else { 1e-3 });
        assert!(told > 100, "{told}");
    }

    /// A sketch makes some of these look larger than they are.
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
    fn doubtful_ranks_have_no_answer() {
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
        // Values hidden by the rounding of large matrices.
        let large = sketch(&projection, |_| 1e14);
        assert_eq!(rank(&clear, &large, Tolerance::Absolute(1e-4)), None);
    }

    #[test]
    fn sketches_of_two_sizes_share_their_leading_part() {
        let (small, small_zero) = projection_and_zero(120);
        let (large, large_zero) = projection_and_zero(160);
        let spectrum = |i| if i < 8 { 1.0 } else { 1e-9 };
        let (small, large) = (sketch(&small, spectrum), sketch(&large, spectrum));
        let tolerance = Tolerance::Relative(1e-4);
        assert_eq!(rank(&small, &large_zero, tolerance), Some(8));
        assert_eq!(rank(&large, &small_zero, tolerance), Some(8));
    }

    #[test]
    fn wrong_tolerances_have_no_answer() {
        let (projection, zero) = projection_and_zero(96);
        let sketch = sketch(&projection, |_| 1.0);
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(rank(&zero, &sketch, Tolerance::Relative(value)), None);
        }
    }
}
