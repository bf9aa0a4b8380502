//! Copies are found among trained models, and hang on what they were copied of.

use mother::evidence::{CopyKind, Evidence, EvidenceError, ModelCopy};
use mother::heritage::Recovery;
use mother::weights::InMemoryModel;

use crate::noise::noise;
use crate::signed;

const SIDE: usize = 64;

fn step(from: &[f32], seed: u64) -> Vec<f32> {
    let step = noise(seed, from.len());
    let part = |index: usize| ((index / SIDE) % 5 + 1) as f32 / 20.0;
    let weights = from.iter().zip(step).enumerate();
    weights
        .map(|(index, (weight, step))| weight + part(index) * step)
        .collect()
}

fn to_bytes(weights: &[f32]) -> Vec<f32> {
    let largest = weights
        .iter()
        .fold(0.0_f32, |largest, weight| weight.abs().max(largest));
    let scale = largest / 127.0;
    weights
        .iter()
        .map(|weight| (weight / scale).round() * scale)
        .collect()
}

fn pruned(weights: &[f32]) -> Vec<f32> {
    weights
        .iter()
        .map(|&weight| if weight.abs() < 0.3 { 0.0 } else { weight })
        .collect()
}

fn model(name: &str, weights: Vec<f32>) -> InMemoryModel<'static> {
    InMemoryModel::new(name)
        .with_layer("w", [SIDE, SIDE], weights)
        .unwrap()
}

/// A base with two children, the second of which has a child; and copies of the second.
fn family() -> (Vec<InMemoryModel<'static>>, Evidence) {
    let base = noise(1, SIDE * SIDE);
    let (first, second) = (step(&base, 2), step(&base, 3));
    let bfloat = |weight: &f32| half::bf16::from_f32(*weight).to_f32();
    let half = |weight: &f32| half::f16::from_f32(*weight).to_f32();
    let models = vec![
        model("base", base),
        model("first", first),
        model("second-bfloat", second.iter().map(bfloat).collect()),
        model("second-bytes", to_bytes(&second)),
        model("second-half", second.iter().map(half).collect()),
        model("second-pruned", pruned(&second)),
        model("second", second.clone()),
        model("second-again", second.clone()),
        model("third", step(&second, 4)),
    ];
    let evidence = signed::evidence(&models);
    (models, evidence)
}

#[test]
fn every_kind_of_copy_is_found_and_nothing_else() {
    let (_, evidence) = family();
    let group = &evidence.groups[0];
    let found: Vec<(&str, &str, CopyKind)> = group
        .copies()
        .iter()
        .map(|copy| {
            let name = |position: usize| group.models()[position].as_str();
            (name(copy.copy), name(copy.original), copy.kind)
        })
        .collect();
    let expected = [
        ("second-again", "second", CopyKind::Duplicate),
        ("second-bfloat", "second", CopyKind::Cast),
        ("second-bytes", "second", CopyKind::Quantised),
        ("second-half", "second", CopyKind::Cast),
        ("second-pruned", "second", CopyKind::Pruned),
    ];
    assert_eq!(found, expected);
}

#[test]
fn copies_are_leaves_of_their_original() {
    let (_, evidence) = family();
    let graph = Recovery::new().recover(&evidence).unwrap();
    let parent = |name: &str| {
        let parent = graph.parent(graph.index(name).unwrap());
        parent.and_then(|parent| graph.name(parent))
    };
    for copy in ["again", "bfloat", "bytes", "half", "pruned"] {
        assert_eq!(parent(&format!("second-{copy}")), Some("second"));
    }
    assert_eq!(parent("base"), None);
    assert_eq!(parent("first"), Some("base"));
    assert_eq!(parent("second"), Some("base"));
    assert_eq!(parent("third"), Some("second"));
}

#[test]
fn a_model_whose_original_is_missing_is_no_copy() {
    let (models, _) = family();
    let without: Vec<_> = models
        .into_iter()
        .filter(|model| {
            !["second", "second-again"].contains(&mother::weights::WeightSource::name(model))
        })
        .collect();
    let evidence = signed::evidence(&without);
    assert_eq!(evidence.groups[0].copies(), []);
}

#[test]
fn copies_that_cannot_be_are_refused() {
    let (_, evidence) = family();
    let copy = |copy: usize, original: usize| ModelCopy {
        copy,
        original,
        kind: CopyKind::Cast,
    };
    for (copies, wrong) in [
        (vec![copy(0, 9)], (0, 9)),
        (vec![copy(0, 1), copy(0, 2)], (0, 2)),
        (vec![copy(0, 1), copy(1, 0)], (0, 1)),
        (vec![copy(3, 3)], (3, 3)),
    ] {
        let refused = evidence.groups[0].clone().with_copies(copies);
        let (copy, original) = wrong;
        assert_eq!(refused, Err(EvidenceError::Copy { copy, original }));
    }
}
