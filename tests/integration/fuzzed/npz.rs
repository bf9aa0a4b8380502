//! Bytes as an archive of NumPy's arrays.

use mother::invariants::weight_source;
use mother::npz::NpzModel;
use mother::weights::{Layer, WeightSource, element_count};

/// Layers of more values aren't read: shapes may promise much where strides are zero or bytes compressed.
const MOST: usize = 1 << 16;

#[allow(dead_code, reason = "each fuzz target uses some of this")]
pub(crate) fn check(bytes: &[u8]) {
    let model = match NpzModel::from_bytes("fuzzed", bytes) {
        Ok(model) => model,
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.chars().count() < 800, "{line}");
            return;
        }
    };
    let layers = model.layers().map(Result::unwrap);
    let values = layers.map(|layer| element_count(layer.shape()).unwrap());
    if values.fold(0, usize::saturating_add) > MOST {
        return;
    }
    // What can't be read is an error, whatever the chunks.
    let broken = model.layers().map(Result::unwrap).any(|layer| {
        let mut values = vec![0.0_f32; element_count(layer.shape()).unwrap()];
        layer.read(0, &mut values).is_err()
    });
    if !broken {
        assert_eq!(weight_source(&model), Ok(()));
    }
}
