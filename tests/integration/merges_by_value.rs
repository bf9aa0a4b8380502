//! Merges that take each value from one of several models.

use mother::evidence::Merge;
use mother::heritage::{Index, Recovery};
use mother::moments::Moments;
use mother::signature::{AssemblyError, Signature, SignatureOptions, TensorNumbers};
use mother::weights::InMemoryModel;

use crate::merges::{dropped, with_larger_values};
use crate::noise::{self, Noise};
use crate::signed;

/// The number of weights of a model.
const LAYERS: usize = 6;

type Layers = Vec<Vec<f32>>;

fn random(seed: u64) -> Layers {
    let layers = 0..LAYERS as u64;
    layers
        .map(|at| noise::noise(100 * seed + at, 64 * 64))
        .collect()
}

/// A model trained by a step of this size.
fn trained(from: &Layers, seed: u64, size: f32) -> Layers {
    let layers = from.iter().zip(random(seed));
    let moved = layers.map(|(layer, step)| {
        let values = layer.iter().zip(step);
        values.map(|(value, step)| value + size * step).collect()
    });
    moved.collect()
}

/// Takes each value from the second model with this probability, and else from the first.
fn chosen(first: &Layers, second: &Layers, seed: u64, share: f64) -> Layers {
    let mut random = Noise::new(seed);
    let mut layer = |(u, v): (&Vec<f32>, &Vec<f32>)| {
        let values = u.iter().zip(v);
        let is_second = |random: &mut Noise| random.uniform() + 0.5 < share;
        values
            .map(|(&u, &v)| if is_second(&mut random) { v } else { u })
            .collect()
    };
    first.iter().zip(second).map(&mut layer).collect()
}

fn models<const COUNT: usize>(models: [(&str, &Layers); COUNT]) -> [InMemoryModel<'static>; COUNT] {
    models.map(|(name, layers)| {
        let layers = layers.iter().enumerate();
        layers.fold(InMemoryModel::new(name), |model, (at, layer)| {
            let name = format!("layers.{at}.weight");
            model.with_layer(name, [64, 64], layer.clone()).unwrap()
        })
    })
}

