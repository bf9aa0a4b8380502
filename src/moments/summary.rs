//! The summary of a set of values: count, mean, central sums.

use num_traits::Float;

use super::scale::unit_exponent;
use super::{MomentsAccumulator, MomentsError};
use crate::Scalar;
use crate::powers::power_of_two;

/// Count, mean, variance, skewness, kurtosis, minimum and maximum of a set of finite values.
///
/// See the [module](super) for accuracy and conventions.
///
/// # Examples
///
/// ```
/// use mother::moments::Moments;
///
/// let moments = Moments::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])?;
/// assert_eq!(moments.count(), 8);
/// assert_eq!(moments.mean(), Some(5.0));
/// assert_eq!(moments.standard_deviation(), Some(2.0));
/// assert_eq!(Moments::of(&[5.0, 5.0])?.kurtosis(), None);
/// # Ok::<(), mother::moments::MomentsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    minimum: f64,
    maximum: f64,
    /// The mean is `mean + mean_low`. Both, and the central sums below, are in units of 2 to the
    /// power `unit_exponent(minimum, maximum)`.
    mean: f64,
    mean_low: f64,
    central: Central,
}

/// Sums of powers of deviations from the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Central {
    pub(super) second: f64,
    pub(super) third: f64,
    pub(super) fourth: f64,
}

/// Sums of powers of deviations from a centre near the mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShiftedSums {
    pub(super) centre: f64,
    pub(super) first: f64,
    pub(super) about_centre: Central,
}

/// A set of values, expressed in a given unit.
#[derive(Clone, Copy)]
struct InUnits {
    count: f64,
    mean: f64,
    mean_low: f64,
    central: Central,
}

