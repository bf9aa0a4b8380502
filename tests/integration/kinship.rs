//! The kinship test: conservative for independent networks, and sure of relatives.

use mother::evidence::Matching;
use mother::kinship::{Kinship, own_matches};
use mother::signature::{Signature, SignatureOptions};
use mother::weights::InMemoryModel;

use crate::noise::noise;

const ROWS: usize = 32;
const WIDTH: usize = 16;

fn factorial(k: usize) -> f64 {
    (1..=k).map(|k| k as f64).product()
}

/// Of independent matrices at most a share of 1/k! has k rows that find their own, but for chance.
#[test]
fn p_values_of_independent_rows_are_conservative() {
    const PAIRS: u64 = 4000;
    let mut at_least = [0_u32; ROWS + 1];
    for pair in 0..PAIRS {
        let (first, second) = (
            noise(2 * pair + 1, ROWS * WIDTH),
            noise(2 * pair + 2, ROWS * WIDTH),
        );
        let found = own_matches(WIDTH, &first, &second);
        at_least[..=found].iter_mut().for_each(|count| *count += 1);
    }
    for (k, &count) in at_least.iter().enumerate() {
        let expected = PAIRS as f64 / factorial(k);
        let limit = expected + 5.0 * expected.sqrt() + 3.0;
        assert!(f64::from(count) <= limit, "{k}: {count} of {PAIRS}");
    }
    // The bound is tight where it matters least, so that the test can't pass for lack of matches.
    assert!(at_least[1] > PAIRS as u32 / 2);
}

/// Rows with a direction in common, as those of trained networks have, match no more of their own.
#[test]
fn a_component_common_to_all_rows_is_no_evidence() {
    let mut kinship = Kinship::new();
    for pair in 0..500 {
        let shifted = |seed| -> Vec<f32> {
            let common = noise(7, WIDTH);
            let rows = noise(seed, ROWS * WIDTH);
            rows.iter()
                .enumerate()
                .map(|(at, x)| x + 2.0 * common[at % WIDTH])
                .collect()
        };
        let (first, second) = (shifted(2 * pair + 1), shifted(2 * pair + 2));
        kinship.add(own_matches(WIDTH, &first, &second));
    }
    assert!(kinship.log10_p().unwrap() > -3.0, "{kinship:?}");
}

fn sign(name: &str, layers: &[(&str, Vec<f32>)]) -> Signature {
    let named = InMemoryModel::new(name);
    let model = layers.iter().fold(named, |model, (layer, values)| {
        model.with_layer(*layer, [64, 64], values.clone()).unwrap()
    });
    SignatureOptions::new().sign(&model).unwrap()
}

fn log10_p(first: &Signature, second: &Signature) -> Option<f64> {
    Matching::between(first, second)
        .unwrap()
        .kinship()
        .log10_p()
}

#[test]
fn relatives_are_kin_and_strangers_and_permuted_copies_are_not() {
    let up = noise(1, 64 * 64);
    let trained: Vec<f32> = (up.iter().zip(noise(2, 64 * 64)))
        .map(|(weight, step)| weight + 0.7 * step)
        .collect();
    let permuted: Vec<f32> = up.chunks(64).rev().flatten().copied().collect();
    let base = sign("base", &[("mlp.up", up.clone())]);
    for (name, values, kin) in [
        ("trained", trained, true),
        ("stranger", noise(3, 64 * 64), false),
        ("permuted", permuted, false),
    ] {
        let p = log10_p(&base, &sign(name, &[("mlp.up", values)])).unwrap();
        assert_eq!(p < -12.0, kin, "{name}: {p}");
    }
    // Tokens mean the same in every network, so what their rows have in common says nothing.
    let tokens = |name| sign(name, &[("embed_tokens.weight", up.clone())]);
    assert_eq!(log10_p(&tokens("a"), &tokens("b")), None);
}
