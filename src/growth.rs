//! Growth: decides which of two matrices was trained from the other, from how the norms of their rows
//! changed.
//!
//! A step δ that is orthogonal to its starting point increases the squared norm of a vector by the squared
//! length of the step: if v = u + δ and u·δ = 0, then ‖v‖² − ‖u‖² = ‖δ‖² = ‖v − u‖². Seen in reverse, the
//! same step shortens the vector by as much. In high dimensions, steps chosen independently of the starting
//! point are nearly orthogonal to it. So the sign of ‖v‖² − ‖u‖² gives the direction, provided that many
//! groups of rows are used and that uniform shrinkage of all of them (weight decay) is removed.
//!
//! For each group of w values let q = ‖v − u‖², g = ‖v‖² − ‖u‖² and s = (‖u‖² + ‖v‖²)/2. The model is
//!
//! g = β q + κ s + ε,  Var ε = 4 s q / w,
//!
//! where the variance is that of 2 u·δ for a δ of length √q in a random direction. κ measures the shrinkage
//! from decay. β is 1 if v was reached from u by orthogonal steps and −1 if u was reached from v. If both
//! were reached from some a by orthogonal steps of squared lengths d²(a, u) and d²(a, v), then g = d²(a, v) −
//! d²(a, u) and q is their sum: β then shows where a lies between u and v.
//!
//! Norms are known exactly, but q may be an estimate, as from [sketches](crate::sketch). Noisy estimates bias
//! β towards 0. For sketches of k numbers the bias is about 2/k of β if q varies between groups by as much as
//! its own size, and larger if it hardly varies.
//!
//! [`MatrixGrowth`] sums over the groups of one matrix. [`PooledGrowth`] fits one β and one κ to several
//! matrices, each weighted by how well its own fit explains its groups. Exchanging u and v flips the sign of
//! β exactly and changes nothing else.
//!
//! # Limits
//!
//! An average of vectors is shorter than the vectors, and rounding moves weights independently of training,
//! so β is meaningless for averages and rounded copies. Steps much smaller than the noise of 2 u·δ give β a
//! large standard error. Decay is also part of v − u. If it is comparable to the rest of the step, leave it
//! out of `moved`
//! ([`squared_distance_at_equal_norms`](crate::sketch::GroupComparison::squared_distance_at_equal_norms)), because
//! its product with the random part is in both sides of the regression, with opposite signs.
//!
//! # Examples
//!
//! ```
//! use mother::growth::{MatrixGrowth, PooledGrowth, Step};
//!
//! // Groups of 100 values, each of which became longer by the squared distance it moved.
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

/// How one group of rows changed.
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
    /// Computes the sums over these groups.
    ///
    /// A group that didn't move, is zero or contains a non-finite number is not informative and is left out.
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

    /// The number of informative groups.
    #[must_use]
    pub const fn groups(&self) -> u64 {
        self.groups
    }

    /// The residual variance of the fit to these groups, relative to the expected variance; `None` if there
    /// are fewer than four groups or no residual.
    fn residual_variance(&self) -> Option<f64> {
        if self.groups < 4 {
            return None;
        }
        let (coefficient, decay) = self.equations.solve().unwrap_or((0.0, 0.0));
        let residual = self.growth_squared
            - coefficient * self.equations.moved_growth
            - decay * self.equations.size_growth;
        // After cancellation, the remaining sum has an error of this order.
        let rounding = 1e-12 * self.growth_squared;
        (residual > rounding).then(|| residual / (self.groups - 2) as f64)
    }
}

/// The sums of the normal equations of g = β q + κ s, with each group weighted by w / 4 s q.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct NormalEquations {
    moved_moved: f64,
    moved_size: f64,
    size_size: f64,
    moved_growth: f64,
    size_growth: f64,
}

impl NormalEquations {
    /// β and κ; `None` if the groups can't separate them.
    fn solve(&self) -> Option<(f64, f64)> {
        let determinant = self.determinant()?;
        let coefficient = self.moved_growth * self.size_size - self.size_growth * self.moved_size;
        let decay = self.size_growth * self.moved_moved - self.moved_growth * self.moved_size;
        Some((coefficient / determinant, decay / determinant))
    }

    /// Positive by the Cauchy–Schwarz inequality, and zero if s is a multiple of q.
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

/// One β for several matrices of the same two models, which are added in a fixed order.
///
/// Each matrix is weighted by the inverse of the residual variance of its own fit, so a matrix whose groups
/// disagree counts less. A matrix with fewer than four informative groups is ignored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PooledGrowth {
    matrices: usize,
    total: NormalEquations,
    /// At most [`GROUPS`](Self::GROUPS) sums; further matrices are distributed over them in turn.
    groups: Vec<NormalEquations>,
}

impl PooledGrowth {
    /// The number of groups for [`layer_error`](Self::layer_error). Up to this number, each matrix is a group
    /// of its own. Further matrices are distributed over the groups in turn, so that memory doesn't grow with
    /// depth.
    pub const GROUPS: usize = 32;

    /// Starts without matrices.
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

    /// β; `None` if nothing moved or the groups can't separate growth from decay.
    #[must_use]
    pub fn coefficient(&self) -> Option<f64> {
        Some(self.total.solve()?.0)
    }

    /// κ, the uniform shrinkage of all groups, with its standard error assuming independent groups and
    /// agreeing matrices; `None` if there is no β.
    ///
    /// Decay removed a share of about −κ/2 of every weight.
    #[must_use]
    pub fn decay(&self) -> Option<(f64, f64)> {
        let (_, decay) = self.total.solve()?;
        let variance = self.total.moved_moved / self.total.determinant()?;
        Some((decay, num_traits::Float::sqrt(variance)))
    }

    /// The standard error of β, assuming independent groups and agreeing matrices; infinite if there is no β.
    #[must_use]
    pub fn model_error(&self) -> f64 {
        match self.total.determinant() {
            Some(determinant) => num_traits::Float::sqrt(self.total.size_size / determinant),
            None => f64::INFINITY,
        }
    }

    /// The jackknife standard error of β over groups of matrices, which measures how much they disagree; 0 if
    /// there are fewer than two groups.
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
            // If the others can't separate growth from decay, their β counts as 0.
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
