//! Ranks of the differences of all pairs, compared with all singular values of each by faer.

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Mat, MatRef, Par};
use mother::Scalar;
use mother::rank::{Difference, MatrixView, Tolerance, ranks_of_differences};
use mother::weights::ElementType;

use crate::arrays::share;

const MODELS: usize = 21;
const LAYERS: usize = 12;
const SIDE: usize = 768;
/// Singular values of one in so many pairs are computed, as they take as long for every pair.
const SAMPLED: usize = 84;

/// Normal values of this standard deviation, from xorshift64 and Box and Muller.
fn normal(count: usize, deviation: f64, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    core::iter::repeat_with(|| {
        let radius = (-2.0 * uniform().ln()).sqrt();
        deviation * radius * (core::f64::consts::TAU * uniform()).cos()
    })
    .take(count)
    .collect()
}

/// The rank of the update that made a model: 8, 16, 32 or 64, mixed.
fn update_rank(model: usize) -> usize {
    8 << ((model + model / 4) % 4)
}

/// One layer of a root, its 4 children, and 4 children of each.
///
/// Weights have a standard deviation of 0.02; updates, as LoRA makes them, are products of two thin
/// matrices, with entries of a tenth of that.
fn layer_of_models(layer: usize) -> Vec<Vec<f32>> {
    let seed = |model: usize, part: usize| (layer * 64 + model * 2 + part) as u64 + 1;
    let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
    let mut models: Vec<Vec<f32>> = vec![single(&normal(SIDE * SIDE, 0.02, seed(0, 0)))];
    for model in 1..MODELS {
        let rank = update_rank(model);
        let left = normal(SIDE * rank, 1.0, seed(model, 0));
        let right = normal(rank * SIDE, 0.002 / (rank as f64).sqrt(), seed(model, 1));
        let parent = &models[(model - 1) / 4];
        let mut child: Vec<f64> = parent.iter().copied().map(f64::from).collect();
        matmul(
            faer::MatMut::from_row_major_slice_mut(&mut child, SIDE, SIDE),
            Accum::Add,
            MatRef::from_row_major_slice(&left, SIDE, rank),
            MatRef::from_row_major_slice(&right, rank, SIDE),
            1.0,
            Par::Seq,
        );
        models.push(single(&child));
    }
    models
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..MODELS).flat_map(|first| (first + 1..MODELS).map(move |second| (first, second)))
}

fn ranks(layer: &[Vec<f32>]) -> Vec<usize> {
    let view = |values| MatrixView::new(values, SIDE, SIDE).unwrap();
    let views: Vec<_> = layer.iter().map(|values| view(values)).collect();
    let tolerance = Tolerance::numpy(ElementType::F32);
    let difference = |(first, second)| Difference {
        first,
        second,
        tolerance,
    };
    let differences: Vec<_> = pairs().map(difference).collect();
    let ranks = ranks_of_differences(&views, &differences);
    ranks.into_iter().map(Result::unwrap).collect()
}

/// With all singular values, in the precision of `T`.
fn faer_rank<T: Scalar + ComplexField<Real = T>>(first: &[f32], second: &[f32]) -> usize {
    let entry = |values: &[f32], index: usize| T::from_single(values[index]);
    let difference = Mat::from_fn(SIDE, SIDE, |row, column| {
        entry(first, row * SIDE + column) - entry(second, row * SIDE + column)
    });
    let values = difference.singular_values().unwrap();
    let threshold = values[0].widen() * (SIDE as f64 * f64::from(f32::EPSILON));
    let large = |value: &&T| value.widen() > threshold;
    values.iter().filter(large).count()
}

/// The ranks of the sampled pairs of all layers.
fn sampled_ranks<T: Scalar + ComplexField<Real = T>>(layers: &[Vec<Vec<f32>>]) -> Vec<usize> {
    let all = layers
        .iter()
        .flat_map(|layer| pairs().map(move |(first, second)| (&layer[first], &layer[second])));
    all.step_by(SAMPLED)
        .map(|(first, second)| faer_rank::<T>(first, second))
        .collect()
}

/// Runs on one thread, as faer does here.
struct OneThread {
    #[cfg(feature = "rayon")]
    pool: rayon::ThreadPool,
}

impl OneThread {
    fn new() -> Self {
        Self {
            #[cfg(feature = "rayon")]
            pool: (rayon::ThreadPoolBuilder::new().num_threads(1).build()).unwrap(),
        }
    }

    fn run<R: Send>(&self, function: impl FnOnce() -> R + Send) -> R {
        #[cfg(feature = "rayon")]
        return self.pool.install(function);
        #[cfg(not(feature = "rayon"))]
        function()
    }
}

pub(crate) fn all(criterion: &mut Criterion) {
    faer::set_global_parallelism(Par::Seq);
    let one_thread = OneThread::new();
    let layers: Vec<_> = (0..LAYERS).map(layer_of_models).collect();
    let first: Vec<&[f32]> = layers[0].iter().map(Vec::as_slice).collect();
    share(&format!("rank-{MODELS}x{SIDE}.f32"), &first);
    let found: Vec<usize> = layers.iter().flat_map(|layer| ranks(layer)).collect();
    let sampled: Vec<usize> = found.iter().copied().step_by(SAMPLED).collect();
    assert_eq!(sampled, sampled_ranks::<f64>(&layers));
    assert_eq!(sampled, sampled_ranks::<f32>(&layers));

    let mut group = criterion.benchmark_group(format!("rank/pairs/{MODELS}x{LAYERS}x{SIDE}"));
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(found.len() as u64));
    group.bench_function("mother", |bencher| {
        let all = || layers.iter().flat_map(|layer| ranks(layer)).sum::<usize>();
        bencher.iter(|| one_thread.run(|| black_box(all())));
    });
    let share_of_pairs = found.len() as f64 / sampled.len() as f64;
    for (name, rival) in [
        (
            "faer",
            sampled_ranks::<f64> as fn(&[Vec<Vec<f32>>]) -> Vec<usize>,
        ),
        ("faer-f32", sampled_ranks::<f32>),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                for _ in 0..iterations {
                    black_box(rival(black_box(&layers)));
                }
                start.elapsed().mul_f64(share_of_pairs)
            });
        });
    }
    group.finish();
}
