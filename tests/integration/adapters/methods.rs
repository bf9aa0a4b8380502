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
