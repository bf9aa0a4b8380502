//! The Lance–Williams formulas: the distance of every other cluster from the union of two.

use crate::minimum::{greater, lesser};

/// The formula of one linkage for the union of two clusters i and j.
pub(super) trait Formula: Copy {
    /// Whether the formula works on squared distances.
    const SQUARED: bool;

    /// The formula for clusters of `i` and `j` points at the distance `between`.
    fn new(between: f64, i: f64, j: f64) -> Self;

    /// The distance from the union to a third cluster of k points, given that cluster's distances to i and j.
    fn union(self, to_i: f64, to_j: f64, k: f64) -> f64;
}

/// The formula of a linkage whose unions are never nearer to a third cluster than the nearer of their parts.
/// Rounding included, this holds if i and j are each other's nearest clusters.
pub(super) trait Reducible: Formula {}

#[derive(Clone, Copy)]
pub(super) struct Complete;

#[derive(Clone, Copy)]
pub(super) struct Average {
    share: f64,
}

#[derive(Clone, Copy)]
pub(super) struct Weighted;

#[derive(Clone, Copy)]
pub(super) struct Ward {
    between: f64,
    i: f64,
    j: f64,
}

#[derive(Clone, Copy)]
pub(super) struct Centroid {
    share: f64,
    less: f64,
}

#[derive(Clone, Copy)]
pub(super) struct Median {
    less: f64,
}

impl Reducible for Complete {}
impl Reducible for Average {}
impl Reducible for Weighted {}
impl Reducible for Ward {}

impl Formula for Complete {
    const SQUARED: bool = false;

    #[inline(always)]
    fn new(_: f64, _: f64, _: f64) -> Self {
        Self
    }

    #[inline(always)]
    fn union(self, to_i: f64, to_j: f64, _: f64) -> f64 {
        greater(to_i, to_j)
    }
}

impl Formula for Average {
    const SQUARED: bool = false;

    #[inline(always)]
    fn new(_: f64, i: f64, j: f64) -> Self {
        Self { share: j / (i + j) }
    }

    #[inline(always)]
    fn union(self, to_i: f64, to_j: f64, _: f64) -> f64 {
        // Computed as a step from one to the other, the mean can't overflow.
        let mean = to_i + (to_j - to_i) * self.share;
        greater(mean, lesser(to_i, to_j))
    }
}

impl Formula for Weighted {
    const SQUARED: bool = false;

    #[inline(always)]
    fn new(_: f64, _: f64, _: f64) -> Self {
        Self
    }

    #[inline(always)]
    fn union(self, to_i: f64, to_j: f64, _: f64) -> f64 {
        greater(0.5 * to_i + 0.5 * to_j, lesser(to_i, to_j))
    }
}

impl Formula for Ward {
    const SQUARED: bool = true;

    #[inline(always)]
    fn new(between: f64, i: f64, j: f64) -> Self {
        Self { between, i, j }
    }

    #[inline(always)]
    fn union(self, to_i: f64, to_j: f64, k: f64) -> f64 {
        let Self { between, i, j } = self;
        let sum = (i + k) * to_i + (j + k) * to_j - k * between;
        greater(sum / (i + j + k), lesser(to_i, to_j))
    }
}

impl Formula for Centroid {
    const SQUARED: bool = true;

    #[inline(always)]
    fn new(between: f64, i: f64, j: f64) -> Self {
        let share = j / (i + j);
        let less = share * (i / (i + j)) * between;
        Self { share, less }
    }

    #[inline(always)]
    fn union(self, to_i: f64, to_j: f64, _: f64) -> f64 {
        // Rounding may make a square of zero negative. A NaN, from two infinite distances, stays NaN.
        greater(0.0, to_i + (to_j - to_i) * self.share - self.less)
    }
}

impl Formula for Median {
    const SQUARED: bool = true;

    #[inline(always)]
    fn new(between: f64, _: f64, _: f64) -> Self {
        Self {
            less: 0.25 * between,
        }
    }

    #[inline(always)]
    fn union(self, to_i: f64, to_j: f64, _: f64) -> f64 {
        greater(0.0, 0.5 * to_i + 0.5 * to_j - self.less)
    }
}
