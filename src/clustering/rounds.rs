//! Rounds of merges: all clusters that are each other's nearest merge at once, in one pass over the
//! rows.

use alloc::vec;
use alloc::vec::Vec;

use super::ClusteringError;
use super::formula::Formula;
use super::neighbours::{Neighbours, Pair};
use super::triangle::{Triangle, pairs, row_starts};

/// Who merges with whom, and which slot everybody has after it.
pub(super) struct Round<F> {
    /// The old slot of every cluster that stays; of a union the lower one.
    old: Vec<usize>,
    /// The clusters that merge.
    unions: Vec<Union<F>>,
    /// The sizes of the old clusters.
    sizes: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Union<F> {
    new: usize,
    low: usize,
    high: usize,
    formula: F,
}

impl<F: Formula> Round<F> {
    /// The round in which these pairs merge, in the order of their lower slots.
    pub(super) fn new(pairs: &[Pair], sizes: Vec<f64>) -> Self {
        let mut stays = vec![true; sizes.len()];
        for pair in pairs {
            stays[pair.high] = false;
        }
        let old: Vec<usize> = (0..sizes.len()).filter(|&slot| stays[slot]).collect();
        let mut pairs = pairs.iter().peekable();
        let mut unions = Vec::with_capacity(pairs.len());
        for (new, &low) in old.iter().enumerate() {
            if let Some(&Pair { high, distance, .. }) = pairs.next_if(|pair| pair.low == low) {
                let formula = F::new(distance, sizes[low], sizes[high]);
                unions.push(Union {
                    new,
                    low,
                    high,
                    formula,
                });
            }
        }
        Self { old, unions, sizes }
    }

    /// The clusters after the round, with their neighbours, from the condensed distances before it.
    #[inline(always)]
    pub(super) fn of<S: Copy>(
        &self,
        values: &[S],
        read: impl Fn(S) -> f64 + Copy,
        between: &mut Between,
    ) -> Option<(Triangle, Neighbours)> {
        let mut after = Vec::new();
        after.try_reserve_exact(pairs(self.old.len())).ok()?;
        let mut rows = Rows::new(self, between);
        while let Some(row) = rows.next(values, read) {
            after.extend_from_slice(row);
        }
        let Rows {
            sizes, neighbours, ..
        } = rows;
        let points = self.old.clone();
        Some((Triangle::new(after, sizes, points), neighbours))
    }

    /// Replaces the clusters by those after the round.
    #[inline(always)]
    pub(super) fn apply(
        &self,
        triangle: Triangle,
        between: &mut Between,
    ) -> (Triangle, Neighbours) {
        let (mut values, mut points) = triangle.into_parts();
        let mut rows = Rows::new(self, between);
        let mut written = 0;
        // What is written takes the place of rows that were read before.
        while let Some(row) = rows.next(&values, |distance| distance) {
            values[written..written + row.len()].copy_from_slice(row);
            written += row.len();
        }
        values.truncate(written);
        let Rows {
            sizes, neighbours, ..
        } = rows;
        for (new, &old) in self.old.iter().enumerate() {
            points[new] = points[old];
        }
        points.truncate(self.old.len());
        (Triangle::new(values, sizes, points), neighbours)
    }
}

/// The rows after a round, one after another.
struct Rows<'a, F> {
    round: &'a Round<F>,
    /// Where in a row that begins with slot 1 the clusters after the round are; the first is in none.
    columns: Vec<usize>,
    /// Where the rows before the round begin.
    starts: Vec<usize>,
    /// From the current cluster, if it is a union, to those before the round.
    from_old: Vec<f64>,
    /// From the current cluster to those after the round.
    from_new: Vec<f64>,
    /// How many clusters after the round have their rows, and how many of them are unions.
    done: usize,
    done_unions: usize,
    between: &'a mut Between,
    /// The sizes after the round.
    sizes: Vec<f64>,
    neighbours: Neighbours,
}

impl<'a, F: Formula> Rows<'a, F> {
    fn new(round: &'a Round<F>, between: &'a mut Between) -> Self {
        between.end = 0;
        let mut sizes: Vec<f64> = round.old.iter().map(|&old| round.sizes[old]).collect();
        for union in &round.unions {
            sizes[union.new] += round.sizes[union.high];
        }
        Self {
            columns: round.old.iter().map(|old| old.saturating_sub(1)).collect(),
            starts: row_starts(round.sizes.len()),
            from_old: vec![0.0; round.sizes.len()],
            from_new: vec![0.0; sizes.len()],
            done: 0,
            done_unions: 0,
            between,
            neighbours: Neighbours::new(sizes.len()),
            sizes,
            round,
        }
    }

    /// The distances of the next cluster to those after it.
    #[inline(always)]
    fn next<S: Copy>(&mut self, values: &[S], read: impl Fn(S) -> f64 + Copy) -> Option<&[f64]> {
        let new = self.done;
        let low = *self.round.old.get(new)?;
        self.done += 1;
        let mut from_new = core::mem::take(&mut self.from_new);
        let union = self.round.unions.get(self.done_unions);
        if let Some(union) = union.filter(|union| union.new == new) {
            self.merge(*union, values, read);
            self.done_unions += 1;
            self.narrow(&mut from_new, &self.from_old[1..], |distance| distance);
        } else {
            // Begins before the row, where the distance to slot 1 would be.
            let row = &values[self.starts[low] - low..self.starts[low + 1]];
            self.narrow(&mut from_new, row, read);
        }
        self.from_new = from_new;
        let row = &self.from_new[new + 1..];
        self.neighbours.observe(new, row, |distance| distance);
        Some(row)
    }

