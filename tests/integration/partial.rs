//! Folders as people have them: models that share only a part of their weights, or differ only in a
//! part of them. What one upload lacks must cost the others nothing.

use mother::heritage::DescentKind;

use crate::noise::Noise;
use crate::signed;
use crate::toy::{
    Folder, PARENTS, Tensor, VOCABULARY, Values, WIDTH, Weights, all, assert_parents, copies,
    decoder, family, lora, models, parent, recovered, step, weights,
};

const SEEDS: [u64; 3] = [100, 200, 300];

/// Head-only uploads and the files of modules that were saved beside an adapter look like this.
#[test]
fn an_upload_of_one_frozen_matrix_changes_nothing_for_the_others() {
    let frozen = "layers.0.self_attn.k_proj.weight";
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let mut folder = family(&base, seed, |from, seed, size| {
            step(from, seed, size, |name| name != frozen)
        });
        let (_, without) = recovered(&folder);
        assert_parents(&without, &PARENTS);
        let stub = Weights::from([(frozen.into(), base[frozen].clone())]);
        folder.push(("stub".into(), stub));
        let (evidence, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        assert_eq!(copies(&evidence), []);
        for (model, _) in PARENTS {
            let confidence = |graph: &mother::heritage::ModelGraph| {
                graph.models()[graph.index(model).unwrap()].confidence()
            };
            let (before, after) = (confidence(&without).unwrap(), confidence(&graph).unwrap());
            assert!(
                after > before - 0.1,
                "{model}: {before}, {after} with the stub"
            );
        }
    }
}

/// One model holds the matrices of both families, as a vision-language model does.
#[test]
fn a_bridge_between_two_architectures_leaves_both_families_right() {
    let prefixed = |weights: &Weights, prefix: &str| -> Weights {
        let names = weights.iter();
        names
            .map(|(name, tensor)| (format!("{prefix}.{name}"), tensor.clone()))
            .collect()
    };
    let train = |from: &Weights, seed, size| step(from, seed, size, all);
    for seed in SEEDS {
        let first = prefixed(&decoder(seed, 4, VOCABULARY), "text");
        let second = prefixed(&decoder(seed + 50, 3, 80), "vision");
        let mut folder = family(&first, seed, train);
        let others = family(&second, seed + 10, train).into_iter();
        folder.extend(others.map(|(name, weights)| (format!("v-{name}"), weights)));
        let mut bridge = step(&first, seed + 20, 0.03, all);
        bridge.extend(step(&second, seed + 21, 0.03, all));
        folder.push(("bridge".into(), bridge));
        let (evidence, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        let others = [
            ("v-base", None),
            ("v-a", Some("v-base")),
            ("v-b", Some("v-base")),
            ("v-a1", Some("v-a")),
            ("v-b1", Some("v-b")),
        ];
        assert_parents(&graph, &others);
        assert!(
            matches!(parent(&graph, "bridge"), Some("base" | "v-base")),
            "{graph}"
        );
        assert_eq!(copies(&evidence), []);
    }
}

#[test]
fn models_of_which_only_the_biases_were_trained_are_no_duplicates() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let tuned = |seed: u64| {
            let mut noise = Noise::new(seed);
            let mut next = base.clone();
            for (_, bias) in next.iter_mut().filter(|(name, _)| name.ends_with("bias")) {
                let values = bias.values_mut().iter_mut();
                values.for_each(|value| *value += (0.005 * noise.next()) as f32);
            }
            next
        };
        let mut folder: Folder = vec![("base".into(), base.clone())];
        folder.extend((1..5).map(|n| (format!("bitfit-{n}"), tuned(seed + n))));
        let (evidence, graph) = recovered(&folder);
        assert_eq!(copies(&evidence), []);
        let kinds = graph
            .models()
            .iter()
            .filter_map(|model| model.descent()?.kind());
        assert!(
            kinds
                .into_iter()
                .all(|kind| !matches!(kind, DescentKind::Copy(_)))
        );
    }
}

/// The second vocabulary is just short of where matrices are cut into groups of twice as many rows.
#[test]
fn a_vocabulary_that_grew_by_three_rows_is_compared_but_for_these() {
    for vocabulary in [VOCABULARY, 126] {
        for seed in SEEDS {
            let base = decoder(seed, 4, vocabulary);
            let train = |from: &Weights, seed, size| step(from, seed, size, all);
            let mut folder = family(&base, seed, train);
            for member in ["b", "b1"] {
                let grown = weights(&mut folder, member);
                let mut noise = Noise::new(seed + 30);
                for name in ["embed_tokens.weight", "lm_head.weight"] {
                    let longer = grown[name].clone().with_rows(3, &mut noise);
                    grown.insert(name.into(), longer);
                }
            }
            let (evidence, graph) = recovered(&folder);
            assert_parents(&graph, &PARENTS);
            assert_eq!((evidence.groups.len(), copies(&evidence)), (1, vec![]));
        }
    }
}

