//! Sketches: a few numbers that represent a matrix and give its distance from any other.
//!
//! A matrix is split into groups of consecutive rows. For each group we keep its exact squared norm and a
//! *sketch*: every value gets a random sign and is added to one of k buckets. Signs and buckets depend only
//! on a value's row and column, so the sketch of a difference is the difference of the sketches. The squared
//! length of that difference is an unbiased estimate of the squared distance between the two groups:
//!
//! ```text
//! rows 0 .. h      ‖·‖²   [ b₀  b₁  …  b₍ₖ₋₁₎ ]      bᵢ = Σ ± value,
//! rows h .. 2h     ‖·‖²   [ b₀  b₁  …  b₍ₖ₋₁₎ ]      over the values whose bucket is i
//!   …
//! ```
//!
//! Sketches are linear, so averages and inner products of differences can be computed from them directly.
//!
//! # Accuracy
//!
//! If a difference Δ is spread evenly over a group, the estimate of ‖Δ‖² has standard error √(2/k) ‖Δ‖², and
//! a sum over groups has √(2/(k · groups)) of the sum. For any Δ it is at most √2 ‖Δ‖² for a group, which
//! occurs if all of Δ falls into one bucket. The bucket of a column shifts by a random offset from row to
//! row. So a difference in a few columns, such as outliers of transformers, is spread too; only columns a
//! multiple of k apart share a bucket in every row. A difference in a single value is estimated exactly up to
//! rounding. A difference of equal size in m values of different rows has standard error √(2/k · (1 − 1/m)) ‖Δ‖².
//!
//! # Group height
//!
//! The height is the largest power of two up to a sixteenth of the rows. This gives 16 to 32 groups, or one
//! per row if there are fewer than sixteen. Rows added at the end leave earlier groups unchanged. If they
//! change the height, groups of the smaller height add up to those of the larger one: matrices of equal width
//! are [comparable](MatrixSketch::compare) on the rows that both have.
//!
//! # Hash
//!
//! `mix(z)` is the finaliser of SplitMix64, and all arithmetic is modulo 2⁶⁴:
//!
//! ```text
//! seed(row)        = mix(key + (row + 1) · 0x9E3779B97F4A7C15)
//! signs(row, b)    = mix(seed(row) + (b + 1) · 0xD1B54A32D192ED03)
//! sign of (r, c)   = minus where bit c mod 64 of signs(r, c div 64) is set
//! bucket of (r, c) = (c + seed(r)) mod k
//! ```
//!
//! # References
//!
//! - M. Charikar, K. Chen, M. Farach-Colton, "Finding Frequent Items in Data Streams", ICALP 2002.
//!   [doi:10.1007/3-540-45465-9_59](https://doi.org/10.1007/3-540-45465-9_59)
//! - M. Thorup, Y. Zhang, "Tabulation-Based 5-Independent Hashing with Applications to Linear Probing
//!   and Second Moment Estimation", *SIAM Journal on Computing* 41, 2012.
//!   [doi:10.1137/100800774](https://doi.org/10.1137/100800774)
//! - G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA
//!   2014. [doi:10.1145/2660193.2660195](https://doi.org/10.1145/2660193.2660195)

mod error;
mod groups;
mod hash;
mod matrix;
mod rows;
mod sketcher;
mod values;

pub use self::error::SketchError;
pub use self::groups::RowGroups;
pub use self::hash::SketchKey;
pub(crate) use self::hash::mix;
pub use self::matrix::{GroupComparison, MatrixSketch};
pub use self::rows::RowSample;
pub(crate) use self::rows::RowSampler;
pub use self::sketcher::MatrixSketcher;
pub(crate) use self::values::ValueSampler;
