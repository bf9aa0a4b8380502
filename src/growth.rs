//! Growth: which of two matrices was reached from the other, from how their rows lengthened.
//!
//! A step δ that is orthogonal to where it starts lengthens a vector by what it moved: if v = u + δ
//! and u·δ = 0, then ‖v‖² − ‖u‖² = ‖δ‖² = ‖v − u‖². Taken back, the same step shortens it by as
//! much. In high dimensions steps that don't know where they start are nearly orthogonal to it, so
//! the sign of ‖v‖² − ‖u‖² tells the direction, if many groups of rows are asked and what shrinks all
//! of them alike (weight decay) is taken out.
//!
//! With q = ‖v − u‖², g = ‖v‖² − ‖u‖² and s = (‖u‖² + ‖v‖²)/2 of every group of w values, the model is
//!
//! g = β q + κ s + ε,  Var ε = 4 s q / w,
//!
//! the variance of 2 u·δ for a δ of length √q in a random direction. κ is what decay takes. β is 1 if
//! v was reached from u by orthogonal steps and −1 if u was reached from v. If both were reached from
//! some a, by orthogonal steps of squared lengths d²(a, u) and d²(a, v), then
//! g = d²(a, v) − d²(a, u) and q is their sum: β tells where on the way between u and v the point a
//! lies.
//!
//! Lengths are known exactly, but q may be an estimate, as from [sketches](crate::sketch). Estimates
//! that scatter draw β towards 0: for sketches of k numbers by a share of about 2/k where q differs
//! from group to group by as much as its own size, and by more where it hardly differs.
//!
//! [`MatrixGrowth`] takes the groups of one matrix; [`PooledGrowth`] fits one β and one κ to several
//! matrices, each weighted by how well its own fit explains its groups. Exchanging u and v changes
//! exactly the sign of β and nothing else.
//!
//! # Limits
//!
//! An average of vectors is shorter than they are, and rounding moves weights without regard to
//! training, so β says nothing true of averages and rounded copies. Steps much smaller than the
//! noise of 2 u·δ leave β with a great standard error. Decay is a part of v − u, too. Where it is
//! comparable to the rest of the step, leave it out of `moved`
//! ([`squared_distance_at_one_norm`](crate::sketch::GroupComparison::squared_distance_at_one_norm)): its
//! product with the random part is in both sides of the regression, with opposite signs.
//!
//! # Examples
//!
//! ```
//! use mother::growth::{MatrixGrowth, PooledGrowth, Step};
//!
//! // Groups of 100 values, each of which became longer by what it moved.
//! let steps = [(10.0, 1.0), (12.0, 3.0), (11.0, 1.1), (12.0, 4.5), (10.5, 2.0)];
//! let steps = steps.map(|(before, moved)| {
//!     let noise = 0.01 * moved * (before - 11.0);
//!     Step { values: 100, before, after: before + moved + noise, moved }
//! });
//! let mut pooled = PooledGrowth::new();
//! pooled.add(&MatrixGrowth::new(&steps));
//! let growth = pooled.coefficient().unwrap();
//! assert!((growth - 1.0).abs() < 0.05, "{growth}");
//! assert!(pooled.model_error() < 0.3);
//! ```

use alloc::vec::Vec;
use core::ops::{AddAssign, SubAssign};

/// What became of one group of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The number of values.
    pub values: usize,
    /// ‖u‖².
    pub before: f64,
    /// ‖v‖².
    pub after: f64,
    /// ‖v − u‖², or an estimate of it.
    pub moved: f64,
}

/// Weighted sums over the groups of one matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MatrixGrowth {
    groups: u64,
    equations: NormalEquations,
    growth_squared: f64,
}

impl MatrixGrowth {
    /// The sums over these groups.
    ///
    /// A group that didn't move or is zero says nothing and is left out, and so is one with a number
    /// that isn't finite.
    #[must_use]
    pub fn new(steps: &[Step]) -> Self {
        let mut sums = Self::default();
        steps.iter().for_each(|step| sums.add(step));
        sums
    }

