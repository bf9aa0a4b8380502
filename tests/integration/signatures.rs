//! Comparing signatures: what the tables say, what changes nothing, and what is refused.

use mother::evidence::{
    EvidenceError, IncompatibleSignatures, LayerKinds, LayerSelection, Measurement, Relation,
    Score, SignatureComparison,
};
use mother::signature::{Signature, SignatureOptions};
use mother::sketch::SketchKey;
use mother::weights::InMemoryModel;

use crate::noise::noise;
use crate::signed::{evidence, signatures};

const SHAPES: [(&str, [usize; 2]); 3] = [("q", [64, 32]), ("up", [100, 40]), ("down", [33, 64])];

/// A root, two children and a grandchild, with a bias each.
fn models() -> Vec<InMemoryModel<'static>> {
    let weights = |model: u64, layer: u64, length| noise(10 * model + layer + 1, length);
    let steps: [(&str, &[(u64, f32)]); 4] = [
        ("base", &[(0, 1.0)]),
        ("child", &[(0, 1.0), (1, 0.1)]),
        ("other", &[(0, 1.0), (2, 0.15)]),
        ("third", &[(0, 1.0), (1, 0.1), (3, 0.08)]),
    ];
    let model = |(name, steps): (&str, &[(u64, f32)])| {
        let sum = |layer, length| {
            let mut sum = vec![0.0; length];
            for &(step, size) in steps {
                let step = weights(step, layer, length);
                let pairs = sum.iter_mut().zip(step);
                pairs.for_each(|(sum, step)| *sum += size * step);
            }
            sum
        };
        let mut model = InMemoryModel::new(name);
        for (layer, (name, shape)) in SHAPES.into_iter().enumerate() {
            let values = sum(layer as u64, shape[0] * shape[1]);
            model = model.with_layer(name, shape, values).unwrap();
        }
        model.with_layer("bias", [16], sum(3, 16)).unwrap()
    };
    steps.into_iter().map(model).collect()
}

/// Signatures estimate squared distances from 16 to 25 groups of 32 numbers for each of three matrices:
/// the standard error of a distance is half of √(2/512), and less for their mean.
#[test]
fn distances_are_those_of_the_weights_within_five_standard_errors() {
    let models = models();
    let exact = Measurement::new().measure(&models).unwrap();
    let signed = evidence(&models);
    let (exact, signed) = (&exact.groups[0], &signed.groups[0]);
    assert_eq!(exact.models(), signed.models());
    assert_eq!(exact.layers(), signed.layers());
    let pairs = exact.distances().pairs().zip(signed.distances().values());
    for ((first, second, exact), estimate) in pairs {
        let error = (estimate / exact - 1.0).abs();
        assert!(
            error < 5.0 * 0.5 * 0.0625,
            "{first} {second}: {estimate} for {exact}"
        );
    }
    // Scores and norms are summed up, not estimated.
    for (exact, signed) in exact.scores().unwrap().iter().zip(signed.scores().unwrap()) {
        assert!((exact - signed).abs() < 1e-12 * exact, "{exact} {signed}");
    }
    let norms = |group: &mother::evidence::GroupEvidence| {
        group.geometry().unwrap().squared_norms().to_vec()
    };
    for (exact, signed) in norms(exact).iter().zip(norms(signed)) {
        assert!((exact - signed).abs() < 1e-12 * exact, "{exact} {signed}");
    }
}

#[test]
fn the_order_of_the_signatures_changes_nothing() {
    let signatures = signatures(&models());
    let expected = SignatureComparison::new().compare(&signatures).unwrap();
    for first in 0..signatures.len() {
        let mut turned = signatures.clone();
        turned.rotate_left(first);
        for _ in 0..2 {
            turned.reverse();
            let found = SignatureComparison::new().compare(&turned).unwrap();
            assert_eq!(found, expected);
        }
    }
}

/// A model of another architecture, one of few weights, and one that is like no other.
#[test]
fn a_relation_depends_on_no_third_model() {
    let models = models();
    let alone = evidence(&models[..2]);
    let strangers = [
        InMemoryModel::new("another").with_layer("v", [64, 32], noise(50, 64 * 32)),
        InMemoryModel::new("part").with_layer("q", [64, 32], noise(1, 64 * 32)),
        InMemoryModel::new("unlike").with_layer("q", [64, 16], noise(51, 64 * 16)),
    ];
    let mut all = models[..2].to_vec();
    all.extend(strangers.map(Result::unwrap));
    let together = evidence(&all);
    let (alone, together) = (&alone.groups[0], &together.groups[1]);
    let [base, child] = ["base", "child"].map(|name| together.position(name).unwrap());
    let growth = |group: &mother::evidence::GroupEvidence, parent, child| {
        let growth = group.growth().unwrap();
        (
            growth.coefficient(parent, child),
            growth.model_error(parent, child),
        )
    };
    assert_eq!(growth(alone, 0, 1), growth(together, base, child));
    let squared = |group: &mother::evidence::GroupEvidence, first, second| {
        let geometry = group.geometry().unwrap();
        geometry.squared_distances().distance(first, second)
    };
    assert_eq!(squared(alone, 0, 1), squared(together, base, child));
    let changes = [alone, together].map(|group| group.score_changes().unwrap());
    assert_eq!(changes[0].distance(0, 1), changes[1].distance(base, child));
}

