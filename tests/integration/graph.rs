//! The model graph against naive answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::collections::HashSet;

use mother::heritage::{Descent, DescentKind, GraphError, Model, ModelGraph};
use proptest::prelude::*;

mod documents;
mod exports;
#[cfg(feature = "serde")]
mod json;

/// Names with everything that some format could trip over.
fn hostile_name() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => prop::char::range('a', 'c'),
        4 => prop::sample::select(" \"'\\#;&<>[](){}|:,_*`%-.\n\r\t\0\u{1b}é猫\u{301}\u{2028}\u{202e}"
            .chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    prop::collection::vec(character, 0..6).prop_map(|name| name.into_iter().collect())
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(5e-324),
        Just(-f64::MAX),
        Just(0.1 + 0.2),
        0.0..1.0_f64,
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
    ]
}

/// Parents of a random forest: each before its children, then relabelled.
fn forest(largest: usize) -> impl Strategy<Value = Vec<Option<usize>>> {
    let parents = prop::collection::vec((any::<prop::sample::Index>(), 0..6_u8), 0..=largest);
    parents
        .prop_flat_map(|draws| {
            let order: Vec<usize> = (0..draws.len()).collect();
            (Just(draws), Just(order).prop_shuffle())
        })
        .prop_map(|(draws, label)| {
            let mut parents = vec![None; draws.len()];
            for (node, (draw, kind)) in draws.iter().enumerate().skip(1) {
                parents[label[node]] = match kind {
                    0 => None,
                    // Deep as well as bushy.
                    1 | 2 => Some(label[node - 1]),
                    _ => Some(label[draw.index(node)]),
                };
            }
            parents
        })
}

/// A random forest with hostile names and numbers.
fn graph(largest: usize) -> impl Strategy<Value = ModelGraph> {
    let evidence = (
        hostile_name(),
        prop::option::of(finite()),
        prop::option::of(finite()),
        prop::option::of(0.0..=1.0_f64),
    );
    (forest(largest), prop::collection::vec(evidence, largest)).prop_map(|(parents, evidence)| {
        let mut names = HashSet::new();
        let mut models = Vec::new();
        for (parent, (mut name, score, distance, confidence)) in parents.into_iter().zip(evidence) {
            while !names.insert(name.clone()) {
                name += &models.len().to_string();
            }
            models.push(model(
                name,
                score,
                parent.map(|parent| descent(parent, distance, confidence)),
            ));
        }
        ModelGraph::new(models).unwrap()
    })
}

fn model(name: String, score: Option<f64>, descent: Option<Descent>) -> Model {
    let mut model = Model::new(name);
    if let Some(score) = score {
        model = model.with_score(score);
    }
    match descent {
        Some(descent) => model.with_descent(descent),
        None => model,
    }
}

fn descent(parent: usize, distance: Option<f64>, confidence: Option<f64>) -> Descent {
    let mut descent = Descent::new(parent);
    if let Some(distance) = distance {
        descent = descent.with_distance(distance);
    }
    match confidence {
        Some(confidence) => descent.with_confidence(confidence),
        None => descent,
    }
}

fn from_positions(parents: &[Option<usize>]) -> Result<ModelGraph, GraphError> {
    let model = |(node, parent): (usize, &Option<usize>)| {
        let descent = parent.map(|parent| descent(parent, Some(0.5), None));
        model(format!("m{node}"), None, descent)
    };
    ModelGraph::new(parents.iter().enumerate().map(model).collect())
}

#[cfg(feature = "petgraph")]
#[test]
fn petgraph_has_the_same_edges() {
    use petgraph::graph::DiGraph;

    let child = Model::new("chat").with_descent(Descent::new(0).with_distance(0.5));
    let graph = ModelGraph::new(vec![Model::new("base"), child]).unwrap();
    let mut other = DiGraph::from(&graph);
    assert_eq!(other.edge_weights().collect::<Vec<_>>(), [&Some(0.5)]);
    assert_eq!(ModelGraph::try_from(&other).as_ref(), Ok(&graph));
    let (root, child) = (0.into(), 1.into());
    other.add_edge(child, root, None);
    assert!(matches!(
        ModelGraph::try_from(&other),
        Err(GraphError::Cycle { .. })
    ));
    other.add_edge(root, child, None);
    assert!(matches!(
        ModelGraph::try_from(&other),
        Err(GraphError::SeveralParents { .. })
    ));
}

