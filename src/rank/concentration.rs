//! How far a Gaussian vector can be from its expected length, almost surely.

use num_traits::Float;

/// −ln of the probability that a bound fails.
const EXPONENT: f64 = 32.0 * core::f64::consts::LN_2;

/// The least ‖Gx‖² of a unit vector x that was chosen without knowing G, a matrix with so many rows
/// of independent normal values of mean 0 and variance 1: less has a probability of at most 2⁻³².
///
/// Chernoff's bound for χ² of n degrees of freedom: P(χ² ≤ yn) ≤ (y·e^(1 − y))^(n/2).
pub(super) fn least_square(rows: usize) -> f64 {
    let rows = rows as f64;
    let mut ratio = 0.0;
    // Rises to the solution of y·e^(1 − y) = p^(2/n), so stopping early is safe.
    for _ in 0..30 {
        ratio = Float::exp(ratio - 1.0 - 2.0 * EXPONENT / rows);
    }
    ratio * rows
}

/// The two factors a, b of the largest ‖GAH‖ ≤ a·‖A‖ + b·‖A‖_F, with so many rows of G and columns of
/// H, independent Gaussian matrices: more has a probability of at most 4·2⁻³².
///
/// Chevet's inequality, as in Halko, Martinsson and Tropp (2011), propositions 10.1 and 10.3,
/// from either side: ‖AH‖ ≤ (√n + t)‖A‖ + ‖A‖_F, ‖AH‖_F ≤ √n‖A‖_F + t‖A‖, and ‖GB‖ likewise.
pub(super) fn largest_norm(rows: usize) -> (f64, f64) {
    // How far a function that changes no faster than its arguments is from its mean.
    let deviation = Float::sqrt(2.0 * EXPONENT);
    let root = Float::sqrt(rows as f64);
    let side = root + deviation;
    (side * side + deviation, side + root)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn the_least_square_solves_the_bound() {
        for size in [24, 64, 96, 256, 1024] {
            let least = least_square(size);
            let ratio = least / size as f64;
            let bound = (ratio.ln() + 1.0 - ratio) * size as f64 / 2.0;
            assert!((bound + EXPONENT).abs() < 0.1, "{size}: {bound}");
        }
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

    /// A diagonal matrix between two Gaussian ones: of one large entry, and of many equal ones.
    #[test]
    fn norms_are_never_more_and_not_much_less() {
        let (size, length, mut state) = (24, 60, 1);
        let (of_spectral, of_frobenius) = largest_norm(size);
        for large in [1, 8, length] {
            let diagonal = |index: usize| if index < large { 1.0 } else { 0.01 };
            let squares: f64 = (0..length).map(|index| diagonal(index).powi(2)).sum();
            let bound = of_spectral + of_frobenius * squares.sqrt();
            for _ in 0..10 {
                let draw = |_| (0..length).map(|_| normal(&mut state)).collect::<Vec<_>>();
                let rows: Vec<Vec<f64>> = (0..2 * size).map(draw).collect();
                let (left, right) = rows.split_at(size);
                let product = |vector: &[f64], from: &[Vec<f64>], to: &[Vec<f64>]| -> Vec<f64> {
                    let inner: Vec<f64> = (0..length)
                        .map(|i| {
                            diagonal(i)
                                * from
                                    .iter()
                                    .zip(vector)
                                    .map(|(row, v)| row[i] * v)
                                    .sum::<f64>()
                        })
                        .collect();
                    let dot = |row: &Vec<f64>| row.iter().zip(&inner).map(|(a, b)| a * b).sum();
                    to.iter().map(dot).collect()
                };
                // Power iteration: from below, so what it finds must be below the bound too.
                let mut vector: Vec<f64> = (0..size).map(|_| normal(&mut state)).collect();
                let mut norm = 0.0;
                for _ in 0..10 {
                    let other = product(&vector, right, left);
                    vector = product(&other, left, right);
                    norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
                    vector.iter_mut().for_each(|v| *v /= norm);
                }
                let norm = norm.sqrt();
                assert!(norm < bound && bound < 12.0 * norm, "{norm} {bound}");
            }
        }
    }
}
