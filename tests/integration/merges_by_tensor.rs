//! Merges in which every tensor has weights of its own.

use mother::evidence::Merge;
use mother::heritage::{Index, Recovery};
use mother::signature::SignatureOptions;
use mother::weights::InMemoryModel;

use crate::{noise, signed};

/// The number of weights of a model.
const LAYERS: usize = 6;

type Layers = Vec<Vec<f32>>;

fn base() -> Layers {
    (0..LAYERS)
        .map(|at| noise::noise(at as u64, 64 * 64))
        .collect()
}

/// A model trained from another, in every layer that `trains` names.
fn trained(from: &Layers, seed: u64, trains: impl Fn(usize) -> bool) -> Layers {
    let layer = |(at, layer): (usize, &Vec<f32>)| {
        if !trains(at) {
            return layer.clone();
        }
        let step = noise::noise(100 * seed + at as u64, layer.len());
        layer
            .iter()
            .zip(step)
            .map(|(value, step)| value + 0.3 * step)
            .collect()
    };
    from.iter().enumerate().map(layer).collect()
}

/// The sum of models, with the weights that `weight` gives each of them in each layer.
fn sum(models: &[&Layers], weight: impl Fn(usize, usize) -> f32) -> Layers {
    let value = |layer: usize, at: usize| {
        let models = models.iter().enumerate();
        models
            .map(|(of, model)| weight(of, layer) * model[layer][at])
            .sum()
    };
    (0..LAYERS)
        .map(|layer| (0..64 * 64).map(|at| value(layer, at)).collect())
        .collect()
}

fn model(name: &str, layers: &Layers) -> InMemoryModel<'static> {
    let layers = layers.iter().enumerate();
    layers.fold(InMemoryModel::new(name), |model, (at, layer)| {
        model
            .with_layer(format!("layers.{at}.weight"), [64, 64], layer.clone())
            .unwrap()
    })
}

