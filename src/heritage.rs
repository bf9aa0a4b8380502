//! Who descends from whom: the graph of models, its exports, and how accurate it is.
//!
//! A [`ModelGraph`] is a forest. Each tree's root is a foundation model, and an edge goes from a model to one
//! that was fine-tuned from it. It prints as a text tree, exports to DOT, Mermaid, Newick, SVG, model cards,
//! CycloneDX and SPDX, and answers queries about a family: ancestors, paths, subtrees. A graph holds no
//! weights; it identifies models by name. [`metrics`] compares a graph with the truth.
//!
//! # Examples
//!
//! ```
//! use mother::heritage::ModelGraph;
//!
//! let graph = ModelGraph::from_parents([
//!     ("base", None),
//!     ("chat", Some("base")),
//!     ("chat-4bit", Some("chat")),
//!     ("stranger", None),
//! ])?;
//! let quantised = graph.index("chat-4bit").unwrap();
//! let ancestors: Vec<_> = graph.ancestors(quantised).filter_map(|i| graph.name(i)).collect();
//! assert_eq!(ancestors, ["chat", "base"]);
//! assert_eq!(graph.roots(), [0, 3]);
//! # Ok::<(), mother::heritage::GraphError>(())
//! ```

mod export;
mod graph;
mod index;
mod knowledge;
mod layout;
mod merges;
pub mod metrics;
mod mixed;
mod recovery;
#[cfg(doc)]
#[doc = include_str!("heritage/simulations.md")]
pub mod simulations {}
mod stage;

pub use self::graph::{
    Descent, DescentKind, EquivalentParents, GraphError, MergeParent, Model, ModelGraph, ModelTree,
    RunnerUp,
};
#[cfg(feature = "safetensors")]
pub use self::index::IndexFileError;
pub use self::index::{Index, IndexError, Lineage, Relative, Shard, ShardMessage};
pub use self::knowledge::{Contradiction, Knowledge};
pub use self::merges::{find_merges, find_selective_merges};
pub use self::mixed::{ClusterSimilarity, MixedHeritageError, cluster_similarities};
pub use self::recovery::{JointConstant, JointModel, Method, Recovery, RecoveryError, Trees};
pub use self::stage::{Stage, StageEstimate, UnknownStage};
