//! The size of the errors that rounding left in stored numbers, computed from the numbers.

use alloc::vec::Vec;

use num_traits::Float;

use super::RankError;
use crate::Scalar;
use crate::powers::{biased_exponent, power_of_two};
use crate::weights::ElementType;

/// The standard deviation of the rounding errors in stored numbers.
///
/// Rounding to nearest moves a number by at most half an ulp, the spacing of the format around it. If the
/// number's scale is far above the ulp, the error is spread evenly. The errors of many numbers
/// then have mean 0 and variance mean(ulp²)/12. This accumulator counts the ulps of the numbers it
/// is given, in any number of chunks. The result depends only on the numbers, to the bit, and not
/// on their order or how they were cut or merged.
///
/// A number's ulp is that of its binade. Below the smallest normal number, and for zero, it is
/// the smallest spacing.
///
/// # Which deviation for a difference
///
/// For [`Tolerance::RoundingNoise`](super::Tolerance::RoundingNoise) on the difference of two stored
/// matrices, it matters how many of them were rounded *after* the change that distinguishes them:
///
/// - If the second was derived from the first as stored, and only then rounded (a model fine-tuned from a
///   16-bit file), there is one rounding: use the [`deviation`](Self::deviation) of the second.
/// - If both were rounded separately (two models fine-tuned from one, or a parent that was rounded only when
///   it was saved), there are two roundings, whose variances add up: use
///   [`deviation_of_difference`](Self::deviation_of_difference).
///
/// If you don't know, use the second. On 256×256 and 768×768 matrices with a rank-16 update and bf16 or f16
/// storage, both give the exact rank while the update's entries are larger than about half an ulp. Using one
/// deviation where two are needed counts 46 and 125 instead of 16; the opposite mistake loses a singular
/// value only if the update is smaller than that. Updates smaller than a fifth of an ulp are mostly rounded
/// away. Then the errors are no longer independent of the update, and no rule here can be trusted.
///
/// # Examples
///
/// ```
/// use mother::rank::RoundingNoise;
/// use mother::weights::ElementType;
///
/// let mut noise = RoundingNoise::new(ElementType::F8E4M3);
/// assert_eq!(noise.deviation(), None);
/// noise.extend(&[1.0_f32, 1.5, -1.25])?; // ulp 2⁻³ from 1 up to 2
/// let ulp = 0.125;
/// assert!((noise.deviation().unwrap() - ulp / 12.0_f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), mother::rank::RankError>(())
/// ```
///
/// # References
///
/// B. Widrow, I. Kollár, M.-C. Liu, "Statistical theory of quantization" (1996),
/// DOI 10.1109/19.492748.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RoundingNoise {
    format: ElementType,
    /// How many numbers have the smallest spacing, twice that, four times that, and so on.
    counts: Vec<u64>,
}

impl RoundingNoise {
    /// Creates an accumulator without numbers, for the given stored format.
    ///
    /// Values stored as integers, or as codes with scales, count as single precision, to which they were
    /// rounded before.
    #[must_use]
    pub const fn new(format: ElementType) -> Self {
        Self {
            format,
            counts: Vec::new(),
        }
    }

    /// Adds numbers that were stored in the format and decoded to `T`.
    ///
    /// # Errors
    ///
    /// [`RankError::NonFiniteValue`] for NaN or an infinity; then none of `values` is added.
    ///
    /// # Complexity
    ///
    /// O(values) time; at most 2046 counters in all, or about 130 for weights in bf16.
    pub fn extend<T: Scalar>(&mut self, values: &[T]) -> Result<(), RankError> {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let value = values.get(index).map_or(f64::NAN, |value| value.widen());
            return Err(RankError::NonFiniteValue { index, value });
        }
        let smallest = (precision(self.format).1 + 1023).cast_unsigned();
        for value in values {
            let binade = biased_exponent(value.widen()).saturating_sub(smallest) as usize;
            self.add(binade, 1);
        }
        Ok(())
    }

    /// Adds the numbers that were added to `other`.
    ///
    /// This joins two parts of one set of numbers. For the noise of a difference, see
    /// [`deviation_of_difference`](Self::deviation_of_difference).
    ///
    /// # Errors
    ///
    /// [`RankError::FormatsDiffer`] if the two have different formats.
    pub fn merge(&mut self, other: &Self) -> Result<(), RankError> {
        if self.format != other.format {
            return Err(RankError::FormatsDiffer {
                first: self.format,
                second: other.format,
            });
        }
        // Starting at the top, so that the counters grow at most once.
        for (binade, &count) in other.counts.iter().enumerate().rev() {
            self.add(binade, count);
        }
        Ok(())
    }

    #[inline]
    fn add(&mut self, binade: usize, count: u64) {
        if binade >= self.counts.len() {
            self.counts.resize(binade + 1, 0);
        }
        if let Some(counter) = self.counts.get_mut(binade) {
            *counter = counter.saturating_add(count);
        }
    }

    /// The format of the numbers.
    #[must_use]
    pub const fn format(&self) -> ElementType {
        self.format
    }

    /// How many numbers have been added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The square root of mean(ulp²)/12; `None` if no number was added.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let top = self.counts.iter().rposition(|&count| count > 0)?;
        // Relative to the largest ulp, so that no square over- or underflows.
        let mut weight = 1.0;
        let mut sum = 0.0;
        for &count in self.counts.iter().take(top + 1).rev() {
            sum += count as f64 * weight;
            weight *= 0.25;
        }
        let relative = Float::sqrt(sum / self.count() as f64 / 12.0);
        let (bits, smallest) = precision(self.format);
        // The exponent of the spacing at the smallest normal number, and from there down to zero.
        let exponent = smallest - bits + 1 + i32::try_from(top).ok()?;
        Some(relative * power_of_two(exponent))
    }

    /// The deviation of the rounding errors in the difference of two stored matrices that were
    /// rounded independently: √(s₁² + s₂²). `None` if either has no numbers.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::rank::RoundingNoise;
    /// use mother::weights::ElementType;
    ///
    /// let mut half = RoundingNoise::new(ElementType::F8E4M3);
    /// half.extend(&[0.75_f32])?;
    /// let single = half.deviation().unwrap();
    /// let difference = half.deviation_of_difference(&half).unwrap();
    /// assert!((difference / single - 2.0_f64.sqrt()).abs() < 1e-15);
    /// # Ok::<(), mother::rank::RankError>(())
    /// ```
    #[must_use]
    pub fn deviation_of_difference(&self, other: &Self) -> Option<f64> {
        Some(Float::hypot(self.deviation()?, other.deviation()?))
    }
}

