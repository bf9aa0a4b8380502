//! Adding squares to sums, with one rounding for `f32` and two for `f64`.

use crate::Scalar;

/// A scalar type whose squares are summed.
pub(super) trait Square: Scalar {
    /// The square plus the sum, computed the same way by every implementation: for `f32` rounded once, for
    /// `f64` also after the multiplication. `sum` isn't negative.
    fn add_square(self, sum: Self) -> Self;
}

impl Square for f64 {
    #[inline(always)]
    fn add_square(self, sum: Self) -> Self {
        self * self + sum
    }
}

impl Square for f32 {
    /// A fused multiply-add by operations that every processor has.
    ///
    /// The square is exact in `f64`. The sum may not be, and rounding to nearest twice could give a different
    /// `f32` than rounding once. So it is first rounded to odd: towards zero, with the last bit set if
    /// anything was lost (S. Boldo, G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved
    /// algorithms using rounding to odd", IEEE Transactions on Computers 57(4), 2008).
    #[inline(always)]
    fn add_square(self, sum: Self) -> Self {
        let (square, sum) = (f64::from(self) * f64::from(self), f64::from(sum));
        let (least, largest) = if square < sum {
            (square, sum)
        } else {
            (sum, square)
        };
        let total = least + largest;
        // Exact (Dekker's two-sum); NaN if the total is infinite.
        let lost = least - (total - largest);
        let towards_zero = total.to_bits().wrapping_sub(u64::from(lost < 0.0));
        f64::from_bits(towards_zero | u64::from(lost.abs() > 0.0)) as Self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rounds_once_where_twice_would_differ() {
        // 4097² = 2²⁴ + 2¹³ + 1 is halfway between two numbers; in `f64` it absorbs the summand.
        assert_eq!(4097.0_f32.add_square(0.0), 16_785_408.0);
        assert_eq!(4097.0_f32.add_square(1e-10), 16_785_410.0);
        // This square plus 93495 is halfway between two numbers, of which the even one is the upper. `f64`
        // has steps of 1/32 there, and rounds to the midpoint or, in the last case, to the step below it.
        let (lower, upper) = (274_805_043_494_912.0, 274_805_060_272_128.0);
        for (sum, rounded) in [
            (93_495.0, upper),
            (93_495.0 + 1.0 / 128.0, upper),
            (93_495.0 - 1.0 / 128.0, lower),
            (93_495.0 - 1.0 / 32.0 + 1.0 / 128.0, lower),
        ] {
            assert_eq!(16_577_245.0_f32.add_square(sum), rounded);
        }
    }

    #[test]
    fn infinities_stay() {
        assert_eq!(1e30_f32.add_square(1.0), f32::INFINITY);
        assert_eq!(f32::INFINITY.add_square(1.0), f32::INFINITY);
        assert_eq!(1.0_f32.add_square(f32::INFINITY), f32::INFINITY);
    }

    /// Numbers of any size, many with few digits, so that sums come close to midpoints.
    fn number() -> impl Strategy<Value = f32> {
        let few_digits =
            (1..=13_u32, any::<u32>()).prop_map(|(digits, bits)| bits >> (32 - digits));
        let scaled = (few_digits, -149..104_i32)
            .prop_map(|(digits, exponent)| (f64::from(digits) * 2.0_f64.powi(exponent)) as f32);
        prop_oneof![scaled, any::<f32>().prop_map(f32::abs)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn is_a_fused_multiply_add(x in number(), sum in number()) {
            let fused = num_traits::Float::mul_add(x, x, sum);
            prop_assert_eq!(x.add_square(sum), fused);
        }
    }
}
