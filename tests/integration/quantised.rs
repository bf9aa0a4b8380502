//! Values that were rounded to few levels show by how much that moved them, and whose copies they are.

extern crate alloc;

use alloc::collections::BTreeMap;

use mother::evidence::{CopyKind, GroupEvidence};
use mother::heritage::Recovery;
use mother::signature::SignatureOptions;
use mother::weights::InMemoryModel;

use crate::noise::noise;
use crate::signed;

const ROWS: usize = 96;
const COLUMNS: usize = 128;

/// How values that share a scale are rounded.
#[derive(Clone, Copy, Debug)]
enum Levels {
    /// To so many levels on either side of zero, up to the largest magnitude.
    Symmetric(f32),
    /// To so many gaps from the least value to the largest.
    Affine(f32),
    /// To floats of so many significant bits.
    Floats(i32),
    /// To these multiples of the largest magnitude.
    Map(&'static [f32]),
}

/// The levels of bitsandbytes' NF4, to four digits.
const NF4: [f32; 16] = [
    -1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0, 0.0796, 0.1609, 0.2461,
    0.3379, 0.4407, 0.5626, 0.7230, 1.0,
];

/// Those of 4-bit floats.
const FP4: [f32; 15] = [
    -1.0,
    -2.0 / 3.0,
    -0.5,
    -1.0 / 3.0,
    -0.25,
    -1.0 / 6.0,
    -1.0 / 12.0,
    0.0,
    1.0 / 12.0,
    1.0 / 6.0,
    0.25,
    1.0 / 3.0,
    0.5,
    2.0 / 3.0,
    1.0,
];

impl Levels {
    fn round(self, group: &[f32]) -> Vec<f32> {
        let largest = group
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        let least = group.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = group.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let round = |&value: &f32| match self {
            Self::Symmetric(levels) => (value / largest * levels).round() * (largest / levels),
            Self::Affine(gaps) => {
                let scale = (greatest - least) / gaps;
                let zero = (-least / scale).round();
                ((value / scale).round() + zero - zero) * scale
            }
            Self::Floats(bits) => {
                let scale = largest / 448.0;
                let (value, gap) = (value / scale, |power: i32| 2.0_f32.powi(power + 1 - bits));
                let gap = gap((value.abs().log2().floor() as i32).max(-6));
                (value / gap).round() * gap * scale
            }
            Self::Map(map) => {
                let near = |a: &&f32, b: &&f32| {
                    let far = |level: &f32| (value / largest - level).abs();
                    far(a).total_cmp(&far(b))
                };
                map.iter().min_by(near).unwrap() * largest
            }
        };
        group.iter().map(round).collect()
    }
}

/// Which values share a scale.
#[derive(Clone, Copy, Debug)]
enum Group {
    /// So many neighbours.
    Row(usize),
    /// All of a column, or so many rows of it.
    Column(usize),
    /// A square.
    Block(usize),
}

/// Rounds blocks of so many rows and columns.
fn rounded(weights: &[f32], group: Group, levels: Levels) -> Vec<f32> {
    let (height, width) = match group {
        Group::Row(length) => {
            let groups = weights.chunks(length);
            return groups.flat_map(|group| levels.round(group)).collect();
        }
        Group::Column(height) => (height, 1),
        Group::Block(side) => (side, side),
    };
    let mut result = weights.to_vec();
    for first_row in (0..ROWS).step_by(height) {
        for first in (0..COLUMNS).step_by(width) {
            let rows = first_row..ROWS.min(first_row + height);
            let places =
                rows.flat_map(|row| (first..first + width).map(move |at| row * COLUMNS + at));
            let places: Vec<usize> = places.collect();
            let group: Vec<f32> = places.iter().map(|&at| weights[at]).collect();
            for (&at, value) in places.iter().zip(levels.round(&group)) {
                result[at] = value;
            }
        }
    }
    result
}

/// Weights whose rows are of different sizes.
fn weights(seed: u64) -> Vec<f32> {
    let size = |at: usize| 1.0 + (at / COLUMNS % 7) as f32 / 4.0;
    let values = noise(seed, ROWS * COLUMNS).into_iter().enumerate();
    values.map(|(at, value)| size(at) * value / 50.0).collect()
}

const SCHEMES: [(Group, Levels); 30] = [
    (Group::Block(32), Levels::Floats(4)),
    (Group::Block(16), Levels::Floats(4)),
    (Group::Block(32), Levels::Symmetric(127.0)),
    (Group::Row(ROWS * COLUMNS), Levels::Symmetric(127.0)),
    (Group::Row(COLUMNS), Levels::Symmetric(127.0)),
    (Group::Row(COLUMNS), Levels::Affine(255.0)),
    (Group::Column(ROWS), Levels::Symmetric(127.0)),
    (Group::Column(ROWS), Levels::Symmetric(7.0)),
    (Group::Column(32), Levels::Affine(15.0)),
    (Group::Row(256), Levels::Symmetric(127.0)),
    (Group::Row(64), Levels::Symmetric(127.0)),
    (Group::Row(32), Levels::Symmetric(127.0)),
    (Group::Row(16), Levels::Symmetric(127.0)),
    (Group::Row(8), Levels::Symmetric(127.0)),
    (Group::Row(4), Levels::Symmetric(127.0)),
    (Group::Row(128), Levels::Symmetric(7.0)),
    (Group::Row(64), Levels::Symmetric(7.0)),
    (Group::Row(32), Levels::Symmetric(8.0)),
    (Group::Row(128), Levels::Affine(15.0)),
    (Group::Row(32), Levels::Affine(31.0)),
    (Group::Row(32), Levels::Affine(7.0)),
    (Group::Row(64), Levels::Map(&NF4)),
    (Group::Row(128), Levels::Map(&NF4)),
    (Group::Row(64), Levels::Map(&FP4)),
    (Group::Row(32), Levels::Map(&FP4)),
    (Group::Row(16), Levels::Map(&FP4)),
    (Group::Row(ROWS * COLUMNS), Levels::Floats(4)),
    (Group::Row(COLUMNS), Levels::Floats(4)),
    (Group::Row(ROWS * COLUMNS), Levels::Floats(3)),
    (Group::Row(64), Levels::Floats(3)),
];

fn model(name: &str, weights: Vec<f32>) -> InMemoryModel<'static> {
    InMemoryModel::new(name)
        .with_layer("w", [ROWS, COLUMNS], weights)
        .unwrap()
}

