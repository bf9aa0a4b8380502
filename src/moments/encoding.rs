//! The forms in which values come: as numbers, or as the bytes of 16-bit floats.

use core::marker::PhantomData;

use super::lanes::Pass;
#[cfg(not(feature = "simd"))]
use super::lanes::{Arrays, pass};
#[cfg(feature = "simd")]
use super::simd::dispatch;
use crate::Scalar;
#[cfg(feature = "simd")]
use crate::scalar::ScalarSlice;
#[cfg(feature = "half")]
use crate::weights::{bfloat16, binary16};

/// How values are stored.
pub(super) trait Encoding: Copy {
    type Stored: Copy;
    /// Holds every value exactly.
    type Scalar: Scalar;

    fn decode(stored: Self::Stored) -> Self::Scalar;

    /// One pass over values that are not empty, by the fastest code there is.
    fn pass(values: &[Self::Stored]) -> Pass;
}

/// Without the standard library there is no finding out what registers there are.
#[cfg(not(feature = "simd"))]
fn dispatch<E: Encoding>(values: &[E::Stored]) -> Pass {
    pass::<E, _>(Arrays, values)
}

/// Numbers as they are.
#[derive(Clone, Copy)]
pub(super) struct Plain<T>(PhantomData<T>);

impl<T: Scalar> Encoding for Plain<T> {
    type Stored = T;
    type Scalar = T;

    #[inline(always)]
    fn decode(stored: T) -> T {
        stored
    }

    fn pass(values: &[T]) -> Pass {
        #[cfg(feature = "simd")]
        match T::scalar_slice(values) {
            ScalarSlice::Single(values) => dispatch::<Plain<f32>>(values),
            ScalarSlice::Double(values) => dispatch::<Plain<f64>>(values),
        }
        #[cfg(not(feature = "simd"))]
        dispatch::<Self>(values)
    }
}

/// The two bytes of a float, the lower ones first.
#[cfg(feature = "half")]
pub(super) type Word = [u8; 2];

/// IEEE 754 half precision.
#[cfg(feature = "half")]
#[derive(Clone, Copy)]
pub(super) struct F16;

#[cfg(feature = "half")]
impl Encoding for F16 {
    type Stored = Word;
    type Scalar = f32;

    #[inline(always)]
    fn decode(stored: Word) -> f32 {
        binary16(u16::from_le_bytes(stored))
    }

    fn pass(values: &[Word]) -> Pass {
        dispatch::<Self>(values)
    }
}

/// The upper half of a single-precision number.
#[cfg(feature = "half")]
#[derive(Clone, Copy)]
pub(super) struct Bf16;

#[cfg(feature = "half")]
impl Encoding for Bf16 {
    type Stored = Word;
    type Scalar = f32;

    #[inline(always)]
    fn decode(stored: Word) -> f32 {
        bfloat16(u16::from_le_bytes(stored))
    }

    fn pass(values: &[Word]) -> Pass {
        dispatch::<Self>(values)
    }
}
