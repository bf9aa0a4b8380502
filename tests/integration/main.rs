//! The crate's public API, used from outside.

mod arborescence;
mod entropy;
mod graph;
mod metrics;
mod moments;
#[cfg(feature = "safetensors")]
mod safetensors;
