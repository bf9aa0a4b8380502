//! Agglomerative clustering: from the distances between points to a dendrogram, and its cuts.
//!
//! The algorithms are those that Müllner recommends ("Modern hierarchical, agglomerative clustering
//! algorithms", 2011, arXiv:1109.2378): a minimum spanning tree for single linkage, the nearest-neighbour
//! chain for complete, average, weighted and Ward linkage, and a nearest-neighbour search for centroid and
//! median linkage, whose heights may decrease. Where many pairs of clusters are each other's nearest
//! neighbours, one pass over the distances merges them all, instead of following a chain.

mod agglomerate;
mod chain;
mod dendrogram;
mod error;
mod extremes;
mod formula;
mod generic;
mod linkage;
mod neighbours;
mod rounds;
mod single;
mod triangle;

pub use self::agglomerate::linkage;
pub use self::dendrogram::{Dendrogram, Partition, Step, WidestGap};
pub use self::error::ClusteringError;
pub use self::linkage::{Linkage, UnknownLinkage};
