//! Floating-point formats, by the two numbers that fix their rounding.

use core::fmt;

use super::RankError;

/// A binary floating-point format: how finely numbers near a value can be told apart.
///
/// Two numbers fix it: the bits of the significand (the hidden one included), and the exponent of
/// the smallest normal number, below which the spacing stays the same. The largest number plays no
/// part here.
///
/// # Examples
///
/// ```
/// use mother::rank::FloatFormat;
///
/// assert_eq!(FloatFormat::F32.epsilon(), f64::from(f32::EPSILON));
/// assert_eq!(FloatFormat::BF16.epsilon(), 0.0078125);
/// assert_eq!(FloatFormat::new(11, -14), Ok(FloatFormat::F16));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Unchecked"))]
pub struct FloatFormat {
    significand_bits: u32,
    minimum_exponent: i32,
}

impl FloatFormat {
    /// IEEE 754 double precision.
    pub const F64: Self = Self::of(53, -1022);
    /// IEEE 754 single precision.
    pub const F32: Self = Self::of(24, -126);
    /// IEEE 754 half precision.
    pub const F16: Self = Self::of(11, -14);
    /// The upper half of a single-precision number.
    pub const BF16: Self = Self::of(8, -126);
    /// 8 bits with 4 exponent bits (OCP 8-bit Floating Point Specification).
    pub const F8_E4M3: Self = Self::of(4, -6);
    /// 8 bits with 5 exponent bits (OCP 8-bit Floating Point Specification).
    pub const F8_E5M2: Self = Self::of(3, -14);

    /// A format of `significand_bits` bits (the hidden one included) whose smallest normal number
    /// is 2 to the power of `minimum_exponent`.
    ///
    /// # Errors
    ///
    /// [`RankError::InvalidFormat`] unless there are 1 to 53 bits and the exponent lies in
    /// −1022..=1023, which is what `f64` can hold.
    pub fn new(significand_bits: u32, minimum_exponent: i32) -> Result<Self, RankError> {
        if (1..=53).contains(&significand_bits) && (-1022..=1023).contains(&minimum_exponent) {
            Ok(Self::of(significand_bits, minimum_exponent))
        } else {
            Err(RankError::InvalidFormat {
                significand_bits,
                minimum_exponent,
            })
        }
    }

    const fn of(significand_bits: u32, minimum_exponent: i32) -> Self {
        Self {
            significand_bits,
            minimum_exponent,
        }
    }

    /// The bits of the significand, the hidden one included.
    #[must_use]
    pub const fn significand_bits(self) -> u32 {
        self.significand_bits
    }

    /// The exponent of the smallest normal number.
    #[must_use]
    pub const fn minimum_exponent(self) -> i32 {
        self.minimum_exponent
    }

    /// The distance from 1 to the next larger number.
    #[must_use]
    pub fn epsilon(self) -> f64 {
        power_of_two(1 - self.significand_bits.cast_signed())
    }

    /// The exponent of the spacing at the smallest normal number, zero and all between.
    pub(super) const fn minimum_spacing_exponent(self) -> i32 {
        self.minimum_exponent - self.significand_bits.cast_signed() + 1
    }
}

impl fmt::Display for FloatFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a float of {} significand bits and minimum exponent {}",
            self.significand_bits, self.minimum_exponent
        )
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Unchecked {
    significand_bits: u32,
    minimum_exponent: i32,
}

#[cfg(feature = "serde")]
impl TryFrom<Unchecked> for FloatFormat {
    type Error = RankError;

    fn try_from(format: Unchecked) -> Result<Self, RankError> {
        Self::new(format.significand_bits, format.minimum_exponent)
    }
}

/// The exponent field of an `f64`: 0 for zero and subnormals, 2047 for infinities and NaN.
pub(super) fn biased_exponent(value: f64) -> u32 {
    ((value.to_bits() >> 52) & 0x7ff) as u32
}

/// 2 to the power of `exponent`; 0 or infinite where `f64` ends.
pub(super) fn power_of_two(exponent: i32) -> f64 {
    match exponent {
        1024.. => f64::INFINITY,
        -1022..=1023 => f64::from_bits(((exponent + 1023) as u64) << 52),
        -1074..=-1023 => f64::from_bits(1 << (exponent + 1074)),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_over_the_whole_range() {
        for exponent in -1100..=1100 {
            let expected = 2.0_f64.powi(exponent / 2) * 2.0_f64.powi(exponent - exponent / 2);
            assert_eq!(power_of_two(exponent), expected, "{exponent}");
        }
        assert_eq!(power_of_two(i32::MAX), f64::INFINITY);
        assert_eq!(power_of_two(i32::MIN), 0.0);
    }

    #[test]
    fn formats_know_their_epsilon() {
        let expected = [
            (FloatFormat::F64, f64::EPSILON),
            (FloatFormat::F32, f64::from(f32::EPSILON)),
            (FloatFormat::F16, half::f16::EPSILON.to_f64()),
            (FloatFormat::BF16, half::bf16::EPSILON.to_f64()),
            (FloatFormat::F8_E4M3, 0.125),
            (FloatFormat::F8_E5M2, 0.25),
        ];
        for (format, epsilon) in expected {
            assert_eq!(format.epsilon(), epsilon, "{format}");
        }
    }

    #[test]
    fn formats_know_their_smallest_spacing() {
        let expected = [
            (FloatFormat::F64, f64::from_bits(1)),
            (FloatFormat::F32, f64::from(f32::from_bits(1))),
            (FloatFormat::F16, half::f16::from_bits(1).to_f64()),
            (FloatFormat::BF16, half::bf16::from_bits(1).to_f64()),
        ];
        for (format, spacing) in expected {
            assert_eq!(power_of_two(format.minimum_spacing_exponent()), spacing);
        }
    }

    #[test]
    fn impossible_formats_are_rejected() {
        for (bits, exponent) in [
            (0, 0),
            (54, 0),
            (24, -1023),
            (24, 1024),
            (u32::MAX, i32::MIN),
        ] {
            assert!(FloatFormat::new(bits, exponent).is_err());
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn stored_formats_are_checked_when_read() {
        let text = serde_json::to_string(&FloatFormat::F32).unwrap();
        assert_eq!(
            serde_json::from_str::<FloatFormat>(&text).unwrap(),
            FloatFormat::F32
        );
        assert!(serde_json::from_str::<FloatFormat>(&text.replace("24", "99")).is_err());
    }
}
