//! Models that name, fuse, pack or orient their tensors in other ways than their relatives do.

use mother::evidence::{
    MatchRule, Matching, Relation, SignatureComparison, find_transposed, sign_aligned,
};
use mother::heritage::{Index, Recovery};
use mother::signature::{Signature, SignatureOptions};

use crate::noise::Noise;
use crate::signed;
use crate::toy::{
    Folder, PARENTS, Tensor, VOCABULARY, WIDTH, Weights, all, assert_parents, copies, decoder,
    family, models, parent, recovered, step, weights,
};

const SEEDS: [u64; 3] = [100, 200, 300];

fn renamed(weights: &Weights, rename: impl Fn(&str) -> String) -> Weights {
    let tensors = weights.iter();
    tensors
        .map(|(name, tensor)| (rename(name), tensor.clone()))
        .collect()
}

/// Every name is another, and in another order.
fn other_names(name: &str) -> String {
    let mut name: String = name.into();
    for (from, to) in [
        ("layers.", "decoder.blocks."),
        ("self_attn.q_proj", "attention.wq"),
        ("self_attn.k_proj", "attention.wk"),
        ("self_attn.v_proj", "attention.wv"),
        ("self_attn.o_proj", "attention.a"),
        ("mlp.gate_proj", "ffn.z"),
        ("mlp.up_proj", "ffn.y"),
        ("mlp.down_proj", "ffn.x"),
        ("norm", "scale"),
        ("embed_tokens", "tokens"),
        ("lm_head", "output"),
        ("weight", "value"),
        ("bias", "shift"),
    ] {
        name = name.replace(from, to);
    }
    name
}

/// Adds this share of noise to every tensor.
fn noisy(weights: &Weights, seed: u64, share: f64) -> Weights {
    let mut noise = Noise::new(seed);
    let mut next = weights.clone();
    for tensor in next.values_mut() {
        let values = tensor.values_mut();
        let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
        let size = share * (squares / values.len() as f64).sqrt();
        for value in values {
            *value += (size * noise.next()) as f32;
        }
    }
    next
}

fn sign(weights: &Weights) -> Signature {
    let folder = vec![("m".into(), weights.clone())];
    signed::signatures(&models(&folder)).remove(0)
}

fn train(from: &Weights, seed: u64, size: f64) -> Weights {
    step(from, seed, size, all)
}

