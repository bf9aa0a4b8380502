//! Shannon entropy of the histogram of a stream of values.
//!
//! No estimator of the entropy of a continuous distribution is generally agreed on. This one is
//! the *plug-in* entropy of a histogram, H = −Σ pᵢ ln pᵢ in nats, where pᵢ is the share of the
//! values in bin i of equally wide bins over a fixed range. It lies between 0 (all values in one
//! bin) and ln(bins) (the same number in each).
//!
//! Horwitz et al. (section 6.4) list entropy among the scores that distinguish parent from child, but don't
//! say how they estimate it. The default here, for the weights of a layer, is
//! [`Histogram::DEFAULT_BINS`] = 256 bins over \[minimum, maximum\] of that layer. So the score
//! doesn't change when all weights are shifted or scaled (except for values that rounding moves into
//! another bin).
//!
//! Counts are integers, so the result is the same to the bit whatever the order, chunks or threads in which
//! the values were counted.
//!
//! # Examples
//!
//! ```
//! use mother::entropy::Histogram;
//!
//! let mut histogram = Histogram::new(0.0, 4.0, 4)?;
//! histogram.extend_from_slice(&[0.5_f32, 1.5, 2.5, 3.5])?;
//! assert_eq!(histogram.counts(), [1, 1, 1, 1]);
//! assert!((histogram.entropy().unwrap() - 4.0_f64.ln()).abs() < 1e-15);
//! # Ok::<(), mother::entropy::HistogramError>(())
//! ```
//!
//! # References
//!
//! - C. E. Shannon, "A mathematical theory of communication", Bell System Technical Journal 27,
//!   1948. [doi:10.1002/j.1538-7305.1948.tb01338.x](https://doi.org/10.1002/j.1538-7305.1948.tb01338.x)
//! - L. Paninski, "Estimation of entropy and mutual information", Neural Computation 15(6), 2003,
//!   on the bias of the plug-in estimator.
//!   [doi:10.1162/089976603321780272](https://doi.org/10.1162/089976603321780272)
//! - E. Horwitz, A. Shul, Y. Hoshen, "Unsupervised Model Tree Heritage Recovery", ICLR 2025.

use alloc::vec::Vec;

use num_traits::Float;

use crate::Scalar;

/// The number of values in each of several equally wide bins over a closed range.
///
/// Bin i of n holds the values x with ⌊n · (x − minimum) / (maximum − minimum)⌋ = i, computed in
/// `f64`; the maximum itself belongs to the last bin. If the range is a single value, that value
/// belongs to the first bin.
///
/// See the [module](self) for an example and the meaning of the entropy.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    minimum: f64,
    maximum: f64,
    /// Values are first multiplied by this power of two, to keep the range from overflowing or being
    /// subnormal.
    unit: f64,
    bins_per_unit: f64,
    counts: Vec<u64>,
    total: u64,
}

crate::errors::errors! {
    /// Why a histogram could not be created, filled or merged.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum HistogramError {
        /// The bounds are not finite, or the lower bound is above the upper.
        BadRange {
            /// The lower bound.
            minimum: f64,
            /// The upper bound.
            maximum: f64,
        } => "the range from {minimum} to {maximum} is not finite and ascending",
        /// The number of bins is zero or exceeds [`Histogram::MAXIMUM_BINS`].
        BadBinCount {
            /// The requested number of bins.
            bins: usize,
        } => ("expected 1 to {} bins, not {bins}", Histogram::MAXIMUM_BINS),
        /// A value is outside the range, or NaN.
        OutOfRange {
            /// The number of values counted before it.
            position: u64,
            /// The value.
            value: f64,
            /// The lower bound.
            minimum: f64,
            /// The upper bound.
            maximum: f64,
        } => "value {value} at position {position} is not between {minimum} and {maximum}",
        /// The two histograms to be merged have different bins.
        DifferentBins {
            /// Bounds and number of bins of the first.
            first: (f64, f64, usize),
            /// Bounds and number of bins of the second.
            second: (f64, f64, usize),
        } => ("{} bins from {} to {} cannot be merged with {} bins from {} to {}", first.2, first.0, first.1, second.2, second.0, second.1),
    }
}

impl Histogram {
    /// The default number of bins for the weights of a layer.
    pub const DEFAULT_BINS: usize = 256;
    /// The maximum number of bins (128 MiB of counts).
    pub const MAXIMUM_BINS: usize = 1 << 24;

