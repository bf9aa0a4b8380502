//! Other methods than LoRA, as PEFT and LyCORIS define them.

use super::*;

/// The changed values of a base with one weight `m.q.weight` of four outputs and six inputs, all zeros, and
/// the adapter's method and rank.
fn change(
    tensors: &[(&str, &[usize], &[f32])],
    config: AdapterConfig,
) -> Result<(Vec<f64>, &'static str, usize), AdapterError> {
    let names: Vec<String> = (tensors.iter())
        .map(|(name, ..)| format!("base_model.model.m.q.{name}"))
        .collect();
    let tensors =
        (names.iter().zip(tensors)).map(|(name, (_, shape, values))| (&**name, *shape, *values));
    let tensors: Vec<Tensor<'_>> = tensors.collect();
    let base = model("base", &[("m.q.weight", &[4, 6], &[0.0; 24])]);
    let adapter = model("a", &tensors);
    assert!(Adapter::is_adapter(&adapter));
    let adapter = Adapter::read(adapter, config)?;
    let (method, rank) = (adapter.method(), adapter.rank());
    let adapted = adapter.applied_to(base)?;
    assert_chunks_agree(&adapted);
    Ok((values(&adapted)[0].1.clone(), method, rank))
}

/// Row by row.
fn by_places(value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..24).map(|at| value(at / 6, at % 6)).collect()
}

const OUTPUTS: [f32; 4] = [1.0, -2.0, 3.0, 0.5];
const INPUTS: [f32; 6] = [2.0, 1.0, 0.0, -1.0, 4.0, 8.0];
const ALPHA: (&str, &[usize], &[f32]) = ("alpha", &[], &[4.0]);

#[test]
fn loha_multiplies_two_products_value_by_value() {
    let ones = [1.0; 6];
    let tensors = [
        ("hada_w1_a", &[4, 1][..], &OUTPUTS[..]),
        ("hada_w1_b", &[1, 6], &INPUTS),
        ("hada_w2_a", &[4, 1], &OUTPUTS),
        ("hada_w2_b", &[1, 6], &ones),
    ];
    let value = |row: usize, column: usize| f64::from(OUTPUTS[row].powi(2) * INPUTS[column]);
    let found = change(&tensors, AdapterConfig::new()).unwrap();
    assert_eq!(found, (by_places(value), "LoHa", 1));
    let found = change(&[&tensors[..], &[ALPHA]].concat(), AdapterConfig::new());
    assert_eq!(
        found.unwrap().0,
        by_places(|row, column| 4.0 * value(row, column))
    );
    let missing = change(&tensors[..3], AdapterConfig::new());
    assert!(matches!(missing, Err(AdapterError::Incomplete { .. })));
}

#[test]
fn lokr_multiplies_every_value_of_a_table_with_all_of_another() {
    let (one, two) = ([1.0, 2.0, 3.0, -1.0], [0.5, 1.0, 2.0, 4.0, -1.0, 0.0]);
    let value = |row: usize, column: usize| {
        f64::from(one[row / 2 * 2 + column / 3]) * f64::from(two[row % 2 * 3 + column % 3])
    };
    let whole = [
        ("lokr_w1", &[2, 2][..], &one[..]),
        ("lokr_w2", &[2, 3], &two),
    ];
    // LyCORIS has no scale where both are whole, whatever it says; PEFT notes the rank.
    let found = change(&[&whole[..], &[ALPHA]].concat(), AdapterConfig::new()).unwrap();
    assert_eq!((found.0, found.1), (by_places(value), "LoKr"));
    let config = AdapterConfig::new().with_alpha(4.0).with_rank(2);
    let found = change(&whole, config).unwrap();
    assert_eq!(found.0, by_places(|row, column| 2.0 * value(row, column)));
    let products = [
        whole[0],
        ("lokr_w2_a", &[2, 1], &[1.0, 2.0]),
        ("lokr_w2_b", &[1, 3], &[1.0, 2.0, 4.0]),
    ];
    let value = |row: usize, column: usize| {
        let two = [1.0, 2.0][row % 2] * [1.0, 2.0, 4.0][column % 3];
        f64::from(one[row / 2 * 2 + column / 3]) * two * 4.0
    };
    let found = change(&products, AdapterConfig::new().with_alpha(4.0)).unwrap();
    assert_eq!(found, (by_places(value), "LoKr", 1));
}

