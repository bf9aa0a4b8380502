//! Numbers at the edges: means far from zero, counts far beyond memory, differences of a few bits,
//! and weights of any magnitude, against exact integers.

use mother::Scalar;
use mother::arborescence::{Arborescence, DenseDigraph, Root, minimum_arborescence_certified};
use mother::clustering::{Linkage, linkage};
use mother::condensed::CondensedMatrix;
use mother::evidence::{CopyKind, Evidence, Measurement};
use mother::invariants::dual_certificate;
use mother::moments::Moments;
use mother::weights::InMemoryModel;

use crate::noise::Noise;
use crate::signed;

/// Whole numbers with a long tail to the right, from -40 up.
fn skewed(count: usize) -> Vec<i64> {
    let mut noise = Noise::new(5);
    let mut draw = || (noise.next() * 20.0) as i64;
    (0..count)
        .map(|_| draw().max(-40) + draw().pow(2) / 8)
        .collect()
}

/// Variance, skewness and kurtosis of whole numbers: sums of powers in integers, one rounding each.
fn exact(values: &[i64]) -> [f64; 3] {
    let n = values.len() as i128;
    let sum: i128 = values.iter().map(|&value| i128::from(value)).sum();
    // n times the deviations, so that they are whole.
    let power = |exponent: u32| -> f64 {
        let deviations = values.iter().map(|&value| n * i128::from(value) - sum);
        let sum: i128 = deviations.map(|deviation| deviation.pow(exponent)).sum();
        sum as f64 / (n as f64).powi(exponent as i32 + 1)
    };
    let [second, third, fourth] = [2, 3, 4].map(power);
    [second, third / second.powf(1.5), fourth / (second * second)]
}

fn shape(moments: &Moments) -> [f64; 3] {
    [
        moments.variance().unwrap(),
        moments.skewness().unwrap(),
        moments.kurtosis().unwrap(),
    ]
}

fn assert_close(found: [f64; 3], expected: [f64; 3], tolerance: f64) {
    for (found, expected) in found.into_iter().zip(expected) {
        let error = (found - expected).abs() / expected.abs();
        assert!(error <= tolerance, "{found} {expected}: {error:e}");
    }
}

#[test]
fn moments_of_values_a_million_and_a_hundred_million_deviations_from_zero() {
    let values = skewed(10_000);
    let expected = exact(&values);
    let deviation = expected[0].sqrt();
    for ratio in [0.0, 1.0, 1e3, 1e6, 1e8] {
        let shift = (ratio * deviation) as i64;
        for sign in [1, -1] {
            let shifted = values.iter().map(|value| value + sign * shift);
            let double: Vec<f64> = shifted.clone().map(|value| value as f64).collect();
            assert_close(shape(&Moments::of(&double).unwrap()), expected, 1e-12);
            if ratio <= 1e3 {
                let single: Vec<f32> = shifted.map(|value| value as f32).collect();
                assert_close(shape(&Moments::of(&single).unwrap()), expected, 1e-12);
            }
        }
    }
}

#[test]
fn single_values_and_constants_of_any_magnitude() {
    fn check<T: Scalar>(value: T) {
        for count in [1, 2, 63, 4096, 10_001] {
            let moments = Moments::of(&vec![value; count]).unwrap();
            assert_eq!(moments.count(), count as u64);
            assert_eq!(moments.mean(), Some(value.widen()));
            assert_eq!(moments.variance(), Some(0.0));
            assert_eq!((moments.skewness(), moments.kurtosis()), (None, None));
        }
    }
    for value in [0.0, 1.0, -0.1, 1e300, -f64::MAX, 1e-300, 5e-324] {
        check(value);
    }
    for value in [0.1_f32, f32::MAX, -1e-45] {
        check(value);
    }
}

#[test]
fn a_million_million_values_by_merging() {
    let values = skewed(4096);
    let expected = exact(&values);
    let double: Vec<f64> = values.iter().map(|&value| value as f64 + 1e6).collect();
    let mut moments = Moments::of(&double).unwrap();
    let mean = moments.mean().unwrap();
    for doublings in 1..=28 {
        moments.merge(&moments.clone());
        assert_eq!(moments.count(), 4096 << doublings);
    }
    assert_eq!(moments.count(), 1 << 40);
    assert_eq!(moments.mean(), Some(mean));
    assert_close(shape(&moments), expected, 1e-12);

    // One value more, far away: of n zeros and a one the central moments are known.
    let mut zeros = Moments::of(&[0.0_f64]).unwrap();
    for _ in 0..40 {
        zeros.merge(&zeros.clone());
    }
    zeros.merge(&Moments::of(&[1.0_f64]).unwrap());
    let n = (1_u64 << 40) as f64;
    let q = 1.0 / (n + 1.0);
    let variance = q * (1.0 - q);
    let kurtosis = (1.0 - 3.0 * variance) / variance;
    let found = [zeros.variance().unwrap(), zeros.kurtosis().unwrap()];
    for (found, expected) in found.into_iter().zip([variance, kurtosis]) {
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }
}

