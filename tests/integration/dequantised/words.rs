//! Codes of a few bits packed into words.

use mother::weights::ElementType;

use super::packers::{Matrix, Packed};
use super::stored::Tensor;

/// Whether inputs lie in the order of their groups.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::dequantised) enum Order {
    Given,
    ByActivations,
}

/// Codes, scales and zeros of groups of inputs: codes by output and input, the others by group and output.
struct Coded {
    bits: usize,
    groups: Vec<usize>,
    codes: Vec<u32>,
    scales: Vec<f32>,
    zeros: Vec<u32>,
    values: Vec<f64>,
}

fn coded(m: &Matrix<'_>, bits: usize, groups: Vec<usize>) -> Coded {
    let count = groups.iter().max().unwrap() + 1;
    let gaps = ((1 << bits) - 1) as f32;
    let mut coded = Coded {
        bits,
        codes: vec![0; m.values.len()],
        scales: vec![0.0; count * m.rows],
        zeros: vec![0; count * m.rows],
        values: vec![0.0; m.values.len()],
        groups,
    };
    for row in 0..m.rows {
        for group in 0..count {
            let inputs = || (0..m.columns).filter(|&input| coded.groups[input] == group);
            let inputs: Vec<usize> = inputs().map(|input| row * m.columns + input).collect();
            let least = inputs
                .iter()
                .fold(0.0_f32, |least, &at| least.min(m.values[at]));
            let most = inputs
                .iter()
                .fold(0.0_f32, |most, &at| most.max(m.values[at]));
            let scale = (most - least) / gaps;
            // Zeros are stored less one, so that none may be 0.
            let zero = (-least / scale).round().clamp(1.0, gaps);
            coded.scales[group * m.rows + row] = scale;
            coded.zeros[group * m.rows + row] = zero as u32;
            for at in inputs {
                let code = ((m.values[at] / scale).round() + zero).clamp(0.0, gaps);
                coded.codes[at] = code as u32;
                coded.values[at] = f64::from(code - zero) * f64::from(scale);
            }
        }
    }
    coded
}

/// Codes one after the other in words, the first in the lowest bits.
fn words(codes: impl Iterator<Item = u32>, bits: usize) -> Vec<u32> {
    let codes: Vec<u32> = codes.collect();
    let mut words = vec![0; (codes.len() * bits).div_ceil(32)];
    for (place, code) in codes.into_iter().enumerate() {
        for bit in 0..bits {
            let at = place * bits + bit;
            words[at / 32] |= (code >> bit & 1) << (at % 32);
        }
    }
    words
}

pub(in crate::dequantised) fn gptq(
    m: &Matrix<'_>,
    bits: usize,
    group: usize,
    order: Order,
) -> Packed {
    let groups: Vec<usize> = match order {
        Order::Given => (0..m.columns).map(|input| input / group).collect(),
        Order::ByActivations => {
            let place = |input: usize| input * 7 % m.columns / group;
            (0..m.columns).map(place).collect()
        }
    };
    let coded = coded(m, bits, groups);
    let lines = m.columns * bits / 32;
    let mut packed = vec![0; lines * m.rows];
    for (output, codes) in coded.codes.chunks(m.columns).enumerate() {
        let words = words(codes.iter().copied(), bits);
        for (line, word) in words.into_iter().enumerate() {
            packed[line * m.rows + output] = word;
        }
    }
    // No two groups share a word of zeros.
    assert_eq!(m.rows * bits % 32, 0);
    let zeros = words(coded.zeros.iter().map(|zero| zero - 1), bits);
    let count = coded.scales.len() / m.rows;
    let listed: Vec<u32> = coded.groups.iter().map(|&group| group as u32).collect();
    let mut tensors = vec![
        Tensor::words(&m.beside("qweight"), &[lines, m.rows], &packed),
        Tensor::words(&m.beside("qzeros"), &[count, m.rows * bits / 32], &zeros),
        Tensor::floats(&m.beside("scales"), &[count, m.rows], &coded.scales),
    ];
    if order == Order::ByActivations {
        tensors.push(Tensor::words(&m.beside("g_idx"), &[m.columns], &listed));
    }
    (tensors, coded.values)
}

