//! Numbers as the weights of a digraph: dense beside sparse, with the proof of the minimum, and beside
//! every tree there is.

use mother::arborescence::{
    Arborescence, ArborescenceError, DenseDigraph, Edge, Root, arborescence_distribution,
    minimum_arborescence_certified, minimum_arborescence_sparse_certified,
};
use mother::invariants::{arborescence, dual_certificate};

use super::bytes::Bytes;

pub(crate) fn check(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let size = bytes.below(9);
    let root = match bytes.below(3) {
        0 => Root::At(bytes.below(9)),
        _ => Root::Any,
    };
    let weights: Vec<f64> = (0..size * size).map(|_| bytes.number()).collect();
    let off_diagonal = weights
        .iter()
        .enumerate()
        .filter(|(at, _)| at % (size + 1) != 0);
    let invalid = |weight: f64| weight.is_nan() || weight == f64::NEG_INFINITY;
    let refused = off_diagonal.clone().any(|(_, &weight)| invalid(weight));
    let Ok(digraph) = DenseDigraph::new(size, weights) else {
        assert!(refused);
        return;
    };
    let edges: Vec<Edge> = digraph.edges().collect();
    let dense = minimum_arborescence_certified(&digraph, root);
    let sparse = minimum_arborescence_sparse_certified(size, &edges, root);
    let ((tree, certificate), (sparse, sparse_certificate)) = match (dense, sparse) {
        (Ok(dense), Ok(sparse)) => (dense, sparse),
        (Err(dense), Err(sparse)) => {
            // With too few edges for any arborescence other nodes are named.
            if edges.len() + 1 >= size {
                assert_eq!(dense, sparse);
            }
            return check_refusal(&digraph, root, &dense);
        }
        (dense, sparse) => panic!("{dense:?} {sparse:?}"),
    };
    assert!(!tree.weight().is_nan());
    assert_eq!(arborescence(&digraph, tree.parents()), Ok(()));
    let largest = edges
        .iter()
        .fold(0.0_f64, |largest, edge| largest.max(edge.weight.abs()));
    let whole = edges
        .iter()
        .all(|edge| edge.weight.fract() == 0.0 && edge.weight.abs() < 1e15);
    let tolerance = match whole {
        true => 0.0,
        // Sums of the largest may overflow where one doesn't.
        false => (size * size) as f64 * f64::EPSILON * largest + 5e-324,
    };
    if whole {
        assert_eq!(tree.parents(), sparse.parents());
    }
    if largest < 1e280 {
        for (tree, certificate) in [(&tree, &certificate), (&sparse, &sparse_certificate)] {
            let sets: Vec<_> = certificate.sets().collect();
            let proved = dual_certificate(&digraph, root, tree.parents(), &sets, tolerance);
            assert_eq!(proved, Ok(()));
        }
    }
    if whole && size <= 5 {
        assert_eq!(Some(tree.weight()), lightest(&digraph, root));
    }
    check_distribution(&digraph, &tree);
}

fn check_refusal(digraph: &DenseDigraph, root: Root, error: &ArborescenceError) {
    assert!(!error.to_string().is_empty());
    if digraph.size() <= 5 {
        assert_eq!(lightest(digraph, root), None);
    }
}

/// The lightest of all trees, by trying every parent of every node.
fn lightest(digraph: &DenseDigraph, root: Root) -> Option<f64> {
    let size = digraph.size();
    let mut best: Option<f64> = None;
    let choices = size.pow(size as u32);
    for choice in 0..choices {
        let digits = (0..size).map(|node| choice / size.pow(node as u32) % size);
        // A node that is its own parent has none.
        let parents: Vec<Option<usize>> = digits
            .enumerate()
            .map(|(node, parent)| Some(parent).filter(|&parent| parent != node))
            .collect();
        if matches!(root, Root::At(root) if parents.get(root).copied() != Some(None)) {
            continue;
        }
        if arborescence(digraph, &parents).is_err() {
            continue;
        }
        let edges = parents.iter().enumerate();
        let weights = edges.filter_map(|(to, from)| digraph.weight((*from)?, to));
        let weight = weights.sum();
        best = Some(best.map_or(weight, |best| best.min(weight)));
    }
    best
}

/// Probabilities are some, and they add up.
fn check_distribution(digraph: &DenseDigraph, tree: &Arborescence) {
    let Ok(distribution) = arborescence_distribution(digraph) else {
        return;
    };
    assert_eq!(distribution.size(), tree.size());
    for node in 0..tree.size() {
        let parents = (0..tree.size()).map(|parent| distribution.edge_probability(parent, node));
        let all = parents.chain([distribution.root_probability(node)]);
        let mut sum = 0.0;
        for probability in all.map(Option::unwrap) {
            assert!((0.0..=1.0 + 1e-9).contains(&probability), "{probability}");
            sum += probability;
        }
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }
}
