//! Which models are found in the layouts that people have, their names, and which paths are skipped.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod hub;
mod layouts;
mod skipped;

use std::path::Path;

use mother::files::{Found, find_models};

use crate::safetensors::{TempFolder, file_of, file_with, read_all};

/// The bytes of a model with one layer.
fn weights(value: f32) -> Vec<u8> {
    file_of(&[("w", &[value])])
}

/// Writes two shards, each with a layer, and their index if wanted.
fn write_shards(folder: &TempFolder, stem: &str, index: Option<&str>) {
    for (shard, layer) in [(1, "a"), (2, "b")] {
        let name = format!("{stem}-{shard:05}-of-00002.safetensors");
        folder.write(&name, file_of(&[(layer, &[1.0])]));
    }
    if let Some(index) = index {
        let stem = Path::new(stem).file_name().unwrap().to_str().unwrap();
        let shard = |number| format!("{stem}-0000{number}-of-00002.safetensors");
        let map = serde_json::json!({"weight_map": {"a": shard(1), "b": shard(2)}});
        folder.write(index, map.to_string());
    }
}

fn find(folder: &TempFolder, paths: &[&str]) -> Found {
    find_models(paths.iter().map(|path| folder.path().join(path))).unwrap()
}

/// The names of the models, each of which can be opened, and goes by its name then.
#[track_caller]
fn names(found: &Found) -> Vec<&str> {
    use mother::weights::WeightSource as _;

    for model in &found.models {
        assert_eq!(model.open().unwrap().name(), model.name());
    }
    found.models.iter().map(|model| model.name()).collect()
}

/// The skipped paths, one line each.
fn lines(found: &Found) -> Vec<String> {
    found.skipped.iter().map(ToString::to_string).collect()
}
