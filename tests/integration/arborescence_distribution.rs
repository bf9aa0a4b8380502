//! Probabilities of edges and roots against the enumeration of all arborescences.

use mother::arborescence::{
    ArborescenceDistribution, ArborescenceError, DenseDigraph, Root, arborescence_distribution,
    minimum_arborescence,
};
use proptest::prelude::*;

/// Every arborescence by its parents, for up to five nodes.
fn arborescences(digraph: &DenseDigraph) -> Vec<(Vec<Option<usize>>, f64)> {
    let size = digraph.size();
    let mut found = Vec::new();
    for choice in 0..size.pow(size as u32) {
        // A node that is its own parent is the root.
        let choices: Vec<usize> = (0..size)
            .map(|n| choice / size.pow(n as u32) % size)
            .collect();
        let parents: Vec<Option<usize>> = (0..size)
            .map(|node| (choices[node] != node).then_some(choices[node]))
            .collect();
        let reaches_root = |mut node: usize| {
            for _ in 0..size {
                match parents[node] {
                    Some(parent) => node = parent,
                    None => return true,
                }
            }
            false
        };
        let roots = parents.iter().filter(|parent| parent.is_none()).count();
        if roots == 1 && (0..size).all(reaches_root) {
            let edges = parents.iter().enumerate();
            let weight = edges
                .filter_map(|(child, parent)| Some((child, (*parent)?)))
                .map(|(child, parent)| digraph.weight(parent, child).unwrap_or(f64::INFINITY))
                .sum::<f64>();
            if weight < f64::INFINITY {
                found.push((parents, weight));
            }
        }
    }
    found
}

fn assert_is_enumeration(digraph: &DenseDigraph, tolerance: f64) {
    let all = arborescences(digraph);
    let found = match arborescence_distribution(digraph) {
        Ok(found) => found,
        Err(_) => {
            assert!(all.is_empty());
            return;
        }
    };
    let least = all.iter().map(|(_, w)| *w).fold(f64::INFINITY, f64::min);
    let total: f64 = all.iter().map(|(_, weight)| (least - weight).exp()).sum();
    assert!((found.log_partition() - (total.ln() - least)).abs() <= 1e-10 * (1.0 + least.abs()));
    let probability = |child: usize, parent: Option<usize>| {
        let with = all.iter().filter(|(parents, _)| parents[child] == parent);
        with.map(|(_, weight)| (least - weight).exp()).sum::<f64>() / total
    };
    for child in 0..digraph.size() {
        let root = found.root_probability(child).unwrap();
        assert!((root - probability(child, None)).abs() < tolerance);
        for parent in 0..digraph.size() {
            let edge = found.edge_probability(parent, child).unwrap();
            let expected = if parent == child {
                0.0
            } else {
                probability(child, Some(parent))
            };
            assert!(
                (edge - expected).abs() < tolerance,
                "{parent} {child} {edge} {expected}"
            );
        }
    }
}

fn digraphs(scale: f64) -> impl Strategy<Value = DenseDigraph> {
    let weight = prop_oneof![8 => -1.0..1.0_f64, 1 => Just(f64::INFINITY)];
    (1..=5_usize).prop_flat_map(move |size| {
        prop::collection::vec(weight.clone(), size * size).prop_map(move |weights| {
            let scaled = weights.into_iter().map(|weight| weight * scale).collect();
            DenseDigraph::new(size, scaled).unwrap()
        })
    })
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn probabilities_are_those_of_the_enumeration(digraph in digraphs(3.0)) {
        assert_is_enumeration(&digraph, 1e-12);
    }

    #[test]
    fn wide_ranges_lose_nothing(digraph in digraphs(1000.0)) {
        assert_is_enumeration(&digraph, 1e-10);
    }
}

