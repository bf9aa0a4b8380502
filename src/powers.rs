//! Powers of two, computed from the bits of numbers.

use num_traits::Float;

/// The exponent field of an `f64`: 0 for zero and subnormals, 2047 for infinities and NaN.
pub(crate) fn biased_exponent(value: f64) -> u32 {
    ((value.to_bits() >> 52) & 0x7ff) as u32
}

/// The exponent of the largest power of two up to a positive number; 0 otherwise.
pub(crate) fn exponent(value: f64) -> i32 {
    if value > 0.0 && value.is_finite() {
        let (mantissa, exponent, _) = Float::integer_decode(value);
        i32::from(exponent) + mantissa.ilog2().cast_signed()
    } else {
        0
    }
}

/// 2 to the power of `exponent`; 0 or infinite outside the range of `f64`.
pub(crate) fn power_of_two(exponent: i32) -> f64 {
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
        for of in -1074..=1023 {
            assert_eq!(exponent(power_of_two(of)), of);
            assert_eq!(exponent(1.25 * power_of_two(of)), of);
        }
        assert_eq!(exponent(0.0), 0);
        assert_eq!(power_of_two(i32::MAX), f64::INFINITY);
        assert_eq!(power_of_two(i32::MIN), 0.0);
    }
}
