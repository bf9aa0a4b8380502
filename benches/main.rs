//! All benchmarks; ids are `module/operation/size`.
#![allow(missing_docs)]

use criterion::{criterion_group, criterion_main};

mod arborescence;

criterion_group!(benches, arborescence::register);
criterion_main!(benches);
