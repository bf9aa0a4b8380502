//! Adapters: models that are stored as a small change of another one.
//!
//! An [`Adapter`] holds the factors that LoRA, rsLoRA, DoRA, LoHa, LoKr and IA3 train, over any
//! [`WeightSource`](crate::weights::WeightSource) of its tensors. [`Adapter::place`] finds its base among
//! models, and [`Adapter::applied_to`] gives the model that both are together: a source whose weights are
//! the base's plus the adapter's change, computed as they are read, so that it can be signed and compared as
//! any other.
//!
//! Understood are PEFT's names and configuration (`rank_pattern` and `alpha_pattern`, `fan_in_fan_out`,
//! `modules_to_save`, tables of embeddings, convolutions), diffusers' and kohya's. Other methods (OFT, VeRA,
//! AdaLoRA) are recognised, and an error.

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
