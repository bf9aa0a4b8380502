//! The result: a parent for every node except the root.

use alloc::vec;
use alloc::vec::Vec;

use super::Edge;
use super::contraction::Contraction;
use super::scale::Scale;
use crate::Scalar;

/// A spanning arborescence: a rooted tree in which a path of edges leads from the root to every node.
#[derive(Clone, Debug, PartialEq)]
pub struct Arborescence<T = f64> {
    root: usize,
    parents: Vec<Option<usize>>,
    /// By child; 0 at the root.
    weights: Vec<T>,
    /// By child; 0 at the root.
    edge_indices: Vec<usize>,
    weight: f64,
}

impl<T: Scalar> Arborescence<T> {
    /// Reads the chosen edges off a finished contraction. `weight_of` gives an edge's weight from its two
    /// ends and its position in the input.
    pub(super) fn read_off(
        contraction: &Contraction,
        size: usize,
        root: usize,
        scale: Scale,
        weight_of: impl Fn(usize, usize, usize) -> T,
    ) -> Self {
        let mut tree = Self {
            root,
            parents: vec![None; size],
            weights: vec![T::zero(); size],
            edge_indices: vec![0; size],
            weight: 0.0,
        };
        contraction.expand(root, |chosen| {
            tree.parents[chosen.to] = Some(chosen.from);
            tree.weights[chosen.to] = weight_of(chosen.from, chosen.to, chosen.edge);
            tree.edge_indices[chosen.to] = chosen.edge;
        });
        tree.sum_weights(scale);
        tree
    }

    fn sum_weights(&mut self, scale: Scale) {
        self.weight = scale.sum(self.weights.iter().map(|weight| weight.widen()));
    }

    /// The number of nodes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parents.len()
    }

    /// The node without a parent.
    #[must_use]
    pub fn root(&self) -> usize {
        self.root
    }

    /// The node from which the edge into `node` comes; `None` for the root and for nodes that don't exist.
    #[must_use]
    pub fn parent(&self, node: usize) -> Option<usize> {
        self.parents.get(node).copied().flatten()
    }

    /// Every node's parent, `None` for the root.
    #[must_use]
    pub fn parents(&self) -> &[Option<usize>] {
        &self.parents
    }

    /// The parents of all nodes before `root`, the last node, without those whose parent it is.
    pub(crate) fn parents_before(&self, root: usize) -> Vec<Option<usize>> {
        let parents = self.parents.iter().take(root);
        parents
            .map(|parent| parent.filter(|&parent| parent < root))
            .collect()
    }

    /// The edges, in the order of the nodes they enter.
    pub fn edges(&self) -> impl Iterator<Item = Edge<T>> + '_ {
        let children = self.parents.iter().zip(&self.weights).enumerate();
        children.filter_map(|(to, (&parent, &weight))| parent.map(|from| Edge { from, to, weight }))
    }

    /// The position in the input of the edge into `node`: its index in the list of edges, or
    /// `from * size + to` for a dense digraph. `None` for the root and for nodes that don't exist.
    #[must_use]
    pub fn edge_index(&self, node: usize) -> Option<usize> {
        self.parent(node)?;
        self.edge_indices.get(node).copied()
    }

    /// The sum of the edges' weights, computed in `f64` in the order of the nodes they enter.
    ///
    /// Infinite only if the sum exceeds the range of `f64`; never NaN.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }
}
