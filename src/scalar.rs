//! The floating-point types that the kernels compute with.

use core::fmt::{Debug, Display};

use num_traits::Float;

pub(crate) use sealed::{ScalarSlice, ScalarSliceMut};

mod sealed {
    /// A slice whose scalar type is known. Kernels with vector code for each type match on it.
    #[expect(unnameable_types, reason = "part of the sealed trait")]
    #[derive(Clone, Copy, Debug)]
    pub enum ScalarSlice<'a> {
        Single(&'a [f32]),
        Double(&'a [f64]),
    }

    /// The same for values to be written.
    #[expect(unnameable_types, reason = "part of the sealed trait")]
    #[derive(Debug)]
    pub enum ScalarSliceMut<'a> {
        Single(&'a mut [f32]),
        Double(&'a mut [f64]),
    }

    #[expect(
        unnameable_types,
        reason = "that nobody can name it is what seals `Scalar`"
    )]
    pub trait Sealed: Sized {
        fn scalar_slice(values: &[Self]) -> ScalarSlice<'_>;
        fn scalar_slice_mut(values: &mut [Self]) -> ScalarSliceMut<'_>;
    }

    impl Sealed for f32 {
        #[inline]
        fn scalar_slice(values: &[Self]) -> ScalarSlice<'_> {
            ScalarSlice::Single(values)
        }

        #[inline]
        fn scalar_slice_mut(values: &mut [Self]) -> ScalarSliceMut<'_> {
            ScalarSliceMut::Single(values)
        }
    }

    impl Sealed for f64 {
        #[inline]
        fn scalar_slice(values: &[Self]) -> ScalarSlice<'_> {
            ScalarSlice::Double(values)
        }

        #[inline]
        fn scalar_slice_mut(values: &mut [Self]) -> ScalarSliceMut<'_> {
            ScalarSliceMut::Double(values)
        }
    }
}

/// The floating-point type of weights, distances and edge weights: `f32` or `f64`.
///
/// This trait is sealed, because every kernel's accuracy is stated for exactly these two types. Sums are
/// always accumulated in `f64`, whatever the scalar.
///
/// # Examples
///
/// ```
/// use mother::Scalar;
///
/// fn mean<T: Scalar>(values: &[T]) -> f64 {
///     values.iter().map(|value| value.widen()).sum::<f64>() / values.len() as f64
/// }
///
/// assert_eq!(mean(&[1.0_f32, 2.0, 6.0]), 3.0);
/// ```
pub trait Scalar:
    sealed::Sealed + Float + Debug + Display + Default + Send + Sync + 'static
{
    /// The same value as an `f64`; exact for both scalar types.
    #[must_use]
    fn widen(self) -> f64;

    /// The same value; exact for both scalar types.
    #[must_use]
    fn from_single(value: f32) -> Self;

    /// The nearest value of this type. Rounds half to even; overflows to infinity.
    #[must_use]
    fn narrow(value: f64) -> Self;
}

impl Scalar for f32 {
    #[inline]
    fn widen(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn from_single(value: f32) -> Self {
        value
    }

    #[inline]
    fn narrow(value: f64) -> Self {
        // A rounding cast is the purpose of this function.
        value as Self
    }
}

impl Scalar for f64 {
    #[inline]
    fn widen(self) -> f64 {
        self
    }

    #[inline]
    fn from_single(value: f32) -> Self {
        Self::from(value)
    }

    #[inline]
    fn narrow(value: f64) -> Self {
        value
    }
}
