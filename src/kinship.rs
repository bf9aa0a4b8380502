//! Kinship: tests whether two matrices have a common origin, giving a p-value without a threshold.
//!
//! Training moves rows but rarely exchanges them. So take m rows of one matrix, match each to the most
//! similar row of the other by cosine, and count the K rows matched to the one at their own index. Suppose
//! that the matrices were initialised independently and nothing distinguishes output rows beforehand. Then
//! the order of the second matrix's rows is uniformly random given everything else. Any k given rows all
//! match their own index with probability at most 1 / (m (m − 1) … (m − k + 1)), since their matches are at
//! most k fixed rows. There are C(m, k) ways to choose them, so
//!
//! E\[C(K, k)\] ≤ 1 / k!, and P(K ≥ k) ≤ 1 / k!.
//!
//! For L matrices, the smallest p-value is multiplied by L; the matrices needn't be independent. Thirty-two
//! rows that all match their own index give p = 4e-36: enough to compare every pair of a million models.
//!
//! # Assumptions
//!
//! - Rows must be exchangeable, like the hidden units of a layer or the channels of a convolution. Tokens,
//!   pixels, classes and positions mean the same in every network, so they are not.
//! - Two networks initialised from the same seed, or with the same structured values, count as kin however
//!   they were trained.
//! - A copy with permuted or rotated hidden units is not detected.
//!
//! # Examples
//!
//! ```
//! use mother::kinship::{Kinship, own_matches};
//!
//! // Four rows of two values each, all of which were trained a little.
//! let parent = [1.0, 0.0, 0.0, 1.0, -1.0, 0.2, 0.3, -1.0];
//! let child = [0.9, 0.1, 0.1, 1.1, -1.0, 0.1, 0.4, -0.9];
//! let mut kinship = Kinship::new();
//! kinship.add(own_matches(2, &parent, &child));
//! assert_eq!(kinship.matches(), 4);
//! assert!((kinship.log10_p().unwrap() - (1.0_f64 / 24.0).log10()).abs() < 1e-12);
//! ```

use num_traits::Float;

/// Counts the rows of `first` whose most similar row of `second`, by cosine, is the one at the same index.
/// Both are matrices with rows of `width` values.
///
/// A row counts only if no other row is equally similar. Rows that are zero or contain a non-finite value
/// never count. If one matrix has more rows, the extra ones are ignored.
///
/// # Complexity
///
/// O(m² `width`) time for m rows.
#[must_use]
pub fn own_matches(width: usize, first: &[f32], second: &[f32]) -> usize {
    if width == 0 {
        return 0;
    }
    let rows = first.len().min(second.len()) / width;
    let second = &second[..rows * width];
    let first = first.chunks_exact(width).take(rows).enumerate();
    first
        .filter(|&(own, row)| finds_its_own(own, row, second))
        .count()
}

/// Whether no other row is as similar as the one at this index.
fn finds_its_own(own: usize, row: &[f32], rows: &[f32]) -> bool {
    let mut best_other = f64::NEG_INFINITY;
    let mut of_own = f64::NEG_INFINITY;
    for (index, other) in rows.chunks_exact(row.len()).enumerate() {
        let Some(similarity) = similarity(row, other) else {
            continue;
        };
        if index == own {
            of_own = similarity;
        } else {
            best_other = best_other.max(similarity);
        }
    }
    of_own > best_other
}

/// The cosine times the norm of the first row; `None` if it is undefined.
fn similarity(first: &[f32], second: &[f32]) -> Option<f64> {
    let (mut product, mut first_squared, mut second_squared) = (0.0, 0.0, 0.0);
    for (&first, &second) in first.iter().zip(second) {
        let (first, second) = (f64::from(first), f64::from(second));
        product += first * second;
        first_squared += first * first;
        second_squared += second * second;
    }
    let similarity = product / Float::sqrt(second_squared);
    (first_squared > 0.0 && similarity.is_finite()).then_some(similarity)
}

/// Accumulates the p-value for several matrices of two networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinship {
    matrices: usize,
    matches: usize,
}

impl Kinship {
    /// Starts without matrices.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            matrices: 0,
            matches: 0,
        }
    }

    /// Adds a matrix in which this many rows [match their own index](own_matches).
    pub fn add(&mut self, matches: usize) {
        self.matrices += 1;
        self.matches = self.matches.max(matches);
    }

    /// The number of matrices.
    #[must_use]
    pub const fn matrices(&self) -> usize {
        self.matrices
    }

    /// The largest number of rows of one matrix that matched their own index.
    #[must_use]
    pub const fn matches(&self) -> usize {
        self.matches
    }

    /// log₁₀ of the p-value. This is an upper bound on the probability that as many rows of some matrix match
    /// their own index in networks without a common ancestor. `None` if there is no matrix.
    #[must_use]
    pub fn log10_p(&self) -> Option<f64> {
        if self.matrices == 0 {
            return None;
        }
        let factorial: f64 = (1..=self.matches).map(|k| Float::log10(k as f64)).sum();
        Some((Float::log10(self.matrices as f64) - factorial).min(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_say_nothing_find_none() {
        let rows = [1.0, 0.0, 0.0, 0.0, f32::NAN, 1.0];
        assert_eq!(own_matches(2, &rows, &rows), 1);
        assert_eq!(own_matches(0, &rows, &rows), 0);
        assert_eq!(own_matches(2, &[], &rows), 0);
        // Rows as similar to another row as to their own.
        let equal = [1.0, 1.0, 2.0, 2.0];
        assert_eq!(own_matches(2, &equal, &equal), 0);
    }

    #[test]
    fn the_p_value_is_that_of_the_best_matrix_times_their_number() {
        let mut kinship = Kinship::new();
        assert_eq!(kinship.log10_p(), None);
        kinship.add(0);
        kinship.add(1);
        assert_eq!(kinship.log10_p(), Some(0.0));
        kinship.add(5);
        let expected = (3.0_f64 / 120.0).log10();
        assert!((kinship.log10_p().unwrap() - expected).abs() < 1e-12);
        assert_eq!((kinship.matrices(), kinship.matches()), (3, 5));
    }
}
