//! Weights that models share say which of two near relatives is the parent.

use mother::condensed::CondensedMatrix;
use mother::evidence::{Evidence, GroupEvidence, SharedWeights, SignatureComparison};
use mother::heritage::{Index, JointConstant, JointModel, Method, ModelGraph, Recovery, Trees};
use mother::signature::Signature;
use mother::weights::InMemoryModel;

use crate::noise::noise;
use crate::signed;

const LAYERS: usize = 6;
const WIDTH: usize = 48;
const STEP: f32 = 0.05;

type Layers = Vec<Vec<f32>>;

fn fresh(seed: u64) -> Layers {
    let layers = 0..LAYERS as u64;
    (layers.map(|layer| noise(100 * seed + layer, WIDTH * WIDTH))).collect()
}

/// A step on all layers, or on those of even number. Groups of rows move by different amounts, so that growth is known.
fn moved(from: &Layers, step: &Layers, size: f32, is_adapter: bool) -> Layers {
    let layers = from.iter().zip(step).enumerate();
    let moved = layers.map(|(layer, (from, step))| {
        let is_frozen = is_adapter && layer % 2 == 1;
        let size = if is_frozen { 0.0 } else { size };
        let values = from.iter().zip(step).enumerate();
        let moved = values.map(|(at, (value, step))| {
            let of_rows = (at / (8 * WIDTH) + layer) % 6 + 1;
            value + size * of_rows as f32 / 4.0 * step
        });
        moved.collect()
    });
    moved.collect()
}

/// A base, a model trained from it, `sft`, and two models made from that: one trained in full, `dpo`, and one with a
/// merged adapter. The adapter learnt mostly what `dpo` learnt, so it is nearer to `dpo` than to its parent.
fn family() -> Vec<Signature> {
    let base = fresh(1);
    let sft = moved(&base, &fresh(2), STEP, false);
    let preferences = fresh(3);
    let dpo = moved(&sft, &preferences, 0.2 * STEP, false);
    let adapter = moved(&sft, &preferences, 0.5 * STEP, true);
    let adapter = moved(&adapter, &fresh(4), 0.1 * STEP, true);
    let model = |name: &str, layers: &Layers| {
        layers
            .iter()
            .enumerate()
            .fold(InMemoryModel::new(name), |model, (at, values)| {
                let name = format!("layers.{at}.weight");
                model
                    .with_layer(name, [WIDTH, WIDTH], values.clone())
                    .unwrap()
            })
    };
    signed::signatures(&[
        model("adapter", &adapter),
        model("base", &base),
        model("dpo", &dpo),
        model("sft", &sft),
    ])
}

/// The confidence that the adapter comes from `sft`, if it and `dpo` were placed there.
fn confidence_of_adapter(graph: &ModelGraph) -> Option<f64> {
    let is_right = |name: &&str| graph.parent_of(name) == Some("sft");
    let are_right = ["adapter", "dpo"].iter().all(is_right);
    let adapter = graph.index("adapter").filter(|_| are_right)?;
    graph.models()[adapter].confidence()
}

#[test]
fn merged_adapters_are_children_of_the_model_that_shares_their_weights() {
    let signatures = family();
    let without = JointModel::new().without(JointConstant::SharedWeights);
    let without = Recovery::new().with_method(Method::Joint(without));
    for dense_limit in [0, 48] {
        let [without, with] = [&without, &Recovery::new()].map(|recovery| {
            let mut index = Index::new()
                .with_recovery(recovery.clone())
                .with_dense_limit(dense_limit);
            for signature in &signatures {
                index.insert(signature.clone()).unwrap();
            }
            index.graph().unwrap()
        });
        let [without, with] = [without, with].map(|graph| confidence_of_adapter(&graph).unwrap());
        assert!(with > without + 0.05, "{with} {without}");
    }
}

#[test]
fn of_models_equally_far_apart_those_that_share_weights_are_neighbours() {
    let names = ["a", "b", "c"].map(String::from).to_vec();
    let distances = CondensedMatrix::new(3, vec![1.0; 3]).unwrap();
    let group = GroupEvidence::new(names, None, distances).unwrap();
    let shared = SharedWeights::new(3, [vec![2, 0]]);
    let mut evidence = Evidence::default();
    evidence
        .groups
        .push(group.with_shared_weights(shared).unwrap());
    let recovery = Recovery::new().with_trees(Trees::Count(1));
    let graph = recovery.recover(&evidence).unwrap();
    assert!(
        graph.parent_of("a") == Some("c") || graph.parent_of("c") == Some("a"),
        "{graph}"
    );
}

#[test]
fn evidence_keeps_what_is_shared() {
    let evidence = SignatureComparison::new().compare(&family()).unwrap();
    let group = evidence.groups[0].clone();
    let shared = group.shared_weights().unwrap();
    let at = |name| group.position(name).unwrap();
    assert_eq!(shared.sets_with(at("adapter"), at("sft")), 1);
    assert_eq!(shared.sets_with(at("adapter"), at("dpo")), 0);
    let error = group
        .with_shared_weights(SharedWeights::new(3, []))
        .unwrap_err();
    assert!(error.to_string().contains("shared weights"), "{error}");
}