/// A parent and a child whose weights are these whole numbers in units of 2 to the power `exponent`.
fn pair<T: Scalar>(parent: &[i64], step: &[i64], exponent: i32) -> Pair
where
    mother::weights::WeightValues<'static>: From<Vec<T>>,
{
    let unit = 2.0_f64.powi(exponent);
    let weights = |values: &mut dyn Iterator<Item = i64>| -> Vec<T> {
        values.map(|value| T::narrow(value as f64 * unit)).collect()
    };
    let model = |name, values: &mut dyn Iterator<Item = i64>| {
        let shape = [8, parent.len() / 8];
        InMemoryModel::new(name)
            .with_layer("w", shape, weights(values))
            .unwrap()
    };
    let child = model("child", &mut parent.iter().zip(step).map(|(a, b)| a + b));
    let parent = model("parent", &mut parent.iter().copied());
    Pair {
        exact: Measurement::new()
            .measure(&[child.clone(), parent.clone()])
            .unwrap(),
        signed: signed::evidence(&[child, parent]),
    }
}

/// The evidence of exact distances, and that of signatures.
struct Pair {
    exact: Evidence,
    signed: Evidence,
}

impl Pair {
    fn exact_distance(&self) -> f64 {
        self.exact.groups[0].distances().values()[0]
    }

    fn signed_distance(&self) -> f64 {
        self.signed.groups[0].distances().values()[0]
    }
}

/// Five standard errors of a distance that is the root of an estimate from eight groups of 32 numbers:
/// half of √(2 / 256) each.
const ESTIMATED: f64 = 5.0 * 0.5 * 0.0884;

#[test]
fn distances_of_models_that_differ_by_a_millionth_of_their_norm() {
    let mut noise = Noise::new(7);
    let mut draw = |scale: f64, limit: f64| -> Vec<i64> {
        (0..40_000)
            .map(|_| (noise.next() * scale).clamp(-limit, limit) as i64)
            .collect()
    };
    // 24 bits hold parent and child, and the step is of a few of the last ones.
    let single = (draw(2e6, 7e6), draw(3.0, 9.0));
    let double = (draw(1e15, 4e15), draw(1e9, 4e9));
    let ratio = |values: &(Vec<i64>, Vec<i64>)| {
        let norm = |values: &[i64]| -> f64 {
            let squares = values.iter().map(|&value| i128::from(value).pow(2));
            (squares.sum::<i128>() as f64).sqrt()
        };
        (norm(&values.1), norm(&values.1) / norm(&values.0))
    };
    for exponent in [-24, -60, -120, 60] {
        let (distance, relative) = ratio(&single);
        assert!((0.5e-6..2e-6).contains(&relative), "{relative:e}");
        let unit = 2.0_f64.powi(exponent);
        // What the pairwise module promises for single and for double precision.
        for (pair, bound) in [
            (pair::<f32>(&single.0, &single.1, exponent), 3.6e-7),
            (pair::<f64>(&single.0, &single.1, exponent), 1e-14),
        ] {
            let error = (pair.exact_distance() / (distance * unit) - 1.0).abs();
            assert!(error < bound, "{error:e} at 2^{exponent}");
            let error = (pair.signed_distance() / (distance * unit) - 1.0).abs();
            assert!(
                error < ESTIMATED,
                "{error:e} at 2^{exponent}, from signatures"
            );
        }
        let (distance, relative) = ratio(&double);
        assert!((0.5e-6..2e-6).contains(&relative), "{relative:e}");
        let pair = pair::<f64>(&double.0, &double.1, exponent);
        assert!((pair.exact_distance() / (distance * unit) - 1.0).abs() < 1e-14);
        let error = (pair.signed_distance() / (distance * unit) - 1.0).abs();
        assert!(
            error < ESTIMATED,
            "{error:e} at 2^{exponent}, from signatures"
        );
    }
}

/// The squares of such differences are zero in double precision; the models are not.
#[test]
fn models_that_differ_by_less_than_a_square_can_show_are_no_duplicates() {
    let model = |name, last| {
        InMemoryModel::new(name)
            .with_layer("w", [2, 2], vec![1e-200, 2e-200, 3e-200, last])
            .unwrap()
    };
    let models = [model("a", 4e-200), model("b", 5e-200), model("c", 5e-200)];
    let exact = Measurement::new().measure(&models).unwrap();
    assert_eq!(exact.groups[0].distances().values(), [0.0; 3]);
    let evidence = signed::evidence(&models);
    let group = &evidence.groups[0];
    assert_eq!(group.distances().values(), [0.0; 3]);
    let copies: Vec<_> = (group.copies().iter())
        .map(|copy| (copy.copy, copy.original, copy.kind))
        .collect();
    assert_eq!(copies, [(2, 1, CopyKind::Duplicate)]);
}

