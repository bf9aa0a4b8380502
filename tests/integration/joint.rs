//! The default method: what decides when, and what changes nothing.

use mother::condensed::CondensedMatrix;
use mother::evidence::{Evidence, GroupEvidence, Growth};
use mother::heritage::{ModelGraph, Recovery, Stage, Trees};
use mother::weights::InMemoryModel;
use proptest::prelude::*;

use crate::noise::Noise;
use crate::signed;

/// Models a, b, … with distances, growth with one error for all, and scores.
fn evidence(distances: &[f64], growth: Option<(&[f64], f64)>, scores: Option<&[f64]>) -> Evidence {
    let models = (1..).find(|n| n * (n - 1) / 2 == distances.len()).unwrap();
    let names = (0..models)
        .map(|index| char::from(b'a' + index as u8).to_string())
        .collect();
    let table = |values: Vec<f64>| CondensedMatrix::new(models, values).unwrap();
    let scores = scores.map(<[f64]>::to_vec);
    let mut group = GroupEvidence::new(names, scores, table(distances.to_vec())).unwrap();
    if let Some((growth, error)) = growth {
        let errors = table(vec![error; distances.len()]);
        let growth = Growth::new(table(growth.to_vec()), errors.clone(), errors).unwrap();
        group = group.with_growth(growth).unwrap();
    }
    let mut evidence = Evidence::default();
    evidence.groups.push(group);
    evidence
}

fn recovery() -> Recovery {
    Recovery::new().with_trees(Trees::Count(1))
}

fn parents(graph: &ModelGraph) -> Vec<Option<usize>> {
    (0..graph.len()).map(|model| graph.parent(model)).collect()
}

const CHAIN: [f64; 3] = [1.0, core::f64::consts::SQRT_2, 1.0];

#[test]
fn growth_directs_a_chain_against_the_score() {
    for (sign, expected) in [
        (1.0, [None, Some(0), Some(1)]),
        (-1.0, [Some(1), Some(2), None]),
    ] {
        let growth = [sign, sign, sign];
        for scores in [None, Some(&[3.0, 2.0, 1.0][..]), Some(&[1.0, 2.0, 3.0])] {
            let graph = recovery()
                .recover(&evidence(&CHAIN, Some((&growth, 0.05)), scores))
                .unwrap();
            assert_eq!(parents(&graph), expected, "{sign} {scores:?}");
        }
    }
}

#[test]
fn growth_finds_the_parent_of_siblings() {
    let graph = recovery()
        .recover(&evidence(&CHAIN, Some((&[-1.0, 0.0, 1.0], 0.05)), None))
        .unwrap();
    assert_eq!(parents(&graph), [Some(1), None, Some(1)]);
}

/// A family whose steps are of length 1 and orthogonal, and make weights longer or, where `sign` is
/// −1, shorter.
fn orthogonal_family(parents: &[Option<usize>], sign: f64) -> Evidence {
    let lineage = |model: usize| {
        let line = core::iter::successors(Some(model), |&model| parents[model]);
        line.collect::<Vec<_>>()
    };
    let (mut distances, mut growth) = (Vec::new(), Vec::new());
    for first in 0..parents.len() {
        for second in first + 1..parents.len() {
            let (first, second) = (lineage(first), lineage(second));
            let down = second.iter().filter(|model| !first.contains(model)).count() as f64;
            let up = first.iter().filter(|model| !second.contains(model)).count() as f64;
            distances.push((down + up).sqrt());
            growth.push(sign * (down - up) / (down + up));
        }
    }
    evidence(&distances, Some((&growth, 0.05)), None)
}

#[test]
fn a_tree_of_shortening_steps_is_not_reversed() {
    let tree = [None, Some(0), Some(0), Some(0), Some(1), Some(1), Some(2)];
    let star = [None, Some(0), Some(0), Some(0), Some(0)];
    for truth in [&tree[..], &star] {
        for sign in [1.0, -1.0] {
            let graph = recovery().recover(&orthogonal_family(truth, sign)).unwrap();
            assert_eq!(parents(&graph), truth, "{sign}");
        }
    }
    // A chain is.
    let chain = [None, Some(0), Some(1), Some(2)];
    let graph = recovery()
        .recover(&orthogonal_family(&chain, -1.0))
        .unwrap();
    assert_eq!(parents(&graph), [Some(1), Some(2), Some(3), None]);
}

