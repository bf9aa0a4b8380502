//! Models in files: finding them in folders, recognising their formats, and opening them.
//!
//! [`find_models`] searches folders to any depth for the layouts that people and libraries use: single files,
//! shards, hub caches, pipelines, training runs. It returns every model as a [`ModelPath`], together with
//! everything it skipped and the reason. [`ModelPath::open`] returns a [`ModelFile`], a single
//! [`WeightSource`](crate::weights::WeightSource) type for all formats.
//!
//! To add a format, add it to `format.rs`, a line to `source.rs` and an arm to [`ModelPath::open`].

mod card;
mod config;
mod find;
mod folder;
mod format;
mod id;
mod names;
mod naming;
mod path;
mod skipped;
mod source;

pub use self::card::ModelCard;
pub use self::find::{FindError, Found, find_models};
pub use self::format::ModelFormat;
pub use self::path::ModelPath;
pub use self::skipped::{SkipReason, SkippedPath};
pub use self::source::{ModelFile, ModelFileLayer};
