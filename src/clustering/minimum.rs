//! The first minimum of numbers, or of those that count, in independent lanes.

use super::formula::{greater, lesser};
use crate::Scalar;

/// So many numbers are compared at once.
pub(super) const LANES: usize = 8;
/// So many numbers are looked through for the position of their minimum.
const BLOCK: usize = 64;

/// The position and value of the first minimum; none if nothing is below infinity. NaN is passed over.
#[inline(always)]
pub(super) fn first_minimum(values: &[f64]) -> Option<(usize, f64)> {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut least = [f64::INFINITY; LANES];
    for values in chunks {
        for lane in 0..LANES {
            least[lane] = lesser(values[lane], least[lane]);
        }
    }
    for (least, &value) in least.iter_mut().zip(rest) {
        *least = lesser(value, *least);
    }
    let least = by_halves(least, lesser);
    if least == f64::INFINITY {
        return None;
    }
    Some((position(values, |value| value == least)?, least))
}

/// The position and value of the first minimum among those whose `weights` are above zero.
#[inline(always)]
pub(super) fn first_counted_minimum(values: &[f64], weights: &[f64]) -> Option<(usize, f64)> {
    let mut least = f64::INFINITY;
    let mut start = 0;
    let blocks = values.chunks(BLOCK).zip(weights.chunks(BLOCK));
    for (number, (values, weights)) in blocks.enumerate() {
        let minimum = counted_minimum(values, weights);
        if minimum < least {
            least = minimum;
            start = number * BLOCK;
        }
    }
    let end = values.len().min(start + BLOCK);
    let pairs = values[start..end].iter().zip(&weights[start..end]);
    let within = { pairs }.position(|(&value, &weight)| counted(value, weight) == least)?;
    Some((start + within, least))
}

/// The least of those whose `weights` are above zero; infinity if there is none.
#[inline(always)]
pub(super) fn counted_minimum<T: Scalar>(values: &[T], weights: &[f64]) -> f64 {
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
    by_halves(core::hint::black_box(lanes), pick)
}

/// What is picked of all lanes, by halves, as a chain of eight would wait for each of them.
#[inline(always)]
fn by_halves(mut lanes: [f64; LANES], pick: impl Fn(f64, f64) -> f64) -> f64 {
    for half in [4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = pick(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}

/// The value, or infinity where its weight isn't above zero.
#[inline(always)]
fn counted(value: f64, weight: f64) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_first_of_equal_minima_is_found_at_any_position() {
        for length in [1, 7, 8, 9, 63, 64, 65, 130] {
            assert_eq!(first_minimum(&vec![f64::INFINITY; length]), None);
            assert_eq!(first_minimum(&vec![f64::NAN; length]), None);
            for place in 0..length {
                let mut values = vec![3.0; length];
                values[0] = f64::NAN;
                values[length - 1] = 1.0;
                values[place] = 1.0;
                assert_eq!(first_minimum(&values), Some((place, 1.0)));
            }
        }
        assert_eq!(first_minimum(&[]), None);
    }

    #[test]
    fn what_does_not_count_is_passed_over() {
        for length in [1, 8, 65, 130] {
            for place in 0..length {
                let values = vec![1.0; length];
                let mut weights = vec![0.0; length];
                weights[place] = 2.0;
                weights[length - 1] = 1.0;
                let found = first_counted_minimum(&values, &weights);
                assert_eq!(found, Some((place, 1.0)));
            }
        }
    }
}
