//! Evidence: the few small tables that measuring models leaves, from which recovery reasons.
//!
//! [`Measurement`] streams the weights of many models, a few blocks a model at a time, into one
//! [`GroupEvidence`] for every architecture among them: a directional score for each model and the
//! distances of all pairs. A backend that already has these numbers makes a [`GroupEvidence`] itself.

mod architecture;
mod block;
mod comparison;
mod copies;
mod coverage;
mod digest;
mod failure;
mod geometry;
mod glob;
mod group;
mod growth;
mod measurement;
mod memory;
#[cfg(feature = "svd")]
mod ranks;
mod relation;
mod score;
mod selection;
mod signatures;
mod table;
mod updates;

pub(crate) use self::copies::copy_kind;
pub use self::copies::{CopyKind, ModelCopy};
pub use self::coverage::{Coverage, PartialParent};
pub use self::failure::EvidenceError;
pub use self::geometry::Geometry;
pub use self::glob::Glob;
pub use self::growth::Growth;
pub use self::measurement::{Distance, Measurement, OnFailure};
#[cfg(feature = "svd")]
pub use self::ranks::RankOverLayers;
pub use self::relation::{IncompatibleSignatures, PairGrowth, Relation};
pub(crate) use self::relation::{restricted_squared_distance, vote};
pub use self::score::Score;
pub use self::selection::{LayerKinds, LayerSelection};
pub use self::signatures::SignatureComparison;
pub use self::table::{Evidence, GroupEvidence, SkippedLayerOf};
pub use self::updates::Update;
