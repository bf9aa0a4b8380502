//! Models as files of each format.

use serde_json::{Map, json};

use super::gguf::{beginning, text};
use super::pytorch::tensor;
use super::zip::archive;
use crate::dequantised::stored::Tensor;
use crate::safetensors::file_with;

pub(crate) fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for tensor in tensors {
        let start = data.len();
        data.extend(&tensor.bytes);
        let entry = json!({
            "dtype": tensor.element_type.to_string(),
            "shape": tensor.shape,
            "data_offsets": [start, data.len()],
        });
        header.insert(tensor.name.clone(), entry);
    }
    file_with(json!(header).to_string(), &data)
}

/// A file of PyTorch, whose dictionary lies under `wrapper` if there is one.
pub(crate) fn pytorch(tensors: &[Tensor], wrapper: Option<&str>) -> Vec<u8> {
    let mut state = String::from("(d");
    for (place, stored) in tensors.iter().enumerate() {
        let product = |lengths: &[usize]| lengths.iter().product::<usize>();
        let integer = |length: usize| format!("I{length}\n");
        let shape: String = stored.shape.iter().copied().map(integer).collect();
        let strides = (1..=stored.shape.len()).map(|next| product(&stored.shape[next..]));
        let strides: String = strides.map(integer).collect();
        let rebuilt = tensor(&integer(product(&stored.shape)), "I0\n", &shape, &strides);
        let rebuilt = rebuilt.replace("S'0'", &format!("S'{place}'"));
        state += &format!("S'{}'\n{rebuilt}s", stored.name);
    }
    let pickle = match wrapper {
        Some(wrapper) => format!("(dS'{wrapper}'\n{state}s."),
        None => format!("{state}."),
    };
    let names: Vec<String> = (0..tensors.len())
        .map(|place| format!("a/data/{place}"))
        .collect();
    let mut entries = vec![("a/data.pkl", pickle.as_bytes())];
    let storages = names.iter().zip(tensors);
    entries.extend(storages.map(|(name, tensor)| (name.as_str(), tensor.bytes.as_slice())));
    archive(&entries)
}

/// How llama.cpp stores 32 values.
pub(crate) struct Blocks {
    kind: u32,
    pack: fn(&[f32]) -> Vec<u8>,
}

/// A scale, and codes of eight bits.
pub(crate) const Q8_0: Blocks = Blocks {
    kind: 8,
    pack: |values| {
        let scale = half::f16::from_f32(largest(values).abs() / 127.0);
        let code = |value: &f32| ((value / scale.to_f32()).round() as i8).cast_unsigned();
        let codes = values.iter().map(code);
        scale.to_le_bytes().into_iter().chain(codes).collect()
    },
};

/// A scale, and codes of four bits: those of the second half above those of the first.
pub(crate) const Q4_0: Blocks = Blocks {
    kind: 2,
    pack: |values| {
        let scale = half::f16::from_f32(largest(values) / -8.0);
        let code = |value: &f32| (value / scale.to_f32() + 8.5).clamp(0.0, 15.0) as u8;
        let (first, second) = values.split_at(16);
        let pairs = first.iter().zip(second);
        let codes = pairs.map(|(low, high)| code(low) | code(high) << 4);
        scale.to_le_bytes().into_iter().chain(codes).collect()
    },
};

/// The values of a tensor of floats.
fn values(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![0.0; tensor.bytes.len() / tensor.element_type.size()];
    tensor
        .element_type
        .decode(&tensor.bytes, &mut values)
        .unwrap();
    values
}

/// The value of the largest magnitude.
fn largest(values: &[f32]) -> f32 {
    let larger = |most: f32, &value: &f32| {
        if value.abs() > most.abs() {
            value
        } else {
            most
        }
    };
    values.iter().fold(0.0, larger)
}

/// A file of llama.cpp of the architecture Llama, whose matrices are stored in blocks; names and rows are
/// llama.cpp's already.
pub(crate) fn gguf(tensors: &[Tensor], keys: &[(&str, u32)], blocks: &Blocks) -> Vec<u8> {
    let mut bytes = beginning(tensors.len() as u64, 1 + keys.len() as u64);
    bytes.extend(text("general.architecture"));
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend(text("llama"));
    for (key, value) in keys {
        bytes.extend(text(key));
        bytes.extend([4, *value].map(u32::to_le_bytes).concat());
    }
    let mut data: Vec<u8> = Vec::new();
    for tensor in tensors {
        let is_matrix = tensor.shape.len() > 1;
        let kind = if is_matrix { blocks.kind } else { 0 };
        bytes.extend(text(&tensor.name));
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        let lengths = tensor.shape.iter().rev();
        bytes.extend(lengths.flat_map(|&length| (length as u64).to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend((data.len() as u64).to_le_bytes());
        if is_matrix {
            data.extend(values(tensor).chunks(32).flat_map(blocks.pack));
        } else {
            data.extend(&tensor.bytes);
        }
        data.resize(data.len().next_multiple_of(32), 0);
    }
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    [bytes, data].concat()
}
