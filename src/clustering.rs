//! Agglomerative clustering: from the distances of points to a dendrogram, and its cuts.
//!
//! The algorithms are those that Müllner ("Modern hierarchical, agglomerative clustering
//! algorithms", 2011, arXiv:1109.2378) recommends: a minimum spanning tree for single linkage, the
//! nearest-neighbour chain for complete, average, weighted and Ward's, and a search by nearest
//! neighbours for centroid and median, whose heights may fall. Instead of following a chain, all
//! clusters that are each other's nearest merge in one pass over the distances wherever there are many.

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
