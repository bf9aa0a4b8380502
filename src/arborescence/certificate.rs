//! A dual solution, which proves that an arborescence is of minimum weight.

mod nesting;

use alloc::vec;
use alloc::vec::Vec;

use self::nesting::Nesting;
use super::contraction::{Contraction, OUTERMOST};
use super::scale::Scale;
use super::{Edge, Root};
use crate::Scalar;

/// A proof that an arborescence has minimum weight: costs of nested sets of nodes.
///
/// The sets are the single nodes and the contracted cycles; any two are disjoint, or one
/// encloses the other. Each has a *cost* (a dual variable), which is not negative for a set of two or more
/// nodes. For every edge, the costs of the sets that it enters add up to at most its weight. An arborescence
/// enters every set that doesn't hold its root, and enters a single node exactly once. So no arborescence
/// with root r is lighter than the sum of the costs of all sets that don't hold r: its
/// [`bound`](Self::bound).
///
/// For a given root this bound equals the minimum. [`Root::Any`] is solved by adding a virtual root with an
/// edge to every node, each of which costs more than any arborescence. The costs are the dual solution of
/// that problem, without the one set that only the virtual root enters, the [`root_set`](Self::root_set). Its
/// nodes are exactly those that reach all others. The bound of each of them is the minimum weight for that
/// root, and the lowest of these bounds is the minimum over all roots.
/// [`invariants::dual_certificate`](crate::invariants::dual_certificate) checks such a proof from the digraph
/// alone.
///
/// # Examples
///
/// ```
/// use mother::arborescence::{DenseDigraph, Root, minimum_arborescence_certified};
///
/// let digraph = DenseDigraph::new(3, vec![0.0, 5.0, 4.0, 1.0, 0.0, 2.0, 9.0, 1.0, 0.0])?;
/// let (arborescence, certificate) = minimum_arborescence_certified(&digraph, Root::At(0))?;
/// assert_eq!(arborescence.weight(), 5.0);
/// assert_eq!(certificate.bound(0), 5.0);
/// # Ok::<(), mother::arborescence::ArborescenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DualCertificate {
    size: usize,
    /// The given root; `None` for [`Root::Any`].
    fixed_root: Option<usize>,
    /// By set, nodes first: the set that encloses it, which has a higher number, or `OUTERMOST`.
    enclosing: Vec<usize>,
    /// By set, scaled.
    costs: Vec<f64>,
    root_set: Option<usize>,
    scale: Scale,
}

impl DualCertificate {
    pub(super) fn read_off(
        contraction: &Contraction,
        size: usize,
        root: Root,
        scale: Scale,
    ) -> Self {
        Self {
            size,
            fixed_root: match root {
                Root::At(root) => Some(root),
                Root::Any => None,
            },
            enclosing: contraction.enclosing().to_vec(),
            costs: contraction.costs(),
            root_set: contraction.root_set(),
            scale,
        }
    }

