//! Singular values, and the ranks derived from them.

use alloc::vec::Vec;

use num_traits::Float;

use super::{RankError, Tolerance};
use crate::errors::names;

names! {
    /// How singular values were computed.
    ///
    /// The methods are tried in this order, and the first that succeeds is used. With u = 2⁻⁵² and σ_max the
    /// largest singular value, their accuracy is:
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Method {
        /// Singular value decomposition: each value is within about max(m, n)·u·σ_max.
        Svd => "svd",
        /// Square roots of the eigenvalues of the smaller of AᵀA and AAᵀ: values above √(max(m, n)·u)·σ_max keep
        /// some digits, and those below are noise of up to that size.
        Gram => "gram",
    }

    fn name;
}

/// The singular values of a matrix, largest first, and how they were computed.
///
/// Their number is the length of the matrix's shorter side. All are finite and at least 0.
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, Method, Tolerance, singular_values};
///
/// let values = singular_values(MatrixView::new(&[3.0, 0.0, 0.0, 0.0, 2.0, 0.0], 2, 3)?)?;
/// assert_eq!(values.values().len(), 2);
/// assert_eq!(values.method(), Method::Svd);
/// assert_eq!(values.rank(Tolerance::Absolute(2.5))?.value(), 1);
/// # Ok::<(), mother::rank::RankError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SingularValues {
    values: Vec<f64>,
    rows: usize,
    columns: usize,
    method: Method,
}

impl SingularValues {
    /// The singular values of an empty matrix.
    pub(super) const fn none() -> Self {
        Self {
            values: Vec::new(),
            rows: 0,
            columns: 0,
            method: Method::Svd,
        }
    }

    /// Takes `values` in any order. Each must be finite and at least 0, and their number must be the length
    /// of the shorter side.
    pub(super) fn from_unsorted(
        mut values: Vec<f64>,
        rows: usize,
        columns: usize,
        method: Method,
    ) -> Self {
        values.sort_unstable_by(|first, second| second.total_cmp(first));
        Self {
            values,
            rows,
            columns,
            method,
        }
    }

    /// The values, largest first.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values, largest first.
    #[must_use]
    pub fn into_values(self) -> Vec<f64> {
        self.values
    }

    /// The number of rows of the matrix.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns of the matrix.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// How the values were computed, which determines their accuracy.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The largest value, which is the matrix's spectral norm; 0 if there are no values.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.values.first().copied().unwrap_or(0.0)
    }

    /// The median; for an even number of values, the mean of the middle two; 0 if there are no values.
    #[must_use]
    pub fn median(&self) -> f64 {
        let upper = self.values.len() / 2;
        let lower = self.values.len().saturating_sub(1) / 2;
        match (self.values.get(lower), self.values.get(upper)) {
            // Halves first: the sum of two large values may overflow.
            (Some(first), Some(second)) => 0.5 * first + 0.5 * second,
            _ => 0.0,
        }
    }

    /// The size below which a value can't be distinguished from 0, given the [`Method`]'s accuracy:
    /// max(m, n)·2⁻⁵²·σ_max, or √(max(m, n)·2⁻⁵²)·σ_max for [`Method::Gram`].
    ///
    /// With a threshold below this, a rank counts noise.
    #[must_use]
    pub fn resolution(&self) -> f64 {
        let relative = self.relative_rounding();
        let largest = self.largest();
        match self.method {
            Method::Svd if largest > 0.0 => largest * relative,
            Method::Gram if largest > 0.0 => largest * Float::sqrt(relative),
            _ => 0.0,
        }
    }

    fn relative_rounding(&self) -> f64 {
        self.rows.max(self.columns) as f64 * f64::EPSILON
    }

    fn count_above(&self, threshold: f64) -> usize {
        self.values.partition_point(|&value| value > threshold)
    }

    /// The rank that [`Method::Svd`] would give, if the error of these values can't change it. The
    /// tolerance must be valid.
    ///
    /// The error of squares from [`Method::Gram`] is at most 4·max(m, n)·2⁻⁵²·Σσ²: a sum of k
    /// products has an error of less than k·2⁻⁵³ of their size, and the eigenvalues less than that again.
    pub(super) fn certain_rank(&self, tolerance: Tolerance) -> Option<usize> {
        match self.method {
            Method::Svd => {}
            Method::Gram if self.is_certain(tolerance) => {}
            Method::Gram => return None,
        }
        let resolution = self.largest() * self.relative_rounding();
        Some(self.count_above(tolerance.threshold(self, resolution)))
    }

    /// Whether no square is so close to the squared threshold that errors in the two could swap them.
    fn is_certain(&self, tolerance: Tolerance) -> bool {
        let resolution = self.largest() * self.relative_rounding();
        let threshold = tolerance.threshold(self, resolution);
        let square = threshold * threshold;
        let squares: f64 = self.values.iter().map(|value| value * value).sum();
        let error = 4.0 * self.relative_rounding() * squares;
        // The threshold has the same relative error as the value of which it is a multiple.
        let multiple_of = match tolerance {
            Tolerance::GavishDonoho => self.median(),
            _ => self.largest(),
        };
        let doubt = error + square * (error / (multiple_of * multiple_of));
        let above = self.count_above(Float::sqrt(square + doubt));
        // False if `doubt` is NaN.
        doubt < square && above == self.count_above(Float::sqrt(square - doubt))
    }

    /// The number of values above the threshold of `tolerance`.
    ///
    /// # Errors
    ///
    /// [`RankError::InvalidTolerance`] for a parameter that is NaN, infinite or negative.
    ///
    /// # Complexity
    ///
    /// O(log min(m, n)) time, no extra space.
    pub fn rank(&self, tolerance: Tolerance) -> Result<NumericalRank, RankError> {
        tolerance.validate()?;
        let threshold = tolerance.threshold(self, self.resolution());
        Ok(NumericalRank {
            value: self.count_above(threshold),
            threshold,
            largest: self.largest(),
            resolution: self.resolution(),
            method: self.method,
        })
    }
}