impl Moments {
    /// The moments of no values.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            minimum: f64::INFINITY,
            maximum: f64::NEG_INFINITY,
            mean: 0.0,
            mean_low: 0.0,
            central: Central {
                second: 0.0,
                third: 0.0,
                fourth: 0.0,
            },
        }
    }

    /// The moments of a slice, with the same bits as from a [`MomentsAccumulator`].
    ///
    /// # Errors
    ///
    /// [`MomentsError::NotFinite`] names the first value that is NaN or infinite.
    ///
    /// # Complexity
    ///
    /// O(n) time, O(1) extra space (at most 40 KiB).
    pub fn of<T: Scalar>(values: &[T]) -> Result<Self, MomentsError> {
        let mut accumulator = MomentsAccumulator::new();
        accumulator.extend_from_slice(values)?;
        Ok(accumulator.moments())
    }

    /// The moments of `count` values that all equal `value`.
    pub(super) const fn constant(count: u64, value: f64) -> Self {
        Self {
            count,
            minimum: value,
            maximum: value,
            mean: value,
            ..Self::new()
        }
    }

    /// Moves the sums of a non-constant set from a centre near the mean to the mean itself.
    ///
    /// Centre and sums are in units of the set's own [`unit_exponent`].
    pub(super) fn from_shifted(count: u64, minimum: f64, maximum: f64, sums: ShiftedSums) -> Self {
        let n = count as f64;
        let offset = sums.first / n;
        let square = offset * offset;
        let about = sums.about_centre;
        let central = Central {
            second: about.second - n * square,
            third: about.third - 3.0 * offset * about.second + 2.0 * n * square * offset,
            fourth: about.fourth - 4.0 * offset * about.third + 6.0 * square * about.second
                - 3.0 * n * square * square,
        };
        let (mean, mean_low) = two_sum(sums.centre, offset);
        Self {
            count,
            minimum,
            maximum,
            mean,
            mean_low,
            central,
        }
    }

    /// Adds the values of another, separate set to this one.
    ///
    /// The result is as accurate as one pass over both sets, but its last bits depend on the order in
    /// which sets are merged. To measure *one sequence* in pieces with the bits of one pass, use
    /// [`MomentsAccumulator::append`]. The count saturates at `u64::MAX`; beyond that, variance, skewness
    /// and kurtosis are too large.
    ///
    /// # Complexity
    ///
    /// O(1) time and space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::moments::Moments;
    ///
    /// let mut moments = Moments::of(&[1.0, 2.0])?;
    /// moments.merge(&Moments::of(&[6.0_f32])?);
    /// assert_eq!((moments.count(), moments.mean()), (3, Some(3.0)));
    /// # Ok::<(), mother::moments::MomentsError>(())
    /// ```
    ///
    /// # References
    ///
    /// Pébay 2008, equations for the third and fourth order pairwise update.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let minimum = self.minimum.min(other.minimum);
        let maximum = self.maximum.max(other.maximum);
        let exponent = unit_exponent(minimum, maximum);
        let merged = self.in_units(exponent).merge(other.in_units(exponent));
        *self = Self {
            count: self.count.saturating_add(other.count),
            minimum,
            maximum,
            mean: merged.mean,
            mean_low: merged.mean_low,
            central: merged.central,
        };
    }

    /// The same set in its own units or coarser ones.
    fn in_units(&self, exponent: i32) -> InUnits {
        let ratio = power_of_two(self.unit_exponent() - exponent);
        if self.minimum == self.maximum {
            // Equal values are kept in the unit 1 and have no sums to convert.
            return InUnits {
                count: self.count as f64,
                mean: self.mean * ratio,
                mean_low: 0.0,
                central: Central::default(),
            };
        }
        let square = ratio * ratio;
        InUnits {
            count: self.count as f64,
            mean: self.mean * ratio,
            mean_low: self.mean_low * ratio,
            central: Central {
                second: self.central.second * square,
                third: self.central.third * square * ratio,
                fourth: self.central.fourth * square * square,
            },
        }
    }

    fn unit_exponent(&self) -> i32 {
        unit_exponent(self.minimum, self.maximum)
    }

    /// Everything except the count, as plain numbers: both extremes, both parts of the mean and the
    /// three central sums; zeros if there are no values.
    #[cfg(any(feature = "serde", feature = "safetensors"))]
    pub(crate) const fn to_parts(self) -> [f64; 7] {
        if self.count == 0 {
            return [0.0; 7];
        }
        let Central {
            second,
            third,
            fourth,
        } = self.central;
        [
            self.minimum,
            self.maximum,
            self.mean,
            self.mean_low,
            second,
            third,
            fourth,
        ]
    }

    /// The reverse of [`to_parts`](Self::to_parts); `None` for numbers that no set of values can have.
    #[cfg(any(feature = "serde", feature = "safetensors"))]
    pub(crate) fn from_parts(count: u64, parts: [f64; 7]) -> Option<Self> {
        let [minimum, maximum, mean, mean_low, second, third, fourth] = parts;
        if count == 0 {
            return (parts == [0.0; 7]).then(Self::new);
        }
        if !parts.iter().all(|part| part.is_finite()) || minimum > maximum {
            return None;
        }
        let possible = if minimum == maximum {
            parts[2..] == [minimum, 0.0, 0.0, 0.0, 0.0]
        } else {
            let unit = power_of_two(-unit_exponent(minimum, maximum));
            let (minimum, maximum) = (minimum * unit, maximum * unit);
            // The two extremes alone contribute half their squared range to the sum of squares, and no value
            // is further from the mean than the range. Some room is left for rounding.
            let (n, range, room) = (count as f64, maximum - minimum, 1.0 + 1e-6);
            let square = range * range;
            let beside = 1e-6 * range + 4.0 * f64::EPSILON * mean.abs();
            (minimum - beside..=maximum + beside).contains(&mean)
                && mean_low.abs() <= mean.abs() * f64::EPSILON
                && (square / (2.0 * room)..=n * square * room).contains(&second)
                && third.abs() <= n * square * range * room
                && fourth <= n * square * square * room
                && second * second <= n * fourth * room
        };
        possible.then_some(Self {
            count,
            minimum,
            maximum,
            mean,
            mean_low,
            central: Central {
                second,
                third,
                fourth,
            },
        })
    }

    /// The number of values.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The smallest value; `None` if there are no values. A zero is always +0.
    #[must_use]
    pub const fn minimum(&self) -> Option<f64> {
        if self.count == 0 {
            None
        } else {
            Some(self.minimum)
        }
    }

    /// The largest value; `None` if there are no values. A zero is always +0.
    #[must_use]
    pub const fn maximum(&self) -> Option<f64> {
        if self.count == 0 {
            None
        } else {
            Some(self.maximum)
        }
    }

    /// The arithmetic mean; `None` if there are no values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let mean = self.mean * power_of_two(self.unit_exponent());
        // A mean lies between the extremes; rounding must not move it outside.
        (self.count > 0).then(|| mean.max(self.minimum).min(self.maximum))
    }

    /// The population variance: the mean squared deviation from the mean.
    ///
    /// `None` if there are no values, 0 if all are equal. A variance above the range of `f64` is
    /// infinite, one below it is 0; the [standard deviation](Self::standard_deviation) has no such limit.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        // Not times the square of the unit, which can be out of range even if the result is not.
        let unit = power_of_two(self.unit_exponent());
        (self.count > 0).then(|| self.central.second / self.count as f64 * unit * unit)
    }

    /// The population standard deviation, the square root of the [variance](Self::variance);
    /// `None` if there are no values, 0 if all are equal.
    #[must_use]
    pub fn standard_deviation(&self) -> Option<f64> {
        let unit = power_of_two(self.unit_exponent());
        (self.count > 0).then(|| Float::sqrt(self.central.second / self.count as f64) * unit)
    }

    /// The skewness m₃ / m₂^(3/2), not corrected for bias; positive if the long tail is on the
    /// right. `None` if there are no values or all are equal.
    #[must_use]
    pub fn skewness(&self) -> Option<f64> {
        let Central { second, third, .. } = self.central;
        self.varies()
            .then(|| Float::sqrt(self.count as f64 / second) * (third / second))
    }

    /// The raw (Pearson) kurtosis m₄ / m₂², not corrected for bias: 3 for a normal distribution,
    /// never below 1 except for rounding. `None` if there are no values or all are equal.
    #[must_use]
    pub fn kurtosis(&self) -> Option<f64> {
        let Central { second, fourth, .. } = self.central;
        self.varies()
            .then(|| self.count as f64 * fourth / (second * second))
    }

    fn varies(&self) -> bool {
        self.minimum < self.maximum && self.central.second > 0.0
    }
}