    /// Every set with its cost: first the single nodes in order, then the contracted cycles, each
    /// before the one that encloses it. The nodes of a set are in ascending order.
    ///
    /// A given root has the cost 0, and so has the root set of [`Root::Any`].
    ///
    /// # Complexity
    ///
    /// O(n²) worst-case time for all sets; O(n) space for one.
    pub fn sets(&self) -> impl Iterator<Item = (Vec<usize>, f64)> + '_ {
        let costs = self.costs.iter().enumerate();
        costs.map(|(set, &cost)| (self.nodes(set), self.scale.undo(cost)))
    }

    /// The nodes that reach all others; `None` if the root was given.
    #[must_use]
    pub fn root_set(&self) -> Option<Vec<usize>> {
        self.root_set.map(|set| self.nodes(set))
    }

    /// A lower bound on the weight of every arborescence with this root: the sum of the costs of the sets
    /// that don't hold it. Meant for the given root or a node of the root set.
    ///
    /// # Complexity
    ///
    /// O(n) time and space.
    #[must_use]
    pub fn bound(&self, root: usize) -> f64 {
        self.scale.undo(self.scaled_bound(root))
    }

    fn scaled_bound(&self, root: usize) -> f64 {
        let mut holds_root = vec![false; self.costs.len()];
        let mut set = root;
        while set < self.costs.len() {
            holds_root[set] = true;
            set = self.enclosing[set];
        }
        let costs = self.costs.iter().zip(holds_root);
        costs
            .filter(|(_, holds_root)| !holds_root)
            .fold(0.0, |sum, (&cost, _)| sum + cost)
    }

    /// For every edge, a lower bound on how much more an arborescence that uses it weighs than the minimum.
    ///
    /// It is the edge's weight minus the costs of the sets that it enters: 0 for the edges of the
    /// minimum, infinite for an edge into the given root. The edges must be those for which the certificate
    /// was made; for others the result is meaningless.
    ///
    /// # Complexity
    ///
    /// O(m log n) time and O(m + n) space for m edges.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::arborescence::{Edge, Root, minimum_arborescence_sparse_certified};
    ///
    /// let edge = |from, to, weight| Edge { from, to, weight };
    /// let edges = [edge(0, 1, 1.0), edge(0, 2, 5.0), edge(1, 2, 3.0), edge(2, 1, 1.0)];
    /// let (_, certificate) = minimum_arborescence_sparse_certified(3, &edges, Root::At(0))?;
    /// assert_eq!(certificate.reduced_weights(&edges), [0.0, 2.0, 0.0, 0.0]);
    /// # Ok::<(), mother::arborescence::ArborescenceError>(())
    /// ```
    #[must_use]
    pub fn reduced_weights<T: Scalar>(&self, edges: &[Edge<T>]) -> Vec<f64> {
        let nesting = Nesting::new(self);
        let reduced = |edge: &Edge<T>| {
            if self.fixed_root == Some(edge.to) || edge.from.max(edge.to) >= self.size {
                return f64::INFINITY;
            }
            let entered = nesting.costs_below(edge.to, nesting.innermost(edge.from, edge.to));
            self.scale
                .undo((self.scale.apply(edge.weight.widen()) - entered).max(0.0))
        };
        edges.iter().map(reduced).collect()
    }

    /// The number of sets that enclose each set.
    fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0; self.enclosing.len()];
        for set in (0..depths.len()).rev() {
            if self.enclosing[set] != OUTERMOST {
                depths[set] = depths[self.enclosing[set]] + 1;
            }
        }
        depths
    }

    fn nodes(&self, set: usize) -> Vec<usize> {
        let mut inside = vec![false; self.enclosing.len()];
        for candidate in (0..inside.len()).rev() {
            let enclosing = self.enclosing[candidate];
            inside[candidate] = candidate == set || enclosing != OUTERMOST && inside[enclosing];
        }
        (0..self.size).filter(|&node| inside[node]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arborescence::{DenseDigraph, minimum_arborescence_certified};

    #[test]
    fn the_sets_are_the_nodes_and_the_cycle() {
        // 1 and 2 form a cycle that is entered from 0; 3 is a child of 1.
        let absent = f64::INFINITY;
        let weights = vec![
            0.0, 5.0, 4.0, 9.0, //
            absent, 0.0, 1.0, 2.0, //
            absent, 1.0, 0.0, 8.0, //
            absent, absent, absent, 0.0,
        ];
        let digraph = DenseDigraph::new(4, weights).unwrap();
        let (tree, certificate) = minimum_arborescence_certified(&digraph, Root::At(0)).unwrap();
        assert_eq!(tree.parents(), [None, Some(2), Some(0), Some(1)]);
        let sets: Vec<_> = certificate.sets().collect();
        let expected = [
            (vec![0], 0.0),
            (vec![1], 1.0),
            (vec![2], 1.0),
            (vec![3], 2.0),
            (vec![1, 2], 3.0),
        ];
        assert_eq!(sets, expected);
        assert_eq!(certificate.bound(0), tree.weight());
        assert_eq!(certificate.root_set(), None);
    }
}
