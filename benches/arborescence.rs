//! Minimum spanning arborescences compared with the `chu-liu-edmonds` crate and one scan of the matrix.

use core::hint::black_box;
use core::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use mother::arborescence::{
    DenseDigraph, Edge, Root, minimum_arborescence, minimum_arborescence_sparse,
};
use ndarray::ArrayView2;

use crate::arrays::share;

/// splitmix64
struct Generator(u64);

impl Generator {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Row-major, from row to column.
fn random_weights(size: usize) -> Vec<f64> {
    let mut generator = Generator(size as u64);
    (0..size * size).map(|_| generator.uniform()).collect()
}

/// Node k + 1 joins the cycle of nodes 1 to k, and node 0 enters last. Each column lowers every cost.
fn nested_weights(size: usize) -> Vec<f64> {
    let weight = |from: usize, to: usize| match (from, to) {
        (0, to) if to + 1 == size => 4.0 * size as f64,
        (from, to) if from > 0 && to == from + 1 => 0.0,
        (from, 1) if from > 1 => from as f64,
        (_, to) => (10 * size - to) as f64,
    };
    (0..size * size)
        .map(|index| weight(index / size, index % size))
        .collect()
}

/// The fastest pass over the matrix: a sum in independent lanes.
fn scan(weights: &[f64]) -> f64 {
    let mut lanes = [0.0; 32];
    for chunk in weights.chunks_exact(32) {
        for (lane, weight) in lanes.iter_mut().zip(chunk) {
            *lane += weight;
        }
    }
    lanes.iter().sum()
}

fn dense(criterion: &mut Criterion) {
    for size in [121, 1000, 5000] {
        let mut group = criterion.benchmark_group(format!("arborescence/dense/{size}"));
        group.throughput(Throughput::Elements((size * size) as u64));
        group.sample_size(if size > 1000 { 10 } else { 30 });
        group.measurement_time(Duration::from_secs(if size > 1000 { 5 } else { 3 }));
        group.warm_up_time(Duration::from_secs(1));

        let weights = random_weights(size);
        if size < 1000 {
            share(&format!("arborescence-{size}.f64"), &[&weights]);
        }
        group.bench_function("scan", |bencher| {
            bencher.iter(|| scan(black_box(&weights)));
        });
        group.bench_function("construct", |bencher| {
            bencher.iter_batched(
                || weights.clone(),
                |weights| DenseDigraph::new(size, weights).unwrap(),
                criterion::BatchSize::LargeInput,
            );
        });
        let digraph = DenseDigraph::new(size, weights.clone()).unwrap();
        let nested = DenseDigraph::new(size, nested_weights(size)).unwrap();
        let cases = [
            ("mother", &digraph, Root::Any),
            ("mother-root", &digraph, Root::At(0)),
            ("mother-nested", &nested, Root::Any),
            ("mother-nested-root", &nested, Root::At(0)),
        ];
        for (name, digraph, root) in cases {
            group.bench_function(name, |bencher| {
                bencher.iter(|| minimum_arborescence(black_box(digraph), root).unwrap());
            });
        }
        if size == 1000 {
            // It looks for the maximum, in f32, for a given root.
            group.sample_size(10);
            for (name, weights) in [
                ("chu-liu-edmonds", weights),
                ("chu-liu-edmonds-nested", nested_weights(size)),
            ] {
                let scores: Vec<f32> = weights.iter().map(|&weight| -weight as f32).collect();
                let scores = ArrayView2::from_shape((size, size), &scores).unwrap();
                group.bench_function(name, |bencher| {
                    bencher.iter(|| chu_liu_edmonds::chu_liu_edmonds(black_box(scores), 0));
                });
            }
        }
        group.finish();
    }
}

fn sparse(criterion: &mut Criterion) {
    const EDGES_PER_NODE: usize = 16;

    let mut group = criterion.benchmark_group("arborescence/sparse");
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(3));
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        let mut generator = Generator(size as u64);
        let edges: Vec<Edge> = (0..EDGES_PER_NODE * size)
            .map(|index| Edge {
                // One edge in sixteen is on a cycle through all nodes, so that there is a result.
                from: if index < size {
                    index
                } else {
                    generator.draw() as usize % size
                },
                to: if index < size {
                    (index + 1) % size
                } else {
                    generator.draw() as usize % size
                },
                weight: generator.uniform(),
            })
            .collect();
        group.throughput(Throughput::Elements(edges.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher
                .iter(|| minimum_arborescence_sparse(size, black_box(&edges), Root::Any).unwrap());
        });
    }
    group.finish();
}

pub(crate) fn all(criterion: &mut Criterion) {
    dense(criterion);
    sparse(criterion);
}
