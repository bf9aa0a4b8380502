//! Ways to store a matrix of weights, each with the values that it stands for.

use mother::weights::ElementType;

use super::stored::Tensor;
pub(super) use super::words::{Order, affine, gptq};
use super::words::{awq, awq_by_outputs, compressed};

/// A matrix to be stored under `name`, which ends in `weight`.
pub(crate) struct Matrix<'a> {
    pub(crate) name: &'a str,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: &'a [f32],
}

/// What is stored, and the values that it stands for.
pub(crate) type Packed = (Vec<Tensor>, Vec<f64>);

/// A way to store a matrix.
pub(crate) type Packer = fn(&Matrix<'_>) -> Packed;

/// The names of all ways, each with its packer.
pub(crate) const SCHEMES: [(&str, Packer); 33] = [
    ("F8_E4M3, one scale", |m| {
        scaled(m, ElementType::F8E4M3, (m.rows, m.columns), "_scale")
    }),
    ("F8_E5M2, one scale", |m| {
        scaled(m, ElementType::F8E5M2, (m.rows, m.columns), "_scale")
    }),
    ("F8_E4M3, rows", |m| {
        scaled(m, ElementType::F8E4M3, (1, m.columns), "_scale")
    }),
    ("F8_E4M3, columns", |m| {
        scaled(m, ElementType::F8E4M3, (m.rows, 1), "_scale")
    }),
    ("F8_E4M3, blocks", |m| {
        scaled(m, ElementType::F8E4M3, (32, 32), "_scale_inv")
    }),
    ("F8_E4M3, groups", |m| {
        scaled(m, ElementType::F8E4M3, (1, 32), "_scale")
    }),
    ("I8, rows", |m| {
        scaled(m, ElementType::I8, (1, m.columns), "_scale")
    }),
    ("I8, groups", |m| {
        scaled(m, ElementType::I8, (1, 16), "_scale")
    }),
    ("I8, rows, named after the module", |m| {
        let (mut tensors, values) = scaled(m, ElementType::I8, (1, m.columns), ".scale");
        tensors[1].name = m.beside("scale");
        (tensors, values)
    }),
    ("I8, below the weight", |m| {
        scaled(m, ElementType::I8, (m.rows, m.columns), ".scale")
    }),
    ("ONNX", onnx),
    ("microscaling", microscaling),
    ("I8 with zeros", zero_points),
    ("LLM.int8", llm_int8),
    ("Quanto", quanto),
    ("NF4", |m| nibbles(m, 64, None)),
    ("NF4, nested", |m| nibbles(m, 64, Some(8))),
    ("GPTQ of 4 bits", |m| gptq(m, 4, 16, Order::Given)),
    ("GPTQ of 8 bits", |m| gptq(m, 8, 32, Order::Given)),
    ("GPTQ of 2 bits", |m| gptq(m, 2, 16, Order::Given)),
    ("GPTQ in order of activations", |m| {
        gptq(m, 4, 16, Order::ByActivations)
    }),
    ("AWQ", awq),
    ("AWQ by outputs", awq_by_outputs),
    ("compressed-tensors", |m| compressed(m, 4, 32)),
    ("MXFP4", |m| small_floats(m, Floats::Exponents)),
    ("NVFP4", |m| small_floats(m, Floats::Factor)),
    ("NVFP4, packed", |m| small_floats(m, Floats::Divisor)),
    ("MXFP4 in F4", |m| unpacked(m, Floats::Exponents)),
    ("NVFP4 in F4", |m| unpacked(m, Floats::Factor)),
    ("gpt-oss", gpt_oss),
    ("MLX of 3 bits", |m| affine(m, 3, 32)),
    ("MLX of 5 bits", |m| affine(m, 5, 32)),
    ("torchao", torchao),
];

impl Matrix<'_> {
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The name of something beside the weight.
    pub(crate) fn beside(&self, what: &str) -> String {
        format!("{}{what}", self.name.strip_suffix("weight").unwrap())
    }

    /// The place of each value's block, and how many blocks there are down and across.
    fn blocks(&self, (height, width): (usize, usize)) -> (Vec<usize>, [usize; 2]) {
        let across = self.columns.div_ceil(width);
        let place = |at: usize| at / self.columns / height * across + at % self.columns / width;
        let places = (0..self.values.len()).map(place).collect();
        (places, [self.rows.div_ceil(height), across])
    }

    /// The largest magnitude of each block.
    fn largest(&self, places: &[usize], count: usize) -> Vec<f32> {
        let mut largest = vec![0.0_f32; count];
        for (&place, value) in places.iter().zip(self.values) {
            largest[place] = largest[place].max(value.abs());
        }
        largest
    }
}

