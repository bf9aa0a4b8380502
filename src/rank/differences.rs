//! The ranks of the differences of many pairs among matrices of one shape.

use alloc::vec::Vec;

use super::Tolerance;
use super::sketch::{RandomProjection, Sketch};
use super::sketch_solver::SketchSolver;
use super::{MatrixView, RankError, SingularValueSolver};
use crate::Scalar;
use crate::parallel::{self, map_with_memory};

/// The size of the first sketches.
const FIRST: usize = 320;

/// The least useful sketch size; smaller sketches carry too little information.
const LEAST: usize = 96;

/// A pair of matrices in a slice, and the rule for the rank of their difference.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Difference {
    /// The position of the first matrix.
    pub first: usize,
    /// The position of the second matrix.
    pub second: usize,
    /// The rule that separates singular values from noise.
    pub tolerance: Tolerance,
}

/// Working memory that one thread keeps between pairs.
#[derive(Default)]
struct Solvers {
    sketched: SketchSolver,
    exact: SingularValueSolver,
}

/// The ranks of the differences of pairs of matrices, in the order of the pairs. Each is the rank that
/// [`rank_of_difference`](super::rank_of_difference) would find.
///
/// Each matrix is sketched once, that is, multiplied by random vectors. The rank of a pair is found from two
/// sketches: small ones first, then larger ones for the remaining pairs, up to three quarters of the shorter
/// side. Only if these leave a doubt are the eigenvalues of the Gram matrix computed, and the singular values
/// only if one of these is so close to the threshold that rounding decides. So this is fast if the ranks are
/// small compared with the matrices and few singular values are near the threshold, and otherwise still
/// faster than the decompositions. Matrices with fewer than 128 rows or columns aren't sketched.
///
/// A pair's rank doesn't depend on the other pairs or on the number of threads. It equals the rank from the
/// singular values, except with a probability below 10⁻⁷ over the choice of random vectors. These vectors are
/// fixed for each shape, so someone can craft matrices that give a wrong rank.
///
/// # Errors
///
/// For each pair, those of [`rank_of_difference`](super::rank_of_difference), and
/// [`RankError::UnknownMatrix`] for a position that isn't in `matrices`.
///
/// # Complexity
///
/// O(v·m·n·(32 + r/32) + p·min(m, n)·r²) time for v matrices of m rows and n columns and p pairs with ranks
/// up to r < min(m, n)/2; O(m·n·min(m, n)) for each other pair. Space for at most 0.75·v·min(m, n)² values,
/// plus the memory of a [`SingularValueSolver`] for each thread that needs one.
///
/// # Examples
///
/// ```
/// use mother::rank::{Difference, MatrixView, Tolerance, ranks_of_differences};
///
/// let matrices = [[1.0, 0.0, 0.0, 1.0], [2.0, 0.0, 0.0, 1.0], [2.0, 0.0, 0.0, 3.0]];
/// let views: Vec<_> = matrices.iter().map(|m| MatrixView::new(m, 2, 2)).collect::<Result<_, _>>()?;
/// let tolerance = Tolerance::Relative(1e-9);
/// let pairs = [(0, 1), (0, 2)].map(|(first, second)| Difference { first, second, tolerance });
/// assert_eq!(ranks_of_differences(&views, &pairs), [Ok(1), Ok(2)]);
/// # Ok::<(), mother::rank::RankError>(())
/// ```
#[must_use]
pub fn ranks_of_differences<T: Scalar>(
    matrices: &[MatrixView<'_, T>],
    pairs: &[Difference],
) -> Vec<Result<usize, RankError>> {
    let mut found: Vec<Option<usize>> = alloc::vec![None; pairs.len()];
    let shape = matrices.first().map(|m| (m.rows(), m.columns()));
    let mut smaller = 0;
    for size in sizes(shape.unwrap_or((0, 0))) {
        let sketches = sketches(matrices, pairs, &found, size);
        found = map_with_memory(
            found.iter().zip(pairs),
            |solvers: &mut Solvers, (&known, pair)| {
                let sketch = |position: usize| sketches.get(position)?.as_ref();
                known.or_else(|| {
                    let (first, second) = (sketch(pair.first)?, sketch(pair.second)?);
                    // Any error is left to the decomposition to report.
                    (solvers.sketched).rank_of_difference(first, second, pair.tolerance, smaller)
                })
            },
        );
        smaller = size;
    }
    map_with_memory(
        found.iter().zip(pairs),
        |solvers: &mut Solvers, (&known, pair)| {
            let matrix = |position: usize| {
                let unknown = RankError::UnknownMatrix { position };
                matrices.get(position).copied().ok_or(unknown)
            };
            known.map_or_else(
                || {
                    let (first, second) = (matrix(pair.first)?, matrix(pair.second)?);
                    (solvers.exact).rank_of_difference(first, second, pair.tolerance)
                },
                Ok,
            )
        },
    )
}

/// The sizes of sketches for matrices of a shape, smallest first.
fn sizes((rows, columns): (usize, usize)) -> impl Iterator<Item = usize> {
    // Larger sketches aren't faster than the decomposition.
    let largest = rows.min(columns) * 3 / 4;
    let next = move |&size: &usize| (size < largest).then(|| (size / 3 * 8).min(largest));
    core::iter::successors((largest >= LEAST).then_some(FIRST.min(largest)), next)
}

/// Sketches of the matrices in pairs whose rank isn't known yet; `None` for other matrices and on failure.
fn sketches<T: Scalar>(
    matrices: &[MatrixView<'_, T>],
    pairs: &[Difference],
    found: &[Option<usize>],
    size: usize,
) -> Vec<Option<Sketch>> {
    let mut wanted = alloc::vec![false; matrices.len()];
    for (pair, _) in pairs.iter().zip(found).filter(|(_, rank)| rank.is_none()) {
        if pair.tolerance != Tolerance::GavishDonoho {
            for position in [pair.first, pair.second] {
                if let Some(wanted) = wanted.get_mut(position) {
                    *wanted = true;
                }
            }
        }
    }
    let projection = (wanted.contains(&true).then_some(matrices))
        .and_then(<[_]>::first)
        .and_then(|matrix| RandomProjection::new((matrix.rows(), matrix.columns()), size));
    parallel::map(wanted.iter().zip(matrices), |(&wanted, &matrix)| {
        (projection.as_ref().filter(|_| wanted)?).sketch(matrix)
    })
}
