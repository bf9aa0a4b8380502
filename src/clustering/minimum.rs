//! The first minimum of numbers that count, in independent lanes.

use super::formula::{greater, lesser};
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
    let end = values.len().min(start + BLOCK);
    let position = counted_position(&values[start..end], &weights[start..end], least)?;
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

/// The least and the largest of all; infinity and 0 if there is none.
#[inline(always)]
pub(super) fn extremes<T: Scalar>(values: &[T]) -> (f64, f64) {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut least = [f64::INFINITY; LANES];
    let mut largest = [0.0; LANES];
    for values in chunks {
        for lane in 0..LANES {
            least[lane] = lesser(values[lane].widen(), least[lane]);
            largest[lane] = greater(values[lane].widen(), largest[lane]);
        }
    }
    let mut least = folded(least, lesser);
    let mut largest = folded(largest, greater);
    for value in rest {
        least = lesser(value.widen(), least);
        largest = greater(value.widen(), largest);
    }
    (least, largest)
}

/// What is picked of all lanes.
#[inline(always)]
pub(super) fn folded(lanes: [f64; LANES], pick: impl Fn(f64, f64) -> f64) -> f64 {
    // Seen together with the loop that filled the lanes, this would change how that is compiled: to
    // comparisons and blends that wait for each other instead of minima and maxima.
    let lanes = core::hint::black_box(lanes);
    lanes.into_iter().fold(lanes[0], pick)
}

/// The value, or infinity where its weight isn't above zero.
#[inline(always)]
pub(super) fn counted(value: f64, weight: f64) -> f64 {
    if weight > 0.0 { value } else { f64::INFINITY }
}

/// The first position of what is sought.
#[inline(always)]
pub(super) fn position<S: Copy>(values: &[S], sought: impl Fn(S) -> bool) -> Option<usize> {
    for (number, block) in values.chunks(BLOCK).enumerate() {
        if block.iter().fold(false, |has, &value| has | sought(value)) {
            let within = block.iter().position(|&value| sought(value))?;
            return Some(number * BLOCK + within);
        }
    }
    None
}

/// The first position of a value among those whose `weights` are above zero.
#[inline(always)]
pub(super) fn counted_position(values: &[f64], weights: &[f64], sought: f64) -> Option<usize> {
    let is = |(&value, &weight): (&f64, &f64)| counted(value, weight) == sought;
    let blocks = values.chunks(BLOCK).zip(weights.chunks(BLOCK));
    for (number, (values, weights)) in blocks.enumerate() {
        let pairs = values.iter().zip(weights);
        if pairs.clone().fold(false, |has, pair| has | is(pair)) {
            let within = pairs.clone().position(is)?;
            return Some(number * BLOCK + within);
        }
    }
    None
}
