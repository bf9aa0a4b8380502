//! Models that have more weights than what they were made from: copied experts and added tokens.

use crate::noise::Noise;
use crate::toy::{
    Folder, PARENTS, Tensor, VOCABULARY, WIDTH, Weights, all, assert_parents, decoder, family,
    recovered, step,
};

const SEEDS: [u64; 2] = [100, 200];

fn train(from: &Weights, seed: u64, size: f64) -> Weights {
    step(from, seed, size, all)
}

/// A mixture of experts, one from each dense model; all other weights are those of the first.
fn mixture(dense: &[&Weights], seed: u64) -> Weights {
    let mut noise = Noise::new(seed);
    let mut mixture = Weights::new();
    for (name, tensor) in dense[0] {
        let Some((layer, projection)) = name.split_once(".mlp.") else {
            mixture.insert(name.clone(), tensor.clone());
            continue;
        };
        let gate = Tensor::random(&[dense.len(), WIDTH], &mut noise);
        mixture.insert(format!("{layer}.moe.gate.weight"), gate);
        for (expert, dense) in dense.iter().enumerate() {
            let own = format!("{layer}.moe.experts.{expert}.{projection}");
            mixture.insert(own, dense[name].clone());
        }
    }
    mixture
}

fn model<'a>(folder: &'a Folder, name: &str) -> &'a Weights {
    &folder.iter().find(|(other, _)| other == name).unwrap().1
}

/// The family's tree with what was added.
fn assert_with(folder: &Folder, added: &[(&str, Option<&str>)]) {
    let (_, graph) = recovered(folder);
    assert_parents(&graph, &[&PARENTS[..], added].concat());
}

#[test]
fn a_mixture_of_copied_experts_is_a_child_of_the_dense_model() {
    for (seed, source) in SEEDS.into_iter().zip(["base", "b"]) {
        for experts in [3, 4] {
            let mut folder = family(&decoder(seed, 3, VOCABULARY), seed, train);
            let dense = model(&folder, source).clone();
            let upcycled = mixture(&vec![&dense; experts], seed + 20);
            let trained = train(&upcycled, seed + 21, 0.05);
            folder.push(("moe".into(), upcycled));
            assert_with(&folder, &[("moe", Some(source))]);
            folder.push(("trained".into(), trained.clone()));
            assert_with(&folder, &[("moe", Some(source)), ("trained", Some("moe"))]);
            folder.retain(|(name, _)| name != "moe");
            assert_with(&folder, &[("trained", Some(source))]);
        }
    }
}

/// Growth says nothing there, but experts that are near each other were copied from one.
#[test]
fn a_mixture_whose_training_kept_norms_is_no_parent_of_its_dense_model() {
    for seed in SEEDS {
        let mut folder = family(&decoder(seed, 3, VOCABULARY), seed, train);
        let dense = model(&folder, "base").clone();
        let upcycled = mixture(&[&dense; 3], seed + 20);
        let mut trained = train(&upcycled, seed + 21, 0.08);
        for (name, tensor) in &mut trained {
            let norm = |tensor: &Tensor| -> f32 {
                let squares = tensor.values().iter().map(|value| value * value);
                squares.sum::<f32>().sqrt()
            };
            let factor = norm(&upcycled[name]) / norm(tensor).max(f32::MIN_POSITIVE);
            let values = tensor.values_mut().iter_mut();
            values.for_each(|value| *value *= factor);
        }
        folder.push(("trained".into(), trained));
        assert_with(&folder, &[("trained", Some("base"))]);
    }
}

#[test]
fn a_mixture_of_several_models_hangs_below_one_of_them() {
    for seed in SEEDS {
        let mut folder = family(&decoder(seed, 3, VOCABULARY), seed, train);
        let mixed = mixture(&[model(&folder, "a1"), model(&folder, "b1")], seed + 20);
        folder.push(("moe".into(), mixed));
        let (_, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        let parent = crate::toy::parent(&graph, "moe");
        assert!(matches!(parent, Some("a1" | "b1")), "{graph}");
    }
}

/// A model with a longer vocabulary.
fn with_tokens(from: &Weights, rows: usize, seed: u64) -> Weights {
    let mut noise = Noise::new(seed);
    let mut longer = from.clone();
    for name in ["embed_tokens.weight", "lm_head.weight"] {
        let grown = longer[name].clone().with_rows(rows, &mut noise);
        longer.insert(name.into(), grown);
    }
    longer
}

#[test]
fn a_copy_with_more_tokens_is_a_child() {
    for (seed, source) in SEEDS.into_iter().zip(["base", "b1"]) {
        for rows in [1, 8, 32] {
            let mut folder = family(&decoder(seed, 4, VOCABULARY), seed, train);
            let longer = with_tokens(model(&folder, source), rows, seed + 20);
            folder.push(("longer".into(), longer.clone()));
            assert_with(&folder, &[("longer", Some(source))]);
            if rows == 1 {
                // A single row is too little to tell a child of one from a child of the other.
                continue;
            }
            // Once more: what has the most rows came last.
            folder.push(("longest".into(), with_tokens(&longer, rows, seed + 21)));
            let both = [("longer", Some(source)), ("longest", Some("longer"))];
            assert_with(&folder, &both);
        }
    }
}

#[test]
fn two_models_that_differ_by_added_tokens_alone_are_in_order() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let longer = with_tokens(&base, 4, seed + 20);
        // Their names say the opposite.
        let folder: Folder = vec![("a".into(), longer), ("b".into(), base)];
        let (_, graph) = recovered(&folder);
        assert_parents(&graph, &[("b", None), ("a", Some("b"))]);
        let confidence = graph.models()[graph.index("a").unwrap()].confidence();
        assert!((0.8..0.99).contains(&confidence.unwrap()), "{graph}");
    }
}

/// What shares its added tokens with another isn't a child of the model without them.
#[test]
fn a_child_of_a_copy_with_more_tokens_stays_below_it() {
    for seed in SEEDS {
        let mut folder = family(&decoder(seed, 4, VOCABULARY), seed, train);
        let longer = with_tokens(model(&folder, "base"), 32, seed + 20);
        folder.push(("tuned".into(), train(&longer, seed + 21, 0.03)));
        folder.push(("longer".into(), longer));
        assert_with(
            &folder,
            &[("longer", Some("base")), ("tuned", Some("longer"))],
        );
    }
}

/// A model with the first rows of its vocabulary only.
fn without_tokens(from: &Weights, rows: usize) -> Weights {
    let mut shorter = from.clone();
    for name in ["embed_tokens.weight", "lm_head.weight"] {
        let tensor = shorter.get_mut(name).unwrap();
        tensor.shape[0] -= rows;
        let length = tensor.shape[0] * WIDTH;
        tensor.values_mut().truncate(length);
    }
    shorter
}

#[test]
fn a_copy_with_fewer_tokens_hangs_on_its_original() {
    for (seed, source) in [(100, "base"), (200, "b"), (300, "a"), (400, "b1")] {
        for rows in [6, 24] {
            let mut folder = family(&decoder(seed, 4, VOCABULARY), seed, train);
            let shorter = without_tokens(model(&folder, source), rows);
            let tuned = train(&shorter, seed + 20, 0.05);
            folder.push(("shorter".into(), shorter));
            assert_with(&folder, &[("shorter", Some(source))]);
            folder.push(("tuned".into(), tuned));
            let both = [("shorter", Some(source)), ("tuned", Some("shorter"))];
            assert_with(&folder, &both);
        }
    }
}
