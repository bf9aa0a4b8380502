//! Which edges join the right two models, and in which direction.

use alloc::vec;
use alloc::vec::Vec;

use super::share;
use crate::heritage::ModelGraph;

/// Counts of how the edges of a recovered graph compare with the true ones.
///
/// All ratios are `None` if they would divide by zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct EdgeCounts {
    /// True edges.
    pub truth: usize,
    /// Edges found, not counting those to a child that is not in the truth.
    pub found: usize,
    /// Edges found that join the right two models in the right direction.
    pub right: usize,
    /// Edges found that join the right two models in the wrong direction.
    pub reversed: usize,
}

impl EdgeCounts {
    /// The paper's accuracy: right edges divided by true edges. This is also the recall.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        share(self.right, self.truth)
    }

    /// Right edges divided by edges found.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        share(self.right, self.found)
    }

    /// Edges that join the right two models in either direction, divided by true edges.
    #[must_use]
    pub fn undirected_accuracy(&self) -> Option<f64> {
        share(self.right + self.reversed, self.truth)
    }
}

/// The share of true edges that were found, between the right two models and in the right direction.
///
/// An edge of the truth counts as wrong unless both of its models are in `found`. `None` if the truth has no
/// edges. Use [`compare_edges`] for more detailed counts.
///
/// # Complexity
///
/// O(n) expected time and O(trees) space.
///
/// # References
///
/// Eliahu Horwitz, Asaf Shul, Yedid Hoshen, "Unsupervised Model Tree Heritage Recovery", ICLR 2025,
/// [10.48550/arXiv.2405.18432](https://doi.org/10.48550/arXiv.2405.18432).
#[must_use]
pub fn edge_accuracy(found: &ModelGraph, truth: &ModelGraph) -> Option<f64> {
    compare_edges(found, truth).accuracy()
}

/// Counts the edges of both graphs and those they have in common.
///
/// # Complexity
///
/// O(n) expected time and O(trees) space.
///
/// # Examples
///
/// ```
/// use mother::heritage::ModelGraph;
/// use mother::heritage::metrics::compare_edges;
///
/// let truth = ModelGraph::from_parents([("a", None), ("b", Some("a")), ("c", Some("b"))])?;
/// let found = ModelGraph::from_parents([("a", Some("b")), ("b", None), ("c", Some("b"))])?;
/// let edges = compare_edges(&found, &truth);
/// assert_eq!((edges.right, edges.reversed), (1, 1));
/// assert_eq!(edges.accuracy(), Some(0.5));
/// assert_eq!(edges.undirected_accuracy(), Some(1.0));
/// # Ok::<(), mother::heritage::GraphError>(())
/// ```
#[must_use]
pub fn compare_edges(found: &ModelGraph, truth: &ModelGraph) -> EdgeCounts {
    let mut sum = EdgeCounts::default();
    for tree in compare_edges_by_tree(found, truth) {
        sum.truth += tree.truth;
        sum.found += tree.found;
        sum.right += tree.right;
        sum.reversed += tree.reversed;
    }
    sum
}

/// [`compare_edges`] for each tree of the truth, in the order of their numbers.
///
/// An edge that was found is counted in the true tree of its child.
///
/// # Complexity
///
/// O(n) expected time and O(trees) space.
///
/// # Examples
///
/// ```
/// use mother::heritage::ModelGraph;
/// use mother::heritage::metrics::{EdgeCounts, compare_edges_by_tree};
///
/// let truth = ModelGraph::from_parents([
///     ("a", None), ("a1", Some("a")), ("b", None), ("b1", Some("b")),
/// ])?;
/// let found = ModelGraph::from_parents([
///     ("a", None), ("a1", Some("a")), ("b", None), ("b1", Some("a")),
/// ])?;
/// let accuracies: Vec<_> =
///     compare_edges_by_tree(&found, &truth).iter().map(EdgeCounts::accuracy).collect();
/// assert_eq!(accuracies, [Some(1.0), Some(0.0)]);
/// # Ok::<(), mother::heritage::GraphError>(())
/// ```
#[must_use]
pub fn compare_edges_by_tree(found: &ModelGraph, truth: &ModelGraph) -> Vec<EdgeCounts> {
    let mut trees = vec![EdgeCounts::default(); truth.roots().len()];
    let in_found = |model| truth.name(model).and_then(|name| found.index(name));
    for (parent, child) in truth.edges() {
        let Some(counts) = truth.tree(child).and_then(|tree| trees.get_mut(tree)) else {
            continue;
        };
        counts.truth += 1;
        if let (Some(parent), Some(child)) = (in_found(parent), in_found(child)) {
            counts.right += usize::from(found.parent(child) == Some(parent));
            counts.reversed += usize::from(found.parent(parent) == Some(child));
        }
    }
    for (_, child) in found.edges() {
        let known = found.name(child).and_then(|name| truth.index(name));
        if let Some(counts) = known
            .and_then(|child| truth.tree(child))
            .and_then(|tree| trees.get_mut(tree))
        {
            counts.found += 1;
        }
    }
    trees
}
