//! Formats other than safetensors: golden files that the real libraries wrote, and damaged ones.

#[cfg(all(feature = "gguf", feature = "npz", feature = "pytorch"))]
mod changes;
#[cfg(all(feature = "gguf", feature = "pytorch"))]
mod copies;
#[cfg(feature = "gguf")]
mod gguf;
#[cfg(feature = "npz")]
mod npz;
#[cfg(feature = "pytorch")]
mod pytorch;
#[cfg(all(feature = "gguf", feature = "pytorch"))]
pub(crate) mod written;
#[cfg(any(feature = "pytorch", feature = "npz"))]
mod zip;

use core::error::Error;
use std::fs;
use std::path::PathBuf;

use mother::invariants::weight_source;
use mother::safetensors::SafetensorsModel;
use mother::weights::{Layer, WeightSource, element_count};

/// The path of a golden file.
fn golden(file: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/formats");
    PathBuf::from(folder).join(file)
}

fn golden_bytes(file: &str) -> Vec<u8> {
    fs::read(golden(file)).unwrap()
}

type Values = Vec<(String, Vec<usize>, Vec<f64>)>;

/// Every layer's name, shape and values, sorted by name.
fn read_all(model: &impl WeightSource) -> Values {
    let mut values: Values = (model.layers())
        .map(|layer| {
            let layer = layer.unwrap();
            let mut values = vec![0.0; element_count(layer.shape()).unwrap()];
            layer.read(0, &mut values).unwrap();
            (layer.name().to_owned(), layer.shape().to_vec(), values)
        })
        .collect();
    values.sort_by(|first, second| first.0.cmp(&second.0));
    values
}

/// The layers of a golden safetensors file, sorted by name.
fn expected(file: &str) -> Values {
    read_all(&SafetensorsModel::open(golden(file)).unwrap())
}

/// The names of the layers that were skipped, sorted.
fn skipped(model: &impl WeightSource) -> Vec<&str> {
    let mut names: Vec<_> = (model.skipped_layers().iter())
        .map(|skipped| skipped.layer.as_str())
        .collect();
    names.sort_unstable();
    names
}

/// Layers can be read in any pieces, and hold these values.
fn assert_holds(model: &impl WeightSource, expected: &Values) {
    assert_eq!(weight_source(model), Ok(()));
    let found = read_all(model);
    let names = |values: &Values| {
        let names = values
            .iter()
            .map(|(name, shape, _)| (name.clone(), shape.clone()));
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&found), names(expected));
    for ((name, _, found), (_, _, expected)) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{name}");
    }
}

/// An error is one line of bounded length that names the file.
fn assert_line(error: &impl Error) -> String {
    let line = error.to_string();
    assert!(line.contains("`x`"), "{line}");
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(line.chars().count() < 800, "{line}");
    line
}

/// Checks a file cut at every byte, and with every byte changed.
fn damage(bytes: &[u8], check: impl Fn(&[u8])) {
    for length in 0..bytes.len() {
        check(&bytes[..length]);
    }
    let mut changed = bytes.to_vec();
    for at in 0..bytes.len() {
        let bits = if at % 2 == 0 { 0x01 } else { 0xff };
        changed[at] ^= bits;
        check(&changed);
        changed[at] ^= bits;
    }
}

/// There is an error, or a model whose layers give values or errors.
fn model_or_error<M: WeightSource, E: Error>(opened: Result<M, E>) {
    match opened {
        Ok(model) => drop(read_what_is_there(&model)),
        Err(error) => drop(assert_line(&error)),
    }
}

fn read_what_is_there<M: WeightSource>(model: &M) -> Result<(), M::Error> {
    for layer in model.layers() {
        let layer = layer?;
        let count = element_count(layer.shape()).unwrap();
        let mut values = [0.0_f32; 16];
        let values = &mut values[..count.min(16)];
        layer.read(0, values)?;
        layer.read(count - values.len(), values)?;
    }
    Ok(())
}
