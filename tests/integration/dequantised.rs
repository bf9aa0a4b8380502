//! Quantised models are read as the weights that they compute with.

pub(crate) mod packers;
mod refused;
pub(crate) mod stored;
mod words;

extern crate alloc;

use alloc::collections::BTreeMap;

use mother::evidence::{CopyKind, Evidence, GroupEvidence, SignatureComparison};
use mother::heritage::Recovery;
use mother::signature::Signature;
use mother::weights::{
    DecodeError, Dequantised, ElementType, InMemoryModel, Layer, SkippedLayer, WeightSource,
};
use proptest::prelude::*;

use self::packers::{Matrix, SCHEMES};
use self::stored::{Stored, Tensor};
use crate::noise::noise;
use crate::signed;

fn values(seed: u64, rows: usize, columns: usize) -> Vec<f32> {
    let size = |at: usize| 0.02 + (at / columns % 7) as f32 / 200.0;
    let values = noise(seed, rows * columns).into_iter().enumerate();
    values.map(|(at, value)| size(at) * value).collect()
}

fn dequantised(tensors: Vec<Tensor>) -> Dequantised<Stored> {
    Dequantised::new(Stored::new("model", tensors)).unwrap()
}

fn names(model: &impl WeightSource) -> Vec<String> {
    let layers = model.layers().map(Result::unwrap);
    layers.map(|layer| layer.name().into()).collect()
}

/// The reasons why layers are left out, each after the first layer's name.
fn reasons(model: &impl WeightSource) -> Vec<String> {
    let skipped = model.skipped_layers().iter();
    skipped
        .map(|layer| format!("{}: {}", layer.layer, layer.reason))
        .collect()
}

#[test]
fn every_scheme_is_one_layer_of_the_weights_name_and_shape() {
    let (rows, columns) = (32, 160);
    let weights = values(1, rows, columns);
    for (scheme, pack) in SCHEMES {
        let name = "model.layers.0.mlp.up_proj.weight";
        let (tensors, _) = pack(&Matrix {
            name,
            rows,
            columns,
            values: &weights,
        });
        let model = dequantised(tensors);
        assert_eq!(names(&model), [name], "{scheme}");
        assert_eq!(reasons(&model), [""; 0], "{scheme}");
        let layer = model.layers().next().unwrap().unwrap();
        assert_eq!(layer.shape(), [rows, columns], "{scheme}");
        assert!(layer.element_type().may_be_weights(), "{scheme}");
        assert!(layer.as_slice().is_none(), "{scheme}");
    }
}

/// The decoded values, and those that were packed.
fn decoded(scheme: usize, rows: usize, offset: usize, length: usize) -> [Vec<f64>; 2] {
    let columns = 160;
    let weights = values(2, rows, columns);
    let (_, pack) = SCHEMES[scheme];
    let (tensors, expected) = pack(&Matrix {
        name: "weight",
        rows,
        columns,
        values: &weights,
    });
    let model = dequantised(tensors);
    let layer = model.layers().next().unwrap().unwrap();
    let mut doubles = vec![f64::NAN; length];
    layer.read(offset, &mut doubles).unwrap();
    let mut singles = vec![f32::NAN; length];
    layer.read(offset, &mut singles).unwrap();
    let narrowed: Vec<f32> = doubles.iter().map(|&value| value as f32).collect();
    assert_eq!(singles, narrowed);
    [doubles, expected[offset..offset + length].to_vec()]
}

#[test]
fn all_values_are_those_that_were_packed() {
    for (scheme, (name, _)) in SCHEMES.iter().enumerate() {
        // Of 48 rows the last block of 32 isn't complete.
        let [decoded, packed] = decoded(scheme, 48, 0, 48 * 160);
        assert_eq!(decoded, packed, "{name}");
    }
}

proptest! {
    #![proptest_config(crate::cases(100))]

    #[test]
    fn any_chunk_is_decoded_from_any_offset(
        scheme in 0..SCHEMES.len(),
        offset in 0..16 * 160_usize,
        length in any::<prop::sample::Index>(),
    ) {
        let length = length.index(16 * 160 - offset + 1);
        let [decoded, packed] = decoded(scheme, 16, offset, length);
        prop_assert_eq!(decoded, packed);
    }
}

