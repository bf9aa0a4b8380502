//! How accurate a recovered graph is.
//!
//! Models are matched by name, so the order of the models in either graph doesn't matter. Models that aren't
//! in the truth are ignored. A model of the truth that was not recovered counts as wrong.
//!
//! # Examples
//!
//! ```
//! use mother::heritage::ModelGraph;
//! use mother::heritage::metrics::{compare_edges, edge_accuracy, tree_accuracy};
//!
//! let truth = ModelGraph::from_parents([
//!     ("base", None), ("chat", Some("base")), ("code", Some("base")), ("chat-4bit", Some("chat")),
//! ])?;
//! let found = ModelGraph::from_parents([
//!     ("base", None), ("chat", Some("chat-4bit")), ("code", Some("base")), ("chat-4bit", Some("base")),
//! ])?;
//! assert_eq!(edge_accuracy(&found, &truth), Some(1.0 / 3.0));
//! assert_eq!(compare_edges(&found, &truth).undirected_accuracy(), Some(2.0 / 3.0));
//! assert_eq!(tree_accuracy(&found, &truth), Some(1.0));
//! # Ok::<(), mother::heritage::GraphError>(())
//! ```

mod assignment;
mod clusters;
mod edges;

pub use self::clusters::{MetricError, clustering_accuracy, tree_accuracy};
pub use self::edges::{EdgeCounts, compare_edges, compare_edges_by_tree, edge_accuracy};

/// A share of a whole; `None` if the whole is 0.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