#[test]
fn ia3_multiplies_outputs_with_their_bias_or_inputs() {
    let base = model(
        "base",
        &[
            ("k.weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            ("k.bias", &[2], &[1.0, 10.0]),
            ("down.weight", &[2, 3], &[1.0; 6]),
            ("down.bias", &[2], &[7.0, 8.0]),
        ],
    );
    let tensors = [
        ("base_model.model.k.ia3_l", &[2, 1][..], &[2.0, 0.5][..]),
        ("base_model.model.down.ia3_l", &[1, 3], &[1.0, 3.0, -1.0]),
    ];
    let adapter = Adapter::read(model("a", &tensors), AdapterConfig::new()).unwrap();
    assert_eq!((adapter.method(), adapter.rank()), ("IA3", 0));
    let adapted = adapter.applied_to(base).unwrap();
    assert_chunks_agree(&adapted);
    let expected = [
        ("k.weight", vec![2.0, 4.0, 6.0, 2.0, 2.5, 3.0]),
        ("k.bias", vec![2.0, 5.0]),
        ("down.weight", vec![1.0, 3.0, -1.0, 1.0, 3.0, -1.0]),
        ("down.bias", vec![7.0, 8.0]),
    ];
    let expected = expected.map(|(name, values)| (name.to_owned(), values));
    assert_eq!(values(&adapted), expected);
}

#[test]
fn whole_differences_are_added_to_weights_biases_and_norms() {
    let base = [
        ("m.q.weight", &[2, 2][..], &[1.0, 2.0, 3.0, 4.0][..]),
        ("m.q.bias", &[2], &[1.0, 1.0]),
        ("m.k.weight", &[2, 1], &[1.0, 1.0]),
        ("m.norm.weight", &[2], &[1.0, 2.0]),
        ("m.norm.bias", &[2], &[0.0, 0.0]),
    ];
    let tensors: [Tensor<'_>; 7] = [
        ("lora_unet_m_q.diff", &[2, 2], &[0.5, 0.0, -1.0, 2.0]),
        ("lora_unet_m_q.diff_b", &[2], &[0.25, 0.5]),
        ("lora_unet_m_q.alpha", &[], &[0.5]),
        ("lora_unet_m_k.lora_down.weight", &[1, 1], &[2.0]),
        ("lora_unet_m_k.lora_up.weight", &[2, 1], &[1.0, 3.0]),
        ("lora_unet_m_norm.w_norm", &[2], &[-1.0, 1.0]),
        ("lora_unet_m_norm.b_norm", &[2], &[3.0, 4.0]),
    ];
    let adapter = model("a", &tensors);
    assert!(Adapter::is_adapter(&adapter));
    let adapter = Adapter::read(adapter, AdapterConfig::new()).unwrap();
    assert_eq!((adapter.method(), adapter.rank()), ("LoRA", 1));
    let adapted = adapter.applied_to(model("base", &base)).unwrap();
    assert_chunks_agree(&adapted);
    let expected = [
        vec![1.5, 2.0, 2.0, 6.0],
        vec![1.25, 1.5],
        vec![3.0, 7.0],
        vec![0.0, 3.0],
        vec![3.0, 4.0],
    ];
    let found = values(&adapted).into_iter().map(|(_, values)| values);
    assert!(found.eq(expected));
    let only = |shape: &[usize]| {
        let adapter = model("a", &[("m.q.diff", shape, &[1.0; 6])]);
        assert!(Adapter::is_adapter(&adapter));
        let adapter = Adapter::read(adapter, AdapterConfig::new()).unwrap();
        assert_eq!((adapter.method(), adapter.rank()), ("full", 0));
        let applied = adapter.applied_to(model("base", &[("m.q.weight", &[3, 2], &[1.0; 6])]));
        applied.map(|adapted| values(&adapted)[0].1.clone())
    };
    assert_eq!(only(&[3, 2]).unwrap(), [2.0; 6]);
    assert!(matches!(
        only(&[2, 3]),
        Err(AdapterError::WrongShape { .. })
    ));
    // A parameter of this name among others is a model's own.
    let own = [
        ("m.diff", &[1][..], &[1.0][..]),
        ("m.q.weight", &[1], &[1.0]),
    ];
    assert!(!Adapter::is_adapter(&model("m", &own)));
}

#[test]
fn factors_that_fit_no_weight_of_the_base_are_refused() {
    let wrong = [
        &[("ia3_l", &[5, 1][..], &[1.0; 5][..])][..],
        &[
            ("lokr_w1", &[2, 2], &[1.0; 4]),
            ("lokr_w2", &[2, 2], &[1.0; 4]),
        ],
    ];
    for tensors in wrong {
        let found = change(tensors, AdapterConfig::new());
        assert!(
            matches!(found, Err(AdapterError::WrongShape { .. })),
            "{found:?}"
        );
    }
    let convolution = change(&[("ia3_l", &[1, 4, 1, 1], &[1.0; 4])], AdapterConfig::new());
    assert!(matches!(convolution, Err(AdapterError::Method { .. })));
}

#[test]
fn adalora_has_a_diagonal_between_its_factors_and_keeps_its_first_scale() {
    let tensors = [
        ("lora_A", &[2, 6][..], &[INPUTS, [1.0; 6]].concat()[..]),
        ("lora_B", &[4, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
        ("lora_E", &[2, 1], &[0.5, -1.0]),
    ];
    let value = |row: usize, column: usize| {
        let [first, second] = [2 * row + 1, 2 * row + 2].map(|factor| factor as f64);
        0.5 * first * f64::from(INPUTS[column]) - second
    };
    let config = AdapterConfig::new().with_alpha(8.0);
    let found = change(&tensors, config.clone()).unwrap();
    let scaled = |scale: f64| by_places(|row, column| scale * value(row, column));
    assert_eq!(found, (scaled(4.0), "AdaLoRA", 2));
    let found = change(&tensors, config.clone().with_initial_rank(16)).unwrap();
    assert_eq!(found.0, scaled(0.5));
    let divisor = ("ranknum", &[][..], &[32.0][..]);
    let found = change(&[&tensors[..], &[divisor]].concat(), config).unwrap();
    assert_eq!(found.0, scaled(0.25));
    let long = [tensors[0], tensors[1], ("lora_E", &[3, 1], &[1.0; 3])];
    let found = change(&long, AdapterConfig::new());
    assert!(matches!(found, Err(AdapterError::Incomplete { .. })));
}

/// A kernel of one place is followed by one of three, as LyCORIS stores convolutions: row by row, the changes of
/// a kernel for two inputs and four outputs.
#[test]
fn convolutions_are_changed_by_two_kernels_and_a_product() {
    // 4 × 6: outputs, then inputs by places. Two inputs in two ranks, which a kernel mixes.
    let (down, up) = (
        [1.0, 2.0, 3.0, 4.0],
        [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, -1.0],
    );
    let middle: Vec<f32> = (1..=12_u8).map(f32::from).collect();
    let value = |row: usize, column: usize| {
        let (input, place) = (column / 3, column % 3);
        let of_rank = |rank: usize| {
            let kernel = |step: usize| f64::from(middle[6 * rank + 3 * step + place]);
            let input = |step: usize| f64::from(down[2 * step + input]);
            f64::from(up[2 * row + rank]) * (kernel(0) * input(0) + kernel(1) * input(1))
        };
        of_rank(0) + of_rank(1)
    };
    let straight = [
        ("lora_down.weight", &[2, 2, 1][..], &down[..]),
        ("lora_mid.weight", &[2, 2, 3], &middle),
        ("lora_up.weight", &[4, 2, 1], &up),
    ];
    let found = change(&straight, AdapterConfig::new()).unwrap();
    assert_eq!(found, (by_places(value), "LoRA", 2));
    // LoHa and LoKr store the factor of outputs with a row per rank.
    let transposed: Vec<f32> = (0..8).map(|at| up[at % 4 * 2 + at / 4]).collect();
    let ones = [
        ("hada_w2_a", &[4, 1][..], &[1.0; 4][..]),
        ("hada_w2_b", &[1, 6], &[1.0; 6]),
    ];
    let hadamard = [
        ("hada_w1_a", &[2, 4][..], &transposed[..]),
        ("hada_w1_b", &[2, 2], &down),
        ("hada_t1", &[2, 2, 3], &middle),
    ];
    // The products of one adapter have one rank.
    let found = change(&[&hadamard[..], &ones].concat(), AdapterConfig::new());
    assert!(matches!(found, Err(AdapterError::Incomplete { .. })));
    let ones = [
        ("hada_w2_a", &[4, 2][..], &[0.5; 8][..]),
        ("hada_w2_b", &[2, 6], &[1.0; 12]),
    ];
    let found = change(&[&hadamard[..], &ones].concat(), AdapterConfig::new()).unwrap();
    assert_eq!(found, (by_places(value), "LoHa", 2));
    let kronecker = [
        ("lokr_w1", &[1, 1][..], &[1.0][..]),
        ("lokr_w2_a", &[2, 4], &transposed),
        ("lokr_w2_b", &[2, 2], &down),
        ("lokr_t2", &[2, 2, 3], &middle),
    ];
    let found = change(&kronecker, AdapterConfig::new()).unwrap();
    assert_eq!(found, (by_places(value), "LoKr", 2));
}