/// Four bits a value, two values a byte: one column of codes under the name of the matrix.
fn packed(matrix: &Tensor) -> Tensor {
    let largest = matrix
        .values()
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let code = |value: &f32| (value / largest * 7.0 + 8.0).round() as u8;
    let codes: Vec<u8> = (matrix.values().chunks(2))
        .map(|pair| (code(&pair[0]) << 4) | code(&pair[1]))
        .collect();
    Tensor {
        shape: vec![codes.len(), 1],
        values: Values::Codes(codes),
    }
}

#[test]
fn a_packed_copy_does_not_restrict_the_comparison_of_lora_children() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let mut folder = family(&base, seed, |from, seed, size| lora(from, seed, size, all));
        let copy = base.iter().map(|(name, tensor)| {
            let is_packed = name.ends_with("proj.weight");
            let tensor = if is_packed {
                packed(tensor)
            } else {
                tensor.clone()
            };
            (name.clone(), tensor)
        });
        folder.push(("packed".into(), copy.collect()));
        let (evidence, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        let copies = copies(&evidence);
        assert!(
            copies.iter().all(|(copy, _)| copy == "packed"),
            "{copies:?}"
        );
    }
}

#[test]
fn a_copy_with_fused_projections_does_not_restrict_other_comparisons() {
    let is_trained = |name: &str| {
        ["q_proj", "k_proj", "v_proj"]
            .iter()
            .any(|p| name.contains(p))
    };
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let train = |from: &Weights, seed, size| lora(from, seed, size, is_trained);
        let mut folder = family(&base, seed, train);
        let mut fused = base.clone();
        for layer in 0..4 {
            let mut values = Vec::new();
            for part in ["q", "k", "v"] {
                let name = format!("layers.{layer}.self_attn.{part}_proj");
                values.extend_from_slice(fused[&format!("{name}.weight")].values());
                fused.remove(&format!("{name}.weight"));
                fused.remove(&format!("{name}.bias"));
            }
            let whole = Tensor::new(&[2 * WIDTH, WIDTH], values);
            fused.insert(format!("layers.{layer}.self_attn.qkv_proj.weight"), whole);
        }
        folder.push(("fused".into(), fused));
        let (evidence, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        let copies = copies(&evidence);
        assert!(copies.iter().all(|(copy, _)| copy == "fused"), "{copies:?}");
    }
}

#[test]
fn a_copy_of_the_lower_layers_does_not_restrict_other_comparisons() {
    let is_upper = |name: &str| (4..8).any(|layer| name.starts_with(&format!("layers.{layer}.")));
    for seed in SEEDS {
        let base = decoder(seed, 8, VOCABULARY);
        let train = |from: &Weights, seed, size| step(from, seed, size, is_upper);
        let mut folder = family(&base, seed, train);
        let lower = base.iter().filter(|(name, _)| !is_upper(name));
        let lower = lower.map(|(name, tensor)| (name.clone(), tensor.clone()));
        folder.push(("lower".into(), lower.collect()));
        let (evidence, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        let copies = copies(&evidence);
        assert!(copies.iter().all(|(copy, _)| copy == "lower"), "{copies:?}");
    }
}

#[test]
fn frozen_models_with_other_heads_are_no_duplicates() {
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let probe = |classes: usize| {
            let mut noise = Noise::new(seed + classes as u64);
            let mut probe = base.clone();
            probe.remove("lm_head.weight");
            let head = Tensor::random(&[classes, WIDTH], &mut noise);
            probe.insert("score.weight".into(), head);
            probe
        };
        // The same head trained on, and a new one of the same shape under the same name.
        let trained = step(&base, seed + 40, 0.2, |name| name == "lm_head.weight");
        let mut replaced = base.clone();
        let head = Tensor::random(&[VOCABULARY, WIDTH], &mut Noise::new(seed + 41));
        replaced.insert("lm_head.weight".into(), head);
        let mut folder: Folder = vec![("base".into(), base.clone())];
        folder.extend([2, 3, 7].map(|classes| (format!("probe-{classes}"), probe(classes))));
        folder.push(("trained".into(), trained));
        folder.push(("replaced".into(), replaced));
        let (evidence, _) = recovered(&folder);
        assert_eq!(copies(&evidence), []);
    }
}