#[test]
fn the_score_directs_where_growth_is_unknown() {
    let falling = evidence(
        &CHAIN,
        Some((&[0.5, 0.5, 0.5], 1e3)),
        Some(&[1.0, 2.0, 3.0]),
    );
    let graph = recovery()
        .with_stage(Stage::Specialization)
        .recover(&falling)
        .unwrap();
    assert_eq!(parents(&graph), [Some(1), Some(2), None]);
    let graph = recovery()
        .with_stage(Stage::Generalization)
        .recover(&falling)
        .unwrap();
    assert_eq!(parents(&graph), [None, Some(0), Some(1)]);
    // Told nothing, neither direction is better, and the confidence says so.
    let graph = recovery().recover(&falling).unwrap();
    let root = graph.roots()[0];
    let confidence = graph.models()[root].confidence().unwrap();
    assert!(confidence < 0.6, "{confidence}");
}

#[test]
fn a_stage_of_one_model_turns_only_its_edge() {
    let distances = [1.0, core::f64::consts::SQRT_2, 1.0];
    let evidence = evidence(&distances, None, Some(&[3.0, 1.0, 2.0]));
    let graph = recovery()
        .with_stage(Stage::Specialization)
        .with_stage_of("c", Stage::Generalization)
        .recover(&evidence)
        .unwrap();
    assert_eq!(parents(&graph), [None, Some(0), Some(1)]);
}

#[test]
fn clear_evidence_is_trusted_and_a_tie_is_not() {
    let clear = [1.0, 4.0, 4.1, 4.0, 4.1, 1.0];
    let growth = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    let graph = recovery()
        .recover(&evidence(&clear, Some((&growth, 0.02)), None))
        .unwrap();
    for model in graph.models() {
        let confidence = model.confidence().unwrap();
        assert!((0.0..=1.0).contains(&confidence));
    }
    assert!(graph.models()[1].confidence().unwrap() > 0.9);
    let toss = recovery().recover(&evidence(&[1.0], None, None)).unwrap();
    let confidence = toss.models()[0].confidence().unwrap();
    assert!((confidence - 0.5).abs() < 1e-9, "{confidence}");
    let paper = Recovery::paper().with_trees(Trees::Count(1));
    let graph = paper.recover(&evidence(&clear, None, None)).unwrap();
    assert!(
        graph
            .models()
            .iter()
            .all(|model| model.confidence().is_none())
    );
}

/// A star around a, whose leaf b moved little and c far: the exact distances, and growth that
/// would rather have c be a child of b, by this much.
fn star_with_a_near_leaf(models: usize, preference: f64) -> Evidence {
    let step = |model: usize| match model {
        0 => 0.0,
        1 => 1.0,
        2 => 100.0,
        _ => 50.0,
    };
    let pairs = (0..models).flat_map(|i| (i + 1..models).map(move |j| (i, j)));
    let (mut distances, mut growth) = (Vec::new(), Vec::new());
    for (i, j) in pairs {
        let squared = step(i) + step(j);
        distances.push(f64::sqrt(squared));
        growth.push(match (i, j) {
            (0, 2) => 1.0 - preference,
            (1, 2) => 1.0,
            _ => (step(j) - step(i)) / squared,
        });
    }
    evidence(&distances, Some((&growth, 0.0)), None)
}

#[test]
fn additive_distances_outweigh_small_differences_of_growth() {
    let graph = recovery()
        .recover(&star_with_a_near_leaf(15, 0.05))
        .unwrap();
    assert_eq!(graph.parent(2), Some(0));
    // But growth that is clear decides before them.
    let graph = recovery().recover(&star_with_a_near_leaf(15, 0.5)).unwrap();
    assert_eq!(graph.parent(2), Some(1));
}