/// The merges that tensors show, with the names of their models and parents.
fn merges(models: &[InMemoryModel<'static>]) -> Vec<(String, Vec<(String, f64)>)> {
    let evidence = signed::evidence(models);
    let [group] = &evidence.groups[..] else {
        panic!("{} groups", evidence.groups.len());
    };
    let named = |merge: &Merge| {
        let name = |at: usize| group.models()[at].clone();
        let parents = merge.parents().iter();
        let parents = parents.map(|&(parent, weight)| (name(parent), weight));
        (name(merge.model()), parents.collect())
    };
    group.merges().iter().map(named).collect()
}

/// Checks that one model of these is a merge with these parents and weights, to a hundredth.
fn check(models: &[InMemoryModel<'static>], merge: &str, parents: &[(&str, f64)]) {
    let found = merges(models);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, merge);
    let names = found[0].1.iter().map(|parent| &*parent.0);
    assert!(names.eq(parents.iter().map(|parent| parent.0)), "{found:?}");
    for ((_, weight), (_, expected)) in found[0].1.iter().zip(parents) {
        assert!((weight - expected).abs() < 0.01, "{found:?}");
    }
    // Nothing descends from a merge, and its parents keep their places.
    let graph = Recovery::new().recover(&signed::evidence(models)).unwrap();
    for model in graph.models() {
        assert_ne!(graph.parent_of(model.name()), Some(merge), "{graph}");
    }
    let merged = graph.models()[graph.index(merge).unwrap()].merged_from();
    let names = merged.iter().map(|parent| graph.name(parent.parent));
    assert!(
        names.eq(parents.iter().map(|parent| Some(parent.0))),
        "{merged:?}"
    );
}

/// A base and three children, the last two of which are `u` and `v`.
fn family() -> [Layers; 4] {
    let base = base();
    let [other, u, v] = [1, 2, 3].map(|seed| trained(&base, seed, |_| true));
    [base, other, u, v]
}

/// The family and one more model.
fn with_merge(merge: &Layers) -> [InMemoryModel<'static>; 5] {
    let [base, other, u, v] = family();
    let models = [
        ("base", &base),
        ("merge", merge),
        ("other", &other),
        ("u", &u),
        ("v", &v),
    ];
    models.map(|(name, layers)| model(name, layers))
}

/// As bfloat16 holds it.
fn rounded(layers: &Layers) -> Layers {
    let rounded = |value: &f32| f32::from_bits((value.to_bits() + 0x8000) & 0xFFFF_0000);
    let layer = |layer: &Vec<f32>| layer.iter().map(rounded).collect();
    layers.iter().map(layer).collect()
}

/// The share of the second model, from 0.2 in the first layer to 0.7 in the last.
fn gradient(layer: usize) -> f32 {
    0.2 + 0.1 * layer as f32
}

#[test]
fn gradients_of_weights_are_found() {
    let [_, _, u, v] = family();
    let merge = sum(&[&u, &v], |of, layer| {
        [1.0 - gradient(layer), gradient(layer)][of]
    });
    check(&with_merge(&merge), "merge", &[("u", 0.55), ("v", 0.45)]);

    check(
        &with_merge(&rounded(&merge)),
        "merge",
        &[("u", 0.55), ("v", 0.45)],
    );
}

#[test]
fn averages_shrunk_towards_the_base_are_found() {
    let [base, _, u, v] = family();
    // As Model Stock does, by the cosine between the two steps in each layer.
    let kept = |layer: usize| 0.1 * (layer + 1) as f32;
    let weights = |of: usize, layer| [1.0 - kept(layer), 0.5 * kept(layer), 0.5 * kept(layer)][of];
    let merge = sum(&[&base, &u, &v], weights);
    check(
        &with_merge(&merge),
        "merge",
        &[("base", 0.65), ("u", 0.175), ("v", 0.175)],
    );
}

#[test]
fn layers_taken_from_two_models_are_found() {
    let [_, _, u, v] = family();
    let merge = sum(&[&u, &v], |of, layer| {
        f32::from(u8::from((layer < 2) == (of == 0)))
    });
    check(
        &with_merge(&merge),
        "merge",
        &[("u", 1.0 / 3.0), ("v", 2.0 / 3.0)],
    );
}

#[test]
fn merges_of_merges_are_found() {
    let [base, other, u, v] = family();
    let half = |_: usize, _: usize| 0.5;
    let mean = sum(&[&u, &other], half);
    let again = sum(&[&mean, &v], |of, layer| {
        [1.0 - gradient(layer), gradient(layer)][of]
    });
    let models = [
        ("again", &again),
        ("base", &base),
        ("mean", &mean),
        ("other", &other),
        ("u", &u),
        ("v", &v),
    ];
    let found = merges(&models.map(|(name, layers)| model(name, layers)));
    let parents = |of: &str| {
        let (_, parents) = found.iter().find(|merge| merge.0 == of).unwrap();
        parents.iter().map(|parent| &*parent.0).collect::<Vec<_>>()
    };
    assert_eq!(parents("again"), ["mean", "v"]);
    assert_eq!(parents("mean"), ["other", "u"]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn tensors_of_other_names_are_compared_by_content() {
    let [base, other, u, v] = family();
    let merge = sum(&[&u, &v], |of, layer| {
        [1.0 - gradient(layer), gradient(layer)][of]
    });
    let renamed =
        (merge.into_iter().enumerate()).fold(InMemoryModel::new("merge"), |model, (at, layer)| {
            model
                .with_layer(format!("h.{at}.kernel"), [64, 64], layer)
                .unwrap()
        });
    let models = [
        model("base", &base),
        renamed,
        model("other", &other),
        model("u", &u),
        model("v", &v),
    ];
    check(&models, "merge", &[("u", 0.55), ("v", 0.45)]);
}

#[test]
fn a_parent_of_models_with_other_frozen_layers_is_no_merge() {
    let base = base();
    let models = [
        ("base", base.clone()),
        (
            "even",
            trained(&base, 1, |layer| layer < 4 && layer % 2 == 0),
        ),
        (
            "odd",
            trained(&base, 2, |layer| layer < 4 && layer % 2 == 1),
        ),
        ("other", trained(&base, 3, |_| true)),
    ];
    let models = models.map(|(name, layers)| model(name, &layers));
    assert_eq!(merges(&models), []);
    let graph = Recovery::new().recover(&signed::evidence(&models)).unwrap();
    for child in ["even", "odd"] {
        assert_eq!(graph.parent_of(child), Some("base"), "{graph}");
    }
}

#[test]
fn a_base_whose_children_were_trained_in_different_layers_is_no_merge() {
    let base = base();
    let models = [
        ("base", base.clone()),
        ("even", trained(&base, 1, |layer| layer % 2 == 0)),
        ("odd", trained(&base, 2, |layer| layer % 2 == 1)),
    ];
    let models = models.map(|(name, layers)| model(name, &layers));
    assert_eq!(merges(&models), []);
    let graph = Recovery::new().recover(&signed::evidence(&models)).unwrap();
    assert_eq!(graph.parent_of("base"), None, "{graph}");
}

#[test]
fn a_base_of_which_one_child_keeps_most_layers_is_no_merge() {
    let base = base();
    let mut models = vec![model("base", &base)];
    for (seed, name) in (1..4).zip(["a", "b", "c"]) {
        models.push(model(name, &trained(&base, seed, |_| true)));
    }
    // The other layers are those of the base, and in this one the average of the others is nearer to it.
    let layer = trained(&base, 7, |layer| layer == 0);
    let far = sum(&[&base, &layer], |of, _| [-2.0, 3.0][of]);
    models.push(model("layer", &far));
    assert_eq!(merges(&models), []);
}

#[test]
fn a_base_whose_children_hardly_moved_is_no_merge_of_them() {
    let base = rounded(&base());
    let mut models = vec![model("base", &base)];
    // Steps are only twice as large as what rounding moves.
    for (seed, name) in (1..10).zip(["a", "b", "c", "d", "e", "f", "g", "h", "i"]) {
        let child = trained(&base, seed, |_| true);
        let near = sum(&[&base, &child], |of, _| [0.99, 0.01][of]);
        models.push(model(name, &rounded(&near)));
    }
    assert_eq!(merges(&models), []);
}

#[test]
fn trained_models_are_no_merges() {
    let [base, other, u, v] = family();
    let merge = sum(&[&u, &v], |of, layer| {
        [1.0 - gradient(layer), gradient(layer)][of]
    });
    let models = [
        ("base", &base),
        ("child", &trained(&u, 4, |_| true)),
        ("other", &other),
        // The merge itself is missing.
        ("trained", &trained(&merge, 5, |_| true)),
        ("u", &u),
        ("v", &v),
    ];
    assert_eq!(
        merges(&models.map(|(name, layers)| model(name, layers))),
        []
    );
}

#[test]
fn two_models_that_exchanged_layers_cannot_be_told_from_the_other_two() {
    let [base, _, u, v] = family();
    let first = sum(&[&u, &v], |of, layer| {
        f32::from(u8::from((layer < 2) == (of == 0)))
    });
    let second = sum(&[&v, &u], |of, layer| {
        f32::from(u8::from((layer < 2) == (of == 0)))
    });
    let models = [
        ("base", &base),
        ("first", &first),
        ("second", &second),
        ("u", &u),
        ("v", &v),
    ];
    assert_eq!(
        merges(&models.map(|(name, layers)| model(name, layers))),
        []
    );
}

#[test]
fn an_index_finds_merges_in_large_families() {
    let [base, other, u, v] = family();
    let deeper = trained(&u, 6, |_| true);
    let gradient = sum(&[&deeper, &v], |of, layer| {
        [1.0 - gradient(layer), gradient(layer)][of]
    });
    let mean = sum(&[&other, &v], |_, _| 0.5);
    let models = [
        ("base", &base),
        ("deeper", &deeper),
        ("gradient", &gradient),
        ("mean", &mean),
        ("other", &other),
        ("u", &u),
        ("v", &v),
    ];
    // As if seven models were too many for comparing all pairs.
    let mut index = Index::new().with_dense_limit(1);
    for (name, layers) in models {
        let signature = SignatureOptions::new().sign(&model(name, layers)).unwrap();
        index.insert(signature).unwrap();
    }
    let graph = index.graph().unwrap();
    for model in graph.models() {
        let parents = model.merged_from().iter();
        let parents: Vec<_> = parents.filter_map(|part| graph.name(part.parent)).collect();
        let expected: &[&str] = match model.name() {
            "gradient" => &["deeper", "v"],
            "mean" => &["other", "v"],
            _ => &[],
        };
        assert_eq!(parents, expected, "{graph}");
        let parent = graph.parent_of(model.name());
        assert!(!matches!(parent, Some("gradient" | "mean")), "{graph}");
    }
}