    /// Creates an empty histogram of `bins` equally wide bins from `minimum` to `maximum`, both inclusive.
    ///
    /// # Errors
    ///
    /// [`HistogramError::BadRange`] unless both bounds are finite and the first is not above the
    /// second; they may be equal. [`HistogramError::BadBinCount`] unless there are between 1 and
    /// [`MAXIMUM_BINS`](Self::MAXIMUM_BINS) bins.
    ///
    /// # Complexity
    ///
    /// O(bins) time and space.
    pub fn new(minimum: f64, maximum: f64, bins: usize) -> Result<Self, HistogramError> {
        if !(minimum.is_finite() && maximum.is_finite() && minimum <= maximum) {
            return Err(HistogramError::BadRange { minimum, maximum });
        }
        if !(1..=Self::MAXIMUM_BINS).contains(&bins) {
            return Err(HistogramError::BadBinCount { bins });
        }
        let unit = unit(minimum, maximum);
        Ok(Self {
            minimum,
            maximum,
            unit,
            bins_per_unit: bins as f64 / (maximum * unit - minimum * unit),
            counts: alloc::vec![0; bins],
            total: 0,
        })
    }

    /// Counts values. A count saturates at `u64::MAX`.
    ///
    /// # Errors
    ///
    /// [`HistogramError::OutOfRange`] names the first value that is outside the range or NaN. The
    /// values before it have been counted, and the rest have not.
    ///
    /// # Complexity
    ///
    /// O(n) time.
    pub fn extend_from_slice<T: Scalar>(&mut self, values: &[T]) -> Result<(), HistogramError> {
        for value in values {
            let value = value.widen();
            if !(self.minimum <= value && value <= self.maximum) {
                return Err(HistogramError::OutOfRange {
                    position: self.total,
                    value,
                    minimum: self.minimum,
                    maximum: self.maximum,
                });
            }
            let distance = value * self.unit - self.minimum * self.unit;
            // The cast rounds down, and turns the NaN of a single-valued range into 0.
            let bin = ((distance * self.bins_per_unit) as usize).min(self.counts.len() - 1);
            self.counts[bin] = self.counts[bin].saturating_add(1);
            self.total = self.total.saturating_add(1);
        }
        Ok(())
    }

    /// Adds the counts of another histogram with the same bins.
    ///
    /// The order of merges doesn't matter. A count saturates at `u64::MAX`.
    ///
    /// # Errors
    ///
    /// [`HistogramError::DifferentBins`] if the bounds or numbers of bins differ; then nothing is
    /// added.
    ///
    /// # Complexity
    ///
    /// O(bins) time.
    pub fn merge(&mut self, other: &Self) -> Result<(), HistogramError> {
        if self.shape() != other.shape() {
            return Err(HistogramError::DifferentBins {
                first: self.shape(),
                second: other.shape(),
            });
        }
        for (count, &more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(more);
        }
        self.total = self.total.saturating_add(other.total);
        Ok(())
    }

    fn shape(&self) -> (f64, f64, usize) {
        (self.minimum, self.maximum, self.counts.len())
    }

    /// The lower bound of the first bin.
    #[must_use]
    pub const fn minimum(&self) -> f64 {
        self.minimum
    }

    /// The upper bound of the last bin.
    #[must_use]
    pub const fn maximum(&self) -> f64 {
        self.maximum
    }

    /// The number of values in each bin.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of values.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The entropy of the distribution over bins, in nats; `None` if there are no values.
    ///
    /// # Complexity
    ///
    /// O(bins) time.
    #[must_use]
    pub fn entropy(&self) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let total = self.total as f64;
        let entropy = self
            .counts
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| {
                let share = count as f64 / total;
                -share * Float::ln(share)
            })
            // Not `sum`, which starts from −0.
            .fold(0.0, |sum, term| sum + term);
        Some(entropy)
    }
}

/// A power of two that keeps the range of values from overflowing or being subnormal.
fn unit(minimum: f64, maximum: f64) -> f64 {
    const LARGE: f64 = 1e300;
    const SMALL: f64 = 1e-200;
    let half_range = maximum * 0.5 - minimum * 0.5;
    let exponent = if half_range > LARGE {
        -64
    } else if half_range < SMALL && minimum < maximum {
        500
    } else {
        0
    };
    Float::powi(2.0, exponent)
}
