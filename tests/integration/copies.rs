//! Copies are found among trained models, and hang on what they were copied of.

use mother::evidence::{
    CopyKind, Evidence, EvidenceError, GroupEvidence, ModelCopy, SignatureComparison,
};
use mother::heritage::{Index, Recovery};
use mother::signature::SignatureOptions;
use mother::weights::{InMemoryModel, WeightSource};

use crate::noise::{Noise, noise};
use crate::signed;

const SIDE: usize = 64;

fn step(from: &[f32], seed: u64) -> Vec<f32> {
    let step = noise(seed, from.len());
    // Groups of rows move by different amounts.
    let part = |index: usize| ((index / (4 * SIDE)) % 5 + 1) as f32 / 20.0;
    let weights = from.iter().zip(step).enumerate();
    weights
        .map(|(index, (weight, step))| weight + part(index) * step)
        .collect()
}

fn to_bytes(weights: &[f32]) -> Vec<f32> {
    let largest = weights
        .iter()
        .fold(0.0_f32, |largest, weight| weight.abs().max(largest));
    let scale = largest / 127.0;
    weights
        .iter()
        .map(|weight| (weight / scale).round() * scale)
        .collect()
}

fn pruned(weights: &[f32]) -> Vec<f32> {
    weights
        .iter()
        .map(|&weight| if weight.abs() < 0.3 { 0.0 } else { weight })
        .collect()
}

fn model(name: &str, weights: Vec<f32>) -> InMemoryModel<'static> {
    InMemoryModel::new(name)
        .with_layer("w", [SIDE, SIDE], weights)
        .unwrap()
}

/// A base with two children, the second of which has a child; and copies of the second.
fn family() -> (Vec<InMemoryModel<'static>>, Evidence) {
    let base = noise(1, SIDE * SIDE);
    let (first, second) = (step(&base, 2), step(&base, 3));
    let bfloat = |weight: &f32| half::bf16::from_f32(*weight).to_f32();
    let half = |weight: &f32| half::f16::from_f32(*weight).to_f32();
    let models = vec![
        model("base", base),
        model("first", first),
        model("second-bfloat", second.iter().map(bfloat).collect()),
        model("second-bytes", to_bytes(&second)),
        model("second-half", second.iter().map(half).collect()),
        model("second-pruned", pruned(&second)),
        model("second", second.clone()),
        model("second-again", second.clone()),
        model("third", step(&second, 4)),
    ];
    let evidence = signed::evidence(&models);
    (models, evidence)
}

#[test]
fn every_kind_of_copy_is_found_and_nothing_else() {
    let (_, evidence) = family();
    let group = &evidence.groups[0];
    let found: Vec<(&str, &str, CopyKind)> = group
        .copies()
        .iter()
        .map(|copy| {
            let name = |position: usize| group.models()[position].as_str();
            (name(copy.copy), name(copy.original), copy.kind)
        })
        .collect();
    let expected = [
        ("second-again", "second", CopyKind::Duplicate),
        ("second-bfloat", "second", CopyKind::Cast),
        ("second-bytes", "second", CopyKind::Quantised),
        ("second-half", "second", CopyKind::Cast),
        ("second-pruned", "second", CopyKind::Pruned),
    ];
    assert_eq!(found, expected);
}

#[test]
fn copies_are_leaves_of_their_original() {
    let (_, evidence) = family();
    let graph = Recovery::new().recover(&evidence).unwrap();
    let parent = |name: &str| {
        let parent = graph.parent(graph.index(name).unwrap());
        parent.and_then(|parent| graph.name(parent))
    };
    for copy in ["again", "bfloat", "bytes", "half", "pruned"] {
        assert_eq!(parent(&format!("second-{copy}")), Some("second"));
    }
    assert_eq!(parent("base"), None);
    assert_eq!(parent("first"), Some("base"));
    assert_eq!(parent("second"), Some("base"));
    assert_eq!(parent("third"), Some("second"));
}