/// The merges that values show, with the names of their models and parents.
fn merges(models: &[InMemoryModel<'static>]) -> Vec<(String, Vec<String>)> {
    let evidence = signed::evidence(models);
    let [group] = &evidence.groups[..] else {
        panic!("{} groups", evidence.groups.len());
    };
    let name = |at: usize| group.models()[at].clone();
    let named = |merge: &Merge| {
        let parents = merge.parents().iter();
        (
            name(merge.model()),
            parents.map(|&(parent, _)| name(parent)).collect(),
        )
    };
    group.merges().iter().map(named).collect()
}

/// Checks that one of these models is a merge with these parents, and has no children.
fn check(models: &[InMemoryModel<'static>], merge: &str, parents: &[&str]) {
    let parents = parents.iter().map(|&parent| parent.into()).collect();
    assert_eq!(merges(models), [(merge.into(), parents)]);
    let graph = Recovery::new().recover(&signed::evidence(models)).unwrap();
    for model in graph.models() {
        assert_ne!(graph.parent_of(model.name()), Some(merge), "{graph}");
    }
}

#[test]
fn merges_of_models_that_moved_by_different_amounts_are_found() {
    let base = random(1);
    let (far, near, other) = (
        trained(&base, 2, 0.2),
        trained(&base, 3, 0.05),
        trained(&base, 4, 0.1),
    );
    let layers = base.iter().zip(far.iter().zip(&near));
    let ties: Layers = layers
        .map(|(base, (far, near))| with_larger_values(base, &[far, near]))
        .collect();
    let models = models([
        ("base", &base),
        ("far", &far),
        ("near", &near),
        ("other", &other),
        ("ties", &ties),
    ]);
    check(&models, "ties", &["base", "far", "near"]);
}

#[test]
fn steps_that_were_multiplied_are_found() {
    let base = random(1);
    let (u, v) = (trained(&base, 2, 0.1), trained(&base, 3, 0.1));
    let layers = base.iter().zip(u.iter().zip(&v)).zip(0..);
    let dare: Layers = layers
        .map(|((base, (u, v)), seed)| dropped(base, &[(u, 0.7), (v, 0.9)], 0.5, seed))
        .collect();
    check(
        &models([("base", &base), ("dare", &dare), ("u", &u), ("v", &v)]),
        "dare",
        &["base", "u", "v"],
    );
}

#[test]
fn a_choice_between_two_models_is_found_without_their_base() {
    let base = random(1);
    let (u, v) = (trained(&base, 2, 0.1), trained(&base, 3, 0.1));
    let choice = chosen(&u, &v, 4, 0.4);
    check(
        &models([("choice", &choice), ("u", &u), ("v", &v)]),
        "choice",
        &["u", "v"],
    );
}

#[test]
fn training_of_few_values_makes_no_merges() {
    let base = random(1);
    let dense = trained(&base, 2, 0.1);
    // Each step changes a tenth to a half of the values.
    let sparse = |from: &Layers, seed, share| chosen(from, &trained(from, seed, 0.1), seed, share);
    let first = sparse(&dense, 3, 0.3);
    let second = sparse(&first, 4, 0.5);
    let third = sparse(&second, 5, 0.1);
    let sibling = sparse(&first, 6, 0.3);
    let models = models([
        ("base", &base),
        ("dense", &dense),
        ("first", &first),
        ("second", &second),
        ("sibling", &sibling),
        ("third", &third),
    ]);
    assert_eq!(merges(&models), []);
}

#[test]
fn an_index_finds_them_without_comparing_all_pairs() {
    let base = random(1);
    let (far, near, other) = (
        trained(&base, 2, 0.2),
        trained(&base, 3, 0.15),
        trained(&base, 4, 0.1),
    );
    let layers = base.iter().zip(far.iter().zip(&near));
    let ties: Layers = layers
        .map(|(base, (far, near))| with_larger_values(base, &[far, near]))
        .collect();
    let mut index = Index::new().with_dense_limit(1);
    for model in models([
        ("base", &base),
        ("far", &far),
        ("near", &near),
        ("other", &other),
        ("ties", &ties),
    ]) {
        let signature = SignatureOptions::new().sign(&model).unwrap();
        index.insert(signature).unwrap();
    }
    let graph = index.graph().unwrap();
    for model in graph.models() {
        let parents = model.merged_from().iter();
        let parents: Vec<_> = parents.filter_map(|part| graph.name(part.parent)).collect();
        let expected: &[&str] = match model.name() {
            "ties" => &["base", "far", "near"],
            _ => &[],
        };
        assert_eq!(parents, expected, "{graph}");
        assert_ne!(graph.parent_of(model.name()), Some("ties"), "{graph}");
    }
}

#[test]
fn values_of_other_readers_are_checked() {
    let [model] = models([("m", &random(1))]);
    let options = SignatureOptions::new();
    let signature = options.sign(&model).unwrap();
    let signed = &signature.tensors()[0];
    let assembled = |values: &[f32]| {
        let (sketch, moments): (_, Moments) = (signed.sketch().clone(), signed.moments());
        let numbers = TensorNumbers::new("w", signed.shape(), sketch, moments);
        Signature::from_numbers("m", options, vec![numbers.with_values(values.into())])
    };
    let values = signed.values();
    let same = assembled(values).unwrap();
    assert_eq!(same.tensors()[0].values(), values);
    let mut infinite = values.to_vec();
    infinite[1] = f32::INFINITY;
    for wrong in [&values[1..], &infinite] {
        let tensor = "w".into();
        assert_eq!(assembled(wrong), Err(AssemblyError::Values { tensor }));
    }
}