/// All finite values of a type of one byte, each with its byte, in order.
fn levels(element_type: ElementType) -> Vec<(f32, u8)> {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut values = [0.0_f32; 256];
    element_type.decode(&bytes, &mut values).unwrap();
    let levels = values.into_iter().zip(bytes);
    let mut levels: Vec<(f32, u8)> = levels.filter(|(value, _)| value.is_finite()).collect();
    levels.sort_by(|a, b| a.0.total_cmp(&b.0));
    levels
}

/// The byte whose value is nearest, and that value.
fn nearest(levels: &[(f32, u8)], value: f32) -> (u8, f32) {
    let above = levels.partition_point(|level| level.0 < value);
    let near = &levels[above.saturating_sub(1)..levels.len().min(above + 1)];
    let far = |level: &(f32, u8)| (level.0 - value).abs();
    let (number, byte) = near
        .iter()
        .min_by(|a, b| far(a).total_cmp(&far(b)))
        .unwrap();
    (*byte, *number)
}

/// Codes of the weight's shape, and a table of scales for blocks.
fn scaled(m: &Matrix<'_>, stored: ElementType, block: (usize, usize), table: &str) -> Packed {
    let greatest = match stored {
        ElementType::I8 => 127.0,
        ElementType::F8E4M3 => 448.0,
        _ => 57344.0,
    };
    let (places, shape) = m.blocks(block);
    let largest = m.largest(&places, shape[0] * shape[1]);
    let scales: Vec<f32> = largest.iter().map(|largest| largest / greatest).collect();
    let levels = levels(stored);
    let (mut codes, mut values) = (Vec::new(), Vec::new());
    for (&place, value) in places.iter().zip(m.values) {
        let (code, number) = nearest(&levels, value / scales[place]);
        codes.push(code);
        values.push(f64::from(number) * f64::from(scales[place]));
    }
    let shape: &[usize] = if scales.len() == 1 { &[] } else { &shape };
    let tensors = vec![
        Tensor::new(m.name, &m.shape(), stored, codes),
        Tensor::floats(&format!("{}{table}", m.name), shape, &scales),
        Tensor::floats(&m.beside("input_scale"), &[], &[0.25]),
    ];
    (tensors, values)
}

/// How 4-bit floats are stored.
#[derive(Clone, Copy, PartialEq)]
enum Floats {
    /// A power of two for each 32.
    Exponents,
    /// A float of 8 bits for each 16, and a factor for all.
    Factor,
    /// The same with a divisor.
    Divisor,
}

fn small_floats(m: &Matrix<'_>, kind: Floats) -> Packed {
    const LEVELS: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let group = if kind == Floats::Exponents { 32 } else { 16 };
    let (places, shape) = m.blocks((1, group));
    let largest = m.largest(&places, shape[0] * shape[1]);
    let (bytes, of_all) = (levels(ElementType::F8E4M3), 1.0 / 1024.0_f32);
    let scale = |largest: &f32| match kind {
        Floats::Exponents => {
            let exponent = (largest / 6.0).log2().ceil();
            ((exponent as i32 + 127) as u8, exponent.exp2())
        }
        _ => {
            let (byte, scale) = nearest(&bytes, largest / 6.0 / of_all);
            (byte, scale * of_all)
        }
    };
    let (stored, scales): (Vec<u8>, Vec<f32>) = largest.iter().map(scale).unzip();
    let code = |(&place, value): (&usize, &f32)| {
        let far = |code: &u8| (LEVELS[usize::from(*code)] * scales[place] - value.abs()).abs();
        let code = (0..8_u8).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap();
        let sign = if *value < 0.0 { -1.0 } else { 1.0 };
        let number = sign * LEVELS[usize::from(code)] * scales[place];
        (
            if *value < 0.0 { code | 8 } else { code },
            f64::from(number),
        )
    };
    let (codes, values): (Vec<u8>, Vec<f64>) = places.iter().zip(m.values).map(code).unzip();
    let pairs: Vec<u8> = codes.chunks(2).map(|pair| pair[0] | pair[1] << 4).collect();
    let halved = [m.rows, m.columns / 2];
    let (name, of_all) = match kind {
        Floats::Factor => (m.name.into(), [("weight_scale_2", of_all)]),
        _ => (
            m.beside("weight_packed"),
            [("weight_global_scale", 1.0 / of_all)],
        ),
    };
    let mut tensors = vec![
        Tensor::bytes(&name, &halved, &pairs),
        Tensor::bytes(&m.beside("weight_scale"), &shape, &stored),
    ];
    if kind != Floats::Exponents {
        tensors[1].element_type = ElementType::F8E4M3;
        let tables =
            of_all.map(|(table, number)| Tensor::floats(&m.beside(table), &[1], &[number]));
        tensors.extend(tables);
    }
    (tensors, values)
}

