//! Fused projections whose rows are interleaved by groups of heads, as GPT-NeoX, BLOOM and Falcon store them.

use mother::evidence::Relation;
use mother::heritage::Recovery;
use mother::signature::Signature;
use mother::weights::InMemoryModel;

use crate::signed;
use crate::toy::{
    Folder, PARENTS, Tensor, VOCABULARY, Weights, all, assert_parents, decoder, family, models,
    step,
};

const SEEDS: [u64; 3] = [100, 200, 300];
const LAYERS: usize = 4;

fn train(from: &Weights, seed: u64, size: f64) -> Weights {
    step(from, seed, size, all)
}

/// Replaces q, k and v by one matrix that lists them group by group, and their biases alike.
fn interleaved(weights: &Weights, groups: usize) -> Weights {
    let mut fused = weights.clone();
    for layer in 0..LAYERS {
        for ending in ["weight", "bias"] {
            let name = |part| format!("layers.{layer}.self_attn.{part}.{ending}");
            let parts =
                ["q_proj", "k_proj", "v_proj"].map(|part| fused.remove(&name(part)).unwrap());
            let mut values = Vec::new();
            for group in 0..groups {
                for part in &parts {
                    let length = part.values().len() / groups;
                    values.extend(&part.values()[group * length..(group + 1) * length]);
                }
            }
            let mut shape = parts[0].shape.clone();
            shape[0] = parts.iter().map(|part| part.shape[0]).sum();
            fused.insert(name("query_key_value"), Tensor::new(&shape, values));
        }
    }
    fused
}

fn sign(model: InMemoryModel<'static>) -> Signature {
    signed::signatures(&[model]).remove(0)
}

fn model(weights: &Weights) -> InMemoryModel<'static> {
    models(&vec![("m".into(), weights.clone())]).remove(0)
}

#[test]
fn rows_are_put_in_order_where_the_source_knows_the_groups() {
    let base = decoder(41, LAYERS, VOCABULARY);
    for groups in [2, 4, 8] {
        let known = model(&interleaved(&base, groups)).with_interleaved_groups(groups);
        let relation = Relation::between(&sign(model(&base)), &sign(known)).unwrap();
        assert!(relation.is_equal(), "{groups} groups");
    }
}

/// Groups that can't be right change nothing.
#[test]
fn rows_that_no_groups_divide_stay_as_they_are() {
    let fused = interleaved(&decoder(41, LAYERS, VOCABULARY), 1);
    for groups in [0, 1, 3, 64] {
        let known = model(&fused).with_interleaved_groups(groups);
        let relation = Relation::between(&sign(model(&fused)), &sign(known)).unwrap();
        assert!(relation.is_equal(), "{groups} groups");
    }
}

#[test]
fn parts_in_an_unknown_order_are_left_out_and_all_else_is_compared() {
    for seed in SEEDS {
        for groups in [2, 4, 8] {
            let folder: Folder = (family(&decoder(seed, LAYERS, VOCABULARY), seed, train)
                .into_iter())
            .map(|(name, weights)| match &*name {
                "b" | "b1" => (name, interleaved(&weights, groups)),
                _ => (name, weights),
            })
            .collect();
            let evidence = signed::evidence(&models(&folder));
            let graph = Recovery::new().recover(&evidence).unwrap();
            assert_parents(&graph, &PARENTS);
            let of = |name: &str| {
                let found = folder.iter().find(|(other, _)| other == name);
                sign(model(&found.unwrap().1))
            };
            let relation = Relation::between(&of("base"), &of("b")).unwrap();
            let (step, _) = (relation.unrelatedness().sqrt(), relation.compared());
            assert!((0.02..0.06).contains(&step), "{step}");
            assert!(relation.compared()[0] < 0.9 && relation.replaced().is_empty());
            let alike = Relation::between(&of("b"), &of("b1")).unwrap();
            assert_eq!(alike.compared(), [1.0; 2]);
        }
    }
}
