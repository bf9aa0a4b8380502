//! The nearest cluster of each cluster, for as long as it is known.

use alloc::vec;
use alloc::vec::Vec;

use super::extremes::{LANES, folded};
use super::triangle::Triangle;
use crate::minimum::{greater, lesser, position};

/// The neighbour found last for every slot of a [`Triangle`].
pub(super) struct Neighbours {
    slots: Vec<usize>,
    distances: Vec<f64>,
    /// The number of merges when each neighbour was found.
    found: Vec<usize>,
    /// The number of the merge that created each slot's cluster.
    made: Vec<usize>,
    /// The number of merges so far.
    merges: usize,
}

/// Two clusters that are each other's nearest.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub(super) low: usize,
    pub(super) high: usize,
    pub(super) distance: f64,
}

/// Replaces the known neighbours that are farther away than `slot`.
#[inline(always)]
fn take_nearer(
    slot: usize,
    found: [f64; LANES],
    known: &mut [f64; LANES],
    slots: &mut [usize; LANES],
) {
    let (before, others) = (*known, *slots);
    *slots = core::array::from_fn(|lane| {
        if found[lane] < before[lane] {
            slot
        } else {
            others[lane]
        }
    });
    *known = core::array::from_fn(|lane| lesser(found[lane], before[lane]));
}

/// Marks the absence of a slot.
const NONE: usize = usize::MAX;

