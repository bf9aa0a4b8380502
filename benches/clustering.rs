//! Linkage beside the `kodama` crate, which also needs its own copy of the distances.
#![allow(clippy::unwrap_used, reason = "a benchmark of a failure is none")]

use core::hint::black_box;
use core::time::Duration;

use criterion::{BatchSize, Criterion};
use mother::clustering::{Linkage, linkage};
use mother::condensed::CondensedMatrix;

/// Distances of points in five dimensions.
fn distances(size: usize) -> CondensedMatrix {
    let mut state = size as u64;
    let mut coordinate = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    let points: Vec<[f64; 5]> = (0..size)
        .map(|_| core::array::from_fn(|_| coordinate()))
        .collect();
    CondensedMatrix::from_fn(size, |i, j| {
        let squares = points[i]
            .iter()
            .zip(points[j])
            .map(|(a, b)| (a - b).powi(2));
        squares.sum::<f64>().sqrt()
    })
    .unwrap()
}

fn method(linkage: Linkage) -> kodama::Method {
    match linkage {
        Linkage::Single => kodama::Method::Single,
        Linkage::Complete => kodama::Method::Complete,
        Linkage::Average => kodama::Method::Average,
        Linkage::Weighted => kodama::Method::Weighted,
        Linkage::Ward => kodama::Method::Ward,
        Linkage::Centroid => kodama::Method::Centroid,
        _ => kodama::Method::Median,
    }
}

pub(crate) fn all(criterion: &mut Criterion) {
    for size in [1_000, 10_000] {
        let distances = distances(size);
        for kind in Linkage::ALL {
            let falling = matches!(kind, Linkage::Centroid | Linkage::Median);
            if falling && size > 1_000 {
                continue;
            }
            let mut group = criterion.benchmark_group(format!("linkage/{kind}/{size}"));
            group
                .sample_size(10)
                .measurement_time(Duration::from_secs(2));
            group.warm_up_time(Duration::from_millis(300));
            group.bench_function("mother", |bencher| {
                bencher.iter(|| linkage(black_box(&distances), kind).unwrap());
            });
            group.bench_function("kodama", |bencher| {
                bencher.iter_batched_ref(
                    || distances.values().to_vec(),
                    |values| kodama::linkage(values, size, method(kind)),
                    BatchSize::PerIteration,
                );
            });
        }
    }
}
