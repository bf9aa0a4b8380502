//! Cheapest edges of a sparse digraph: edges sorted by target, with one mergeable heap per set of nodes.
//!
//! A heap holds nodes, not edges: each node stands for the cheapest of its remaining entering edges.
//! So the heaps stay small compared with the edges, which are read in the order in which they are stored.

use alloc::vec;
use alloc::vec::Vec;

use super::contraction::{CheapestEdges, DisjointSets, Entering, Step};
use super::digraph::bad_weight;
use super::scale::Scale;
use super::{ArborescenceError, Edge};
use crate::Scalar;

/// An edge in the list of edges that enter one node.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    weight: f64,
    from: u32,
    edge: u32,
}

/// No heap, or no child.
const NONE: u32 = u32::MAX;

/// A node as an element of a heap; one cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Element {
    /// The weight of the candidate at `cursor`, less `paid`.
    cost: f64,
    /// The total cost so far of the sets that hold this node.
    paid: f64,
    left: u32,
    right: u32,
    /// Subtract this from the left child before looking at it.
    left_pending: f64,
    /// Subtract this from the right child before looking at it.
    right_pending: f64,
    from: u32,
    /// The first candidate that isn't known to lie inside its set.
    cursor: u32,
    /// The end of this node's candidates.
    end: u32,
}

/// A sparse digraph under contraction.
pub(super) struct SparseEdges {
    candidates: Vec<Candidate>,
    elements: Vec<Element>,
    /// The root of each set's heap.
    heaps: Vec<u32>,
}

/// Checks that the edges describe a digraph that can be stored; returns the largest finite magnitude.
pub(super) fn check<T: Scalar>(size: usize, edges: &[Edge<T>]) -> Result<f64, ArborescenceError> {
    if edges.len() >= NONE as usize {
        return Err(ArborescenceError::TooLarge { size: edges.len() });
    }
    let mut largest = 0.0_f64;
    for (edge, &Edge { from, to, weight }) in edges.iter().enumerate() {
        for node in [from, to] {
            if node >= size {
                return Err(ArborescenceError::NoSuchNode { edge, node, size });
            }
        }
        if weight.is_nan() || weight == T::neg_infinity() {
            return Err(bad_weight(from, to, weight.widen()));
        }
        if weight.is_finite() {
            largest = largest.max(weight.abs().widen());
        }
    }
    Ok(largest)
}

impl SparseEdges {
    /// The edges must have been checked, and `size` must be at most one more than their number.
    pub(super) fn new<T: Scalar>(size: usize, edges: &[Edge<T>], scale: Scale) -> Self {
        let (candidates, ends) = by_target(size, edges, scale);
        let starts = core::iter::once(0).chain(ends.iter().copied());
        let mut sorted = Self {
            candidates,
            elements: starts
                .zip(ends.iter().copied())
                .map(|(cursor, end)| Element::new(cursor, end))
                .collect(),
            heaps: vec![NONE; size],
        };
        for node in 0..size as u32 {
            let (start, end) = {
                let element = &sorted.elements[node as usize];
                (element.cursor as usize, element.end as usize)
            };
            // The order is total, so an unstable sort has only one possible result.
            sorted.candidates[start..end].sort_unstable_by(|a, b| {
                let by_weight = a.weight.total_cmp(&b.weight);
                by_weight
                    .then(a.from.cmp(&b.from))
                    .then(a.edge.cmp(&b.edge))
            });
            if sorted.load(node) {
                sorted.heaps[node as usize] = node;
            }
        }
        sorted
    }

    /// Sets a node's cost from the candidate at its cursor; returns false if none is left.
    fn load(&mut self, node: u32) -> bool {
        let element = &mut self.elements[node as usize];
        if element.cursor >= element.end {
            return false;
        }
        let candidate = self.candidates[element.cursor as usize];
        element.cost = candidate.weight - element.paid;
        element.from = candidate.from;
        true
    }

    /// Whether node `a` comes before node `b`: by cost, then by the source of its edge.
    fn precedes(&self, a: u32, b: u32) -> bool {
        let (x, y) = (&self.elements[a as usize], &self.elements[b as usize]);
        x.cost < y.cost || x.cost == y.cost && (x.from, a) < (y.from, b)
    }

    /// Subtracts `paid` from the cost of every edge in a heap.
    fn lower(&mut self, heap: u32, paid: f64) {
        if heap != NONE {
            let element = &mut self.elements[heap as usize];
            element.cost -= paid;
            element.paid += paid;
            element.left_pending += paid;
            element.right_pending += paid;
        }
    }