    fn add(&mut self, step: &Step) {
        let moved = step.moved;
        let (growth, size) = (step.after - step.before, 0.5 * (step.before + step.after));
        if !(moved > 0.0 && moved.is_finite() && size > 0.0 && size.is_finite()) {
            return;
        }
        let quarter = 0.25 * step.values as f64;
        let by_size = quarter / size;
        let by_moved = quarter / moved;
        let equations = NormalEquations {
            moved_moved: by_size * moved,
            moved_size: quarter,
            size_size: by_moved * size,
            moved_growth: by_size * growth,
            size_growth: by_moved * growth,
        };
        let growth_squared = by_size * growth / moved * growth;
        if equations.size_size.is_finite() && growth_squared.is_finite() {
            self.groups += 1;
            self.equations += equations;
            self.growth_squared += growth_squared;
        }
    }

    /// The number of groups that said something.
    #[must_use]
    pub const fn groups(&self) -> u64 {
        self.groups
    }

    /// The variance that the fit to these groups leaves, over the variance expected; `None` for fewer
    /// than four groups or a fit that leaves nothing.
    fn residual_variance(&self) -> Option<f64> {
        if self.groups < 4 {
            return None;
        }
        let (coefficient, decay) = self.equations.solve().unwrap_or((0.0, 0.0));
        let residual = self.growth_squared
            - coefficient * self.equations.moved_growth
            - decay * self.equations.size_growth;
        // What is left of the sum after cancellation has an error of this order.
        let rounding = 1e-12 * self.growth_squared;
        (residual > rounding).then(|| residual / (self.groups - 2) as f64)
    }
}

/// The sums of the normal equations of g = β q + κ s, each group weighted by w / 4 s q.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct NormalEquations {
    moved_moved: f64,
    moved_size: f64,
    size_size: f64,
    moved_growth: f64,
    size_growth: f64,
}

impl NormalEquations {
    /// β and κ; `None` where groups can't tell one from the other.
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
/// whose groups disagree counts less; a matrix of fewer than four telling groups counts nothing.
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
    pub fn add(&mut self, matrix: &MatrixGrowth) {
        let Some(variance) = matrix.residual_variance() else {
            return;
        };
        let equations = matrix.equations.scaled(1.0 / variance);
        match self.groups.get_mut(self.matrices % Self::GROUPS) {
            Some(group) => *group += equations,
            None => self.groups.push(equations),
        }
        self.matrices += 1;
        self.total += equations;
    }

    /// β; `None` where nothing moved, or the groups can't tell growth from decay.
    #[must_use]
    pub fn coefficient(&self) -> Option<f64> {
        Some(self.total.solve()?.0)
    }

    /// κ, what shrinks all groups alike, with its standard error if groups are independent and matrices
    /// agree; `None` where there is no β.
    ///
    /// −κ/2 is about the share of every weight that decay took.
    #[must_use]
    pub fn decay(&self) -> Option<(f64, f64)> {
        let (_, decay) = self.total.solve()?;
        let variance = self.total.moved_moved / self.total.determinant()?;
        Some((decay, num_traits::Float::sqrt(variance)))
    }

    /// The standard error of β if groups are independent and matrices agree; infinite where there is
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

    fn step(values: usize, before: f64, after: f64, moved: f64) -> Step {
        Step {
            values,
            before,
            after,
            moved,
        }
    }

    #[test]
    fn groups_that_say_nothing_are_left_out() {
        let steps = [
            step(8, 1.0, 1.0, 0.0),
            step(8, 0.0, 0.0, 0.0),
            step(8, f64::NAN, 1.0, 1.0),
            step(8, 1.0, 1.0, f64::INFINITY),
        ];
        let matrix = MatrixGrowth::new(&steps);
        assert_eq!(matrix, MatrixGrowth::default());
        let mut pooled = PooledGrowth::new();
        pooled.add(&matrix);
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
            let steps: Vec<Step> = (0..8)
                .map(|row| {
                    let moved = 1.0 + f64::from(row);
                    let noise = 0.1 * f64::from((row * 7 + matrix as i32) % 5 - 2);
                    step(16, 10.0, 10.0 + moved + noise, moved)
                })
                .collect();
            pooled.add(&MatrixGrowth::new(&steps));
        }
        assert_eq!(pooled.groups.len(), PooledGrowth::GROUPS);
        assert!((pooled.coefficient().unwrap() - 1.0).abs() < 0.1);
        assert!(pooled.layer_error() > 0.0);
    }
}
