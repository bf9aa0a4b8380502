//! The crate's public API, used from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod arborescence;
mod entropy;
mod graph;
mod metrics;
mod moments;
#[cfg(feature = "svd")]
mod rank;
#[cfg(feature = "safetensors")]
mod safetensors;