#[cfg(feature = "svd")]
#[test]
fn ranks_at_the_edge_of_every_tolerance() {
    use mother::rank::{MatrixView, Tolerance, singular_values};

    let diagonal = |values: [f64; 4]| {
        let mut matrix = vec![0.0; 16];
        for (index, value) in values.into_iter().enumerate() {
            matrix[5 * index] = value;
        }
        singular_values(MatrixView::new(&matrix, 4, 4).unwrap()).unwrap()
    };
    // One unit below and above the edge, for each singular value and at every scale.
    for exponent in [-1000, -500, -30, 0, 30, 500, 1000] {
        let unit = 2.0_f64.powi(exponent);
        let found = diagonal([8.0 * unit, 4.0 * unit, 2.0 * unit, unit]);
        for (index, &value) in found.values().iter().enumerate() {
            let absolute = |edge: f64| found.rank(Tolerance::Absolute(edge)).unwrap().value();
            assert_eq!(absolute(value), index, "strictly above {value:e}");
            assert_eq!(absolute(value.next_down()), index + 1);
            assert_eq!(absolute(value.next_up()), index);
            let ratio = value / found.largest();
            let relative = |edge: f64| found.rank(Tolerance::Relative(edge)).unwrap().value();
            let numpy = |epsilon: f64| found.rank(Tolerance::Numpy { epsilon }).unwrap().value();
            assert_eq!(relative(ratio * (1.0 + 1e-14)), index);
            assert_eq!(relative(ratio * (1.0 - 1e-14)), index + 1);
            assert_eq!(numpy(ratio / 4.0 * (1.0 + 1e-14)), index);
            assert_eq!(numpy(ratio / 4.0 * (1.0 - 1e-14)), index + 1);
        }
        let rounding = |deviation: f64| {
            let tolerance = Tolerance::RoundingNoise { deviation };
            found.rank(tolerance).unwrap().value()
        };
        // The edge is 1.05 times the deviation times (√4 + √4).
        assert_eq!(rounding(2.0 * unit / 4.2 * (1.0 + 1e-12)), 2);
        assert_eq!(rounding(2.0 * unit / 4.2 * (1.0 - 1e-12)), 3);
        assert_eq!(rounding(f64::MAX), 0);
        assert_eq!(found.rank(Tolerance::Absolute(0.0)).unwrap().value(), 4);
        assert_eq!(found.rank(Tolerance::Relative(1.0)).unwrap().value(), 0);
        assert_eq!(found.rank(Tolerance::Relative(0.0)).unwrap().value(), 4);
        for bad in [f64::NAN, f64::INFINITY, -1.0, -f64::MIN_POSITIVE] {
            for tolerance in [
                Tolerance::Absolute(bad),
                Tolerance::Relative(bad),
                Tolerance::Numpy { epsilon: bad },
                Tolerance::RoundingNoise { deviation: bad },
            ] {
                assert!(found.rank(tolerance).is_err(), "{tolerance:?}");
            }
        }
    }
}

#[test]
fn equal_distances_of_any_magnitude() {
    let magnitudes = [0.0, 5e-324, 1e-300, 1e-150, 1.0, 1e150, 1e300, f64::MAX];
    for points in 1..=24_usize {
        for distance in magnitudes {
            let distances = CondensedMatrix::from_fn(points, |_, _| distance).unwrap();
            for method in Linkage::ALL {
                let dendrogram = match linkage(&distances, method) {
                    Ok(dendrogram) => dendrogram,
                    Err(error) => panic!("{method} of {points} at {distance:e}: {error}"),
                };
                let heights = dendrogram.steps().iter().map(|step| step.height);
                let flat = matches!(
                    method,
                    Linkage::Single | Linkage::Complete | Linkage::Average | Linkage::Weighted
                );
                if flat {
                    assert!(heights.clone().all(|height| height == distance), "{method}");
                }
                if let Some(first) = dendrogram.steps().first() {
                    assert_eq!((first.left, first.right, first.height), (0, 1, distance));
                }
                assert!(heights.clone().all(f64::is_finite));
                assert_eq!(dendrogram.steps().len(), points - 1);
                for clusters in 1..=points {
                    assert_eq!(dendrogram.cut_into(clusters).unwrap().count(), clusters);
                }
                assert!(dendrogram.cut_at_widest_gap().ratio >= 1.0);
            }
        }
    }
}

