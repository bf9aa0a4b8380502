//! Rounds of merges: all pairs of clusters that are each other's nearest merge at once, in one pass over
//! the rows.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::extremes::LANES;
use super::formula::Formula;
use super::neighbours::{Neighbours, Pair};
use super::triangle::{Triangle, origin, pairs, row_starts};

/// Which clusters merge in a round.
pub(super) struct Round<F> {
    /// In the order of their lower slots.
    unions: Vec<Union<F>>,
    /// The union that each slot will hold, if any.
    union_at: Vec<Option<usize>>,
    /// The slots that have clusters after the round.
    after: Vec<usize>,
    /// The sizes before the round; 0 for empty slots.
    sizes: Vec<f64>,
}

/// Two clusters that become one, in the slot of the higher one.
#[derive(Clone, Copy)]
struct Union<F> {
    low: usize,
    high: usize,
    /// The position of the higher slot among those after the round.
    number: usize,
    formula: F,
    /// The [`origin`] of the lower one's row.
    origin: usize,
}

impl<F: Formula> Union<F> {
    /// The index of the distance from the lower cluster to a later slot.
    #[inline(always)]
    fn index(&self, slot: usize) -> usize {
        self.origin.wrapping_add(slot)
    }

    /// Turns the distance from the higher cluster to a cluster of this size into the distance from the union.
    #[inline(always)]
    fn merge(&self, distance: &mut f64, to_low: f64, size: f64) {
        *distance = self.formula.union(to_low, *distance, size);
    }
}

impl<F: Formula> Round<F> {
    /// The round in which these pairs merge. Pairs must be in the order of their lower slots; `sizes` and
    /// `starts` are the sizes of all clusters and the starts of their rows.
    pub(super) fn new(pairs: &[Pair], sizes: Vec<f64>, starts: &[usize]) -> Self {
        let mut stays: Vec<bool> = sizes.iter().map(|&size| size > 0.0).collect();
        for pair in pairs {
            stays[pair.low] = false;
        }
        let mut numbers = vec![0; sizes.len()];
        let mut after = Vec::with_capacity(sizes.len());
        for slot in (0..sizes.len()).filter(|&slot| stays[slot]) {
            numbers[slot] = after.len();
            after.push(slot);
        }
        let mut union_at = vec![None; sizes.len()];
        for (position, pair) in pairs.iter().enumerate() {
            union_at[pair.high] = Some(position);
        }
        let union = |pair: &Pair| {
            let (low, high) = (pair.low, pair.high);
            Union {
                low,
                high,
                number: numbers[high],
                formula: F::new(pair.distance, sizes[low], sizes[high]),
                origin: origin(starts, low),
            }
        };
        Self {
            unions: pairs.iter().map(union).collect(),
            union_at,
            after,
            sizes,
        }
    }

    /// The clusters after a round of points, and their neighbours, from the points' condensed
    /// distances; `None` if memory doesn't suffice.
    #[inline(always)]
    pub(super) fn of_points<S: Copy>(
        &self,
        values: &[S],
        read: impl Fn(S) -> f64 + Copy,
    ) -> Option<(Triangle, Neighbours)> {
        let mut after = Vec::new();
        after.try_reserve_exact(pairs(self.after.len())).ok()?;
        let points = self.sizes.len();
        let starts = row_starts(points);
        let columns: Vec<usize> = self
            .after
            .iter()
            .map(|slot| slot.saturating_sub(1))
            .collect();
        let mut from_union = vec![0.0; points];
        let mut from_new = vec![0.0; self.after.len()];
        let mut sizes = Vec::with_capacity(self.after.len());
        let mut neighbours = Neighbours::new(self.after.len());
        let mut pass = Pass::new(self);
        for slot in 0..points {
            let Some(Cluster { size, union }) = pass.visit(slot) else {
                continue;
            };
            let number = sizes.len();
            let first = number + 1;
            sizes.push(size);
            // Starts before the row, at the position where the distance to slot 1 would be.
            let row = &values[starts[slot] - slot..starts[slot + 1]];
            let (columns, targets) = (&columns[first..], &mut from_new[first..]);
            if let Some(union) = union {
                let others = from_union[slot + 1..]
                    .iter_mut()
                    .zip(&self.sizes[slot + 1..]);
                let both = values[union.index(slot + 1)..].iter().zip(&row[slot..]);
                for ((target, &size), (&to_low, &to_high)) in others.zip(both) {
                    *target = union.formula.union(read(to_low), read(to_high), size);
                }
                let row = &from_union[1..];
                narrow(targets, columns, row, |distance| distance);
                for other in pass.ahead() {
                    other.merge(&mut targets[other.number - first], row[other.low - 1], size);
                }
            } else {
                narrow(targets, columns, row, read);
                for other in pass.ahead() {
                    let to_low = read(row[other.low - 1]);
                    other.merge(&mut targets[other.number - first], to_low, size);
                }
            }
            let earlier = |index: usize| read(values[index]);
            pass.to_open(slot, union, earlier, |other, to_low| {
                other.merge(&mut targets[other.number - first], to_low, size);
            });
            let targets = &from_new[first..];
            neighbours.observe(number, targets, |distance| distance);
            after.extend_from_slice(targets);
        }
        Some((Triangle::new(after, sizes, self.after.clone()), neighbours))
    }

