//! The way from weights to a forest.

use core::ops::ControlFlow;

use mother::condensed::CondensedMatrix;
use mother::evidence::{Evidence, EvidenceError, GroupEvidence, Measurement, OnFailure, Score};
use mother::heritage::{ModelGraph, Recovery, Stage, Trees};
use mother::progress::Progress;
use mother::signature::ModelFailure;
use mother::weights::InMemoryModel;

/// Three models at known distances and scores.
fn three(distances: [f64; 3], scores: [f64; 3]) -> Evidence {
    let names = ["a", "b", "c"].map(String::from).to_vec();
    let distances = CondensedMatrix::new(3, distances.to_vec()).unwrap();
    let mut evidence = Evidence::default();
    let group = GroupEvidence::new(names, Some(scores.to_vec()), distances);
    evidence.groups.push(group.unwrap());
    evidence
}

fn parents(graph: &ModelGraph) -> Vec<Option<usize>> {
    (0..graph.len()).map(|model| graph.parent(model)).collect()
}

#[test]
fn grandparent_parent_child() {
    let evidence = three([1.0, 1.4, 1.0], [3.0, 2.0, 1.0]);
    let recovery = Recovery::paper().with_trees(Trees::Count(1));
    let graph = recovery.recover(&evidence).unwrap();
    assert_eq!(parents(&graph), [None, Some(0), Some(1)]);
    let graph = recovery
        .with_stage(Stage::Generalization)
        .recover(&evidence)
        .unwrap();
    assert_eq!(parents(&graph), [Some(1), Some(2), None]);
}

#[test]
fn parent_child_child() {
    let recovery = Recovery::paper().with_trees(Trees::Count(1));
    let graph = recovery
        .recover(&three([1.0, 1.0, 1.4], [3.0, 2.0, 1.0]))
        .unwrap();
    assert_eq!(parents(&graph), [None, Some(0), Some(0)]);
}

#[test]
fn parent_child_stranger() {
    let recovery = Recovery::paper().with_trees(Trees::Threshold(2.0));
    let graph = recovery
        .recover(&three([1.0, 9.0, 9.0], [3.0, 2.0, 5.0]))
        .unwrap();
    assert_eq!(parents(&graph), [None, Some(0), None]);
}

#[test]
fn three_strangers() {
    let recovery = Recovery::paper().with_trees(Trees::Threshold(2.0));
    let graph = recovery
        .recover(&three([9.0, 8.0, 9.0], [3.0, 2.0, 5.0]))
        .unwrap();
    assert_eq!(parents(&graph), [None, None, None]);
}

#[test]
fn a_stage_of_one_model_turns_only_its_edge() {
    let recovery = Recovery::paper()
        .with_trees(Trees::Count(1))
        .with_stage_of("c", Stage::Generalization);
    let graph = recovery
        .recover(&three([1.0, 1.4, 1.0], [3.0, 1.0, 2.0]))
        .unwrap();
    assert_eq!(parents(&graph), [None, Some(0), Some(1)]);
}

fn model<'a>(name: &str, values: [f32; 4]) -> InMemoryModel<'a> {
    let model = InMemoryModel::new(name).with_layer("w", [2, 2], values.to_vec());
    model.unwrap()
}

#[test]
fn the_order_of_the_models_changes_nothing() {
    let models = [
        model("a", [9.0, 1.0, 1.0, 1.0]),
        model("b", [9.0, 1.0, 1.0, 2.0]),
        model("c", [9.0, 1.0, 1.5, 2.0]),
    ];
    let expected = Measurement::new().measure(&models).unwrap();
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let models = order.map(|index: usize| models[index].clone());
        assert_eq!(Measurement::new().measure(&models).unwrap(), expected);
    }
}

#[test]
fn a_bad_model_is_named_and_the_others_are_kept() {
    let good = [
        model("a", [9.0, 1.0, 1.0, 1.0]),
        model("b", [9.0, 1.0, 1.0, 2.0]),
    ];
    let expected = Measurement::new().measure(&good).unwrap();
    let bad = model("bad", [1.0, f32::NAN, 1.0, 1.0]);
    let models = [good[0].clone(), bad, good[1].clone()];
    let evidence = Measurement::new().measure(&models).unwrap();
    assert_eq!(evidence.groups, expected.groups);
    let (layer, index, value) = ("w".into(), 1, "NaN".into());
    let failure = ModelFailure::NotFinite {
        layer,
        index,
        value,
    };
    assert_eq!(evidence.skipped[0].model, "bad");
    assert_eq!(evidence.skipped[0].failure, failure);
    let strict = Measurement::new().with_on_failure(OnFailure::Stop);
    assert!(matches!(
        strict.measure(&models),
        Err(EvidenceError::Model(_))
    ));
}

#[test]
fn other_architectures_are_never_in_one_tree() {
    let other = InMemoryModel::new("z").with_layer("v", [2, 2], vec![1.0_f32, 2.0, 3.0, 5.0]);
    let models = [model("a", [9.0, 1.0, 1.0, 1.0]), other.unwrap()];
    let evidence = Measurement::new().measure(&models).unwrap();
    let graph = Recovery::paper()
        .with_trees(Trees::Count(1))
        .recover(&evidence)
        .unwrap();
    assert_eq!(parents(&graph), [None, None]);
}

#[test]
fn equal_models_single_models_and_no_models_are_recovered() {
    let equal = [
        model("a", [9.0, 1.0, 1.0, 1.0]),
        model("b", [9.0, 1.0, 1.0, 1.0]),
    ];
    for count in 0..=2 {
        let evidence = Measurement::new().measure(&equal[..count]).unwrap();
        let graph = Recovery::paper().recover(&evidence).unwrap();
        assert_eq!((graph.len(), graph.trees().count()), (count, count.min(1)));
    }
    let twice = [equal[0].clone(), equal[0].clone()];
    let error = Measurement::new().measure(&twice).unwrap_err();
    assert_eq!(error, EvidenceError::DuplicateModel { model: "a".into() });
}

#[test]
fn every_score_is_measured_and_cancelling_stops() {
    let models = [model("a", [9.0, 1.0, 2.0, 1.0])];
    for (score, expected) in [
        (Score::Variance, 11.1875),
        (Score::Entropy, 1.0397207708399179),
    ] {
        let evidence = Measurement::new()
            .with_score(score)
            .measure(&models)
            .unwrap();
        let found = evidence.groups[0].scores().unwrap()[0];
        assert!((found - expected).abs() < 1e-12, "{found}");
    }
    let mut stop = |_: Progress| ControlFlow::Break(());
    let stopped = Measurement::new().measure_observed(&models, &mut stop);
    assert_eq!(stopped, Err(EvidenceError::Cancelled));
}
