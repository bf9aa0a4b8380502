//! The order in which the values of a block are summed: eight lanes, one row of eight at a time.
//!
//! The code is written once, over [`Lanes`]. Arrays implement it everywhere, and vector registers where
//! available. Each lane only ever adds and multiplies (never a fused multiply-add, which would
//! round differently), so all implementations give the same bits.

use num_traits::Float;

use super::summary::{Central, ShiftedSums};
use crate::Scalar;
use crate::minimum::{greater, lesser};

/// The number of lanes in which sums are kept. Four chains of additions, each in two AVX registers or one
/// AVX-512 register, are enough to hide the latency of an addition.
pub(super) const LANES: usize = 8;
/// The number of values over which extremes are taken at once: one AVX-512 register of `f32`.
pub(super) const STEP: usize = 2 * LANES;
/// The centre of a block is the mean of this many first values, so that one pass is nearly always enough.
const SAMPLE: usize = 32;

/// Eight `f64` lanes, and the extremes of values in any suitable number of lanes.
pub(super) trait Lanes<T: Scalar>: Copy {
    type Row: Copy;
    type Extremes: Copy;

    fn splat(self, value: f64) -> Self::Row;
    fn widen(self, row: &[T; LANES]) -> Self::Row;
    fn to_array(self, row: Self::Row) -> [f64; LANES];
    fn add(self, a: Self::Row, b: Self::Row) -> Self::Row;
    fn subtract(self, a: Self::Row, b: Self::Row) -> Self::Row;
    fn multiply(self, a: Self::Row, b: Self::Row) -> Self::Row;

    /// Hints that memory some distance after these values will be needed.
    fn prefetch(self, step: &[T; STEP]);

    /// The extremes of no values.
    fn no_extremes(self) -> Self::Extremes;
    fn update_extremes(self, extremes: Self::Extremes, step: &[T; STEP]) -> Self::Extremes;
    /// Minimum and maximum over all lanes.
    fn reduce_extremes(self, extremes: Self::Extremes) -> (f64, f64);
}

/// The result of one pass over the values of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) sums: ShiftedSums,
    /// Meaningless if a value is not finite; then the fourth power sum is not finite either.
    pub(super) minimum: f64,
    pub(super) maximum: f64,
}

/// Sums the values of one block; `values` must not be empty.
///
/// A centre at distance δ from the mean μ of n values costs precision. When the sums are moved to the mean,
/// nδ² cancels from the sum of squares, and terms up to 8nδ⁴ from the sum of fourth powers. Both are small
/// compared with the remainder if nδ² is at most half of Σ(x−c)², that is, if δ² is at most the variance. If
/// the sample's mean is further off, the block is summed again about its mean.
#[inline(always)]
pub(super) fn pass<T: Scalar, L: Lanes<T>>(lanes: L, values: &[T]) -> Pass {
    let sample = &values[..values.len().min(SAMPLE)];
    let mut centre = sum(lanes, sample) / sample.len() as f64;
    let mut again = true;
    loop {
        let pass = pass_about(lanes, values, centre);
        let offset = pass.sums.first / values.len() as f64;
        let far = pass.sums.first * offset > 0.5 * pass.sums.about_centre.second;
        // One repetition is enough. It must also be the last, because rounding could keep δ² above the
        // variance.
        if !(far && again) {
            return pass;
        }
        centre += offset;
        again = false;
    }
}

#[inline(always)]
fn pass_about<T: Scalar, L: Lanes<T>>(lanes: L, values: &[T], centre: f64) -> Pass {
    let centres = lanes.splat(centre);
    let zero = lanes.splat(0.0);
    let (mut first, mut second, mut third, mut fourth) = (zero, zero, zero, zero);
    let mut extremes = lanes.no_extremes();

    let (steps, rest) = values.as_chunks::<STEP>();
    for step in steps {
        lanes.prefetch(step);
        extremes = lanes.update_extremes(extremes, step);
        for row in step.as_chunks::<LANES>().0 {
            let deviation = lanes.subtract(lanes.widen(row), centres);
            let square = lanes.multiply(deviation, deviation);
            first = lanes.add(first, deviation);
            second = lanes.add(second, square);
            third = lanes.add(third, lanes.multiply(square, deviation));
            fourth = lanes.add(fourth, lanes.multiply(square, square));
        }
    }

    let mut powers = [first, second, third, fourth].map(|row| lanes.to_array(row));
    let (mut minimum, mut maximum) = lanes.reduce_extremes(extremes);
    for (index, &value) in rest.iter().enumerate() {
        let value = value.widen();
        minimum = minimum.min(value);
        maximum = maximum.max(value);
        let deviation = value - centre;
        let square = deviation * deviation;
        let terms = [deviation, square, square * deviation, square * square];
        for (power, term) in powers.iter_mut().zip(terms) {
            power[index % LANES] += term;
        }
    }
    let [first, second, third, fourth] = powers.map(fold);
    Pass {
        sums: ShiftedSums {
            centre,
            first,
            about_centre: Central {
                second,
                third,
                fourth,
            },
        },
        // Processors differ in which zero a minimum returns; adding zero makes it +0.
        minimum: minimum + 0.0,
        maximum: maximum + 0.0,
    }
}

#[inline(always)]
fn sum<T: Scalar, L: Lanes<T>>(lanes: L, values: &[T]) -> f64 {
    let (rows, rest) = values.as_chunks::<LANES>();
    let mut total = lanes.splat(0.0);
    for row in rows {
        total = lanes.add(total, lanes.widen(row));
    }
    let mut total = lanes.to_array(total);
    for (lane, &value) in total.iter_mut().zip(rest) {
        *lane += value.widen();
    }
    fold(total)
}

#[inline(always)]
fn fold(v: [f64; LANES]) -> f64 {
    ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
}

/// Lanes as plain arrays, for every processor.
#[derive(Clone, Copy)]
pub(super) struct Arrays;

impl<T: Scalar> Lanes<T> for Arrays {
    type Row = [f64; LANES];
    type Extremes = ([T; STEP], [T; STEP]);

    #[inline(always)]
    fn splat(self, value: f64) -> Self::Row {
        [value; LANES]
    }

    #[inline(always)]
    fn widen(self, row: &[T; LANES]) -> Self::Row {
        row.map(Scalar::widen)
    }

    #[inline(always)]
    fn to_array(self, row: Self::Row) -> [f64; LANES] {
        row
    }

    #[inline(always)]
    fn add(self, a: Self::Row, b: Self::Row) -> Self::Row {
        core::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn subtract(self, a: Self::Row, b: Self::Row) -> Self::Row {
        core::array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn multiply(self, a: Self::Row, b: Self::Row) -> Self::Row {
        core::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn prefetch(self, _: &[T; STEP]) {}

    #[inline(always)]
    fn no_extremes(self) -> Self::Extremes {
        ([Float::infinity(); STEP], [Float::neg_infinity(); STEP])
    }

    #[inline(always)]
    fn update_extremes(self, extremes: Self::Extremes, step: &[T; STEP]) -> Self::Extremes {
        let (minima, maxima) = extremes;
        (
            core::array::from_fn(|lane| lesser(step[lane], minima[lane])),
            core::array::from_fn(|lane| greater(step[lane], maxima[lane])),
        )
    }

    #[inline(always)]
    fn reduce_extremes(self, extremes: Self::Extremes) -> (f64, f64) {
        let (minima, maxima) = extremes;
        (
            minima.into_iter().fold(Float::infinity(), lesser).widen(),
            maxima
                .into_iter()
                .fold(Float::neg_infinity(), greater)
                .widen(),
        )
    }
}