/// Of the models of equal weights but for rounding one is kept: to a signature, rounding again looks
/// like rounding the original.
#[test]
fn a_model_whose_original_is_missing_is_no_copy() {
    let (models, _) = family();
    for kept in ["bfloat", "bytes", "half", "pruned"] {
        let kept = format!("second-{kept}");
        let is_there = |model: &&InMemoryModel<'_>| {
            let name = WeightSource::name(*model);
            name == kept || !name.starts_with("second")
        };
        let without: Vec<_> = models.iter().filter(is_there).cloned().collect();
        let evidence = signed::evidence(&without);
        assert_eq!(evidence.groups[0].models().len(), 4);
        assert_eq!(evidence.groups[0].copies(), [], "{kept}");
    }
    // Neither type holds the values of the other.
    let casts = ["second-bfloat", "second-half"];
    let is_cast = |model: &&InMemoryModel<'_>| casts.contains(&WeightSource::name(*model));
    let both: Vec<_> = models.iter().filter(is_cast).cloned().collect();
    assert_eq!(signed::evidence(&both).groups[0].copies(), []);
}

/// Signatures hold digests of the rounded values of a tensor's first block, and of one in sixteen of the
/// others; these two differ in none of them.
#[test]
fn a_few_trained_rows_are_no_cast() {
    let rows = 2 * SIDE;
    let bfloat = |weights: &[f32]| -> Vec<f32> {
        let rounded = weights.iter().map(|&weight| half::bf16::from_f32(weight));
        rounded.map(half::bf16::to_f32).collect()
    };
    let base = noise(20, rows * SIDE);
    let mut trained = base.clone();
    let last = trained.len() - 2 * SIDE;
    let step = noise(21, 2 * SIDE);
    for (weight, step) in trained[last..].iter_mut().zip(step) {
        *weight += 0.05 * step;
    }
    let model = |name, weights: Vec<f32>| {
        InMemoryModel::new(name)
            .with_layer("w", [rows, SIDE], weights)
            .unwrap()
    };
    // Both in 16 bits, and an original that is not.
    for original in [bfloat(&base), base] {
        let found = copies_of_two(model("a", original), model("b", bfloat(&trained)));
        assert_eq!(found, []);
    }
}

/// Values too few to count levels of are as near to each other as those of small heads are.
#[test]
fn small_models_that_were_trained_are_no_copies() {
    let base = noise(22, 16);
    let child = small_step(&base, 0.1, 23);
    let model = |name, weights: Vec<f32>| {
        InMemoryModel::new(name)
            .with_layer("w", [4, 4], weights)
            .unwrap()
    };
    assert_eq!(copies_of_two(model("a", base), model("b", child)), []);
}

#[test]
fn impossible_copies_are_rejected() {
    let (_, evidence) = family();
    let copy = |copy: usize, original: usize| ModelCopy {
        copy,
        original,
        kind: CopyKind::Cast,
    };
    for (copies, wrong) in [
        (vec![copy(0, 9)], (0, 9)),
        (vec![copy(0, 1), copy(0, 2)], (0, 2)),
        (vec![copy(0, 1), copy(1, 0)], (0, 1)),
        (vec![copy(3, 3)], (3, 3)),
    ] {
        let refused = evidence.groups[0].clone().with_copies(copies);
        let (copy, original) = wrong;
        assert_eq!(refused, Err(EvidenceError::Copy { copy, original }));
    }
}

/// The copies of a folder of two, by name.
fn copies_of_two(original: InMemoryModel<'_>, other: InMemoryModel<'_>) -> Vec<(usize, CopyKind)> {
    let evidence = signed::evidence(&[original.with_name("a"), other.with_name("b")]);
    let copies = evidence.groups.iter().flat_map(GroupEvidence::copies);
    copies.map(|copy| (copy.copy, copy.kind)).collect()
}

#[test]
fn single_precision_of_doubles_is_a_cast() {
    let mut noise = Noise::new(5);
    let doubles: Vec<f64> = (0..SIDE * SIDE).map(|_| noise.next()).collect();
    let singles: Vec<f32> = doubles.iter().map(|&weight| weight as f32).collect();
    let original = || {
        InMemoryModel::new("doubles")
            .with_layer("w", [SIDE, SIDE], doubles.clone())
            .unwrap()
    };
    let found = copies_of_two(original(), model("singles", singles.clone()));
    assert_eq!(found, [(1, CopyKind::Cast)]);
    // The same values stored in another type are the same values.
    let widened: Vec<f64> = singles.iter().copied().map(f64::from).collect();
    let widened = InMemoryModel::new("widened").with_layer("w", [SIDE, SIDE], widened);
    let found = copies_of_two(model("singles", singles), widened.unwrap());
    assert_eq!(found, [(1, CopyKind::Duplicate)]);
}

