//! The sketch of a whole matrix, and the comparison of two.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use core::slice::ChunksExact;

use super::{RowGroups, SketchError};
use crate::powers::{exponent, power_of_two};
use crate::registers::in_wide_registers;

/// Sketches whose groups were joined differ by up to this share of their squared norms though their matrices are
/// equal, since buckets are kept in single precision.
const ROUNDING: f64 = 1e-13;

/// The sketch of a matrix: the exact squared norm and the buckets of each group of rows.
///
/// Buckets are stored in single precision, in units of a power of two chosen by the largest one, so no
/// weights are too large or too small.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSketch {
    groups: RowGroups,
    squared_norms: Vec<f64>,
    /// The buckets are in units of 2 to the power of this exponent.
    exponent: i32,
    /// The buckets, group by group.
    buckets: Vec<f32>,
}

/// The comparison of two matrices on one group of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupComparison {
    /// The number of values.
    pub values: usize,
    /// ‖u‖² of the first matrix, exact.
    pub first_squared_norm: f64,
    /// ‖v‖² of the second, exact.
    pub second_squared_norm: f64,
    /// ‖u − v‖², estimated.
    pub squared_distance: f64,
    /// ‖u‖² and ‖v‖², estimated in the same way.
    pub estimated_squared_norms: [f64; 2],
}

impl GroupComparison {
    /// Estimates ‖u √c − v / √c‖² with c = ‖V‖ / ‖U‖ for matrices of these squared norms: the squared
    /// distance after scaling both to equal norms.
    ///
    /// This is the remainder of a step after removing uniform shrinkage, such as weight decay. It is
    /// symmetric in the matrices. If one of them is zero, the result is NaN or infinite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::sketch::GroupComparison;
    ///
    /// // v = u / 2
    /// let group = GroupComparison {
    ///     values: 8,
    ///     first_squared_norm: 4.0,
    ///     second_squared_norm: 1.0,
    ///     squared_distance: 1.0,
    ///     estimated_squared_norms: [4.0, 1.0],
    /// };
    /// assert_eq!(group.squared_distance_at_equal_norms([1.0, 1.0]), 1.0);
    /// assert_eq!(group.squared_distance_at_equal_norms([4.0, 1.0]), 0.0);
    /// ```
    #[must_use]
    pub fn squared_distance_at_equal_norms(&self, squared_norms: [f64; 2]) -> f64 {
        let [first, second] = squared_norms;
        let scale = |numerator: f64, denominator: f64| {
            num_traits::Float::sqrt(numerator / denominator) - 1.0
        };
        // ‖u √c − v / √c‖² − ‖u − v‖²; the inner product cancels.
        let [of_first, of_second] = self.estimated_squared_norms;
        let change = scale(second, first) * of_first + scale(first, second) * of_second;
        (self.squared_distance + change).max(0.0)
    }
}

impl MatrixSketch {
    /// Creates a sketch from the sums of its buckets, in the units of the matrix.
    ///
    /// # Errors
    ///
    /// The same as for [`from_parts`](Self::from_parts), and if a sum isn't finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::sketch::{MatrixSketch, RowGroups};
    ///
    /// let groups = RowGroups::new(64, 64)?;
    /// let sums = [3.0, -40.0, 0.5, 0.0, 0.0, 1.0, 2.0, 7.0];
    /// let sketch = MatrixSketch::from_sums(groups, vec![1700.0], &sums)?;
    /// assert_eq!(sketch.sums().collect::<Vec<_>>(), sums);
    /// # Ok::<(), mother::sketch::SketchError>(())
    /// ```
    pub fn from_sums(
        groups: RowGroups,
        squared_norms: Vec<f64>,
        sums: &[f64],
    ) -> Result<Self, SketchError> {
        if !sums.iter().all(|sum| sum.is_finite()) {
            return Err(SketchError::Numbers);
        }
        let (buckets, exponent) = in_units(sums);
        Self::from_parts(groups, squared_norms, exponent, buckets)
    }

