//! Codes of a few bits packed into words.

use super::packers::{Matrix, Packed};
use super::stored::Tensor;

/// Whether inputs lie in the order of their groups.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Order {
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
    let word = |codes: &[u32]| {
        let fields = codes.iter().enumerate();
        fields.fold(0, |word, (field, code)| word | code << (bits * field))
    };
    codes.chunks(32 / bits).map(word).collect()
}

pub(super) fn gptq(m: &Matrix<'_>, bits: usize, group: usize, order: Order) -> Packed {
    let groups: Vec<usize> = match order {
        Order::Given => (0..m.columns).map(|input| input / group).collect(),
        Order::ByActivations => {
            let place = |input: usize| input * 7 % m.columns / group;
            (0..m.columns).map(place).collect()
        }
    };
    let coded = coded(m, bits, groups);
    let held = 32 / bits;
    let mut packed = Vec::new();
    for first in (0..m.columns).step_by(held) {
        for output in 0..m.rows {
            let codes = (first..first + held).map(|input| coded.codes[output * m.columns + input]);
            packed.extend(words(codes, bits));
        }
    }
    let zeros = words(coded.zeros.iter().map(|zero| zero - 1), bits);
    let count = coded.scales.len() / m.rows;
    let listed: Vec<u32> = coded.groups.iter().map(|&group| group as u32).collect();
    let mut tensors = vec![
        Tensor::words(&m.beside("qweight"), &[m.columns / held, m.rows], &packed),
        Tensor::words(&m.beside("qzeros"), &[count, m.rows / held], &zeros),
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
