//! Weights in memory, borrowed or owned, in their own element type.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use super::ElementType;
use crate::Scalar;

/// A layer's values in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum WeightSlice<'a> {
    /// Double precision.
    F64(&'a [f64]),
    /// Single precision.
    F32(&'a [f32]),
    /// Half precision.
    #[cfg(feature = "half")]
    F16(&'a [half::f16]),
    /// bfloat16.
    #[cfg(feature = "half")]
    Bf16(&'a [half::bf16]),
    /// Signed bytes.
    I8(&'a [i8]),
    /// Unsigned bytes.
    U8(&'a [u8]),
}

impl WeightSlice<'_> {
    /// The number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
            #[cfg(feature = "half")]
            Self::F16(values) => values.len(),
            #[cfg(feature = "half")]
            Self::Bf16(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    #[must_use]
    pub const fn element_type(&self) -> ElementType {
        match self {
            Self::F64(_) => ElementType::F64,
            Self::F32(_) => ElementType::F32,
            #[cfg(feature = "half")]
            Self::F16(_) => ElementType::F16,
            #[cfg(feature = "half")]
            Self::Bf16(_) => ElementType::Bf16,
            Self::I8(_) => ElementType::I8,
            Self::U8(_) => ElementType::U8,
        }
    }

    /// Some of the values; `None` if there are fewer.
    pub(super) fn range(self, range: Range<usize>) -> Option<Self> {
        Some(match self {
            Self::F64(values) => Self::F64(values.get(range)?),
            Self::F32(values) => Self::F32(values.get(range)?),
            #[cfg(feature = "half")]
            Self::F16(values) => Self::F16(values.get(range)?),
            #[cfg(feature = "half")]
            Self::Bf16(values) => Self::Bf16(values.get(range)?),
            Self::I8(values) => Self::I8(values.get(range)?),
            Self::U8(values) => Self::U8(values.get(range)?),
        })
    }

    /// Copies values, starting at flat index `offset`, into `values`, as many as both have.
    ///
    /// This is exact, except that double precision is rounded to nearest if `T` is `f32`.
    pub fn copy_to<T: Scalar>(&self, offset: usize, values: &mut [T]) {
        match self {
            Self::F64(stored) => copy_each(stored, offset, values, T::narrow),
            Self::F32(stored) => copy_each(stored, offset, values, T::from_single),
            #[cfg(feature = "half")]
            Self::F16(stored) => copy_each(stored, offset, values, |value| {
                T::from_single(value.to_f32())
            }),
            #[cfg(feature = "half")]
            Self::Bf16(stored) => copy_each(stored, offset, values, |value| {
                T::from_single(value.to_f32())
            }),
            Self::I8(stored) => copy_each(stored, offset, values, |value| {
                T::from_single(f32::from(value))
            }),
            Self::U8(stored) => copy_each(stored, offset, values, |value| {
                T::from_single(f32::from(value))
            }),
        }
    }
}

fn copy_each<U: Copy, T>(stored: &[U], offset: usize, values: &mut [T], convert: impl Fn(U) -> T) {
    let stored = stored.get(offset..).unwrap_or_default();
    for (value, &stored) in values.iter_mut().zip(stored) {
        *value = convert(stored);
    }
}

/// Values for a layer of an [`InMemoryModel`](super::InMemoryModel): a vector or borrowed slice of any
/// element type, converted with `From`.
///
/// # Examples
///
/// ```
/// use mother::weights::{ElementType, WeightValues};
///
/// let owned = WeightValues::from(vec![1.0_f32, 2.0]);
/// let borrowed = WeightValues::from(&[1_i8, -1][..]);
/// assert_eq!(owned.as_slice().element_type(), ElementType::F32);
/// assert_eq!(borrowed.as_slice().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WeightValues<'a>(Storage<'a>);

macro_rules! storage {
    ($($(#[$feature:meta])? $variant:ident($element:ty)),* $(,)?) => {
        #[derive(Clone, Debug, PartialEq)]
        enum Storage<'a> {
            $($(#[$feature])? $variant(Cow<'a, [$element]>),)*
        }

        impl WeightValues<'_> {
            /// The values, borrowed.
            #[must_use]
            pub fn as_slice(&self) -> WeightSlice<'_> {
                match &self.0 {
                    $($(#[$feature])? Storage::$variant(values) => WeightSlice::$variant(values),)*
                }
            }
        }

        $(
            $(#[$feature])?
            impl From<Vec<$element>> for WeightValues<'_> {
                fn from(values: Vec<$element>) -> Self {
                    Self(Storage::$variant(Cow::Owned(values)))
                }
            }

            $(#[$feature])?
            impl<'a> From<&'a [$element]> for WeightValues<'a> {
                fn from(values: &'a [$element]) -> Self {
                    Self(Storage::$variant(Cow::Borrowed(values)))
                }
            }
        )*
    };
}

storage! {
    F64(f64),
    F32(f32),
    #[cfg(feature = "half")] F16(half::f16),
    #[cfg(feature = "half")] Bf16(half::bf16),
    I8(i8),
    U8(u8),
}
