//! Agglomerative clustering against SciPy and by its definition.

use core::ops::Range;
use std::collections::HashMap;

use mother::clustering::{ClusteringError, Linkage, Partition, linkage};
use mother::condensed::CondensedMatrix;
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Golden {
    size: usize,
    range: u64,
    steps: HashMap<String, Vec<[f64; 4]>>,
}

impl Golden {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../golden/linkage/linkage.json")).unwrap()
    }

    /// The points of the recipe in `make.py`.
    fn distances(&self) -> CondensedMatrix {
        let mut state = self.size as u64;
        let mut coordinate = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % self.range) as f64
        };
        let points: Vec<[f64; 3]> = (0..self.size)
            .map(|_| [coordinate(), coordinate(), coordinate()])
            .collect();
        CondensedMatrix::from_fn(self.size, |i, j| {
            let squares = points[i]
                .iter()
                .zip(points[j])
                .map(|(a, b)| (a - b) * (a - b));
            squares.sum::<f64>().sqrt()
        })
        .unwrap()
    }
}

#[test]
fn every_linkage_equals_scipy_row_for_row() {
    let without_ties = Golden::all().into_iter().filter(|golden| golden.range > 4);
    let mut sizes = Vec::new();
    for golden in without_ties {
        sizes.push(golden.size);
        let distances = golden.distances();
        for (name, expected) in golden.steps {
            let dendrogram = linkage(&distances, name.parse().unwrap()).unwrap();
            assert_eq!(dendrogram.steps().len(), expected.len());
            for (step, [left, right, height, size]) in dendrogram.steps().iter().zip(expected) {
                let found = (step.left as f64, step.right as f64, step.size as f64);
                assert_eq!(found, (left, right, size), "{name} {}", golden.size);
                // Both compute in f64, but in another order; centroid and median subtract squares.
                assert!((step.height - height).abs() <= 1e-9 * height, "{name}");
            }
        }
    }
    assert_eq!(sizes, [2, 3, 5, 10, 40, 200]);
}

/// Which of several equal distances merges first decides what follows, except in single linkage.
#[test]
fn with_ties_single_linkage_has_the_heights_of_scipy_and_all_begin_as_it_does() {
    let with_ties = Golden::all().into_iter().filter(|golden| golden.range == 4);
    for golden in with_ties {
        let distances = golden.distances();
        for (name, expected) in &golden.steps {
            let found = linkage(&distances, name.parse().unwrap()).unwrap();
            let heights: Vec<f64> = found.steps().iter().map(|step| step.height).collect();
            let expected: Vec<f64> = expected.iter().map(|step| step[2]).collect();
            assert_eq!(heights.first(), expected.first(), "{name}");
            // Equal points are merged first of all, whatever the order.
            let equal = |heights: &[f64]| heights.iter().filter(|&&height| height == 0.0).count();
            assert_eq!(equal(&heights), equal(&expected), "{name}");
            if name == "single" {
                assert_eq!(heights, expected);
            }
        }
    }
}