#[test]
fn codes_of_three_bits_go_on_in_the_next_word() {
    let (rows, columns) = (32, 160);
    let values = values(5, rows, columns);
    let (name, values) = ("weight", &values[..]);
    let matrix = Matrix {
        name,
        rows,
        columns,
        values,
    };
    let (tensors, packed) = packers::gptq(&matrix, 3, 32, packers::Order::Given);
    let model = dequantised(tensors);
    let layer = model.layers().next().unwrap().unwrap();
    for length in [1, 11, 159, 160, 333, rows * columns] {
        let mut decoded = vec![f64::NAN; rows * columns];
        for (chunk, values) in decoded.chunks_mut(length).enumerate() {
            layer.read(chunk * length, values).unwrap();
        }
        assert_eq!(decoded, packed, "{length}");
    }
}

#[test]
fn other_layers_show_how_many_inputs_share_a_scale() {
    // Of each both 2 bits with groups of 64 and 4 bits with groups of 32 would do.
    let matrix = |name, rows, columns: usize| {
        let values = values(3, rows, columns);
        let (name, values) = (name, &values[..]);
        let m = Matrix {
            name,
            rows,
            columns,
            values,
        };
        packers::affine(&m, 4, 32).0
    };
    let tensors = [
        matrix("up_proj.weight", 96, 64),
        matrix("down_proj.weight", 64, 96),
    ];
    let model = dequantised(tensors.concat());
    let shapes = model.layers().map(|layer| layer.unwrap().shape().to_vec());
    assert_eq!(shapes.collect::<Vec<_>>(), [[96, 64], [64, 96]]);
    // One alone is taken for what MLX does by default.
    let model = dequantised(matrix("up_proj.weight", 96, 64));
    assert_eq!(model.layers().next().unwrap().unwrap().shape(), [96, 128]);
}

const LAYERS: [(&str, usize, usize); 4] = [
    ("model.embed_tokens.weight", 96, 64),
    ("model.layers.0.self_attn.q_proj.weight", 64, 64),
    ("model.layers.0.mlp.down_proj.weight", 64, 96),
    ("model.norm.weight", 64, 1),
];

type Weights = Vec<Vec<f32>>;

fn base(seed: u64) -> Weights {
    let layers = LAYERS.iter().zip(seed..);
    layers
        .map(|(&(_, rows, columns), seed)| values(seed, rows, columns))
        .collect()
}

/// A step of training, by this share of the weights.
fn step(from: &Weights, size: f32, seed: u64) -> Weights {
    let layers = from.iter().zip(base(seed));
    let moved = layers.map(|(weights, steps)| {
        let part = |at: usize| ((at / 64) % 5 + 1) as f32 / 3.0;
        let steps = steps.into_iter().zip(weights).enumerate();
        steps
            .map(|(at, (step, weight))| weight + size * part(at) * step)
            .collect()
    });
    moved.collect()
}

fn plain(layer: usize, weights: &[f32]) -> Tensor {
    let (name, rows, columns) = LAYERS[layer];
    let shape = [rows, columns];
    Tensor::floats(
        name,
        if columns == 1 { &shape[..1] } else { &shape },
        weights,
    )
}

fn stored(name: &str, weights: &Weights) -> Dequantised<Stored> {
    let layers = weights.iter().enumerate();
    let tensors = layers
        .map(|(layer, weights)| plain(layer, weights))
        .collect();
    Dequantised::new(Stored::new(name, tensors)).unwrap()
}

/// A model whose projections are quantised, as they mostly are.
fn quantised(name: &str, weights: &Weights, scheme: usize) -> Dequantised<Stored> {
    let mut tensors = Vec::new();
    for (layer, values) in weights.iter().enumerate() {
        let (name, rows, columns) = LAYERS[layer];
        if name.contains("_proj.") {
            tensors.extend(
                SCHEMES[scheme].1(&Matrix {
                    name,
                    rows,
                    columns,
                    values,
                })
                .0,
            );
        } else {
            tensors.push(plain(layer, values));
        }
    }
    // Positions, which are no weights.
    tensors.push(Tensor::words("model.position_ids", &[1, 64], &[7; 64]));
    Dequantised::new(Stored::new(name, tensors)).unwrap()
}

