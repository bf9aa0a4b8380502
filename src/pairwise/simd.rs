//! The lanes of a panel in vector registers, chosen at run time.

use pulp::{Arch, Simd, WithSimd};

use super::square::Square;
use super::tile::{Arrays, Job, Lanes};

/// Runs a job with the widest registers of this processor.
pub(super) fn dispatch<T: Element>(job: Job<'_, T>) {
    Arch::new().dispatch(Dispatch(job));
}

struct Dispatch<'a, T>(Job<'a, T>);

impl<T: Element> WithSimd for Dispatch<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        T::run(simd, &mut self.0);
    }
}

/// `W` lanes in `N` registers.
#[derive(Clone, Copy)]
struct Registers<S, const N: usize>(S);

impl<T: Element, S: Simd, const W: usize, const N: usize> Lanes<T, W> for Registers<S, N> {
    type Row = [T::Vector<S>; N];

    #[inline(always)]
    fn splat(self, value: T) -> Self::Row {
        [T::splat(self.0, value); N]
    }

    #[inline(always)]
    fn load(self, line: &[T; W]) -> Self::Row {
        let registers = T::vectors::<S>(line);
        core::array::from_fn(|register| registers[register])
    }

    #[inline(always)]
    fn add_to(self, row: Self::Row, sums: &mut [f64; W]) {
        let mut values = [T::zero(); W];
        T::vectors_mut::<S>(&mut values).copy_from_slice(&row);
        let mut wide = [0.0; W];
        for (wide, value) in wide.iter_mut().zip(values) {
            *wide = value.widen();
        }
        let (sums, _) = S::as_mut_simd_f64s(sums);
        let (values, _) = S::as_simd_f64s(&wide);
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum = self.0.add_f64s(*sum, value);
        }
    }

    #[inline(always)]
    fn add(self, a: Self::Row, b: Self::Row) -> Self::Row {
        core::array::from_fn(|register| T::sum(self.0, a[register], b[register]))
    }

    #[inline(always)]
    fn add_squared_difference(self, sum: Self::Row, a: Self::Row, b: Self::Row) -> Self::Row {
        core::array::from_fn(|register| {
            let difference = T::difference(self.0, a[register], b[register]);
            T::add_squares(self.0, difference, sum[register])
        })
    }
}

/// A scalar type and its vector type.
pub(super) trait Element: Square {
    type Vector<S: Simd>: Copy;

    fn run<S: Simd>(simd: S, job: &mut Job<'_, Self>);
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    fn sum<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn difference<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// [`Square::add_square`] of every lane.
    fn add_squares<S: Simd>(
        simd: S,
        value: Self::Vector<S>,
        sum: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

macro_rules! implement_element {
    (
        $scalar:ty, $vector:ident, $vectors:ident, $vectors_mut:ident, $splat:ident, $add:ident,
        $sub:ident, $add_squares:expr
    ) => {
        impl Element for $scalar {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn run<S: Simd>(simd: S, job: &mut Job<'_, Self>) {
                const BYTES: usize = size_of::<$scalar>();
                match size_of::<S::$vector>() {
                    64 => job.run::<_, { 64 / BYTES }, 8>(Registers::<S, 1>(simd)),
                    32 => job.run::<_, { 32 / BYTES }, 8>(Registers::<S, 1>(simd)),
                    // WebAssembly's vectors have no fused multiply-add.
                    16 if cfg!(target_arch = "aarch64") => {
                        job.run::<_, { 32 / BYTES }, 8>(Registers::<S, 2>(simd));
                    }
                    _ => job.run::<_, { 32 / BYTES }, 4>(Arrays),
                }
            }

            #[inline(always)]
            fn vectors<S: Simd>(values: &[Self]) -> &[S::$vector] {
                S::$vectors(values).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$vector] {
                S::$vectors_mut(values).0
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn sum<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn difference<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$sub(a, b)
            }

            #[inline(always)]
            fn add_squares<S: Simd>(simd: S, value: S::$vector, sum: S::$vector) -> S::$vector {
                $add_squares(simd, value, sum)
            }
        }
    };
}

implement_element!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    add_f32s,
    sub_f32s,
    |simd: S, value, sum| simd.mul_add_f32s(value, value, sum)
);
implement_element!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    add_f64s,
    sub_f64s,
    |simd: S, value, sum| simd.add_f64s(simd.mul_f64s(value, value), sum)
);

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// The sums of all pairs, as computed by `run`.
    fn sums<T: Element>(vectors: &[Vec<T>], run: impl FnOnce(Job<'_, T>)) -> Vec<f64> {
        let vectors: Vec<&[T]> = vectors.iter().map(Vec::as_slice).collect();
        let mut output = vec![0.0; vectors.len() * (vectors.len() - 1) / 2];
        run(Job {
            vectors: &vectors,
            tiny: &vec![false; vectors.len()],
            rows: 0..vectors.len(),
            output: &mut output,
        });
        output
    }

    fn agree<T: Element>() {
        for (count, length) in [(2, 5), (37, 70), (20, 1100)] {
            let vectors: Vec<Vec<T>> = (0..count as u32)
                .map(|i| {
                    (0..length)
                        .map(|k| (i << 16 | k).wrapping_mul(2_654_435_769))
                        .map(|bits| T::narrow(f64::from(bits) * 1e-9))
                        .collect()
                })
                .collect();
            let expected = sums(&vectors, |mut job| job.run::<_, 8, 4>(Arrays));
            assert!(expected.iter().all(|&sum| sum > 0.0));
            assert_eq!(sums(&vectors, dispatch), expected);
            assert_eq!(
                sums(&vectors, |mut job| job.run::<_, 16, 1>(Arrays)),
                expected
            );
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                let narrow = |job: Job<'_, T>| Simd::vectorize(simd, Dispatch(job));
                assert_eq!(sums(&vectors, narrow), expected);
            }
        }
    }

    #[test]
    fn registers_and_arrays_give_the_same_bits() {
        agree::<f32>();
        agree::<f64>();
    }
}
