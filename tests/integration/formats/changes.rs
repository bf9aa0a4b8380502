//! Files that change while their models are in use.

use core::fmt::Debug;
use std::fs;
use std::path::Path;

use mother::gguf::GgufModel;
use mother::npz::NpzModel;
use mother::pytorch::PytorchModel;
use mother::storage::FileErrorKind;
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
    let errors = errors_of("pytorch.pt", |path| PytorchModel::open(path));
    assert!(errors.len() > 5);
    let gguf = ["quantised.gguf", "llama-Q8_0.gguf"];
    let gguf = gguf.map(|file| errors_of(file, |path| GgufModel::open(path)));
    let npz = ["plain.npz", "compressed.npz"];
    let npz = npz.map(|file| errors_of(file, |path| NpzModel::open(path)));
    for error in errors.into_iter().chain(gguf.concat()).chain(npz.concat()) {
        assert_eq!(error.kind, FileErrorKind::Changed, "{error}");
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
            error.kind,
            FileErrorKind::OutOfRange { offset, elements, .. }
                if offset == count && elements == count
        ));
    }
}
