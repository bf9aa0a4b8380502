//! Growth by ranks: whether the rows that moved most are those that lengthened most.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

/// The rows of one matrix, kept for [`RankGrowth`].
///
/// # Complexity
///
/// Sixteen bytes a row: unlike [`RowSums`](super::RowSums), ranks need all rows at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankedRows {
    /// ‖v − u‖² / ‖u‖‖v‖ of every row that said something.
    moved: Vec<f64>,
    /// ln(‖v‖² / ‖u‖²) of the same rows.
    lengthened: Vec<f64>,
}

impl RankedRows {
    /// Of no rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row: ‖u‖², ‖v‖² and ‖v − u‖².
    ///
    /// A row that didn't move, is zero in u or v, or has a number that isn't finite says nothing
    /// and is left out.
    pub fn add(&mut self, before: f64, after: f64, moved: f64) {
        let relative = moved / (Float::sqrt(before) * Float::sqrt(after));
        let lengthened = Float::ln(after) - Float::ln(before);
        if relative > 0.0 && relative.is_finite() && lengthened.is_finite() {
            self.moved.push(relative);
            self.lengthened.push(lengthened);
        }
    }

    /// The number of rows that said something.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.moved.len()
    }

    /// Spearman's rank correlation of how far rows moved and how much they lengthened, both
    /// relative to their length; `None` where all moved or all lengthened alike.
    ///
    /// It is positive where v was reached from u. Exchanging u and v exactly changes its sign.
    /// Tied values have the mean of their ranks.
    ///
    /// # Complexity
    ///
    /// O(r log r) time and O(r) memory for r rows.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::growth::RankedRows;
    ///
    /// let mut rows = RankedRows::new();
    /// for (before, moved) in [(10.0, 1.0), (12.0, 3.0), (11.0, 1.5)] {
    ///     rows.add(before, before + moved, moved);
    /// }
    /// assert_eq!(rows.correlation(), Some(1.0));
    /// ```
    ///
    /// # References
    ///
    /// C. Spearman, "The Proof and Measurement of Association between Two Things", *The American
    /// Journal of Psychology* 15, 1904. [doi:10.2307/1412159](https://doi.org/10.2307/1412159)
    #[must_use]
    pub fn correlation(&self) -> Option<f64> {
        let (moved, lengthened) = (centred_ranks(&self.moved), centred_ranks(&self.lengthened));
        let product = |first: &[f64], second: &[f64]| -> f64 {
            first.iter().zip(second).map(|(a, b)| a * b).sum()
        };
        // Products of whole numbers, and so exact up to some 200,000 rows.
        let spread = product(&moved, &moved) * product(&lengthened, &lengthened);
        (spread > 0.0).then(|| product(&moved, &lengthened) / Float::sqrt(spread))
    }
}

/// Twice the rank of every value, less that of the middle one: whole numbers.
fn centred_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let after = values.len() - before - tied.len();
        for &index in tied {
            ranks[index] = before as f64 - after as f64;
        }
        before += tied.len();
    }
    ranks
}

/// One rank correlation for several matrices of the same two models.
///
/// It is cruder than [`PooledGrowth`](super::PooledGrowth), as it says whether v was reached from u
/// but not where on the way between them their ancestor lies, and sturdier: no row counts more than
/// another, and what lengthens or shortens all rows alike, as decay does, changes no rank.
///
/// # Examples
///
/// ```
/// use mother::growth::{RankGrowth, RankedRows};
///
/// let mut growth = RankGrowth::new();
/// for matrix in 0..4 {
///     let mut rows = RankedRows::new();
///     for row in 0..50 {
///         let (before, moved) = (20.0 + f64::from(row % 7), f64::from(row + 1) / 10.0);
///         let noise = f64::from((row * 13 + matrix) % 5 - 2) / 2.0;
///         // All rows become a tenth shorter, and longer by what they move.
///         rows.add(before, 0.9 * before + moved + noise, moved);
///     }
///     growth.add(&rows);
/// }
/// assert!(growth.correlation().unwrap() > 5.0 * growth.standard_error());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RankGrowth {
    weighted: f64,
    weight: f64,
}

impl RankGrowth {
    /// Of no matrices yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a matrix; one whose rows moved or lengthened alike counts nothing.
    ///
    /// # Complexity
    ///
    /// That of [`RankedRows::correlation`].
    pub fn add(&mut self, rows: &RankedRows) {
        if let Some(correlation) = rows.correlation() {
            let weight = (rows.rows() - 1) as f64;
            self.weighted += weight * correlation;
            self.weight += weight;
        }
    }

    /// The mean of the matrices' correlations, each weighted by the inverse of its variance; `None`
    /// where no matrix says anything.
    #[must_use]
    pub fn correlation(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.weighted / self.weight)
    }

    /// The standard error if rows lengthen regardless of how far they move, so that the correlation
    /// is 0; infinite where no matrix says anything.
    ///
    /// The variance of Spearman's coefficient of r independent rows is then 1/(r − 1).
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        1.0 / Float::sqrt(self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_say_nothing_are_left_out() {
        let mut rows = RankedRows::new();
        rows.add(1.0, 1.0, 0.0);
        rows.add(0.0, 1.0, 1.0);
        rows.add(1.0, 0.0, 1.0);
        rows.add(f64::NAN, 1.0, 1.0);
        rows.add(1.0, 1.0, f64::INFINITY);
        rows.add(-1.0, 1.0, 1.0);
        assert_eq!(rows, RankedRows::new());
        assert_eq!(rows.correlation(), None);
        let mut growth = RankGrowth::new();
        growth.add(&rows);
        assert_eq!(growth.correlation(), None);
        assert_eq!(growth.standard_error(), f64::INFINITY);
    }

    #[test]
    fn tied_values_have_the_mean_of_their_ranks() {
        assert_eq!(centred_ranks(&[3.0, 1.0, 3.0, 7.0]), [0.0, -3.0, 0.0, 3.0]);
        assert_eq!(centred_ranks(&[0.0, -0.0]), [0.0, 0.0]);
        assert_eq!(centred_ranks(&[]), [0.0; 0]);
    }
}
