//! A signature of one weight, on one thread, compared with a plain sum of the same array, which is the
//! memory's limit.

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, Throughput};
use mother::signature::SignatureOptions;
use mother::weights::{InMemoryModel, WeightValues};

use crate::moments::{sum, values};

const SHAPE: [usize; 2] = [8192, 4096];
const COUNT: usize = SHAPE[0] * SHAPE[1];

fn signature(criterion: &mut Criterion, name: &str, bytes: usize, values: WeightValues<'_>) {
    let model = InMemoryModel::new("m")
        .with_layer("w", SHAPE, values)
        .unwrap();
    let mut group = criterion.benchmark_group(format!("signature/{name}/{COUNT}"));
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .throughput(Throughput::Bytes((bytes * COUNT) as u64));
    // One tensor is one part, which one thread reads.
    group.bench_function("sign", |bencher| {
        bencher.iter(|| SignatureOptions::new().sign(black_box(&model)));
    });
    group.finish();
}

pub(crate) fn all(criterion: &mut Criterion) {
    let singles: Vec<f32> = values(COUNT);
    let mut group = criterion.benchmark_group(format!("signature/f32/{COUNT}"));
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(4 * COUNT as u64));
    group.bench_function("sum", |bencher| bencher.iter(|| sum(black_box(&singles))));
    group.finish();
    #[cfg(feature = "half")]
    {
        let bfloats = singles.iter().map(|&value| half::bf16::from_f32(value));
        let bfloats: Vec<half::bf16> = bfloats.collect();
        signature(criterion, "bf16", 2, bfloats.into());
    }
    signature(criterion, "f32", 4, singles.into());
}