/// As many levels as there may be, and more than neighbours may have.
#[test]
fn only_few_levels_count_as_quantised() {
    let weights = noise(6, SIDE * SIDE);
    let largest = weights
        .iter()
        .fold(0.0_f32, |most, weight| weight.abs().max(most));
    let rounded = |levels: u16| {
        let gap = 2.0 * largest / f32::from(levels - 1);
        let level = |weight: &f32| ((weight + largest) / gap).round() * gap - largest;
        let mut rounded: Vec<f32> = weights.iter().map(level).collect();
        // All levels occur, whatever the weights are.
        for (step, weight) in (0..levels).zip(&mut rounded) {
            *weight = f32::from(step) * gap - largest;
        }
        let original = weights.iter().enumerate().map(|(at, &weight)| {
            if at < usize::from(levels) {
                rounded[at]
            } else {
                weight
            }
        });
        copies_of_two(model("a", original.collect()), model("b", rounded.clone()))
    };
    assert_eq!(rounded(256), [(1, CopyKind::Quantised)]);
    assert_eq!(rounded(16), [(1, CopyKind::Quantised)]);
    assert_eq!(rounded(2000), []);
}

/// A step of this share of the weights' length.
fn small_step(from: &[f32], size: f32, seed: u64) -> Vec<f32> {
    let steps = noise(seed, from.len()).into_iter();
    steps
        .zip(from)
        .map(|(step, weight)| weight + size * step)
        .collect()
}

#[test]
fn trained_models_are_no_copies_however_they_are_stored() {
    let base = noise(7, SIDE * SIDE);
    let bfloat = |weight: &f32| half::bf16::from_f32(*weight).to_f32();
    let half = |weight: &f32| half::f16::from_f32(*weight).to_f32();
    // No further than rounding moves, 0.2 % to 8 bits and 0.02 % to 11 bits.
    let barely = small_step(&base, 0.001, 8);
    let less = small_step(&base, 0.0001, 8);
    let child = step(&base, 9);
    let mut turned = base.clone();
    turned.rotate_right(SIDE);
    for (what, near_miss) in [
        ("trained a little", barely.clone()),
        (
            "trained a little, in 16 bits",
            barely.iter().map(bfloat).collect(),
        ),
        (
            "trained very little, in half precision",
            less.iter().map(half).collect(),
        ),
        ("trained and pruned", pruned(&child)),
        ("trained and rounded", to_bytes(&child)),
        ("scaled", base.iter().map(|weight| 0.75 * weight).collect()),
        ("rows exchanged", turned),
    ] {
        let found = copies_of_two(model("base", base.clone()), model("near", near_miss));
        assert_eq!(found, [], "{what}");
    }
}

/// One trained tensor of two is enough, in whatever the other one is stored.
#[test]
fn a_model_with_one_trained_tensor_is_no_copy() {
    let two = |name: &str, first: Vec<f32>, second: Vec<f32>| {
        model(name, first)
            .with_layer("x", [SIDE, SIDE], second)
            .unwrap()
    };
    let (first, second) = (noise(10, SIDE * SIDE), noise(11, SIDE * SIDE));
    let trained = small_step(&second, 0.001, 12);
    let bfloat = |weights: &[f32]| -> Vec<f32> {
        let rounded = weights.iter().map(|&weight| half::bf16::from_f32(weight));
        rounded.map(half::bf16::to_f32).collect()
    };
    let original = || two("original", first.clone(), second.clone());
    for (what, other) in [
        ("equal", two("b", first.clone(), trained.clone())),
        ("cast", two("b", bfloat(&first), bfloat(&trained))),
        ("rounded", two("b", to_bytes(&first), trained.clone())),
        ("pruned", two("b", pruned(&first), trained.clone())),
    ] {
        assert_eq!(copies_of_two(original(), other), [], "{what}");
    }
    let cast = two("b", bfloat(&first), bfloat(&second));
    assert_eq!(copies_of_two(original(), cast), [(1, CopyKind::Cast)]);
    // One tensor rounded to bytes and the other one left alone is a copy still.
    let part = two("b", to_bytes(&first), second.clone());
    assert_eq!(copies_of_two(original(), part), [(1, CopyKind::Quantised)]);
}

