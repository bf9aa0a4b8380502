//! The first minimum of numbers, in independent lanes.

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

/// The first position of what is sought.
#[inline(always)]
pub(super) fn position<S: Copy>(values: &[S], sought: impl Fn(S) -> bool + Copy) -> Option<usize> {
    let block = first_with(values.chunks(BLOCK), sought)?;
    let start = block * BLOCK;
    let end = values.len().min(start + BLOCK);
    let lanes = first_with(values[start..end].chunks(LANES), sought)?;
    let start = start + lanes * LANES;
    let lane = values[start..].iter().position(|&value| sought(value))?;
    Some(start + lane)
}

/// The first of these that hold what is sought.
#[inline(always)]
fn first_with<'a, S: Copy + 'a>(
    mut parts: impl Iterator<Item = &'a [S]>,
    sought: impl Fn(S) -> bool,
) -> Option<usize> {
    parts.position(|part| part.iter().fold(false, |has, &value| has | sought(value)))
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
}
