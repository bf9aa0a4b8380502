//! A folder with one of everything that people have: one tree, each passing-over said once, and nothing that
//! changes what is said of the others.

use std::os::unix::fs::symlink;

use super::*;
use crate::dequantised::packers::{Matrix as Unpacked, SCHEMES};
use crate::dequantised::stored::Tensor as Stored;
use crate::formats::written::{self, Q4_0};
use crate::noise::Noise;
use crate::toy::{Tensor, VOCABULARY, Weights, all, decoder, lora, step};

const HEADS: [(&str, u32); 2] = [
    ("llama.attention.head_count", 4),
    ("llama.attention.head_count_kv", 2),
];

/// A small Llama under Hugging Face's names.
fn base() -> Weights {
    let tensors = decoder(1, 4, VOCABULARY).into_iter();
    let named = tensors.filter(|(name, _)| !name.ends_with("bias"));
    let renamed = named.map(|(name, tensor)| match &*name {
        "lm_head.weight" => (name, tensor),
        _ => {
            let name = name.replace(".norm.", ".input_layernorm.");
            (format!("model.{name}"), tensor)
        }
    });
    renamed.collect()
}

fn renamed(weights: &Weights, names: &[(&str, &str)]) -> Weights {
    let rename = |name: &String| {
        let name = name.clone();
        (names.iter()).fold(name, |name, (from, to)| name.replace(from, to))
    };
    let tensors = weights.iter();
    (tensors.map(|(name, tensor)| (rename(name), tensor.clone()))).collect()
}

/// The names of another company.
const OTHERS: [(&str, &str); 11] = [
    ("model.layers.", "decoder.blocks."),
    ("self_attn.q_proj", "attention.wq"),
    ("self_attn.k_proj", "attention.wk"),
    ("self_attn.v_proj", "attention.wv"),
    ("self_attn.o_proj", "attention.wo"),
    ("mlp.gate_proj", "ffn.w1"),
    ("mlp.down_proj", "ffn.w2"),
    ("mlp.up_proj", "ffn.w3"),
    ("input_layernorm", "scale"),
    ("model.embed_tokens", "tokens"),
    ("lm_head", "output"),
];

/// The names of llama.cpp.
const LLAMA_CPP: [(&str, &str); 11] = [
    ("model.layers.", "blk."),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.up_proj", "ffn_up"),
    ("input_layernorm", "attn_norm"),
    ("model.embed_tokens", "token_embd"),
    ("lm_head", "output"),
];

fn stored(weights: &Weights) -> Vec<Stored> {
    let tensors = weights.iter();
    let floats =
        |(name, tensor): (&String, &Tensor)| Stored::floats(name, &tensor.shape, tensor.values());
    tensors.map(floats).collect()
}

/// The halves of each head's rows, interleaved as llama.cpp has them.
fn interleaved(tensor: &mut Tensor, heads: usize) {
    let (columns, half) = (tensor.shape[1], tensor.shape[0] / heads / 2);
    let rows: Vec<&[f32]> = tensor.values().chunks(columns).collect();
    let row = |at: usize| {
        let (head, within) = (at / (2 * half), at % (2 * half));
        rows[2 * half * head + within % 2 * half + within / 2]
    };
    *tensor.values_mut() = (0..rows.len()).flat_map(row).copied().collect();
}

fn gguf(weights: &Weights) -> Vec<u8> {
    let mut weights = renamed(weights, &LLAMA_CPP);
    for (name, tensor) in &mut weights {
        for (part, (_, heads)) in ["attn_q.", "attn_k."].iter().zip(HEADS) {
            if name.contains(part) {
                interleaved(tensor, heads as usize);
            }
        }
    }
    written::gguf(&stored(&weights), &HEADS, &Q4_0)
}

/// A safetensors file whose projections are packed.
fn quantised(weights: &Weights, scheme: &str) -> Vec<u8> {
    let (_, pack) = SCHEMES.iter().find(|(name, _)| *name == scheme).unwrap();
    let packed = |(name, tensor): (&String, &Tensor)| {
        if !name.ends_with("proj.weight") {
            return vec![Stored::floats(name, &tensor.shape, tensor.values())];
        }
        let (tensors, _) = pack(&Unpacked {
            name,
            rows: tensor.shape[0],
            columns: tensor.shape[1],
            values: tensor.values(),
        });
        tensors
    };
    let tensors: Vec<Stored> = weights.iter().flat_map(packed).collect();
    written::safetensors(&tensors)
}

/// An adapter of rank 2 for the projections of attention.
fn adapter(base: &Weights, seed: u64) -> Vec<u8> {
    let mut noise = Noise::new(seed);
    let mut tensors = Vec::new();
    for (name, tensor) in base.iter().filter(|(name, _)| name.contains("self_attn")) {
        let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
        let module = name.strip_suffix("weight").unwrap();
        for (factor, shape) in [("lora_A", [2, columns]), ("lora_B", [rows, 2])] {
            let name = format!("base_model.model.{module}{factor}.weight");
            let size = if factor == "lora_A" { 1.0 } else { 0.05 };
            let values = Tensor::random(&shape, &mut noise);
            let values: Vec<f32> = values.values().iter().map(|value| size * value).collect();
            tensors.push(Stored::floats(&name, &shape, &values));
        }
    }
    written::safetensors(&tensors)
}

const CONFIG: &str = r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 2,
    "base_model_name_or_path": "acme/base"}"#;

const POINTER: &str =
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4000000000\n";

