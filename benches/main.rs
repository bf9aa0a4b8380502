//! All benchmarks; ids are `module/operation/size`.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

mod arborescence;
mod arrays;
mod clustering;
#[cfg(feature = "safetensors")]
mod evidence;
#[cfg(all(feature = "rayon", feature = "safetensors"))]
mod files;
#[cfg(feature = "formats")]
mod formats;
#[cfg(feature = "safetensors")]
mod models;
mod moments;
mod pairwise;
#[cfg(feature = "svd")]
mod rank;
mod signature;
#[cfg(feature = "safetensors")]
mod whole;
#[cfg(feature = "formats")]
#[path = "../tests/integration/formats/zip.rs"]
mod zip;

use criterion::{Criterion, criterion_group, criterion_main};

fn optional(criterion: &mut Criterion) {
    #[cfg(feature = "svd")]
    rank::all(criterion);
    #[cfg(feature = "safetensors")]
    whole::all(criterion);
    #[cfg(feature = "safetensors")]
    evidence::all(criterion);
    #[cfg(all(feature = "rayon", feature = "safetensors"))]
    files::all(criterion);
    #[cfg(feature = "formats")]
    formats::all(criterion);
    // Without these features there is nothing to time.
    let _ = criterion;
}

criterion_group!(
    benches,
    arborescence::all,
    clustering::all,
    moments::all,
    pairwise::all,
    signature::all,
    optional
);
criterion_main!(benches);
