//! Derives from the shapes of tables how codes are packed into 32-bit words.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::blocks::Lengths;
use super::listing::{Listing, Stop, is_float, misfit, read_all};
use super::plan::Scheme;
use super::recognise::Found;
use super::words::{Groups, Layout, WORD, Words, Zeros, bits, code, filled_up};
use crate::weights::{ElementType, Layer, element_count};

/// The possible numbers of inputs that share a scale in MLX's layers, the default first.
const GROUPS: [usize; 3] = [64, 32, 128];

const NO_MATRIX: &str = "not a matrix";
const NO_WORDS: &str = "the codes are not packed into 32-bit words";

/// GPTQ and AWQ, whose words and tables have one row per input or group of inputs.
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
    if let Some(words) = awq_by_outputs(codes, scales, zeros) {
        return Ok(found(words, &[Some(codes), Some(scales), Some(zeros)]));
    }
    if zeros.shape() != [groups, packed] {
        return Err(misfit(zeros));
    }
    if !(is_word(codes) && is_word(zeros)) {
        return Err(Stop::because(NO_WORDS));
    }
    let (layout, bits) = if width == outputs {
        let unknown = || Stop::because("the codes do not have 2, 3, 4 or 8 bits");
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
    let (inputs, listed, added) = match layout {
        Layout::Gptq => {
            let listed = listing.get(&format!("{module}g_idx"));
            let inputs = height.checked_mul(WORD).filter(|all| all % bits == 0);
            let added = u32::from(!is_middle(zeros, bits)?);
            (inputs.map(|all| all / bits), listed, added)
        }
        _ => (Some(height), None, 0),
    };
    let inputs = inputs.ok_or_else(|| misfit(codes))?;
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

/// AWQ for kernels of one vector, whose words and tables have a row for each output; the size of groups
/// follows from how far these are filled up.
fn awq_by_outputs<L: Layer>(codes: &L, scales: &L, zeros: &L) -> Option<Words> {
    const SIZES: [usize; 3] = [128, 64, 32];
    let (&[outputs, width], &[rows, groups], &[lines, packed]) =
        (codes.shape(), scales.shape(), zeros.shape())
    else {
        return None;
    };
    let inputs = width.checked_mul(8)?;
    let are_rows = [rows, lines] == [outputs; 2] && packed.checked_mul(8) == Some(groups);
    let are_words = is_word(codes) && is_word(zeros) && is_float(scales.element_type());
    let size = (SIZES.into_iter())
        .find(|&size| inputs.is_multiple_of(size) && filled_up(inputs, size) == packed)?;
    (are_rows && are_words).then_some(Words {
        layout: Layout::AwqByOutputs,
        bits: 4,
        outputs,
        inputs,
        groups: Groups::Even(size),
        zeros: Zeros::Packed(0),
    })
}

/// Codes packed by MLX, with a scale and an offset for each group of inputs; `group` is the size to try
/// first.
pub(super) fn affine<L: Layer>(
    listing: &Listing<'_, L>,
    codes: &L,
    group: usize,
) -> Result<Found, Stop<L::Error>> {
    let module = codes.name().strip_suffix("weight").unwrap_or_default();
    let scales = listing.required(&format!("{module}scales"))?;
    let offsets = listing.required(&format!("{module}biases"))?;
    let (Some((&width, leading)), Some((&groups, rows))) =
        (codes.shape().split_last(), scales.shape().split_last())
    else {
        return Err(Stop::because(NO_MATRIX));
    };
    for table in [scales, offsets] {
        if table.shape() != scales.shape() || rows != leading || !is_float(table.element_type()) {
            return Err(misfit(table));
        }
    }
    let lengths = [group].into_iter().chain(GROUPS);
    let mut fitting = lengths.filter_map(|group| {
        let (bits, inputs) = affine_bits(width, groups, group)?;
        Some((bits, inputs, group))
    });
    let (bits, inputs, group) = fitting.next().ok_or_else(|| misfit(scales))?;
    let words = Words {
        layout: Layout::ByOutputs,
        bits,
        outputs: element_count(leading).ok_or_else(|| misfit(codes))?,
        inputs,
        groups: Groups::Even(group),
        zeros: Zeros::Offsets,
    };
    let mut found = found(words, &[Some(codes), Some(scales), Some(offsets)]);
    found.shape = leading.iter().copied().chain([inputs]).collect();
    Ok(found)
}

/// Whether a tensor holds MLX codes, judging by its name and the tensors next to it.
pub(super) fn is_affine<L: Layer>(listing: &Listing<'_, L>, codes: &L) -> bool {
    let module = codes.name().strip_suffix("weight");
    let module = module.filter(|module| module.is_empty() || module.ends_with('.'));
    let has = |module: &str, table| listing.get(&format!("{module}{table}")).is_some();
    is_word(codes) && module.is_some_and(|module| has(module, "scales") && has(module, "biases"))
}

/// How many inputs share a scale in MLX's layers. It is the possible number for which most layers have as
/// many inputs as others have outputs; the default wins ties.
pub(super) fn affine_group<L: Layer>(listing: &Listing<'_, L>) -> usize {
    let layers = || listing.layers().iter();
    let shape = |layer: &L| -> Option<(usize, usize)> {
        let module = layer.name().strip_suffix("weight")?;
        let scales = listing.get(&format!("{module}scales"))?;
        Some((*layer.shape().last()?, *scales.shape().last()?))
    };
    let affine: Vec<(usize, usize)> = layers()
        .filter(|layer| is_affine(listing, *layer))
        .filter_map(shape)
        .collect();
    if affine.is_empty() {
        return GROUPS[0];
    }
    let outputs: HashSet<usize> = layers()
        .filter_map(|layer| layer.shape().first().copied())
        .collect();
    let fitting = |group: usize| {
        let bits = |&(width, groups): &(usize, usize)| affine_bits(width, groups, group);
        let inputs: Vec<(usize, usize)> = affine.iter().filter_map(bits).collect();
        let known = inputs.iter().filter(|(_, inputs)| outputs.contains(inputs));
        (known.count(), inputs.len())
    };
    let best = GROUPS.iter().rev().max_by_key(|&&group| fitting(group));
    best.copied().unwrap_or(GROUPS[0])
}

/// The bits per code and the number of inputs, for rows of this many words and groups.
fn affine_bits(width: usize, groups: usize, group: usize) -> Option<(usize, usize)> {
    let inputs = groups.checked_mul(group).filter(|&inputs| inputs > 0)?;
    let all = width.checked_mul(WORD)?;
    let bits = all / inputs;
    (all % inputs == 0 && [2, 3, 4, 5, 6, 8].contains(&bits)).then_some((bits, inputs))
}

/// Codes packed by compressed-tensors.
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
        layout: Layout::ByOutputs,
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

pub(super) fn is_word(layer: &impl Layer) -> bool {
    matches!(layer.element_type(), ElementType::I32 | ElementType::U32)
}

/// The bits per code, if this many words hold this many codes.
fn packed_bits(words: usize, codes: usize) -> Option<usize> {
    let all = words.checked_mul(WORD)?;
    let fits = |bits: &usize| codes.checked_mul(*bits) == Some(all);
    [2, 3, 4, 8].into_iter().find(fits)
}

/// How inputs are divided into groups.
fn grouping<L: Layer>(
    inputs: usize,
    groups: usize,
    listed: Option<&L>,
) -> Result<Groups, Stop<L::Error>> {
    let impossible = || {
        Stop::because(&format!(
            "{inputs} inputs do not divide into {groups} groups"
        ))
    };
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

/// Whether a table gives the group of each input; it is empty or all −1 if it doesn't.
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
        let reason = format!("`{name}` refers to group {wrong} of {groups}");
        return Err(Stop::because(&reason));
    }
    Ok(true)
}

/// Whether the zeros of the first outputs are all in the middle of the codes.
fn is_middle<L: Layer>(zeros: &L, code_bits: usize) -> Result<bool, L::Error> {
    // Whole codes, even for three bits.
    let mut words = [0.0_f64; 48];
    let count = element_count(zeros.shape()).unwrap_or(0).min(words.len());
    let words = &mut words[..count];
    zeros.read(0, words)?;
    let mut codes = 0..count * WORD / code_bits;
    let is_middle =
        |place| code(code_bits, place, |word| bits(words[word])) == 1 << (code_bits - 1);
    Ok(count > 0 && codes.all(is_middle))
}