/// Lance and Williams by definition: the nearest two clusters merge, all distances are updated.
fn slow_linkage(distances: &CondensedMatrix, method: Linkage) -> Vec<(usize, usize, f64, usize)> {
    let size = distances.size();
    let mut table: HashMap<(usize, usize), f64> = HashMap::new();
    for (i, j, distance) in distances.pairs() {
        table.insert((i, j), distance);
    }
    let mut sizes: HashMap<usize, usize> = (0..size).map(|point| (point, 1)).collect();
    let mut steps = Vec::new();
    for step in 0..size - 1 {
        let (&(i, j), &between) = table.iter().min_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        let (n_i, n_j) = (sizes.remove(&i).unwrap(), sizes.remove(&j).unwrap());
        let new = size + step;
        let mut get = |a: usize, b: usize| table.remove(&(a.min(b), a.max(b))).unwrap();
        get(i, j);
        let mut updated = Vec::new();
        for (&k, &n_k) in &sizes {
            let (to_i, to_j) = (get(k, i), get(k, j));
            let (a, b, c) = (n_i as f64, n_j as f64, n_k as f64);
            let distance = match method {
                Linkage::Single => to_i.min(to_j),
                Linkage::Complete => to_i.max(to_j),
                Linkage::Average => (a * to_i + b * to_j) / (a + b),
                Linkage::Weighted => (to_i + to_j) / 2.0,
                Linkage::Ward => (((a + c) * to_i.powi(2) + (b + c) * to_j.powi(2)
                    - c * between.powi(2))
                    / (a + b + c))
                    .sqrt(),
                Linkage::Centroid => ((a * to_i.powi(2) + b * to_j.powi(2)) / (a + b)
                    - a * b * between.powi(2) / (a + b).powi(2))
                .max(0.0)
                .sqrt(),
                _ => ((to_i.powi(2) + to_j.powi(2)) / 2.0 - between.powi(2) / 4.0)
                    .max(0.0)
                    .sqrt(),
            };
            updated.push(((k, new), distance));
        }
        table.extend(updated);
        sizes.insert(new, n_i + n_j);
        steps.push((i, j, between, n_i + n_j));
    }
    steps
}

/// Points in general position, so that no two distances are equal.
fn points() -> impl Strategy<Value = Vec<[f64; 3]>> {
    prop::collection::vec(prop::array::uniform3(-1.0..1.0_f64), 1..16)
}

fn euclidean(points: &[[f64; 3]], scale: f64) -> CondensedMatrix {
    CondensedMatrix::from_fn(points.len(), |i, j| {
        let squares = points[i]
            .iter()
            .zip(points[j])
            .map(|(a, b)| (a - b).powi(2));
        squares.sum::<f64>().sqrt() * scale
    })
    .unwrap()
}

/// More points than in the properties below, of which all, many or few are each other's nearest.
fn larger_inputs() -> Vec<CondensedMatrix> {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let scattered: Vec<_> = (0..150)
        .map(|_| [uniform(), uniform(), uniform()])
        .collect();
    let growing = (0..70).map(|index| [1.2_f64.powi(index), 0.0, 0.0]);
    let paired = scattered.iter().take(40).flat_map(|&[x, y, z]| {
        let apart = 1e-3 * (x + y);
        [[x, y, z], [x + apart, y, z]]
    });
    let growing: Vec<_> = growing.collect();
    let paired: Vec<_> = paired.collect();
    // The same from the other end, and both kinds in turn.
    let shrinking: Vec<_> = growing.iter().rev().copied().collect();
    let mixed: Vec<_> = (growing.iter().zip(&scattered))
        .flat_map(|(&[x, ..], &[u, v, w])| [[x, 0.0, 0.0], [1e3 * u, 1e3 * v, 1e3 * w]])
        .collect();
    [scattered, growing, paired, shrinking, mixed]
        .iter()
        .map(|points| euclidean(points, 1.0))
        .collect()
}

#[test]
fn neither_rounds_nor_chains_nor_memory_change_a_linkage() {
    for distances in larger_inputs() {
        let singles: Vec<f32> = distances.values().iter().map(|&d| d as f32).collect();
        let widened = singles.iter().copied().map(f64::from).collect();
        let singles = CondensedMatrix::new(distances.size(), singles).unwrap();
        let widened = CondensedMatrix::new(distances.size(), widened).unwrap();
        for method in Linkage::ALL {
            let found = linkage(&distances, method).unwrap();
            for (step, expected) in found.steps().iter().zip(slow_linkage(&distances, method)) {
                let (left, right, height, size) = expected;
                assert_eq!(
                    (step.left, step.right, step.size),
                    (left, right, size),
                    "{method}"
                );
                let error = (step.height - height).abs();
                assert!(error <= 1e-9 * height, "{method} {} {height}", step.height);
            }
            let of_singles = linkage(&singles, method).unwrap();
            assert_eq!(linkage(&widened, method).unwrap(), of_singles);
        }
    }
}

