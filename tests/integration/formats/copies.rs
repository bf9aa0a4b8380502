//! One model in several formats: copies are recognised, and hang on the original.

use mother::evidence::{CopyKind, SignatureComparison};
use mother::files::find_models;
use mother::heritage::Recovery;
use mother::signature::{Signature, SignatureOptions};

use super::written;
use crate::dequantised::stored::Tensor;
use crate::noise::noise;
use crate::safetensors::TempFolder;

const SIDE: usize = 64;

/// The weights of a model: a matrix and a norm, in single precision.
type Model = [Vec<f32>; 2];

const NAMES: [&str; 2] = ["model.layers.0.mlp.up_proj.weight", "model.norm.weight"];

fn base(seed: u64) -> Model {
    [noise(seed, SIDE * SIDE), noise(seed + 1, SIDE)]
}

fn trained(from: &Model, seed: u64) -> Model {
    let size = |index: usize| (index / SIDE % 5 + 1) as f32 / 20.0;
    let step = noise(seed, SIDE * SIDE);
    let moved = from[0].iter().zip(step).enumerate();
    let moved = moved.map(|(index, (weight, step))| weight + size(index) * step);
    let norm = from[1].iter().zip(noise(seed + 1, SIDE));
    [
        moved.collect(),
        norm.map(|(weight, step)| weight + step / 50.0).collect(),
    ]
}

fn tensors(names: [&str; 2], model: &Model) -> [Tensor; 2] {
    [
        Tensor::floats(names[0], &[SIDE, SIDE], &model[0]),
        Tensor::floats(names[1], &[SIDE], &model[1]),
    ]
}

fn safetensors(model: &Model) -> Vec<u8> {
    written::safetensors(&tensors(NAMES, model))
}

/// A file of PyTorch, whose dictionary lies under `wrapper` if there is one.
fn pytorch(model: &Model, wrapper: Option<&str>) -> Vec<u8> {
    written::pytorch(&tensors(NAMES, model), wrapper)
}

/// A file of llama.cpp, under its names.
fn gguf(model: &Model) -> Vec<u8> {
    let names = ["blk.0.ffn_up.weight", "output_norm.weight"];
    written::gguf(&tensors(names, model), &[], &written::Q8_0)
}

fn signatures(folder: &TempFolder) -> Vec<Signature> {
    let found = find_models([folder.path()]).unwrap();
    let sign = |model: &mother::files::ModelPath| {
        let model = model.open().unwrap();
        SignatureOptions::new().sign(&model).unwrap()
    };
    found.models.iter().map(sign).collect()
}

#[test]
fn copies_in_other_formats_are_children_of_the_original() {
    let folder = TempFolder::new();
    let base = base(1);
    let child = trained(&base, 3);
    folder.write("base.safetensors", safetensors(&base));
    folder.write("child.safetensors", safetensors(&child));
    folder.write("other.safetensors", safetensors(&trained(&base, 5)));
    folder.write("grandchild.safetensors", safetensors(&trained(&child, 7)));
    folder.write("copies/bin/pytorch_model.bin", pytorch(&child, None));
    folder.write("copies/pt/last.pt", pytorch(&child, Some("state_dict")));
    folder.write("copies/gguf/child-q8_0.gguf", gguf(&child));
    let signatures = signatures(&folder);
    let evidence = SignatureComparison::new().compare(&signatures).unwrap();
    let group = &evidence.groups[0];
    let name = |position: usize| group.models()[position].as_str();
    let copies: Vec<_> = (group.copies().iter())
        .map(|copy| (name(copy.copy), copy.kind))
        .collect();
    assert_eq!(copies.len(), 3, "{copies:?}");
    assert!(
        copies.contains(&("copies/gguf", CopyKind::Quantised)),
        "{copies:?}"
    );

    let graph = Recovery::new().recover(&evidence).unwrap();
    let parent = |name: &str| {
        let parent = graph.parent(graph.index(name).unwrap());
        parent.and_then(|parent| graph.name(parent))
    };
    assert_eq!(parent("base"), None);
    assert_eq!(parent("other"), Some("base"));
    for model in ["grandchild", "copies/bin", "copies/pt", "copies/gguf"] {
        assert_eq!(parent(model), Some("child"), "{model}");
    }
}

#[test]
fn a_child_that_was_quantised_is_no_copy_of_its_parent() {
    let folder = TempFolder::new();
    let base = base(1);
    folder.write("base.safetensors", safetensors(&base));
    folder.write("other.safetensors", safetensors(&trained(&base, 5)));
    folder.write("child-q8_0.gguf", gguf(&trained(&base, 3)));
    let signatures = signatures(&folder);
    let evidence = SignatureComparison::new().compare(&signatures).unwrap();
    assert_eq!(evidence.groups[0].copies(), []);
}

#[test]
fn formats_that_are_exact_give_equal_signatures() {
    let folder = TempFolder::new();
    let model = base(1);
    folder.write("a/model.safetensors", safetensors(&model));
    folder.write("b/pytorch_model.bin", pytorch(&model, None));
    folder.write("c/last.ckpt", pytorch(&model, Some("model")));
    let signatures = signatures(&folder);
    let [first, others @ ..] = signatures.as_slice() else {
        panic!("three models");
    };
    assert_eq!(others.len(), 2);
    for other in others {
        assert_eq!(&other.clone().with_name(first.name()), first);
    }
}
