//! Growth: which of two matrices was reached from the other, told by how their rows lengthened.
//!
//! A step δ that is orthogonal to where it starts lengthens a vector by what it moved: if v = u + δ
//! and u·δ = 0, then ‖v‖² − ‖u‖² = ‖δ‖² = ‖v − u‖². Taken back, the same step shortens it by as
//! much. In high dimensions steps that don't know where they start are nearly orthogonal to it, so
//! the sign of ‖v‖² − ‖u‖² tells the direction, if many rows are asked and what shrinks all rows
//! alike (weight decay) is taken out.
//!
//! With q = ‖v − u‖², g = ‖v‖² − ‖u‖² and s = (‖u‖² + ‖v‖²)/2 of every row, the model is
//!
//! g = β q + κ s + ε,  Var ε = 4 s q / w,
//!
//! where w is the row's width: the variance of 2 u·δ for a δ of length √q in a random direction. κ
//! is what decay takes. β is 1 if v was reached from u by orthogonal steps and −1 if u was reached
//! from v. If both were reached from some a, by orthogonal steps of squared lengths d²(a, u) and
//! d²(a, v), then g = d²(a, v) − d²(a, u) and q is their sum: β tells where on the way between u and
//! v the point a lies.
//!
//! [`RowSums`] takes the rows of one matrix in one pass and constant memory; [`PooledGrowth`] fits
//! one β and one κ to several matrices, each weighted by how well its own fit explains its rows.
//! Exchanging u and v exactly changes the sign of β and nothing else.
//!
//! [`RankedRows`] and [`RankGrowth`] ask only whether the rows that moved most are those that
//! lengthened most. That takes memory for all rows of every pair of models, so
//! [`Measurement`](crate::evidence::Measurement) fits β.
//!
//! # Limits
//!
//! An average of vectors is shorter than they are, and rounding moves weights without regard to
//! training, so β says nothing true of averages and rounded copies. Steps much smaller than the
//! noise of 2 u·δ leave β with a great standard error. Decay by a share d makes β greater by about d,
//! since s then holds a part of the step.
//!
//! # Examples
//!
//! ```
//! use mother::growth::{PooledGrowth, RowSums};
//!
//! // Rows of width 100, each of which became longer by what it moved.
//! let mut rows = RowSums::new();
//! for (before, moved) in [(10.0, 1.0), (12.0, 3.0), (11.0, 1.1), (12.0, 4.5), (10.5, 2.0)] {
//!     let noise = 0.01 * moved * (before - 11.0);
//!     rows.add(100, before, before + moved + noise, moved);
//! }
//! let mut pooled = PooledGrowth::new();
//! pooled.add(&rows);
//! let growth = pooled.coefficient().unwrap();
//! assert!((growth - 1.0).abs() < 0.05, "{growth}");
//! assert!(pooled.model_error() < 0.3);
//! ```

mod ranked;

pub use self::ranked::{RankGrowth, RankedRows};

use alloc::vec::Vec;
use core::ops::{AddAssign, SubAssign};

/// Weighted sums over the rows of one matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowSums {
    rows: u64,
    equations: NormalEquations,
    growth_squared: f64,
}

impl RowSums {
    /// Of no rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row of `width` values: ‖u‖², ‖v‖² and ‖v − u‖².
    ///
    /// A row that didn't move or is zero says nothing and is left out, and so is one with a number
    /// that isn't finite.
    #[inline]
    pub fn add(&mut self, width: usize, before: f64, after: f64, moved: f64) {
        let (growth, size) = (after - before, 0.5 * (before + after));
        if !(moved > 0.0 && moved.is_finite() && size > 0.0 && size.is_finite()) {
            return;
        }
        let quarter = 0.25 * width as f64;
        let by_size = quarter / size;
        let by_moved = quarter / moved;
        let row = NormalEquations {
            moved_moved: by_size * moved,
            moved_size: quarter,
            size_size: by_moved * size,
            moved_growth: by_size * growth,
            size_growth: by_moved * growth,
        };
        let growth_squared = by_size * growth / moved * growth;
        if row.size_size.is_finite() && growth_squared.is_finite() {
            self.rows += 1;
            self.equations += row;
            self.growth_squared += growth_squared;
        }
    }

    /// The number of rows that said something.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The variance of what the fit to these rows leaves, over the variance expected; `None` for
    /// fewer than four rows or a fit that leaves nothing.
    fn residual_variance(&self) -> Option<f64> {
        if self.rows < 4 {
            return None;
        }
        let (coefficient, decay) = self.equations.solve().unwrap_or((0.0, 0.0));
        let residual = self.growth_squared
            - coefficient * self.equations.moved_growth
            - decay * self.equations.size_growth;
        // What is left of the sum after cancellation has an error of this order.
        let rounding = 1e-12 * self.growth_squared;
        (residual > rounding).then(|| residual / (self.rows - 2) as f64)
    }
}

/// The sums of the normal equations of g = β q + κ s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct NormalEquations {
    moved_moved: f64,
    moved_size: f64,
    size_size: f64,
    moved_growth: f64,
    size_growth: f64,
}

impl NormalEquations {
    /// β and κ; `None` where rows can't tell one from the other.
    fn solve(&self) -> Option<(f64, f64)> {
        let determinant = self.determinant()?;
        let coefficient = self.moved_growth * self.size_size - self.size_growth * self.moved_size;
        let decay = self.size_growth * self.moved_moved - self.moved_growth * self.moved_size;
        Some((coefficient / determinant, decay / determinant))
    }

