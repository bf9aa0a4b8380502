//! The moments of one block of values, with the rare cases kept out of the fast path.

use alloc::vec::Vec;

use super::lanes::Pass;
use super::scale::{power_of_two, unit_exponent};
use super::summary::Moments;
use crate::Scalar;
use crate::scalar::ScalarSlice;

/// Values in a full block: long enough that what is done once a block doesn't count, short enough
/// that it stays in the first-level cache.
pub(super) const BLOCK: usize = 4096;

/// The moments of at most a block of values, or the index of the first that is not finite.
pub(super) fn summarise<T: Scalar>(values: &[T]) -> Result<Moments, usize> {
    if values.is_empty() {
        return Ok(Moments::new());
    }
    let pass = run(values);
    // Not finite if any value is not; then the extremes can't be trusted either.
    if pass.sums.about_centre.fourth.is_finite()
        && let Some(moments) = finish(values.len(), &pass, 0)
    {
        return Ok(moments);
    }
    summarise_extreme(values)
}

/// Moments from a pass over values in units of 2 to the power `exponent`, if those are the right
/// units for its extremes (which are not in those units).
fn finish(count: usize, pass: &Pass, exponent: i32) -> Option<Moments> {
    let &Pass {
        sums,
        minimum,
        maximum,
    } = pass;
    let count = count as u64;
    if minimum == maximum {
        Some(Moments::constant(count, minimum))
    } else if unit_exponent(minimum, maximum) == exponent {
        Some(Moments::from_shifted(count, minimum, maximum, sums))
    } else {
        None
    }
}

/// Values that are not finite, or whose powers leave the range of `f64`.
#[cold]
fn summarise_extreme<T: Scalar>(values: &[T]) -> Result<Moments, usize> {
    let (mut minimum, mut maximum) = (f64::INFINITY, f64::NEG_INFINITY);
    for (index, value) in values.iter().enumerate() {
        let value = value.widen();
        if !value.is_finite() {
            return Err(index);
        }
        minimum = minimum.min(value);
        maximum = maximum.max(value);
    }
    let exponent = unit_exponent(minimum, maximum);
    let inverse = power_of_two(-exponent);
    let scaled: Vec<f64> = values.iter().map(|value| value.widen() * inverse).collect();
    let pass = Pass {
        minimum: minimum + 0.0,
        maximum: maximum + 0.0,
        ..run(&scaled)
    };
    Ok(finish(values.len(), &pass, exponent).unwrap_or_default())
}

/// One pass over values that are not empty.
fn run<T: Scalar>(values: &[T]) -> Pass {
    #[cfg(feature = "std")]
    use super::simd::dispatch;

    #[cfg(not(feature = "std"))]
    fn dispatch<T: Scalar>(values: &[T]) -> Pass {
        super::lanes::pass(super::lanes::Arrays, values)
    }

    match T::scalar_slice(values) {
        ScalarSlice::Single(values) => dispatch(values),
        ScalarSlice::Double(values) => dispatch(values),
    }
}
