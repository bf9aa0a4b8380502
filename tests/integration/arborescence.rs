//! Arborescences against brute force, their dual certificates, NetworkX and each other.
#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use mother::Scalar;
use mother::arborescence::{
    Arborescence, ArborescenceError, DenseDigraph, DualCertificate, Edge, Root,
    minimum_arborescence, minimum_arborescence_certified, minimum_arborescence_sparse,
    minimum_arborescence_sparse_certified,
};
use mother::invariants::{Violation, dual_certificate};
use proptest::prelude::*;

const ABSENT: f64 = f64::INFINITY;

/// The generator that the golden values were made with, too.
struct SplitMix(u64);

impl SplitMix {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn permutation(&mut self, size: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..size).collect();
        for i in (1..size).rev() {
            order.swap(i, (self.draw() % (i as u64 + 1)) as usize);
        }
        order
    }
}

/// Whether the certificate proves that the arborescence is of minimum weight.
fn proved<T: Scalar>(
    digraph: &DenseDigraph,
    root: Root,
    (tree, certificate): (&Arborescence<T>, &DualCertificate),
    tolerance: f64,
) -> Result<(), Violation> {
    let sets: Vec<_> = certificate.sets().collect();
    dual_certificate(digraph, root, tree.parents(), &sets, tolerance)
}

fn dense(size: usize, weights: &[f64]) -> DenseDigraph {
    DenseDigraph::new(size, weights.to_vec()).unwrap()
}

fn random(size: usize, seed: u64) -> DenseDigraph {
    let mut generator = SplitMix(seed);
    DenseDigraph::from_fn(size, |_, _| generator.uniform() - 0.25).unwrap()
}

/// Cycle within cycle: node k + 1 joins the cycle of nodes 1 to k, and node 0 enters last.
///
/// `order` numbers the nodes, so that the path may start inside, outside or in between.
fn nested_cycles(order: &[usize]) -> DenseDigraph {
    let size = order.len();
    let mut rank = vec![0; size];
    for (position, &node) in order.iter().enumerate() {
        rank[node] = position;
    }
    DenseDigraph::from_fn(size, |from, to| match (rank[from], rank[to]) {
        (0, to) if to + 1 == size => 4.0 * size as f64,
        (from, to) if from > 0 && to == from + 1 => 0.0,
        (from, 1) if from > 1 => from as f64,
        (_, to) => (10 * size - to) as f64,
    })
    .unwrap()
}

fn sum<T: Scalar>(tree: &Arborescence<T>) -> f64 {
    tree.edges().map(|edge| edge.weight.widen()).sum()
}

/// Every arborescence for one root, by trying every parent of every node.
struct Enumeration {
    weight: f64,
    count: usize,
    parents: Vec<Option<usize>>,
}

fn enumerate(digraph: &DenseDigraph, root: usize) -> Option<Enumeration> {
    fn leads_to_root(parents: &[Option<usize>], root: usize) -> bool {
        (0..parents.len()).all(|node| {
            let mut current = node;
            for _ in 0..parents.len() {
                current = parents[current].unwrap_or(current);
            }
            current == root
        })
    }

    fn extend(
        digraph: &DenseDigraph,
        root: usize,
        parents: &mut Vec<Option<usize>>,
        weight: f64,
        best: &mut Option<Enumeration>,
    ) {
        let node = parents.len();
        if node == digraph.size() {
            let lightest = best.as_ref().map_or(ABSENT, |best| best.weight);
            if weight <= lightest && leads_to_root(parents, root) {
                let ties = match best {
                    Some(best) if best.weight == weight => best.count,
                    _ => 0,
                };
                *best = Some(Enumeration {
                    weight,
                    count: ties + 1,
                    parents: parents.clone(),
                });
            }
            return;
        }
        for from in 0..digraph.size() {
            let (parent, step) = match digraph.weight(from, node) {
                _ if node == root && from == root => (None, 0.0),
                Some(step) if node != root => (Some(from), step),
                _ => continue,
            };
            parents.push(parent);
            extend(digraph, root, parents, weight + step, best);
            parents.pop();
        }
    }

    let mut best = None;
    extend(digraph, root, &mut Vec::new(), 0.0, &mut best);
    best
}