fn rounding(weights: Vec<f32>) -> Option<f64> {
    let signature = SignatureOptions::new().sign(&model("m", weights)).unwrap();
    signature.tensors()[0].profile().rounding()
}

/// The mean squared difference.
fn moved(from: &[f32], to: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    from.iter().zip(to).map(square).sum::<f64>() / from.len() as f64
}

#[test]
fn rounded_values_show_by_how_much_they_moved() {
    let base = weights(1);
    for (group, levels) in SCHEMES {
        let copy = rounded(&base, group, levels);
        let ratio = rounding(copy.clone()).map(|found| found / moved(&base, &copy));
        let ratio = ratio.unwrap_or_else(|| panic!("{group:?} {levels:?}"));
        assert!((0.8..1.3).contains(&ratio), "{group:?} {levels:?}: {ratio}");
    }
}

/// A few rows are much longer than the rest, and so move most of all by rounding.
#[test]
fn copies_are_recognised_though_few_rows_decide_the_distance() {
    let length = |row: usize| if row % 19 == 7 { 30.0 } else { 1.0 };
    let values = weights(6).into_iter().enumerate();
    let base: Vec<f32> = values
        .map(|(at, value)| length(at / COLUMNS) * value)
        .collect();
    for (group, levels) in [
        (Group::Row(COLUMNS), Levels::Symmetric(127.0)),
        (Group::Row(COLUMNS), Levels::Affine(255.0)),
        (Group::Row(32), Levels::Symmetric(7.0)),
    ] {
        let copy = rounded(&base, group, levels);
        let ratio = rounding(copy.clone()).unwrap() / moved(&base, &copy);
        assert!((0.7..1.4).contains(&ratio), "{group:?} {levels:?}: {ratio}");
        let models = [model("base", base.clone()), model("copy", copy)];
        let expected = ("copy".to_owned(), "base".to_owned(), CopyKind::Quantised);
        assert_eq!(copies(&models), [expected], "{group:?} {levels:?}");
    }
}