/// Models whose files are as plain as can be.
fn write_plain(folder: &TempFolder) -> [Weights; 4] {
    let base = base();
    let chat = step(&base, 2, 0.06, all);
    let legal = lora(&base, 3, 0.05, all);
    let math = step(&base, 4, 0.05, all);
    let models = [base, chat, legal, math];
    for (name, weights) in ["base", "chat", "legal", "math"].iter().zip(&models) {
        let file = written::safetensors(&stored(weights));
        folder.write(&format!("{name}/model.safetensors"), file);
    }
    models
}

/// The entry of a hub's cache: a file that is a link.
fn write_cached(folder: &TempFolder, weights: &Weights) {
    let entry = "models--acme--agent";
    let file = written::safetensors(&stored(weights));
    folder.write(&format!("{entry}/blobs/5e1f"), file);
    folder.write(&format!("{entry}/refs/main"), "0123456789abcdef");
    let snapshot = format!("{entry}/snapshots/0123456789abcdef");
    folder.write(&format!("{snapshot}/config.json"), "{}");
    let link = folder.path().join(snapshot).join("model.safetensors");
    symlink("../../blobs/5e1f", link).unwrap();
}

/// What else people have of these models.
fn write_others(folder: &TempFolder, [base, chat, legal, math]: &[Weights; 4]) {
    folder.write("style/adapter_model.safetensors", adapter(base, 5));
    folder.write("style/adapter_config.json", CONFIG);
    folder.write("chat-GGUF/chat.Q4_0.gguf", gguf(chat));
    let gptq = quantised(chat, "GPTQ of 4 bits");
    folder.write("chat-GPTQ/model.safetensors", gptq);
    let fp8 = quantised(chat, "F8_E4M3, rows");
    folder.write("chat-FP8/model.safetensors", fp8);
    let affine = quantised(chat, "MLX of 3 bits");
    folder.write("chat-MLX/model.safetensors", affine);
    let claimed = renamed(&step(chat, 6, 0.03, all), &OTHERS);
    let claimed = written::safetensors(&stored(&claimed));
    folder.write("claimed/model.safetensors", claimed);
    let tutor = stored(&step(math, 7, 0.04, all));
    for (number, shard) in tutor.chunks(tutor.len().div_ceil(2)).enumerate() {
        let file = format!("tutor/model-{:05}-of-00002.safetensors", number + 1);
        folder.write(&file, written::safetensors(shard));
    }
    write_cached(folder, &step(math, 8, 0.05, all));
    let copy = written::pytorch(&stored(legal), None);
    folder.write("legal-bin/pytorch_model.bin", copy);
    let mut short = base.clone();
    short.retain(|name, _| !name.contains("layers.2.") && !name.contains("layers.3."));
    let short = written::safetensors(&stored(&short));
    folder.write("short/model.safetensors", short);
    let mut stub = base.clone();
    stub.retain(|name, _| name.contains("layers.0.self_attn.k_proj"));
    folder.write("stub.safetensors", written::safetensors(&stored(&stub)));
    folder.write("pointer/model.safetensors", POINTER);
    folder.write("notes/notes.txt", "What we trained, and why.");
}

/// What the parents and kinds of all models are.
const EXPECTED: [(&str, Option<&str>, Option<&str>); 15] = [
    ("acme/agent", Some("math"), Some("full")),
    ("base", None, None),
    ("chat", Some("base"), Some("full")),
    ("chat-FP8", Some("chat"), Some("quantised")),
    ("chat-GGUF", Some("chat"), Some("quantised")),
    ("chat-GPTQ", Some("chat"), Some("quantised")),
    ("chat-MLX", Some("chat"), Some("quantised")),
    ("claimed", Some("chat"), Some("full")),
    ("legal", Some("base"), Some("low-rank")),
    ("legal-bin", Some("legal"), Some("duplicate")),
    ("math", Some("base"), Some("full")),
    ("short", Some("base"), None),
    ("stub", Some("base"), None),
    ("style", Some("base"), Some("adapter")),
    ("tutor", Some("math"), Some("full")),
];

/// A model's name, parent and kind.
fn place(model: &Value) -> (&str, Option<&str>, Option<&str>) {
    let text = |key: &str| model[key].as_str();
    (text("id").unwrap(), text("parent"), text("kind"))
}

fn models(json: &Value) -> &[Value] {
    json["models"].as_array().unwrap()
}

#[test]
fn a_folder_with_one_of_everything_is_one_tree() {
    let folder = TempFolder::new();
    let plain = write_plain(&folder);
    let before = recover_folder(folder.path(), &[]);
    assert_eq!(before.stderr, "");
    write_others(&folder, &plain);
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(
        run.stderr,
        "skipped notes: no weights found\n\
         skipped pointer: `model.safetensors` is a Git LFS pointer, not the weights: fetch them with `git lfs pull`\n"
    );
    let (before, json) = (before.json(), run.json());
    let places: Vec<_> = models(&json).iter().map(place).collect();
    assert_eq!(places, EXPECTED);
    assert_eq!(json["trees"].as_array().unwrap().len(), 1);
    assert_eq!(json["trees"][0]["root"], "base");
    let model = |id: &str| {
        models(&json)
            .iter()
            .find(|model| model["id"] == id)
            .unwrap()
    };
    assert_eq!(model("legal")["rank"], 2);
    assert_eq!(model("style")["rank"], 2);
    assert_eq!(model("claimed")["matched"]["rule"], "content");
    // Those that were there before are where they were.
    for known in models(&before) {
        let now = model(known["id"].as_str().unwrap());
        assert_eq!(place(now), place(known));
        assert_eq!(
            (&now["rank"], &now["score"]),
            (&known["rank"], &known["score"])
        );
    }
    // What is no model costs no model.
    assert_eq!(json["skipped"].as_array().unwrap().len(), 1);
    assert_eq!(json["skipped"][0]["id"], "pointer");
}