/// A rank and the numbers on which it is based.
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, Method, Tolerance, rank};
///
/// let rank = rank(MatrixView::new(&[4.0, 0.0, 0.0, 1.0], 2, 2)?, Tolerance::Relative(0.5))?;
/// assert_eq!(rank.value(), 1);
/// assert!((rank.largest() - 4.0).abs() < 1e-12);
/// assert!((rank.threshold() - 2.0).abs() < 1e-12);
/// assert_eq!(rank.method(), Method::Svd);
/// # Ok::<(), mother::rank::RankError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumericalRank {
    value: usize,
    threshold: f64,
    largest: f64,
    resolution: f64,
    method: Method,
}

impl NumericalRank {
    /// The rank: the number of singular values above the threshold.
    #[must_use]
    pub const fn value(&self) -> usize {
        self.value
    }

    /// The threshold that the tolerance gave for this matrix.
    #[must_use]
    pub const fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The largest singular value; 0 for an empty matrix.
    #[must_use]
    pub const fn largest(&self) -> f64 {
        self.largest
    }

    /// The size below which a singular value can't be distinguished from 0. If the threshold is below it, the
    /// rank counts noise. See [`SingularValues::resolution`].
    #[must_use]
    pub const fn resolution(&self) -> f64 {
        self.resolution
    }

