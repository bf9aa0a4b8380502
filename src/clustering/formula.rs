//! The formulas of Lance and Williams: how far every other cluster is from the union of two.

/// One linkage's formula.
pub(super) trait Formula {
    /// Whether it works on squared distances.
    const SQUARED: bool;
    /// Whether a union is never nearer to a third cluster than both its parts, as rounded, too.
    const REDUCIBLE: bool;

    /// Given the distance `between` two clusters of `i` and `j` points: the distance of their union
    /// to a cluster of k points, from the distances of the two to it and k.
    fn union(between: f64, i: f64, j: f64) -> impl Fn(f64, f64, f64) -> f64 + Copy;
}

pub(super) struct Complete;
pub(super) struct Average;
pub(super) struct Weighted;
pub(super) struct Ward;
pub(super) struct Centroid;
pub(super) struct Median;

/// The lesser; unlike `f64::min` one instruction, as nothing here is NaN.
#[inline(always)]
pub(super) fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// The greater.
#[inline(always)]
pub(super) fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

impl Formula for Complete {
    const SQUARED: bool = false;
    const REDUCIBLE: bool = true;

    #[inline(always)]
    fn union(_: f64, _: f64, _: f64) -> impl Fn(f64, f64, f64) -> f64 + Copy {
        |to_i, to_j, _| greater(to_i, to_j)
    }
}

impl Formula for Average {
    const SQUARED: bool = false;
    const REDUCIBLE: bool = true;

    #[inline(always)]
    fn union(_: f64, i: f64, j: f64) -> impl Fn(f64, f64, f64) -> f64 + Copy {
        let share = j / (i + j);
        // The mean as a step from one to the other can't overflow.
        move |to_i, to_j, _| greater(to_i + (to_j - to_i) * share, lesser(to_i, to_j))
    }
}

impl Formula for Weighted {
    const SQUARED: bool = false;
    const REDUCIBLE: bool = true;

    #[inline(always)]
    fn union(_: f64, _: f64, _: f64) -> impl Fn(f64, f64, f64) -> f64 + Copy {
        |to_i, to_j, _| greater(0.5 * to_i + 0.5 * to_j, lesser(to_i, to_j))
    }
}

impl Formula for Ward {
    const SQUARED: bool = true;
    const REDUCIBLE: bool = true;

    #[inline(always)]
    fn union(between: f64, i: f64, j: f64) -> impl Fn(f64, f64, f64) -> f64 + Copy {
        move |to_i, to_j, k| {
            let sum = (i + k) * to_i + (j + k) * to_j - k * between;
            greater(sum / (i + j + k), lesser(to_i, to_j))
        }
    }
}

impl Formula for Centroid {
    const SQUARED: bool = true;
    const REDUCIBLE: bool = false;

    #[inline(always)]
    fn union(between: f64, i: f64, j: f64) -> impl Fn(f64, f64, f64) -> f64 + Copy {
        let share = j / (i + j);
        let less = share * (1.0 - share) * between;
        // Rounding may take a square of zero below it.
        move |to_i, to_j, _| greater(to_i + (to_j - to_i) * share - less, 0.0)
    }
}

impl Formula for Median {
    const SQUARED: bool = true;
    const REDUCIBLE: bool = false;

    #[inline(always)]
    fn union(between: f64, _: f64, _: f64) -> impl Fn(f64, f64, f64) -> f64 + Copy {
        let less = 0.25 * between;
        move |to_i, to_j, _| greater(0.5 * to_i + 0.5 * to_j - less, 0.0)
    }
}
