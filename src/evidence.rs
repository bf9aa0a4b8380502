//! Evidence: the few small tables that measuring models leaves, from which recovery reasons.
//!
//! [`Measurement`] streams the weights of many models, a few blocks a model at a time, into one
//! [`GroupEvidence`] for every architecture among them: a directional score for each model and the
//! distances of all pairs. A backend that already has these numbers makes a [`GroupEvidence`] itself.

mod architecture;
mod block;
mod candidate;
mod comparison;
mod copies;
mod digest;
mod failure;
mod geometry;
mod glob;
mod group;
mod growth;
mod measurement;
mod memory;
mod observer;
#[cfg(feature = "svd")]
mod ranks;
mod score;
mod selection;
mod table;
#[cfg(feature = "svd")]
mod update_ranks;
mod updates;

pub use self::copies::{CopyKind, ModelCopy};
pub use self::failure::{EvidenceError, ModelFailure, SkippedModel};
pub use self::geometry::Geometry;
pub use self::glob::Glob;
pub use self::growth::Growth;
pub use self::measurement::{Distance, GrowthMeasure, Measurement, OnFailure};
pub use self::observer::{Observer, Phase, Progress};
#[cfg(feature = "svd")]
pub use self::ranks::RankOverLayers;
pub use self::score::Score;
pub use self::selection::{LayerKinds, LayerSelection};
pub use self::table::{Evidence, GroupEvidence, SkippedLayerOf};
pub use self::updates::Update;
