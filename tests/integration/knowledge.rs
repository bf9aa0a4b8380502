//! Facts that are known about models are respected, and contradictions among them are named.

use mother::condensed::CondensedMatrix;
use mother::evidence::{Evidence, GroupEvidence};
use mother::heritage::{Contradiction, Knowledge, ModelGraph, Recovery, RecoveryError, Trees};
use proptest::prelude::*;

/// Groups of models at these distances, without growth; scores fall with the position.
fn evidence(groups: &[(&[&str], &[f64])]) -> Evidence {
    let mut evidence = Evidence::default();
    for (names, distances) in groups {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let scores = (0..names.len()).map(|index| 9.0 - index as f64).collect();
        let distances = CondensedMatrix::new(names.len(), distances.to_vec()).unwrap();
        let group = GroupEvidence::new(names, Some(scores), distances).unwrap();
        evidence.groups.push(group);
    }
    evidence
}

const FAMILY: (&[&str], &[f64]) = (&["a", "b", "c", "d"], &[1.0, 1.4, 1.7, 1.0, 1.4, 1.0]);

fn recover(knowledge: Knowledge, trees: usize) -> Result<ModelGraph, RecoveryError> {
    let recovery = Recovery::new().with_trees(Trees::Count(trees));
    recovery
        .with_knowledge(knowledge)
        .recover(&evidence(&[FAMILY]))
}

fn parent<'a>(graph: &'a ModelGraph, model: &str) -> Option<&'a str> {
    graph.name(graph.parent(graph.index(model)?)?)
}

#[test]
fn known_parents_roots_and_leaves_are_respected() {
    let graph = recover(Knowledge::new().with_parent("a", "d").with_root("c"), 1).unwrap();
    assert_eq!(parent(&graph, "a"), Some("d"));
    assert_eq!(graph.roots(), [2]);
    let a = &graph.models()[0];
    assert_eq!((a.confidence(), a.runner_up()), (Some(1.0), None));
    let graph = recover(Knowledge::new().with_leaf("b").with_leaf("c"), 1).unwrap();
    assert!(graph.children(1).is_empty() && graph.children(2).is_empty());
    let graph = recover(Knowledge::new().without_parent("d", "c").with_root("a"), 1).unwrap();
    assert_ne!(parent(&graph, "d"), Some("c"));
    let graph = Recovery::paper()
        .with_trees(Trees::Count(1))
        .with_knowledge(Knowledge::new().with_parent("a", "d"))
        .recover(&evidence(&[FAMILY]))
        .unwrap();
    assert_eq!(parent(&graph, "a"), Some("d"));
}

#[test]
fn roots_are_apart_and_known_edges_hold_clusters_together() {
    let knowledge = Knowledge::new().with_root("b").with_root("c");
    for trees in [1, 2] {
        let graph = recover(knowledge.clone(), trees).unwrap();
        assert_eq!(graph.roots(), [1, 2], "{trees}");
    }
    let graph = recover(Knowledge::new().with_parent("d", "a"), 3).unwrap();
    assert_eq!(graph.tree(0), graph.tree(3));
    assert_eq!(graph.roots().len(), 3);
}

#[test]
fn contradicting_facts_split_a_cluster_into_more_trees() {
    let leaves = ["a", "b", "c", "d"]
        .into_iter()
        .fold(Knowledge::new(), Knowledge::with_leaf);
    assert_eq!(recover(leaves, 1).unwrap().roots().len(), 4);
    let no_edge = Knowledge::new()
        .without_parent("d", "a")
        .without_parent("d", "b")
        .without_parent("d", "c")
        .with_leaf("d");
    let graph = recover(no_edge, 1).unwrap();
    assert_eq!(graph.roots().len(), 2);
    assert!(graph.roots().contains(&3));
}

#[test]
fn an_early_child_is_less_probable_but_not_impossible() {
    // Nothing but the times tells the directions of these.
    let flat = |knowledge| {
        let mut evidence = evidence(&[(&["a", "b"], &[1.0])]);
        let distances = CondensedMatrix::new(2, vec![1.0]).unwrap();
        let names = vec!["a".into(), "b".into()];
        evidence.groups[0] = GroupEvidence::new(names, None, distances).unwrap();
        let recovery = Recovery::new().with_trees(Trees::Count(1));
        recovery
            .with_knowledge(knowledge)
            .recover(&evidence)
            .unwrap()
    };
    for (first, second, root) in [(3, 5, "a"), (5, 3, "b")] {
        let graph = flat(
            Knowledge::new()
                .with_time("a", first)
                .with_time("b", second),
        );
        assert_eq!(graph.name(graph.roots()[0]), Some(root));
        let confidence = graph.models()[graph.roots()[0]].confidence().unwrap();
        assert!((0.97..0.99).contains(&confidence), "{confidence}");
    }
    let equal = flat(Knowledge::new().with_time("a", 3).with_time("b", 3));
    assert!((equal.models()[0].confidence().unwrap() - 0.5).abs() < 1e-9);
    // A distance that is clear enough outvotes them.
    let clear: (&[&str], &[f64]) = (&["a", "b", "c"], &[1.0, 3.0, 2.9]);
    let times = Knowledge::new()
        .with_root("a")
        .with_time("b", 9)
        .with_time("c", 1);
    let recovery = Recovery::new()
        .with_trees(Trees::Count(1))
        .with_knowledge(times.clone());
    let graph = recovery.recover(&evidence(&[clear])).unwrap();
    assert_eq!(parent(&graph, "c"), Some("a"));
    let clearer: (&[&str], &[f64]) = (&["a", "b", "c"], &[1.0, 3.0, 2.0]);
    let graph = recovery.recover(&evidence(&[clearer])).unwrap();
    assert_eq!(parent(&graph, "c"), Some("b"));
}

