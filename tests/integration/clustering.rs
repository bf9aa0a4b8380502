//! Agglomerative clustering against scipy and by its definition.

use std::collections::HashMap;

use mother::clustering::{ClusteringError, Linkage, Partition, linkage};
use mother::condensed::CondensedMatrix;
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Golden {
    size: usize,
    distances: Vec<f64>,
    steps: HashMap<String, Vec<[f64; 4]>>,
}

#[test]
fn every_linkage_equals_scipy_row_for_row() {
    let goldens: Vec<Golden> =
        serde_json::from_str(include_str!("../golden/linkage/linkage.json")).unwrap();
    for golden in goldens {
        let distances = CondensedMatrix::new(golden.size, golden.distances).unwrap();
        for (name, expected) in golden.steps {
            let dendrogram = linkage(&distances, name.parse().unwrap()).unwrap();
            assert_eq!(dendrogram.steps().len(), expected.len());
            for (step, [left, right, height, size]) in dendrogram.steps().iter().zip(expected) {
                let found = (step.left as f64, step.right as f64, step.size as f64);
                assert_eq!(found, (left, right, size), "{name} {}", golden.size);
                // Both compute in f64, but in another order.
                assert!((step.height - height).abs() <= 1e-12 * height, "{name}");
            }
        }
    }
}

#[test]
fn what_is_no_distance_is_refused() {
    for value in [-1.0, f64::INFINITY] {
        let distances = CondensedMatrix::new(3, vec![1.0, value, 1.0]).unwrap();
        for method in Linkage::ALL {
            let error = linkage(&distances, method).unwrap_err();
            let (row, column) = (0, 2);
            assert_eq!(error, ClusteringError::Distance { row, column, value });
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
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn single_linkage_joins_what_is_connected(
        (size, values) in (1_usize..9).prop_flat_map(|size| {
            (Just(size), prop::collection::vec(0_u8..6, size * (size - 1) / 2))
        }),
        height in 0_u8..6,
    ) {
        let values = values.into_iter().map(f64::from).collect();
        let distances = CondensedMatrix::new(size, values).unwrap();
        let found = linkage(&distances, Linkage::Single).unwrap().cut_at(f64::from(height));
        prop_assert_eq!(found, joined_below(&distances, f64::from(height)));
    }

    #[test]
    fn every_dendrogram_merges_all_points_once(
        (size, values) in (1_usize..12).prop_flat_map(|size| {
            (Just(size), prop::collection::vec(0_u8..5, size * (size - 1) / 2))
        }),
    ) {
        let values = values.into_iter().map(f64::from).collect();
        let distances = CondensedMatrix::new(size, values).unwrap();
        for method in Linkage::ALL {
            let dendrogram = linkage(&distances, method).unwrap();
            let mut merged: Vec<usize> =
                dendrogram.steps().iter().flat_map(|step| [step.left, step.right]).collect();
            merged.sort_unstable();
            prop_assert_eq!(merged, (0..2 * (size - 1)).collect::<Vec<_>>());
            prop_assert_eq!(dendrogram.steps().last().map_or(1, |step| step.size), size);
        }
    }
}