impl Neighbours {
    /// No neighbours are known yet.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: vec![NONE; slots],
            distances: vec![f64::INFINITY; slots],
            found: vec![0; slots],
            made: vec![0; slots],
            merges: 0,
        }
    }

    /// The nearest neighbours of all clusters, found in one pass over the distances.
    #[inline(always)]
    pub(super) fn of_all(triangle: &Triangle) -> Self {
        let mut all = Self::new(triangle.slots());
        for &slot in &triangle.live {
            all.observe(slot, triangle.row(slot), |distance| distance);
        }
        all
    }

    /// Records a slot's distances to those after it, and returns the largest. Slots must come in order.
    #[inline(always)]
    pub(super) fn observe<S: Copy>(
        &mut self,
        slot: usize,
        row: &[S],
        read: impl Fn(S) -> f64 + Copy,
    ) -> f64 {
        let (least, largest) = self.take_note(slot, row, read);
        if least < self.distances[slot] {
            let after = position(row, |value| read(value) == least);
            self.set(slot, after.map(|after| (slot + 1 + after, least)));
        }
        largest
    }

    /// Offers a slot as a neighbour to those after it, at these distances. Returns the least and the
    /// largest distance.
    #[inline(always)]
    fn take_note<S: Copy>(
        &mut self,
        slot: usize,
        row: &[S],
        read: impl Fn(S) -> f64 + Copy,
    ) -> (f64, f64) {
        let (chunks, rest) = row.as_chunks::<LANES>();
        let chunks = chunks.iter().map(|values| values.map(read));
        let rest = rest.iter().map(|&value| read(value));
        let mut largest = [0.0; LANES];
        let mut least = [f64::INFINITY; LANES];
        let (known, known_rest) = self.distances[slot + 1..].as_chunks_mut::<LANES>();
        let (slots, slots_rest) = self.slots[slot + 1..].as_chunks_mut::<LANES>();
        for ((known, slots), found) in known.iter_mut().zip(slots).zip(chunks) {
            for lane in 0..LANES {
                least[lane] = lesser(found[lane], least[lane]);
                largest[lane] = greater(found[lane], largest[lane]);
            }
            take_nearer(slot, found, known, slots);
        }
        let mut least = folded(least, lesser);
        // Not `folded`, so that it isn't computed where it isn't used.
        let mut largest = largest.into_iter().fold(0.0, greater);
        for ((known, neighbour), found) in known_rest.iter_mut().zip(slots_rest).zip(rest) {
            if found < *known {
                (*known, *neighbour) = (found, slot);
            }
            least = lesser(found, least);
            largest = greater(found, largest);
        }
        (least, largest)
    }

    /// The pairs of clusters that are each other's nearest, in the order of their lower slots.
    pub(super) fn reciprocal(&self) -> Vec<Pair> {
        let pair = |(low, (&high, &distance)): (usize, (&usize, &f64))| {
            // One branch instead of two that are hard to predict.
            let mutual = (low < high) & (self.slots.get(high) == Some(&low));
            mutual.then_some(Pair {
                low,
                high,
                distance,
            })
        };
        let slots = self.slots.iter().zip(&self.distances);
        slots.enumerate().filter_map(pair).collect()
    }

    /// Records that this slot's cluster is new.
    #[inline(always)]
    pub(super) fn renew(&mut self, slot: usize) {
        self.merges += 1;
        self.made[slot] = self.merges;
    }

    /// Sets the nearest neighbour just found, and its distance.
    #[inline(always)]
    pub(super) fn set(&mut self, slot: usize, nearest: Option<(usize, f64)>) {
        (self.slots[slot], self.distances[slot]) = nearest.unwrap_or((NONE, f64::INFINITY));
        self.found[slot] = self.merges;
    }

    /// A function to call with every slot before that of a new cluster and the distance between them. If no
    /// cluster is nearer, or as near and earlier, the new one becomes the slot's neighbour.
    #[inline(always)]
    pub(super) fn offering(&mut self, new: usize) -> impl FnMut(usize, f64) {
        let merges = self.merges;
        let distances = &mut self.distances[..];
        let slots = &mut self.slots[..distances.len()];
        let found = &mut self.found[..distances.len()];
        move |slot, distance| {
            let known = distances[slot];
            if distance <= known && (distance < known || new <= slots[slot]) {
                distances[slot] = distance;
                slots[slot] = new;
                found[slot] = merges;
            }
        }
    }

    /// The slot's neighbour, if neither cluster has changed since.
    #[inline(always)]
    pub(super) fn get(&self, slot: usize, triangle: &Triangle) -> Option<(usize, f64)> {
        let neighbour = self.slots[slot];
        let fresh = neighbour != NONE
            && triangle.sizes[neighbour] > 0.0
            && self.made[neighbour] <= self.found[slot];
        fresh.then(|| (neighbour, self.distances[slot]))
    }

    /// Applies an increasing function to every distance.
    pub(super) fn map_distances(&mut self, change: impl Fn(f64) -> f64) {
        for distance in &mut self.distances {
            *distance = change(*distance);
        }
    }

    /// The distance from each slot to its neighbour, or to its former neighbour if that has merged.
    pub(super) fn distances(&self) -> &[f64] {
        &self.distances
    }

    /// Applies the renumbering of [`Triangle::compact`].
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_observed_gives_the_first_of_the_nearest_and_the_largest() {
        for slots in [1, 2, 7, 8, 9, 10, 17, 18, 64, 65, 90] {
            // Only a few different distances, so that many clusters are equally near.
            let distance = |i: usize, j: usize| ((i * j + i + j) % 11) as f32;
            let between = |i: usize, j: usize| f64::from(distance(i.min(j), i.max(j)));
            let mut neighbours = Neighbours::new(slots);
            for slot in 0..slots {
                let row: Vec<f32> = (slot + 1..slots).map(|j| distance(slot, j)).collect();
                let largest = neighbours.observe(slot, &row, f64::from);
                let expected = row.iter().copied().fold(0.0, f32::max);
                assert_eq!(largest, f64::from(expected));
            }
            for slot in 0..slots {
                let others = (0..slots).filter(|&other| other != slot);
                let nearest = others.min_by(|&a, &b| between(slot, a).total_cmp(&between(slot, b)));
                assert_eq!(neighbours.slots[slot], nearest.unwrap_or(NONE));
                let least = nearest.map_or(f64::INFINITY, |other| between(slot, other));
                assert_eq!(neighbours.distances[slot], least);
            }
        }
    }
}
