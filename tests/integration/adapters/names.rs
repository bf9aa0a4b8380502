//! Adapters as the libraries name their tensors, and what can't be understood.

use proptest::prelude::*;

use super::*;

fn applied(tensors: &[Tensor<'_>], base: &str) -> Result<Vec<f64>, AdapterError> {
    let base = model("base", &[(base, &[2, 3], &[0.0; 6])]);
    let adapter = Adapter::read(model("a", tensors), AdapterConfig::new())?;
    Ok(values(&adapter.applied_to(base)?)[0].1.clone())
}

#[test]
fn every_librarys_names_lead_to_the_weight() {
    let names = [
        (
            "base_model.model.m.0.q.lora_A.default.weight",
            "base_model.model.m.0.q.lora_B.default.weight",
            "m.0.q.weight",
        ),
        (
            "base_model.model.model.m.0.q.lora_A.weight",
            "base_model.model.model.m.0.q.lora_B.weight",
            "m.0.q.weight",
        ),
        (
            "base_model.model.m.0.q.lora_A.weight",
            "base_model.model.m.0.q.lora_B.weight",
            "model.m.0.q.weight",
        ),
        (
            "unet.m.0.q.lora_A.weight",
            "unet.m.0.q.lora_B.weight",
            "m.0.q.weight",
        ),
        (
            "unet.m.processor.to_q_lora.down.weight",
            "unet.m.processor.to_q_lora.up.weight",
            "m.to_q.weight",
        ),
        (
            "transformer.m.q.lora.down.weight",
            "transformer.m.q.lora.up.weight",
            "m.q.weight",
        ),
        (
            "lora_unet_m_0_to_q.lora_down.weight",
            "lora_unet_m_0_to_q.lora_up.weight",
            "m.0.to_q.weight",
        ),
        (
            "lora_te_text_model_m_q.lora_down.weight",
            "lora_te_text_model_m_q.lora_up.weight",
            "text_model.m.q.weight",
        ),
        ("m.q.lora_A", "m.q.lora_B", "m.q.weight"),
    ];
    for (down, up, base) in names {
        let tensors = [
            (down, &[1, 3][..], &[1.0, 2.0, 3.0][..]),
            (up, &[2, 1], &[1.0, 10.0]),
        ];
        assert!(Adapter::is_adapter(&model("a", &tensors)), "{down}");
        let found = applied(&tensors, base).unwrap();
        assert_eq!(found, [1.0, 2.0, 3.0, 10.0, 20.0, 30.0], "{down}");
    }
    let table = [
        (
            "base_model.model.m.wte.lora_embedding_A",
            &[1, 2][..],
            &[1.0, 10.0][..],
        ),
        (
            "base_model.model.m.wte.lora_embedding_B",
            &[3, 1],
            &[1.0, 2.0, 3.0],
        ),
    ];
    let found = applied(&table, "m.wte.weight").unwrap();
    assert_eq!(found, [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
}

#[test]
fn convolutions_are_changed_as_matrices() {
    let down: Vec<f32> = (0..2 * 3 * 4).map(|i| i as f32).collect();
    let up = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let tensors = [
        ("c.lora_A.weight", &[2, 3, 2, 2][..], &down[..]),
        ("c.lora_B.weight", &[3, 2, 1, 1], &up),
    ];
    let base = model("base", &[("c.weight", &[3, 3, 2, 2], &[0.0; 36])]);
    let adapter = Adapter::read(model("a", &tensors), AdapterConfig::new()).unwrap();
    let found = values(&adapter.applied_to(base).unwrap())[0].1.clone();
    for (i, &found) in found.iter().enumerate() {
        let (row, column) = (i / 12, i % 12);
        let sum = f64::from(up[2 * row] * down[column] + up[2 * row + 1] * down[12 + column]);
        assert_eq!(found, sum);
    }
}

#[test]
fn a_pipelines_adapter_fits_each_of_its_components() {
    let tensors: Vec<(String, Vec<usize>)> = [("unet.q", 3), ("text_encoder.k", 5)]
        .iter()
        .flat_map(|(module, inputs)| {
            let down = (format!("{module}.lora_A.weight"), vec![1, *inputs]);
            [down, (format!("{module}.lora_B.weight"), vec![2, 1])]
        })
        .collect();
    let source = tensors
        .iter()
        .fold(InMemoryModel::new("a"), |model, (name, shape)| {
            let count = element_count(shape).unwrap();
            model
                .with_layer(name, shape.clone(), vec![1.0_f32; count])
                .unwrap()
        });
    let adapter = Adapter::read(source, AdapterConfig::new()).unwrap();
    for (layer, inputs) in [("q.weight", 3), ("k.weight", 5)] {
        let shape = [2, inputs];
        let base = model("base", &[(layer, &shape, &vec![0.0; 2 * inputs])]);
        let adapted = adapter.clone().applied_to(base).unwrap();
        assert!(values(&adapted)[0].1.iter().all(|&value| value == 1.0));
    }
    let neither = model("base", &[("v.weight", &[2, 2], &[0.0; 4])]);
    assert!(matches!(
        adapter.fits(&neither),
        Err(AdapterError::NoSuchWeight { .. })
    ));
}

#[test]
fn other_models_are_not_taken_for_adapters() {
    let is_adapter = |tensors: &[Tensor<'_>]| Adapter::is_adapter(&model("m", tensors));
    assert!(!is_adapter(&[
        ("q.weight", &[1], &[1.0]),
        ("alpha", &[1], &[1.0])
    ]));
    assert!(is_adapter(&[
        DOWN,
        UP,
        ("base_model.model.score.weight", &[1], &[1.0])
    ]));
    // Its own weights are there, too.
    assert!(!is_adapter(&[
        DOWN,
        UP,
        ("base_model.model.m.q.base_layer.weight", &[1], &[1.0])
    ]));
    assert!(!is_adapter(&[
        ("q.lora_A", &[1], &[1.0]),
        ("q.weight", &[1], &[1.0])
    ]));
    let none = Adapter::read(
        model("m", &[("q.weight", &[1], &[1.0])]),
        AdapterConfig::new(),
    );
    assert_eq!(none.unwrap_err(), AdapterError::NotAnAdapter);
}

#[test]
fn errors_name_the_fault() {
    let error = |tensors: &[Tensor<'_>]| changed(tensors, AdapterConfig::new()).unwrap_err();
    assert_eq!(
        error(&[DOWN]),
        AdapterError::Incomplete {
            weight: "m.q".into()
        }
    );
    let up = (
        "base_model.model.m.q.lora_B.weight",
        &[2, 2][..],
        &[1.0; 4][..],
    );
    assert_eq!(
        error(&[DOWN, up]).to_string(),
        r#"the factors for "m.q" have incompatible shapes [1, 3] and [2, 2]"#
    );
    let up = (
        "base_model.model.m.q.lora_B.weight",
        &[5, 1][..],
        &[1.0; 5][..],
    );
    assert_eq!(
        error(&[DOWN, up]).to_string(),
        r#"the base's weight "m.q" has the shape [2, 3], but the factors are for 5 outputs and 3 inputs"#
    );
    let magnitude = (
        "base_model.model.m.q.lora_magnitude_vector",
        &[3][..],
        &[1.0; 3][..],
    );
    assert!(matches!(
        error(&[DOWN, UP, magnitude]),
        AdapterError::Shapes { .. }
    ));
    let other = ("lora_unet_q.oft_blocks", &[1, 1][..], &[1.0][..]);
    let method = AdapterError::Method {
        method: "OFT".into(),
    };
    assert_eq!(error(&[other]), method);
    let empty: [Tensor<'_>; 2] = [
        ("m.q.lora_A.weight", &[0, 3], &[]),
        ("m.q.lora_B.weight", &[2, 0], &[]),
    ];
    assert!(matches!(error(&empty), AdapterError::Shapes { .. }));
}

proptest! {
    #![proptest_config(crate::cases(300))]

    #[test]
    fn any_tensors_are_an_adapter_or_an_error(
        tensors in prop::collection::btree_map(
            r"(base_model\.model\.|unet\.|lora_unet_|)(q|m\.q|)(\.lora_A|\.lora_B|\.lora\.down|_lora\.up|\.lora_E|\.lora_mid|\.ranknum|\.hada_w1_a|\.hada_w1_b|\.hada_w2_a|\.hada_w2_b|\.hada_t1|\.lokr_w1|\.lokr_w2_a|\.lokr_w2_b|\.lokr_t2|\.alpha|\.lora_magnitude_vector|\.lora_embedding_A|)(\.weight|\.default\.weight|\.bias|)",
            prop::collection::vec(0_usize..3, 0..4),
            0..6,
        ),
    ) {
        let source = tensors.iter().fold(InMemoryModel::new("a"), |model, (name, shape)| {
            let count = element_count(shape).unwrap();
            model.with_layer(name, shape.clone(), vec![1.0_f32; count]).unwrap()
        });
        Adapter::is_adapter(&source);
        let base = model("base", &[("m.q.weight", &[2, 2], &[0.0; 4])]);
        if let Ok(adapter) = Adapter::read(source, AdapterConfig::new())
            && let Ok(adapted) = adapter.applied_to(base)
        {
            assert_chunks_agree(&adapted);
        }
    }
}
