//! The lanes of a block in vector registers, chosen at run time.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::_MM_HINT_T0;

#[cfg(target_arch = "x86_64")]
use pulp::core_arch::x86::Sse;
use pulp::{Arch, Simd, WithSimd};

use super::encoding::{Encoding, Plain};
use super::lanes::{Arrays, LANES, Lanes, Pass, STEP, pass};
use crate::Scalar;

/// So many bytes ahead memory is asked for: two pages, since what the processor does of itself ends
/// with a page.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 8192;

/// [`pass`] with the widest registers this processor has.
pub(super) fn dispatch<E: Element>(values: &[E::Stored]) -> Pass {
    Arch::new().dispatch(Dispatch::<E>(values))
}

struct Dispatch<'a, E: Encoding>(&'a [E::Stored]);

impl<E: Element> WithSimd for Dispatch<'_, E> {
    type Output = Pass;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Pass {
        match S::F64_LANES {
            8 => pass::<E, _>(Registers::<S, 1>(simd), self.0),
            4 => pass::<E, _>(Registers::<S, 2>(simd), self.0),
            2 => pass::<E, _>(Registers::<S, 4>(simd), self.0),
            _ => pass::<E, _>(Arrays, self.0),
        }
    }
}

/// Eight lanes in `N` registers.
#[derive(Clone, Copy)]
struct Registers<S, const N: usize>(S);

impl<S: Simd, const N: usize> Registers<S, N> {
    #[inline(always)]
    fn map_pairs(
        a: [S::f64s; N],
        b: [S::f64s; N],
        operation: impl Fn(S::f64s, S::f64s) -> S::f64s,
    ) -> [S::f64s; N] {
        core::array::from_fn(|register| operation(a[register], b[register]))
    }
}

impl<E: Element, S: Simd, const N: usize> Lanes<E> for Registers<S, N> {
    type Row = [S::f64s; N];
    type Extremes = E::Extremes<S>;

    #[inline(always)]
    fn splat(self, value: f64) -> Self::Row {
        [self.0.splat_f64s(value); N]
    }

    #[inline(always)]
    fn widen(self, row: &[E::Stored; LANES]) -> Self::Row {
        let wide = E::decode_row(self.0, row).map(Scalar::widen);
        let (registers, _) = S::as_simd_f64s(&wide);
        core::array::from_fn(|register| registers[register])
    }

    #[inline(always)]
    fn to_array(self, row: Self::Row) -> [f64; LANES] {
        let mut array = [0.0; LANES];
        let (registers, _) = S::as_mut_simd_f64s(&mut array);
        registers.copy_from_slice(&row);
        array
    }

    #[inline(always)]
    fn add(self, a: Self::Row, b: Self::Row) -> Self::Row {
        Self::map_pairs(a, b, |a, b| self.0.add_f64s(a, b))
    }

    #[inline(always)]
    fn subtract(self, a: Self::Row, b: Self::Row) -> Self::Row {
        Self::map_pairs(a, b, |a, b| self.0.sub_f64s(a, b))
    }

    #[inline(always)]
    fn multiply(self, a: Self::Row, b: Self::Row) -> Self::Row {
        Self::map_pairs(a, b, |a, b| self.0.mul_f64s(a, b))
    }

    #[inline(always)]
    fn prefetch(self, step: &[E::Stored; STEP]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(sse) = Sse::try_new() {
            let later = step.as_ptr().cast::<i8>().wrapping_add(AHEAD);
            sse._mm_prefetch::<{ _MM_HINT_T0 }>(later);
        }
    }

    #[inline(always)]
    fn no_extremes(self) -> Self::Extremes {
        E::no_extremes(self.0)
    }

    #[inline(always)]
    fn update_extremes(self, extremes: Self::Extremes, step: &[E::Stored; STEP]) -> Self::Extremes {
        E::update_extremes(self.0, extremes, step)
    }

    #[inline(always)]
    fn reduce_extremes(self, extremes: Self::Extremes, steps: &[[E::Stored; STEP]]) -> (f64, f64) {
        E::reduce_extremes(self.0, extremes, steps)
    }
}

/// How stored values are decoded and compared with vectors.
pub(super) trait Element: Encoding {
    type Extremes<S: Simd>: Copy;

    fn no_extremes<S: Simd>(simd: S) -> Self::Extremes<S>;
    fn update_extremes<S: Simd>(
        simd: S,
        extremes: Self::Extremes<S>,
        step: &[Self::Stored; STEP],
    ) -> Self::Extremes<S>;
    fn reduce_extremes<S: Simd>(
        simd: S,
        extremes: Self::Extremes<S>,
        steps: &[[Self::Stored; STEP]],
    ) -> (f64, f64);

    /// The numbers of a row.
    #[inline(always)]
    fn decode_row<S: Simd>(_: S, row: &[Self::Stored; LANES]) -> [Self::Scalar; LANES] {
        row.map(Self::decode)
    }
}