/// The same in the type of floats of 4 bits, which sources hand out as single ones.
fn unpacked(m: &Matrix<'_>, kind: Floats) -> Packed {
    const LEVELS: [f32; 16] = [
        0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0,
    ];
    let (mut tensors, values) = small_floats(m, kind);
    let codes = tensors[0]
        .bytes
        .iter()
        .flat_map(|byte| [byte & 15, byte >> 4]);
    let floats: Vec<f32> = codes.map(|code| LEVELS[usize::from(code)]).collect();
    tensors[0] = Tensor::floats(m.name, &m.shape(), &floats);
    tensors[0].element_type = ElementType::F4E2M1;
    if kind == Floats::Exponents {
        tensors[1].element_type = ElementType::F8E8M0;
    }
    (tensors, values)
}

/// The floats of 4 bits in blocks of a dimension of their own.
fn gpt_oss(m: &Matrix<'_>) -> Packed {
    let (mut tensors, values) = small_floats(m, Floats::Exponents);
    let blocks = [m.rows, m.columns / 32];
    tensors[0].name = format!("{}_blocks", m.name);
    tensors[0].shape = [&blocks[..], &[16]].concat();
    tensors[1].name = format!("{}_scales", m.name);
    tensors[1].shape = blocks.into();
    (tensors, values)
}

fn torchao(m: &Matrix<'_>) -> Packed {
    let (mut tensors, values) = zero_points(m);
    for (tensor, end) in tensors.iter_mut().zip(["qdata", "scale", "zero_point"]) {
        tensor.name = m.beside(&format!("_weight_{end}"));
    }
    (tensors, values)
}

/// Floats of 8 bits with a power of two for each 32.
fn microscaling(m: &Matrix<'_>) -> Packed {
    let (places, shape) = m.blocks((1, 32));
    let largest = m.largest(&places, shape[0] * shape[1]);
    let exponent = |largest: &f32| (largest / 448.0).log2().ceil() as i32;
    let exponents: Vec<i32> = largest.iter().map(exponent).collect();
    let levels = levels(ElementType::F8E4M3);
    let (mut codes, mut values) = (Vec::new(), Vec::new());
    for (&place, value) in places.iter().zip(m.values) {
        let scale = 2.0_f32.powi(exponents[place]);
        let (code, number) = nearest(&levels, value / scale);
        codes.push(code);
        values.push(f64::from(number * scale));
    }
    let scales = exponents.iter().map(|exponent| (exponent + 127) as u8);
    let name = format!("{}_scale", m.name);
    let tensors = vec![
        Tensor::new(m.name, &m.shape(), ElementType::F8E4M3, codes),
        Tensor::new(&name, &shape, ElementType::F8E8M0, scales.collect()),
    ];
    (tensors, values)
}

/// Whole numbers of 8 bits, a scale and a zero for each row.
fn zero_points(m: &Matrix<'_>) -> Packed {
    let (mut codes, mut values) = (Vec::new(), Vec::new());
    let (mut scales, mut zeros) = (Vec::new(), Vec::new());
    for row in m.values.chunks(m.columns) {
        let least = row.iter().copied().fold(0.0_f32, f32::min);
        let greatest = row.iter().copied().fold(0.0_f32, f32::max);
        let scale = (greatest - least) / 255.0;
        let zero = (-128.0 - least / scale).round();
        for value in row {
            let code = ((value / scale).round() + zero).clamp(-128.0, 127.0);
            codes.push(code as i8 as u8);
            values.push(f64::from(code - zero) * f64::from(scale));
        }
        scales.push(scale);
        zeros.push(zero as i8 as u8);
    }
    let zero_point = format!("{}_zero_point", m.name);
    let tensors = vec![
        Tensor::bytes(m.name, &m.shape(), &codes).of_type(ElementType::I8),
        Tensor::floats(&format!("{}_scale", m.name), &[m.rows, 1], &scales),
        Tensor::bytes(&zero_point, &[m.rows, 1], &zeros).of_type(ElementType::I8),
    ];
    (tensors, values)
}

/// Bytes with one scale and one zero point.
fn onnx(m: &Matrix<'_>) -> Packed {
    let (mut tensors, values) = zero_points(&Matrix {
        rows: 1,
        columns: m.values.len(),
        ..*m
    });
    for (tensor, end) in tensors.iter_mut().zip(["quantized", "scale", "zero_point"]) {
        tensor.name = format!("{}_{end}", m.name);
        tensor.shape.clear();
    }
    tensors[0].shape = m.shape().into();
    for at in [0, 2] {
        tensors[at].element_type = ElementType::U8;
        tensors[at].bytes.iter_mut().for_each(|byte| *byte ^= 128);
    }
    (tensors, values)
}