#[test]
fn nodes_that_all_but_merge_lose_nothing() {
    let mut weights: Vec<f64> = (0..25)
        .map(|index| f64::from(index * 7 % 11) / 3.0)
        .collect();
    weights[3 * 5 + 4] = -300.0;
    weights[4 * 5 + 3] = -300.0;
    assert_is_enumeration(&DenseDigraph::new(5, weights).unwrap(), 1e-12);
}

fn large(size: usize, scale: f64) -> DenseDigraph {
    let mut state = 7_u64;
    DenseDigraph::from_fn(size, |_, _| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as f64 / (1_u64 << 31) as f64 * scale
    })
    .unwrap()
}

fn parents_sum_to_one(distribution: &ArborescenceDistribution) {
    let size = distribution.size();
    for child in 0..size {
        let parents = (0..size).map(|parent| distribution.edge_probability(parent, child).unwrap());
        let sum = parents.sum::<f64>() + distribution.root_probability(child).unwrap();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }
}

fn sums_to_one(distribution: &ArborescenceDistribution) {
    let size = distribution.size();
    parents_sum_to_one(distribution);
    let roots = (0..size).map(|node| distribution.root_probability(node).unwrap());
    assert!((roots.sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn every_node_has_one_parent_or_is_the_root() {
    for (size, scale) in [(1, 1.0), (2, 1.0), (37, 5.0), (60, 0.0)] {
        sums_to_one(&arborescence_distribution(&large(size, scale)).unwrap());
    }
}

/// What fuzzing found: a sum of 1 + 7e-9.
#[test]
fn every_node_has_one_parent_whatever_the_range_of_the_weights() {
    for size in 3..12 {
        // Rows of equal weights give the distribution something to sum.
        let weights = large(size, 1e9);
        let tied = DenseDigraph::from_fn(size, |from, to| {
            let tied = if from % 2 == 0 { from } else { from - 1 };
            let weight = weights.weight(if tied == to { from } else { tied }, to);
            weight.unwrap_or(0.0) + (from % 2) as f64
        });
        parents_sum_to_one(&arborescence_distribution(&tied.unwrap()).unwrap());
    }
}

#[test]
fn the_coldest_distribution_is_the_minimum() {
    let digraph = large(40, 1e5);
    let minimum = minimum_arborescence(&digraph, Root::Any).unwrap();
    let distribution = arborescence_distribution(&digraph).unwrap();
    for child in 0..40 {
        let probability = match minimum.parent(child) {
            Some(parent) => distribution.edge_probability(parent, child),
            None => distribution.root_probability(child),
        };
        assert!(probability.unwrap() > 0.999);
    }
    assert_eq!(distribution.edge_probability(40, 0), None);
    assert_eq!(distribution.root_probability(40), None);
}

#[test]
fn no_arborescence_is_an_error() {
    let forbidden = DenseDigraph::new(2, vec![f64::INFINITY; 4]).unwrap();
    assert!(arborescence_distribution(&forbidden).is_err());
    let empty = DenseDigraph::<f64>::new(0, vec![]).unwrap();
    assert_eq!(
        arborescence_distribution(&empty),
        Err(ArborescenceError::Empty)
    );
}

/// One tree is lighter than all others, by up to 10¹¹.
#[test]
fn the_lightest_tree_is_certain_at_any_range() {
    for scale in [1.0, 1e3, 1e6, 1e9] {
        let weights = [0.0, 6.0, 0.0, 8.0, 0.0, 5.0, 1.0, 2.0, 0.0].map(|weight| 100.0 * weight);
        let weights = weights.map(|weight| weight * scale).to_vec();
        let found = arborescence_distribution(&DenseDigraph::new(3, weights).unwrap()).unwrap();
        let roots = [0, 1, 2].map(|node| found.root_probability(node).unwrap());
        assert!(roots[0] > 1.0 - 1e-12, "{scale}: {roots:?}");
        assert!(found.edge_probability(0, 2).unwrap() > 1.0 - 1e-12);
        assert!(found.edge_probability(2, 1).unwrap() > 1.0 - 1e-12);
    }
}

#[test]
fn a_range_that_leaves_no_digits_is_an_error() {
    let weights = vec![0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 1e13, 0.0];
    let digraph = DenseDigraph::new(3, weights).unwrap();
    let error = ArborescenceError::Range { node: 1 };
    assert_eq!(arborescence_distribution(&digraph), Err(error));
}

#[test]
fn adding_a_constant_to_all_weights_changes_no_probability() {
    let digraph = large(12, 5.0);
    let shifted = DenseDigraph::from_fn(12, |from, to| digraph.weight(from, to).unwrap() - 1e6);
    let (before, after) = (
        arborescence_distribution(&digraph).unwrap(),
        arborescence_distribution(&shifted.unwrap()).unwrap(),
    );
    for (from, to) in (0..12).flat_map(|from| (0..12).map(move |to| (from, to))) {
        let (before, after) = (
            before.edge_probability(from, to).unwrap(),
            after.edge_probability(from, to).unwrap(),
        );
        assert!((before - after).abs() <= 1e-8 * before, "{before} {after}");
    }
}

/// The root saves the edge into it, so it is a node that is costly to reach.
#[test]
fn the_only_node_that_is_cheap_to_reach_is_not_the_root() {
    let digraph = large(12, 5.0);
    let raised = DenseDigraph::from_fn(12, |from, to| {
        digraph.weight(from, to).unwrap() + if to == 3 { 0.0 } else { 1e6 }
    });
    let distribution = arborescence_distribution(&raised.unwrap()).unwrap();
    assert!(distribution.root_probability(3).unwrap() < 1e-300);
}

/// Either of two nodes can be the root. A probability of e⁻⁵⁰⁰ is known to as many digits as the rest.
#[test]
fn small_probabilities_have_all_their_digits() {
    let weights = vec![0.0, 500.0, 1.0, 0.0];
    let found = arborescence_distribution(&DenseDigraph::new(2, weights).unwrap()).unwrap();
    let expected = (-499.0_f64).exp();
    let edge = found.edge_probability(0, 1).unwrap();
    assert!((edge / expected - 1.0).abs() < 1e-12, "{edge:e}");
    let root = found.root_probability(0).unwrap();
    assert!((root / expected - 1.0).abs() < 1e-12, "{root:e}");
}

/// What fuzzing found: NaN, rows of zeros, and sums of 1.1.
#[test]
fn probabilities_stay_some_whatever_the_range_of_the_weights() {
    for heavy in [
        1e8,
        1e10,
        1e12,
        1e16,
        1e300,
        f64::MAX,
        -1e10,
        -1e16,
        -1e300,
        -f64::MAX,
    ] {
        // A pair of which either may be the root, and a third node that must hang on the first by a
        // weight that no other comes near.
        let weights = vec![
            0.0,
            0.0,
            heavy, //
            3.0_f64.ln(),
            0.0,
            f64::INFINITY, //
            f64::INFINITY,
            f64::INFINITY,
            0.0,
        ];
        let digraph = DenseDigraph::new(3, weights).unwrap();
        let distribution = arborescence_distribution(&digraph).unwrap();
        let close = |found: Option<f64>, expected: f64| {
            let found = found.unwrap();
            let tolerance = if heavy.abs() < 1e9 { 1e-5 } else { 1e-3 };
            assert!(
                (found - expected).abs() < tolerance,
                "{heavy:e}: {found} {expected}"
            );
        };
        close(distribution.edge_probability(0, 2), 1.0);
        close(distribution.edge_probability(0, 1), 0.75);
        close(distribution.root_probability(0), 0.75);
        close(distribution.root_probability(1), 0.25);
        close(distribution.root_probability(2), 0.0);
        let expected = -heavy + (4.0_f64 / 3.0).ln();
        let error = (distribution.log_partition() - expected).abs();
        assert!(error <= 1e-3 + 1e-12 * heavy.abs(), "{heavy:e}: {error}");
    }
}
