//! Cheapest edges of a dense digraph: one scan per node, one column of costs per contracted cycle.
//!
//! Every element of the matrix is read at most twice, both times in a run of consecutive weights:
//! once when looking for the cheapest edge into its node, and once when that node becomes part of a cycle.

use alloc::vec::Vec;
use core::mem;

use super::DenseDigraph;
use super::contraction::{CheapestEdges, DisjointSets, Entering, Step};
use super::scale::Scale;
use crate::Scalar;
use crate::minimum::first_minimum;
use crate::registers::in_registers_of_256_bits;

/// The cost of the cheapest edge from each node into one contracted cycle.
#[derive(Clone, Debug, Default)]
struct Column {
    /// By the node the edge leaves: NaN for the cycle's own nodes, +∞ where there is no edge.
    ///
    /// No value is lower than NaN or equal to it, so NaN survives every later contraction, and a
    /// node has to be marked only once.
    costs: Vec<f64>,
    /// The node the edge enters, in the costs' type, so that both can be selected in the same way.
    targets: Vec<f64>,
}

/// Columns to be used again by the next contraction.
#[derive(Clone, Debug, Default)]
struct ColumnPool {
    columns: Vec<Column>,
    free: Vec<usize>,
    /// The column of each contracted cycle, by the cycle's number minus the number of nodes.
    of_cycle: Vec<usize>,
}

impl ColumnPool {
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
    pool: ColumnPool,
}

impl<'a, T: Scalar> DenseEdges<'a, T> {
    pub(super) fn new(digraph: &'a DenseDigraph<T>, scale: Scale) -> Self {
        Self {
            digraph,
            scale,
            pool: ColumnPool::default(),
        }
    }

    /// The column of a contracted cycle; `None` for a single node.
    fn column_of(&self, set: usize) -> Option<usize> {
        let cycle = set.checked_sub(self.digraph.size())?;
        self.pool.of_cycle.get(cycle).copied()
    }

    /// The column to which the rest of the cycle is added: the column of an inner cycle if there is
    /// one, otherwise a new column for the first node. Also returns its position in the cycle and the cost
    /// that must still be subtracted from it.
    fn first_column(&mut self, cycle: &[Step]) -> (usize, usize, f64) {
        let columns = cycle.iter().map(|step| self.column_of(step.set));
        let inner = columns
            .enumerate()
            .find_map(|(position, column)| column.map(|column| (column, position)));
        if let Some((index, position)) = inner {
            return (index, position, cycle[position].entering.cost);
        }
        let Step { set, entering } = cycle[0];
        let index = self.pool.take();
        let column = &mut self.pool.columns[index];
        let weights = self.digraph.entering(set).iter();
        column.costs.clear();
        column
            .costs
            .extend(weights.map(|weight| self.scale.apply(weight.widen())));
        column.costs[set] = f64::NAN;
        column.targets.clear();
        column.targets.resize(self.digraph.size(), set as f64);
        (index, 0, entering.cost)
    }
}

impl<T: Scalar> CheapestEdges for DenseEdges<'_, T> {
    fn cheapest(&mut self, set: usize, _: &mut DisjointSets) -> Option<Entering> {
        let (from, to, cost) = if let Some(column) = self.column_of(set) {
            let Column { costs, targets } = &self.pool.columns[column];
            let (from, cost) = lowest(costs)?;
            (from, targets[from] as usize, cost)
        } else {
            let (from, weight) = lowest(self.digraph.entering(set))?;
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
        let (index, first, mut own_paid) = self.first_column(cycle);
        let mut union = mem::take(&mut self.pool.columns[index]);
        for (position, &Step { set, entering }) in cycle.iter().enumerate() {
            if position == first {
                continue;
            }
            let paid = entering.cost;
            if let Some(inner) = self.column_of(set) {
                let Column { costs, targets } = &self.pool.columns[inner];
                let target = |from: usize| targets[from];
                union.lower(own_paid, costs, |cost| cost - paid, target);
                union.leave_out_nodes_of(costs);
                self.pool.free.push(inner);
            } else {
                let (scale, target) = (self.scale, set as f64);
                let weights = self.digraph.entering(set);
                let reduce = |weight: T| scale.apply(weight.widen()) - paid;
                union.lower(own_paid, weights, reduce, |_| target);
                union.costs[set] = f64::NAN;
            }
            own_paid = 0.0;
        }
        self.pool.columns[index] = union;
        self.pool.of_cycle.push(index);
    }
}