    /// Melds two skew heaps into one.
    fn meld(&mut self, mut a: u32, mut b: u32) -> u32 {
        let mut root = NONE;
        let mut parent = NONE;
        loop {
            if a == NONE || b != NONE && self.precedes(b, a) {
                core::mem::swap(&mut a, &mut b);
            }
            if parent == NONE {
                root = a;
            } else {
                self.elements[parent as usize].left = a;
            }
            if b == NONE {
                return root;
            }
            // The children change sides, and the next round attaches the new left child. Only the old right
            // child is read before that, so only that must be up to date.
            let element = &mut self.elements[a as usize];
            let (rest, pending) = (element.right, element.right_pending);
            element.right = element.left;
            element.right_pending = element.left_pending;
            element.left_pending = 0.0;
            self.lower(rest, pending);
            parent = a;
            a = rest;
        }
    }

    /// Moves the first node of a heap on to its next candidate from outside the set.
    fn advance(&mut self, heap: u32, set: usize, sets: &mut DisjointSets) -> u32 {
        let element = &mut self.elements[heap as usize];
        let (left, left_pending) = (element.left, element.left_pending);
        let (right, right_pending) = (element.right, element.right_pending);
        (element.left, element.left_pending) = (NONE, 0.0);
        (element.right, element.right_pending) = (NONE, 0.0);
        let candidates = &self.candidates[element.cursor as usize..element.end as usize];
        let inside = candidates
            .iter()
            .take_while(|candidate| sets.find(candidate.from as usize) == set);
        element.cursor += inside.count() as u32;
        self.lower(left, left_pending);
        self.lower(right, right_pending);
        let rest = self.meld(left, right);
        if self.load(heap) {
            self.meld(rest, heap)
        } else {
            rest
        }
    }
}

impl Element {
    fn new(cursor: u32, end: u32) -> Self {
        Self {
            cost: f64::INFINITY,
            paid: 0.0,
            left: NONE,
            right: NONE,
            left_pending: 0.0,
            right_pending: 0.0,
            from: NONE,
            cursor,
            end,
        }
    }
}

impl CheapestEdges for SparseEdges {
    fn cheapest(&mut self, set: usize, sets: &mut DisjointSets) -> Option<Entering> {
        loop {
            let heap = self.heaps[set];
            if heap == NONE {
                return None;
            }
            let element = &self.elements[heap as usize];
            if sets.find(element.from as usize) != set {
                // The remaining cost of an edge into a cycle can only be negative by rounding.
                let is_node = set < self.elements.len();
                return Some(Entering {
                    from: element.from as usize,
                    to: heap as usize,
                    edge: self.candidates[element.cursor as usize].edge as usize,
                    cost: if is_node {
                        element.cost
                    } else {
                        element.cost.max(0.0)
                    },
                });
            }
            self.heaps[set] = self.advance(heap, set, sets);
        }
    }

    fn contract(&mut self, cycle: &[Step], _: usize) {
        let mut union = NONE;
        for &Step { set, entering } in cycle {
            let heap = self.heaps[set];
            self.lower(heap, entering.cost);
            union = self.meld(union, heap);
        }
        self.heaps.push(union);
    }
}

/// The usable edges, grouped by target, and the end of each target's group.
fn by_target<T: Scalar>(
    size: usize,
    edges: &[Edge<T>],
    scale: Scale,
) -> (Vec<Candidate>, Vec<u32>) {
    let usable = |edge: &Edge<T>| edge.from != edge.to && edge.weight.is_finite();
    let mut ends = vec![0_u32; size];
    for edge in edges.iter().filter(|edge| usable(edge)) {
        ends[edge.to] += 1;
    }
    let mut total = 0;
    for end in &mut ends {
        // Each position starts at the beginning of its target's group and moves to its end below.
        total += core::mem::replace(end, total);
    }
    let unused = Candidate {
        weight: 0.0,
        from: 0,
        edge: 0,
    };
    let mut candidates = vec![unused; total as usize];
    for (index, edge) in edges.iter().enumerate() {
        if usable(edge) {
            let position = &mut ends[edge.to];
            candidates[*position as usize] = Candidate {
                // Adding zero makes -0 equal to 0 in the total order.
                weight: scale.apply(edge.weight.widen()) + 0.0,
                from: edge.from as u32,
                edge: index as u32,
            };
            *position += 1;
        }
    }
    (candidates, ends)
}
