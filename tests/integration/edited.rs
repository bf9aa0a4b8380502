//! Models that were made from others by hand rather than by training: cut, stacked, edited, subtracted. What can't be
//! known of them must not be said with confidence, and they must not turn the others' edges round.

use mother::evidence::Relation;
use mother::heritage::ModelGraph;
use mother::signature::SignatureOptions;

use crate::noise::Noise;
use crate::toy::{
    Folder, Tensor, VOCABULARY, Weights, all, assert_parents, decoder, models, parent, recovered,
    step,
};

const SEEDS: [u64; 3] = [100, 200, 300];

/// Wrong answers below this are doubts.
const SURE: f64 = 0.8;

fn folder(models: &[(&str, &Weights)]) -> Folder {
    let models = models.iter();
    models
        .map(|&(name, weights)| (name.to_owned(), weights.clone()))
        .collect()
}

/// The graph of a folder in which no model has a wrong parent with confidence.
fn assert_no_sure_error(folder: &Folder, expected: &[(&str, Option<&str>)]) -> ModelGraph {
    let (_, graph) = recovered(folder);
    for &(model, expected) in expected {
        let confidence = graph.models()[graph.index(model).unwrap()].confidence();
        let is_right = parent(&graph, model) == expected;
        assert!(is_right || confidence.unwrap() < SURE, "{model}: {graph}");
    }
    graph
}

/// The tensors whose names are kept.
fn part(of: &Weights, keeps: impl Fn(&str) -> bool) -> Weights {
    let kept = of.iter().filter(|(name, _)| keeps(name));
    kept.map(|(name, tensor)| (name.clone(), tensor.clone()))
        .collect()
}

/// A model of these layers of another.
fn layers_of(model: &Weights, layers: &[usize]) -> Weights {
    let mut made = part(model, |name| !name.starts_with("layers."));
    for (new, old) in layers.iter().enumerate() {
        let old = format!("layers.{old}.");
        for (name, tensor) in model.iter().filter(|(name, _)| name.starts_with(&old)) {
            let name = name.replacen(&old, &format!("layers.{new}."), 1);
            made.insert(name, tensor.clone());
        }
    }
    made
}

/// The first model plus multiples of the differences of others from a base.
fn plus(to: &Weights, base: &Weights, tuned: &[(&Weights, f32)]) -> Weights {
    let mut sum = to.clone();
    for (name, tensor) in &mut sum {
        let values = tensor.values_mut().iter_mut().enumerate();
        values.for_each(|(at, value)| {
            for (tuned, times) in tuned {
                *value += times * (tuned[name].values()[at] - base[name].values()[at]);
            }
        });
    }
    sum
}

/// A fine-tune that moved attention and the lower layers least.
fn uneven(from: &Weights, seed: u64) -> Weights {
    let most = |name: &str| {
        let is_high = name.starts_with("layers.2") || name.starts_with("layers.3");
        name.contains("lm_head") || is_high && name.contains("mlp")
    };
    step(&step(from, seed, 0.03, all), seed + 40, 0.08, most)
}

#[test]
fn a_part_of_a_child_does_not_take_its_place() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let (a, b) = (uneven(&base, seed + 1), uneven(&base, seed + 2));
        let rounded = |of: &Weights| {
            let mut rounded = part(of, |name| name.contains("embed"));
            for tensor in rounded.values_mut() {
                let values = tensor.values_mut().iter_mut();
                values.for_each(|value| *value = half::f16::from_f32(*value).to_f32());
            }
            rounded
        };
        for cut in [
            part(&a, |name| !name.contains("lm_head")),
            part(&a, |name| name.contains("self_attn")),
            layers_of(&a, &[0, 1]),
            rounded(&a),
        ] {
            let folder = folder(&[("a", &a), ("b", &b), ("base", &base), ("cut", &cut)]);
            let expected = [("a", Some("base")), ("base", None), ("cut", Some("a"))];
            assert_no_sure_error(&folder, &expected);
        }
    }
}