impl Default for Moments {
    fn default() -> Self {
        Self::new()
    }
}

impl InUnits {
    /// Pébay's pairwise update, written with the fractions p and q of the values in the two sets.
    fn merge(self, other: Self) -> Self {
        let count = self.count + other.count;
        let (p, q) = (self.count / count, other.count / count);
        let delta = (other.mean - self.mean) + (other.mean_low - self.mean_low);
        let square = delta * delta;
        // The sum of squares if all values of both sets were at their set's mean.
        let between = count * p * q * square;
        let (a, b) = (self.central, other.central);
        let central = Central {
            second: a.second + b.second + between,
            third: a.third
                + b.third
                + 3.0 * delta * (p * b.second - q * a.second)
                + between * delta * (p - q),
            fourth: a.fourth
                + b.fourth
                + 4.0 * delta * (p * b.third - q * a.third)
                + 6.0 * square * (p * p * b.second + q * q * a.second)
                + between * square * (p * p - p * q + q * q),
        };
        let (mean, error) = two_sum(self.mean, delta * q);
        let (mean, mean_low) = two_sum(mean, error + self.mean_low);
        Self {
            count,
            mean,
            mean_low,
            central,
        }
    }
}

/// The rounded sum and its exact rounding error.
///
/// D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2, theorem B.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let a_part = sum - b_part;
    (sum, (a - a_part) + (b - b_part))
}

#[cfg(all(test, any(feature = "serde", feature = "safetensors")))]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn check(moments: Moments) {
        let again = Moments::from_parts(moments.count(), moments.to_parts());
        assert_eq!(again, Some(moments));
    }

    #[test]
    fn parts_of_moments_are_moments() {
        check(Moments::new());
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005);
            state = state.wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        for centre in [0.0, 1.0, -3e-5, 1e16, 1e300, -1e-300, 5e-324, f64::MAX] {
            for spread in [0.0, 1.0, f64::EPSILON, 1e-160, 1e160, 1e-310] {
                for length in [1, 2, 3, 31, 33, 4095, 4097, 9000] {
                    let mut value = || {
                        let value = centre + (random() - 0.5) * spread * f64::max(centre, 1.0);
                        value.clamp(f64::MIN, f64::MAX)
                    };
                    let values: Vec<f64> = (0..length).map(|_| value()).collect();
                    check(Moments::of(&values).unwrap());
                    // One value far from many equal ones.
                    let mut values = alloc::vec![centre; length];
                    values[length / 2] = value();
                    let mut moments = Moments::of(&values).unwrap();
                    check(moments);
                    moments.merge(&Moments::of(&[value(), centre]).unwrap());
                    check(moments);
                }
            }
        }
    }

    #[test]
    fn parts_that_no_values_have_are_refused() {
        let parts = Moments::of(&[1.0, 2.0, 5.0, 9.0]).unwrap().to_parts();
        assert!(Moments::from_parts(4, parts).is_some());
        assert!(Moments::from_parts(0, parts).is_none());
        for at in 0..parts.len() {
            for wrong in [f64::NAN, f64::INFINITY, -1e9, 1e9] {
                let mut parts = parts;
                parts[at] = wrong;
                assert!(Moments::from_parts(4, parts).is_none(), "{at} {wrong}");
            }
        }
        assert!(Moments::from_parts(4, [2.0, 2.0, 2.0, 0.0, 1.0, 0.0, 0.0]).is_none());
    }
}
