//! Models and signatures that tests make.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use mother::signature::{Signature, SignatureOptions};
use mother::weights::InMemoryModel;

/// How many layers a model has, and the side of each.
const LAYERS: usize = 4;
pub(crate) const SIDE: usize = 48;

/// The values of a model's layers.
pub(crate) type Layers = Vec<Vec<f32>>;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        // The sum of four is normal enough.
        let mut sum = 0.0;
        for _ in 0..4 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            sum += ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        }
        sum * 1.7
    }
}

/// A model unlike any other.
pub(crate) fn base(seed: u64) -> Layers {
    let mut random = Random(seed ^ 0xBA5E);
    let layer = |_| (0..SIDE * SIDE).map(|_| random.next()).collect();
    (0..LAYERS).map(layer).collect()
}

/// A model that was trained from another.
pub(crate) fn child(parent: &Layers, seed: u64) -> Layers {
    let mut random = Random(seed ^ 0xC417D);
    let row = |row: &[f32], random: &mut Random| {
        let size = 0.1 * (0.4 * random.next()).exp();
        row.iter()
            .map(|value| value + size * random.next())
            .collect::<Vec<f32>>()
    };
    let layer = |layer: &Vec<f32>| {
        layer
            .chunks(SIDE)
            .flat_map(|chunk| row(chunk, &mut random))
            .collect()
    };
    parent.iter().map(layer).collect()
}

pub(crate) fn signature(layers: &Layers) -> Signature {
    signature_with(layers, SignatureOptions::new())
}

pub(crate) fn signature_with(layers: &Layers, options: SignatureOptions) -> Signature {
    let named = layers
        .iter()
        .enumerate()
        .map(|(at, layer)| (format!("layers.{at}"), layer.clone()));
    signature_of(named.collect(), options)
}

/// The signature of a model whose layers have these names.
pub(crate) fn signature_of(
    layers: Vec<(String, Vec<f32>)>,
    options: SignatureOptions,
) -> Signature {
    let mut model = InMemoryModel::new("local");
    for (name, layer) in layers {
        model = model.with_layer(name, [SIDE, SIDE], layer).unwrap();
    }
    options.sign(&model).unwrap()
}

/// Writes a model as a safetensors file.
pub(crate) fn write(path: &Path, layers: &Layers) {
    let names: Vec<String> = (0..layers.len()).map(|at| format!("layers.{at}")).collect();
    let tensors = names.iter().zip(layers);
    let tensors = tensors.map(|(name, layer)| (name.as_str(), [SIDE, SIDE], layer.clone()));
    write_tensors(path, &tensors.collect::<Vec<_>>());
}

/// Writes matrices with their names and shapes as a safetensors file.
pub(crate) fn write_tensors(path: &Path, tensors: &[(&str, [usize; 2], Vec<f32>)]) {
    let mut end = 0;
    let entries = tensors.iter().map(|(name, shape, values)| {
        let start = end;
        end += 4 * values.len();
        format!(
            "\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
        )
    });
    let header = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    let values = tensors.iter().flat_map(|(_, _, values)| values);
    file.extend(values.flat_map(|value| value.to_le_bytes()));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, file).unwrap();
}

/// Writes a sparse model of 60 GB, which takes no space on disk and minutes to read.
pub(crate) fn write_endless(path: &Path) {
    let rows = 15_000_000_u64;
    let bytes = rows * 1000 * 4;
    let header = format!(
        "{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{rows},1000],\"data_offsets\":[0,{bytes}]}}}}"
    );
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + bytes).unwrap();
}
