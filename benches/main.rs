//! All benchmarks; ids are `module/operation/size`.
#![allow(missing_docs)]

mod arborescence;
mod moments;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, arborescence::all, moments::all);
criterion_main!(benches);