    /// Creates a sketch from its numbers, as returned by its accessors.
    ///
    /// # Errors
    ///
    /// [`SketchError::Numbers`] unless each group has a squared norm that is finite and not negative, the
    /// number of buckets per group is a power of two from 8 to 1024, no bucket is above 2 in magnitude, and
    /// the exponent is from −1100 to 600.
    pub fn from_parts(
        groups: RowGroups,
        squared_norms: Vec<f64>,
        exponent: i32,
        buckets: Vec<f32>,
    ) -> Result<Self, SketchError> {
        let count = groups.count();
        let of_group = buckets.len().checked_div(count).unwrap_or(8);
        let fits = squared_norms.len() == count
            && of_group.checked_mul(count) == Some(buckets.len())
            && of_group.is_power_of_two()
            && (8..=1024).contains(&of_group)
            && squared_norms.iter().all(|norm| *norm >= 0.0)
            && squared_norms.iter().sum::<f64>().is_finite()
            && buckets.iter().all(|bucket| bucket.abs() <= 2.0)
            && (-1100..=600).contains(&exponent);
        if !fits {
            return Err(SketchError::Numbers);
        }
        Ok(Self {
            groups,
            squared_norms,
            exponent,
            buckets,
        })
    }

    /// The groups of rows of the matrix.
    #[must_use]
    pub const fn groups(&self) -> RowGroups {
        self.groups
    }

    /// The exact squared norm of every group.
    #[must_use]
    pub fn squared_norms(&self) -> &[f64] {
        &self.squared_norms
    }

    /// The exponent of the power of two that is the unit of the buckets.
    #[must_use]
    pub const fn exponent(&self) -> i32 {
        self.exponent
    }

    /// The buckets of all groups, concatenated.
    #[must_use]
    pub fn buckets(&self) -> &[f32] {
        &self.buckets
    }

    /// The buckets of all groups in the units of the matrix.
    pub fn sums(&self) -> impl Iterator<Item = f64> + '_ {
        let unit = power_of_two(self.exponent);
        self.buckets
            .iter()
            .map(move |&bucket| f64::from(bucket) * unit)
    }

    /// The number of buckets per group; 0 for a matrix without values.
    #[must_use]
    pub fn buckets_of_group(&self) -> usize {
        let groups = self.squared_norms.len();
        self.buckets.len().checked_div(groups).unwrap_or(0)
    }

    /// Compares the groups that are complete in both matrices, in order.
    ///
    /// The matrices may differ in their number of rows; only the rows up to the last common complete group
    /// are compared. The sketches must have been made with the same key.
    ///
    /// # Errors
    ///
    /// [`SketchError::Mismatch`] if they differ in width or in the number of buckets.
    ///
    /// # Complexity
    ///
    /// O(all buckets) time. Allocates scratch memory only if the heights of groups differ.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::sketch::{MatrixSketch, MatrixSketcher, RowGroups, SketchKey};
    ///
    /// fn sketch(values: &[f32]) -> Result<MatrixSketch, mother::sketch::SketchError> {
    ///     let groups = RowGroups::new(values.len(), 4)?;
    ///     let mut sketcher = MatrixSketcher::new(groups, 64, SketchKey::PUBLIC)?;
    ///     sketcher.extend_from_slice(values)?;
    ///     sketcher.finish()
    /// }
    /// let mut longer = vec![1.0; 16 * 4];
    /// let first = sketch(&longer)?;
    /// longer[5] = 3.0;
    /// longer.extend([7.0; 4]);
    /// let compared = first.compare(&sketch(&longer)?)?;
    /// assert_eq!(compared.len(), 16);
    /// assert_eq!(compared[1].squared_distance, 4.0);
    /// # Ok::<(), mother::sketch::SketchError>(())
    /// ```
    pub fn compare(&self, other: &Self) -> Result<Vec<GroupComparison>, SketchError> {
        let mut groups = Vec::new();
        self.compare_each(other, |group| groups.push(group))?;
        Ok(groups)
    }

    /// Calls `take` with each of the groups that [`compare`](Self::compare) returns.
    pub(crate) fn compare_each(
        &self,
        other: &Self,
        mut take: impl FnMut(GroupComparison),
    ) -> Result<(), SketchError> {
        let buckets = self.buckets_of_group().max(other.buckets_of_group());
        let is_empty = self.buckets.is_empty() || other.buckets.is_empty();
        if self.groups.width() != other.groups.width()
            || (!is_empty && self.buckets_of_group() != other.buckets_of_group())
        {
            return Err(SketchError::Mismatch);
        }
        if is_empty {
            return Ok(());
        }
        let height = self.groups.height().max(other.groups.height());
        let (first, second) = (self.coarsened(height), other.coarsened(height));
        let exponent = first.exponent.max(second.exponent);
        let unit = power_of_two(exponent);
        let whole = first.squared_norms.len().min(second.squared_norms.len());
        let is_whole = |&group: &usize| first.values(group, height) == second.values(group, height);
        let count = (0..whole).take_while(is_whole).count();
        let mut squared = [[0.0; 3]; RowGroups::MAXIMUM];
        let factors = [first.exponent, second.exponent].map(|own| single_power(own - exponent));
        let in_groups =
            [&first, &second].map(|sketch| sketch.buckets[..count * buckets].chunks_exact(buckets));
        square_norms(in_groups, factors, &mut squared);
        let is_joined = self.groups.height() != other.groups.height();
        for (group, squared) in squared.into_iter().take(count).enumerate() {
            let [distance, of_first, of_second] = squared.map(|squared| squared * unit * unit);
            let is_rounding = is_joined && distance <= ROUNDING * (of_first + of_second);
            let distance = if is_rounding { 0.0 } else { distance };
            take(GroupComparison {
                values: first.values(group, height).len(),
                first_squared_norm: first.squared_norms[group],
                second_squared_norm: second.squared_norms[group],
                squared_distance: distance,
                estimated_squared_norms: [of_first, of_second],
            });
        }
        Ok(())
    }

    /// The sketch of the same matrix in groups of this height, a multiple of the current one.
    fn coarsened(&self, height: usize) -> Cow<'_, Self> {
        let joined = height / self.groups.height().max(1);
        if joined <= 1 {
            return Cow::Borrowed(self);
        }
        let buckets = self.buckets_of_group();
        let count = self.squared_norms.len().div_ceil(joined);
        let mut sums = vec![0.0_f32; count * buckets];
        for (group, values) in self.buckets.chunks_exact(buckets).enumerate() {
            let at = group / joined * buckets;
            for (sum, value) in sums[at..at + buckets].iter_mut().zip(values) {
                *sum += value;
            }
        }
        let norms = self.squared_norms.chunks(joined);
        Cow::Owned(Self {
            groups: self.groups,
            squared_norms: norms.map(|norms| norms.iter().sum()).collect(),
            exponent: self.exponent,
            buckets: sums,
        })
    }

    /// The flat indices of a group's values if groups had this height.
    fn values(&self, group: usize, height: usize) -> core::ops::Range<usize> {
        let (length, width) = (self.groups.length(), self.groups.width());
        let size = height.saturating_mul(width);
        let start = group.saturating_mul(size).min(length);
        start..start.saturating_add(size).min(length)
    }
}

