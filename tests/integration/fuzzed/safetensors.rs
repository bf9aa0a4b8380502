//! Bytes as a safetensors file, beside the format's reference implementation.

use mother::invariants::weight_source;
use mother::safetensors::SafetensorsModel;
use mother::storage::FileError;
use mother::weights::{Dequantised, Layer, WeightSource, element_count};

#[allow(dead_code, reason = "each fuzz target uses some of this")]
pub(crate) fn check(bytes: &[u8]) {
    let model = match SafetensorsModel::from_bytes("fuzzed", bytes) {
        Ok(model) => model,
        Err(error) => return check_error(&error),
    };
    assert_eq!(weight_source(&model), Ok(()));
    let dequantised = Dequantised::new(&model).unwrap();
    assert_eq!(weight_source(&dequantised), Ok(()));
    for (key, value) in model.metadata() {
        assert!(key.len() + value.len() <= bytes.len());
    }
    let skipped: usize = model
        .skipped_layers()
        .iter()
        .map(|layer| layer.layer.len())
        .sum();
    assert!(skipped <= bytes.len());
    let Ok(reference) = ::safetensors::SafeTensors::deserialize(bytes) else {
        return;
    };
    assert_eq!(
        reference.len(),
        model.layers().count() + model.skipped_layers().len()
    );
    for layer in model.layers() {
        let layer = layer.unwrap();
        let expected = reference.tensor(layer.name()).unwrap();
        assert_eq!(layer.shape(), expected.shape());
        let mut found = vec![0.0_f64; element_count(layer.shape()).unwrap()];
        layer.read(0, &mut found).unwrap();
        // Only sources decode types of less than a byte.
        if expected.data().len() < found.len() {
            continue;
        }
        let mut decoded = vec![0.0_f64; found.len()];
        layer
            .element_type()
            .decode(expected.data(), &mut decoded)
            .unwrap();
        let bits = |values: &[f64]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&found), bits(&decoded));
    }
}

/// An error is one line of bounded length, whatever the file says.
pub(crate) fn check_error(error: &FileError) {
    let line = error.to_string();
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(line.chars().count() < 800, "{line}");
}
