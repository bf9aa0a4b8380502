//! Pairwise squared Euclidean distances.

mod error;
mod range;
#[cfg(feature = "std")]
mod simd;
mod tile;
mod vectors;

pub use self::error::PairwiseError;
pub use self::vectors::VectorSet;

use crate::Scalar;

/// todo
///
/// # Errors
///
/// todo
pub fn squared_distances<T: Scalar>(
    vectors: &[&[T]],
    condensed: &mut [f64],
) -> Result<(), PairwiseError> {
    let vectors = VectorSet::new(vectors.iter().copied())?;
    vectors.check_output(&(0..vectors.count()), condensed)?;
    condensed.fill(0.0);
    vectors.add_squared_distances(condensed)
}
