//! Mean, variance, skewness and kurtosis of a sequence of any length, in one pass.
//!
//! [`Moments::of`] measures a slice. [`MomentsAccumulator`] takes a sequence in pieces, so that the whole
//! never has to be in memory. [`Moments::merge`] combines separate sets of values.
//!
//! # Bitwise reproducibility
//!
//! The result depends only on the values and their order. It doesn't depend on how the sequence
//! was cut into chunks, the number of threads, the processor's instruction set, or whether the values came as
//! `f32` or as the same numbers in `f64`. This holds because the sequence is cut into blocks of
//! [`MomentsAccumulator::BLOCK`] values at fixed positions, each block is summed in a fixed order, and blocks
//! are combined along a fixed binary tree.
//!
//! # Accuracy
//!
//! Sums are kept in `f64`, of deviations from a centre near the mean (never of raw powers), and the
//! mean of a set is kept to twice the precision of `f64`. Compared with exact arithmetic, the relative
//! error of variance and kurtosis is below 1e-12, even if the mean is 1e8 times the standard
//! deviation. The error of the mean relative to the largest absolute value, and the absolute error of the
//! skewness, are of the same order. Data whose squares or fourth powers exceed the range of `f64`
//! (deviations below 1e-36 or above 1e36) is measured in units of a power of two, so that skewness
//! and kurtosis are right for every finite input.
//!
//! # Speed
//!
//! Values are read from memory once. The feature `simd` uses the widest vector registers of the processor.
//! Without it the result is the same, but takes 2.3 times as long for `f32` on a Xeon (Emerald Rapids).
//!
//! # Conventions
//!
//! - [`variance`](Moments::variance) divides by n, not by n − 1.
//! - [`skewness`](Moments::skewness) is the biased m₃ / m₂^(3/2), as `scipy.stats.skew` gives by
//!   default.
//! - [`kurtosis`](Moments::kurtosis) is raw (Pearson): the biased m₄ / m₂², 3 for a normal
//!   distribution.
//! - Where the definition is 0/0 the answer is `None`, never NaN: everything for no values, skewness and kurtosis
//!   when all values are equal (a single value included). The variance of equal values is 0.
//! - NaN and infinities are rejected with an error that names their position.
//!
//! # Examples
//!
//! ```
//! use mother::moments::{Moments, MomentsAccumulator};
//!
//! let whole = Moments::of(&[1.0_f32, 2.0, 3.0, 4.0, 10.0])?;
//! assert_eq!(whole.mean(), Some(4.0));
//! assert_eq!(whole.variance(), Some(10.0));
//! assert_eq!(whole.kurtosis(), Some(2.788));
//!
//! let mut pieces = MomentsAccumulator::new();
//! pieces.extend_from_slice(&[1.0_f32, 2.0, 3.0])?;
//! pieces.extend_from_slice(&[4.0_f32, 10.0])?;
//! assert_eq!(pieces.moments(), whole);
//! # Ok::<(), mother::moments::MomentsError>(())
//! ```
//!
//! # References
//!
//! - P. Pébay, "Formulas for robust, one-pass parallel computation of covariances and
//!   arbitrary-order statistical moments", Sandia report SAND2008-6212, 2008.
//!   [doi:10.2172/1028931](https://doi.org/10.2172/1028931)
//! - T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance:
//!   analysis and recommendations", The American Statistician 37(3), 1983.
//!   [doi:10.1080/00031305.1983.10483115](https://doi.org/10.1080/00031305.1983.10483115)
//! - P. Pébay, T. B. Terriberry, H. Kolla, J. Bennett, "Numerically stable, scalable formulas for
//!   parallel and online computation of higher-order multivariate central moments with arbitrary
//!   weights", Computational Statistics 31, 2016.
//!   [doi:10.1007/s00180-015-0637-z](https://doi.org/10.1007/s00180-015-0637-z)

mod accumulator;
mod block;
mod error;
mod lanes;
mod scale;
#[cfg(feature = "simd")]
mod simd;
mod summary;

pub use self::accumulator::MomentsAccumulator;
pub use self::error::MomentsError;
pub use self::summary::Moments;
