//! Euclidean distances between all pairs of vectors, squared or not.
//!
//! [`euclidean_distances`] computes the same as SciPy's `pdist`. [`squared_distances`] leaves out the square
//! roots and writes into existing memory. [`VectorSet`] accumulates squared distances of long vectors that
//! arrive in pieces, and splits the pairs between threads.
//!
//! # Accuracy
//!
//! Differences are computed directly: ‖u − v‖² is never computed as ‖u‖² + ‖v‖² − 2u·v, which loses all
//! digits when u and v differ by a thousandth of their norm. For `f32` vectors, sums of 32 squares are
//! computed in `f32`, by fused multiply-adds in chains of eight that are added in pairs, and accumulated in
//! `f64`. So each difference, which counts twice, and the sums that contain its square are rounded at most 12
//! times in `f32`. The relative error of a squared distance is therefore at most 12 · 2⁻²⁴ < 7.2e-7, and that
//! of a distance half of it, for vectors of any length. In practice it is below 2e-7, and below 5e-8 for 768
//! elements. For `f64` vectors it is at most (44 + d/1024) · 2⁻⁵³ for d elements. Both bounds omit terms of
//! second order.
//!
//! `f32` squares that overflow or underflow do no harm: where they could have an effect, a pair's section of
//! 1024 elements is computed in `f64`. In `f64`, a squared distance above 1.8e308 becomes infinite, and
//! squares of differences below 1e-154 lose digits.
//!
//! # Bitwise reproducibility
//!
//! The result for a pair depends only on its two vectors. It doesn't depend on their order, the other
//! vectors, how the pairs were split between threads, or the processor. Every lane of a vector register
//! belongs to one pair, whose squares are added in an order determined only by the position in the vector. An
//! `f32` square and its sum are rounded once, by a fused multiply-add or, on processors without one, by
//! equivalent operations in `f64`. Those of `f64` are rounded twice.
//!
//! # Speed
//!
//! The feature `simd` uses the widest vector registers of the processor. With AVX-512 that is
//! about 29 G pairs of `f32` elements a second on one thread of a 2.6 GHz Xeon (Emerald Rapids), which is
//! 70% of the peak of its two units. AVX2 gives 20 G. A small number of vectors leaves lanes unused: 21 get
//! 10 G, 5 get 2 G. Without `simd`, or on a processor without fused multiply-add, it is 0.6 G.
//!
//! # Examples
//!
//! ```
//! use mother::pairwise::euclidean_distances;
//!
//! let distances = euclidean_distances(&[&[0.0_f32, 0.0], &[3.0, 4.0], &[3.0, 0.0]])?;
//! assert_eq!(distances.values(), [5.0, 3.0, 4.0]);
//! # Ok::<(), mother::pairwise::PairwiseError>(())
//! ```
//!
//! # References
//!
//! - N. J. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific Computing
//!   14(4), 1993. [doi:10.1137/0914050](https://doi.org/10.1137/0914050)
//! - K. Goto, R. A. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM
//!   Transactions on Mathematical Software 34(3), 2008, from which the packed panels are taken.
//!   [doi:10.1145/1356052.1356053](https://doi.org/10.1145/1356052.1356053)

mod error;
mod range;
#[cfg(feature = "simd")]
mod simd;
mod square;
mod tile;
mod vectors;

use alloc::vec::Vec;

use num_traits::Float;

pub use self::error::PairwiseError;
pub use self::vectors::{RowBlock, VectorSet};

use self::vectors::pairs_before;
use crate::Scalar;
use crate::condensed::CondensedMatrix;

/// Writes the squared Euclidean distances between all pairs, in the order of [`CondensedMatrix`]:
/// (0, 1), (0, 2), …, (1, 2), ….
///
/// The distance between vectors without elements is zero.
///
/// # Errors
///
/// [`PairwiseError::Length`] and [`PairwiseError::NotFinite`] naming the first vector at fault,
/// [`PairwiseError::Output`] if the output doesn't have exactly one element per pair. Then nothing is
/// written.
///
/// # Complexity
///
/// O(n² d) for n vectors of d elements; O(n) extra memory and less than 100 kB.
///
/// # Examples
///
/// ```
/// use mother::pairwise::squared_distances;
///
/// let mut squared = [0.0; 3];
/// squared_distances(&[&[0.0, 0.0], &[3.0, 4.0], &[3.0, 0.0]], &mut squared)?;
/// assert_eq!(squared, [25.0, 9.0, 16.0]);
/// # Ok::<(), mother::pairwise::PairwiseError>(())
/// ```
pub fn squared_distances<T: Scalar>(
    vectors: &[&[T]],
    condensed: &mut [f64],
) -> Result<(), PairwiseError> {
    let vectors = VectorSet::new(vectors.iter().copied())?;
    vectors.check_output(&(0..vectors.count()), condensed)?;
    condensed.fill(0.0);
    vectors.add_squared_distances(condensed)
}

/// The Euclidean distances between all pairs, as SciPy's `pdist` computes by default.
///
/// # Errors
///
/// [`PairwiseError::Length`] and [`PairwiseError::NotFinite`] with the first vector at fault,
/// [`PairwiseError::Memory`] if the distances don't fit in memory.
///
/// # Complexity
///
/// O(n² d) for n vectors of d elements; O(n) extra memory and less than 100 kB.
///
/// # Examples
///
/// ```
/// use mother::pairwise::euclidean_distances;
///
/// let distances = euclidean_distances(&[&[0.0, 0.0], &[3.0, 4.0]])?;
/// assert_eq!(distances.distance(0, 1), Some(5.0));
/// # Ok::<(), mother::pairwise::PairwiseError>(())
/// ```
pub fn euclidean_distances<T: Scalar>(vectors: &[&[T]]) -> Result<CondensedMatrix, PairwiseError> {
    let set = VectorSet::new(vectors.iter().copied())?;
    let pairs = pairs_before(set.count(), set.count());
    let memory = PairwiseError::Memory { pairs };
    let length = usize::try_from(pairs).map_err(|_| memory.clone())?;
    let mut values = Vec::new();
    values
        .try_reserve_exact(length)
        .map_err(|_| memory.clone())?;
    values.resize(length, 0.0);
    set.add_squared_distances(&mut values)?;
    for value in &mut values {
        *value = Float::sqrt(*value);
    }
    // Cannot fail: there is one value per pair, and a sum of squares is never NaN.
    CondensedMatrix::new(set.count(), values).map_err(|_| memory)
}
