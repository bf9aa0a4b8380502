//! Cheapest edges of a dense digraph: one scan a node, one column of costs a contracted cycle.
//!
//! Every element of the matrix is read at most twice, both times in a run of consecutive weights:
//! when the cheapest edge into its node is looked for, and when that node becomes part of a cycle.

use alloc::vec::Vec;
use core::mem;

use super::DenseDigraph;
use super::contraction::{CheapestEdges, DisjointSets, Entering, Step};
use super::scale::Scale;
use crate::Scalar;

/// The cost of the cheapest edge from each node into one contracted cycle.
#[derive(Clone, Debug, Default)]
struct Column {
    /// By the node the edge leaves: −∞ for the cycle's own nodes, +∞ where there is no edge.
    ///
    /// −∞ stays the minimum through every later contraction, so that nodes need marking only once.
    costs: Vec<f64>,
    /// The node the edge enters.
    targets: Vec<u32>,
}

/// Columns to be used again by the next contraction or the next digraph.
#[derive(Clone, Debug, Default)]
pub(super) struct ColumnPool {
    columns: Vec<Column>,
    free: Vec<usize>,
    /// The column of each contracted cycle, by its number less the number of nodes.
    of_cycle: Vec<usize>,
}

impl ColumnPool {
    fn reset(&mut self) {
        self.free.clear();
        self.free.extend(0..self.columns.len());
        self.of_cycle.clear();
    }

    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.columns.push(Column::default());
            self.columns.len() - 1
        })
    }
}

/// A dense digraph under contraction.
pub(super) struct DenseEdges<'a, T> {
    digraph: &'a DenseDigraph<T>,
    scale: Scale,
    pool: &'a mut ColumnPool,
}

impl<'a, T: Scalar> DenseEdges<'a, T> {
    pub(super) fn new(
        digraph: &'a DenseDigraph<T>,
        scale: Scale,
        pool: &'a mut ColumnPool,
    ) -> Self {
        pool.reset();
        Self {
            digraph,
            scale,
            pool,
        }
    }

    /// The column of a contracted cycle; `None` for a single node.
    fn column_of(&self, set: usize) -> Option<usize> {
        let cycle = set.checked_sub(self.digraph.size())?;
        self.pool.of_cycle.get(cycle).copied()
    }

    /// The column to which the others of the cycle are added, already lowered: that of a cycle
    /// inside if there is one, a new one from the first node otherwise. Also the step it came from.
    fn first_column(&mut self, cycle: &[Step]) -> (usize, usize) {
        let columns = cycle.iter().map(|step| self.column_of(step.set));
        let inner = columns
            .enumerate()
            .find_map(|(position, column)| column.map(|column| (column, position)));
        if let Some((index, position)) = inner {
            let paid = cycle[position].entering.cost;
            for cost in &mut self.pool.columns[index].costs {
                *cost -= paid;
            }
            return (index, position);
        }
        let Step { set, entering } = cycle[0];
        let index = self.pool.take();
        let column = &mut self.pool.columns[index];
        let weights = self.digraph.entering(set).iter();
        column.costs.clear();
        column
            .costs
            .extend(weights.map(|weight| self.scale.apply(weight.widen()) - entering.cost));
        column.costs[set] = f64::NEG_INFINITY;
        column.targets.clear();
        column.targets.resize(self.digraph.size(), set as u32);
        (index, 0)
    }
}

impl<T: Scalar> CheapestEdges for DenseEdges<'_, T> {
    fn cheapest(&mut self, set: usize, _: &mut DisjointSets) -> Option<Entering> {
        let (from, to, cost) = if let Some(column) = self.column_of(set) {
            let Column { costs, targets } = &self.pool.columns[column];
            // Costs are never below 0: each is a weight less the minimum of its column.
            let outside = |cost: f64| if cost >= 0.0 { cost } else { f64::INFINITY };
            let (from, cost) = first_minimum(costs, outside)?;
            (from, targets[from] as usize, cost)
        } else {
            let (from, weight) = first_minimum(self.digraph.entering(set), |weight| weight)?;
            (from, set, self.scale.apply(weight.widen()))
        };
        let edge = from * self.digraph.size() + to;
        Some(Entering {
            from,
            to,
            edge,
            cost,
        })
    }

    fn contract(&mut self, cycle: &[Step], _: usize) {
        let (index, first) = self.first_column(cycle);
        let mut union = mem::take(&mut self.pool.columns[index]);
        for (position, &Step { set, entering }) in cycle.iter().enumerate() {
            if position == first {
                continue;
            }
            let paid = entering.cost;
            if let Some(inner) = self.column_of(set) {
                let Column { costs, targets } = &self.pool.columns[inner];
                union.lower_to(costs, |cost| cost - paid, |from| targets[from]);
                self.pool.free.push(inner);
            } else {
                let scale = self.scale;
                let reduce = |weight: T| scale.apply(weight.widen()) - paid;
                union.lower_to(self.digraph.entering(set), reduce, |_| set as u32);
                union.costs[set] = f64::NEG_INFINITY;
            }
        }
        self.pool.columns[index] = union;
        self.pool.of_cycle.push(index);
    }
}

