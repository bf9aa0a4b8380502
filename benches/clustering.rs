//! Agglomerative clustering compared with the `kodama` crate.

use core::hint::black_box;
use core::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use mother::clustering::{Linkage, linkage};
use mother::condensed::CondensedMatrix;

use crate::arrays::share;

const DIMENSIONS: usize = 8;

/// splitmix64, as a number from 0 to 1
fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Euclidean distances of random points in so many groups, which are far from each other.
fn distances(points: usize, groups: usize) -> CondensedMatrix {
    let mut state = points as u64;
    let mut points: Vec<[f64; DIMENSIONS]> = (0..points)
        .map(|_| core::array::from_fn(|_| draw(&mut state)))
        .collect();
    for (number, point) in points.iter_mut().enumerate() {
        point[0] += 100.0 * (number % groups) as f64;
    }
    CondensedMatrix::from_fn(points.len(), |i, j| {
        let squares = points[i]
            .iter()
            .zip(points[j])
            .map(|(a, b)| (a - b).powi(2));
        squares.sum::<f64>().sqrt()
    })
    .unwrap()
}

const fn rival(linkage: Linkage) -> Option<kodama::Method> {
    Some(match linkage {
        Linkage::Single => kodama::Method::Single,
        Linkage::Complete => kodama::Method::Complete,
        Linkage::Average => kodama::Method::Average,
        Linkage::Weighted => kodama::Method::Weighted,
        Linkage::Ward => kodama::Method::Ward,
        Linkage::Centroid => kodama::Method::Centroid,
        Linkage::Median => kodama::Method::Median,
        _ => return None,
    })
}

/// `kodama`, which overwrites the distances, gets a copy that isn't timed; `mother` makes its own.
fn compare(group: &mut BenchmarkGroup<'_, WallTime>, distances: &CondensedMatrix, method: Linkage) {
    group.bench_function("mother", |bencher| {
        bencher.iter(|| linkage(black_box(distances), method).unwrap());
    });
    if let Some(rival) = rival(method) {
        group.bench_function("kodama", |bencher| {
            bencher.iter_batched(
                || distances.clone().into_values(),
                |mut values| kodama::linkage(&mut values, distances.size(), rival),
                BatchSize::PerIteration,
            );
        });
    }
}

fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
    distances: &CondensedMatrix,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(distances.values().len() as u64));
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2));
    group.sample_size(if distances.size() > 1000 { 10 } else { 20 });
    group
}

pub(crate) fn all(criterion: &mut Criterion) {
    for size in [1000, 10_000] {
        let grouped = distances(size, 10);
        let distances = distances(size, 1);
        share(&format!("linkage-{size}.f64"), &[distances.values()]);
        for method in Linkage::ALL {
            let small_only = matches!(method, Linkage::Centroid | Linkage::Median);
            if small_only && size > 1000 {
                continue;
            }
            let name = format!("linkage/{method}/{size}");
            compare(&mut group(criterion, &name, &distances), &distances, method);
        }
        let name = format!("linkage/single-groups/{size}");
        let mut group = group(criterion, &name, &grouped);
        compare(&mut group, &grouped, Linkage::Single);
    }
}
