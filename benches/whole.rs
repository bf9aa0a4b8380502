//! Recovery from files to trees, and its parts: measuring the models, and reasoning on the evidence.

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, Throughput};
use mother::evidence::Measurement;
use mother::heritage::Recovery;

use crate::models::Folder;

/// The matrices of three small transformer blocks.
pub(crate) const BLOCK: [[usize; 2]; 6] =
    [[64, 64], [64, 64], [64, 64], [64, 64], [256, 64], [64, 256]];

pub(crate) fn all(criterion: &mut Criterion) {
    let shapes = [BLOCK; 3].concat();
    let parameters: usize = shapes.iter().map(|[rows, columns]| rows * columns).sum();
    let (measurement, recovery) = (Measurement::new(), Recovery::new());
    for models in [105, 1000] {
        let folder = Folder::of_models(models, &shapes);
        let mut group = criterion.benchmark_group(format!("whole/{models}x{parameters}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_secs(5))
            .throughput(Throughput::Elements(models as u64));
        group.bench_function("read", |bencher| bencher.iter(|| folder.read()));
        group.bench_function("measure", |bencher| {
            bencher.iter(|| measurement.measure(&black_box(&folder).open()).unwrap());
        });
        let evidence = measurement.measure(&folder.open()).unwrap();
        group.bench_function("recover", |bencher| {
            bencher.iter(|| recovery.recover(black_box(&evidence)).unwrap());
        });
        group.bench_function("all", |bencher| {
            bencher.iter(|| {
                let evidence = measurement.measure(&black_box(&folder).open()).unwrap();
                recovery.recover(&evidence).unwrap()
            });
        });
        group.finish();
    }
}