#[test]
fn relations_are_the_same_from_both_sides() {
    let signatures = signatures(&models());
    for first in &signatures {
        for second in &signatures {
            let there = Relation::between(first, second).unwrap();
            let back = Relation::between(second, first).unwrap();
            assert_eq!(there.squared_distance(), back.squared_distance());
            assert_eq!(there.distance(), back.distance());
            assert_eq!(there.score_change(), -back.score_change());
            let coefficient = |relation: &Relation| relation.growth().map(|g| g.coefficient);
            assert_eq!(coefficient(&there), coefficient(&back).map(|c| -c));
            assert_eq!(there.is_equal(), first.name() == second.name());
        }
    }
}

#[test]
fn signatures_of_other_settings_are_refused() {
    let models = models();
    let sign = |options: SignatureOptions, model: usize| options.sign(&models[model]).unwrap();
    let usual = sign(SignatureOptions::new(), 0);
    let keyed = sign(SignatureOptions::new().with_key(SketchKey::new(7)), 1);
    let longer = sign(SignatureOptions::new().with_buckets(64).unwrap(), 1);
    let buckets = IncompatibleSignatures::Buckets {
        first: 32,
        second: 64,
    };
    for (other, reason) in [(keyed, IncompatibleSignatures::Keys), (longer, buckets)] {
        let found = SignatureComparison::new().compare(&[usual.clone(), other]);
        let (first, second) = ("base".into(), "child".into());
        let expected = EvidenceError::Incompatible {
            first,
            second,
            reason,
        };
        assert_eq!(found, Err(expected));
    }
}

#[test]
fn a_private_key_says_the_same_but_for_chance() {
    let models = models();
    let with_key = |key| -> Vec<Signature> {
        let options = SignatureOptions::new().with_key(key);
        options
            .sign_all(&models)
            .into_iter()
            .map(Result::unwrap)
            .collect()
    };
    let compare = |key| SignatureComparison::new().compare(&with_key(key)).unwrap();
    let (public, private) = (compare(SketchKey::PUBLIC), compare(SketchKey::new(11)));
    let distances = [&public, &private].map(|evidence| evidence.groups[0].distances().values());
    assert_ne!(distances[0], distances[1]);
    for (public, private) in distances[0].iter().zip(distances[1]) {
        // Two estimates, each with the error above.
        assert!(
            (public / private - 1.0).abs() < 5.0 * 0.0442,
            "{public} {private}"
        );
    }
}

#[test]
fn no_model_one_model_and_two_of_one_name() {
    let signatures = signatures(&models());
    let compare = |signatures: &[Signature]| SignatureComparison::new().compare(signatures);
    assert!(compare(&[]).unwrap().groups.is_empty());
    let alone = compare(&signatures[..1]).unwrap();
    assert_eq!(alone.groups[0].models(), ["base"]);
    let twice = [
        signatures[0].clone(),
        signatures[1].clone().with_name("base"),
    ];
    let expected = EvidenceError::DuplicateModel {
        model: "base".into(),
    };
    assert_eq!(compare(&twice), Err(expected));
}

#[test]
fn selected_layers_alone_are_compared_and_scored() {
    let models = models();
    let signatures = signatures(&models);
    let chosen = LayerSelection::new().with_glob("q");
    let exact = Measurement::new()
        .with_layers(chosen.clone())
        .with_score_layers(chosen.clone())
        .with_score(Score::Variance)
        .measure(&models)
        .unwrap();
    let comparison = SignatureComparison::new()
        .with_layers(chosen.clone())
        .with_score_layers(chosen)
        .with_score(Score::Variance);
    let signed = comparison.compare(&signatures).unwrap();
    let (exact, signed) = (&exact.groups[0], &signed.groups[0]);
    assert_eq!(signed.layers(), ["q"]);
    for (exact, signed) in exact.scores().unwrap().iter().zip(signed.scores().unwrap()) {
        assert!((exact - signed).abs() < 1e-12 * exact, "{exact} {signed}");
    }
    let pairs = exact
        .distances()
        .values()
        .iter()
        .zip(signed.distances().values());
    for (exact, estimate) in pairs {
        assert!(
            (estimate / exact - 1.0).abs() < 5.0 * 0.5 * 0.0625,
            "{estimate} for {exact}"
        );
    }
    let everything = LayerSelection::new().with_kinds(LayerKinds::AllTensors);
    let comparison = SignatureComparison::new().with_layers(everything);
    let found = comparison.compare(&signatures).unwrap();
    assert_eq!(found.groups[0].layers(), ["bias", "down", "q", "up"]);
}
