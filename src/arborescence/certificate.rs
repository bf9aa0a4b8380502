//! A dual solution, and a slow check by it that an arborescence is of minimum weight.

mod error;
mod nesting;

use alloc::vec;
use alloc::vec::Vec;

use self::nesting::Nesting;
use super::contraction::{Contraction, OUTERMOST};
use super::scale::Scale;
use super::{Arborescence, DenseDigraph, Edge, Root};
use crate::Scalar;

pub use self::error::CertificateError;

/// A proof that an arborescence is of minimum weight: costs of nested sets of nodes.
///
/// The sets are the single nodes and the cycles that were contracted; any two are disjoint or one
/// encloses the other. Each has a *cost* (a dual variable), which for a set of two or more nodes is
/// not negative. The costs satisfy, for every edge, that the costs of the sets which the edge enters
/// sum to at most its weight. Since an arborescence enters every set that doesn't hold its root, and
/// a single node exactly once, none with root r is lighter than the sum of the costs of all sets
/// that don't hold r: its [`bound`](Self::bound).
///
/// For a given root this bound equals the minimum. For [`Root::Any`] the problem is that of a
/// virtual root with an edge to every node, each costing more than any arborescence. The costs are
/// those of that problem's dual solution less the one set that only the virtual root enters, the
/// [`root_set`](Self::root_set): exactly its nodes reach all others. The bound of each of them is
/// the minimum weight for that root, and the lowest of these bounds is the minimum over all roots.
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
/// assert_eq!(certificate.verify(&digraph, &arborescence, 0.0), Ok(()));
/// # Ok::<(), mother::arborescence::ArborescenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DualCertificate {
    size: usize,
    /// The given root; `None` if any node might have been.
    fixed_root: Option<usize>,
    /// By set, nodes first: the set that encloses it, of a higher number, or `OUTERMOST`.
    enclosing: Vec<usize>,
    /// By set; scaled.
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
    /// before the one that encloses it. The nodes of a set ascend.
    ///
    /// The root (of a given root) and the root set (of any) have the cost 0.
    ///
    /// # Complexity
    ///
    /// O(n²) time for all sets, at worst; O(n) space for one.
    pub fn sets(&self) -> impl Iterator<Item = (Vec<usize>, f64)> + '_ {
        let costs = self.costs.iter().enumerate();
        costs.map(|(set, &cost)| (self.nodes(set), self.scale.undo(cost)))
    }

    /// The nodes that reach all others; `None` if the root was given.
    #[must_use]
    pub fn root_set(&self) -> Option<Vec<usize>> {
        self.root_set.map(|set| self.nodes(set))
    }

    /// What every arborescence with this root weighs at least: the costs of the sets that don't hold
    /// it. Meant for the given root or a node of the root set.
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

    /// Checks from the digraph alone that the arborescence is one, and that none weighs less.
    ///
    /// The absolute `tolerance` allows for rounding: 0 where sums of weights are exact, such as for
    /// whole numbers, otherwise about n · ε · the largest magnitude of a weight.
    ///
    /// # Errors
    ///
    /// The first thing that fails.
    ///
    /// # Complexity
    ///
    /// O(n²·d) time, where d is how deep the sets are nested; O(n) space.
    pub fn verify<T: Scalar>(
        &self,
        digraph: &DenseDigraph<T>,
        arborescence: &Arborescence<T>,
        tolerance: f64,
    ) -> Result<(), CertificateError> {
        self.check_size(digraph.size())?;
        self.check_tree(arborescence, |_, edge| {
            digraph.weight(edge.from, edge.to) == Some(edge.weight)
        })?;
        self.check_optimum(digraph.edges(), arborescence, tolerance)
    }

    /// As [`verify`](Self::verify), for a digraph given as a list of edges.
    ///
    /// # Errors
    ///
    /// The first thing that fails.
    ///
    /// # Complexity
    ///
    /// O(m·d + n) time, where d is how deep the sets are nested; O(n) space.
    pub fn verify_sparse<T: Scalar>(
        &self,
        edges: &[Edge<T>],
        arborescence: &Arborescence<T>,
        tolerance: f64,
    ) -> Result<(), CertificateError> {
        for node in edges.iter().flat_map(|edge| [edge.from, edge.to]) {
            if node >= self.size {
                return self.check_size(node.saturating_add(1));
            }
        }
        self.check_tree(arborescence, |index, edge| edges.get(index) == Some(&edge))?;
        let usable = edges.iter().copied();
        let usable = usable.filter(|edge| edge.from != edge.to && edge.weight.is_finite());
        self.check_optimum(usable, arborescence, tolerance)
    }

    fn check_size(&self, given: usize) -> Result<(), CertificateError> {
        if given == self.size {
            return Ok(());
        }
        Err(CertificateError::Size {
            certificate: self.size,
            given,
        })
    }

    /// For every edge by how much an arborescence that uses it weighs more than the minimum, at least.
    ///
    /// It is the edge's weight less the costs of the sets that it enters: 0 for the edges of the
    /// minimum, infinite for an edge into the given root. The edges must be those the certificate was
    /// made for; what it says of others means nothing.
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

    /// A path leads to every node from the root, over edges that exist.
    fn check_tree<T: Scalar>(
        &self,
        arborescence: &Arborescence<T>,
        exists: impl Fn(usize, Edge<T>) -> bool,
    ) -> Result<(), CertificateError> {
        self.check_size(arborescence.size())?;
        let root = arborescence.root();
        if self.fixed_root.is_some_and(|fixed| fixed != root) {
            return Err(CertificateError::Root { root });
        }
        for edge in arborescence.edges() {
            let index = arborescence.edge_index(edge.to);
            if !index.is_some_and(|index| exists(index, edge)) {
                let Edge { from, to, .. } = edge;
                return Err(CertificateError::NoSuchEdge { from, to });
            }
        }
        match arborescence.first_cut_off() {
            Some(node) => Err(CertificateError::NotSpanning { node }),
            None => Ok(()),
        }
    }

    /// The costs are a dual solution, and its value is the weight.
    fn check_optimum<T: Scalar>(
        &self,
        edges: impl Iterator<Item = Edge<T>>,
        arborescence: &Arborescence<T>,
        tolerance: f64,
    ) -> Result<(), CertificateError> {
        let scale = self.scale;
        let tolerance = scale.apply(tolerance);
        // False for NaN.
        let not_negative = |value: f64| value >= -tolerance;
        for (set, &cost) in self.costs.iter().enumerate().skip(self.size) {
            if !not_negative(cost) {
                return Err(CertificateError::NegativeCost {
                    node: self.nodes(set).first().copied().unwrap_or_default(),
                    cost: scale.undo(cost),
                });
            }
        }
        let depths = self.depths();
        for Edge { from, to, weight } in edges {
            if self.fixed_root == Some(to) {
                continue;
            }
            let (entered, enters_root_set) = self.entered_costs(from, to, &depths);
            if enters_root_set {
                return Err(CertificateError::RootSetEntered { from, to });
            }
            let reduced = scale.apply(weight.widen()) - entered;
            if !not_negative(reduced) {
                return Err(CertificateError::NegativeReducedWeight {
                    from,
                    to,
                    reduced: scale.undo(reduced),
                });
            }
        }
        let weights = arborescence.edges().map(|edge| edge.weight.widen());
        let weight = weights.fold(0.0, |sum, weight| sum + scale.apply(weight));
        let roots = match self.root_set {
            Some(set) => self.nodes(set),
            None => vec![arborescence.root()],
        };
        for root in roots {
            let bound = self.scaled_bound(root);
            if !not_negative(bound - weight) {
                return Err(CertificateError::Gap {
                    root,
                    bound: scale.undo(bound),
                    weight: scale.undo(weight),
                });
            }
        }
        Ok(())
    }

    /// The summed costs of the sets that the edge enters, and whether the root set is one of them.
    fn entered_costs(&self, from: usize, to: usize, depths: &[usize]) -> (f64, bool) {
        let (mut outside, mut inside) = (from, to);
        let (mut sum, mut enters_root_set) = (0.0, false);
        // Up from both ends until the same set holds both, or there is none left.
        while outside != inside {
            if inside != OUTERMOST && (outside == OUTERMOST || depths[inside] >= depths[outside]) {
                sum += self.costs[inside];
                enters_root_set |= self.root_set == Some(inside);
                inside = self.enclosing[inside];
            } else {
                outside = self.enclosing[outside];
            }
        }
        (sum, enters_root_set)
    }

    /// How many sets enclose each set.
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
    use crate::arborescence::minimum_arborescence_certified;

    fn example(root: Root) -> (DenseDigraph, Arborescence, DualCertificate) {
        // 1 and 2 form a cycle that is entered from 0; 3 hangs below.
        let absent = f64::INFINITY;
        let weights = vec![
            0.0, 5.0, 4.0, 9.0, //
            absent, 0.0, 1.0, 2.0, //
            absent, 1.0, 0.0, 8.0, //
            absent, absent, absent, 0.0,
        ];
        let digraph = DenseDigraph::new(4, weights).unwrap();
        let (tree, certificate) = minimum_arborescence_certified(&digraph, root).unwrap();
        (digraph, tree, certificate)
    }

    #[test]
    fn the_sets_are_the_nodes_and_the_cycle() {
        let (_, tree, certificate) = example(Root::At(0));
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

    #[test]
    fn every_wrong_cost_is_found() {
        for root in [Root::At(0), Root::Any] {
            let (digraph, tree, certificate) = example(root);
            assert_eq!(certificate.verify(&digraph, &tree, 0.0), Ok(()));
            for set in 1..certificate.costs.len() {
                for change in [-4.0, -0.5, 0.5, f64::NAN] {
                    let mut wrong = certificate.clone();
                    wrong.costs[set] += change;
                    assert!(wrong.verify(&digraph, &tree, 0.25).is_err());
                }
            }
        }
    }

    #[test]
    fn each_failure_is_named() {
        use CertificateError as E;
        let (digraph, tree, certificate) = example(Root::At(0));
        let mut wrong = certificate.clone();
        wrong.costs[4] = -1.0;
        assert_eq!(
            wrong.verify(&digraph, &tree, 0.0),
            Err(E::NegativeCost {
                node: 1,
                cost: -1.0
            })
        );
        wrong.costs[4] = 2.0;
        assert_eq!(
            wrong.verify(&digraph, &tree, 0.0),
            Err(E::Gap {
                root: 0,
                bound: 6.0,
                weight: 7.0
            })
        );
        wrong.costs[4] = 4.0;
        assert_eq!(
            wrong.verify(&digraph, &tree, 0.0),
            Err(E::NegativeReducedWeight {
                from: 0,
                to: 2,
                reduced: -1.0
            })
        );
        assert_eq!(
            certificate.verify_sparse(&[], &tree, 0.0),
            Err(E::NoSuchEdge { from: 2, to: 1 })
        );
        let outside = Edge {
            from: 0,
            to: 9,
            weight: 1.0,
        };
        assert_eq!(
            certificate.verify_sparse(&[outside], &tree, 0.0),
            Err(E::Size {
                certificate: 4,
                given: 10
            })
        );
        let (_, _, any) = example(Root::Any);
        assert_eq!(any.root_set(), Some(vec![0]));
        let entered =
            DenseDigraph::from_fn(4, |from, to| digraph.weight(from, to).unwrap_or(100.0));
        assert_eq!(
            any.verify(&entered.unwrap(), &tree, 0.0),
            Err(E::RootSetEntered { from: 1, to: 0 })
        );
        let elsewhere = DenseDigraph::from_fn(4, |_, _| 1.0).unwrap();
        let (other, _) = minimum_arborescence_certified(&elsewhere, Root::At(3)).unwrap();
        assert_eq!(
            certificate.verify(&elsewhere, &other, 0.0),
            Err(E::Root { root: 3 })
        );
    }
}