    /// Merges clusters in place, leaving slots empty. Returns the neighbours afterwards.
    #[inline(always)]
    pub(super) fn apply(&self, triangle: &mut Triangle) -> Neighbours {
        triangle.unite(self.unions.iter().map(|union| (union.low, union.high)));
        let mut neighbours = Neighbours::new(triangle.slots());
        let mut pass = Pass::new(self);
        for slot in 0..self.sizes.len() {
            let Some(Cluster { size, union }) = pass.visit(slot) else {
                continue;
            };
            let (earlier, row) = triangle.row_and_earlier(slot);
            if let Some(union) = union {
                let others = row.iter_mut().zip(&self.sizes[slot + 1..]);
                let from_low = &earlier[union.index(slot + 1)..];
                for ((distance, &size), &to_low) in others.zip(from_low) {
                    union.merge(distance, to_low, size);
                }
            }
            for other in pass.ahead() {
                let to_low = mem::replace(&mut row[other.low - slot - 1], f64::INFINITY);
                other.merge(&mut row[other.high - slot - 1], to_low, size);
            }
            let earlier = |index: usize| earlier[index];
            pass.to_open(slot, union, earlier, |other, to_low| {
                other.merge(&mut row[other.high - slot - 1], to_low, size);
            });
            neighbours.observe(slot, triangle.row(slot), |distance| distance);
        }
        neighbours
    }
}

/// A cluster that exists after a round.
struct Cluster<F> {
    size: f64,
    /// The union that formed it, if any.
    union: Option<Union<F>>,
}

/// The state of a round while it goes from the first row to the last.
///
/// The row of a union's lower cluster comes before that of its higher one and isn't changed. So the
/// lower cluster's distances to the clusters between the two stay in that row.
struct Pass<'a, F> {
    round: &'a Round<F>,
    /// The number of unions whose lower clusters have been visited.
    begun: usize,
    /// The unions whose lower clusters have been visited, but not their higher ones.
    open: Vec<Union<F>>,
}

impl<'a, F: Formula> Pass<'a, F> {
    fn new(round: &'a Round<F>) -> Self {
        Self {
            begun: 0,
            open: Vec::with_capacity(round.unions.len()),
            round,
        }
    }

    /// The unions of which neither cluster has been visited.
    #[inline(always)]
    fn ahead(&self) -> &'a [Union<F>] {
        &self.round.unions[self.begun..]
    }

    /// Moves on to a slot. `None` if the slot has no cluster after the round.
    #[inline(always)]
    fn visit(&mut self, slot: usize) -> Option<Cluster<F>> {
        let mut size = self.round.sizes[slot];
        if size == 0.0 {
            return None;
        }
        if let Some(union) = self.ahead().first().filter(|union| union.low == slot) {
            self.begun += 1;
            self.open.push(*union);
            return None;
        }
        let union = self.round.union_at[slot].map(|position| {
            let low = self.round.unions[position].low;
            size += self.round.sizes[low];
            let position = self.open.partition_point(|open| open.low < low);
            self.open.remove(position)
        });
        Some(Cluster { size, union })
    }

    /// Calls `give` with every open union and the distance of its lower cluster from the cluster visited
    /// last. That cluster is in this slot, and may be a `union` itself.
    ///
    /// `earlier` returns the value at an index before that cluster's row.
    #[inline(always)]
    fn to_open(
        &self,
        slot: usize,
        union: Option<Union<F>>,
        earlier: impl Fn(usize) -> f64,
        mut give: impl FnMut(&Union<F>, f64),
    ) {
        let Some(union) = union else {
            for other in &self.open {
                give(other, earlier(other.index(slot)));
            }
            return;
        };
        for other in &self.open {
            let to_low = if other.low < union.low {
                earlier(other.index(union.low))
            } else {
                earlier(union.index(other.low))
            };
            let to_high = earlier(other.index(slot));
            let size = self.round.sizes[other.low];
            give(other, union.formula.union(to_low, to_high, size));
        }
    }
}

/// Copies the distances of these columns, several at a time to reduce the loop's overhead.
#[inline(always)]
fn narrow<S: Copy>(targets: &mut [f64], columns: &[usize], row: &[S], read: impl Fn(S) -> f64) {
    let (targets, last_targets) = targets.as_chunks_mut::<LANES>();
    let (columns, last_columns) = columns.as_chunks::<LANES>();
    for (targets, columns) in targets.iter_mut().zip(columns) {
        for (target, &column) in targets.iter_mut().zip(columns) {
            *target = read(row[column]);
        }
    }
    for (target, &column) in last_targets.iter_mut().zip(last_columns) {
        *target = read(row[column]);
    }
}
