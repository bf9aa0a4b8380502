//! The crate's public API, used from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod adapters;
mod arborescence;
mod arborescence_distribution;
mod auto_traits;
mod clustering;
#[cfg(all(
    feature = "gguf",
    feature = "npz",
    feature = "pytorch",
    feature = "rayon",
    feature = "safetensors",
    feature = "svd"
))]
mod command;
#[cfg(feature = "half")]
mod copies;
#[cfg(feature = "safetensors")]
mod dequantised;
mod direction;
mod edited;
mod entropy;
mod faults;
#[cfg(feature = "safetensors")]
mod files;
#[cfg(all(feature = "proptest", feature = "safetensors"))]
mod formats;
#[cfg(feature = "proptest")]
mod fuzzed;
mod graph;
mod grown;
mod growth;
mod hidden;
mod index;
mod interleaved;
#[cfg(feature = "proptest")]
mod invariants;
mod joint;
mod kinship;
mod knowledge;
mod merges;
mod merges_by_tensor;
mod merges_by_value;
mod metrics;
mod mixed_heritage;
mod moments;
mod names;
mod noise;
mod numbers;
mod pairwise;
mod partial;
#[cfg(feature = "half")]
mod quantised;
#[cfg(feature = "svd")]
mod rank;
mod recovery;
#[cfg(all(feature = "safetensors", feature = "svd"))]
mod reference;
#[cfg(feature = "safetensors")]
mod safetensors;
#[cfg(feature = "serde")]
mod serde;
mod shards;
mod shared_weights;
mod signature;
#[cfg(feature = "safetensors")]
mod signature_format;
mod signatures;
mod signed;
mod sketch;
mod strangers;
#[cfg(all(feature = "proptest", feature = "svd"))]
mod strategies;
mod toy;

use proptest::prelude::ProptestConfig;

/// A configuration for this many cases, of which the environment variable `MOTHER_CASES` sets the
/// percentage: 100 where it isn't set. The nightly job tries ten times as many.
fn cases(count: u32) -> ProptestConfig {
    let percentage = match std::env::var("MOTHER_CASES") {
        Ok(percentage) => percentage.parse().expect("MOTHER_CASES is a percentage"),
        Err(_) => 100,
    };
    ProptestConfig::with_cases((count * percentage).div_ceil(100))
}