#[test]
fn a_model_with_fewer_layers_is_not_the_base_of_one_with_more() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let pruned = step(&layers_of(&base, &[0, 1, 3]), seed + 1, 0.03, all);
        let upper = |name: &str| name.starts_with("layers.2") || name.starts_with("layers.3");
        let tuned = step(&base, seed + 2, 0.08, upper);
        let folder = folder(&[("base", &base), ("pruned", &pruned), ("tuned", &tuned)]);
        let expected = [
            ("base", None),
            ("pruned", Some("base")),
            ("tuned", Some("base")),
        ];
        assert_no_sure_error(&folder, &expected);
    }
}

#[test]
fn a_model_was_stacked_from_the_smaller_one_also_after_training() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let mut stacked = step(&layers_of(&base, &[0, 1, 2, 1, 2, 3]), seed + 1, 0.05, all);
        // Growth says nothing.
        for tensor in stacked.values_mut() {
            let values = tensor.values_mut().iter_mut();
            values.for_each(|value| *value *= 0.99875);
        }
        let (_, graph) = recovered(&folder(&[("base", &base), ("stacked", &stacked)]));
        assert_parents(&graph, &[("base", None), ("stacked", Some("base"))]);
    }
}

#[test]
fn a_matrix_under_several_names_counts_once() {
    let tied = |model: &Weights| {
        let mut tied = model.clone();
        for name in ["decoder.embed_tokens.weight", "shared.weight"] {
            tied.insert(name.into(), model["embed_tokens.weight"].clone());
        }
        tied
    };
    let sign = |model: &Weights| {
        let models = models(&folder(&[("m", model)]));
        SignatureOptions::new().sign(&models[0]).unwrap()
    };
    let base = decoder(1, 3, VOCABULARY);
    let child = step(&base, 2, 0.05, all);
    let between = |u: &Weights, v: &Weights| Relation::between(&sign(u), &sign(v)).unwrap();
    let plain = between(&base, &child);
    let models = [(&base, tied(&child)), (&tied(&base), child.clone())];
    for (u, v) in models.into_iter().chain([(&tied(&base), tied(&child))]) {
        let relation = between(u, &v);
        assert_eq!(relation.compared(), [1.0, 1.0]);
        assert_eq!(relation.distance(), plain.distance());
        assert_eq!(relation.squared_distance(), plain.squared_distance());
    }
    assert!(between(&base, &tied(&base)).is_equal());
    assert!(!between(&base, &tied(&child)).is_equal());
    // A head that was trained apart from the embeddings is compared.
    let mut untied = tied(&base);
    untied.insert("shared.weight".into(), child["embed_tokens.weight"].clone());
    assert!(between(&tied(&base), &untied).squared_distance() > 0.0);
}

/// Removes the part of what some matrices write that lies in one direction, as is done to refusals.
fn without_direction(model: &Weights, seed: u64) -> Weights {
    let mut edited = model.clone();
    let mut noise = Noise::new(seed);
    let direction: Vec<f32> = (0..crate::toy::WIDTH)
        .map(|_| noise.next() as f32)
        .collect();
    let length: f32 = direction.iter().map(|x| x * x).sum();
    let writes = |name: &&String| name.ends_with("o_proj.weight") || name.contains("down_proj.w");
    let names: Vec<String> = model.keys().filter(writes).cloned().collect();
    for name in names {
        let tensor: &mut Tensor = edited.get_mut(&name).unwrap();
        let columns = tensor.shape[1];
        for column in 0..columns {
            let of_row = |row: usize| row * columns + column;
            let values = tensor.values_mut();
            let along = (direction.iter().enumerate()).map(|(row, x)| x * values[of_row(row)]);
            let along = along.sum::<f32>() / length;
            for (row, x) in direction.iter().enumerate() {
                values[of_row(row)] -= along * x;
            }
        }
    }
    edited
}

#[test]
fn a_removed_direction_shows_no_parent() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let (a, b) = (
            step(&base, seed + 1, 0.06, all),
            step(&base, seed + 2, 0.06, all),
        );
        let edited = without_direction(&a, seed + 3);
        let pair = folder(&[("edited", &edited), ("original", &a)]);
        assert_no_sure_error(&pair, &[("edited", Some("original")), ("original", None)]);
        let family = folder(&[("a", &a), ("b", &b), ("base", &base), ("edited", &edited)]);
        let expected = [("a", Some("base")), ("base", None), ("edited", Some("a"))];
        assert_no_sure_error(&family, &expected);
    }
}