#[test]
fn names_answer_by_name() {
    let graph = ModelGraph::new(vec![
        Model::new("base"),
        Model::new("chat").with_descent(Descent::new(0)),
        Model::new("code").with_descent(Descent::new(0)),
    ])
    .unwrap();
    assert_eq!(graph.parent_of("chat"), Some("base"));
    assert_eq!([graph.parent_of("base"), graph.parent_of("who")], [None; 2]);
    assert!(graph.children_of("base").eq(["chat", "code"]));
    assert_eq!(graph.children_of("who").count(), 0);
    assert_eq!(DescentKind::LowRank { rank: 8 }.to_string(), "low-rank");
}

/// A node and its ancestors; stops where it would go round in a cycle.
fn climb(parents: &[Option<usize>], node: usize) -> Vec<usize> {
    let mut line = vec![node];
    while let Some(parent) = parents[line[line.len() - 1]] {
        if line.contains(&parent) {
            break;
        }
        line.push(parent);
    }
    line
}

fn naive_preorder(parents: &[Option<usize>], node: usize, order: &mut Vec<usize>) {
    order.push(node);
    for child in (0..parents.len()).filter(|&child| parents[child] == Some(node)) {
        naive_preorder(parents, child, order);
    }
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn queries_about_one_model_equal_naive_answers(parents in forest(14)) {
        let graph = from_positions(&parents).unwrap();
        let roots: Vec<_> = (0..parents.len()).filter(|&i| parents[i].is_none()).collect();
        prop_assert_eq!(graph.roots(), &roots);
        let mut everything = Vec::new();
        for (tree, &root) in roots.iter().enumerate() {
            let before = everything.len();
            naive_preorder(&parents, root, &mut everything);
            let tree = graph.trees().nth(tree).unwrap();
            prop_assert_eq!((tree.root, tree.size), (root, everything.len() - before));
        }
        prop_assert_eq!(graph.preorder(), everything);
        for node in 0..parents.len() {
            let line = climb(&parents, node);
            prop_assert_eq!(graph.parent(node), parents[node]);
            prop_assert_eq!(graph.ancestors(node).collect::<Vec<_>>(), &line[1..]);
            prop_assert_eq!(graph.depth(node), Some(line.len() - 1));
            let root = line[line.len() - 1];
            prop_assert_eq!(graph.tree(node), roots.iter().position(|&other| other == root));
            let mut subtree = Vec::new();
            naive_preorder(&parents, node, &mut subtree);
            prop_assert_eq!(graph.subtree(node), subtree);
            let children: Vec<_> =
                (0..parents.len()).filter(|&child| parents[child] == Some(node)).collect();
            prop_assert_eq!(graph.children(node), children);
            prop_assert_eq!(graph.index(graph.name(node).unwrap()), Some(node));
        }
        let edges: Vec<_> =
            (0..parents.len()).filter_map(|child| Some((parents[child]?, child))).collect();
        prop_assert_eq!(graph.edges().collect::<Vec<_>>(), edges);
    }

    #[test]
    fn queries_about_two_models_equal_naive_answers(parents in forest(10)) {
        let graph = from_positions(&parents).unwrap();
        for a in 0..parents.len() {
            for b in 0..parents.len() {
                let (up, down) = (climb(&parents, a), climb(&parents, b));
                let top = up.iter().copied().find(|node| down.contains(node));
                prop_assert_eq!(graph.lowest_common_ancestor(a, b), top);
                prop_assert_eq!(graph.is_ancestor(a, b), a != b && down.contains(&a));
                let path = top.map(|top| {
                    let mut path: Vec<_> = up.into_iter().take_while(|&node| node != top).collect();
                    path.push(top);
                    let down: Vec<_> = down.into_iter().take_while(|&node| node != top).collect();
                    path.extend(down.into_iter().rev());
                    path
                });
                prop_assert_eq!(graph.path(a, b), path);
            }
        }
    }

    #[test]
    fn a_list_is_refused_exactly_when_it_has_a_cycle(
        parents in prop::collection::vec(prop::option::of(0..6_usize), 6)
    ) {
        let on_cycle = |node: usize| {
            let line = climb(&parents, node);
            parents[line[line.len() - 1]] == Some(node)
        };
        match from_positions(&parents) {
            Ok(_) => prop_assert!(!(0..6).any(on_cycle)),
            Err(GraphError::Cycle { model }) => {
                prop_assert!(on_cycle(model[1..].parse().unwrap()));
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn parents_by_name_make_the_same_graph_as_parents_by_position(parents in forest(12)) {
        let names: Vec<_> = (0..parents.len()).map(|node| format!("m{node}")).collect();
        let by_name = ModelGraph::from_parents(
            (0..parents.len()).map(|node| (&names[node], parents[node].map(|parent| &names[parent]))),
        ).unwrap();
        let by_position = from_positions(&parents).unwrap();
        prop_assert!(by_name.edges().eq(by_position.edges()));
        prop_assert!(by_name.models().iter().zip(by_position.models()).all(|(a, b)| a.name() == b.name()));
    }
}

fn example() -> ModelGraph {
    ModelGraph::new(vec![
        Model::new("a1").with_score(231.5),
        Model::new("b2").with_score(230.25).with_descent(
            Descent::new(0)
                .with_distance(0.012_345_678)
                .with_confidence(0.98),
        ),
        Model::new("c3").with_descent(Descent::new(1).with_distance(16.0)),
        Model::new("d4").with_descent(Descent::new(1).with_confidence(1.0)),
        Model::new("e5").with_descent(Descent::new(3)),
        Model::new("f 6").with_descent(Descent::new(0).with_distance(1e-7)),
        Model::new("g7"),
    ])
    .unwrap()
}

#[test]
fn an_empty_graph_and_positions_past_the_end_answer_nothing() {
    let empty = ModelGraph::default();
    assert_eq!(empty, ModelGraph::new(Vec::new()).unwrap());
    assert!(empty.is_empty());
    assert_eq!(empty.index(""), None);
    assert_eq!(
        (empty.to_string(), empty.newick().to_string()),
        Default::default()
    );
    assert_eq!(empty.dot().to_string(), "digraph heritage {\n}");
    assert_eq!(empty.mermaid().to_string(), "flowchart TD");
    for graph in [empty, example()] {
        for far in [graph.len(), usize::MAX] {
            assert_eq!(graph.name(far), None);
            assert_eq!(graph.parent(far), None);
            assert_eq!(graph.depth(far), None);
            assert_eq!(graph.tree(far), None);
            assert!(graph.children(far).is_empty() && graph.subtree(far).is_empty());
            assert_eq!(graph.ancestors(far).count(), 0);
            for near in [0, far] {
                assert!(!graph.is_ancestor(far, near) && !graph.is_ancestor(near, far));
                assert_eq!(graph.lowest_common_ancestor(far, near), None);
                assert_eq!(graph.path(near, far), None);
            }
        }
    }
}

#[test]
fn invalid_forests_are_rejected_with_the_name_at_fault() {
    let child = |descent| vec![Model::new("a"), Model::new("b\n").with_descent(descent)];
    let refused = |models| ModelGraph::new(models).unwrap_err().to_string();
    assert_eq!(
        refused(vec![Model::new("a"), Model::new("b"), Model::new("a")]),
        "two models are named \"a\""
    );
    assert_eq!(
        refused(child(Descent::new(2))),
        "model \"b\\n\" has parent 2, but there are only 2 models"
    );
    assert_eq!(
        refused(child(Descent::new(usize::MAX))),
        format!(
            "model \"b\\n\" has parent {}, but there are only 2 models",
            usize::MAX
        )
    );
    assert_eq!(
        refused(child(Descent::new(1))),
        "model \"b\\n\" is its own ancestor"
    );
    assert_eq!(
        refused(child(Descent::new(0).with_distance(f64::INFINITY))),
        "distance inf of model \"b\\n\" from its parent is not finite"
    );
    assert_eq!(
        refused(vec![Model::new("a").with_score(f64::NAN)]),
        "score NaN of model \"a\" is not finite"
    );
    for confidence in [-0.1, 1.1, f64::NAN] {
        assert_eq!(
            refused(child(Descent::new(0).with_confidence(confidence))),
            format!("confidence {confidence} in the parent of model \"b\\n\" is not from 0 to 1")
        );
    }
    assert_eq!(
        ModelGraph::from_parents([("a", Some("z"))]).unwrap_err(),
        GraphError::UnknownParent {
            model: "a".into(),
            parent: "z".into()
        }
    );
}

#[test]
fn a_chain_of_a_hundred_thousand_models_needs_no_stack() {
    let count = 100_000;
    let parents: Vec<_> = (0..count).map(|node: usize| node.checked_sub(1)).collect();
    let graph = from_positions(&parents).unwrap();
    let last = count - 1;
    assert_eq!(graph.depth(last), Some(last));
    assert_eq!(graph.subtree(0).len(), count);
    assert_eq!(graph.path(last, 0).unwrap().len(), count);
    assert!(graph.is_ancestor(0, last));
    let newick = graph.newick().to_string();
    assert!(newick.starts_with("((((") && newick.ends_with(":0.5)m0;"));
    assert_eq!(graph.dot().to_string().lines().count(), 2 * count + 1);
    let mut ring = parents;
    ring[0] = Some(last);
    assert!(matches!(
        from_positions(&ring),
        Err(GraphError::Cycle { .. })
    ));
}