#[test]
fn values_that_were_not_rounded_to_few_levels_show_nothing() {
    let base = weights(2);
    let bfloat = |value: &f32| half::bf16::from_f32(*value).to_f32();
    let half = |value: &f32| half::f16::from_f32(*value).to_f32();
    let pruned = |least: f32| {
        let keep = move |&value: &f32| if value.abs() < least { 0.0 } else { value };
        base.iter().map(keep).collect::<Vec<f32>>()
    };
    let fine = rounded(&base, Group::Row(ROWS * COLUMNS), Levels::Symmetric(4096.0));
    // Mantissas are as alike as can be.
    let ones: Vec<f32> = base.iter().map(|value| 1.0 + value).collect();
    let bfloats: Vec<f32> = base.iter().map(bfloat).collect();
    for (what, values) in [
        ("plain", base.clone()),
        ("bfloat", bfloats.clone()),
        ("half", base.iter().map(half).collect()),
        ("pruned", pruned(0.03)),
        ("pruned much", pruned(0.06)),
        ("pruned bfloat", pruned(0.04).iter().map(bfloat).collect()),
        ("many levels", fine),
        ("ones", ones.clone()),
        ("ones in half precision", ones.iter().map(half).collect()),
        ("constant", vec![0.5; ROWS * COLUMNS]),
        ("zeros", vec![0.0; ROWS * COLUMNS]),
    ] {
        assert_eq!(rounding(values), None, "{what}");
    }
    assert_eq!(rounding(base[..512].to_vec().repeat(24)), None);
}

/// A step of training, by this share of the weights.
fn step(from: &[f32], size: f32, seed: u64) -> Vec<f32> {
    let part = |at: usize| ((at / COLUMNS) % 5 + 1) as f32 / 3.0;
    let steps = weights(seed).into_iter().enumerate();
    let moved = steps.zip(from);
    moved
        .map(|((at, step), weight)| weight + size * part(at) * step)
        .collect()
}

