//! Numbers as distances: every linkage and every cut beside slow ones.

use mother::clustering::{Dendrogram, Linkage, Partition, Step, linkage};
use mother::condensed::CondensedMatrix;
use mother::invariants::{dendrogram, monotone_heights, nested};

use super::bytes::Bytes;

pub(crate) fn check(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let points = bytes.below(11);
    let hostile = bytes.below(4) == 0;
    let mut value = || {
        if hostile {
            bytes.number()
        } else {
            bytes.distance()
        }
    };
    let pairs = points * points.saturating_sub(1) / 2;
    let values: Vec<f64> = (0..pairs).map(|_| value()).collect();
    let invalid = values.iter().any(|value| value.is_nan());
    let Ok(distances) = CondensedMatrix::new(points, values.clone()) else {
        assert!(invalid);
        return;
    };
    let refused = points == 0
        || values
            .iter()
            .any(|value| !(value.is_finite() && *value >= 0.0));
    for method in Linkage::ALL {
        let found = linkage(&distances, method);
        let Ok(found) = found else {
            assert!(refused);
            continue;
        };
        assert!(!refused);
        assert_eq!(dendrogram(points, found.steps()), Ok(()));
        assert_eq!(monotone_heights(method, found.steps()), Ok(()));
        assert_eq!(
            Dendrogram::new(points, found.steps().to_vec()).as_ref(),
            Ok(&found)
        );
        check_cuts(&found);
        check_heights(&distances, method, found.steps());
    }
}

/// The points of each cluster that is left when some steps are done.
fn joined(points: usize, steps: &[Step], done: impl Fn(usize) -> bool) -> Partition {
    let mut members: Vec<Vec<usize>> = (0..points).map(|point| vec![point]).collect();
    let mut labels: Vec<usize> = (0..points).collect();
    for (number, step) in steps.iter().enumerate() {
        let union = [&members[step.left][..], &members[step.right]].concat();
        if done(number) {
            let label = labels[union[0]];
            union.iter().for_each(|&point| labels[point] = label);
        }
        members.push(union);
    }
    Partition::from_labels(&labels)
}

fn check_cuts(found: &Dendrogram) {
    let (points, steps) = (found.size(), found.steps());
    assert!(found.cut_into(0).is_err() && found.cut_into(points + 1).is_err());
    let mut coarser = found.cut_into(1).unwrap();
    for clusters in 1..=points {
        let cut = found.cut_into(clusters).unwrap();
        assert_eq!(cut.count(), clusters);
        assert_eq!(cut, joined(points, steps, |step| step < points - clusters));
        assert_eq!(nested(cut.labels(), coarser.labels()), Ok(()));
        coarser = cut;
    }
    // A step counts when all below it do.
    let mut highest: Vec<f64> = Vec::new();
    for step in steps {
        let below = |label: usize| label.checked_sub(points).map_or(0.0, |step| highest[step]);
        highest.push(step.height.max(below(step.left)).max(below(step.right)));
    }
    for step in steps {
        for height in [step.height, step.height.next_down(), step.height.next_up()] {
            let expected = joined(points, steps, |step| highest[step] <= height);
            assert_eq!(found.cut_at(height), expected);
        }
    }
    assert_eq!(found.cut_at(f64::NAN).count(), points);
    assert_eq!(found.cut_at(f64::INFINITY).count(), 1);
    let gap = found.cut_at_widest_gap();
    assert!(gap.ratio >= 1.0);
    assert_eq!(
        gap.partition,
        found.cut_into(gap.partition.count()).unwrap()
    );
}

/// Heights by the definition of Lance and Williams in the units of the largest distance; `None` where
/// two distances are so close that it is a matter of rounding which of them is merged first.
fn slow_heights(distances: &CondensedMatrix, method: Linkage, unit: f64) -> Option<Vec<f64>> {
    let mut clusters: Vec<f64> = vec![1.0; distances.size()];
    let mut table: Vec<Vec<f64>> = (0..distances.size())
        .map(|i| {
            let row = (0..distances.size()).map(|j| distances.distance(i, j).unwrap() / unit);
            row.collect()
        })
        .collect();
    let mut heights = Vec::new();
    while clusters.len() > 1 {
        let mut nearest = (f64::INFINITY, 0, 1);
        let mut next = f64::INFINITY;
        for (j, row) in table.iter().enumerate() {
            for (i, &distance) in row[..j].iter().enumerate() {
                if distance < nearest.0 {
                    next = nearest.0;
                    nearest = (distance, i, j);
                } else {
                    next = next.min(distance);
                }
            }
        }
        let (height, i, j) = nearest;
        if next - height < 1e-6 {
            return None;
        }
        heights.push(height);
        let (a, b) = (clusters[i], clusters[j]);
        let merged: Vec<f64> = (0..clusters.len())
            .map(|k| {
                let (to_i, to_j, c) = (table[i][k], table[j][k], clusters[k]);
                let square: f64 = match method {
                    Linkage::Single => return to_i.min(to_j),
                    Linkage::Complete => return to_i.max(to_j),
                    Linkage::Average => return (a * to_i + b * to_j) / (a + b),
                    Linkage::Weighted => return 0.5 * to_i + 0.5 * to_j,
                    Linkage::Ward => {
                        let from = (a + c) * to_i * to_i + (b + c) * to_j * to_j;
                        (from - c * height * height) / (a + b + c)
                    }
                    Linkage::Centroid => {
                        let (p, q) = (a / (a + b), b / (a + b));
                        p * to_i * to_i + q * to_j * to_j - p * q * height * height
                    }
                    _ => 0.5 * to_i * to_i + 0.5 * to_j * to_j - 0.25 * height * height,
                };
                square.max(0.0).sqrt()
            })
            .collect();
        for k in 0..clusters.len() {
            table[i][k] = merged[k];
            table[k][i] = merged[k];
        }
        clusters[i] = a + b;
        clusters.remove(j);
        table.remove(j);
        table.iter_mut().for_each(|row| {
            row.remove(j);
        });
    }
    Some(heights)
}

fn check_heights(distances: &CondensedMatrix, method: Linkage, steps: &[Step]) {
    let largest = distances.values().iter().fold(0.0_f64, |a, &b| a.max(b));
    if method == Linkage::Single {
        assert_eq!(spanning_heights(distances), heights(steps));
    }
    // So that a unit divides without rounding.
    let unit = largest.max(f64::MIN_POSITIVE).log2().floor().exp2();
    let Some(expected) = slow_heights(distances, method, unit) else {
        return;
    };
    for (step, expected) in steps.iter().zip(expected) {
        let found = step.height / unit;
        // A square is exact to about 1e-14 of the largest, its root to that of the root.
        let error = (found - expected).abs();
        assert!(error < 1e-6, "{method}: {found} {expected}");
    }
}

fn heights(steps: &[Step]) -> Vec<f64> {
    steps.iter().map(|step| step.height).collect()
}

/// The edges of a minimum spanning tree, by joining the nearest points that are apart still.
fn spanning_heights(distances: &CondensedMatrix) -> Vec<f64> {
    let mut pairs: Vec<_> = distances.pairs().collect();
    pairs.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut labels: Vec<usize> = (0..distances.size()).collect();
    let mut heights = Vec::new();
    for (i, j, distance) in pairs {
        let (from, to) = (labels[i], labels[j]);
        if from != to {
            heights.push(distance + 0.0);
            labels
                .iter_mut()
                .filter(|label| **label == from)
                .for_each(|label| *label = to);
        }
    }
    heights
}