#[test]
fn confidence_is_lower_where_distances_do_not_add_up() {
    let fits = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0].map(f64::sqrt);
    // Siblings that share four fifths of what they learnt.
    let does_not = [1.0, 1.0, 1.0, 1.0, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4].map(f64::sqrt);
    let growth = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let mean = |distances: &[f64]| {
        let graph = recovery()
            .recover(&evidence(distances, Some((&growth, 0.02)), None))
            .unwrap();
        let sum: f64 = graph.models().iter().filter_map(|m| m.confidence()).sum();
        sum / graph.len() as f64
    };
    let (fits, does_not) = (mean(&fits), mean(&does_not));
    assert!(fits > 0.9 && does_not < 0.7, "{fits} {does_not}");
}

#[test]
fn equal_models_and_single_models_are_recovered() {
    let graph = recovery()
        .recover(&evidence(&[0.0, 0.0, 0.0], None, None))
        .unwrap();
    assert_eq!(graph.trees().count(), 1);
    let alone = Recovery::new().recover(&evidence(&[], None, None)).unwrap();
    assert_eq!(alone.models()[0].confidence(), None);
    assert!(!alone.is_placed(0) && graph.is_placed(0));
}

const ROWS: usize = 180;
const WIDTH: usize = 128;

/// A tree of models whose steps are random and nearly orthogonal.
fn family(seed: u64, models: usize) -> (Vec<InMemoryModel<'static>>, Vec<Option<usize>>) {
    let mut noise = Noise::new(seed);
    let mut uniform = || noise.uniform() as f32;
    let mut weights: Vec<Vec<f32>> = Vec::new();
    let mut parents = Vec::new();
    for model in 0..models {
        let parent = (model > 0).then(|| ((uniform() + 0.5) * model as f32) as usize % model);
        let from = parent.map_or_else(
            || vec![0.0; ROWS * WIDTH],
            |parent: usize| weights[parent].clone(),
        );
        // Growth shows where some groups of eight rows move further than others.
        let step = |index: usize| match parent {
            None => 1.0,
            Some(_) => ((index / (8 * WIDTH) + model) % 6 + 1) as f32 / 15.0,
        };
        let stepped = from.iter().enumerate();
        weights.push(
            stepped
                .map(|(index, weight)| weight + step(index) * uniform())
                .collect(),
        );
        parents.push(parent);
    }
    let models = weights.into_iter().enumerate().map(|(index, weights)| {
        let model = InMemoryModel::new(format!("{index:02}"));
        model.with_layer("w", [ROWS, WIDTH], weights).unwrap()
    });
    (models.collect(), parents)
}

fn scaled(model: &InMemoryModel<'_>, factor: f32) -> InMemoryModel<'static> {
    use mother::weights::{Layer, WeightSource};
    let layer = model.layers().next().unwrap().unwrap();
    let mut values = vec![0.0_f32; ROWS * WIDTH];
    layer.read(0, &mut values).unwrap();
    let values: Vec<f32> = values.iter().map(|value| value * factor).collect();
    InMemoryModel::new(model.name())
        .with_layer("w", [ROWS, WIDTH], values)
        .unwrap()
}

proptest! {
    #![proptest_config(crate::cases(6))]

    #[test]
    fn families_are_found_whatever_their_order_and_scale(
        seed in any::<u64>(),
        models in 2..12_usize,
        exponent in -20..20_i32,
    ) {
        let (models, truth) = family(seed, models);
        let graph = |models: &[InMemoryModel<'_>]| {
            Recovery::new().recover(&signed::evidence(models)).unwrap()
        };
        let found = graph(&models);
        prop_assert_eq!(parents(&found), truth);
        let mut reversed = models.clone();
        reversed.reverse();
        prop_assert_eq!(&graph(&reversed), &found);
        let scaled: Vec<_> = models.iter().map(|m| scaled(m, 2.0_f32.powi(exponent))).collect();
        prop_assert_eq!(parents(&graph(&scaled)), parents(&found));
    }
}
