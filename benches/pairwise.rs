//! Distances of all pairs of rows, compared with a loop that the compiler vectorises as it can.

use core::hint::black_box;

use criterion::{Criterion, Throughput};
use mother::pairwise::{PairwiseError, squared_distances};

use crate::arrays::share;

/// Vectors that differ from one another by a thousandth of their norm.
fn relatives(count: usize, length: usize) -> Vec<Vec<f32>> {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let root: Vec<f32> = (0..length).map(|_| uniform()).collect();
    (0..count)
        .map(|_| root.iter().map(|value| value + 1e-3 * uniform()).collect())
        .collect()
}

/// Eight lanes, which the compiler can keep in vector registers.
fn plain(vectors: &[&[f32]], condensed: &mut [f64]) {
    let mut output = condensed.iter_mut();
    for (index, first) in vectors.iter().enumerate() {
        for (second, output) in vectors[index + 1..].iter().zip(&mut output) {
            let mut lanes = [0.0_f32; 8];
            let (u, v) = (first.as_chunks::<8>().0, second.as_chunks::<8>().0);
            for (u, v) in u.iter().zip(v) {
                for (lane, (u, v)) in lanes.iter_mut().zip(u.iter().zip(v)) {
                    *lane += (u - v) * (u - v);
                }
            }
            *output = lanes.into_iter().map(f64::from).sum();
        }
    }
}

fn l2(criterion: &mut Criterion, count: usize, length: usize, samples: usize, rival: bool) {
    let vectors = relatives(count, length);
    let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    if rival {
        share(&format!("distance-{count}x{length}.f32"), &vectors);
    }
    let pairs = count * (count - 1) / 2;
    let mut condensed = vec![0.0; pairs];
    let mut group = criterion.benchmark_group(format!("distance/l2/{count}x{length}"));
    group
        .sample_size(samples)
        .throughput(Throughput::Elements((pairs * length) as u64));
    group.bench_function("mother", |bencher| {
        bencher.iter(|| {
            squared_distances(black_box(&vectors), &mut condensed)?;
            condensed
                .iter_mut()
                .for_each(|squared| *squared = squared.sqrt());
            Ok::<_, PairwiseError>(condensed[0])
        });
    });
    if rival {
        group.bench_function("plain", |bencher| {
            bencher.iter(|| {
                plain(black_box(&vectors), &mut condensed);
                condensed
                    .iter_mut()
                    .for_each(|squared| *squared = squared.sqrt());
                condensed[0]
            });
        });
    }
    group.finish();
}

pub(crate) fn all(criterion: &mut Criterion) {
    l2(criterion, 1000, 768, 20, true);
    l2(criterion, 3000, 768, 10, true);
    // Many short rows, and few long ones.
    l2(criterion, 1000, 32, 20, false);
    l2(criterion, 21, 16 * 1024, 20, false);
}