/// The copies among models, by name.
fn copies(models: &[InMemoryModel<'_>]) -> Vec<(String, String, CopyKind)> {
    let evidence = signed::evidence(models);
    let name = |group: &GroupEvidence, at: usize| group.models()[at].clone();
    let groups = evidence.groups.iter();
    groups
        .flat_map(|group| {
            let copies = group.copies().iter();
            copies.map(|copy| {
                (
                    name(group, copy.copy),
                    name(group, copy.original),
                    copy.kind,
                )
            })
        })
        .collect()
}

/// Each model's parent, by name.
fn parents(models: &[InMemoryModel<'_>]) -> BTreeMap<String, Option<String>> {
    let graph = Recovery::new().recover(&signed::evidence(models)).unwrap();
    let parent = |child: usize| graph.name(graph.parent(child)?).map(String::from);
    let models = graph.models().iter().enumerate();
    models
        .map(|(at, _)| (graph.name(at).unwrap().into(), parent(at)))
        .collect()
}

#[test]
fn rounded_copies_are_leaves_of_their_originals() {
    let base = weights(3);
    let (first, second) = (step(&base, 0.06, 4), step(&base, 0.05, 5));
    let family = [
        model("base", base),
        model("first", first.clone()),
        model("second", second.clone()),
        model("below-first", step(&first, 0.04, 6)),
        model("below-second", step(&second, 0.045, 7)),
    ];
    let without = parents(&family);
    for (group, levels) in SCHEMES {
        let copy = rounded(&first, group, levels);
        let mut models = family.to_vec();
        models.push(model("first-copy", copy));
        let found = ("first-copy".into(), "first".into(), CopyKind::Quantised);
        assert_eq!(copies(&models), [found], "{group:?} {levels:?}");
        let with = parents(&models);
        let mut expected = without.clone();
        expected.insert("first-copy".into(), Some("first".into()));
        assert_eq!(with, expected, "{group:?} {levels:?}");
    }
}

/// Rounded values that are then stored in 16 bits have moved by both.
#[test]
fn copies_may_be_stored_in_sixteen_bits() {
    let bfloat = |value: &f32| half::bf16::from_f32(*value).to_f32();
    let half = |value: &f32| half::f16::from_f32(*value).to_f32();
    let matrices = |name: &str, store: &dyn Fn(u64) -> Vec<f32>| {
        let model = InMemoryModel::new(name);
        (0..20).fold(model, |model, at| {
            let layer = model.with_layer(format!("{at}"), [ROWS, COLUMNS], store(at));
            layer.unwrap()
        })
    };
    for (group, levels) in [(32, 127.0), (16, 127.0), (64, 7.0)] {
        let rounded = |seed| rounded(&weights(seed), Group::Row(group), Levels::Symmetric(levels));
        let store = |to: &dyn Fn(&f32) -> f32, seed| rounded(seed).iter().map(to).collect();
        let original = matrices("original", &weights);
        let copies_of = |copy| copies(&[original.clone(), copy]);
        let found = ("stored".into(), "original".into(), CopyKind::Quantised);
        let copy = matrices("stored", &|seed| store(&bfloat, seed));
        assert_eq!(
            copies_of(copy),
            core::slice::from_ref(&found),
            "bfloat, {group}"
        );
        let copy = matrices("stored", &|seed| store(&half, seed));
        assert_eq!(copies_of(copy), [found], "half, {group}");
    }
}

/// What was trained further than rounding moves is no copy, however it is stored.
#[test]
fn rounded_children_are_no_copies_of_their_parent() {
    let base = weights(8);
    for (group, levels) in SCHEMES {
        let moved = moved(&base, &rounded(&base, group, levels)).sqrt();
        let child = step(&base, 1.0, 9);
        let far = self::moved(&base, &child).sqrt();
        let child = step(&base, (2.0 * moved / far) as f32, 9);
        let models = [
            model("base", base.clone()),
            model("child", rounded(&child, group, levels)),
        ];
        assert_eq!(copies(&models), [], "{group:?} {levels:?}");
    }
}

/// A finer copy of a rounded model doesn't exist; a coarser one does.
/// Adapters are trained on quantised bases.
#[test]
fn a_rounded_model_is_no_copy_of_what_was_trained_from_it() {
    let base = weights(1);
    let copy = rounded(&base, Group::Row(32), Levels::Symmetric(7.0));
    for size in [0.01, 0.04] {
        let models = [
            model("base", base.clone()),
            model("copy", copy.clone()),
            model("trained", step(&copy, size, 7)),
        ];
        let expected = ("copy".into(), "base".into(), CopyKind::Quantised);
        assert_eq!(copies(&models), [expected], "{size}");
    }
}

#[test]
fn coarser_copies_of_a_rounded_model_are_its_copies() {
    let bytes = rounded(&weights(10), Group::Row(COLUMNS), Levels::Symmetric(127.0));
    let coarse = rounded(&bytes, Group::Row(32), Levels::Symmetric(7.0));
    let found = copies(&[model("bytes", bytes), model("coarse", coarse)]);
    assert_eq!(
        found,
        [("coarse".into(), "bytes".into(), CopyKind::Quantised)]
    );
}