impl Column {
    /// Subtracts `paid` from every cost, then replaces each cost for which the other one is lower, or equal and
    /// for an edge into a lower node. `reduce` gives the cost of an element of `other`, and `target` the node
    /// entered by the other edge from each node.
    fn lower<X: Copy>(
        &mut self,
        paid: f64,
        other: &[X],
        reduce: impl Fn(X) -> f64,
        target: impl Fn(usize) -> f64,
    ) {
        let blocks = other.len() - other.len() % BLOCK;
        let (costs, last_costs) = self.costs.split_at_mut(blocks);
        let (targets, last_targets) = self.targets.split_at_mut(blocks);
        let (other, last_other) = other.split_at(blocks);
        in_registers_of_256_bits(
            #[inline(always)]
            move || {
                lower_blocks::<BLOCK, _>(costs, targets, other, paid, &reduce, &target);
                let target = |from: usize| target(blocks + from);
                lower_blocks::<1, _>(last_costs, last_targets, last_other, paid, &reduce, &target);
            },
        );
    }

    /// Excludes the nodes that are excluded from another cycle's column.
    fn leave_out_nodes_of(&mut self, other: &[f64]) {
        for (cost, other) in self.costs.iter_mut().zip(other) {
            if other.is_nan() {
                *cost = f64::NAN;
            }
        }
    }
}

/// The number of values compared together: late in a contraction, few blocks hold a lower cost.
const BLOCK: usize = 8;

/// Does the work of [`Column::lower`] in blocks whose length the compiler knows, so that it can vectorise.
#[inline(always)]
fn lower_blocks<const N: usize, X: Copy>(
    costs: &mut [f64],
    targets: &mut [f64],
    other: &[X],
    paid: f64,
    reduce: impl Fn(X) -> f64,
    target: impl Fn(usize) -> f64,
) {
    let costs = costs.as_chunks_mut::<N>().0.iter_mut();
    let blocks = costs
        .zip(targets.as_chunks_mut::<N>().0)
        .zip(other.as_chunks::<N>().0);
    for (block, ((costs, targets), other)) in blocks.enumerate() {
        let reduced = other.map(&reduce);
        let mut any_as_low = false;
        for (cost, reduced) in costs.iter_mut().zip(&reduced) {
            *cost -= paid;
            any_as_low |= *reduced <= *cost;
        }
        if any_as_low {
            let entered = core::array::from_fn(|lane| target(N * block + lane));
            take_over(costs, targets, &reduced, &entered);
        }
    }
}

/// Takes each other cost that is lower, or equal and for an edge into a lower node.
#[inline(always)]
fn take_over<const N: usize>(
    costs: &mut [f64; N],
    targets: &mut [f64; N],
    others: &[f64; N],
    entered: &[f64; N],
) {
    // Which costs are lower can't be predicted, so they are selected by their bits: compilers turn
    // `if` into branches.
    for lane in 0..N {
        let (cost, target) = (costs[lane], targets[lane]);
        let better = (others[lane] < cost) | ((others[lane] == cost) & (entered[lane] < target));
        let mask = u64::from(better).wrapping_neg();
        let select =
            |yes: f64, no: f64| f64::from_bits(yes.to_bits() & mask | no.to_bits() & !mask);
        costs[lane] = select(others[lane], cost);
        targets[lane] = select(entered[lane], target);
    }
}

/// The lowest value below +∞ and its first position, ignoring NaN.
fn lowest<T: Scalar>(values: &[T]) -> Option<(usize, T)> {
    in_registers_of_256_bits(
        #[inline(always)]
        || first_minimum(values),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn columns_merge_by_cost_then_target_and_keep_their_own_nodes_out() {
        for length in [4, 16, 35] {
            let mut column = Column {
                costs: vec![3.0; length],
                targets: vec![5.0; length],
            };
            column.costs[1] = f64::NAN;
            column.costs[2] = f64::INFINITY;
            let mut other = vec![4.0_f32; length];
            other[0] = 3.0;
            let lower = |column: &mut Column, paid, target| {
                column.lower(paid, &other, |cost| f64::from(cost) - 1.0, |_| target);
            };
            lower(&mut column, 1.0, 7.0);
            assert_eq!((column.costs[0], column.costs[2]), (2.0, 3.0));
            assert!(column.costs[1].is_nan());
            assert_eq!(column.targets[..3], [5.0, 5.0, 7.0]);
            lower(&mut column, 0.0, 4.0);
            assert_eq!(column.targets[..3], [4.0, 5.0, 4.0]);
            assert_eq!(column.targets[3..], vec![5.0; length - 3]);
            let mut inner = vec![1.0; length];
            inner[3] = f64::NAN;
            column.leave_out_nodes_of(&inner);
            let left_out = |node: usize| column.costs[node].is_nan();
            assert!((0..length).all(|node| left_out(node) == (node == 1 || node == 3)));
        }
    }
}