/// Taking back a step makes weights as much shorter as taking them away does.
#[test]
fn a_sparse_parent_is_no_pruned_copy_of_its_child() {
    let base = noise(30, SIDE * SIDE);
    for least in [0.01, 0.1, 0.3, 1.0, 2.0] {
        let sparse: Vec<f32> = base
            .iter()
            .map(|&weight| if weight.abs() < least { 0.0 } else { weight })
            .collect();
        for size in [0.01, 0.1, 0.3] {
            let child = small_step(&sparse, size, 31);
            let found = copies_of_two(model("child", child), model("parent", sparse.clone()));
            assert_eq!(found, [], "{least} {size}");
        }
        let found = copies_of_two(model("a", base.clone()), model("b", sparse));
        assert_eq!(found, [(1, CopyKind::Pruned)], "{least}");
    }
    // A half and a sixth of the weights, taken away at random.
    let random = noise(32, SIDE * SIDE);
    for least in [0.0, 1.0] {
        let kept = base.iter().zip(&random);
        let sparse = kept.map(|(&weight, &chance)| if chance > least { 0.0 } else { weight });
        let found = copies_of_two(model("a", base.clone()), model("b", sparse.collect()));
        assert_eq!(found, [(1, CopyKind::Pruned)], "{least}");
    }
}

#[test]
fn models_that_differ_only_by_rounding_are_duplicates() {
    // The second sums in another order; the third moved by more than that.
    let parts = |i: usize| {
        [
            1.0 / (i as f32 + 3.0),
            1e-3 * (i % 7) as f32,
            -1e-3 / (i as f32 + 1.0),
        ]
    };
    let values = |sum: fn([f32; 3]) -> f32| (0..64 * 64).map(|i| sum(parts(i))).collect::<Vec<_>>();
    let models = [
        ("first", values(|[a, b, c]| a + b + c)),
        ("second", values(|[a, b, c]| a + (b + c))),
        ("third", values(|[a, b, c]| (a + b + c) * (1.0 + 1e-3 * b))),
    ];
    assert_ne!(models[0].1, models[1].1);
    let models = models.map(|(name, values)| {
        InMemoryModel::new(name)
            .with_layer("w", [64, 64], values)
            .unwrap()
    });
    let signatures = models.map(|model| SignatureOptions::new().sign(&model).unwrap());
    let evidence = SignatureComparison::new().compare(&signatures).unwrap();
    let copies = evidence.groups[0].copies();
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!((copies[0].copy, copies[0].original), (1, 0));
    assert_eq!(copies[0].kind, CopyKind::Duplicate);
}

/// Its weights may be shorter than those of the whole family.
#[test]
fn a_model_trained_from_a_rounded_copy_hangs_on_it() {
    let (mut models, _) = family();
    let second = step(&noise(1, SIDE * SIDE), 3);
    let rounded: Vec<f32> = second.iter().map(|weight| weight.round()).collect();
    let whole = step(&rounded, 5).into_iter().zip(&rounded);
    // Further steps would be as long as rounding to half as many levels.
    let trained = whole.map(|(weight, from)| from + 0.4 * (weight - from));
    models.push(model("trained", trained.collect()));
    models.push(model("rounded", rounded));
    let graph = Recovery::new().recover(&signed::evidence(&models)).unwrap();
    let parents = [
        ("base", None),
        ("second", Some("base")),
        ("third", Some("second")),
        ("rounded", Some("second")),
        ("trained", Some("rounded")),
    ];
    crate::toy::assert_parents(&graph, &parents);
}

#[test]
fn of_equal_models_the_one_in_the_shorter_type_is_the_original() {
    let base = noise(1, SIDE * SIDE);
    let child = step(&base, 2);
    let wide = child.iter().copied().map(f64::from).collect::<Vec<_>>();
    let wide = InMemoryModel::new("a-wide").with_layer("w", [SIDE, SIDE], wide);
    let models = [model("base", base), model("child", child), wide.unwrap()];
    let graph = Recovery::new().recover(&signed::evidence(&models)).unwrap();
    assert_eq!(graph.parent_of("a-wide"), Some("child"), "{graph}");
    let mut index = Index::new().with_dense_limit(0);
    for signature in signed::signatures(&models) {
        index.insert(signature).unwrap();
    }
    assert_eq!(index.graph().unwrap().parent_of("a-wide"), Some("child"));
}