pub(super) fn awq(m: &Matrix<'_>) -> Packed {
    /// The output of each field of a word.
    const ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];
    let coded = coded(m, 4, (0..m.columns).map(|input| input / 32).collect());
    let count = coded.scales.len() / m.rows;
    let in_order = |code: &dyn Fn(usize) -> u32| {
        let fields = (0..m.rows).map(|output| code(output / 8 * 8 + ORDER[output % 8]));
        words(fields, 4)
    };
    let of_input = |input: usize| in_order(&|output| coded.codes[output * m.columns + input]);
    let of_group = |group: usize| in_order(&|output| coded.zeros[group * m.rows + output]);
    let packed: Vec<u32> = (0..m.columns).flat_map(of_input).collect();
    let zeros: Vec<u32> = (0..count).flat_map(of_group).collect();
    let tensors = vec![
        Tensor::words(&m.beside("qweight"), &[m.columns, m.rows / 8], &packed),
        Tensor::words(&m.beside("qzeros"), &[count, m.rows / 8], &zeros),
        Tensor::floats(&m.beside("scales"), &[count, m.rows], &coded.scales),
    ];
    (tensors, coded.values)
}

/// Rows of tables are filled up with zeros to four words, as groups have 32 inputs.
pub(super) fn awq_by_outputs(m: &Matrix<'_>) -> Packed {
    let coded = coded(m, 4, (0..m.columns).map(|input| input / 32).collect());
    let count = coded.scales.len() / m.rows;
    let width = count.div_ceil(8).next_multiple_of(4);
    let rows = coded.codes.chunks(m.columns);
    let packed: Vec<u32> = rows.flat_map(|row| words(row.iter().copied(), 4)).collect();
    let (mut scales, mut zeros) = (Vec::new(), Vec::new());
    for row in 0..m.rows {
        let of_row = (0..count).map(|group| group * m.rows + row);
        scales.extend(of_row.clone().map(|at| coded.scales[at]));
        scales.resize(scales.len().next_multiple_of(8 * width), 0.0);
        zeros.extend(words(of_row.map(|at| coded.zeros[at]), 4));
        zeros.resize(zeros.len().next_multiple_of(width), 0);
    }
    let tensors = vec![
        Tensor::words(&m.beside("qweight"), &[m.rows, m.columns / 8], &packed),
        Tensor::words(&m.beside("qzeros"), &[m.rows, width], &zeros),
        Tensor::floats(&m.beside("scales"), &[m.rows, 8 * width], &scales),
    ];
    (tensors, coded.values)
}

pub(super) fn compressed(m: &Matrix<'_>, bits: usize, group: usize) -> Packed {
    let coded = coded(m, bits, (0..m.columns).map(|input| input / group).collect());
    let count = coded.scales.len() / m.rows;
    let rows = coded.codes.chunks(m.columns);
    let packed: Vec<u32> = rows
        .flat_map(|row| words(row.iter().copied(), coded.bits))
        .collect();
    let mut scales = Vec::new();
    for row in 0..m.rows {
        scales.extend((0..count).map(|group| coded.scales[group * m.rows + row]));
    }
    let held = 32 / bits;
    let mut zeros = Vec::new();
    for first in (0..m.rows).step_by(held) {
        for group in 0..count {
            let rows = first..m.rows.min(first + held);
            zeros.extend(words(
                rows.map(|row| coded.zeros[group * m.rows + row]),
                bits,
            ));
        }
    }
    let (down, across) = (m.rows.div_ceil(held), m.columns.div_ceil(held));
    let shape = [m.rows as u32, m.columns as u32];
    let tensors = vec![
        Tensor::words(&m.beside("weight_packed"), &[m.rows, across], &packed),
        Tensor::floats(&m.beside("weight_scale"), &[m.rows, count], &scales),
        Tensor::words(&m.beside("weight_zero_point"), &[down, count], &zeros),
        Tensor::words(&m.beside("weight_shape"), &[2], &shape),
    ];
    (tensors, coded.values)
}

/// MLX's codes, with a scale and an offset for each group.
pub(in crate::dequantised) fn affine(m: &Matrix<'_>, bits: usize, group: usize) -> Packed {
    let gaps = ((1 << bits) - 1) as f32;
    let (mut packed, mut values) = (Vec::new(), Vec::new());
    let (mut scales, mut offsets) = (Vec::new(), Vec::new());
    for row in m.values.chunks(m.columns) {
        let mut codes = Vec::new();
        for group in row.chunks(group) {
            let least = group.iter().copied().fold(f32::INFINITY, f32::min);
            let most = group.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = (most - least) / gaps;
            for value in group {
                let code = ((value - least) / scale).round().clamp(0.0, gaps);
                codes.push(code as u32);
                values.push(f64::from(code) * f64::from(scale) + f64::from(least));
            }
            scales.push(scale);
            offsets.push(least);
        }
        packed.extend(words(codes.into_iter(), bits));
    }
    let (width, groups) = (m.columns * bits / 32, m.columns / group);
    let tensors = vec![
        Tensor::words(m.name, &[m.rows, width], &packed).of_type(ElementType::U32),
        Tensor::floats(&m.beside("scales"), &[m.rows, groups], &scales),
        Tensor::floats(&m.beside("biases"), &[m.rows, groups], &offsets),
    ];
    (tensors, values)
}
