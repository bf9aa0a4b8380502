//! Kinds of edges: full fine-tuning, updates of low rank, and copies, in every type of weights.

use half::{bf16, f16};
use mother::evidence::{CopyKind, EvidenceError, Measurement, Update};
use mother::heritage::{DescentKind, ModelGraph, Recovery, Trees};
use mother::weights::{InMemoryModel, WeightValues};

use crate::noise::Noise;

/// One wider than what is looked at of large matrices, one smaller.
const SHAPES: [[usize; 2]; 2] = [[160, 200], [48, 64]];

type Weights = Vec<Vec<f64>>;

fn trained_anew(noise: &mut Noise) -> Weights {
    let layer = |[rows, columns]: [usize; 2]| (0..rows * columns).map(|_| noise.next()).collect();
    SHAPES.map(layer).into()
}

fn fine_tuned(from: &Weights, noise: &mut Noise) -> Weights {
    let layers = from.iter();
    layers
        .map(|layer| layer.iter().map(|w| w + 0.1 * noise.next()).collect())
        .collect()
}

/// Adds a product of two thin matrices to every layer.
fn low_rank(from: &Weights, rank: usize, noise: &mut Noise) -> Weights {
    let mut next = from.clone();
    for (layer, [rows, columns]) in next.iter_mut().zip(SHAPES) {
        for _ in 0..rank {
            let left: Vec<f64> = (0..rows).map(|_| 0.3 * noise.next()).collect();
            let right: Vec<f64> = (0..columns).map(|_| 0.3 * noise.next()).collect();
            for (row, left) in layer.chunks_mut(columns).zip(&left) {
                for (weight, right) in row.iter_mut().zip(&right) {
                    *weight += left * right;
                }
            }
        }
    }
    next
}

fn stored<E>(models: &[(&str, Weights)], round: impl Fn(f64) -> E) -> Vec<InMemoryModel<'static>>
where
    Vec<E>: Into<WeightValues<'static>>,
{
    let model = |(name, layers): &(&str, Weights)| {
        let mut model = InMemoryModel::new(*name);
        for (number, (layer, shape)) in layers.iter().zip(SHAPES).enumerate() {
            let values: Vec<E> = layer.iter().map(|&weight| round(weight)).collect();
            model = model
                .with_layer(format!("layer{number}"), shape, values)
                .unwrap();
        }
        model
    };
    models.iter().map(model).collect()
}

fn family() -> Vec<(&'static str, Weights)> {
    let mut noise = Noise::new(1);
    let base = trained_anew(&mut noise);
    let tuned = fine_tuned(&base, &mut noise);
    let adapted = low_rank(&base, 3, &mut noise);
    let adapted_again = low_rank(&adapted, 12, &mut noise);
    let adapted_full = low_rank(&tuned, 1, &mut noise);
    vec![
        ("adapted", adapted),
        ("adapted-again", adapted_again),
        ("adapted-full", adapted_full),
        ("base", base),
        ("tuned", tuned.clone()),
        ("tuned-copy", tuned),
    ]
}

fn graph(models: &[InMemoryModel<'_>]) -> ModelGraph {
    let evidence = Measurement::new().measure(models).unwrap();
    let recovery = Recovery::new().with_trees(Trees::Count(1));
    recovery.recover(&evidence).unwrap()
}

fn assert_kinds(graph: &ModelGraph, context: &str) {
    let expected = [
        ("adapted", "base", DescentKind::LowRank { rank: 3 }),
        (
            "adapted-again",
            "adapted",
            DescentKind::LowRank { rank: 12 },
        ),
        ("adapted-full", "tuned", DescentKind::LowRank { rank: 1 }),
        ("tuned", "base", DescentKind::Full),
        (
            "tuned-copy",
            "tuned",
            DescentKind::Copy(CopyKind::Duplicate),
        ),
    ];
    assert_eq!(graph.roots(), [graph.index("base").unwrap()], "{context}");
    for (child, parent, kind) in expected {
        let descent = graph.models()[graph.index(child).unwrap()].descent();
        let descent = descent.unwrap();
        assert_eq!(graph.name(descent.parent()), Some(parent), "{context}");
        assert_eq!(descent.kind(), Some(kind), "{context}: {child}");
    }
}

#[test]
fn edges_say_how_the_child_was_made_whatever_its_weights_are_stored_in() {
    let family = family();
    assert_kinds(&graph(&stored(&family, |weight| weight)), "f64");
    assert_kinds(&graph(&stored(&family, |weight| weight as f32)), "f32");
    assert_kinds(&graph(&stored(&family, f16::from_f64)), "f16");
    // Rounding hides updates no larger than itself, and these are ten times larger.
    assert_kinds(&graph(&stored(&family, bf16::from_f64)), "bf16");
}

#[test]
fn updates_of_no_model_or_of_an_impossible_rank_are_refused() {
    let models = stored(&family(), |weight| weight as f32);
    let evidence = Measurement::new().measure(&models).unwrap();
    let group = &evidence.groups[0];
    let count = group.models().len();
    let good = Update {
        first: 0,
        second: 1,
        rank: 4,
        full_rank: 160,
    };
    assert!(good.is_low_rank() && !Update { rank: 81, ..good }.is_low_rank());
    let with = |updates: Vec<Update>| group.clone().with_updates(updates);
    let told = with(vec![good]).unwrap();
    assert_eq!(told.update(1, 0), Some(&good));
    for wrong in [
        vec![Update {
            second: count,
            ..good
        }],
        vec![Update { second: 0, ..good }],
        vec![Update { rank: 161, ..good }],
        vec![
            good,
            Update {
                first: 1,
                second: 0,
                ..good
            },
        ],
    ] {
        let found = with(wrong.clone());
        assert!(
            matches!(found, Err(EvidenceError::Update { .. })),
            "{wrong:?}"
        );
    }
}
