//! Evidence: small tables that describe how models relate to each other, which recovery turns into trees.
//!
//! A [`Relation`] compares two models by their [signatures](crate::signature) alone. [`SignatureComparison`]
//! does so for many models and returns one [`GroupEvidence`] for each set of models that can be compared.
//! [`Measurement`] streams the raw weights of all models instead, for the exact distances of Eq. 1 and 2. If
//! you already have such numbers from elsewhere, build a [`GroupEvidence`] yourself.

mod architecture;
mod assembled;
mod block;
mod common;
mod common_geometry;
mod comparison;
mod compatibility;
mod copies;
mod coverage;
mod cut;
mod digest;
mod edits;
mod failure;
mod geometry;
mod glob;
mod group;
mod growth;
mod matching;
mod measurement;
mod members;
mod memory;
mod merges;
mod orientation;
mod pair_growth;
mod partial;
#[cfg(feature = "svd")]
mod ranks;
mod relation;
mod repeated;
mod score;
mod selection;
mod shared;
mod signatures;
mod sums;
mod table;
mod unrelated;
#[cfg(feature = "svd")]
mod updates;
mod zeros;

pub use self::assembled::Assembled;
pub(crate) use self::common_geometry::NEARLY_ALL;
pub use self::compatibility::IncompatibleSignatures;
pub(crate) use self::copies::copy_kind;
pub use self::copies::{CopyKind, ModelCopy};
pub(crate) use self::coverage::in_both_directions;
pub use self::coverage::{Coverage, PartialParent};
pub use self::failure::EvidenceError;
pub use self::geometry::Geometry;
pub use self::glob::Glob;
pub use self::growth::Growth;
pub use self::matching::{MatchRule, Matching};
pub use self::measurement::{Distance, Measurement, OnFailure};
pub(crate) use self::members::SAME_SHARE;
pub use self::merges::Merge;
pub(crate) use self::merges::{MOST_IN_COMMON, NearestAverage, StepFit, takes_values_of_several};
pub use self::orientation::{TransposedModel, find_transposed, sign_aligned};
pub use self::pair_growth::PairGrowth;
pub(crate) use self::partial::{PARTIAL, restricted_squared_distance};
#[cfg(feature = "svd")]
pub use self::ranks::RankOverLayers;
pub(crate) use self::relation::LEAST_COMPARED;
pub use self::relation::Relation;
pub use self::score::Score;
pub(crate) use self::score::vote;
pub use self::selection::{LayerKinds, LayerSelection};
pub use self::shared::SharedWeights;
pub use self::signatures::SignatureComparison;
pub use self::table::{Evidence, GroupEvidence, SkippedLayerOf};
#[cfg(feature = "svd")]
pub use self::updates::UpdateRank;
