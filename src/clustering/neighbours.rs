//! Which cluster is nearest to each, for as long as that is known to be so.

use alloc::vec;
use alloc::vec::Vec;

use super::triangle::Triangle;

/// The neighbour found last for every slot of a [`Triangle`].
pub(super) struct Neighbours {
    slots: Vec<usize>,
    distances: Vec<f64>,
    /// After which merge each neighbour was found.
    found: Vec<usize>,
    /// By which merge the cluster of each slot came to be.
    made: Vec<usize>,
    /// How many merges there were.
    merges: usize,
}

/// No slot.
const NONE: usize = usize::MAX;

impl Neighbours {
    /// None is known yet.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: vec![NONE; slots],
            distances: vec![f64::INFINITY; slots],
            found: vec![0; slots],
            made: vec![0; slots],
            merges: 0,
        }
    }

    /// The nearest of all clusters, in one pass over the distances.
    #[inline(always)]
    pub(super) fn of_all(triangle: &Triangle) -> Self {
        let mut all = Self::new(triangle.slots());
        for slot in 0..triangle.slots() {
            let nearest = triangle.nearest_after(slot);
            if nearest.is_some_and(|(_, distance)| distance < all.distances[slot]) {
                all.set(slot, nearest);
            }
            let after = slot + 1;
            let others = all.distances[after..]
                .iter_mut()
                .zip(&mut all.slots[after..]);
            for ((distance, neighbour), &found) in others.zip(triangle.row(slot)) {
                let nearer = found < *distance;
                *neighbour = if nearer { slot } else { *neighbour };
                *distance = if nearer { found } else { *distance };
            }
        }
        all
    }

    /// Says that the cluster of this slot is a new one.
    #[inline(always)]
    pub(super) fn renew(&mut self, slot: usize) {
        self.merges += 1;
        self.made[slot] = self.merges;
    }

    /// Says which neighbour was just found, and how far away.
    #[inline(always)]
    pub(super) fn set(&mut self, slot: usize, nearest: Option<(usize, f64)>) {
        (self.slots[slot], self.distances[slot]) = nearest.unwrap_or((NONE, f64::INFINITY));
        self.found[slot] = self.merges;
    }

    /// The slot's neighbour if both are still what they were.
    #[inline(always)]
    pub(super) fn get(&self, slot: usize, triangle: &Triangle) -> Option<(usize, f64)> {
        let neighbour = self.slots[slot];
        let fresh = neighbour != NONE
            && triangle.sizes[neighbour] > 0.0
            && self.made[neighbour] <= self.found[slot];
        fresh.then(|| (neighbour, self.distances[slot]))
    }

    /// The neighbour's slot, whether or not it still is one.
    #[inline(always)]
    pub(super) fn last(&self, slot: usize) -> usize {
        self.slots[slot]
    }

    /// The distance to each slot's neighbour, or that to its last one.
    pub(super) fn distances(&self) -> &[f64] {
        &self.distances
    }

    /// Follows [`Triangle::compact`].
    pub(super) fn renumber(&mut self, numbers: &[usize]) {
        let mut slots = 0;
        for (old, &new) in numbers.iter().enumerate() {
            if new != NONE {
                self.slots[new] = numbers.get(self.slots[old]).copied().unwrap_or(NONE);
                self.distances[new] = self.distances[old];
                self.found[new] = self.found[old];
                self.made[new] = self.made[old];
                slots = new + 1;
            }
        }
        self.slots.truncate(slots);
        self.distances.truncate(slots);
        self.found.truncate(slots);
        self.made.truncate(slots);
    }
}
