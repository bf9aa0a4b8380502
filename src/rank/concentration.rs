//! How far Gaussian matrices stretch vectors and matrices, almost surely.
//!
//! Each bound fails with a probability of at most 2⁻³², whatever it is applied to, as long as that
//! was chosen without knowing the Gaussian matrix.

use num_traits::Float;

/// −ln of the probability that a bound fails.
const EXPONENT: f64 = 32.0 * core::f64::consts::LN_2;

/// Gaussian matrices: entries are independent, of mean 0 and variance 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Concentration {
    /// The number of rows.
    size: usize,
}

impl Concentration {
    pub(super) const fn new(size: usize) -> Self {
        Self { size }
    }

    /// How far a function that changes no faster than its arguments is from its mean.
    fn deviation() -> f64 {
        Float::sqrt(2.0 * EXPONENT)
    }

    /// The least ‖Gx‖² of a unit vector x.
    ///
    /// Chernoff's bound for χ² of n degrees of freedom: P(χ² ≤ yn) ≤ (y·e^(1 − y))^(n/2).
    pub(super) fn least_square(self) -> f64 {
        let size = self.size as f64;
        let mut ratio = 0.0;
        // Rises to the solution of y·e^(1 − y) = p^(2/n), so stopping early is safe.
        for _ in 0..30 {
            ratio = Float::exp(ratio - 1.0 - 2.0 * EXPONENT / size);
        }
        ratio * size
    }

    /// The two factors a, b of the largest ‖GAH‖ ≤ a·‖A‖ + b·‖A‖_F, with H the transpose of another
    /// Gaussian matrix.
    ///
    /// Chevet's inequality, as in Halko, Martinsson and Tropp (2011), propositions 10.1 and 10.3,
    /// from either side: ‖AH‖ ≤ (√n + t)‖A‖ + ‖A‖_F, ‖AH‖_F ≤ √n‖A‖_F + t‖A‖, and ‖GB‖ likewise.
    pub(super) fn norm_of_both_sides(self) -> (f64, f64) {
        let deviation = Self::deviation();
        let root = Float::sqrt(self.size as f64);
        let side = root + deviation;
        (side * side + deviation, side + root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_square_solves_the_bound() {
        for size in [24, 64, 96, 256, 1024] {
            let least = Concentration::new(size).least_square();
            let ratio = least / size as f64;
            let bound = (ratio.ln() + 1.0 - ratio) * size as f64 / 2.0;
            assert!((bound + EXPONENT).abs() < 0.1, "{size}: {bound}");
        }
    }
}
