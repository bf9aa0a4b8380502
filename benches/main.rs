//! All benchmarks; ids are `module/operation/size`.
#![allow(missing_docs)]

use criterion::{criterion_group, criterion_main};

fn nothing(_: &mut criterion::Criterion) {}

criterion_group!(benches, nothing);
criterion_main!(benches);
