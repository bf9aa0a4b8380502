//! How far the length of a Gaussian vector can be from its expected value, almost surely.

use num_traits::Float;

/// −ln of the probability that a bound fails.
const EXPONENT: f64 = 32.0 * core::f64::consts::LN_2;

/// A lower bound on ‖Gx‖² for a unit vector x chosen independently of G, a matrix with this many rows
/// of independent normal values of mean 0 and variance 1. It fails with a probability of at most 2⁻³².
///
/// Chernoff's bound for χ² of n degrees of freedom: P(χ² ≤ yn) ≤ (y·e^(1 − y))^(n/2).
pub(super) fn least_square(rows: usize) -> f64 {
    let rows = rows as f64;
    let mut ratio = 0.0;
    // The iteration rises to the solution of y·e^(1 − y) = p^(2/n), so stopping early is safe.
    for _ in 0..30 {
        ratio = Float::exp(ratio - 1.0 - 2.0 * EXPONENT / rows);
    }
    ratio * rows
}

/// t = √(2·32·ln 2): a function of normal values that changes no faster than they do exceeds its mean by more
/// than this with a probability of at most 2⁻³².
pub(super) const DEVIATION: f64 = 6.660_5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_square_solves_the_bound() {
        for size in [24, 64, 96, 256, 1024] {
            let least = least_square(size);
            let ratio = least / size as f64;
            let bound = (ratio.ln() + 1.0 - ratio) * size as f64 / 2.0;
            assert!((bound + EXPONENT).abs() < 0.1, "{size}: {bound}");
        }
        assert!((DEVIATION - (2.0 * EXPONENT).sqrt()).abs() < 1e-4);
    }

    /// About normal values of variance 1, from xorshift64.
    fn normal(state: &mut u64) -> f64 {
        let mut uniform = || {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            (*state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }

    #[test]
    fn squares_are_never_less() {
        let (size, mut state) = (64, 1);
        let bound = least_square(size);
        let draws = (0..10_000).map(|_| (0..size).map(|_| normal(&mut state).powi(2)).sum());
        let least: f64 = draws.fold(f64::INFINITY, f64::min);
        // Of 10,000, the least is some 3.7 standard deviations of 11.3 below 64.
        assert!(bound < least && least < 3.0 * bound, "{bound} {least}");
    }
}