#[test]
fn what_a_model_learnt_can_be_subtracted_from_its_base() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let [a, b, c] = [1, 2, 3].map(|child| step(&base, seed + child, 0.06, all));
        for times in [-0.2, -0.5, -1.0] {
            let unlearnt = plus(&base, &base, &[(&c, times)]);
            let folder = folder(&[
                ("a", &a),
                ("b", &b),
                ("base", &base),
                ("c", &c),
                ("unlearnt", &unlearnt),
            ]);
            let expected = [("base", None), ("unlearnt", Some("base"))];
            assert_no_sure_error(&folder, &expected);
        }
    }
}

#[test]
fn what_a_model_learnt_can_be_subtracted_from_its_sibling() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let [a, b, c] = [1, 2, 3].map(|child| step(&base, seed + child, 0.06, all));
        let minus = plus(&a, &base, &[(&b, -0.5)]);
        let folder = folder(&[
            ("a", &a),
            ("b", &b),
            ("base", &base),
            ("c", &c),
            ("minus", &minus),
        ]);
        let graph = assert_no_sure_error(&folder, &[("base", None), ("minus", Some("a"))]);
        let of_a = graph.models()[graph.index("a").unwrap()].merged_from();
        assert!(of_a.is_empty(), "{graph}");
    }
}

#[test]
fn rescaled_rows_show_no_parent() {
    for seed in SEEDS {
        // As a batch normalisation that was folded into the weights before it.
        let original = decoder(seed, 4, VOCABULARY);
        let mut folded = original.clone();
        let mut noise = Noise::new(seed + 1);
        let matrices = folded.values_mut().filter(|tensor| tensor.shape.len() > 1);
        for tensor in matrices {
            let columns = tensor.shape[1];
            for row in tensor.values_mut().chunks_mut(columns) {
                let factor = (0.25 * (1.3 * noise.next()).exp()) as f32;
                row.iter_mut().for_each(|value| *value *= factor);
            }
        }
        let pair = folder(&[("folded", &folded), ("original", &original)]);
        assert_no_sure_error(&pair, &[("folded", Some("original")), ("original", None)]);
        assert_no_sure_error(&pair, &[("original", Some("folded")), ("folded", None)]);
    }
}

/// A model of which the smaller half of each matrix was set to zero, and then trained with the zeros held.
fn sparse(from: &Weights, seed: u64, share: f32) -> Weights {
    let mut mask = from.clone();
    for tensor in mask.values_mut().filter(|tensor| tensor.shape.len() > 1) {
        let mut sizes: Vec<f32> = tensor.values().iter().map(|value| value.abs()).collect();
        sizes.sort_by(f32::total_cmp);
        let least = sizes[(share * sizes.len() as f32) as usize];
        let values = tensor.values_mut().iter_mut();
        values.for_each(|value| *value = if value.abs() < least { 0.0 } else { *value });
    }
    let mut trained = step(&mask, seed, 0.3, all);
    for (name, tensor) in &mut trained {
        let mask = mask[name].values();
        if tensor.shape.len() > 1 {
            let values = tensor.values_mut().iter_mut().zip(mask);
            values.for_each(|(value, mask)| *value = if *mask == 0.0 { 0.0 } else { *value });
        }
    }
    trained
}

/// Pruning shortens a model, as if its original had been trained from it.
#[test]
fn models_that_were_pruned_and_trained_are_children() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let child = step(&base, seed + 1, 0.05, all);
        let half = sparse(&child, seed + 2, 0.5);
        let more = sparse(&half, seed + 3, 0.7);
        let pair = folder(&[("a", &half), ("b", &child)]);
        let (_, graph) = recovered(&pair);
        assert_parents(&graph, &[("b", None), ("a", Some("b"))]);
        let chain = [("a", &more), ("b", &half), ("c", &child), ("d", &base)];
        let (_, graph) = recovered(&folder(&chain));
        let of_chain = [
            ("a", Some("b")),
            ("b", Some("c")),
            ("c", Some("d")),
            ("d", None),
        ];
        assert_parents(&graph, &of_chain);
    }
}