/// The bits of a format's significand, including the hidden one, and the exponent of its smallest normal
/// number.
const fn precision(format: ElementType) -> (i32, i32) {
    match format {
        ElementType::F64 => (53, -1022),
        #[cfg(feature = "half")]
        ElementType::F16 => (11, -14),
        #[cfg(feature = "half")]
        ElementType::Bf16 => (8, -126),
        ElementType::F8E4M3 => (4, -6),
        ElementType::F8E5M2 => (3, -14),
        _ => (24, -126),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distance from |value| to the next larger half-precision number, from the bits.
    #[cfg(feature = "half")]
    fn half_ulp(value: half::f16) -> f64 {
        let magnitude = value.to_bits() & 0x7fff;
        half::f16::from_bits(magnitude + 1).to_f64() - half::f16::from_bits(magnitude).to_f64()
    }

    #[cfg(feature = "half")]
    #[test]
    fn every_half_precision_number_has_its_own_ulp() {
        // 0x7bff is left out: it is the largest finite number, and its successor is infinite.
        for bits in (0..0x7bff_u16).chain(0x8000..0xfbff) {
            let value = half::f16::from_bits(bits);
            let mut noise = RoundingNoise::new(ElementType::F16);
            noise.extend(&[value.to_f32()]).unwrap();
            let expected = half_ulp(value) * (1.0 / 12.0_f64).sqrt();
            assert_eq!(noise.deviation(), Some(expected), "{value}");
        }
    }

    #[cfg(feature = "half")]
    #[test]
    fn deviation_is_the_root_mean_square() {
        let values = [0.0_f32, 1.0, -3.0, 100.0, 1e-3, 6.1e-5, 5.96e-8];
        let mut noise = RoundingNoise::new(ElementType::F16);
        noise.extend(&values).unwrap();
        let mean = values
            .iter()
            .map(|&value| half_ulp(half::f16::from_f32(value)).powi(2))
            .sum::<f64>()
            / values.len() as f64;
        let expected = (mean / 12.0).sqrt();
        assert!((noise.deviation().unwrap() / expected - 1.0).abs() < 1e-15);
        assert_eq!(noise.count(), 7);
    }

    #[test]
    fn extreme_numbers_neither_overflow_nor_vanish() {
        let mut noise = RoundingNoise::new(ElementType::F64);
        noise.extend(&[f64::MAX]).unwrap();
        let ulp = f64::MAX - f64::from_bits(f64::MAX.to_bits() - 1);
        assert_eq!(noise.deviation(), Some(ulp * (1.0 / 12.0_f64).sqrt()));
        let mut tiny = RoundingNoise::new(ElementType::F64);
        tiny.extend(&[1e-200]).unwrap();
        assert!(tiny.deviation().unwrap() > 1e-217);
    }

    #[test]
    fn a_non_finite_value_leaves_the_state_unchanged() {
        let mut noise = RoundingNoise::new(ElementType::F32);
        let error = noise.extend(&[1.0_f32, f32::INFINITY]).unwrap_err();
        assert_eq!(
            error,
            RankError::NonFiniteValue {
                index: 1,
                value: f64::INFINITY
            }
        );
        assert!(noise.extend(&[f64::NAN]).is_err());
        assert_eq!(noise, RoundingNoise::new(ElementType::F32));
    }

    #[test]
    fn formats_do_not_mix() {
        let mut noise = RoundingNoise::new(ElementType::F32);
        let other = RoundingNoise::new(ElementType::F64);
        assert!(matches!(
            noise.merge(&other),
            Err(RankError::FormatsDiffer { .. })
        ));
    }
}
