//! Averages among trained models.

use mother::evidence::Measurement;
use mother::heritage::find_merges;
use mother::weights::InMemoryModel;

use crate::noise;

fn noise(seed: u64) -> Vec<f32> {
    noise::noise(seed, 64 * 64)
}

fn add(first: &[f32], factor: f32, second: &[f32], other: f32) -> Vec<f32> {
    let pairs = first.iter().zip(second);
    pairs.map(|(a, b)| factor * a + other * b).collect()
}

/// The merges among models, by name, with the weight of the first parent.
fn merges(models: &[(&str, Vec<f32>)]) -> Vec<(String, [String; 2], f64)> {
    let models: Vec<_> = models
        .iter()
        .map(|(name, weights)| {
            let model = InMemoryModel::new(*name);
            model.with_layer("w", [64, 64], weights.clone()).unwrap()
        })
        .collect();
    let evidence = Measurement::new().measure(&models).unwrap();
    let Some(group) = evidence.groups.first() else {
        return Vec::new();
    };
    let name = |position: usize| group.models()[position].clone();
    find_merges(group.geometry().unwrap())
        .iter()
        .map(|merge| {
            let [(first, weight), (second, other)] = *merge.parents();
            assert!((weight + other - 1.0).abs() < 1e-12);
            // Distances are those of weights rounded to single precision.
            assert!(merge.residual() < 1e-6, "{}", merge.residual());
            (name(merge.model()), [name(first), name(second)], weight)
        })
        .collect()
}

#[test]
fn averages_are_found_with_their_weights_and_nothing_else_is() {
    let (a, b, c) = (noise(1), noise(2), noise(3));
    let ab = add(&a, 0.5, &b, 0.5);
    let bc = add(&b, 0.2, &c, 0.8);
    let models = [
        ("a", a.clone()),
        ("a-tuned", add(&a, 1.0, &noise(4), 0.2)),
        ("ab", ab.clone()),
        ("ab-tuned", add(&ab, 1.0, &noise(5), 0.2)),
        ("b", b.clone()),
        ("bc", bc),
        ("c", c),
    ];
    let found = merges(&models);
    let names: Vec<_> = found
        .iter()
        .map(|(model, [a, b], _)| (&model[..], &a[..], &b[..]))
        .collect();
    assert_eq!(names, [("ab", "a", "b"), ("bc", "b", "c")]);
    assert!(
        (found[0].2 - 0.5).abs() < 1e-5 && (found[1].2 - 0.2).abs() < 1e-5,
        "{found:?}"
    );
}

#[test]
fn copies_and_few_models_are_no_merges() {
    let (a, b) = (noise(1), noise(2));
    assert_eq!(merges(&[]), []);
    assert_eq!(merges(&[("a", a.clone())]), []);
    assert_eq!(merges(&[("a", a.clone()), ("b", b.clone())]), []);
    let copies = [
        ("a", a.clone()),
        ("a-again", a.clone()),
        ("b", b),
        ("a-third", a),
    ];
    assert_eq!(merges(&copies), []);
}