fn llm_int8(m: &Matrix<'_>) -> Packed {
    let (places, _) = m.blocks((1, m.columns));
    let largest = m.largest(&places, m.rows);
    let (mut codes, mut values) = (Vec::new(), Vec::new());
    for (&row, value) in places.iter().zip(m.values) {
        let code = (value / largest[row] * 127.0).round();
        codes.push(code as i8 as u8);
        values.push(f64::from(code) * f64::from(largest[row]) / 127.0);
    }
    let tensors = vec![
        Tensor::bytes(m.name, &m.shape(), &codes).of_type(ElementType::I8),
        Tensor::floats(&m.beside("SCB"), &[m.rows], &largest),
        Tensor::bytes(&m.beside("weight_format"), &[], &[0]),
    ];
    (tensors, values)
}

fn quanto(m: &Matrix<'_>) -> Packed {
    let (mut tensors, values) = scaled(m, ElementType::I8, (1, m.columns), "._scale");
    tensors[0].name = format!("{}._data", m.name);
    (tensors, values)
}

/// bitsandbytes' levels of equal share of a normal distribution, to four digits.
const MAP: [f32; 16] = [
    -1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0, 0.0796, 0.1609, 0.2461,
    0.3379, 0.4407, 0.5626, 0.7230, 1.0,
];

fn nibbles(m: &Matrix<'_>, block: usize, nested: Option<usize>) -> Packed {
    let groups = m.values.chunks(block);
    let largest: Vec<f32> = groups
        .map(|group| {
            group
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()))
        })
        .collect();
    let (mut tables, exact, more) = match nested {
        None => (
            vec![Tensor::floats(
                &format!("{}.absmax", m.name),
                &[largest.len()],
                &largest,
            )],
            largest.iter().copied().map(f64::from).collect::<Vec<f64>>(),
            String::new(),
        ),
        Some(size) => nested_scales(m, &largest, size),
    };
    let mut codes = Vec::new();
    let mut values = Vec::new();
    for (at, value) in m.values.iter().enumerate() {
        let largest = exact[at / block];
        let far = |level: f32| (f64::from(level) * largest - f64::from(*value)).abs();
        let code = (0..16_u8)
            .min_by(|&a, &b| far(MAP[usize::from(a)]).total_cmp(&far(MAP[usize::from(b)])))
            .unwrap();
        codes.push(code);
        values.push(f64::from(MAP[usize::from(code)]) * largest);
    }
    let pair = |pair: &[u8]| pair[0] << 4 | pair.get(1).copied().unwrap_or(0);
    let bytes: Vec<u8> = codes.chunks(2).map(pair).collect();
    let state = format!(
        r#"{{"quant_type":"nf4","blocksize":{block},"dtype":"float32","shape":[{},{}]{more}}}"#,
        m.rows, m.columns
    );
    let state_name = format!("{}.quant_state.bitsandbytes__nf4", m.name);
    tables.push(Tensor::bytes(m.name, &[bytes.len(), 1], &bytes));
    tables.push(Tensor::floats(
        &format!("{}.quant_map", m.name),
        &[16],
        &MAP,
    ));
    tables.push(Tensor::bytes(&state_name, &[state.len()], state.as_bytes()));
    (tables, values)
}

/// Quantised scales: their tables, their values, and what is noted of them.
fn nested_scales(m: &Matrix<'_>, largest: &[f32], size: usize) -> (Vec<Tensor>, Vec<f64>, String) {
    let offset = largest.iter().sum::<f32>() / largest.len() as f32;
    let map: Vec<f32> = (0..=255_u8)
        .map(|code| (f32::from(code) - 128.0) / 127.0)
        .collect();
    let (mut codes, mut outer, mut exact) = (Vec::new(), Vec::new(), Vec::new());
    for group in largest.chunks(size) {
        let factor = group
            .iter()
            .fold(0.0_f32, |most, value| most.max((value - offset).abs()));
        outer.push(factor);
        for value in group {
            let code = (((value - offset) / factor) * 127.0).round() as i32 + 128;
            codes.push(code as u8);
            let level = f64::from(map[code as usize]);
            exact.push(level * f64::from(factor) + f64::from(offset));
        }
    }
    let name = |table: &str| format!("{}.{table}", m.name);
    let tensors = vec![
        Tensor::bytes(&name("absmax"), &[codes.len()], &codes),
        Tensor::floats(&name("nested_absmax"), &[outer.len()], &outer),
        Tensor::floats(&name("nested_quant_map"), &[256], &map),
    ];
    let more = format!(
        r#","nested_blocksize":{size},"nested_offset":{:?}"#,
        f64::from(offset)
    );
    (tensors, exact, more)
}