/// Costs compared at once; few blocks of a late contraction hold one that is lower.
const BLOCK: usize = 16;

impl Column {
    /// Takes over each cost that is lower, or equal and for an edge into a lower node.
    fn lower_to<X: Copy>(
        &mut self,
        other: &[X],
        reduce: impl Fn(X) -> f64,
        target: impl Fn(usize) -> u32,
    ) {
        let mut start = 0;
        let costs = self.costs.chunks_mut(BLOCK);
        let targets = self.targets.chunks_mut(BLOCK);
        for ((costs, targets), other) in costs.zip(targets).zip(other.chunks(BLOCK)) {
            if any_as_low(costs, other, &reduce) {
                for (offset, &value) in other.iter().enumerate() {
                    let cost = reduce(value);
                    let entered = target(start + offset);
                    let equal = cost == costs[offset];
                    if cost < costs[offset] || equal && entered < targets[offset] {
                        costs[offset] = cost;
                        targets[offset] = entered;
                    }
                }
            }
            start += BLOCK;
        }
    }
}

/// Whether some edge of `other` costs no more than that of `costs`.
#[inline]
fn any_as_low<X: Copy>(costs: &[f64], other: &[X], reduce: impl Fn(X) -> f64) -> bool {
    // An infinite cost is no edge, so equality doesn't count there.
    let as_low = |(&cost, &value): (&f64, &X)| {
        let reduced = reduce(value);
        (reduced <= cost) & (reduced < f64::INFINITY)
    };
    // Of a length known to the compiler, and without a branch, so that it compares many at once.
    match (costs.first_chunk::<BLOCK>(), other.first_chunk::<BLOCK>()) {
        (Some(costs), Some(other)) => {
            let pairs = costs.iter().zip(other);
            pairs.fold(false, |any, pair| any | as_low(pair))
        }
        _ => costs.iter().zip(other).any(as_low),
    }
}

/// The lowest key below +∞ and the first position at which it stands.
fn first_minimum<X: Copy, K: Scalar>(values: &[X], key: impl Fn(X) -> K) -> Option<(usize, K)> {
    /// Independent minima, so that the loop is not one long chain of comparisons.
    const LANES: usize = 16;
    /// The run of values that is searched again for the position.
    const RUN: usize = 16 * LANES;

    let mut lowest = K::infinity();
    let mut lowest_run = None;
    for (run, values) in values.chunks(RUN).enumerate() {
        let mut lanes = [K::infinity(); LANES];
        for chunk in values.chunks(LANES) {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                let key = key(value);
                *lane = if key < *lane { key } else { *lane };
            }
        }
        let minimum = lanes.iter().fold(K::infinity(), |a, &b| a.min(b));
        if minimum < lowest {
            lowest = minimum;
            lowest_run = Some(run * RUN);
        }
    }
    let start = lowest_run?;
    let offset = values[start..]
        .iter()
        .position(|&value| key(value) == lowest)?;
    Some((start + offset, lowest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_first_of_equal_minima_is_found_at_any_position() {
        for length in [0, 1, 2, 15, 16, 17, 255, 256, 257, 600] {
            assert_eq!(first_minimum(&vec![f64::INFINITY; length], |x| x), None);
            for position in 0..length {
                let mut values = vec![3.0_f32; length];
                values[position] = -1.0;
                values[length - 1] = -1.0;
                assert_eq!(first_minimum(&values, |x| x), Some((position, -1.0)));
            }
        }
    }

    #[test]
    fn columns_merge_by_cost_then_target_and_keep_their_own_nodes_out() {
        for length in [3, 16, 35] {
            let mut column = Column {
                costs: vec![2.0; length],
                targets: vec![5; length],
            };
            column.costs[1] = f64::NEG_INFINITY;
            column.costs[2] = f64::INFINITY;
            let mut other = vec![4.0_f32; length];
            other[0] = 3.0;
            column.lower_to(&other, |x| f64::from(x) - 1.0, |_| 7);
            assert_eq!(column.costs[..3], [2.0, f64::NEG_INFINITY, 3.0]);
            assert_eq!(column.targets[..3], [5, 5, 7]);
            column.lower_to(&other, |x| f64::from(x) - 1.0, |_| 4);
            assert_eq!(column.targets[0], 4);
            assert_eq!(column.targets[3..], vec![5; length - 3]);
        }
    }
}
