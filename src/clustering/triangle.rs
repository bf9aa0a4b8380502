//! The distances of a shrinking set of clusters, laid out so that they are mostly read in order.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::dendrogram::Merge;
use super::formula::Formula;
use crate::minimum::first_minimum_of_many;

/// With fewer slots than this, closing gaps saves nothing.
const SMALL: usize = 64;

/// A condensed matrix of slots. A cluster is kept in the slot of its last point until it is merged into a
/// cluster in a higher slot. So slots are in the order of their clusters' last points.
pub(super) struct Triangle {
    /// Infinite, or NaN, from live slots to later empty ones.
    values: Vec<f64>,
    /// Where the row of each slot begins, and after the last one where it ends.
    starts: Vec<usize>,
    /// The number of points in each slot's cluster; 0 for an empty slot.
    pub(super) sizes: Vec<f64>,
    /// The slots with clusters, in ascending order.
    pub(super) live: Vec<usize>,
    /// The last point of each slot's cluster.
    points: Vec<usize>,
}

/// The number of pairs.
pub(super) const fn pairs(size: usize) -> usize {
    size * size.saturating_sub(1) / 2
}

/// The start of each row of a condensed matrix, and last the end of the last row.
pub(super) fn row_starts(size: usize) -> Vec<usize> {
    let lengths = (0..size).rev();
    let ends = lengths.scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    core::iter::once(0).chain(ends).collect()
}

/// The index at which a slot's distance to slot 0 would be if rows were complete. Adding the number of a
/// later slot, with wrap-around, gives the index of the distance to it.
#[inline(always)]
pub(super) const fn origin(starts: &[usize], slot: usize) -> usize {
    starts[slot].wrapping_sub(slot + 1)
}

impl Triangle {
    /// Creates clusters from their condensed distances, sizes and last points.
    pub(super) fn new(values: Vec<f64>, sizes: Vec<f64>, points: Vec<usize>) -> Self {
        Self {
            values,
            starts: row_starts(sizes.len()),
            live: (0..sizes.len()).collect(),
            sizes,
            points,
        }
    }

    /// Creates clusters of one point each.
    pub(super) fn of_points(points: usize, values: Vec<f64>) -> Self {
        Self::new(values, vec![1.0; points], (0..points).collect())
    }

    /// The number of slots.
    pub(super) const fn slots(&self) -> usize {
        self.sizes.len()
    }

    /// Where the row of each slot begins, and after the last one where it ends.
    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Merges clusters in lower slots into those in higher ones, leaving all distances unchanged.
    pub(super) fn unite(&mut self, unions: impl Iterator<Item = (usize, usize)>) {
        for (low, high) in unions {
            self.sizes[high] += self.sizes[low];
            self.sizes[low] = 0.0;
        }
        self.live.retain(|&slot| self.sizes[slot] > 0.0);
    }

    /// The merge of the clusters in two slots.
    pub(super) fn merge_of(&self, low: usize, high: usize, height: f64) -> Merge {
        Merge::new(self.points[low], self.points[high], height)
    }

    /// The distances from a slot to those after it.
    #[inline(always)]
    pub(super) fn row(&self, slot: usize) -> &[f64] {
        &self.values[self.starts[slot]..self.starts[slot + 1]]
    }

    /// All distances from slots before this one, and the distances from this one to those after it.
    #[inline(always)]
    pub(super) fn row_and_earlier(&mut self, slot: usize) -> (&[f64], &mut [f64]) {
        let start = self.starts[slot];
        let (earlier, rest) = self.values.split_at_mut(start);
        (earlier, &mut rest[..self.starts[slot + 1] - start])
    }

    /// The index of the distance between two slots; `low` is the lower one.
    #[inline(always)]
    fn index(&self, low: usize, high: usize) -> usize {
        origin(&self.starts, low).wrapping_add(high)
    }

    /// The number of live slots before this one, which itself may be empty.
    #[inline(always)]
    fn live_before(&self, slot: usize) -> usize {
        self.live.partition_point(|&other| other < slot)
    }

    /// The nearest cluster in a later slot, the first on ties.
    #[inline(always)]
    pub(super) fn nearest_after(&self, slot: usize) -> Option<(usize, f64)> {
        let (position, distance) = first_minimum_of_many(self.row(slot))?;
        Some((slot + 1 + position, distance))
    }

