//! The least and largest of numbers, in independent lanes.

use super::formula::greater;
use crate::Scalar;
use crate::minimum::lesser;

/// So many numbers are compared at once.
pub(super) const LANES: usize = 8;

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
pub(super) fn by_halves(mut lanes: [f64; LANES], pick: impl Fn(f64, f64) -> f64) -> f64 {
    for half in [4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = pick(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}
