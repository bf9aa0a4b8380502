//! The first minimum of numbers that count, in independent lanes.

use super::formula::lesser;
use crate::Scalar;

/// So many numbers are compared at once.
pub(super) const LANES: usize = 8;
/// So many numbers are looked through for the position of their minimum.
const BLOCK: usize = 64;

/// The position and value of the first minimum among those whose `weights` are above zero.
#[inline(always)]
pub(super) fn first_minimum(values: &[f64], weights: &[f64]) -> Option<(usize, f64)> {
    let mut least = f64::INFINITY;
    let mut start = 0;
    let blocks = values.chunks(BLOCK).zip(weights.chunks(BLOCK));
    for (number, (values, weights)) in blocks.enumerate() {
        let minimum = minimum(values, weights);
        if minimum < least {
            least = minimum;
            start = number * BLOCK;
        }
    }
    let position = values
        .iter()
        .zip(weights)
        .skip(start)
        .take(BLOCK)
        .position(|(&value, &weight)| weight > 0.0 && value == least)?;
    Some((start + position, least))
}

/// The least of those whose `weights` are above zero; infinity if there is none.
#[inline(always)]
pub(super) fn minimum<T: Scalar>(values: &[T], weights: &[f64]) -> f64 {
    let (values, last_values) = values.as_chunks::<LANES>();
    let (weights, last_weights) = weights.as_chunks::<LANES>();
    let mut lanes = [f64::INFINITY; LANES];
    for (values, weights) in values.iter().zip(weights) {
        for lane in 0..LANES {
            lanes[lane] = lesser(counted(values[lane].widen(), weights[lane]), lanes[lane]);
        }
    }
    for (lane, (&value, &weight)) in lanes.iter_mut().zip(last_values.iter().zip(last_weights)) {
        *lane = lesser(counted(value.widen(), weight), *lane);
    }
    lanes.into_iter().fold(f64::INFINITY, lesser)
}

#[inline(always)]
fn counted(value: f64, weight: f64) -> f64 {
    if weight > 0.0 { value } else { f64::INFINITY }
}

/// The first position of what is sought.
#[inline(always)]
pub(super) fn position<S: Copy>(values: &[S], sought: impl Fn(S) -> bool) -> Option<usize> {
    let has = |block: &[S]| block.iter().fold(false, |has, &value| has | sought(value));
    let number = values.chunks(BLOCK).position(has)?;
    let start = number * BLOCK;
    let within = values[start..].iter().position(|&value| sought(value))?;
    Some(start + within)
}