/// Which nodes can be reached from one, by the obvious closure.
fn reach(digraph: &DenseDigraph, from: usize) -> Vec<bool> {
    let mut reached = vec![false; digraph.size()];
    reached[from] = true;
    for _ in 0..digraph.size() {
        for edge in digraph.edges() {
            reached[edge.to] |= reached[edge.from];
        }
    }
    reached
}

/// Small whole weights with many ties; some edges absent.
fn small_digraph(sizes: core::ops::RangeInclusive<usize>) -> impl Strategy<Value = DenseDigraph> {
    let weights = |size: usize| {
        let weight = prop_oneof![
            3 => (-3_i8..=4).prop_map(f64::from),
            1 => Just(ABSENT),
        ];
        prop::collection::vec(weight, size * size).prop_map(move |weights| dense(size, &weights))
    };
    sizes.prop_flat_map(weights)
}

/// Edges in a shuffled order, with a loop at every node.
fn edge_list(digraph: &DenseDigraph, seed: u64) -> Vec<Edge> {
    let loops = (0..digraph.size()).map(|node| Edge {
        from: node,
        to: node,
        weight: -100.0,
    });
    let edges: Vec<Edge> = digraph.edges().chain(loops).collect();
    let order = SplitMix(seed).permutation(edges.len());
    order.into_iter().map(|index| edges[index]).collect()
}

fn roots(size: usize) -> impl Iterator<Item = Root> {
    (0..size).map(Root::At).chain([Root::Any])
}

