//! The moments of one block of values, with the rare cases kept out of the fast path.

use alloc::vec::Vec;

use super::encoding::{Encoding, Plain};
use super::lanes::Pass;
use super::scale::{power_of_two, unit_exponent};
use super::summary::Moments;
use crate::Scalar;

/// Values in a full block: long enough that what is done once a block doesn't count, short enough
/// that it stays in the first-level cache.
pub(super) const BLOCK: usize = 4096;

/// The moments of at most a block of values, or the index of the first that is not finite.
pub(super) fn summarise<E: Encoding>(values: &[E::Stored]) -> Result<Moments, usize> {
    if values.is_empty() {
        return Ok(Moments::new());
    }
    let pass = E::pass(values);
    // Not finite if any value is not; then the extremes can't be trusted either.
    if pass.sums.about_centre.fourth.is_finite() && unit_exponent(pass.minimum, pass.maximum) == 0 {
        return Ok(finish(values.len(), &pass));
    }
    summarise_extreme::<E>(values)
}

/// Moments from a pass over values in the unit that its extremes call for (which are not in it).
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

/// Values that are not finite, or whose powers leave the range of `f64`.
#[cold]
fn summarise_extreme<E: Encoding>(values: &[E::Stored]) -> Result<Moments, usize> {
    let (mut minimum, mut maximum) = (f64::INFINITY, f64::NEG_INFINITY);
    for (index, &value) in values.iter().enumerate() {
        let value = E::decode(value).widen();
        if !value.is_finite() {
            return Err(index);
        }
        minimum = minimum.min(value);
        maximum = maximum.max(value);
    }
    let inverse = power_of_two(-unit_exponent(minimum, maximum));
    let scaled: Vec<f64> = (values.iter())
        .map(|&value| E::decode(value).widen() * inverse)
        .collect();
    let pass = Pass {
        minimum: minimum + 0.0,
        maximum: maximum + 0.0,
        ..Plain::pass(&scaled)
    };
    Ok(finish(values.len(), &pass))
}