    /// The current cluster's distances to those after the round, from those to slot 1 and later
    /// ones before it.
    #[inline(always)]
    fn narrow<S: Copy>(&self, from_new: &mut [f64], row: &[S], read: impl Fn(S) -> f64) {
        let others = from_new[self.done..].iter_mut();
        for (distance, &column) in others.zip(&self.columns[self.done..]) {
            *distance = read(row[column]);
        }
        let size = self.sizes[self.done - 1];
        for other in &self.round.unions[self.done_unions..] {
            let distance = &mut from_new[other.new];
            let to_high = read(row[other.high - 1]);
            *distance = other.formula.union(*distance, to_high, size);
        }
    }

    /// The distances of a union to the clusters after its lower one.
    #[inline(always)]
    fn merge<S: Copy>(&mut self, union: Union<F>, values: &[S], read: impl Fn(S) -> f64 + Copy) {
        let Union {
            low, high, formula, ..
        } = union;
        if self.done_unions >= self.between.end {
            let unions = &self.round.unions[self.done_unions..];
            self.between
                .collect(unions, self.done_unions, values, &self.starts, read);
        }
        let from_low = &values[self.starts[low]..self.starts[low + 1]];
        let (from_low, from_low_after) = from_low.split_at(high - low - 1);
        let from_high_before = self.between.of(self.done_unions);
        let from_high = &values[self.starts[high]..self.starts[high + 1]];
        let (to_before, to_after) = self.from_old[low + 1..].split_at_mut(high - low - 1);
        let (sizes_before, sizes_after) = self.round.sizes[low + 1..].split_at(high - low - 1);

        let both = from_low.iter().zip(from_high_before);
        let others = to_before.iter_mut().zip(sizes_before);
        for ((target, &size), (&to_low, &to_high)) in others.zip(both) {
            *target = formula.union(read(to_low), to_high, size);
        }
        let both = from_low_after[1..].iter().zip(from_high);
        let others = to_after[1..].iter_mut().zip(&sizes_after[1..]);
        for ((target, &size), (&to_low, &to_high)) in others.zip(both) {
            *target = formula.union(read(to_low), read(to_high), size);
        }
    }
}

/// The distances of unions' higher parts to what is between the parts. In a condensed matrix they
/// stand below one another, each in another page of memory, so those of many unions are collected
/// together.
pub(super) struct Between {
    distances: Vec<f64>,
    /// Where the distances of each union begin, and where those of the last one end.
    starts: Vec<usize>,
    /// Which unions have theirs here.
    begin: usize,
    end: usize,
}

impl Between {
    /// So many rows at a time fill whole cache lines.
    const ROWS: usize = 16;

    /// Has room for all rounds of so many points.
    pub(super) fn with_room_for(points: usize) -> Result<Self, ClusteringError> {
        let mut distances = Vec::new();
        distances
            .try_reserve_exact(Self::most(pairs(points)) + points)
            .map_err(|_| ClusteringError::Memory { points })?;
        Ok(Self {
            distances,
            starts: Vec::new(),
            begin: 0,
            end: 0,
        })
    }

    /// After so many distances, of as many as there are, no further union's are collected.
    const fn most(distances: usize) -> usize {
        distances / 4
    }

    #[inline(always)]
    fn collect<F, S: Copy>(
        &mut self,
        unions: &[Union<F>],
        begin: usize,
        values: &[S],
        row_starts: &[usize],
        read: impl Fn(S) -> f64,
    ) {
        self.starts.clear();
        self.starts.push(0);
        let mut length = 0;
        for union in unions {
            length += union.high - union.low - 1;
            self.starts.push(length);
            if length > Self::most(values.len()) {
                break;
            }
        }
        let unions = &unions[..self.starts.len() - 1];
        (self.begin, self.end) = (begin, begin + unions.len());
        self.distances.resize(length, 0.0);

        let mut order: Vec<usize> = (0..unions.len()).collect();
        order.sort_unstable_by_key(|&number| unions[number].high);
        let first = unions.first().map_or(0, |union| union.low + 1);
        let last = order.last().map_or(0, |&number| unions[number].high);
        for top in (first..last).step_by(Self::ROWS) {
            for &number in &order {
                let Union { low, high, .. } = unions[number];
                let rows = top.max(low + 1)..(top + Self::ROWS).min(high);
                if rows.is_empty() {
                    continue;
                }
                let target = self.starts[number] + (rows.start - low - 1);
                let targets = &mut self.distances[target..target + rows.len()];
                let starts = row_starts[rows.clone()].iter().zip(rows);
                for (target, (start, row)) in targets.iter_mut().zip(starts) {
                    *target = read(values[start + (high - row - 1)]);
                }
            }
        }
    }

    fn of(&self, union: usize) -> &[f64] {
        let number = union - self.begin;
        &self.distances[self.starts[number]..self.starts[number + 1]]
    }
}