/// The squared norms of f·u − g·v, f·u and g·v for every group, where f and g convert both to one unit.
fn square_norms(
    [first, second]: [ChunksExact<'_, f32>; 2],
    [of_first, of_second]: [f32; 2],
    squared: &mut [[f64; 3]],
) {
    in_wide_registers(
        #[inline(always)]
        move || {
            for (squared, (first, second)) in squared.iter_mut().zip(first.zip(second)) {
                let mut lanes = [[0.0_f32; 8]; 3];
                let (first, second) = (first.as_chunks::<8>(), second.as_chunks::<8>());
                for (first, second) in first.0.iter().zip(second.0) {
                    let [of_difference, of_first_norm, of_second_norm] = &mut lanes;
                    for lane in 0..8 {
                        let (u, v) = (of_first * first[lane], of_second * second[lane]);
                        of_difference[lane] += (u - v) * (u - v);
                        of_first_norm[lane] += u * u;
                        of_second_norm[lane] += v * v;
                    }
                }
                *squared = lanes.map(|lanes| lanes.iter().map(|&lane| f64::from(lane)).sum());
            }
        },
    );
}

/// Converts numbers to single precision in units of a power of two, and returns its exponent. The unit is the
/// largest power of two up to the largest number, so no result is above 2 in magnitude.
pub(super) fn in_units(numbers: &[f64]) -> (Vec<f32>, i32) {
    let largest = numbers.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let exponent = exponent(largest);
    // Scales in two steps, since the inverse of a power of two may be out of range.
    let (half, rest) = (-exponent / 2, -exponent - -exponent / 2);
    let scaled = |number: &f64| (number * power_of_two(half) * power_of_two(rest)) as f32;
    (numbers.iter().map(scaled).collect(), exponent)
}

/// 2 to a power of at most zero; 0 if that is too small.
fn single_power(exponent: i32) -> f32 {
    if exponent == 0 {
        1.0
    } else {
        power_of_two(exponent) as f32
    }
}