    /// Positive by the inequality of Cauchy and Schwarz, and zero where s is a multiple of q.
    fn determinant(&self) -> Option<f64> {
        let product = self.moved_moved * self.size_size;
        let determinant = product - self.moved_size * self.moved_size;
        (determinant > 1e-12 * product).then_some(determinant)
    }

    fn scaled(&self, factor: f64) -> Self {
        Self {
            moved_moved: factor * self.moved_moved,
            moved_size: factor * self.moved_size,
            size_size: factor * self.size_size,
            moved_growth: factor * self.moved_growth,
            size_growth: factor * self.size_growth,
        }
    }
}

impl AddAssign for NormalEquations {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.moved_moved += other.moved_moved;
        self.moved_size += other.moved_size;
        self.size_size += other.size_size;
        self.moved_growth += other.moved_growth;
        self.size_growth += other.size_growth;
    }
}

impl SubAssign for NormalEquations {
    fn sub_assign(&mut self, other: Self) {
        *self += other.scaled(-1.0);
    }
}

/// One β for several matrices of the same two models, added in a fixed order.
///
/// Every matrix is weighted by the inverse of the variance that its own fit leaves, so a matrix
/// whose rows disagree counts less; a matrix of fewer than four telling rows counts nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PooledGrowth {
    matrices: usize,
    total: NormalEquations,
    /// Up to [`GROUPS`](Self::GROUPS) of them; more matrices are dealt out in turn.
    groups: Vec<NormalEquations>,
}

impl PooledGrowth {
    /// Up to so many matrices each is a group of its own for [`layer_error`](Self::layer_error);
    /// beyond that they are dealt out in turn, so that memory doesn't grow with depth.
    pub const GROUPS: usize = 32;

    /// The bytes that are kept of a group.
    pub(crate) const GROUP_SIZE: usize = size_of::<NormalEquations>();

    /// Of no matrices yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a matrix.
    ///
    /// # Complexity
    ///
    /// O(1) time, and memory for at most [`GROUPS`](Self::GROUPS) matrices.
    pub fn add(&mut self, rows: &RowSums) {
        let Some(variance) = rows.residual_variance() else {
            return;
        };
        let equations = rows.equations.scaled(1.0 / variance);
        match self.groups.get_mut(self.matrices % Self::GROUPS) {
            Some(group) => *group += equations,
            None => self.groups.push(equations),
        }
        self.matrices += 1;
        self.total += equations;
    }

    /// β; `None` where nothing moved, or the rows can't tell growth from decay.
    #[must_use]
    pub fn coefficient(&self) -> Option<f64> {
        Some(self.total.solve()?.0)
    }

    /// The standard error of β if rows are independent and matrices agree; infinite where there is
    /// no β.
    #[must_use]
    pub fn model_error(&self) -> f64 {
        match self.total.determinant() {
            Some(determinant) => num_traits::Float::sqrt(self.total.size_size / determinant),
            None => f64::INFINITY,
        }
    }

    /// The jackknife standard error of β over groups of matrices: how much they disagree; 0 where
    /// there is one group, or none.
    ///
    /// # References
    ///
    /// B. Efron, *The Jackknife, the Bootstrap and Other Resampling Plans*, SIAM, 1982.
    #[must_use]
    pub fn layer_error(&self) -> f64 {
        let Some(coefficient) = self.coefficient() else {
            return 0.0;
        };
        let squares = self.groups.iter().map(|group| {
            let mut others = self.total;
            others -= *group;
            // The others alone may not tell growth from decay: they then say β = 0.
            let without = others.solve().map_or(0.0, |(coefficient, _)| coefficient);
            (without - coefficient) * (without - coefficient)
        });
        let sum: f64 = squares.sum();
        let groups = self.groups.len() as f64;
        if groups > 1.0 {
            num_traits::Float::sqrt((groups - 1.0) / groups * sum)
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_say_nothing_are_left_out() {
        let mut rows = RowSums::new();
        rows.add(8, 1.0, 1.0, 0.0);
        rows.add(8, 0.0, 0.0, 0.0);
        rows.add(8, f64::NAN, 1.0, 1.0);
        rows.add(8, 1.0, 1.0, f64::INFINITY);
        rows.add(8, 1.0, 1.0, f64::MIN_POSITIVE / 4.0);
        assert_eq!(rows, RowSums::new());
        let mut pooled = PooledGrowth::new();
        pooled.add(&rows);
        assert_eq!(pooled.coefficient(), None);
        assert_eq!(
            (pooled.model_error(), pooled.layer_error()),
            (f64::INFINITY, 0.0)
        );
    }

    #[test]
    fn more_matrices_than_groups_are_dealt_out() {
        let mut pooled = PooledGrowth::new();
        for matrix in 0..3 * PooledGrowth::GROUPS {
            let mut rows = RowSums::new();
            for row in 0..8 {
                let moved = 1.0 + f64::from(row);
                let noise = 0.1 * f64::from((row * 7 + matrix as i32) % 5 - 2);
                rows.add(16, 10.0, 10.0 + moved + noise, moved);
            }
            pooled.add(&rows);
        }
        assert_eq!(pooled.groups.len(), PooledGrowth::GROUPS);
        assert!((pooled.coefficient().unwrap() - 1.0).abs() < 0.05);
        assert!(pooled.layer_error() > 0.0);
    }
}
