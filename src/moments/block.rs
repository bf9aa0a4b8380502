//! The moments of one block of values; rare cases are kept out of the fast path.

use alloc::vec::Vec;

use super::lanes::Pass;
#[cfg(not(feature = "simd"))]
use super::lanes::{Arrays, pass};
use super::scale::unit_exponent;
#[cfg(feature = "simd")]
use super::simd::dispatch;
use super::summary::Moments;
use crate::Scalar;
use crate::powers::power_of_two;
#[cfg(feature = "simd")]
use crate::scalar::ScalarSlice;

/// The number of values in a full block: large enough that the work done once per block is negligible, small
/// enough to fit in the first-level cache.
pub(super) const BLOCK: usize = 4096;

/// The moments of at most one block of values, or the index of the first value that is not finite.
pub(super) fn summarise<T: Scalar>(values: &[T]) -> Result<Moments, usize> {
    if values.is_empty() {
        return Ok(Moments::new());
    }
    let pass = fastest_pass(values);
    // The sum is not finite if some value is not; then the extremes can't be trusted either.
    if pass.sums.about_centre.fourth.is_finite() && unit_exponent(pass.minimum, pass.maximum) == 0 {
        return Ok(finish(values.len(), &pass));
    }
    summarise_extreme(values)
}

/// One pass over a non-empty slice, with the fastest code available.
fn fastest_pass<T: Scalar>(values: &[T]) -> Pass {
    #[cfg(feature = "simd")]
    match T::scalar_slice(values) {
        ScalarSlice::Single(values) => dispatch(values),
        ScalarSlice::Double(values) => dispatch(values),
    }
    // Without this feature, there is no way to find out which registers the machine has.
    #[cfg(not(feature = "simd"))]
    pass(Arrays, values)
}

/// Moments from a pass over values scaled to their own unit; the extremes are not scaled.
fn finish(count: usize, pass: &Pass) -> Moments {
    let &Pass {
        sums,
        minimum,
        maximum,
    } = pass;
    let count = count as u64;
    if minimum == maximum {
        Moments::constant(count, minimum)
    } else {
        Moments::from_shifted(count, minimum, maximum, sums)
    }
}

/// Handles values that are not finite, or whose powers exceed the range of `f64`.
#[cold]
fn summarise_extreme<T: Scalar>(values: &[T]) -> Result<Moments, usize> {
    let (mut minimum, mut maximum) = (f64::INFINITY, f64::NEG_INFINITY);
    for (index, &value) in values.iter().enumerate() {
        let value = value.widen();
        if !value.is_finite() {
            return Err(index);
        }
        minimum = minimum.min(value);
        maximum = maximum.max(value);
    }
    let inverse = power_of_two(-unit_exponent(minimum, maximum));
    let scaled: Vec<f64> = (values.iter())
        .map(|&value| value.widen() * inverse)
        .collect();
    let pass = Pass {
        minimum: minimum + 0.0,
        maximum: maximum + 0.0,
        ..fastest_pass(&scaled)
    };
    Ok(finish(values.len(), &pass))
}
