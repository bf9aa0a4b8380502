//! The lanes of a block in vector registers, chosen at run time.

use pulp::{Arch, Simd, WithSimd};

use super::lanes::{Arrays, LANES, Lanes, Pass, STEP, pass};
use crate::Scalar;

/// [`pass`] with the widest registers this processor has.
pub(super) fn dispatch<T: Element>(values: &[T]) -> Pass {
    Arch::new().dispatch(Dispatch(values))
}

struct Dispatch<'a, T>(&'a [T]);

impl<T: Element> WithSimd for Dispatch<'_, T> {
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

impl<T: Element, S: Simd, const N: usize> Lanes<T> for Registers<S, N> {
    type Row = [S::f64s; N];
    type Extremes = (T::Vector<S>, T::Vector<S>);

    #[inline(always)]
    fn splat(self, value: f64) -> Self::Row {
        [self.0.splat_f64s(value); N]
    }

    #[inline(always)]
    fn widen(self, row: &[T; LANES]) -> Self::Row {
        let wide = row.map(T::widen);
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
    fn no_extremes(self) -> Self::Extremes {
        (
            T::splat(self.0, T::infinity()),
            T::splat(self.0, T::neg_infinity()),
        )
    }

    #[inline(always)]
    fn update_extremes(self, extremes: Self::Extremes, step: &[T; STEP]) -> Self::Extremes {
        let (mut minima, mut maxima) = extremes;
        for &vector in T::vectors::<S>(step) {
            minima = T::lesser(self.0, minima, vector);
            maxima = T::greater(self.0, maxima, vector);
        }
        (minima, maxima)
    }

    #[inline(always)]
    fn reduce_extremes(self, extremes: Self::Extremes) -> (T, T) {
        let (minima, maxima) = extremes;
        (
            T::reduce_lesser(self.0, minima),
            T::reduce_greater(self.0, maxima),
        )
    }
}

/// A scalar type and its vectors.
pub(super) trait Element: Scalar {
    type Vector<S: Simd>: Copy;

    fn vectors<S: Simd>(step: &[Self; STEP]) -> &[Self::Vector<S>];
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    fn lesser<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn greater<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn reduce_lesser<S: Simd>(simd: S, vector: Self::Vector<S>) -> Self;
    fn reduce_greater<S: Simd>(simd: S, vector: Self::Vector<S>) -> Self;
}

macro_rules! implement_element {
    ($scalar:ty, $vector:ident, $vectors:ident, $splat:ident, $min:ident, $max:ident, $reduce_min:ident, $reduce_max:ident) => {
        impl Element for $scalar {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn vectors<S: Simd>(step: &[Self; STEP]) -> &[S::$vector] {
                S::$vectors(step).0
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn lesser<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$min(a, b)
            }

            #[inline(always)]
            fn greater<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$max(a, b)
            }

            #[inline(always)]
            fn reduce_lesser<S: Simd>(simd: S, vector: S::$vector) -> Self {
                simd.$reduce_min(vector)
            }

            #[inline(always)]
            fn reduce_greater<S: Simd>(simd: S, vector: S::$vector) -> Self {
                simd.$reduce_max(vector)
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
        let expected = format!("{:?}", pass(Arrays, &values));
        assert_eq!(
            format!("{:?}", Simd::vectorize(simd, Dispatch(&values))),
            expected
        );
    }
}
