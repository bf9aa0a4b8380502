//! Rank of the difference of every pair of matrices, against faer's own convenience call.
#![allow(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use core::hint::black_box;

use criterion::{Criterion, Throughput};
use mother::rank::{FloatFormat, MatrixView, SingularValueSolver, Tolerance};

const UPDATE_RANK: usize = 16;

/// Multiples of 2^-24 between -1/2 and 1/2, from xorshift64.
fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    core::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    })
    .take(count)
    .collect()
}

/// Square matrices that are one base plus an update of low rank each.
fn models(count: usize, side: usize) -> Vec<Vec<f32>> {
    let base = random(side * side, 1);
    (0..count as u64)
        .map(|model| {
            let left = random(side * UPDATE_RANK, 2 * model + 2);
            let right = random(side * UPDATE_RANK, 2 * model + 3);
            let (left, _) = left.as_chunks::<UPDATE_RANK>();
            let (right, _) = right.as_chunks::<UPDATE_RANK>();
            let updates = left.iter().flat_map(|row| {
                let dot = |column: &[f32; UPDATE_RANK]| -> f32 {
                    row.iter().zip(column).map(|(x, y)| x * y).sum()
                };
                right.iter().map(dot).collect::<Vec<_>>()
            });
            base.iter()
                .zip(updates)
                .map(|(base, update)| base + update)
                .collect()
        })
        .collect()
}

fn pairs(models: &[Vec<f32>]) -> impl Iterator<Item = (&[f32], &[f32])> {
    models.iter().enumerate().flat_map(move |(index, first)| {
        models[..index]
            .iter()
            .map(move |second| (first.as_slice(), second.as_slice()))
    })
}

/// The sum of the ranks, so that both functions can be seen to compute the same.
fn mother_ranks(models: &[Vec<f32>], side: usize) -> usize {
    let view = |values| MatrixView::new(values, side, side).unwrap();
    let mut solver = SingularValueSolver::new();
    pairs(models)
        .map(|(first, second)| {
            let values = solver
                .singular_values_of_difference(view(first), view(second))
                .unwrap();
            let rank = values.rank(Tolerance::numpy(FloatFormat::F32)).unwrap();
            rank.value()
        })
        .sum()
}

fn faer_ranks(models: &[Vec<f32>], side: usize) -> usize {
    pairs(models)
        .map(|(first, second)| {
            let difference = faer::Mat::from_fn(side, side, |row, column| {
                let index = row * side + column;
                f64::from(first[index]) - f64::from(second[index])
            });
            let values = difference.singular_values().unwrap();
            let threshold = values[0] * (side as f64 * f64::from(f32::EPSILON));
            values.iter().filter(|&&value| value > threshold).count()
        })
        .sum()
}

pub(crate) fn all(criterion: &mut Criterion) {
    for (count, side) in [(12, 256), (2, 768)] {
        let models = models(count, side);
        assert_eq!(mother_ranks(&models, side), faer_ranks(&models, side));
        let mut group = criterion.benchmark_group(format!("rank/pairs/{count}x{side}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(pairs(&models).count() as u64));
        group.bench_function("mother", |b| {
            b.iter(|| mother_ranks(black_box(&models), side));
        });
        group.bench_function("faer", |b| b.iter(|| faer_ranks(black_box(&models), side)));
        group.finish();
    }
}