/// Distances of so many points that are often the same.
fn with_ties(points: Range<usize>, distances: Range<u8>) -> impl Strategy<Value = CondensedMatrix> {
    let values = move |size| prop::collection::vec(distances.clone(), size * (size - 1) / 2);
    let of_size = move |size| (Just(size), values(size));
    points.prop_flat_map(of_size).prop_map(|(size, values)| {
        let values = values.into_iter().map(f64::from).collect();
        CondensedMatrix::new(size, values).unwrap()
    })
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn every_linkage_is_that_of_lance_and_williams(points in points()) {
        let distances = euclidean(&points, 1.0);
        for method in Linkage::ALL {
            let found = linkage(&distances, method).unwrap();
            let expected = slow_linkage(&distances, method);
            for (step, (left, right, height, size)) in found.steps().iter().zip(expected) {
                prop_assert_eq!((step.left, step.right, step.size), (left, right, size), "{}", method);
                prop_assert!((step.height - height).abs() <= 1e-9, "{} {}", step.height, height);
            }
        }
    }

    #[test]
    fn neither_order_nor_scale_matters(points in points(), exponent in -900..900_i32) {
        let distances = euclidean(&points, 1.0);
        let reversed: Vec<_> = points.iter().rev().copied().collect();
        let reversed = euclidean(&reversed, 1.0);
        let scaled = euclidean(&points, 2.0_f64.powi(exponent));
        for method in Linkage::ALL {
            let expected = linkage(&distances, method).unwrap();
            let backwards = linkage(&reversed, method).unwrap();
            let scaled = linkage(&scaled, method).unwrap();
            for clusters in 1..=points.len() {
                let expected = expected.cut_into(clusters).unwrap();
                prop_assert_eq!(expected.count(), clusters);
                let mut labels = backwards.cut_into(clusters).unwrap().labels().to_vec();
                labels.reverse();
                prop_assert_eq!(&Partition::from_labels(&labels), &expected, "{}", method);
                prop_assert_eq!(&scaled.cut_into(clusters).unwrap(), &expected, "{}", method);
            }
        }
    }

    #[test]
    fn hostile_distances_never_give_a_height_that_is_no_number(
        (size, values) in (1_usize..7).prop_flat_map(|size| {
            let value = prop_oneof![
                Just(0.0), Just(f64::MAX), Just(f64::MIN_POSITIVE / 8.0), Just(1e-200), Just(1e300),
                0.0..1.0_f64,
            ];
            (Just(size), prop::collection::vec(value, size * (size - 1) / 2))
        }),
    ) {
        let distances = CondensedMatrix::new(size, values).unwrap();
        for method in Linkage::ALL {
            let dendrogram = linkage(&distances, method).unwrap();
            for step in dendrogram.steps() {
                prop_assert!(step.height.is_finite() && step.height >= 0.0, "{} {:?}", method, step);
            }
            for clusters in 1..=size {
                prop_assert_eq!(dendrogram.cut_into(clusters).unwrap().count(), clusters);
            }
        }
    }
}

#[test]
fn invalid_distances_are_rejected() {
    for value in [-1.0, f64::INFINITY] {
        let distances = CondensedMatrix::new(3, vec![1.0, value, 1.0]).unwrap();
        for method in Linkage::ALL {
            let error = linkage(&distances, method).unwrap_err();
            let (row, column) = (0, 2);
            assert_eq!(error, ClusteringError::Distance { row, column, value });
        }
    }
    let good = &larger_inputs()[0];
    for (index, (row, column, _)) in good.pairs().enumerate().step_by(7) {
        for value in [-1.0, f64::INFINITY] {
            let mut values = good.values().to_vec();
            values[index] = value;
            let distances = CondensedMatrix::new(good.size(), values).unwrap();
            for method in [Linkage::Single, Linkage::Average, Linkage::Median] {
                let error = linkage(&distances, method).unwrap_err();
                assert_eq!(error, ClusteringError::Distance { row, column, value });
            }
        }
    }
    assert!(CondensedMatrix::new(2, vec![f64::NAN]).is_err());
    let none = CondensedMatrix::<f64>::new(0, vec![]).unwrap();
    assert_eq!(linkage(&none, Linkage::Ward), Err(ClusteringError::Empty));
}

