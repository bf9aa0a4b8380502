//! Weights in memory, borrowed or owned, in their own element type.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use super::ElementType;
use crate::Scalar;

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

/// Defines [`WeightSlice`] and the storage of [`WeightValues`]. Each type comes with its conversion to any scalar.
macro_rules! storage {
    ($(
        $(#[doc = $about:literal])* $(#[cfg($feature:meta)])? $variant:ident($element:ty, $convert:expr)
    ),* $(,)?) => {
        /// A layer's values in memory.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum WeightSlice<'a> {
            $($(#[doc = $about])* $(#[cfg($feature)])? $variant(&'a [$element]),)*
        }

        impl WeightSlice<'_> {
            /// The number of values.
            #[must_use]
            pub const fn len(&self) -> usize {
                match self {
                    $($(#[cfg($feature)])? Self::$variant(values) => values.len(),)*
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
                    $($(#[cfg($feature)])? Self::$variant(_) => ElementType::$variant,)*
                }
            }

            /// Some of the values; `None` if there are fewer.
            pub(super) fn range(self, range: Range<usize>) -> Option<Self> {
                Some(match self {
                    $($(#[cfg($feature)])? Self::$variant(values) => Self::$variant(values.get(range)?),)*
                })
            }

            /// Copies values, starting at flat index `offset`, into `values`, as many as both have.
            ///
            /// This is exact, except that double precision is rounded to nearest if `T` is `f32`.
            pub fn copy_to<T: Scalar>(&self, offset: usize, values: &mut [T]) {
                match self {
                    $($(#[cfg($feature)])? Self::$variant(stored) => {
                        copy_each(stored, offset, values, $convert)
                    })*
                }
            }
        }

        #[derive(Clone, Debug, PartialEq)]
        enum Storage<'a> {
            $($(#[cfg($feature)])? $variant(Cow<'a, [$element]>),)*
        }

        impl WeightValues<'_> {
            /// The values, borrowed.
            #[must_use]
            pub fn as_slice(&self) -> WeightSlice<'_> {
                match &self.0 {
                    $($(#[cfg($feature)])? Storage::$variant(values) => WeightSlice::$variant(values),)*
                }
            }
        }

        $(
            $(#[cfg($feature)])?
            impl From<Vec<$element>> for WeightValues<'_> {
                fn from(values: Vec<$element>) -> Self {
                    Self(Storage::$variant(Cow::Owned(values)))
                }
            }

            $(#[cfg($feature)])?
            impl<'a> From<&'a [$element]> for WeightValues<'a> {
                fn from(values: &'a [$element]) -> Self {
                    Self(Storage::$variant(Cow::Borrowed(values)))
                }
            }
        )*
    };
}

storage! {
    /// Double precision.
    F64(f64, T::narrow),
    /// Single precision.
    F32(f32, T::from_single),
    /// Half precision.
    #[cfg(feature = "half")] F16(half::f16, |value| T::from_single(value.to_f32())),
    /// bfloat16.
    #[cfg(feature = "half")] Bf16(half::bf16, |value| T::from_single(value.to_f32())),
    /// Signed bytes.
    I8(i8, |value| T::from_single(f32::from(value))),
    /// Unsigned bytes.
    U8(u8, |value| T::from_single(f32::from(value))),
}