    /// The nearest cluster, the first on ties.
    #[inline(always)]
    pub(super) fn nearest(&self, slot: usize) -> Option<(usize, f64)> {
        let mut nearest = Nearest::NONE;
        for &other in &self.live[..self.live_before(slot)] {
            nearest.offer(other, self.values[self.index(other, slot)]);
        }
        nearest.or_later(self.nearest_after(slot))
    }

    /// Merges the cluster in slot `low` into the one in slot `high`, at the distance `between`.
    ///
    /// Calls `before` with every slot before `high` and its new distance. Returns the nearest cluster
    /// after `high`.
    #[inline(always)]
    pub(super) fn merge<F: Formula>(
        &mut self,
        low: usize,
        high: usize,
        between: f64,
        mut before: impl FnMut(usize, f64),
    ) -> Option<(usize, f64)> {
        let formula = F::new(between, self.sizes[low], self.sizes[high]);
        self.sizes[high] += self.sizes[low];
        self.sizes[low] = 0.0;
        let to_low = self.live_before(low);
        self.live.remove(to_low);
        let to_high = self.live_before(high);

        // Slices, since the fields of vectors would be read again for every distance.
        let (values, sizes) = (&mut self.values[..], &self.sizes[..]);
        let starts = &self.starts[..sizes.len()];
        for &other in &self.live[..to_low] {
            let from_other = origin(starts, other);
            let to_low = &mut values[from_other.wrapping_add(low)];
            let to_low = mem::replace(to_low, f64::INFINITY);
            let distance = &mut values[from_other.wrapping_add(high)];
            *distance = formula.union(to_low, *distance, sizes[other]);
            before(other, *distance);
        }
        let from_low = origin(starts, low);
        for &other in &self.live[to_low..to_high] {
            let to_low = values[from_low.wrapping_add(other)];
            let distance = &mut values[origin(starts, other).wrapping_add(high)];
            *distance = formula.union(to_low, *distance, sizes[other]);
            before(other, *distance);
        }
        let start = from_low.wrapping_add(high + 1);
        let sizes = &self.sizes[high + 1..];
        let (earlier, from_high) = self.values.split_at_mut(self.starts[high]);
        let from_low = &earlier[start..start + sizes.len()];
        for ((target, &to_low), &size) in from_high.iter_mut().zip(from_low).zip(sizes) {
            *target = formula.union(to_low, *target, size);
        }
        self.nearest_after(high)
    }

    /// Closes the gaps left by empty slots once there are many, so that values read together are stored
    /// together. In that case returns each old slot's new number.
    pub(super) fn compact_if_sparse(&mut self) -> Option<Vec<usize>> {
        let sparse = self.slots() >= SMALL && self.live.len() <= self.slots() - self.slots() / 2;
        sparse.then(|| self.compact())
    }

    /// Closes the gaps left by empty slots. Returns each old slot's new number.
    fn compact(&mut self) -> Vec<usize> {
        let slots = self.slots();
        let mut written = 0;
        for (position, &slot) in self.live.iter().enumerate() {
            let start = self.starts[slot];
            for &other in &self.live[position + 1..] {
                self.values[written] = self.values[start + (other - slot - 1)];
                written += 1;
            }
        }
        self.values.truncate(written);
        let mut numbers = vec![usize::MAX; slots];
        for (number, &slot) in self.live.iter().enumerate() {
            numbers[slot] = number;
            self.sizes[number] = self.sizes[slot];
            self.points[number] = self.points[slot];
        }
        let size = self.live.len();
        self.sizes.truncate(size);
        self.points.truncate(size);
        self.live = (0..size).collect();
        self.starts = row_starts(size);
        numbers
    }
}

/// The nearest cluster offered so far, the first on ties.
pub(super) struct Nearest {
    slot: usize,
    distance: f64,
}

impl Nearest {
    pub(super) const NONE: Self = Self {
        slot: usize::MAX,
        distance: f64::INFINITY,
    };

    #[inline(always)]
    pub(super) fn offer(&mut self, slot: usize, distance: f64) {
        if distance < self.distance {
            *self = Self { slot, distance };
        }
    }

    /// The nearest of the clusters offered and one in a later slot.
    #[inline(always)]
    pub(super) fn or_later(mut self, later: Option<(usize, f64)>) -> Option<(usize, f64)> {
        if let Some((slot, distance)) = later {
            self.offer(slot, distance);
        }
        (self.slot != usize::MAX).then_some((self.slot, self.distance))
    }
}
