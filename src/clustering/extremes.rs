//! The least and the largest value of a slice, computed in independent lanes.

use crate::Scalar;
use crate::minimum::{greater, lesser};

/// The number of values compared at once.
pub(super) const LANES: usize = 8;

/// The least and the largest value; infinity and 0 for an empty slice.
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

/// Reduces all lanes to one value with `pick`.
#[inline(always)]
pub(super) fn folded(lanes: [f64; LANES], pick: impl Fn(f64, f64) -> f64) -> f64 {
    // Compiled together with the loop that filled the lanes, this would change the loop's code from minima
    // and maxima to comparisons and blends that wait for each other.
    by_halves(core::hint::black_box(lanes), pick)
}

/// Reduces all lanes to one value with `pick`, by halves, since each step of a chain of eight would wait for
/// the previous one.
#[inline(always)]
pub(super) fn by_halves(mut lanes: [f64; LANES], pick: impl Fn(f64, f64) -> f64) -> f64 {
    for half in [4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = pick(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}