fn check_against_enumeration(digraph: &DenseDigraph) -> Result<(), TestCaseError> {
    let size = digraph.size();
    let expected: Vec<_> = (0..size).map(|root| enumerate(digraph, root)).collect();
    for (root, expected) in expected.iter().enumerate() {
        match (minimum_arborescence(digraph, Root::At(root)), expected) {
            (Ok(tree), Some(expected)) => {
                prop_assert_eq!(tree.root(), root);
                prop_assert_eq!(tree.weight(), expected.weight);
                prop_assert_eq!(sum(&tree), expected.weight);
                if expected.count == 1 {
                    prop_assert_eq!(tree.parents(), &expected.parents);
                }
            }
            (Err(error), None) => {
                let node = reach(digraph, root).iter().position(|reached| !reached);
                let node = node.unwrap();
                prop_assert_eq!(error, ArborescenceError::Unreachable { root, node });
            }
            (found, _) => prop_assert!(false, "root {}: {:?}", root, found),
        }
    }
    let weights = expected.iter().flatten().map(|expected| expected.weight);
    let lightest = weights.fold(ABSENT, f64::min);
    match minimum_arborescence_certified(digraph, Root::Any) {
        Ok((tree, certificate)) => {
            prop_assert_eq!(tree.weight(), lightest);
            let is_best = |best: &Option<Enumeration>| {
                best.as_ref().is_some_and(|best| best.weight == lightest)
            };
            prop_assert_eq!(Some(tree.root()), expected.iter().position(is_best));
            // The certificate knows the optimum for every root.
            let root_set = certificate.root_set().unwrap();
            for (root, expected) in expected.iter().enumerate() {
                prop_assert_eq!(root_set.contains(&root), expected.is_some());
                if let Some(expected) = expected {
                    prop_assert_eq!(certificate.bound(root), expected.weight);
                }
            }
        }
        Err(ArborescenceError::NoArborescence { first, second }) => {
            prop_assert_eq!(lightest, ABSENT);
            prop_assert!(first < second);
            for node in 0..size {
                let reached = reach(digraph, node);
                prop_assert!(!(reached[first] && reached[second]));
            }
        }
        Err(error) => prop_assert!(false, "{}", error),
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn brute_force_finds_nothing_lighter(digraph in small_digraph(1..=6)) {
        check_against_enumeration(&digraph)?;
    }

    #[test]
    fn dense_and_sparse_give_the_same_result_even_with_ties(
        digraph in small_digraph(1..=24),
        seed: u64,
    ) {
        let edges = edge_list(&digraph, seed);
        for root in roots(digraph.size()) {
            let by_matrix = minimum_arborescence(&digraph, root);
            let by_list = minimum_arborescence_sparse(digraph.size(), &edges, root);
            match (by_matrix, by_list) {
                (Ok(by_matrix), Ok(by_list)) => {
                    prop_assert_eq!(by_matrix.parents(), by_list.parents());
                    prop_assert_eq!(by_matrix.weight(), by_list.weight());
                    for edge in by_list.edges() {
                        let index = by_list.edge_index(edge.to).unwrap();
                        prop_assert_eq!(edges[index], edge);
                        let index = by_matrix.edge_index(edge.to).unwrap();
                        prop_assert_eq!(index, edge.from * digraph.size() + edge.to);
                    }
                }
                (by_matrix, by_list) => prop_assert_eq!(by_matrix.err(), by_list.err()),
            }
        }
    }

    #[test]
    fn certificates_of_whole_weights_hold_exactly(
        size in 1_usize..=60,
        absent in 0_u64..100,
        seed: u64,
    ) {
        let mut generator = SplitMix(seed);
        let digraph = DenseDigraph::from_fn(size, |_, _| {
            let weight = generator.draw() % 8;
            if generator.draw() % 100 < absent { ABSENT } else { weight as f64 - 2.0 }
        })
        .unwrap();
        let edges = edge_list(&digraph, seed);
        for root in [Root::At(size / 2), Root::Any] {
            if let Ok((tree, certificate)) = minimum_arborescence_certified(&digraph, root) {
                prop_assert_eq!(proved(&digraph, root, (&tree, &certificate), 0.0), Ok(()));
                prop_assert_eq!(certificate.bound(tree.root()), tree.weight());
            }
            let solved = minimum_arborescence_sparse_certified(size, &edges, root);
            if let Ok((tree, certificate)) = solved {
                prop_assert_eq!(proved(&digraph, root, (&tree, &certificate), 0.0), Ok(()));
                prop_assert_eq!(certificate.bound(tree.root()), tree.weight());
            }
        }
    }

    #[test]
    fn parallel_edges_count_once_at_their_lowest_weight(
        size in 1_usize..12,
        edges in prop::collection::vec((0_usize..12, 0_usize..12, -4_i8..6), 0..60),
    ) {
        let edges: Vec<Edge> = edges
            .into_iter()
            .map(|(from, to, weight)| (from % size, to % size, f64::from(weight)))
            .map(|(from, to, weight)| Edge { from, to, weight })
            .collect();
        let mut weights = vec![ABSENT; size * size];
        for edge in &edges {
            let lowest = &mut weights[edge.from * size + edge.to];
            *lowest = lowest.min(edge.weight);
        }
        let digraph = dense(size, &weights);
        for root in roots(size) {
            let by_list = minimum_arborescence_sparse(size, &edges, root);
            match (minimum_arborescence(&digraph, root), by_list) {
                (Ok(by_matrix), Ok(by_list)) => {
                    prop_assert_eq!(by_matrix.parents(), by_list.parents());
                    for edge in by_list.edges() {
                        // Of equal parallel edges the first in the list.
                        let first = edges.iter().position(|other| *other == edge);
                        prop_assert_eq!(by_list.edge_index(edge.to), first);
                    }
                }
                (by_matrix, by_list) => {
                    let (by_matrix, by_list) = (by_matrix.err().unwrap(), by_list.err().unwrap());
                    // With fewer edges than a tree has, the node named may be another one.
                    prop_assert!(by_matrix == by_list || edges.len() + 1 < size);
                }
            }
        }
    }

    #[test]
    fn renumbering_the_nodes_renumbers_the_result(size in 1_usize..50, seed: u64) {
        let digraph = random(size, seed);
        let order = SplitMix(!seed).permutation(size);
        let renumbered = DenseDigraph::from_fn(size, |from, to| {
            digraph.weight(order[from], order[to]).unwrap()
        })
        .unwrap();
        for root in [Root::At(seed as usize % size), Root::Any] {
            let there = match root {
                Root::At(root) => Root::At(order[root]),
                Root::Any => Root::Any,
            };
            let here = minimum_arborescence(&renumbered, root).unwrap();
            let there = minimum_arborescence(&digraph, there).unwrap();
            prop_assert_eq!(order[here.root()], there.root());
            for node in 0..size {
                let parent = here.parent(node).map(|parent| order[parent]);
                prop_assert_eq!(parent, there.parent(order[node]));
            }
        }
    }

    #[test]
    fn any_digraph_gives_a_tree_or_an_error(
        size in 0_usize..9,
        weights in prop::collection::vec(any::<f64>(), 64),
        root in 0_usize..9,
    ) {
        let digraph = DenseDigraph::new(size, weights.into_iter().take(size * size).collect());
        if let Ok(digraph) = digraph {
            for root in [Root::At(root), Root::Any] {
                if let Ok(tree) = minimum_arborescence(&digraph, root) {
                    prop_assert!(!tree.weight().is_nan());
                    prop_assert_eq!(tree.edges().count(), size - 1);
                }
            }
        }
    }
}

#[test]
fn brute_force_agrees_at_seven_nodes() {
    for seed in 0..4 {
        let mut generator = SplitMix(seed);
        let digraph = DenseDigraph::from_fn(7, |_, _| match generator.draw() % 12 {
            step if step < 9 => step as f64,
            _ => ABSENT,
        });
        check_against_enumeration(&digraph.unwrap()).unwrap();
    }
}

#[test]
fn certificates_of_random_weights_hold_within_rounding() {
    for (size, seed) in [(1, 0), (2, 1), (61, 2), (150, 3)] {
        let digraph = random(size, seed);
        let edges: Vec<Edge> = digraph.edges().collect();
        let tolerance = size as f64 * f64::EPSILON;
        for root in [Root::At(size - 1), Root::Any] {
            let (tree, certificate) = minimum_arborescence_certified(&digraph, root).unwrap();
            let proof = proved(&digraph, root, (&tree, &certificate), tolerance);
            assert_eq!(proof, Ok(()));
            let solved = minimum_arborescence_sparse_certified(size, &edges, root);
            let (sparse, certificate) = solved.unwrap();
            let proof = proved(&digraph, root, (&sparse, &certificate), tolerance);
            assert_eq!(proof, Ok(()));
            assert_eq!(sparse.parents(), tree.parents());
            assert_eq!(sparse.weight(), tree.weight());
        }
    }
}

#[test]
fn single_precision_is_computed_in_double() {
    // Less 1, the weight 2^24 + 2 is no f32; rounded, both ways into the cycle would cost the same.
    let far = 16_777_218.0_f32;
    let weights = vec![
        0.0,
        far,
        far,
        f32::INFINITY,
        0.0,
        2.0,
        f32::INFINITY,
        1.0,
        0.0,
    ];
    let digraph = DenseDigraph::new(3, weights).unwrap();
    let edges: Vec<Edge<f32>> = digraph.edges().collect();
    let tree = minimum_arborescence(&digraph, Root::At(0)).unwrap();
    let sparse = minimum_arborescence_sparse(3, &edges, Root::At(0)).unwrap();
    assert_eq!(tree.parents(), [None, Some(2), Some(0)]);
    assert_eq!(tree.weight(), 16_777_219.0);
    assert_eq!(sparse.parents(), tree.parents());

    let mut generator = SplitMix(5);
    let digraph = DenseDigraph::from_fn(80, |_, _| generator.uniform() as f32 * 1e6).unwrap();
    let wide = DenseDigraph::from_fn(80, |from, to| {
        digraph.weight(from, to).map_or(ABSENT, f64::from)
    })
    .unwrap();
    for root in [Root::At(7), Root::Any] {
        let (narrow, certificate) = minimum_arborescence_certified(&digraph, root).unwrap();
        let proof = proved(&wide, root, (&narrow, &certificate), 1e-8);
        assert_eq!(proof, Ok(()));
        let wide = minimum_arborescence(&wide, root).unwrap();
        assert_eq!(narrow.parents(), wide.parents());
        assert_eq!(narrow.weight(), wide.weight());
    }
}

#[test]
fn nested_cycles_are_solved_from_inside_and_outside() {
    let size = 150;
    let ascending: Vec<usize> = (0..size).collect();
    let mut descending = ascending.clone();
    descending[1..].reverse();
    let mut generator = SplitMix(6);
    for order in [ascending, descending, generator.permutation(size)] {
        let digraph = nested_cycles(&order);
        for root in [Root::At(order[0]), Root::Any] {
            let (tree, certificate) = minimum_arborescence_certified(&digraph, root).unwrap();
            assert_eq!(proved(&digraph, root, (&tree, &certificate), 0.0), Ok(()));
            let edges = edge_list(&digraph, 7);
            let sparse = minimum_arborescence_sparse(size, &edges, root).unwrap();
            assert_eq!(sparse.parents(), tree.parents());
        }
        // Every set of nodes 1 to k was contracted.
        let (_, certificate) =
            minimum_arborescence_certified(&digraph, Root::At(order[0])).unwrap();
        let sizes: Vec<usize> = certificate.sets().map(|(nodes, _)| nodes.len()).collect();
        assert_eq!(sizes[size..], (2..size).collect::<Vec<_>>());
    }
}

#[test]
fn deep_nesting_does_not_recurse() {
    let size = 3000;
    let order: Vec<usize> = (0..size).collect();
    let digraph = nested_cycles(&order);
    let tree = minimum_arborescence(&digraph, Root::At(0)).unwrap();
    assert_eq!(tree.parent(size - 1), Some(0));

    // The same cycles as a list of 3 n edges.
    let size = 100_000;
    let edge = |from, to, weight| Edge { from, to, weight };
    let mut edges = vec![edge(0, size - 1, size as f64)];
    for node in 2..size {
        edges.push(edge(node - 1, node, 0.0));
        edges.push(edge(node, 1, node as f64));
    }
    let tree = minimum_arborescence_sparse(size, &edges, Root::At(0)).unwrap();
    assert_eq!(tree.parent(size - 1), Some(0));
    assert_eq!(tree.parent(1), Some(size - 1));
    assert_eq!(tree.weight(), 2.0 * size as f64 - 1.0);
}

#[test]
fn many_cycles_at_a_time_are_merged_pair_by_pair() {
    // Weights grow with the highest bit in which two numbers differ: pairs, pairs of pairs, ...
    let size = 256_usize;
    let weight = |from: usize, to: usize| f64::from((from ^ to).ilog2());
    let digraph = DenseDigraph::from_fn(size, weight).unwrap();
    let (tree, certificate) = minimum_arborescence_certified(&digraph, Root::Any).unwrap();
    assert_eq!(
        proved(&digraph, Root::Any, (&tree, &certificate), 0.0),
        Ok(())
    );
    assert_eq!(certificate.sets().count(), 2 * size - 1);
    let expected: f64 = (0..8).map(|bit| f64::from(bit * (128 >> bit))).sum();
    assert_eq!(tree.weight(), expected);
}

#[test]
fn low_numbers_are_not_favoured() {
    // NetworkX #4951: in random complete digraphs, low-numbered nodes end up near the root.
    let size = 30;
    let graphs = 200;
    let mut difference = 0.0;
    for seed in 0..graphs {
        let tree = minimum_arborescence(&random(size, 1000 + seed), Root::Any).unwrap();
        for node in 0..size {
            let mut depth = 0.0;
            let mut current = node;
            while let Some(parent) = tree.parent(current) {
                depth += 1.0;
                current = parent;
            }
            difference += if node < size / 2 { depth } else { -depth };
        }
    }
    // Depths are about 5 ± 3; the mean over half of all nodes is known to about 0.1.
    let mean = difference / (graphs as f64 * size as f64 / 2.0);
    assert!(mean.abs() < 0.4, "{mean}");
}

#[test]
fn ties_go_to_the_lowest_numbers() {
    let equal = DenseDigraph::from_fn(5, |_, _| 1.0).unwrap();
    let tree = minimum_arborescence(&equal, Root::Any).unwrap();
    assert_eq!(tree.root(), 0);
    assert_eq!(tree.parents(), [None, Some(0), Some(0), Some(0), Some(0)]);
    for root in 0..5 {
        let tree = minimum_arborescence(&equal, Root::At(root)).unwrap();
        assert_eq!((tree.root(), tree.weight()), (root, 4.0));
    }
    // 2 and 3 are a cycle, entered from 1 and from 4 at equal cost into either.
    let weights = |from, to| match (from, to) {
        (2, 3) | (3, 2) => 0.0,
        (1 | 4, 2 | 3) => 1.0,
        (0, 1 | 4) => 1.0,
        _ => ABSENT,
    };
    let digraph = DenseDigraph::from_fn(5, weights).unwrap();
    let tree = minimum_arborescence(&digraph, Root::At(0)).unwrap();
    assert_eq!(tree.parents(), [None, Some(0), Some(1), Some(2), Some(0)]);
    // -0 and 0 are equal.
    let signed = |from: usize, _| if from == 2 { -0.0 } else { 0.0 };
    let digraph = DenseDigraph::from_fn(3, signed).unwrap();
    let edges: Vec<Edge> = digraph.edges().collect();
    let tree = minimum_arborescence(&digraph, Root::At(0)).unwrap();
    let sparse = minimum_arborescence_sparse(3, &edges, Root::At(0)).unwrap();
    assert_eq!(tree.parents(), [None, Some(0), Some(0)]);
    assert_eq!(sparse.parents(), tree.parents());
}

#[test]
fn hostile_weights_stay_finite_and_forbidden_edges_forbidden() {
    // 0 -> {1, 2}, a cycle whose costs differ by more than an f64 holds.
    let huge = 1.7e308;
    let weights = [
        0.0, huge, -huge, //
        ABSENT, 0.0, -huge, //
        ABSENT, -huge, 0.0,
    ];
    let digraph = dense(3, &weights);
    let tree = minimum_arborescence(&digraph, Root::At(0)).unwrap();
    assert_eq!(tree.parents(), [None, Some(2), Some(0)]);
    assert_eq!(tree.weight(), f64::NEG_INFINITY, "the sum is beyond f64");
    let edges: Vec<Edge> = digraph.edges().collect();
    let sparse = minimum_arborescence_sparse(3, &edges, Root::At(0)).unwrap();
    assert_eq!(sparse.parents(), tree.parents());

    // A cycle that only the costliest edge enters; the difference overflows.
    let weights = [
        0.0, huge, ABSENT, //
        ABSENT, 0.0, -huge, //
        ABSENT, -huge, 0.0,
    ];
    let digraph = dense(3, &weights);
    let tree = minimum_arborescence(&digraph, Root::At(0)).unwrap();
    assert_eq!(tree.parents(), [None, Some(0), Some(1)]);
    assert_eq!(tree.weight(), 0.0);
    let edges: Vec<Edge> = digraph.edges().collect();
    let sparse = minimum_arborescence_sparse(3, &edges, Root::At(0)).unwrap();
    assert_eq!(sparse.parents(), tree.parents());
    assert!(minimum_arborescence(&digraph, Root::At(1)).is_err());

    // Partial sums overflow, the sum doesn't.
    let path = [(0, 1, huge), (1, 2, huge), (2, 3, -huge)];
    let edges = path.map(|(from, to, weight)| Edge { from, to, weight });
    let tree = minimum_arborescence_sparse(4, &edges, Root::Any).unwrap();
    assert_eq!(tree.weight(), huge);
}

#[test]
fn tiny_huge_and_negative_weights_scale_alike() {
    let base = random(40, 8);
    let expected = minimum_arborescence(&base, Root::Any).unwrap();
    // Powers of two change no digit; 2^-980 is 1e-295, 2^1000 is 1e301.
    for exponent in [-980, 0, 900, 1000, 1023] {
        let factor = 2.0_f64.powi(exponent);
        let scaled =
            DenseDigraph::from_fn(40, |from, to| base.weight(from, to).unwrap() * factor).unwrap();
        let (tree, certificate) = minimum_arborescence_certified(&scaled, Root::Any).unwrap();
        assert_eq!(tree.parents(), expected.parents(), "2^{exponent}");
        assert_eq!(tree.weight(), expected.weight() * factor);
        let tolerance = 40.0 * f64::EPSILON * factor;
        // Sums of the largest overflow in the check.
        if exponent <= 1000 {
            let proof = proved(&scaled, Root::Any, (&tree, &certificate), tolerance);
            assert_eq!(proof, Ok(()));
        }
    }
    // Adding a constant to every weight adds n - 1 times it to the result.
    let shifted = DenseDigraph::from_fn(40, |from, to| base.weight(from, to).unwrap() - 1024.0);
    let tree = minimum_arborescence(&shifted.unwrap(), Root::Any).unwrap();
    assert!((tree.weight() - (expected.weight() - 39.0 * 1024.0)).abs() < 1e-9);
}

#[test]
fn any_root_loses_no_precision_to_a_large_number() {
    // The roots differ in the last bit of a weight beside which 1e300 stands.
    let next = 1.0 + f64::EPSILON;
    let weights = [0.0, next, 1e300, 1.0, 0.0, 1e300, ABSENT, ABSENT, 0.0];
    let tree = minimum_arborescence(&dense(3, &weights), Root::Any).unwrap();
    assert_eq!(tree.root(), 1);
    let weights = [0.0, 1.0, 1e300, next, 0.0, 1e300, ABSENT, ABSENT, 0.0];
    let tree = minimum_arborescence(&dense(3, &weights), Root::Any).unwrap();
    assert_eq!(tree.root(), 0);
}

#[test]
fn the_smallest_digraphs() {
    let empty = DenseDigraph::<f64>::new(0, vec![]).unwrap();
    let no_edges: [Edge; 0] = [];
    let single = DenseDigraph::new(1, vec![f64::NAN]).unwrap();
    for root in [Root::Any, Root::At(0)] {
        let error = ArborescenceError::Empty;
        assert_eq!(minimum_arborescence(&empty, root), Err(error.clone()));
        assert_eq!(minimum_arborescence_sparse(0, &no_edges, root), Err(error));
        let tree = minimum_arborescence(&single, root).unwrap();
        assert_eq!((tree.root(), tree.weight(), tree.size()), (0, 0.0, 1));
        assert_eq!(tree.parents(), [None]);
        assert_eq!((tree.parent(0), tree.parent(1)), (None, None));
        assert_eq!((tree.edge_index(0), tree.edge_index(1)), (None, None));
        assert_eq!(minimum_arborescence_sparse(1, &no_edges, root), Ok(tree));
    }
    let error = Err(ArborescenceError::NoSuchRoot { root: 1, size: 1 });
    assert_eq!(minimum_arborescence(&single, Root::At(1)), error);
    assert_eq!(
        minimum_arborescence_sparse(1, &no_edges, Root::At(1)),
        error
    );
}

#[test]
fn faulty_edges_are_named() {
    use ArborescenceError as E;
    let solve = |from, to, weight| {
        let fine = Edge {
            from: 0,
            to: 1,
            weight: 1.0,
        };
        minimum_arborescence_sparse(2, &[fine, Edge { from, to, weight }], Root::Any)
    };
    assert!(solve(1, 0, ABSENT).is_ok());
    assert_eq!(solve(1, 0, f64::NAN), Err(E::NotANumber { from: 1, to: 0 }));
    assert_eq!(
        solve(1, 0, f64::NEG_INFINITY),
        Err(E::NegativeInfinity { from: 1, to: 0 })
    );
    assert_eq!(
        solve(0, 2, 1.0),
        Err(E::NoSuchNode {
            edge: 1,
            node: 2,
            size: 2
        })
    );
    assert_eq!(
        solve(usize::MAX, 0, 1.0),
        Err(E::NoSuchNode {
            edge: 1,
            node: usize::MAX,
            size: 2
        })
    );
}

#[test]
fn sizes_beyond_memory_are_rejected_by_name() {
    use ArborescenceError as E;
    let edges = [
        Edge {
            from: 0,
            to: 1,
            weight: 1.0,
        },
        Edge {
            from: 5,
            to: 2,
            weight: 1.0,
        },
    ];
    for size in [10, usize::MAX] {
        assert_eq!(
            minimum_arborescence_sparse(size, &edges, Root::At(0)),
            Err(E::Unreachable { root: 0, node: 3 })
        );
        assert_eq!(
            minimum_arborescence_sparse(size, &edges, Root::Any),
            Err(E::NoArborescence {
                first: 0,
                second: 3
            })
        );
    }
}

#[test]
fn networkx_finds_the_same_weights() {
    let golden = include_str!("../golden/arborescence/networkx_weights.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(golden).unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let number = |name: &str| case[name].as_u64().unwrap();
        let size = number("size") as usize;
        let mut generator = SplitMix(number("seed"));
        let mut weights = vec![ABSENT; size * size];
        for from in 0..size {
            for to in (0..size).filter(|&to| to != from) {
                let weight = generator.draw() % number("range");
                if generator.draw() % 100 >= number("absent") {
                    weights[from * size + to] = weight as f64;
                }
            }
        }
        let tree = minimum_arborescence(&dense(size, &weights), Root::Any).unwrap();
        assert_eq!(tree.weight(), number("weight") as f64, "{case}");
        // Large ranges have no ties.
        if number("range") > 1000 {
            assert_eq!(tree.root(), number("root") as usize, "{case}");
        }
    }
}