/// Each model's parent, by name.
fn parents(evidence: &Evidence) -> BTreeMap<String, Option<String>> {
    let graph = Recovery::new().recover(evidence).unwrap();
    let parent = |child: usize| graph.name(graph.parent(child)?).map(String::from);
    let models = (0..graph.models().len()).map(|at| (graph.name(at).unwrap().into(), parent(at)));
    models.collect()
}

#[test]
fn quantised_copies_are_children_of_their_originals_and_change_nothing_else() {
    let base = base(10);
    let (first, second) = (step(&base, 0.3, 20), step(&base, 0.25, 30));
    let family = signed::signatures(&[
        stored("base", &base),
        stored("first", &first),
        stored("second", &second),
        stored("below-first", &step(&first, 0.2, 40)),
        stored("below-second", &step(&second, 0.22, 50)),
    ]);
    let compare = |signatures: &[Signature]| {
        let comparison = SignatureComparison::new();
        comparison.compare(signatures).unwrap()
    };
    let without = parents(&compare(&family));
    for (scheme, (name, _)) in SCHEMES.iter().enumerate() {
        let copy = signed::signatures(&[quantised("first-copy", &first, scheme)]);
        let evidence = compare(&[family.clone(), copy].concat());
        let mut expected = without.clone();
        expected.insert("first-copy".into(), Some("first".into()));
        assert_eq!(parents(&evidence), expected, "{name}");
        let copies = evidence.groups.iter().flat_map(GroupEvidence::copies);
        let copies: Vec<CopyKind> = copies.map(|copy| copy.kind).collect();
        assert_eq!(copies, [CopyKind::Quantised], "{name}");
    }
}

#[test]
fn models_that_are_not_quantised_are_left_as_they_are() {
    let model = InMemoryModel::new("m")
        .with_layer("a.weight", [2, 2], vec![1.0_f32, 2.0, 3.0, 4.0])
        .unwrap()
        .with_layer("a.weight_scale", [2], vec![1.0_f64, 2.0])
        .unwrap()
        .with_layer("k_scale", [2], vec![1.0_f64, 2.0])
        .unwrap();
    let wrapped = Dequantised::new(&model).unwrap();
    assert_eq!(names(&wrapped), ["a.weight", "a.weight_scale", "k_scale"]);
    for (stored, layer) in model.layers().zip(wrapped.layers()) {
        let (stored, layer) = (stored.unwrap(), layer.unwrap());
        assert_eq!(stored.as_slice(), layer.as_slice());
        assert_eq!(stored.element_type(), layer.element_type());
        assert_eq!(stored.shape(), layer.shape());
    }
    assert_eq!(wrapped.name(), "m");
}

/// A model of one packed layer with one of its tensors changed.
fn changed(scheme: &str, change: impl Fn(&mut Vec<Tensor>)) -> Dequantised<Stored> {
    let (rows, columns) = (16, 64);
    let weights = values(3, rows, columns);
    let pack = SCHEMES.iter().find(|(name, _)| *name == scheme).unwrap().1;
    let name = "p.weight";
    let (mut tensors, _) = pack(&Matrix {
        name,
        rows,
        columns,
        values: &weights,
    });
    tensors.push(Tensor::floats("p.bias", &[rows], &weights[..rows]));
    change(&mut tensors);
    dequantised(tensors)
}

