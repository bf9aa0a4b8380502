//! The result: a parent for every node but the root.

use alloc::vec;
use alloc::vec::Vec;

use super::Edge;
use super::contraction::Contraction;
use super::scale::Scale;
use crate::Scalar;

/// A spanning arborescence: a rooted tree in which a path of edges leads from the root to every node.
///
/// With the `serde` feature it can be stored; what is read back is checked to be a tree.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(
        try_from = "stored::Stored<T>",
        bound(deserialize = "T: Scalar + serde::Deserialize<'de>")
    )
)]
pub struct Arborescence<T = f64> {
    root: usize,
    parents: Vec<Option<usize>>,
    /// By child; 0 at the root.
    weights: Vec<T>,
    /// By child; 0 at the root.
    edge_indices: Vec<usize>,
    #[cfg_attr(feature = "serde", serde(skip_serializing))]
    weight: f64,
}

impl<T: Scalar> Arborescence<T> {
    /// Reads the chosen edges off a finished contraction; `weight_of` finds an edge's weight by its
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

    /// The first node whose parents don't lead to the root, or the root if it has a parent.
    pub(super) fn first_cut_off(&self) -> Option<usize> {
        let mut leads_to_root = vec![false; self.size()];
        let mut walked = Vec::new();
        for node in 0..self.size() {
            let mut current = node;
            while current != self.root && !leads_to_root[current] {
                walked.push(current);
                match self.parents[current] {
                    Some(parent) if walked.len() < self.size() => current = parent,
                    _ => return Some(node),
                }
            }
            for current in walked.drain(..) {
                leads_to_root[current] = true;
            }
        }
        self.parent(self.root).map(|_| self.root)
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

    /// The node from which the edge into `node` comes; `None` for the root and for what is no node.
    #[must_use]
    pub fn parent(&self, node: usize) -> Option<usize> {
        self.parents.get(node).copied().flatten()
    }

    /// Every node's parent, `None` for the root.
    #[must_use]
    pub fn parents(&self) -> &[Option<usize>] {
        &self.parents
    }

    /// The edges, in the order of the nodes they enter.
    pub fn edges(&self) -> impl Iterator<Item = Edge<T>> + '_ {
        let children = self.parents.iter().zip(&self.weights).enumerate();
        children.filter_map(|(to, (&parent, &weight))| parent.map(|from| Edge { from, to, weight }))
    }

    /// Where the edge into `node` stands in the input: its index in the list of edges, or
    /// `from * size + to` for a dense digraph. `None` for the root and for what is no node.
    #[must_use]
    pub fn edge_index(&self, node: usize) -> Option<usize> {
        self.parent(node)?;
        self.edge_indices.get(node).copied()
    }

    /// The sum of the edges' weights, added up in `f64` in the order of the nodes they enter.
    ///
    /// Infinite only if the sum is beyond the range of `f64`; never NaN.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }
}

#[cfg(feature = "serde")]
mod stored {
    //! What an arborescence is read back from, before it is known to be one.

    use alloc::vec::Vec;

    use super::{Arborescence, Scale};
    use crate::Scalar;

    #[derive(serde::Deserialize)]
    pub(super) struct Stored<T> {
        root: usize,
        parents: Vec<Option<usize>>,
        weights: Vec<T>,
        edge_indices: Vec<usize>,
    }

    impl<T: Scalar> TryFrom<Stored<T>> for Arborescence<T> {
        type Error = &'static str;

        fn try_from(stored: Stored<T>) -> Result<Self, Self::Error> {
            let size = stored.parents.len();
            let mut parents = stored.parents.iter().flatten();
            if stored.weights.len() != size || stored.edge_indices.len() != size {
                return Err("an arborescence needs a weight and an edge index for every node");
            }
            if stored.root >= size || parents.any(|&parent| parent >= size) {
                return Err("an arborescence has a root or a parent that is no node");
            }
            if !stored.weights.iter().all(|weight| weight.is_finite()) {
                return Err("an arborescence has a weight that is not finite");
            }
            let mut tree = Self {
                root: stored.root,
                parents: stored.parents,
                weights: stored.weights,
                edge_indices: stored.edge_indices,
                weight: 0.0,
            };
            if tree.first_cut_off().is_some() {
                return Err("the parents in an arborescence don't lead to its root");
            }
            tree.weights[tree.root] = T::zero();
            let magnitudes = tree.weights.iter().map(|weight| weight.widen().abs());
            tree.sum_weights(Scale::for_magnitude(magnitudes.fold(0.0, f64::max)));
            Ok(tree)
        }
    }
}
