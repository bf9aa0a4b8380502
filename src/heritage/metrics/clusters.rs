//! How well two clusterings agree under the best matching of their labels.

use alloc::vec::Vec;

use super::assignment::{Cell, largest_assignment};
use super::share;
use crate::heritage::ModelGraph;

crate::errors::errors! {
    /// Why a metric could not be computed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum MetricError {
        /// The two lists of labels belong to different models.
        LengthMismatch {
            /// The number of labels found.
            found: usize,
            /// The number of true labels.
            truth: usize,
        } => "{found} labels were found, but there are {truth} true labels",
    }
}

/// The share of models with the right label, under the best one-to-one matching of labels.
///
/// Labels may be any numbers; only their equality matters. One side may have more labels, and those without a
/// match count as wrong. Swapping the lists changes nothing. `None` if there are no models.
///
/// # Errors
///
/// [`MetricError::LengthMismatch`] if the lists differ in length.
///
/// # Complexity
///
/// O(n log n + k·m log m) time and O(n) space for n models and k labels, where m ≤ min(n, k²)
/// counts the pairs of labels that occur together.
///
/// # Examples
///
/// ```
/// use mother::heritage::metrics::clustering_accuracy;
///
/// assert_eq!(clustering_accuracy(&[7, 7, 2, 2], &[0, 0, 1, 0]), Ok(Some(0.75)));
/// assert_eq!(clustering_accuracy(&[], &[]), Ok(None));
/// ```
///
/// # References
///
/// Harold Kuhn, "The Hungarian method for the assignment problem", 1955,
/// [10.1002/nav.3800020109](https://doi.org/10.1002/nav.3800020109).
pub fn clustering_accuracy(found: &[usize], truth: &[usize]) -> Result<Option<f64>, MetricError> {
    if found.len() != truth.len() {
        return Err(MetricError::LengthMismatch {
            found: found.len(),
            truth: truth.len(),
        });
    }
    let labels = found.iter().copied().zip(truth.iter().copied()).collect();
    Ok(share(agreement(labels), found.len()))
}

/// The share of the truth's models that are in the right tree, under the best one-to-one matching of trees:
/// [`clustering_accuracy`] with the trees as clusters.
///
/// A model of the truth that is not in `found` counts as wrong. `None` if the truth is empty.
///
/// # Complexity
///
/// The same as [`clustering_accuracy`], where k is the number of trees.
#[must_use]
pub fn tree_accuracy(found: &ModelGraph, truth: &ModelGraph) -> Option<f64> {
    let both = truth
        .models()
        .iter()
        .enumerate()
        .filter_map(|(model, node)| {
            let found_tree = found.tree(found.index(node.name())?)?;
            Some((found_tree, truth.tree(model)?))
        });
    share(agreement(both.collect()), truth.len())
}

/// How many pairs of labels agree under the best one-to-one matching of labels.
fn agreement(mut labels: Vec<(usize, usize)>) -> usize {
    labels.sort_unstable();
    let mut columns: Vec<usize> = labels.iter().map(|&(_, truth)| truth).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for same_row in labels.chunk_by(|a, b| a.0 == b.0) {
        let cells = same_row.chunk_by(|a, b| a.1 == b.1);
        rows.push(cells.map(|same| count(same, &columns)).collect());
    }
    largest_assignment(&rows, columns.len())
}

/// The cell of the contingency table for a run of equal pairs of labels.
fn count(same: &[(usize, usize)], columns: &[usize]) -> Cell {
    let label = same.first().map_or(0, |&(_, truth)| truth);
    Cell {
        column: columns.partition_point(|&column| column < label),
        weight: same.len(),
    }
}
