//! How far Gaussian matrices stretch vectors and matrices, almost surely.
//!
//! Each bound fails with a probability of at most 2⁻⁴⁰, whatever it is applied to, as long as that
//! was chosen without knowing the Gaussian matrix.

use num_traits::Float;

/// −ln of the probability that a bound fails.
const EXPONENT: f64 = 40.0 * core::f64::consts::LN_2;

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

    /// The smallest singular value of G with so many columns; none if there are too many to tell.
    ///
    /// Halko, Martinsson and Tropp (2011), proposition 10.4: the inverse is larger than
    /// e·√n/(q + 1)·t with a probability of at most t^−(q + 1), n = rank + q.
    pub(super) fn smallest_singular_value(self, rank: usize) -> Option<f64> {
        // What holds for a matrix holds for one of its columns.
        let spare = self.size.checked_sub(rank.max(2)).filter(|&q| q >= 4)?;
        let power = (spare + 1) as f64;
        let factor = Float::exp(1.0 + EXPONENT / power);
        Some(power / (factor * Float::sqrt(self.size as f64)))
    }

    /// The largest singular value of G with so many columns.
    ///
    /// Davidson and Szarek (2001), theorem II.13.
    pub(super) fn norm(self, columns: usize) -> f64 {
        Float::sqrt(self.size as f64) + Float::sqrt(columns as f64) + Self::deviation()
    }

    /// The largest √(sum of squares) of G with so many columns.
    pub(super) fn frobenius_norm(self, columns: usize) -> f64 {
        Float::sqrt(self.size as f64 * columns as f64) + Self::deviation()
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

    #[test]
    fn fewer_columns_leave_larger_singular_values() {
        let bounds = Concentration::new(96);
        let values: Vec<_> = (0..=92)
            .map(|rank| bounds.smallest_singular_value(rank).unwrap())
            .collect();
        assert!(values.is_sorted_by(|first, second| first >= second));
        // Almost never below, so below what it is on average: √96 − √48.
        assert!(values[48] < 2.87 && values[48] > 0.5);
        assert_eq!(bounds.smallest_singular_value(93), None);
        assert_eq!(bounds.smallest_singular_value(usize::MAX), None);
    }
}
