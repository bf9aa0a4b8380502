//! Models that have something in common although they have no common ancestor.

use mother::heritage::{ModelGraph, Recovery};
use mother::weights::InMemoryModel;

use crate::{noise, signed};

type Tensors = Vec<(&'static str, [usize; 2], Vec<f32>)>;

/// Two matrices with values of this size.
fn matrices(seed: u64, size: f32) -> Tensors {
    let matrix = |at: u64| {
        let values = noise::noise(10 * seed + at, 128 * 64);
        values.iter().map(|value| size * value).collect()
    };
    vec![
        ("mlp.up.weight", [128, 64], matrix(1)),
        ("mlp.down.weight", [128, 64], matrix(2)),
    ]
}

/// A model trained from another.
fn trained(from: &Tensors, seed: u64) -> Tensors {
    let step = |(at, (name, shape, values)): (u64, &(&'static str, [usize; 2], Vec<f32>))| {
        let steps = noise::noise(1_000 * seed + at, values.len());
        let size = values.iter().map(|value| value.abs()).sum::<f32>() / values.len() as f32;
        let moved = values.iter().zip(steps);
        let moved = moved.map(|(value, step)| value + 0.1 * size * step);
        (*name, *shape, moved.collect())
    };
    (0..).zip(from).map(step).collect()
}

fn model(name: &str, tensors: &Tensors) -> InMemoryModel<'static> {
    let tensors = tensors.iter();
    tensors.fold(InMemoryModel::new(name), |model, (name, shape, values)| {
        model.with_layer(*name, *shape, values.clone()).unwrap()
    })
}

fn recovered(models: &[(&str, &Tensors)]) -> ModelGraph {
    let models: Vec<_> = models.iter().map(|(name, own)| model(name, own)).collect();
    Recovery::new().recover(&signed::evidence(&models)).unwrap()
}

#[test]
fn norms_near_one_join_no_strangers() {
    // As in networks a thousand wide, whose norms are far longer than their matrices.
    let with_norms = |seed: u64| {
        let mut tensors = matrices(seed, 0.02);
        let norm = noise::noise(10 * seed + 3, 1_024).into_iter();
        let norm = norm.map(|value| 1.0 + 0.05 * value).collect();
        tensors.push(("norm.weight", [1, 1_024], norm));
        tensors
    };
    let (one, two) = (with_norms(1), with_norms(2));
    let tuned = trained(&one, 3);
    let graph = recovered(&[("one", &one), ("tuned", &tuned), ("two", &two)]);
    assert_eq!(graph.parent_of("two"), None, "{graph}");
    assert_eq!(graph.parent_of("one"), None, "{graph}");
    assert_eq!(graph.parent_of("tuned"), Some("one"), "{graph}");
}

#[test]
fn constants_masks_and_tables_join_no_strangers() {
    let with_constants = |seed: u64| {
        let mut tensors = matrices(seed, 1.0);
        let mask = (0..128 * 128).map(|at| f32::from(u8::from(at % 128 <= at / 128)));
        let table = (0..128 * 128).map(|at| (at as f32 / 100.0).cos());
        tensors.push(("attn.bias", [128, 128], mask.collect()));
        tensors.push(("rotary.cos_cached", [128, 128], table.collect()));
        tensors.push(("scale.weight", [64, 128], vec![1.0; 64 * 128]));
        tensors
    };
    let models = [1, 2, 3].map(with_constants);
    let graph = recovered(&[
        ("one", &models[0]),
        ("three", &models[2]),
        ("two", &models[1]),
    ]);
    for name in ["one", "two", "three"] {
        assert_eq!(graph.parent_of(name), None, "{graph}");
    }
}

/// A basis of cosines under a window, as networks for sound store it.
fn basis() -> (&'static str, [usize; 2], Vec<f32>) {
    let value = |at: usize| {
        let (frequency, time) = (at / 128 % 32, at % 128);
        let angle = 2.0 * core::f64::consts::PI * time as f64 / 128.0;
        let wave = frequency as f64 * angle;
        let wave = if at < 32 * 128 {
            wave.cos()
        } else {
            wave.sin()
        };
        ((0.5 - 0.5 * angle.cos()) * wave) as f32
    };
    let values = (0..64 * 128).map(value).collect();
    ("stft.forward", [64, 128], values)
}

#[test]
fn a_basis_that_a_formula_gives_joins_no_strangers() {
    let with_basis = |seed: u64, name: &'static str| {
        let mut tensors = matrices(seed, 0.05);
        tensors[0].0 = name;
        tensors.push(basis());
        tensors
    };
    // These two have only the basis in common.
    let (mut one, two) = (with_basis(1, "conv.weight"), with_basis(2, "up.weight"));
    one[1] = ("conv.last.weight", [64, 128], one[1].2.clone());
    let tuned = trained(&two, 3);
    let graph = recovered(&[("one", &one), ("tuned", &tuned), ("two", &two)]);
    let sizes: Vec<usize> = graph.trees().map(|tree| tree.size).collect();
    assert_eq!(sizes, [1, 2], "{graph}");
}

#[test]
fn first_layers_of_other_heights_join_no_strangers() {
    // All rows of both share a common part, as if they had been trained on the same kind of input.
    let common = noise::noise(7, 256);
    let first_layer = |seed: u64, rows: usize| -> Tensors {
        let own = noise::noise(seed, rows * 256);
        let values = own.iter().enumerate();
        let values = values.map(|(at, value)| value + 0.65 * common[at % 256]);
        vec![("first.weight", [rows, 256], values.collect())]
    };
    let (one, two) = (first_layer(11, 64), first_layer(23, 128));
    let graph = recovered(&[("one", &one), ("two", &two)]);
    assert_eq!(graph.parent_of("one"), None, "{graph}");
    assert_eq!(graph.parent_of("two"), None, "{graph}");
}

#[test]
fn no_model_is_its_own_runner_up() {
    let one = matrices(1, 1.0);
    let graph = recovered(&[("copy", &one), ("one", &one)]);
    for (position, model) in graph.models().iter().enumerate() {
        let second = model.runner_up().and_then(|second| second.parent);
        assert_ne!(second, Some(position), "{graph}");
    }
}