#[test]
fn contradictions_are_named_and_strangers_ignored() {
    let error = recover(Knowledge::new().with_parent("a", "b").with_root("a"), 1).unwrap_err();
    let expected = Contradiction::RootWithParent {
        model: "a".into(),
        parent: "b".into(),
    };
    assert_eq!(error, RecoveryError::Knowledge(expected));
    let groups = evidence(&[FAMILY, (&["x", "y"], &[1.0])]);
    let other = Knowledge::new().with_parent("y", "a");
    let error = Recovery::new()
        .with_knowledge(other)
        .recover(&groups)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the known parent of model "y", "a", has another architecture"#
    );
    let recovery = Recovery::new().with_trees(Trees::Count(4));
    let clusters = recovery.clusters(&evidence(&[FAMILY])).unwrap();
    let known = recovery.with_knowledge(Knowledge::new().with_parent("b", "a"));
    let error = known.graph(&evidence(&[FAMILY]), &clusters).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the known parent of model "b", "a", is in another cluster"#
    );
    let strangers = Knowledge::new()
        .with_parent("a", "nobody")
        .with_parent("nobody", "b")
        .with_root("somebody")
        .with_time("else", 3);
    assert_eq!(
        recover(strangers, 1).unwrap(),
        recover(Knowledge::new(), 1).unwrap()
    );
}

proptest! {
    #![proptest_config(crate::cases(300))]

    #[test]
    fn consistent_facts_hold_in_the_result(
        distances in prop::collection::vec(0.1_f64..3.0, 15),
        parents in prop::collection::vec((0_usize..6, 0_usize..6), 0..4),
        not_parents in prop::collection::vec((0_usize..6, 0_usize..6), 0..8),
        roots in prop::collection::vec(0_usize..6, 0..3),
        leaves in prop::collection::vec(0_usize..6, 0..3),
        trees in 1_usize..6,
        paper: bool,
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let mut knowledge = Knowledge::new();
        for &(child, parent) in &parents {
            knowledge = knowledge.with_parent(names[child], names[parent]);
        }
        for &(child, parent) in &not_parents {
            knowledge = knowledge.without_parent(names[child], names[parent]);
        }
        for &root in &roots {
            knowledge = knowledge.with_root(names[root]);
        }
        for &leaf in &leaves {
            knowledge = knowledge.with_leaf(names[leaf]);
        }
        let method = if paper { Recovery::paper() } else { Recovery::new() };
        let recovery = method.with_trees(Trees::Count(trees)).with_knowledge(knowledge.clone());
        let found = recovery.recover(&evidence(&[(&names, &distances)]));
        if let Err(contradiction) = knowledge.check() {
            prop_assert_eq!(found.unwrap_err(), RecoveryError::Knowledge(contradiction));
            return Ok(());
        }
        let graph = found.unwrap();
        for (child, parent) in parents {
            prop_assert_eq!(graph.parent(child), Some(parent));
        }
        for (child, parent) in not_parents {
            prop_assert_ne!(graph.parent(child), Some(parent));
        }
        for root in roots {
            prop_assert_eq!(graph.parent(root), None);
        }
        for leaf in leaves {
            prop_assert!(graph.children(leaf).is_empty());
        }
    }
}

#[test]
fn a_claim_decides_only_what_the_weights_leave_open() {
    // The third model is about as far from both others, or much nearer to the first.
    let recover = |to_first: f64, knowledge: Knowledge| {
        let names = ["a", "b", "c"].map(String::from).to_vec();
        let distances = CondensedMatrix::new(3, vec![1.0, to_first, 1.0]).unwrap();
        let mut evidence = Evidence::default();
        evidence
            .groups
            .push(GroupEvidence::new(names, None, distances).unwrap());
        let recovery = Recovery::new().with_trees(Trees::Count(1));
        let root = knowledge.with_root("a").with_parent("b", "a");
        let graph = recovery.with_knowledge(root).recover(&evidence).unwrap();
        graph.parent(2)
    };
    let claim = |parent| Knowledge::new().with_claim("c", parent);
    for (to_first, unclaimed) in [(1.01, 1), (0.99, 0)] {
        assert_eq!(recover(to_first, Knowledge::new()), Some(unclaimed));
        assert_eq!(recover(to_first, claim("a")), Some(0));
        assert_eq!(recover(to_first, claim("b")), Some(1));
    }
    assert_eq!(recover(0.1, claim("b")), Some(0));
    // Of several that are claimed the weights choose, and one that isn't there says nothing.
    let both = Knowledge::new().with_claim("c", "a").with_claim("c", "b");
    assert_eq!(recover(0.1, both), Some(0));
    assert_eq!(recover(0.1, claim("z")), Some(0));
}
