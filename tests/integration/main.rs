//! The crate's public API, used from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod arborescence;
mod arborescence_distribution;
mod auto_traits;
mod clustering;
#[cfg(all(feature = "rayon", feature = "safetensors", feature = "svd"))]
mod command;
#[cfg(feature = "half")]
mod copies;
mod entropy;
mod faults;
#[cfg(feature = "proptest")]
mod fuzzed;
mod graph;
mod growth;
mod index;
#[cfg(feature = "proptest")]
mod invariants;
mod joint;
mod knowledge;
mod merges;
mod metrics;
mod mixed_heritage;
mod moments;
mod noise;
mod numbers;
mod pairwise;
mod partial;
#[cfg(feature = "svd")]
mod rank;
mod recovery;
#[cfg(all(feature = "safetensors", feature = "svd"))]
mod reference;
#[cfg(feature = "safetensors")]
mod safetensors;
#[cfg(feature = "serde")]
mod serde;
mod signature;
#[cfg(feature = "safetensors")]
mod signature_format;
mod signatures;
mod signed;
mod sketch;
#[cfg(all(feature = "proptest", feature = "svd"))]
mod strategies;
