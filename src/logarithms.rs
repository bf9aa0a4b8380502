//! Sums of numbers given by their logarithms.

use num_traits::Float;

/// ln Σ eˣ.
pub(crate) fn log_sum(logarithms: impl Iterator<Item = f64> + Clone) -> f64 {
    let greatest = logarithms.clone().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    greatest + Float::ln(logarithms.map(|x| Float::exp(x - greatest)).sum::<f64>())
}

/// ln (eᵃ + eᵇ).
pub(crate) fn log_add(first: f64, second: f64) -> f64 {
    let (less, more) = if first < second {
        (first, second)
    } else {
        (second, first)
    };
    // Below this the sum rounds to the greater one.
    if more - less > 40.0 || less == f64::NEG_INFINITY {
        more
    } else {
        more + Float::ln_1p(Float::exp(less - more))
    }
}
