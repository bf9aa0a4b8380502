//! The lanes of a block in vector registers, chosen at run time.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::_MM_HINT_T0;

#[cfg(target_arch = "x86_64")]
use pulp::core_arch::x86::Sse;
use pulp::{Arch, Simd, WithSimd};

use super::lanes::{Arrays, LANES, Lanes, Pass, STEP, pass};
use crate::Scalar;

/// The distance in bytes of the memory to prefetch: two pages ahead, since the processor's own prefetching
/// stops at the end of a page.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 8192;

/// [`pass`] with the widest registers this processor has.
pub(super) fn dispatch<E: Element>(values: &[E]) -> Pass {
    Arch::new().dispatch(Dispatch(values))
}

struct Dispatch<'a, E>(&'a [E]);

impl<E: Element> WithSimd for Dispatch<'_, E> {
    type Output = Pass;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Pass {
        match S::F64_LANES {
            8 => pass(Registers::<S, 1>(simd), self.0),
            4 => pass(Registers::<S, 2>(simd), self.0),
            2 => pass(Registers::<S, 4>(simd), self.0),
            _ => pass(Arrays, self.0),
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
    fn widen(self, row: &[E; LANES]) -> Self::Row {
        let wide = row.map(Scalar::widen);
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
    fn prefetch(self, step: &[E; STEP]) {
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
    fn update_extremes(self, extremes: Self::Extremes, step: &[E; STEP]) -> Self::Extremes {
        E::update_extremes(self.0, extremes, step)
    }

    #[inline(always)]
    fn reduce_extremes(self, extremes: Self::Extremes) -> (f64, f64) {
        E::reduce_extremes(self.0, extremes)
    }
}

/// How values are compared using vectors.
pub(super) trait Element: Scalar {
    type Extremes<S: Simd>: Copy;

    fn no_extremes<S: Simd>(simd: S) -> Self::Extremes<S>;
    fn update_extremes<S: Simd>(
        simd: S,
        extremes: Self::Extremes<S>,
        step: &[Self; STEP],
    ) -> Self::Extremes<S>;
    fn reduce_extremes<S: Simd>(simd: S, extremes: Self::Extremes<S>) -> (f64, f64);
}

macro_rules! implement_element {
    ($scalar:ty, $vector:ident, $vectors:ident, $splat:ident, $min:ident, $max:ident, $reduce_min:ident, $reduce_max:ident) => {
        impl Element for $scalar {
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

    #[test]
    fn registers_and_arrays_give_the_same_bits() {
        let values: Vec<f32> = (0..4096_u32)
            .map(|index| index.wrapping_mul(2_654_435_769) as f32 * 1e-9)
            .collect();
        let wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        for count in (1..300).chain([4095, 4096]) {
            let expected = format!("{:?}", pass(Arrays, &values[..count]));
            assert_eq!(format!("{:?}", dispatch(&values[..count])), expected);
            assert_eq!(format!("{:?}", dispatch(&wide[..count])), expected);
            assert_eq!(format!("{:?}", pass(Arrays, &wide[..count])), expected);
        }
    }

    /// The same with registers narrower than the widest available.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn narrow_registers_give_the_same_bits() {
        let Some(simd) = pulp::x86::V3::try_new() else {
            return;
        };
        let values: Vec<f32> = (0..4096_u32)
            .map(|index| index.wrapping_mul(2_654_435_769) as f32 * 1e-9)
            .collect();
        let expected = format!("{:?}", pass(Arrays, &values));
        assert_eq!(
            format!("{:?}", Simd::vectorize(simd, Dispatch(&values[..]))),
            expected
        );
    }
}
