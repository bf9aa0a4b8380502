//! The crate's public API, used from outside.

mod entropy;
mod moments;
#[cfg(feature = "safetensors")]
mod safetensors;
mod graph;
mod metrics;
mod arborescence;
