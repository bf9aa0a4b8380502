//! Bytes as the index of a sharded model, in a folder with two good shards and a bad one.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fs, process};

use mother::invariants::weight_source;
use mother::safetensors::SafetensorsModel;
use mother::weights::{Layer, WeightSource};

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(vec![1; data]);
    bytes
}

/// Where the shards are; made once a process.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = env::temp_dir().join(format!("mother-index-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let a = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                    "x":{"dtype":"I8","shape":[3],"data_offsets":[8,11]}}"#;
        let b = r#"{"v":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},
                    "n":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}"#;
        fs::write(folder.join("a"), file(a, 11)).unwrap();
        fs::write(folder.join("b"), file(b, 12)).unwrap();
        fs::write(folder.join("c"), "no model").unwrap();
        folder
    })
}

pub(crate) fn check(bytes: &[u8]) {
    let index = folder().join("model.safetensors.index.json");
    fs::write(&index, bytes).unwrap();
    let model = match SafetensorsModel::open(&index) {
        Ok(model) => model,
        Err(error) => return super::safetensors::check_error(&error),
    };
    assert_eq!(weight_source(&model), Ok(()));
    for layer in model.layers() {
        let layer = layer.unwrap();
        assert!(["w", "x", "v", "n"].contains(&layer.name()));
    }
    let listed = model.layers().count() + model.skipped_layers().len();
    assert!(listed == 0 || listed == 2 || listed == 4);
}