#[test]
fn hundreds_of_layers_that_can_not_be_decoded_are_one_line() {
    let codes = |layer: usize| {
        let name = format!("model.layers.{layer}.q_proj.qweight");
        [
            Tensor::words(&name, &[8, 16], &[0; 128]),
            // Sixteen codes of 10 bits.
            Tensor::words(&name.replace("qweight", "qzeros"), &[1, 5], &[0; 5]),
            Tensor::floats(&name.replace("qweight", "scales"), &[1, 16], &[0.5; 16]),
            Tensor::bytes(&name.replace("qweight", "mask"), &[8, 8], &[1; 64]),
        ]
    };
    let mut tensors: Vec<Tensor> = (0..100).flat_map(codes).collect();
    tensors.push(Tensor::floats("norm.weight", &[4], &[1.0; 4]));
    tensors.push(Tensor::bytes("norm.count", &[1], &[1]));
    tensors.push(Tensor::words("steps", &[1], &[1]).of_type(ElementType::U32));
    let model = dequantised(tensors);
    assert_eq!(names(&model), ["norm.weight"]);
    let expected = "model.layers.0.q_proj.qweight: the codes do not have 2, 3, 4 or 8 bits; \
                    199 more layers cannot be decoded either";
    assert_eq!(reasons(&model), [expected]);
}

proptest! {
    #![proptest_config(crate::cases(400))]

    /// Reading beyond a tensor's end would panic in the source.
    #[cfg(feature = "proptest")]
    #[test]
    fn tensors_of_any_shape_and_type_are_decoded_or_left_out(
        scheme in 0..SCHEMES.len(),
        changes in prop::collection::vec(
            (
                any::<prop::sample::Index>(),
                prop::collection::vec(0..70_usize, 0..4),
                prop::option::of(prop::sample::select(ElementType::ALL)),
                any::<[u8; 4]>(),
            ),
            1..3,
        ),
    ) {
        let model = changed(SCHEMES[scheme].0, |tensors| {
            for (which, shape, element_type, bytes) in &changes {
                let which = which.index(tensors.len());
                let tensor = &mut tensors[which];
                tensor.shape.clone_from(shape);
                tensor.element_type = element_type.unwrap_or(tensor.element_type);
                let length = shape.iter().product::<usize>() * tensor.element_type.size();
                let pattern = tensor.bytes.iter().chain(bytes).copied().cycle();
                tensor.bytes = pattern.take(length).collect();
            }
        });
        prop_assert_eq!(mother::invariants::weight_source(&model), Ok(()));
        prop_assert!(model.skipped_layers().len() <= 1);
    }
}

/// Tables beside what the source skipped aren't weights; and there is one line a reason.
#[test]
fn skipped_layers_of_the_source_are_summarised() {
    struct Skipping(Stored, Vec<SkippedLayer>);
    impl WeightSource for Skipping {
        type Error = DecodeError;
        type Layer<'a> = <Stored as WeightSource>::Layer<'a>;

        fn name(&self) -> &str {
            self.0.name()
        }

        fn layers(&self) -> impl Iterator<Item = Result<Self::Layer<'_>, DecodeError>> {
            self.0.layers()
        }

        fn skipped_layers(&self) -> &[SkippedLayer] {
            &self.1
        }
    }
    let scales =
        |layer: usize| Tensor::floats(&format!("{layer}.weight_scale"), &[8, 2], &[0.5; 16]);
    let skipped = |layer: usize| SkippedLayer {
        layer: format!("{layer}.weight"),
        reason: if layer == 3 { "F6" } else { "F4" }.into(),
    };
    let tensors = (0..100).map(scales).collect();
    let source = Skipping(Stored::new("m", tensors), (0..100).map(skipped).collect());
    let model = Dequantised::new(&source).unwrap();
    assert_eq!(names(&model), [""; 0]);
    let expected = [
        "0.weight: F4; 98 more layers cannot be decoded either",
        "3.weight: F6",
    ];
    assert_eq!(reasons(&model), expected);
}

/// Values are read in pieces no longer than asked for, and tables no further than a row of them.
#[test]
fn no_more_is_read_at_once_than_is_asked_for() {
    let (rows, columns) = (64, 160);
    let weights = values(4, rows, columns);
    for (scheme, pack) in SCHEMES {
        let (tensors, _) = pack(&Matrix {
            name: "weight",
            rows,
            columns,
            values: &weights,
        });
        let model = dequantised(tensors);
        let mut values = vec![0.0_f32; 320];
        for layer in model.layers().map(Result::unwrap) {
            for offset in (0..rows * columns).step_by(320) {
                layer.read(offset, &mut values).unwrap();
            }
        }
        assert!(
            model.source().most() <= 320,
            "{scheme}: {}",
            model.source().most()
        );
    }
}
