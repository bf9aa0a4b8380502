//! Adapters: models that are stored as a small change to another model.
//!
//! An [`Adapter`] holds the factors trained by LoRA, rsLoRA, DoRA, AdaLoRA, LoHa, LoKr and IA3, or the whole differences
//! of LyCORIS, over any [`WeightSource`](crate::weights::WeightSource) of its tensors. [`Adapter::place`] finds its base among
//! several models, and [`Adapter::applied_to`] combines the two. The result is a source whose weights are the
//! base's plus the adapter's change, computed as they are read, so it can be signed and compared like any
//! other.
//!
//! The names and configuration of PEFT are supported (`rank_pattern` and `alpha_pattern`, `fan_in_fan_out`,
//! `modules_to_save`, embedding tables, convolutions), and so are those of diffusers and kohya. Other methods
//! (OFT, VeRA, prompt tuning) are recognised and cause an error.

mod adapted;
mod adapter;
mod base;
mod config;
mod error;
mod names;
mod parts;
mod pattern;
mod update;

pub use self::adapted::{AdaptedLayer, AdaptedModel};
pub use self::adapter::Adapter;
pub use self::base::{Placement, models_named};
pub use self::config::AdapterConfig;
pub use self::error::{AdaptedError, AdapterError};
