//! Files that change while their models are in use.

use core::fmt::Debug;
use std::fs;
use std::path::Path;

use mother::gguf::{GgufError, GgufModel};
use mother::npz::{NpzError, NpzModel};
use mother::pytorch::{PytorchError, PytorchModel};
use mother::storage::FileError;
use mother::weights::{Layer, WeightSource, element_count};

use super::golden_bytes;
use crate::safetensors::TempFolder;

/// The errors of reading each layer of a model whose file was made longer since it was opened.
fn errors_of<M: WeightSource<Error: Debug>>(
    file: &str,
    open: impl Fn(&Path) -> Result<M, M::Error>,
) -> Vec<M::Error> {
    let folder = TempFolder::new();
    let bytes = golden_bytes(file);
    let path = folder.write(file, &bytes);
    let model = open(&path).unwrap();
    fs::write(&path, [bytes, vec![0]].concat()).unwrap();
    let layers = model.layers().map(Result::unwrap);
    let filled = layers.filter(|layer| element_count(layer.shape()) != Some(0));
    let read = |layer: M::Layer<'_>| layer.read(0, &mut [0.0_f32]).unwrap_err();
    filled.map(read).collect()
}

#[test]
fn reading_a_changed_file_is_an_error() {
    let changed = |error: &FileError| matches!(error, FileError::Changed { .. });
    let errors = errors_of("pytorch.pt", |path| PytorchModel::open(path));
    assert!(errors.len() > 5);
    for error in errors {
        assert!(
            matches!(&error, PytorchError::File(error) if changed(error)),
            "{error}"
        );
    }
    for file in ["quantised.gguf", "llama-Q8_0.gguf"] {
        for error in errors_of(file, |path| GgufModel::open(path)) {
            assert!(
                matches!(&error, GgufError::File(error) if changed(error)),
                "{error}"
            );
        }
    }
    for file in ["plain.npz", "compressed.npz"] {
        for error in errors_of(file, |path| NpzModel::open(path)) {
            assert!(
                matches!(&error, NpzError::File(error) if changed(error)),
                "{error}"
            );
        }
    }
}

#[test]
fn a_layer_has_no_more_values_than_its_shape_says() {
    let bytes = golden_bytes("compressed.npz");
    let model = NpzModel::from_bytes("x", &bytes).unwrap();
    for layer in model.layers().map(Result::unwrap) {
        let count = element_count(layer.shape()).unwrap();
        let error = layer.read(count, &mut [0.0_f32]).unwrap_err();
        assert!(matches!(
            error,
            NpzError::File(FileError::OutOfRange { offset, elements, .. })
                if offset == count && elements == count
        ));
    }
}
