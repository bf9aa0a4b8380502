//! Powers of two as units, so that fourth powers neither overflow nor underflow.

use crate::powers::biased_exponent;

/// Units are 2 to a multiple of this exponent. There are only a few coarse units, so that all ordinary data
/// has the unit 1, which costs nothing. Half a step to the fourth power, times 2⁶⁴ values, is far from the
/// limits of `f64`.
const STEP: i32 = 240;
const LIMIT: i32 = 4;
const BIAS: i32 = 1023;

/// The exponent of the unit in which deviations of values between these bounds are kept.
///
/// It never decreases when the bounds move apart, so a merge only ever converts to coarser units
/// (except for equal bounds, where there are no deviations to convert).
pub(super) fn unit_exponent(minimum: f64, maximum: f64) -> i32 {
    if minimum == maximum {
        return 0;
    }
    // Halves, since the range itself can overflow.
    let half_range = maximum * 0.5 - minimum * 0.5;
    let exponent = biased_exponent(half_range) as i32 - BIAS;
    (exponent + STEP / 2).div_euclid(STEP).clamp(-LIMIT, LIMIT) * STEP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::powers::power_of_two;

    #[test]
    fn ordinary_ranges_have_the_unit_one() {
        assert_eq!(unit_exponent(-1.0, 1.0), 0);
        assert_eq!(unit_exponent(0.0, 1e-30), 0);
        assert_eq!(unit_exponent(-1e30, 1e30), 0);
        assert_eq!(unit_exponent(3.0, 3.0), 0);
    }

    #[test]
    fn extreme_ranges_are_brought_near_one() {
        for (minimum, maximum) in [
            (0.0, f64::from_bits(1)),
            (-f64::MIN_POSITIVE, f64::MIN_POSITIVE),
            (1e-100, 3e-100),
            (-1e77, 1e77),
            (f64::MIN, f64::MAX),
        ] {
            let exponent = unit_exponent(minimum, maximum);
            let factor = power_of_two(-exponent);
            let range = maximum * factor - minimum * factor;
            assert!(
                (1e-40..1e40).contains(&range),
                "{minimum} {maximum} {range}"
            );
        }
    }
}
