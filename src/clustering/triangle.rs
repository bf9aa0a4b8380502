//! The distances of clusters that grow fewer, in memory that is always read in order where possible.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::dendrogram::Merge;
use super::formula::Formula;
use crate::minimum::first_minimum_of_many;

/// Below this number of slots closing gaps saves nothing.
const SMALL: usize = 64;

/// A condensed matrix of slots. A cluster has the slot of its last point and lives there until it
/// is merged into one of a higher slot; slots are in the order of their clusters' last points.
pub(super) struct Triangle {
    /// Infinite, or NaN, from living slots to later ones that have no cluster any more.
    values: Vec<f64>,
    /// Where the row of each slot begins, and after the last one where it ends.
    starts: Vec<usize>,
    /// How many points the cluster of each slot has; 0 where there is none any more.
    pub(super) sizes: Vec<f64>,
    /// The slots with clusters, ascending.
    pub(super) live: Vec<usize>,
    /// The last point of each slot's cluster.
    points: Vec<usize>,
}

/// The number of pairs.
pub(super) const fn pairs(size: usize) -> usize {
    size * size.saturating_sub(1) / 2
}

/// Where each row of a condensed matrix begins, and where the last one ends.
pub(super) fn row_starts(size: usize) -> Vec<usize> {
    let lengths = (0..size).rev();
    let ends = lengths.scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    core::iter::once(0).chain(ends).collect()
}

/// Where a slot's distance to slot 0 would be, if rows weren't cut off: its distance to a later slot is so
/// many values after that, wrapping around.
#[inline(always)]
pub(super) const fn origin(starts: &[usize], slot: usize) -> usize {
    starts[slot].wrapping_sub(slot + 1)
}

impl Triangle {
    /// Clusters from their condensed distances, sizes, and last points.
    pub(super) fn new(values: Vec<f64>, sizes: Vec<f64>, points: Vec<usize>) -> Self {
        Self {
            values,
            starts: row_starts(sizes.len()),
            live: (0..sizes.len()).collect(),
            sizes,
            points,
        }
    }

    /// Clusters of one point each.
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

    /// Merges clusters of lower slots into those of higher ones, but leaves all distances as they are.
    pub(super) fn unite(&mut self, unions: impl Iterator<Item = (usize, usize)>) {
        for (low, high) in unions {
            self.sizes[high] += self.sizes[low];
            self.sizes[low] = 0.0;
        }
        self.live.retain(|&slot| self.sizes[slot] > 0.0);
    }

    /// The merge of the clusters of two slots.
    pub(super) fn merge_of(&self, low: usize, high: usize, height: f64) -> Merge {
        Merge::new(self.points[low], self.points[high], height)
    }

    /// The distances of a slot to those after it.
    #[inline(always)]
    pub(super) fn row(&self, slot: usize) -> &[f64] {
        &self.values[self.starts[slot]..self.starts[slot + 1]]
    }

    /// All distances of slots before this one, and its own to those after it.
    #[inline(always)]
    pub(super) fn row_and_earlier(&mut self, slot: usize) -> (&[f64], &mut [f64]) {
        let start = self.starts[slot];
        let (earlier, rest) = self.values.split_at_mut(start);
        (earlier, &mut rest[..self.starts[slot + 1] - start])
    }

    /// Where the distance of two slots is, of which `low` is the lower one.
    #[inline(always)]
    fn index(&self, low: usize, high: usize) -> usize {
        origin(&self.starts, low).wrapping_add(high)
    }

    /// The living slots before this one, which itself may be dead.
    #[inline(always)]
    fn live_before(&self, slot: usize) -> usize {
        self.live.partition_point(|&other| other < slot)
    }

    /// The nearest cluster in a later slot; of several the first.
    #[inline(always)]
    pub(super) fn nearest_after(&self, slot: usize) -> Option<(usize, f64)> {
        let (position, distance) = first_minimum_of_many(self.row(slot))?;
        Some((slot + 1 + position, distance))
    }

    /// The nearest cluster; of several the first.
    #[inline(always)]
    pub(super) fn nearest(&self, slot: usize) -> Option<(usize, f64)> {
        let mut nearest = Nearest::NONE;
        for &other in &self.live[..self.live_before(slot)] {
            nearest.offer(other, self.values[self.index(other, slot)]);
        }
        nearest.or_later(self.nearest_after(slot))
    }

    /// Merges the cluster of slot `low` into that of slot `high`, at the distance `between`.
    ///
    /// Calls `before` with every slot before `high` and its new distance; returns the nearest cluster
    /// after it.
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

        // Slices, since what vectors hold would be read again for every distance.
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

    /// Closes the gaps that dead slots leave once they are many, so that what is read together is
    /// together. Returns each old slot's new number then.
    pub(super) fn compact_if_sparse(&mut self) -> Option<Vec<usize>> {
        let sparse = self.slots() >= SMALL && self.live.len() <= self.slots() - self.slots() / 2;
        sparse.then(|| self.compact())
    }

    /// Closes the gaps that dead slots leave. Returns each old slot's new number.
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

/// The first of the nearest clusters offered so far.
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

    /// The nearest of those offered and one of a later slot.
    #[inline(always)]
    pub(super) fn or_later(mut self, later: Option<(usize, f64)>) -> Option<(usize, f64)> {
        if let Some((slot, distance)) = later {
            self.offer(slot, distance);
        }
        (self.slot != usize::MAX).then_some((self.slot, self.distance))
    }
}
