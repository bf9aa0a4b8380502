//! Adapters on their bases: the weights that both give together, and which base is an adapter's.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod methods;
mod names;
#[cfg(feature = "safetensors")]
mod peft;
mod placing;

use mother::adapters::{Adapter, AdapterConfig, AdapterError};
use mother::signature::SignatureOptions;
use mother::weights::{ElementType, InMemoryModel, Layer, WeightSource, element_count};

type Tensor<'a> = (&'a str, &'a [usize], &'a [f32]);

fn model(name: &str, tensors: &[Tensor<'_>]) -> InMemoryModel<'static> {
    tensors
        .iter()
        .fold(InMemoryModel::new(name), |model, (name, shape, values)| {
            model.with_layer(*name, *shape, values.to_vec()).unwrap()
        })
}

/// Every layer's values, by name.
fn values<S: WeightSource>(source: &S) -> Vec<(String, Vec<f64>)> {
    let read = |layer: S::Layer<'_>| {
        let mut values = vec![0.0; element_count(layer.shape()).unwrap()];
        layer.read(0, &mut values).unwrap();
        (layer.name().to_owned(), values)
    };
    source.layers().map(|layer| read(layer.unwrap())).collect()
}

/// Reads every layer in chunks, of a length that divides few rows, and as a whole.
#[track_caller]
fn assert_chunks_agree<S: WeightSource>(source: &S) {
    for ((name, whole), layer) in values(source).iter().zip(source.layers()) {
        let layer = layer.unwrap();
        assert_eq!(layer.name(), name);
        for start in (0..whole.len()).step_by(5) {
            let mut chunk = vec![0.0_f64; 5.min(whole.len() - start)];
            layer.read(start, &mut chunk).unwrap();
            assert_eq!(chunk, whole[start..start + chunk.len()], "{name}");
        }
    }
}

/// The values of a base with one weight `m.q.weight` of two outputs and three inputs, changed.
fn changed(tensors: &[Tensor<'_>], config: AdapterConfig) -> Result<Vec<f64>, AdapterError> {
    let base = model(
        "base",
        &[("m.q.weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])],
    );
    let adapted = Adapter::read(model("a", tensors), config)?.applied_to(base)?;
    Ok(values(&adapted)[0].1.clone())
}

const DOWN: Tensor<'_> = (
    "base_model.model.m.q.lora_A.weight",
    &[1, 3],
    &[1.0, 0.0, -1.0],
);
const UP: Tensor<'_> = ("base_model.model.m.q.lora_B.weight", &[2, 1], &[2.0, 4.0]);

#[test]
fn the_product_of_the_factors_is_scaled_and_added() {
    let plain = changed(&[DOWN, UP], AdapterConfig::new());
    assert_eq!(plain.unwrap(), [3.0, 2.0, 1.0, 8.0, 5.0, 2.0]);
    let halved = changed(&[DOWN, UP], AdapterConfig::new().with_alpha(0.5));
    assert_eq!(halved.unwrap(), [2.0, 2.0, 2.0, 6.0, 5.0, 4.0]);
    let alpha = ("base_model.model.m.q.alpha", &[][..], &[0.5][..]);
    let own = changed(&[DOWN, UP, alpha], AdapterConfig::new().with_alpha(7.0));
    assert_eq!(own.unwrap(), [2.0, 2.0, 2.0, 6.0, 5.0, 4.0]);
}

#[test]
fn dora_sets_the_length_of_each_output() {
    let name = "base_model.model.m.q.lora_magnitude_vector";
    let magnitudes = [(14.0_f32).sqrt() * 2.0, (93.0_f32).sqrt()];
    let found = changed(&[DOWN, UP, (name, &[2], &magnitudes)], AdapterConfig::new()).unwrap();
    let expected = [6.0, 4.0, 2.0, 8.0, 5.0, 2.0];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn rows_that_are_inputs_are_changed_by_the_transposed_product() {
    let base = |shape: &[usize]| model("base", &[("m.q.weight", shape, &[0.0; 6])]);
    let adapter = || Adapter::read(model("a", &[DOWN, UP]), AdapterConfig::new()).unwrap();
    let adapted = adapter().applied_to(base(&[3, 2])).unwrap();
    assert_eq!(values(&adapted)[0].1, [2.0, 4.0, 0.0, 0.0, -2.0, -4.0]);
    // Shapes say nothing of a square matrix.
    let square = |config| {
        let down = ("q.lora_A.weight", &[1, 2][..], &[1.0, 0.0][..]);
        let up = ("q.lora_B.weight", &[2, 1][..], &[3.0, 5.0][..]);
        let base = model("base", &[("q.weight", &[2, 2], &[0.0; 4])]);
        let adapter = Adapter::read(model("a", &[down, up]), config).unwrap();
        values(&adapter.applied_to(base).unwrap())[0].1.clone()
    };
    assert_eq!(square(AdapterConfig::new()), [3.0, 0.0, 5.0, 0.0]);
    assert_eq!(
        square(AdapterConfig::new().with_rows_as_inputs()),
        [3.0, 5.0, 0.0, 0.0]
    );
}

#[test]
fn replacement_tensors_take_the_place_of_the_bases() {
    let base = model(
        "base",
        &[
            ("m.q.weight", &[2, 3], &[0.0; 6]),
            ("m.score.weight", &[1, 2], &[1.0, 2.0]),
            ("m.norm.weight", &[2], &[1.0, 1.0]),
        ],
    );
    let tensors = [
        DOWN,
        UP,
        (
            "base_model.model.m.score.weight",
            &[2, 2][..],
            &[5.0, 6.0, 7.0, 8.0][..],
        ),
        (
            "base_model.model.new.modules_to_save.default.weight",
            &[1][..],
            &[9.0][..],
        ),
    ];
    let adapter = Adapter::read(model("a", &tensors), AdapterConfig::new()).unwrap();
    let adapted = adapter.applied_to(base).unwrap();
    assert_chunks_agree(&adapted);
    let expected = [
        ("m.q.weight", vec![2.0, 0.0, -2.0, 4.0, 0.0, -4.0]),
        ("m.score.weight", vec![5.0, 6.0, 7.0, 8.0]),
        ("m.norm.weight", vec![1.0, 1.0]),
        ("new.weight", vec![9.0]),
    ];
    let expected = expected.map(|(name, values)| (name.to_owned(), values));
    assert_eq!(values(&adapted), expected);
}

#[test]
fn a_model_that_is_stored_with_its_adapter_is_both_together() {
    let prefix = "base_model.model.m.q.";
    let [weight, down, up] = [
        "base_layer.weight",
        "lora_A.default.weight",
        "lora_B.default.weight",
    ]
    .map(|end| [prefix, end].concat());
    let tensors = [
        (&*weight, &[2, 3][..], &[0.0; 6][..]),
        (&*down, DOWN.1, DOWN.2),
        (&*up, UP.1, UP.2),
        ("base_model.model.m.norm.weight", &[2], &[1.0, 1.0]),
    ];
    let stored = || model("stored", &tensors);
    assert!(Adapter::is_within(&stored()) && !Adapter::is_adapter(&stored()));
    let adapter = Adapter::read_within(stored(), AdapterConfig::new().with_alpha(1.0)).unwrap();
    let adapted = adapter.applied_to(stored()).unwrap();
    assert_chunks_agree(&adapted);
    let expected = [
        (&*weight, vec![2.0, 0.0, -2.0, 4.0, 0.0, -4.0]),
        ("base_model.model.m.norm.weight", vec![1.0, 1.0]),
    ];
    let expected = expected.map(|(name, values)| (name.to_owned(), values));
    assert_eq!(values(&adapted), expected);
    let adapter = Adapter::read_within(stored(), AdapterConfig::new()).unwrap();
    let without = values(&adapter.removed_from(stored()));
    let names: Vec<&str> = without.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, [&*weight, "base_model.model.m.norm.weight"]);
    assert_eq!(without[0].1, [0.0; 6]);
    let adapter = model("a", &[DOWN, UP]);
    assert!(Adapter::is_adapter(&adapter) && !Adapter::is_within(&adapter));
}

#[test]
fn changed_weights_are_not_rounded_to_the_bases_type() {
    let adapter = Adapter::read(model("a", &[DOWN, UP]), AdapterConfig::new()).unwrap();
    let base = InMemoryModel::new("base")
        .with_layer("m.q.weight", [2, 3], vec![1.0_f64 / 3.0; 6])
        .unwrap();
    let adapted = adapter.clone().applied_to(base).unwrap();
    let layer = adapted.layers().next().unwrap().unwrap();
    assert_eq!(layer.element_type(), ElementType::F64);
    assert_eq!(values(&adapted)[0].1[1], 1.0 / 3.0);
    let base = model("base", &[("m.q.weight", &[2, 3], &[1.0 / 3.0; 6])]);
    let adapted = adapter.applied_to(base).unwrap();
    let layer = adapted.layers().next().unwrap().unwrap();
    assert_eq!(layer.element_type(), ElementType::F32);
    assert_eq!(values(&adapted)[0].1[0], f64::from(1.0_f32 / 3.0 + 2.0));
}

#[test]
fn an_adapted_model_is_signed_as_the_merged_one() {
    let weights = |count: usize, step: f32| -> Vec<f32> {
        (0..count)
            .map(|i| (i * i % 97) as f32 * step - 1.0)
            .collect()
    };
    // Multiples of powers of two, which every order of adding gives exactly.
    let (base, down, up) = (
        weights(64 * 48, 0.125),
        weights(3 * 48, 0.25),
        weights(64 * 3, 0.5),
    );
    let merged: Vec<f32> = (0..64 * 48)
        .map(|i| {
            let product = (0..3).map(|k| up[i / 48 * 3 + k] * down[k * 48 + i % 48]);
            base[i] + product.sum::<f32>()
        })
        .collect();
    let tensors = [
        ("w.lora_A.weight", &[3, 48][..], &down[..]),
        ("w.lora_B.weight", &[64, 3][..], &up[..]),
    ];
    let adapter = Adapter::read(model("m", &tensors), AdapterConfig::new()).unwrap();
    let adapted = adapter
        .applied_to(model("base", &[("w.weight", &[64, 48], &base)]))
        .unwrap();
    assert_chunks_agree(&adapted);
    let sign = SignatureOptions::new();
    let merged = model("m", &[("w.weight", &[64, 48], &merged)]);
    assert_eq!(sign.sign(&adapted).unwrap(), sign.sign(&merged).unwrap());
}
