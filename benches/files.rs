//! Distances of models in files on one thread and on two, compared with reading the files once.

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, Throughput};
use mother::evidence::Measurement;

use crate::models::Folder;

const MODELS: usize = 100;
const SHAPES: [[usize; 2]; 7] = [[1000, 1000]; 7];

pub(crate) fn all(criterion: &mut Criterion) {
    let parameters: usize = SHAPES.iter().map(|[rows, columns]| rows * columns).sum();
    let folder = Folder::of_models(MODELS, &SHAPES);
    let mut group = criterion.benchmark_group(format!("measure/files/{MODELS}x{parameters}"));
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Bytes((4 * MODELS * parameters) as u64));
    group.bench_function("read", |bencher| bencher.iter(|| folder.read()));
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.unwrap();
        group.bench_function(format!("threads-{threads}"), |bencher| {
            bencher.iter(|| {
                let models = black_box(&folder).open();
                pool.install(|| Measurement::new().measure(&models).unwrap())
            });
        });
    }
    group.finish();
}
