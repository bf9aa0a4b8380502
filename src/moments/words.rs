//! Floats in 16 bits in vector registers: decoded a row at a time, extremes taken of their bits.
//!
//! On x86-64 the few instructions that matter are chosen by hand, elsewhere compilers choose.

use pulp::Simd;
#[cfg(target_arch = "x86_64")]
use {core::any::Any, pulp::core_arch::x86::Avx2, pulp::x86::V3, pulp::x86::V4};

use super::encoding::{Bf16, Encoding, F16, Word};
use super::lanes::{LANES, STEP};
use super::simd::Element;
use crate::Scalar;

/// The greatest words of each lane, as integers with a sign and without.
///
/// As integers, floats above zero are in their order, and those below zero in the opposite one: the
/// first is the maximum if any sign is positive, the second the minimum if any is negative.
#[derive(Clone, Copy)]
pub(super) struct WordExtremes {
    signed: [i16; STEP],
    unsigned: [u16; STEP],
}

macro_rules! implement_element {
    ($encoding:ty, $decode_row:path) => {
        impl Element for $encoding {
            type Extremes<S: Simd> = WordExtremes;

            #[inline(always)]
            fn decode_row<S: Simd>(simd: S, row: &[Word; LANES]) -> [f32; LANES] {
                $decode_row(simd, row)
            }

            #[inline(always)]
            fn no_extremes<S: Simd>(_: S) -> WordExtremes {
                WordExtremes {
                    signed: [i16::MIN; STEP],
                    unsigned: [0; STEP],
                }
            }

            #[inline(always)]
            fn update_extremes<S: Simd>(
                simd: S,
                extremes: WordExtremes,
                step: &[Word; STEP],
            ) -> WordExtremes {
                update(simd, extremes, step)
            }

            #[inline(always)]
            fn reduce_extremes<S: Simd>(
                _: S,
                extremes: WordExtremes,
                steps: &[[Word; STEP]],
            ) -> (f64, f64) {
                if steps.is_empty() {
                    return (f64::INFINITY, f64::NEG_INFINITY);
                }
                let (minimum, maximum) =
                    of_both_signs(extremes).unwrap_or_else(|| of_any(steps.as_flattened()));
                (Self::decode(minimum).widen(), Self::decode(maximum).widen())
            }
        }
    };
}

implement_element!(F16, binary16_row);
implement_element!(Bf16, bfloat16_row);

/// Half precision, by the processor's own instruction where `pulp` offers it.
#[inline(always)]
fn binary16_row<S: Simd>(simd: S, row: &[Word; LANES]) -> [f32; LANES] {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = same::<S, V4>(simd) {
        let words = pulp::cast(row.map(u16::from_le_bytes));
        return pulp::cast(simd.avx512f._mm256_maskz_cvtph_ps(u8::MAX, words));
    }
    let _ = simd;
    row.map(F16::decode)
}

/// The upper halves of single-precision numbers, in one shuffle instead of two instructions.
#[inline(always)]
fn bfloat16_row<S: Simd>(simd: S, row: &[Word; LANES]) -> [f32; LANES] {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2(simd) {
        /// Negative numbers stand for a byte of zeros.
        #[rustfmt::skip]
        const PLACES: [i8; 32] = [
            -1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7,
            -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15,
        ];
        let words = pulp::cast(row.map(u16::from_le_bytes));
        // A shuffle stays in its half of the register, so both halves get all words.
        let twice = avx2._mm256_broadcastsi128_si256(words);
        return pulp::cast(avx2._mm256_shuffle_epi8(twice, pulp::cast(PLACES)));
    }
    let _ = simd;
    row.map(Bf16::decode)
}

/// Where there are no instructions for it, [`of_any`] finds the extremes in the end.
#[inline(always)]
fn update<S: Simd>(simd: S, extremes: WordExtremes, step: &[Word; STEP]) -> WordExtremes {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2(simd) {
        let WordExtremes { signed, unsigned } = extremes;
        let words = pulp::cast(step.map(u16::from_le_bytes));
        return WordExtremes {
            signed: pulp::cast(avx2._mm256_max_epi16(pulp::cast(signed), words)),
            unsigned: pulp::cast(avx2._mm256_max_epu16(pulp::cast(unsigned), words)),
        };
    }
    let _ = (simd, step);
    extremes
}

/// Minimum and maximum, unless all signs are the same.
fn of_both_signs(extremes: WordExtremes) -> Option<(Word, Word)> {
    let greatest = extremes.signed.into_iter().fold(i16::MIN, i16::max);
    let greatest_unsigned = extremes.unsigned.into_iter().fold(0, u16::max);
    (greatest >= 0 && is_negative(greatest_unsigned))
        .then(|| (greatest_unsigned.to_le_bytes(), greatest.to_le_bytes()))
}

/// Minimum and maximum of words that are not empty.
#[inline(always)]
fn of_any(words: &[Word]) -> (Word, Word) {
    let (mut least, mut greatest, mut greatest_unsigned) = (i16::MAX, i16::MIN, 0_u16);
    for &word in words {
        let bits = u16::from_le_bytes(word);
        least = least.min(bits.cast_signed());
        greatest = greatest.max(bits.cast_signed());
        greatest_unsigned = greatest_unsigned.max(bits);
    }
    // The least integer is next to zero if all signs are the same.
    let minimum = if is_negative(greatest_unsigned) {
        greatest_unsigned
    } else {
        least.cast_unsigned()
    };
    let maximum = if greatest < 0 { least } else { greatest };
    (minimum.to_le_bytes(), maximum.to_le_bytes())
}

const fn is_negative(bits: u16) -> bool {
    bits.cast_signed() < 0
}

/// `simd`, if it is of type `T`; known when compiling.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn same<S: Simd, T: Copy + 'static>(simd: S) -> Option<T> {
    (&simd as &dyn Any).downcast_ref::<T>().copied()
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn avx2<S: Simd>(simd: S) -> Option<Avx2> {
    same::<S, V4>(simd)
        .map(|simd| simd.avx2)
        .or_else(|| same::<S, V3>(simd).map(|simd| simd.avx2))
}