#[test]
fn equal_points_are_cut_into_exactly_as_many_clusters_as_asked_for() {
    let distances = CondensedMatrix::new(5, vec![0.0; 10]).unwrap();
    for method in Linkage::ALL {
        let dendrogram = linkage(&distances, method).unwrap();
        for clusters in 1..=5 {
            assert_eq!(dendrogram.cut_into(clusters).unwrap().count(), clusters);
        }
        assert!(dendrogram.cut_into(6).is_err());
        assert!(dendrogram.cut_into(0).is_err());
        assert_eq!(dendrogram.cut_at_widest_gap().partition.count(), 1);
    }
}

#[test]
fn the_widest_gap_separates_what_is_far_apart() {
    let points = [0.0_f64, 1.0, 2.5, 50.0, 51.2];
    let distances = CondensedMatrix::from_fn(5, |i, j| (points[i] - points[j]).abs()).unwrap();
    let gap = linkage(&distances, Linkage::Single)
        .unwrap()
        .cut_at_widest_gap();
    assert_eq!(gap.partition.labels(), [0, 0, 0, 1, 1]);
    assert!((gap.ratio - 47.5 / 1.5).abs() < 1e-12);
}

/// Points closer than the height, joined transitively: single linkage by definition.
fn joined_below(distances: &CondensedMatrix, height: f64) -> Partition {
    let mut labels: Vec<usize> = (0..distances.size()).collect();
    for (i, j, distance) in distances.pairs() {
        if distance <= height {
            let (from, to) = (labels[j], labels[i]);
            labels
                .iter_mut()
                .filter(|label| **label == from)
                .for_each(|label| *label = to);
        }
    }
    Partition::from_labels(&labels)
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn single_linkage_joins_what_is_connected(
        distances in with_ties(1_usize..9, 0_u8..6),
        height in 0_u8..6,
    ) {
        let found = linkage(&distances, Linkage::Single).unwrap().cut_at(f64::from(height));
        prop_assert_eq!(found, joined_below(&distances, f64::from(height)));
    }

    #[test]
    fn cophenetic_distances_are_heights_of_first_joins(
        distances in with_ties(1_usize..9, 0_u8..9),
    ) {
        for method in Linkage::ALL {
            let dendrogram = linkage(&distances, method).unwrap();
            let found = dendrogram.cophenetic_distances().unwrap();
            prop_assert_eq!(found.size(), distances.size());
            for (first, second, height) in found.pairs() {
                let join = dendrogram.steps().iter().enumerate().find(|&(step, _)| {
                    let partition = dendrogram.cut_into(distances.size() - 1 - step).unwrap();
                    partition.labels()[first] == partition.labels()[second]
                });
                prop_assert_eq!(join.map(|(_, step)| step.height), Some(height));
            }
        }
    }

    #[test]
    fn every_dendrogram_merges_all_points_once(
        distances in with_ties(1_usize..12, 0_u8..5),
    ) {
        for method in Linkage::ALL {
            let dendrogram = linkage(&distances, method).unwrap();
            let mut merged: Vec<usize> =
                dendrogram.steps().iter().flat_map(|step| [step.left, step.right]).collect();
            merged.sort_unstable();
            prop_assert_eq!(merged, (0..2 * (distances.size() - 1)).collect::<Vec<_>>());
            prop_assert_eq!(dendrogram.steps().last().map_or(1, |step| step.size), distances.size());
        }
    }
}
