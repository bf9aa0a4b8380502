//! How codes are packed into words of 32 bits, by the shapes of tables.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::blocks::Lengths;
use super::listing::{Listing, Stop, is_float, misfit, read_all};
use super::plan::Scheme;
use super::recognise::Found;
use super::words::{Groups, Layout, WORD, Words, Zeros, bits};
use crate::weights::{ElementType, Layer, element_count};

const NO_MATRIX: &str = "it isn't a matrix";
const NO_WORDS: &str = "its codes aren't packed into words of 32 bits";

/// GPTQ and AWQ, whose words and tables have a row for each input or group of inputs.
pub(super) fn inputs_and_outputs<L: Layer>(
    listing: &Listing<'_, L>,
    codes: &L,
    module: &str,
) -> Result<Found, Stop<L::Error>> {
    let scales = listing.required(&format!("{module}scales"))?;
    let zeros = listing.required(&format!("{module}qzeros"))?;
    let (&[height, width], &[groups, outputs]) = (codes.shape(), scales.shape()) else {
        return Err(Stop::because(NO_MATRIX));
    };
    let packed = zeros.shape().last().copied().unwrap_or(0);
    if zeros.shape() != [groups, packed] {
        return Err(misfit(zeros));
    }
    if !(is_word(codes) && is_word(zeros)) {
        return Err(Stop::because(NO_WORDS));
    }
    let (layout, bits) = if width == outputs {
        let unknown = || Stop::because("its codes have neither 2, 4 nor 8 bits");
        (
            Layout::Gptq,
            packed_bits(packed, outputs).ok_or_else(unknown)?,
        )
    } else if width.checked_mul(8) == Some(outputs) && packed == width {
        (Layout::Awq, 4)
    } else {
        return Err(misfit(scales));
    };
    if !is_float(scales.element_type()) {
        return Err(misfit(scales));
    }
    let (held, listed, added) = match layout {
        Layout::Gptq => {
            let listed = listing.get(&format!("{module}g_idx"));
            (WORD / bits, listed, u32::from(!is_middle(zeros, bits)?))
        }
        _ => (1, None, 0),
    };
    let inputs = height.checked_mul(held).ok_or_else(|| misfit(codes))?;
    let groups = grouping(inputs, groups, listed)?;
    let words = Words {
        layout,
        bits,
        outputs,
        inputs,
        groups,
        zeros: Zeros::Packed(added),
    };
    Ok(found(
        words,
        &[Some(codes), Some(scales), Some(zeros), listed],
    ))
}

/// Codes that compressed-tensors packed.
pub(super) fn compressed<L: Layer>(
    listing: &Listing<'_, L>,
    codes: &L,
    module: &str,
) -> Result<Found, Stop<L::Error>> {
    let scales = listing.required(&format!("{module}weight_scale"))?;
    let shape = listing.required(&format!("{module}weight_shape"))?;
    if !is_word(codes) {
        return Err(Stop::because(NO_WORDS));
    }
    let shape = read_all(shape, 2)?;
    let shape: Vec<usize> = shape.into_iter().map(|length| length as usize).collect();
    let (&[height, width], &[outputs, inputs]) = (codes.shape(), &shape[..]) else {
        return Err(Stop::because(NO_MATRIX));
    };
    let fits = |bits: &usize| inputs.div_ceil(WORD / bits) == width && height == outputs;
    let bits = [4, 8, 2]
        .into_iter()
        .find(fits)
        .ok_or_else(|| misfit(codes))?;
    let groups = match *scales.shape() {
        [rows, groups] if rows == outputs && is_float(scales.element_type()) => groups,
        _ => return Err(misfit(scales)),
    };
    let zeros = listing.get(&format!("{module}weight_zero_point"));
    if let Some(zeros) = zeros
        && (zeros.shape() != [outputs.div_ceil(WORD / bits), groups] || !is_word(zeros))
    {
        return Err(misfit(zeros));
    }
    let listed = listing.get(&format!("{module}weight_g_idx"));
    let words = Words {
        layout: Layout::CompressedTensors,
        bits,
        outputs,
        inputs,
        groups: grouping(inputs, groups, listed)?,
        zeros: match zeros {
            Some(_) => Zeros::Packed(0),
            None => Zeros::Middle,
        },
    };
    Ok(found(words, &[Some(codes), Some(scales), zeros, listed]))
}

fn found<L: Layer>(words: Words, parts: &[Option<&L>]) -> Found {
    let parts = parts.iter().flatten();
    Found {
        shape: vec![words.outputs, words.inputs],
        element_type: ElementType::U8,
        scheme: Scheme::Words(words),
        parts: parts.map(|part| String::from(part.name())).collect(),
    }
}

fn is_word(layer: &impl Layer) -> bool {
    matches!(layer.element_type(), ElementType::I32 | ElementType::U32)
}

/// The bits of a code, if so many words hold so many.
fn packed_bits(words: usize, codes: usize) -> Option<usize> {
    let fits = |bits: &usize| words.checked_mul(WORD / bits) == Some(codes);
    [2, 4, 8].into_iter().find(fits)
}

/// How inputs fall into groups.
fn grouping<L: Layer>(
    inputs: usize,
    groups: usize,
    listed: Option<&L>,
) -> Result<Groups, Stop<L::Error>> {
    let impossible = || Stop::because(&format!("{inputs} inputs can't be in {groups} groups"));
    if groups == 0 || groups > inputs {
        return Err(impossible());
    }
    if let Some(table) = listed
        && names_groups(table, inputs, groups)?
    {
        return Ok(Groups::Listed(groups));
    }
    let size = Lengths::new(inputs, groups).ok_or_else(impossible)?;
    Ok(Groups::Even(size.roundest()))
}

/// Whether a table names the group of each input; it is empty or all −1 where none is named.
fn names_groups<L: Layer>(table: &L, inputs: usize, groups: usize) -> Result<bool, Stop<L::Error>> {
    const AT_ONCE: usize = 4096;
    match element_count(table.shape()) {
        Some(0) => return Ok(false),
        Some(count) if count == inputs => {}
        _ => return Err(misfit(table)),
    }
    let (mut least, mut largest) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut buffer = [0.0_f64; AT_ONCE];
    for first in (0..inputs).step_by(AT_ONCE) {
        let groups = &mut buffer[..AT_ONCE.min(inputs - first)];
        table.read(first, groups)?;
        least = groups.iter().copied().fold(least, f64::min);
        largest = groups.iter().copied().fold(largest, f64::max);
    }
    if least == -1.0 && largest == -1.0 {
        return Ok(false);
    }
    if least < 0.0 || largest >= groups as f64 {
        let (name, wrong) = (table.name(), if least < 0.0 { least } else { largest });
        let reason = format!("`{name}` names the group {wrong} of {groups}");
        return Err(Stop::because(&reason));
    }
    Ok(true)
}

/// Whether the zeros of the first outputs are all in the middle of the codes.
fn is_middle<L: Layer>(zeros: &L, code_bits: usize) -> Result<bool, L::Error> {
    let mut words = [0.0_f64; 64];
    let count = element_count(zeros.shape()).unwrap_or(0).min(words.len());
    let words = &mut words[..count];
    zeros.read(0, words)?;
    let middle = |word: &f64| {
        let mut codes = (0..WORD).step_by(code_bits);
        codes.all(|shift| bits(*word) >> shift & ((1 << code_bits) - 1) == 1 << (code_bits - 1))
    };
    Ok(!words.is_empty() && words.iter().all(middle))
}
