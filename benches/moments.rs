//! All four moments in one pass, compared with a plain sum, which is the memory's limit, and `average`.

use core::hint::black_box;
use core::time::Duration;

use average::{Estimate, Kurtosis};
use criterion::{Criterion, Throughput};
use mother::entropy::Histogram;
use mother::moments::Moments;
use mother::{Scalar, moments};
use pulp::{Simd, WithSimd};

use crate::arrays::share;

const COUNT: usize = 1 << 25;

/// Weight-like values: a sum of uniform ones.
pub(crate) fn values<T: Scalar>(count: usize) -> Vec<T> {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
    };
    (0..count)
        .map(|_| T::narrow(0.02 * (uniform() + uniform() + uniform())))
        .collect()
}

/// A sum in as many registers as keep the additions from being the limit.
struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        const REGISTERS: usize = 8;
        let (vectors, _) = S::as_simd_f32s(self.0);
        let mut totals = [simd.splat_f32s(0.0); REGISTERS];
        for row in vectors.as_chunks::<REGISTERS>().0 {
            for (total, &vector) in totals.iter_mut().zip(row) {
                *total = simd.add_f32s(*total, vector);
            }
        }
        totals
            .into_iter()
            .map(|total| simd.reduce_sum_f32s(total))
            .sum()
    }
}

pub(crate) fn sum(values: &[f32]) -> f32 {
    // Faster than AVX-512, whose loads cross cache lines in a vector that is not aligned to them.
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return Simd::vectorize(simd, Sum(values));
    }
    pulp::Arch::new().dispatch(Sum(values))
}

fn average<T: Scalar>(values: &[T]) -> f64 {
    let mut kurtosis = Kurtosis::new();
    for value in values {
        kurtosis.add(value.widen());
    }
    kurtosis.kurtosis()
}

fn in_memory<T: Scalar>(criterion: &mut Criterion, name: &str) {
    let values = values::<T>(COUNT);
    share(&format!("moments.{name}"), &[&values]);
    let mut group = criterion.benchmark_group(format!("moments/{name}/{COUNT}"));
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Bytes(size_of_val(values.as_slice()) as u64));
    group.bench_function("mother", |bencher| {
        bencher.iter(|| Moments::of(black_box(&values)));
    });
    // The same bytes, whatever they stand for.
    let singles = self::values::<f32>(size_of_val(values.as_slice()) / size_of::<f32>());
    group.bench_function("sum", |bencher| {
        bencher.iter(|| sum(black_box(&singles)));
    });
    group.bench_function("average", |bencher| {
        bencher.iter(|| average(black_box(&values)));
    });
    group.finish();
}

/// What chunks of no particular length cost: they go through a buffer.
fn in_chunks(criterion: &mut Criterion) {
    let count = 1 << 20;
    let values = values::<f32>(count);
    let mut group = criterion.benchmark_group(format!("moments/chunks/{count}"));
    group
        .sample_size(20)
        .throughput(Throughput::Elements(count as u64));
    for length in [100, 1_000, 10_000] {
        group.bench_function(length.to_string(), |bencher| {
            bencher.iter(|| {
                let mut accumulator = moments::MomentsAccumulator::new();
                for chunk in black_box(&values).chunks(length) {
                    accumulator.extend_from_slice(chunk)?;
                }
                Ok::<_, moments::MomentsError>(accumulator.moments())
            });
        });
    }
    group.finish();
}

fn entropy(criterion: &mut Criterion) {
    let count = 1 << 20;
    let values = values::<f32>(count);
    let mut group = criterion.benchmark_group(format!("entropy/f32/{count}"));
    group
        .sample_size(20)
        .throughput(Throughput::Elements(count as u64));
    group.bench_function("mother", |bencher| {
        bencher.iter(|| {
            let mut histogram = Histogram::new(-0.03, 0.03, Histogram::DEFAULT_BINS)?;
            histogram.extend_from_slice(black_box(&values))?;
            Ok::<_, mother::entropy::HistogramError>(histogram.entropy())
        });
    });
    group.finish();
}

pub(crate) fn all(criterion: &mut Criterion) {
    in_memory::<f32>(criterion, "f32");
    in_memory::<f64>(criterion, "f64");
    in_chunks(criterion);
    entropy(criterion);
}
