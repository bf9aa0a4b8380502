//! Relations of two models from their signatures, compared with the distance of the same numbers; and all tables of a
//! collection, from files to trees, compared with those measured on raw weights.

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, Throughput};
use mother::evidence::{Measurement, Relation, SignatureComparison};
use mother::files::ModelFile;
use mother::heritage::Recovery;
use mother::signature::{Signature, SignatureOptions};

use crate::models::Folder;
use crate::whole::BLOCK;

fn signed(models: &[ModelFile]) -> Vec<Signature> {
    let signed = SignatureOptions::new().sign_all(models).into_iter();
    signed.map(Result::unwrap).collect()
}

/// The squared distance of all numbers of two signatures, with nothing said of groups, layers or error.
fn squared_distance(first: &[f32], second: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 32];
    let chunks = first
        .as_chunks::<32>()
        .0
        .iter()
        .zip(second.as_chunks::<32>().0);
    for (first, second) in chunks {
        for (lane, (u, v)) in lanes.iter_mut().zip(first.iter().zip(second)) {
            *lane += (u - v) * (u - v);
        }
    }
    lanes.iter().sum()
}

fn relations(criterion: &mut Criterion, signatures: &[Signature]) {
    let buckets = |model: usize| -> Vec<f32> {
        let tensors = signatures[model].tensors().iter();
        tensors
            .flat_map(|tensor| tensor.sketch().buckets())
            .copied()
            .collect()
    };
    let numbers = [buckets(0), buckets(1)];
    let mut group = criterion.benchmark_group(format!("relation/pair/{}", numbers[0].len()));
    group.throughput(Throughput::Elements(numbers[0].len() as u64));
    group.bench_function("distance", |bencher| {
        bencher.iter(|| squared_distance(black_box(&numbers[0]), black_box(&numbers[1])));
    });
    // Every fifteenth model is a root.
    for (name, other) in [("related", 1), ("unrelated", 15)] {
        let pair = (&signatures[0], &signatures[other]);
        group.bench_function(name, |bencher| {
            bencher.iter(|| Relation::between(black_box(pair.0), black_box(pair.1)).unwrap());
        });
    }
    group.finish();
}

pub(crate) fn all(criterion: &mut Criterion) {
    const MODELS: usize = 1000;
    let folder = Folder::of_models(MODELS, &[BLOCK; 3].concat());
    let signatures = signed(&folder.open());
    relations(criterion, &signatures);
    let mut group = criterion.benchmark_group(format!("evidence/signatures/{MODELS}"));
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(MODELS as u64));
    let (comparison, recovery) = (SignatureComparison::new(), Recovery::new());
    let measurement = Measurement::new();
    group.bench_function("read", |bencher| bencher.iter(|| folder.read()));
    group.bench_function("sign", |bencher| {
        bencher.iter(|| signed(&black_box(&folder).open()));
    });
    group.bench_function("compare", |bencher| {
        bencher.iter(|| comparison.compare(black_box(&signatures)).unwrap());
    });
    group.bench_function("all", |bencher| {
        bencher.iter(|| {
            let evidence = comparison.compare(&signed(&black_box(&folder).open()));
            recovery.recover(&evidence.unwrap()).unwrap()
        });
    });
    group.bench_function("all-on-weights", |bencher| {
        bencher.iter(|| {
            let evidence = measurement.measure(&black_box(&folder).open()).unwrap();
            recovery.recover(&evidence).unwrap()
        });
    });
    group.finish();
}
