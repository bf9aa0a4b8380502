//! The limits of `f32`: values that are not finite, and squares that overflow or underflow.

use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::scalar::ScalarSlice;

/// Values of at least this size (2⁻⁴⁰) that differ do so by at least 2⁻⁶³, which has a normal square.
const LEAST: f32 = 1.0 / (1_u64 << 40) as f32;
/// The least difference (2⁻⁶³) whose square is a normal `f32`.
const LEAST_DIFFERENCE: f64 = 1.0 / (1_u64 << 63) as f64;
/// The least sum of a section (2⁻⁹⁰) for which all squares that underflowed in it are negligible: they lost
/// at most 1024 · 2⁻¹⁵⁰.
const LEAST_SUM: f64 = 1.0 / (1_u128 << 90) as f64;

/// The kinds of values in a vector that affect squares of differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Values that need no special care.
    Usual,
    /// Finite values, some so small that squares of their differences may underflow.
    Tiny,
    /// Some value is NaN or infinite.
    NotFinite,
}

/// Classifies the values of a vector.
pub(super) fn contents(values: ScalarSlice<'_>) -> Contents {
    in_wide_registers(
        #[inline(always)]
        || scan(values),
    )
}

/// Written without branches, so that the compiler can vectorise it.
#[inline(always)]
fn scan(values: ScalarSlice<'_>) -> Contents {
    let (finite, tiny) = match values {
        ScalarSlice::Single(values) => {
            values.iter().fold((true, false), |(finite, tiny), value| {
                let size = value.abs();
                (
                    finite & (size < f32::INFINITY),
                    tiny | ((size < LEAST) & (size > 0.0)),
                )
            })
        }
        ScalarSlice::Double(values) => {
            let finite = |finite, value: &f64| finite & (value.abs() < f64::INFINITY);
            (values.iter().fold(true, finite), false)
        }
    };
    match (finite, tiny) {
        (false, _) => Contents::NotFinite,
        (true, true) => Contents::Tiny,
        (true, false) => Contents::Usual,
    }
}

/// Whether a section's sum needs no correction.
#[inline(always)]
pub(super) fn is_usual(sum: f64) -> bool {
    (LEAST_SUM..f64::INFINITY).contains(&sum)
}

/// The section's sum, recomputed if `f32` may have overflowed or underflowed.
#[inline(always)]
pub(super) fn corrected<T: Scalar>(sum: f64, tiny: bool, u: &[T], v: &[T]) -> f64 {
    if is_usual(sum) || (sum < LEAST_SUM && !tiny) {
        return sum;
    }
    match (T::scalar_slice(u), T::scalar_slice(v)) {
        (ScalarSlice::Single(u), ScalarSlice::Single(v)) => in_double_precision(sum, u, v),
        _ => sum,
    }
}

#[cold]
fn in_double_precision(sum: f64, u: &[f32], v: &[f32]) -> f64 {
    let (mut wide, mut least) = (0.0, f64::INFINITY);
    for (&u, &v) in u.iter().zip(v) {
        let difference = (f64::from(u) - f64::from(v)).abs();
        wide += difference * difference;
        if difference > 0.0 && difference < least {
            least = difference;
        }
    }
    if sum.is_finite() && least >= LEAST_DIFFERENCE {
        sum
    } else {
        wide
    }
}