    /// How the singular values were computed.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn of(values: &[f64], rows: usize, columns: usize, method: Method) -> SingularValues {
        SingularValues::from_unsorted(values.to_vec(), rows, columns, method)
    }

    fn rank(values: &SingularValues, tolerance: Tolerance) -> usize {
        values.rank(tolerance).unwrap().value()
    }

    #[test]
    fn a_value_at_the_threshold_does_not_count() {
        let values = of(&[8.0, 4.0, 2.0, 1.0], 4, 4, Method::Svd);
        for (threshold, expected) in [(8.0, 0), (7.99, 1), (4.0, 1), (2.0, 2), (1.0, 3), (0.99, 4)]
        {
            assert_eq!(rank(&values, Tolerance::Absolute(threshold)), expected);
            assert_eq!(
                rank(&values, Tolerance::Relative(threshold / 8.0)),
                expected
            );
            let epsilon = threshold / 8.0 / 4.0;
            assert_eq!(rank(&values, Tolerance::Numpy { epsilon }), expected);
        }
    }

    #[test]
    fn zero_parameters_count_what_is_above_zero() {
        let values = of(&[8.0, 1e-320, 0.0, 0.0], 4, 5, Method::Svd);
        assert_eq!(rank(&values, Tolerance::Absolute(0.0)), 2);
        assert_eq!(rank(&values, Tolerance::Relative(0.0)), 2);
        assert_eq!(rank(&values, Tolerance::Numpy { epsilon: 0.0 }), 2);
        // These two rules know that the second value is only the computation's own noise.
        assert_eq!(
            rank(&values, Tolerance::RoundingNoise { deviation: 0.0 }),
            1
        );
        assert_eq!(rank(&values, Tolerance::GavishDonoho), 1);
    }

    #[test]
    fn gavish_donoho_uses_the_median_of_all_values() {
        // ω(1) = 2.86; the median of four values is the mean of the middle two, 1.5.
        let values = of(&[4.30, 2.0, 1.0, 0.1], 4, 4, Method::Svd);
        assert_eq!(values.median(), 1.5);
        assert_eq!(rank(&values, Tolerance::GavishDonoho), 1);
        let values = of(&[4.28, 2.0, 1.0, 0.1], 4, 4, Method::Svd);
        assert_eq!(rank(&values, Tolerance::GavishDonoho), 0);
        let odd = of(&[7.0, 2.0, 1.0], 3, 30, Method::Svd);
        assert_eq!(odd.median(), 2.0);
        // ω(0.1) = 1.60306
        let threshold = odd.rank(Tolerance::GavishDonoho).unwrap().threshold();
        assert!((threshold - 3.20612).abs() < 1e-12);
    }

    #[test]
    fn rounding_noise_has_its_edge_at_the_sum_of_the_roots() {
        // 1.05·0.1·(√4 + √9) = 0.525
        let tolerance = Tolerance::RoundingNoise { deviation: 0.1 };
        assert_eq!(
            rank(&of(&[1.0, 0.526, 0.2, 0.1], 4, 9, Method::Svd), tolerance),
            2
        );
        assert_eq!(
            rank(&of(&[1.0, 0.524, 0.2, 0.1], 9, 4, Method::Svd), tolerance),
            1
        );
    }

    #[test]
    fn the_resolution_of_gram_is_the_root() {
        let svd = of(&[2.0, 1.0], 2, 4, Method::Svd).resolution();
        assert_eq!(svd, 8.0 * f64::EPSILON);
        let gram = of(&[2.0, 1.0], 2, 4, Method::Gram).resolution();
        assert_eq!(gram, 4.0 * f64::EPSILON.sqrt());
        assert_eq!(SingularValues::none().resolution(), 0.0);
    }

    #[test]
    fn parameters_are_checked() {
        let values = of(&[1.0], 1, 1, Method::Svd);
        for bad in [f64::NAN, -1e-300, f64::INFINITY, f64::NEG_INFINITY] {
            for tolerance in [
                Tolerance::Absolute(bad),
                Tolerance::Relative(bad),
                Tolerance::Numpy { epsilon: bad },
                Tolerance::RoundingNoise { deviation: bad },
            ] {
                assert!(matches!(
                    values.rank(tolerance),
                    Err(RankError::InvalidTolerance { .. })
                ));
            }
        }
    }

    #[test]
    fn huge_parameters_count_nothing_and_give_no_nan() {
        for values in [
            of(&[1e300, 1e299], 2, 2, Method::Svd),
            of(&[0.0, 0.0], 2, 2, Method::Svd),
        ] {
            for tolerance in [
                Tolerance::Relative(f64::MAX),
                Tolerance::Numpy { epsilon: f64::MAX },
                Tolerance::RoundingNoise {
                    deviation: f64::MAX,
                },
            ] {
                let rank = values.rank(tolerance).unwrap();
                assert_eq!(rank.value(), 0);
                assert!(!rank.threshold().is_nan());
            }
        }
    }

    #[test]
    fn values_are_sorted() {
        let values = of(&[1.0, 3.0, 2.0], 3, 3, Method::Gram);
        assert_eq!(values.into_values(), vec![3.0, 2.0, 1.0]);
    }

    #[test]
    fn squares_that_may_be_off_leave_a_doubt_near_the_threshold() {
        let tolerance = Tolerance::Relative(1e-4);
        for (value, expected) in [
            (1.1e-4, Some(2)),
            (0.9e-4, Some(1)),
            (1.000_000_05e-4, None),
            (1e-4, None),
            (0.999_999_95e-4, None),
        ] {
            let values = [1.0, value, 1e-9];
            let found = of(&values, 3, 3, Method::Gram).certain_rank(tolerance);
            assert_eq!(found, expected, "{value}");
            // The values of the decomposition are the expected result.
            let found = of(&values, 3, 3, Method::Svd);
            assert_eq!(found.certain_rank(tolerance), Some(rank(&found, tolerance)));
        }
        // A threshold among values that squares can't distinguish, and one that is a multiple of such a
        // value.
        let values = of(&[1.0, 1e-6, 1e-9], 3, 3, Method::Gram);
        assert_eq!(values.certain_rank(Tolerance::Relative(1e-8)), None);
        assert_eq!(values.certain_rank(Tolerance::Absolute(0.0)), None);
        assert_eq!(values.certain_rank(Tolerance::Absolute(1e-5)), Some(1));
        let values = of(&[1.0, 1e-9, 1e-9], 3, 3, Method::Gram);
        assert_eq!(values.certain_rank(Tolerance::GavishDonoho), None);
        let values = of(&[1.0, 1e-3, 1e-3], 3, 3, Method::Gram);
        assert_eq!(values.certain_rank(Tolerance::GavishDonoho), Some(1));
        // The threshold is at least the decomposition's resolution, not this method's.
        let values = of(&[1.0, 1e-2, 1e-2], 3, 3, Method::Gram);
        let tolerance = Tolerance::RoundingNoise { deviation: 1e-3 };
        assert_eq!(values.certain_rank(tolerance), Some(3));
    }
}
