//! Models in files: which models folders hold, in which formats, and opening them.
//!
//! [`find_models`] looks through folders, to any depth, for what people and libraries leave there: single
//! files, shards, hub caches, pipelines, training runs. It returns every model as a [`ModelPath`], and
//! everything that was passed over with the reason. [`ModelPath::open`] gives a [`ModelFile`], one
//! [`WeightSource`](crate::weights::WeightSource) for all formats.
//!
//! A format is one entry in the table of `format.rs`, one line in `source.rs` and one arm of
//! [`ModelPath::open`].

mod card;
mod find;
mod folder;
mod format;
mod id;
mod names;
mod naming;
mod passed_over;
mod path;
mod source;

pub use self::card::ModelCard;
pub use self::find::{FindError, Found, find_models};
pub use self::format::ModelFormat;
pub use self::passed_over::{PassedOver, PassedOverReason};
pub use self::path::ModelPath;
pub use self::source::{ModelFile, ModelFileLayer};
