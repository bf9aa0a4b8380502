//! All benchmarks; ids are `module/operation/size`.
#![allow(missing_docs)]

mod arborescence;
mod clustering;
mod moments;
mod pairwise;
#[cfg(feature = "svd")]
mod rank;
#[cfg(not(feature = "svd"))]
mod rank {
    pub(crate) fn all(_: &mut criterion::Criterion) {}
}

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    arborescence::all,
    clustering::all,
    moments::all,
    pairwise::all,
    rank::all
);
criterion_main!(benches);
