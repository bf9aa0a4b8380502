//! Toy decoders, steps of training, and what recovery says of a folder of them.

extern crate alloc;

use alloc::collections::BTreeMap;

use mother::evidence::Evidence;
use mother::heritage::{ModelGraph, Recovery};
use mother::weights::InMemoryModel;

use crate::noise::Noise;
use crate::signed;

pub(crate) const WIDTH: usize = 32;
const HIDDEN: usize = 64;
pub(crate) const VOCABULARY: usize = 96;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Single(Vec<f32>),
    Codes(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

impl Tensor {
    pub(crate) fn new(shape: &[usize], values: Vec<f32>) -> Self {
        Self {
            shape: shape.into(),
            values: Values::Single(values),
        }
    }

    /// Numbers of variance 1 over the length of a row.
    pub(crate) fn random(shape: &[usize], noise: &mut Noise) -> Self {
        let count = shape.iter().product();
        let size = 1.0 / (shape[shape.len() - 1] as f64).sqrt();
        let values = (0..count).map(|_| (size * noise.next()) as f32);
        Self::new(shape, values.collect())
    }

    pub(crate) fn values(&self) -> &[f32] {
        match &self.values {
            Values::Single(values) => values,
            Values::Codes(_) => panic!("these are codes"),
        }
    }

    pub(crate) fn values_mut(&mut self) -> &mut Vec<f32> {
        match &mut self.values {
            Values::Single(values) => values,
            Values::Codes(_) => panic!("these are codes"),
        }
    }

    fn is_matrix(&self) -> bool {
        self.shape.len() > 1
    }

    /// Adds rows a tenth as long as the others, as those of new tokens start.
    pub(crate) fn with_rows(mut self, rows: usize, noise: &mut Noise) -> Self {
        let new = Self::random(&[rows, self.shape[1]], noise);
        self.shape[0] += rows;
        (self.values_mut()).extend(new.values().iter().map(|value| 0.1 * value));
        self
    }
}

pub(crate) type Weights = BTreeMap<String, Tensor>;

/// A toy decoder with norms and biases.
pub(crate) fn decoder(seed: u64, layers: usize, vocabulary: usize) -> Weights {
    let mut noise = Noise::new(seed);
    let mut weights = Weights::new();
    let embedding = Tensor::random(&[vocabulary, WIDTH], &mut noise);
    weights.insert("embed_tokens.weight".into(), embedding);
    for layer in 0..layers {
        for (name, shape) in [
            ("self_attn.q_proj", [WIDTH, WIDTH]),
            ("self_attn.k_proj", [WIDTH / 2, WIDTH]),
            ("self_attn.v_proj", [WIDTH / 2, WIDTH]),
            ("self_attn.o_proj", [WIDTH, WIDTH]),
            ("mlp.gate_proj", [HIDDEN, WIDTH]),
            ("mlp.up_proj", [HIDDEN, WIDTH]),
            ("mlp.down_proj", [WIDTH, HIDDEN]),
        ] {
            let name = format!("layers.{layer}.{name}");
            let matrix = Tensor::random(&shape, &mut noise);
            weights.insert(format!("{name}.weight"), matrix);
            let bias = (0..shape[0])
                .map(|_| (0.01 * noise.next()) as f32)
                .collect();
            weights.insert(format!("{name}.bias"), Tensor::new(&shape[..1], bias));
        }
        let norm = (0..WIDTH)
            .map(|_| (1.0 + 0.1 * noise.next()) as f32)
            .collect();
        weights.insert(
            format!("layers.{layer}.norm.weight"),
            Tensor::new(&[WIDTH], norm),
        );
    }
    let head = Tensor::random(&[vocabulary, WIDTH], &mut noise);
    weights.insert("lm_head.weight".into(), head);
    weights
}

fn norm(values: &[f32]) -> f64 {
    let squares = values.iter().map(|&value| f64::from(value).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Adds a step of this share of the tensor's norm.
fn moved(tensor: &Tensor, step: &[f32], size: f64) -> Tensor {
    let scale = (size * norm(tensor.values()) / norm(step)) as f32;
    let pairs = tensor.values().iter().zip(step);
    let values = pairs.map(|(value, step)| value + scale * step).collect();
    Tensor::new(&tensor.shape, values)
}

/// Trains the matrices whose names are trained; rows move by different amounts, as in real training.
pub(crate) fn step(from: &Weights, seed: u64, size: f64, trains: impl Fn(&str) -> bool) -> Weights {
    let mut noise = Noise::new(seed);
    let mut next = from.clone();
    let matrices = next.iter_mut().filter(|(_, tensor)| tensor.is_matrix());
    for (_, tensor) in matrices.filter(|(name, _)| trains(name)) {
        let mut step = Vec::new();
        for _ in 0..tensor.shape[0] {
            let length = (0.5 * noise.next()).exp();
            step.extend((0..tensor.shape[1]).map(|_| (length * noise.next()) as f32));
        }
        *tensor = moved(tensor, &step, size);
    }
    next
}

/// Adds a product of two thin matrices to every projection whose name is trained.
pub(crate) fn lora(from: &Weights, seed: u64, size: f64, trains: impl Fn(&str) -> bool) -> Weights {
    let mut noise = Noise::new(seed);
    let mut next = from.clone();
    let matrices = next
        .iter_mut()
        .filter(|(name, _)| name.ends_with("proj.weight"));
    for (_, tensor) in matrices.filter(|(name, _)| trains(name)) {
        let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
        let mut step = vec![0.0; rows * columns];
        for _ in 0..2 {
            let left: Vec<f64> = (0..rows).map(|_| noise.next()).collect();
            let right: Vec<f64> = (0..columns).map(|_| noise.next()).collect();
            for (index, step) in step.iter_mut().enumerate() {
                *step += (left[index / columns] * right[index % columns]) as f32;
            }
        }
        *tensor = moved(tensor, &step, size);
    }
    next
}

pub(crate) fn all(_: &str) -> bool {
    true
}

pub(crate) type Folder = Vec<(String, Weights)>;

/// What the tree of [`family`] is.
pub(crate) const PARENTS: [(&str, Option<&str>); 5] = [
    ("base", None),
    ("a", Some("base")),
    ("b", Some("base")),
    ("a1", Some("a")),
    ("b1", Some("b")),
];

/// A base with two children, each of which has a child.
pub(crate) fn family(
    base: &Weights,
    seed: u64,
    train: impl Fn(&Weights, u64, f64) -> Weights,
) -> Folder {
    let a = train(base, seed + 1, 0.06);
    let b = train(base, seed + 2, 0.05);
    let a1 = train(&a, seed + 3, 0.04);
    let b1 = train(&b, seed + 4, 0.045);
    let named = [
        ("base", base.clone()),
        ("a", a),
        ("b", b),
        ("a1", a1),
        ("b1", b1),
    ];
    named.map(|(name, weights)| (name.into(), weights)).into()
}

/// The weights of one of the folder's models.
pub(crate) fn weights<'a>(folder: &'a mut Folder, name: &str) -> &'a mut Weights {
    let found = folder.iter_mut().find(|(other, _)| other == name);
    &mut found.unwrap().1
}

pub(crate) fn models(folder: &Folder) -> Vec<InMemoryModel<'static>> {
    let model = |(name, weights): &(String, Weights)| {
        let mut model = InMemoryModel::new(name);
        for (name, tensor) in weights {
            let shape = tensor.shape.clone();
            model = match tensor.values.clone() {
                Values::Single(values) => model.with_layer(name, shape, values),
                Values::Codes(values) => model.with_layer(name, shape, values),
            }
            .unwrap();
        }
        model
    };
    folder.iter().map(model).collect()
}

pub(crate) fn recovered(folder: &Folder) -> (Evidence, ModelGraph) {
    let evidence = signed::evidence(&models(folder));
    let graph = Recovery::new().recover(&evidence).unwrap();
    (evidence, graph)
}

pub(crate) fn parent<'a>(graph: &'a ModelGraph, model: &str) -> Option<&'a str> {
    graph.name(graph.parent(graph.index(model).unwrap())?)
}

/// All models with their parents, as far as they are given.
pub(crate) fn assert_parents(graph: &ModelGraph, expected: &[(&str, Option<&str>)]) {
    for &(model, expected) in expected {
        assert_eq!(parent(graph, model), expected, "{model}:\n{graph}");
    }
}

/// The names of the copies with those of their originals.
pub(crate) fn copies(evidence: &Evidence) -> Vec<(String, String)> {
    let of_group = |group: &mother::evidence::GroupEvidence| {
        let name = |model: usize| group.models()[model].clone();
        let copies = group.copies().iter();
        let names = copies.map(|copy| (name(copy.copy), name(copy.original)));
        names.collect::<Vec<_>>()
    };
    evidence.groups.iter().flat_map(of_group).collect()
}