#[test]
fn wrappers_known_and_unknown_come_off() {
    for seed in SEEDS {
        let mut folder = family(&decoder(seed, 4, VOCABULARY), seed, train);
        for (model, prefix) in [
            ("a", "_orig_mod.module."),
            ("b", "module."),
            ("a1", "nobody.knows.this.wrapper."),
            ("b1", "base_model.model."),
        ] {
            let own = weights(&mut folder, model);
            *own = renamed(own, |name| format!("{prefix}{name}"));
        }
        // Adapters wrap single layers, within their names.
        let own = weights(&mut folder, "b");
        *own = renamed(own, |name| name.replace("q_proj.", "q_proj.base_layer."));
        let (evidence, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        assert_eq!(copies(&evidence), []);
    }
}

#[test]
fn a_model_that_lost_the_prefix_of_all_but_its_head_is_matched_whole() {
    let base = decoder(1, 3, VOCABULARY);
    let prefixed = renamed(&base, |name| match name {
        "lm_head.weight" => name.into(),
        name => format!("model.{name}"),
    });
    let (first, second) = (sign(&base), sign(&train(&prefixed, 2, 0.05)));
    let relation = Relation::between(&first, &second).unwrap();
    assert_eq!(relation.rule(), MatchRule::Prefix);
    assert_eq!(relation.matched(), base.len());
    assert_eq!(relation.compared(), [1.0, 1.0]);
    assert!(relation.is_related());
}

#[test]
fn a_language_model_within_a_larger_one_is_found() {
    for seed in SEEDS {
        let mut folder = family(&decoder(seed, 4, VOCABULARY), seed, train);
        let tuned = train(weights(&mut folder, "a"), seed + 9, 0.05);
        let mut nested = renamed(&tuned, |name| format!("language_model.model.{name}"));
        // A tower of the same shapes, whose names end alike.
        let tower = decoder(seed + 50, 4, 80);
        nested.extend(renamed(&tower, |name| format!("vision_tower.{name}")));
        folder.push(("seeing".into(), nested));
        let (_, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        assert_parents(&graph, &[("seeing", Some("a"))]);
    }
}

#[test]
fn a_renamed_model_with_noise_or_further_training_is_a_child_of_its_original() {
    for seed in SEEDS {
        let mut folder = family(&decoder(seed, 4, VOCABULARY), seed, train);
        let b1 = weights(&mut folder, "b1").clone();
        let claimed = renamed(&noisy(&b1, seed + 8, 0.01), other_names);
        let trained = renamed(&train(&b1, seed + 9, 0.05), other_names);
        folder.push(("claimed".into(), claimed));
        folder.push(("trained".into(), trained));
        let (_, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        assert_parents(&graph, &[("claimed", Some("b1")), ("trained", Some("b1"))]);
    }
}

#[test]
fn content_matches_every_tensor_with_its_own() {
    let base = decoder(7, 8, VOCABULARY);
    let trained = train(&base, 8, 0.3);
    let (first, second) = (sign(&base), sign(&renamed(&trained, other_names)));
    let matching = Matching::between(&first, &second).unwrap();
    assert_eq!(matching.rule(), MatchRule::Content);
    assert_eq!(matching.pairs().len(), base.len());
    for (u, v) in matching.pairs() {
        assert_eq!(other_names(u.name()), v.name());
    }
    let back = Matching::between(&second, &first).unwrap();
    assert_eq!(back.pairs().len(), base.len());
    for (v, u) in back.pairs() {
        assert_eq!(other_names(u.name()), v.name());
    }
}

/// The embedding has the same shape, but is recognised.
#[test]
fn a_head_that_was_replaced_is_matched_as_the_last_of_its_shape() {
    let base = decoder(12, 4, VOCABULARY);
    let mut other = train(&base, 13, 0.1);
    let head = Tensor::random(&[VOCABULARY, WIDTH], &mut Noise::new(14));
    other.insert("lm_head.weight".into(), head);
    let signatures = [
        sign(&base),
        sign(&other),
        sign(&renamed(&other, other_names)),
    ];
    let [base, named, renamed] = &signatures;
    let matching = Matching::between(base, renamed).unwrap();
    assert_eq!(matching.rule(), MatchRule::Content);
    assert_eq!(matching.pairs().len(), base.tensors().len());
    let distance = |other| Relation::between(base, other).unwrap().squared_distance();
    assert_eq!(distance(renamed), distance(named));
}

#[test]
fn content_matches_a_vocabulary_that_grew() {
    let base = decoder(9, 4, VOCABULARY);
    let mut grown = train(&base, 10, 0.1);
    let embedding = grown.remove("embed_tokens.weight").unwrap();
    let embedding = embedding.with_rows(3, &mut Noise::new(11));
    grown.insert("embed_tokens.weight".into(), embedding);
    let (first, second) = (sign(&base), sign(&renamed(&grown, other_names)));
    let matching = Matching::between(&first, &second).unwrap();
    let found = matching
        .pairs()
        .iter()
        .find(|(u, _)| u.name() == "embed_tokens.weight");
    assert_eq!(found.unwrap().1.name(), "tokens.value");
}

#[test]
fn a_renamed_copy_is_a_duplicate_and_a_copy_with_swapped_layers_is_none() {
    let base = decoder(3, 3, VOCABULARY);
    let child = train(&base, 4, 0.05);
    let swapped = renamed(&base, |name| {
        let parked = name.replace("layers.0.", "layers.x.");
        let parked = parked.replace("layers.1.", "layers.0.");
        parked.replace("layers.x.", "layers.1.")
    });
    let folder: Folder = vec![
        ("base".into(), base.clone()),
        ("child".into(), child),
        ("renamed".into(), renamed(&base, other_names)),
        (
            "wrapped".into(),
            renamed(&base, |name| format!("net.{name}")),
        ),
    ];
    let (evidence, graph) = recovered(&folder);
    let of_base = |model: &str| (model.to_string(), "base".to_string());
    assert_eq!(copies(&evidence), [of_base("renamed"), of_base("wrapped")]);
    let relation = Relation::between(&sign(&base), &sign(&swapped)).unwrap();
    assert!(!relation.is_equal());
    assert_parents(&graph, &[("child", Some("base"))]);
}

/// Training moved two weights of one shape so far that they can't be matched with those of a renamed copy, so the copy
/// seems to equal the parent.
#[test]
fn a_renamed_copy_says_nothing_of_its_originals_parent() {
    let base = decoder(31, 4, VOCABULARY);
    let far = ["layers.1.mlp.up_proj.weight", "layers.2.mlp.up_proj.weight"];
    let near = |name: &str| name.contains("layers.0.") || name.contains("layers.3.");
    let child = step(&base, 32, 2.2, |name| far.contains(&name));
    let child = step(&child, 33, 0.1, near);
    let copy = renamed(&child, other_names);
    let mut folder = vec![("base".into(), base), ("child".into(), child)];
    let root_confidence = |folder: &Folder| {
        let (_, graph) = recovered(folder);
        assert_eq!(parent(&graph, "child"), Some("base"));
        graph.models()[graph.index("base").unwrap()]
            .confidence()
            .unwrap()
    };
    let alone = root_confidence(&folder);
    folder.push(("copy".into(), copy));
    let with_copy = root_confidence(&folder);
    assert!(
        (with_copy - alone).abs() < 0.05,
        "{with_copy}, {alone} without the copy"
    );
}

#[test]
fn unrelated_models_of_one_architecture_stay_unrelated_whatever_their_names() {
    let base = decoder(11, 24, VOCABULARY);
    for seed in [12, 13, 14] {
        let other = decoder(seed, 24, VOCABULARY);
        for other in [other.clone(), renamed(&other, other_names)] {
            let relation = Relation::between(&sign(&base), &sign(&other)).unwrap();
            assert!(!relation.is_related());
        }
        let prefixed = renamed(&other, |name| format!("wrapper.{name}"));
        let relation = Relation::between(&sign(&base), &sign(&prefixed)).unwrap();
        assert!(!relation.is_related());
    }
}

#[test]
fn one_equal_tensor_under_another_name_relates_nobody() {
    let base = decoder(21, 4, VOCABULARY);
    let mut other = renamed(&decoder(22, 4, VOCABULARY), other_names);
    other.insert("tokens.value".into(), base["embed_tokens.weight"].clone());
    let relation = Relation::between(&sign(&base), &sign(&other)).unwrap();
    assert!(!relation.is_related());
}

#[test]
fn an_index_finds_renamed_relatives() {
    for limit in [48, 2] {
        let base = decoder(31, 4, VOCABULARY);
        let folder = family(&base, 31, train);
        let strangers = family(&decoder(32, 4, VOCABULARY), 32, train);
        let b1 = &folder[4].1;
        let mut index = Index::new().with_dense_limit(limit);
        let mut insert = |name: &str, weights: &Weights| {
            index.insert(sign(weights).with_name(name)).unwrap();
        };
        for (name, weights) in &folder {
            insert(name, weights);
        }
        for (name, weights) in &strangers {
            let weights = renamed(weights, |name| format!("stranger.{name}"));
            insert(&format!("s-{name}"), &weights);
        }
        insert("claimed", &renamed(&noisy(b1, 33, 0.01), other_names));
        insert(
            "wrapped",
            &renamed(&train(b1, 34, 0.05), |name| format!("net.{name}")),
        );
        for model in ["claimed", "wrapped"] {
            let relatives = index.relatives(model).unwrap();
            assert_eq!(relatives[0].name, "b1", "{model}");
            assert!(relatives.iter().all(|other| !other.name.starts_with("s-")));
        }
        let graph = index.graph().unwrap();
        assert_parents(&graph, &PARENTS);
        assert_parents(&graph, &[("claimed", Some("b1")), ("wrapped", Some("b1"))]);
        assert_parents(&graph, &[("s-base", None), ("s-a1", Some("s-a"))]);
    }
}

/// Rows of several matrices, one below the other.
fn stacked(weights: &mut Weights, names: &[String]) -> Tensor {
    let parts: Vec<Tensor> = names
        .iter()
        .map(|name| weights.remove(name).unwrap())
        .collect();
    let mut shape = parts[0].shape.clone();
    shape[0] = parts.iter().map(|part| part.shape[0]).sum();
    let values = parts.iter().flat_map(|part| part.values().iter().copied());
    Tensor::new(&shape, values.collect())
}

/// Projections as Phi-3 keeps them.
fn fused(weights: &Weights) -> Weights {
    let mut fused = weights.clone();
    for layer in 0..4 {
        for ending in ["weight", "bias"] {
            let name = |part: &&str| format!("layers.{layer}.{part}_proj.{ending}");
            for (parts, whole) in [
                (
                    &["self_attn.q", "self_attn.k", "self_attn.v"][..],
                    "self_attn.qkv",
                ),
                (&["mlp.gate", "mlp.up"], "mlp.gate_up"),
            ] {
                let parts: Vec<String> = parts.iter().map(name).collect();
                let tensor = stacked(&mut fused, &parts);
                fused.insert(name(&whole), tensor);
            }
        }
    }
    fused
}

#[test]
fn fused_and_split_projections_are_the_same_weights() {
    let base = decoder(41, 4, VOCABULARY);
    let relation = Relation::between(&sign(&base), &sign(&fused(&base))).unwrap();
    assert!(relation.is_equal());
    let folder: Folder = (family(&base, 41, train).into_iter())
        .map(|(name, weights)| {
            let is_fused = name.starts_with('b') && name != "base";
            let weights = if is_fused { fused(&weights) } else { weights };
            (name, weights)
        })
        .collect();
    let (_, graph) = recovered(&folder);
    assert_parents(&graph, &PARENTS);
}

#[test]
fn a_nan_in_fused_projections_costs_one_of_them() {
    let mut base = fused(&decoder(42, 4, VOCABULARY));
    let fused = base.get_mut("layers.1.self_attn.qkv_proj.weight").unwrap();
    fused.values_mut()[WIDTH * WIDTH] = f32::NAN;
    let signature = sign(&base);
    let skipped: Vec<&str> = (signature.skipped_layers().iter())
        .map(|skipped| &*skipped.layer)
        .collect();
    assert_eq!(skipped, ["layers.1.self_attn.k_proj.weight"]);
}

/// The transposes of all projections.
fn transposed(weights: &Weights) -> Weights {
    let mut next = weights.clone();
    let projections = next
        .iter_mut()
        .filter(|(name, _)| name.ends_with("proj.weight"));
    for (_, tensor) in projections {
        let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
        let value = |at: usize| tensor.values()[at % rows * columns + at / rows];
        let values = (0..rows * columns).map(value).collect();
        *tensor = Tensor::new(&[columns, rows], values);
    }
    next
}

fn without_biases(weights: &Weights) -> Weights {
    let tensors = weights.clone().into_iter();
    tensors
        .filter(|(name, _)| !name.ends_with("bias"))
        .collect()
}

#[test]
fn biases_show_which_matrices_are_transposed() {
    let base = decoder(51, 4, VOCABULARY);
    let transposed = transposed(&base);
    let relation = Relation::between(&sign(&base), &sign(&transposed)).unwrap();
    assert!(relation.is_equal());
    // Flax and Keras call them kernels.
    let kernels = renamed(&transposed, |name| {
        name.replace("proj.weight", "proj.kernel")
    });
    let relation = Relation::between(&sign(&base), &sign(&kernels)).unwrap();
    assert!(relation.is_equal());
}

#[test]
fn short_names_of_weights_and_biases_show_it_too() {
    let base = decoder(52, 4, VOCABULARY);
    let short = renamed(&transposed(&base), |name| {
        let name = name.replace('.', "/");
        let name = name.replace("proj/weight", "proj/w");
        name.replace("proj/bias", "proj/b")
    });
    let relation = Relation::between(&sign(&base), &sign(&short)).unwrap();
    assert_eq!(relation.compared(), [1.0, 1.0]);
    assert_eq!(relation.squared_distance(), 0.0);
}

/// Lengths alone would make the first model the transposed one.
#[test]
fn a_model_whose_biases_show_its_outputs_is_not_transposed() {
    let mut noise = Noise::new(56);
    let mut first = Weights::new();
    for layer in 0..4 {
        let name = format!("layers.{layer}.mlp.up_proj");
        first.insert(
            format!("{name}.weight"),
            Tensor::random(&[32, 96], &mut noise),
        );
        first.insert(format!("{name}.bias"), Tensor::random(&[32], &mut noise));
    }
    let second = renamed(&transposed(&first), other_names);
    let folder: Folder = vec![("first".into(), first), ("second".into(), second)];
    let models = models(&folder);
    let found = find_transposed(&signed::signatures(&models));
    assert_eq!(
        found.iter().map(|found| found.model).collect::<Vec<_>>(),
        [1]
    );
    let signed = sign_aligned(SignatureOptions::new(), &models).into_iter();
    let signatures: Vec<Signature> = signed.map(Result::unwrap).collect();
    let relation = Relation::between(&signatures[0], &signatures[1]).unwrap();
    assert_eq!(relation.squared_distance(), 0.0);
    assert_eq!(relation.compared(), [1.0, 1.0]);
}

/// Biases have the same names in both models, but those of the matrices say nothing.
#[test]
fn biases_of_equal_names_do_not_hide_that_matrices_are_transposed() {
    let base = decoder(55, 4, VOCABULARY);
    let other = renamed(&transposed(&base), |name| name.replace("weight", "matrix"));
    let folder = vec![("base".into(), base), ("other".into(), other)];
    let signed = sign_aligned(SignatureOptions::new(), &models(&folder)).into_iter();
    let signatures: Vec<Signature> = signed.map(Result::unwrap).collect();
    let relation = Relation::between(&signatures[0], &signatures[1]).unwrap();
    assert!(relation.is_equal());
}

#[test]
fn without_biases_another_model_shows_which_matrices_are_transposed() {
    for seed in SEEDS {
        let mut folder = family(&without_biases(&decoder(seed, 4, VOCABULARY)), seed, train);
        for model in ["b", "b1"] {
            let own = weights(&mut folder, model);
            *own = transposed(own);
        }
        let models = models(&folder);
        let found = find_transposed(&signed::signatures(&models));
        let names: Vec<&str> = found.iter().map(|found| &*folder[found.model].0).collect();
        assert_eq!(names, ["b", "b1"]);
        // Square matrices follow.
        assert!(
            found[0]
                .layers
                .contains(&"layers.0.self_attn.q_proj.weight".into())
        );
        let signed = sign_aligned(SignatureOptions::new(), &models).into_iter();
        let signatures: Vec<Signature> = signed.map(Result::unwrap).collect();
        let evidence = SignatureComparison::new().compare(&signatures).unwrap();
        let graph = Recovery::new().recover(&evidence).unwrap();
        assert_parents(&graph, &PARENTS);
    }
}

#[test]
fn without_names_shapes_show_which_matrices_are_transposed() {
    let mut folder = family(&without_biases(&decoder(57, 4, VOCABULARY)), 57, train);
    for model in ["b", "b1"] {
        let own = weights(&mut folder, model);
        *own = renamed(&transposed(own), other_names);
    }
    let models = models(&folder);
    let found = find_transposed(&signed::signatures(&models));
    let names: Vec<&str> = found.iter().map(|found| &*folder[found.model].0).collect();
    assert_eq!(names, ["b", "b1"]);
    let layers = &found[0].layers;
    assert!(layers.contains(&"decoder.blocks.0.ffn.x.value".into()));
    assert!(!layers.contains(&"tokens.value".into()));
    let signed = sign_aligned(SignatureOptions::new(), &models).into_iter();
    let signatures: Vec<Signature> = signed.map(Result::unwrap).collect();
    let evidence = SignatureComparison::new().compare(&signatures).unwrap();
    assert_parents(&Recovery::new().recover(&evidence).unwrap(), &PARENTS);
    // What is stored alike stays as it is.
    let base = without_biases(&decoder(58, 4, VOCABULARY));
    let folder: Folder = vec![
        ("base".into(), base.clone()),
        ("renamed".into(), renamed(&base, other_names)),
    ];
    assert_eq!(
        find_transposed(&signed::signatures(&crate::toy::models(&folder))),
        []
    );
}

#[test]
fn kernels_of_convolutions_meet_in_any_order_of_their_dimensions() {
    let mut noise = Noise::new(58);
    let shapes = [[16, 3, 5, 5], [32, 16, 3, 3], [8, 32, 1, 1]];
    let tensors = shapes.map(|shape| Tensor::random(&shape, &mut noise));
    // Each tensor with its dimensions in this order.
    let stored = |name: &str, order: [usize; 4]| {
        let folder = tensors.iter().enumerate().map(|(layer, tensor)| {
            let values = tensor.values();
            let lengths = order.map(|at| tensor.shape[at]);
            let value = |at: usize| {
                let (mut rest, mut place) = (at, [0; 4]);
                for (dimension, length) in order.into_iter().zip(lengths).rev() {
                    (place[dimension], rest) = (rest % length, rest / length);
                }
                let index = (0..4).fold(0, |index, at| index * tensor.shape[at] + place[at]);
                values[index]
            };
            let stored = (0..values.len()).map(value).collect();
            (format!("conv{layer}.weight"), Tensor::new(&lengths, stored))
        });
        (name.to_owned(), folder.collect::<Weights>())
    };
    let folder: Folder = vec![
        stored("pytorch", [0, 1, 2, 3]),
        stored("keras", [2, 3, 1, 0]),
        stored("mlx", [0, 2, 3, 1]),
    ];
    let signed = sign_aligned(SignatureOptions::new(), &models(&folder)).into_iter();
    let signatures: Vec<Signature> = signed.map(Result::unwrap).collect();
    for other in &signatures[1..] {
        let relation = Relation::between(&signatures[0], other).unwrap();
        assert!(relation.is_equal());
        assert_eq!(relation.compared(), [1.0, 1.0]);
    }
}

#[test]
fn layers_in_another_order_are_matched_by_content() {
    let base = decoder(59, 4, VOCABULARY);
    let child = renamed(&train(&base, 60, 0.05), |name| {
        let moved = |at: usize| format!("layers.{}.", (at + 1) % 4);
        let place = (0..4).find(|at| name.starts_with(&format!("layers.{at}.")));
        place.map_or(name.into(), |at| {
            name.replace(&format!("layers.{at}."), &moved(at))
        })
    });
    let (base, child) = (sign(&base), sign(&child));
    let matching = Matching::between(&base, &child).unwrap();
    assert_eq!(matching.rule(), MatchRule::Content);
    let second = |name: &str| {
        let mut pairs = matching.pairs().iter();
        pairs.find(|(u, _)| u.name() == name).unwrap().1.name()
    };
    assert_eq!(
        second("layers.3.mlp.up_proj.weight"),
        "layers.0.mlp.up_proj.weight"
    );
    assert_eq!(second("embed_tokens.weight"), "embed_tokens.weight");
    assert!(Relation::between(&base, &child).unwrap().is_related());
}

#[test]
fn fused_transposed_and_prefixed_projections_meet_split_ones() {
    let base = without_biases(&decoder(54, 4, VOCABULARY));
    let child = train(&base, 55, 0.05);
    let mut stored = child.clone();
    for layer in 0..4 {
        for (parts, whole) in [
            (
                &["self_attn.q", "self_attn.k", "self_attn.v"][..],
                "self_attn.qkv",
            ),
            (&["mlp.gate", "mlp.up"], "mlp.gate_up"),
        ] {
            let name = |part: &&str| format!("layers.{layer}.{part}_proj.weight");
            let parts: Vec<String> = parts.iter().map(name).collect();
            let tensor = stacked(&mut stored, &parts);
            stored.insert(name(&whole), tensor);
        }
    }
    let stored = renamed(&transposed(&stored), |name| format!("transformer.{name}"));
    let folder: Folder = vec![
        ("base".into(), base),
        ("split".into(), child),
        ("stored".into(), stored),
    ];
    let signed = sign_aligned(SignatureOptions::new(), &models(&folder)).into_iter();
    let signatures: Vec<Signature> = signed.map(Result::unwrap).collect();
    assert!(
        Relation::between(&signatures[1], &signatures[2])
            .unwrap()
            .is_equal()
    );
    let relation = Relation::between(&signatures[0], &signatures[2]).unwrap();
    assert_eq!(relation.rule(), MatchRule::Prefix);
    assert_eq!(relation.compared(), [1.0, 1.0]);
}

const EXPERTS: usize = 3;

/// A decoder with experts of their own names.
fn mixture(seed: u64) -> Weights {
    let mut weights = without_biases(&decoder(seed, 2, VOCABULARY));
    weights.retain(|name, _| !name.contains("mlp"));
    let mut noise = Noise::new(seed + 1);
    for layer in 0..2 {
        for expert in 0..EXPERTS {
            for (name, shape) in [
                ("gate_proj", [2 * WIDTH, WIDTH]),
                ("up_proj", [2 * WIDTH, WIDTH]),
                ("down_proj", [WIDTH, 2 * WIDTH]),
            ] {
                let name = format!("layers.{layer}.mlp.experts.{expert}.{name}.weight");
                weights.insert(name, Tensor::random(&shape, &mut noise));
            }
        }
    }
    weights
}

/// The same with packed experts.
fn packed(weights: &Weights) -> Weights {
    let mut packed = weights.clone();
    for layer in 0..2 {
        let experts = format!("layers.{layer}.mlp.experts");
        for (parts, whole) in [
            (&["gate_proj", "up_proj"][..], "gate_up_proj"),
            (&["down_proj"], "down_proj"),
        ] {
            let names: Vec<String> = (0..EXPERTS)
                .flat_map(|e| parts.iter().map(move |part| (e, part)))
                .map(|(expert, part)| format!("{experts}.{expert}.{part}.weight"))
                .collect();
            let mut tensor = stacked(&mut packed, &names);
            tensor.shape = vec![EXPERTS, tensor.shape[0] / EXPERTS, tensor.shape[1]];
            packed.insert(format!("{experts}.{whole}"), tensor);
        }
    }
    packed
}

#[test]
fn packed_and_single_experts_are_the_same_weights() {
    let base = mixture(61);
    let relation = Relation::between(&sign(&base), &sign(&packed(&base))).unwrap();
    assert!(relation.is_equal());
    let child = packed(&train(&base, 62, 0.05));
    let folder: Folder = vec![("base".into(), base), ("child".into(), child)];
    let (_, graph) = recovered(&folder);
    assert_eq!(parent(&graph, "child"), Some("base"));
}

/// The experts are the layers of all models of a family, and all else is the base's.
#[test]
fn a_mixture_of_a_familys_models_comes_after_them_and_changes_nothing_for_them() {
    for seed in SEEDS {
        let folder = family(&decoder(seed, 4, VOCABULARY), seed, train);
        let of_base = |(name, _): &(&String, &Tensor)| !name.contains(".mlp.");
        let base = folder.iter().find(|(name, _)| name == "base").unwrap();
        let own = base.1.iter().filter(of_base);
        let mut mixed: Weights = own
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        let trained = folder.iter().filter(|(name, _)| name != "base");
        for (number, (_, expert)) in trained.enumerate() {
            for (name, tensor) in expert.iter().filter(|(name, _)| name.contains(".mlp.")) {
                let expert = format!(".moe.experts.{number}.");
                mixed.insert(name.replace(".mlp.", &expert), tensor.clone());
            }
        }
        let mut with_mixture = folder;
        with_mixture.push(("mixture".into(), mixed));
        let (_, graph) = recovered(&with_mixture);
        assert_parents(&graph, &PARENTS);
        assert!(parent(&graph, "mixture").is_some(), "{seed}");
    }
}