/// The lightest weight of any tree, by trying every parent of every node; sums are exact.
fn lightest(size: usize, weight: impl Fn(usize, usize) -> i128) -> i128 {
    let mut best = i128::MAX;
    for root in 0..size {
        let choices = (0..size - 1).map(|_| size - 1).product();
        for mut choice in 0..choices {
            let mut parents = vec![None; size];
            for node in (0..size).filter(|&node| node != root) {
                let parent = choice % (size - 1);
                choice /= size - 1;
                parents[node] = Some(parent + usize::from(parent >= node));
            }
            let leads = |mut node: usize| {
                (0..size).any(|_| match parents[node] {
                    Some(parent) => {
                        node = parent;
                        false
                    }
                    None => true,
                })
            };
            if (0..size).all(leads) {
                let edges = parents.iter().enumerate();
                let sum = edges.filter_map(|(to, from)| from.map(|from| weight(from, to)));
                best = best.min(sum.sum());
            }
        }
    }
    best
}

fn certified(digraph: &DenseDigraph, root: Root, tolerance: f64) -> Arborescence {
    let (tree, certificate) = minimum_arborescence_certified(digraph, root).unwrap();
    let sets: Vec<_> = certificate.sets().collect();
    let proved = dual_certificate(digraph, root, tree.parents(), &sets, tolerance);
    assert_eq!(proved, Ok(()));
    assert_eq!(
        tree.parents()
            .iter()
            .filter(|parent| parent.is_none())
            .count(),
        1
    );
    tree
}

#[test]
fn arborescences_of_equal_weights_of_any_magnitude() {
    for weight in [
        0.0,
        1.0,
        -1.0,
        1e300,
        -1e300,
        1e-300,
        -1e-300,
        5e-324,
        f64::MAX,
        -f64::MAX,
    ] {
        for size in 1..=40 {
            let digraph = DenseDigraph::from_fn(size, |_, _| weight).unwrap();
            for root in [Root::Any, Root::At(size - 1)] {
                let tree = certified(&digraph, root, 0.0);
                assert_eq!(tree.root(), if root == Root::Any { 0 } else { size - 1 });
                // Sums of more than the range of f64 are infinite, others are rounded.
                let expected = (size - 1) as f64 * weight;
                let error = (tree.weight() - expected).abs();
                let exact = tree.weight() == expected;
                assert!(
                    exact || error <= 1e-14 * expected.abs(),
                    "{size} of {weight:e}"
                );
            }
        }
    }
}

#[test]
fn arborescences_of_huge_tiny_and_negative_weights_together() {
    let mut noise = Noise::new(11);
    for case in 0..300 {
        let size = 2 + case % 4;
        let levels: Vec<i64> = (0..size * size)
            .map(|_| (noise.uniform() * 12.0) as i64)
            .collect();
        // The same comparisons as of whole numbers, at every magnitude.
        let level = |from: usize, to: usize| levels[from * size + to];
        let expected = lightest(size, |from, to| i128::from(level(from, to)));
        for unit in [1.0, 1e300, 1e-300, f64::MIN_POSITIVE * f64::EPSILON] {
            let weight = |from, to| level(from, to) as f64 * unit;
            let digraph = DenseDigraph::from_fn(size, weight).unwrap();
            let tolerance = 16.0 * f64::EPSILON * 6.0 * unit;
            let tree = certified(&digraph, Root::Any, tolerance);
            let parents = tree.parents().iter().enumerate();
            let sum: i64 = parents
                .filter_map(|(to, from)| from.map(|from| level(from, to)))
                .sum();
            assert_eq!(i128::from(sum), expected, "{case} at {unit:e}");
        }
        // All magnitudes in one digraph: 2^100 stands for 1e300 and 1 for 1e-300, whose sums in
        // f64 can't be told apart from the larger alone: so the documentation says.
        let mixed = |level: i64| match level {
            5.. => (1e300, 1_i128 << 100),
            -1..5 => (1e-300 * level as f64, i128::from(level)),
            _ => (-1e300, -(1_i128 << 100)),
        };
        let digraph = DenseDigraph::from_fn(size, |from, to| mixed(level(from, to)).0).unwrap();
        let tolerance = size as f64 * f64::EPSILON * 1e300;
        let tree = certified(&digraph, Root::Any, tolerance);
        let parents = tree.parents().iter().enumerate();
        let sum: i128 = parents
            .filter_map(|(to, from)| from.map(|from| mixed(level(from, to)).1))
            .sum();
        let expected = lightest(size, |from, to| mixed(level(from, to)).1);
        assert!((sum - expected).abs() < 1 << 20, "{case}: {sum} {expected}");
    }
}