macro_rules! implement_element {
    ($scalar:ty, $vector:ident, $vectors:ident, $splat:ident, $min:ident, $max:ident, $reduce_min:ident, $reduce_max:ident) => {
        impl Element for Plain<$scalar> {
            type Extremes<S: Simd> = (S::$vector, S::$vector);

            #[inline(always)]
            fn no_extremes<S: Simd>(simd: S) -> Self::Extremes<S> {
                (
                    simd.$splat(<$scalar>::INFINITY),
                    simd.$splat(<$scalar>::NEG_INFINITY),
                )
            }

            #[inline(always)]
            fn update_extremes<S: Simd>(
                simd: S,
                (mut minima, mut maxima): Self::Extremes<S>,
                step: &[$scalar; STEP],
            ) -> Self::Extremes<S> {
                for &vector in S::$vectors(step).0 {
                    minima = simd.$min(minima, vector);
                    maxima = simd.$max(maxima, vector);
                }
                (minima, maxima)
            }

            #[inline(always)]
            fn reduce_extremes<S: Simd>(
                simd: S,
                (minima, maxima): Self::Extremes<S>,
                _: &[[$scalar; STEP]],
            ) -> (f64, f64) {
                (
                    simd.$reduce_min(minima).widen(),
                    simd.$reduce_max(maxima).widen(),
                )
            }
        }
    };
}

implement_element!(
    f32,
    f32s,
    as_simd_f32s,
    splat_f32s,
    min_f32s,
    max_f32s,
    reduce_min_f32s,
    reduce_max_f32s
);
implement_element!(
    f64,
    f64s,
    as_simd_f64s,
    splat_f64s,
    min_f64s,
    max_f64s,
    reduce_min_f64s,
    reduce_max_f64s
);

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    /// Words of every size and sign, and of one sign only, whose extremes are found in another way.
    #[cfg(feature = "half")]
    fn words(highest: u16, sign: impl Fn(u32) -> u16) -> Vec<[u8; 2]> {
        (0..4096_u32)
            .map(|index| {
                let magnitude = (index.wrapping_mul(2_654_435_769) >> 16) as u16 % highest;
                (magnitude | sign(index) << 15).to_le_bytes()
            })
            .collect()
    }

    /// The registers' and the arrays' passes over the first `count` words, and that over their numbers.
    #[cfg(feature = "half")]
    fn assert_same_passes<E>(words: &[[u8; 2]])
    where
        E: Element<Stored = [u8; 2], Scalar = f32>,
    {
        let singles: Vec<f32> = words.iter().map(|&word| E::decode(word)).collect();
        for count in (1..100).chain([4095, 4096]) {
            let expected = format!("{:?}", pass::<Plain<f32>, _>(Arrays, &singles[..count]));
            let words = &words[..count];
            assert_eq!(format!("{:?}", pass::<E, _>(Arrays, words)), expected);
            assert_eq!(format!("{:?}", dispatch::<E>(words)), expected);
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                let narrow = Simd::vectorize(simd, Dispatch::<E>(words));
                assert_eq!(format!("{narrow:?}"), expected);
            }
            // Without instructions made for it.
            let plain = pulp::Scalar::new().vectorize(Dispatch::<E>(words));
            assert_eq!(format!("{plain:?}"), expected);
        }
    }

    #[cfg(feature = "half")]
    #[test]
    fn words_give_the_bits_of_their_numbers() {
        use super::super::encoding::{Bf16, F16};

        for sign in [
            |index| (index % 3 == 0).into(),
            |_| 0,
            |_| 1,
            |index| u16::from(index == 37),
        ] {
            assert_same_passes::<F16>(&words(0x7C00, sign));
            // Subnormal numbers only.
            assert_same_passes::<F16>(&words(0x0400, sign));
            assert_same_passes::<Bf16>(&words(0x7F80, sign));
            assert_same_passes::<Bf16>(&words(0x0080, sign));
        }
    }

    #[test]
    fn registers_and_arrays_give_the_same_bits() {
        let values: Vec<f32> = (0..4096_u32)
            .map(|index| index.wrapping_mul(2_654_435_769) as f32 * 1e-9)
            .collect();
        let wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        for count in (1..300).chain([4095, 4096]) {
            let expected = format!("{:?}", pass::<Plain<f32>, _>(Arrays, &values[..count]));
            assert_eq!(
                format!("{:?}", dispatch::<Plain<f32>>(&values[..count])),
                expected
            );
            assert_eq!(
                format!("{:?}", dispatch::<Plain<f64>>(&wide[..count])),
                expected
            );
            assert_eq!(
                format!("{:?}", pass::<Plain<f64>, _>(Arrays, &wide[..count])),
                expected
            );
        }
    }

    /// Also with registers narrower than the widest ones there are.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn narrow_registers_give_the_same_bits() {
        let Some(simd) = pulp::x86::V3::try_new() else {
            return;
        };
        let values: Vec<f32> = (0..4096_u32)
            .map(|index| index.wrapping_mul(2_654_435_769) as f32 * 1e-9)
            .collect();
        let expected = format!("{:?}", pass::<Plain<f32>, _>(Arrays, &values));
        assert_eq!(
            format!(
                "{:?}",
                Simd::vectorize(simd, Dispatch::<Plain<f32>>(&values))
            ),
            expected
        );
    }
}