/// A base with a head that its children replaced, and one of them trained on biases alone: it and the base are the
/// same to all others, whatever each has besides.
#[test]
fn either_of_two_models_with_equal_weights_may_be_the_parent() {
    for seed in SEEDS {
        let mut noise = Noise::new(seed);
        let mut base = decoder(seed, 4, VOCABULARY);
        let transform = Tensor::random(&[WIDTH, WIDTH], &mut noise);
        let with_head = |body: &Weights, noise: &mut Noise| {
            let mut next = body.clone();
            for (name, rows) in [("pooler.weight", WIDTH), ("classifier.weight", 4)] {
                next.insert(name.into(), Tensor::random(&[rows, WIDTH], noise));
            }
            next
        };
        let mut tuned = with_head(&base, &mut noise);
        for (_, bias) in tuned.iter_mut().filter(|(name, _)| name.ends_with("bias")) {
            let values = bias.values_mut().iter_mut();
            values.for_each(|value| *value += (0.005 * noise.next()) as f32);
        }
        let upper = |name: &str| name.starts_with("layers.2") || name.starts_with("layers.3");
        let children = [1, 2].map(|child| {
            let body = step(&base, seed + child, 0.05, upper);
            with_head(&body, &mut noise)
        });
        base.insert("transform.weight".into(), transform);
        let other = step(&base, seed + 3, 0.05, all);
        let [first, second] = children;
        let names = ["base", "first", "other", "second", "tuned"];
        let models = [base, first, other, second, tuned];
        let folder: Folder = names.map(str::to_owned).into_iter().zip(models).collect();
        let (_, graph) = recovered(&folder);
        for child in ["first", "second"] {
            let model = &graph.models()[graph.index(child).unwrap()];
            assert!(model.confidence().unwrap() < 0.6, "{graph}");
        }
    }
}

#[test]
fn one_nan_costs_its_tensor_and_not_the_model() {
    let broken = "layers.2.mlp.down_proj.weight";
    for seed in SEEDS {
        let base = decoder(seed, 4, VOCABULARY);
        let train = |from: &Weights, seed, size| step(from, seed, size, all);
        let mut folder = family(&base, seed, train);
        let tensor = weights(&mut folder, "b").get_mut(broken).unwrap();
        tensor.values_mut()[17] = f32::NAN;
        let (evidence, graph) = recovered(&folder);
        assert_parents(&graph, &PARENTS);
        let [lost] = &evidence.skipped_layers[..] else {
            panic!("{:?}", evidence.skipped_layers);
        };
        assert_eq!((&*lost.model, &*lost.layer.layer), ("b", broken));
        assert_eq!(lost.layer.reason, "contains NaN at index 17");
        let signature = signed::signatures(&models(&folder));
        let tensors = |model: usize| signature[model].tensors().len();
        assert_eq!(tensors(2) + 1, tensors(0));
    }
}

/// Two pairs of models, each of which says nothing of the other: there is a tree all the same.
#[cfg(feature = "serde")]
#[test]
fn parents_that_say_nothing_are_improbable_and_not_impossible() {
    use mother::condensed::CondensedMatrix;
    use mother::evidence::{Coverage, Evidence, GroupEvidence};
    use mother::heritage::{Recovery, Trees};

    let names = ["a", "b", "c", "d"].map(String::from).to_vec();
    let distances = CondensedMatrix::new(4, vec![1.0, 3.0, 3.0, 3.0, 3.0, 1.0]).unwrap();
    let across = [(0, 2), (0, 3), (1, 2), (1, 3)];
    let mut partial: Vec<(usize, usize)> = (across.iter())
        .flat_map(|&(u, v)| [(u, v), (v, u)])
        .collect();
    partial.sort_unstable();
    let share = |of: usize, with: usize| if of / 2 == with / 2 { 1.0 } else { 0.5 };
    let coverage: Coverage = serde_json::from_value(serde_json::json!({
        "models": 4,
        "shares": (0..16).map(|at| share(at / 4, at % 4)).collect::<Vec<f64>>(),
        "partial": partial.iter()
            .map(|(parent, child)| serde_json::json!({"parent": parent, "child": child, "distance": null}))
            .collect::<Vec<_>>(),
        "repeated": [0.0, 0.0, 0.0, 0.0],
    }))
    .unwrap();
    let group = GroupEvidence::new(names, None, distances).unwrap();
    let mut evidence = Evidence::default();
    evidence.groups.push(group.with_coverage(coverage).unwrap());
    let recovery = Recovery::new().with_trees(Trees::Count(1));
    let graph = recovery.recover(&evidence).unwrap();
    assert_eq!(graph.roots().len(), 1);
    let joined = |u: usize, v: usize| graph.parent(u) == Some(v) || graph.parent(v) == Some(u);
    assert!(joined(0, 1) && joined(2, 3));
}
