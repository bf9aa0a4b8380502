//! Recognises how a quantised layer is stored from the names, shapes and types of its tensors.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::blocks::{Blocks, Lengths, usual_lengths};
use super::listing::{Listing, Stop, is_float, misfit, read_all};
use super::nibbles::{Nested, Nibbles};
use super::packed;
use super::plan::Scheme;
use super::scaled::{Codes, More, Scaled, Scales};
use super::state::State;
use crate::weights::{ElementType, Layer, element_count};

/// A layer to decode, or why it can't be decoded.
pub(super) struct Candidate {
    /// The name of the unquantised layer.
    pub(super) name: String,
    pub(super) found: Result<Found, String>,
}

/// How a layer is decoded.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) shape: Vec<usize>,
    pub(super) element_type: ElementType,
    pub(super) scheme: Scheme,
    /// The names of the tensors from which it is decoded.
    pub(super) parts: Vec<String>,
}

/// Recognises the layer whose codes a tensor holds; `None` if it holds none.
pub(super) fn recognise<L: Layer>(
    listing: &Listing<'_, L>,
    codes: &L,
    usual: Usual,
) -> Result<Option<Candidate>, L::Error> {
    let name = codes.name();
    let module = |suffix| {
        let module = name.strip_suffix(suffix)?;
        (module.is_empty() || module.ends_with('.')).then_some(module)
    };
    let kinds = ["nf4", "fp4"];
    let states = kinds.map(|kind| format!("{name}.quant_state.bitsandbytes__{kind}"));
    let state = states.iter().find_map(|state| listing.get(state));
    let (name, found) = if let Some(module) = module("qweight") {
        let found = packed::inputs_and_outputs(listing, codes, module);
        (format!("{module}weight"), found)
    } else if let Some(module) = module("weight_packed").filter(|_| is_bytes(codes)) {
        let tables = ["weight_scale", "weight_global_scale"];
        let tables = tables.map(|table| format!("{module}{table}"));
        let found = small_floats(listing, (codes, codes.shape()), &tables, More::Divisor);
        (format!("{module}weight"), found)
    } else if let Some((name, scales)) = blocks_of(listing, codes) {
        // An absent table counts as a single factor for all values.
        let (tables, shape) = ([scales, String::new()], joined(codes.shape()));
        let found = small_floats(listing, (codes, &shape), &tables, More::Nothing);
        (name, found)
    } else if packed::is_affine(listing, codes) {
        (name.into(), packed::affine(listing, codes, usual.group))
    } else if (is_bytes(codes) || codes.element_type() == ElementType::F4E2M1)
        && listing.get(&format!("{name}_scale_2")).is_some()
    {
        let tables = ["_scale", "_scale_2"].map(|table| format!("{name}{table}"));
        (
            name.into(),
            small_floats(listing, (codes, codes.shape()), &tables, More::Factor),
        )
    } else if let Some(module) = module("weight_packed") {
        let found = packed::compressed(listing, codes, module);
        (format!("{module}weight"), found)
    } else if let Some(state) = state {
        (name.into(), bitsandbytes(listing, codes, state))
    } else if let Some((name, scales)) = scales_of(listing, codes) {
        (name, scaled(listing, codes, scales, usual.blocks))
    } else {
        return Ok(None);
    };
    let found = match found {
        Ok(found) => Ok(found),
        Err(Stop::Undecodable(reason)) => Err(reason),
        Err(Stop::Source(error)) => return Err(error),
    };
    Ok(Some(Candidate { name, found }))
}

/// Properties shared by all layers of a model, where one layer alone is ambiguous.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// The possible lengths of blocks in all layers with block scales.
    blocks: Option<Lengths>,
    /// How many inputs share a scale in MLX's layers.
    group: usize,
}

impl Usual {
    pub(super) fn of<L: Layer>(listing: &Listing<'_, L>) -> Self {
        let layers = listing.layers().iter();
        let scaled =
            layers.filter_map(|codes| Some((codes.shape(), scales_of(listing, codes)?.1.shape())));
        Self {
            blocks: usual_lengths(scaled),
            group: packed::affine_group(listing),
        }
    }
}

/// The names of a weight stored as blocks of 4-bit floats, as in gpt-oss, and of its scales.
fn blocks_of<L: Layer>(listing: &Listing<'_, L>, codes: &L) -> Option<(String, String)> {
    let mut endings = [("_blocks", "_scales"), (".blocks", ".scales")].into_iter();
    let found = endings.find_map(|(blocks, scales)| {
        let stem = codes.name().strip_suffix(blocks)?;
        Some((stem, format!("{stem}{scales}")))
    });
    let (stem, scales) = found.filter(|_| is_bytes(codes) && codes.shape().len() > 2)?;
    listing.get(&scales)?;
    Some((stem.into(), scales))
}

/// A shape with the last two dimensions merged.
fn joined(shape: &[usize]) -> Vec<usize> {
    match shape {
        [leading @ .., blocks, bytes] => {
            let joined = blocks.saturating_mul(*bytes);
            leading.iter().copied().chain([joined]).collect()
        }
        _ => shape.into(),
    }
}

/// The scales of codes that have the weight's own shape, and the weight's name without the suffixes.
fn scales_of<'a, L: Layer>(listing: &Listing<'a, L>, codes: &L) -> Option<(String, &'a L)> {
    let (name, stored) = (codes.name(), codes.element_type());
    let is_code = match stored {
        ElementType::F8E4M3 | ElementType::F8E5M2 | ElementType::F4E2M1 | ElementType::I8 => true,
        // Without zeros, these may be pairs of shorter codes.
        ElementType::U8 => zeros_of(listing, name).is_some(),
        _ => false,
    };
    if !is_code {
        return None;
    }
    if let Some(stem) = name.strip_suffix("._data") {
        return Some((stem.into(), listing.get(&format!("{stem}._scale"))?));
    }
    if let Some(module) = name.strip_suffix("_weight_qdata") {
        let scales = listing.get(&format!("{module}_weight_scale"))?;
        return Some((format!("{module}weight"), scales));
    }
    if let Some(stem) = name.strip_suffix("_quantized")
        && let Some(scales) = listing.get(&format!("{stem}_scale"))
    {
        return Some((stem.into(), scales));
    }
    let behind = ["_scale_inv", "_scale"].map(|suffix| format!("{name}{suffix}"));
    let mut names: Vec<String> = behind.into();
    if let Some(module) = name.strip_suffix("weight") {
        names.extend(["scale_weight", "qscale_weight"].map(|table| format!("{module}{table}")));
        if stored == ElementType::I8 {
            names.push(format!("{module}SCB"));
        }
    }
    let found = names.iter().find_map(|name| listing.get(name));
    let found = found.or_else(|| scale_of_rows(listing, codes));
    Some((name.into(), found?))
}

/// A table that is only called `scale`, as those of activations are, too: it must have one number, or one for each row.
fn scale_of_rows<'a, L: Layer>(listing: &Listing<'a, L>, codes: &L) -> Option<&'a L> {
    let name = codes.name();
    let of_module = || {
        let module = name.strip_suffix("weight")?;
        // A module with a zero point scales its outputs.
        let is_of_outputs = listing.get(&format!("{module}zero_point")).is_some();
        listing
            .get(&format!("{module}scale"))
            .filter(|_| !is_of_outputs)
    };
    let found = listing.get(&format!("{name}.scale")).or_else(of_module)?;
    let count = element_count(found.shape());
    let is_of_rows = || {
        count == codes.shape().first().copied() && found.shape().first() == codes.shape().first()
    };
    (codes.element_type() == ElementType::I8 && (count == Some(1) || is_of_rows())).then_some(found)
}

fn zeros_of<'a, L: Layer>(listing: &Listing<'a, L>, codes: &str) -> Option<&'a L> {
    let mut stems = ["_qdata", "_quantized"]
        .iter()
        .filter_map(|end| codes.strip_suffix(end));
    let stem = stems.next().unwrap_or(codes);
    let mut names = ["_zero_point", ".zero_point"]
        .iter()
        .map(|end| format!("{stem}{end}"));
    names.find_map(|name| listing.get(&name))
}

/// Codes of the weight's own shape.
fn scaled<L: Layer>(
    listing: &Listing<'_, L>,
    codes: &L,
    table: &L,
    usual: Option<Lengths>,
) -> Result<Found, Stop<L::Error>> {
    let name = codes.name();
    if let (&[rows, columns], &[count]) = (codes.shape(), table.shape())
        && rows == columns
        && count > 1
        && name.ends_with("_quantized")
    {
        // ONNX stores matrices with a row for each output or for each input.
        return Err(Stop::because("its scales may belong to rows or to columns"));
    }
    let mut parts: Vec<String> = [name, table.name()].map(String::from).into();
    let scales = match table.element_type() {
        _ if table.name().ends_with("SCB") => Scales::Largest,
        ElementType::U8 if is_float(codes.element_type()) => Scales::Exponents,
        stored if is_float(stored) => Scales::Factors,
        _ => return Err(misfit(table)),
    };
    if scales == Scales::Largest && !is_by_rows(listing, name)? {
        return Err(Stop::because("the codes are not in row order"));
    }
    let mut more = More::Nothing;
    if let Some(zeros) = zeros_of(listing, name) {
        if element_count(zeros.shape()) != element_count(table.shape()) {
            return Err(misfit(zeros));
        }
        parts.push(zeros.name().into());
        more = More::Zeros;
    }
    Ok(Found {
        shape: codes.shape().into(),
        element_type: codes.element_type(),
        scheme: Scheme::Scaled(Scaled {
            codes: Codes::Whole,
            more,
            blocks: Blocks::new(codes.shape(), table.shape(), usual)
                .ok_or_else(|| misfit(table))?,
            scales,
        }),
        parts,
    })
}

fn is_bytes(layer: &impl Layer) -> bool {
    layer.element_type() == ElementType::U8
}

/// Floats of 4 bits, perhaps two in a byte, with a scale for some neighbours, and perhaps one for all.
fn small_floats<L: Layer>(
    listing: &Listing<'_, L>,
    (codes, shape): (&L, &[usize]),
    [scales, of_all]: &[String; 2],
    more: More,
) -> Result<Found, Stop<L::Error>> {
    let table = listing.required(scales)?;
    let mut shape = shape.to_vec();
    let Some(innermost) = shape.last_mut() else {
        return Err(Stop::because("not a matrix"));
    };
    let how = if is_bytes(codes) {
        *innermost = innermost.checked_mul(2).ok_or_else(|| misfit(codes))?;
        Codes::Pairs
    } else {
        Codes::Whole
    };
    let (kind, of_all) = match table.element_type() {
        ElementType::U8 => (Scales::Exponents, None),
        ElementType::F8E8M0 => (Scales::Factors, None),
        stored if is_float(stored) => (Scales::Factors, listing.get(of_all)),
        _ => return Err(misfit(table)),
    };
    if let Some(of_all) = of_all
        && (element_count(of_all.shape()) != Some(1) || !is_float(of_all.element_type()))
    {
        return Err(misfit(of_all));
    }
    let parts = [Some(codes), Some(table), of_all].into_iter().flatten();
    Ok(Found {
        element_type: codes.element_type(),
        scheme: Scheme::Scaled(Scaled {
            codes: how,
            blocks: Blocks::new(&shape, table.shape(), None).ok_or_else(|| misfit(table))?,
            scales: kind,
            more: if of_all.is_some() {
                more
            } else {
                More::Nothing
            },
        }),
        shape,
        parts: parts.map(|part| String::from(part.name())).collect(),
    })
}

/// Whether LLM.int8 stores its codes in row order rather than in a processor-specific one.
fn is_by_rows<L: Layer>(listing: &Listing<'_, L>, codes: &str) -> Result<bool, Stop<L::Error>> {
    let module = codes.strip_suffix("weight").unwrap_or(codes);
    match listing.get(&format!("{module}weight_format")) {
        Some(format) => Ok(read_all(format, 1)? == [0.0]),
        None => Ok(true),
    }
}

/// A layer that bitsandbytes quantised to NF4 or FP4.
fn bitsandbytes<L: Layer>(
    listing: &Listing<'_, L>,
    codes: &L,
    state: &L,
) -> Result<Found, Stop<L::Error>> {
    let state = State::read(state)?;
    let name = codes.name();
    let largest = listing.required(&format!("{name}.absmax"))?;
    let map = listing.required(&format!("{name}.quant_map"))?;
    let count = element_count(&state.shape).unwrap_or(usize::MAX);
    if codes.element_type() != ElementType::U8
        || element_count(codes.shape()) != Some(count.div_ceil(2))
    {
        let shape = &state.shape;
        return Err(Stop::because(&format!(
            "codes of shape {shape:?} do not match the weight"
        )));
    }
    let blocks = count.div_ceil(state.block);
    if element_count(largest.shape()) != Some(blocks) {
        return Err(misfit(largest));
    }
    let mut parts: Vec<String> = [name, largest.name()].map(String::from).into();
    let mut nested = None;
    if !is_float(largest.element_type()) {
        let (found, table) = nested_scales(listing, name, &state, blocks)?;
        parts.push(table.name().into());
        nested = Some(found);
    }
    Ok(Found {
        element_type: ElementType::U8,
        scheme: Scheme::Nibbles(Nibbles {
            map: read_all(map, 16)?,
            block: state.block,
            nested,
        }),
        shape: state.shape,
        parts,
    })
}

/// How the absmax of this many blocks is quantised, and its own absmax.
fn nested_scales<'a, L: Layer>(
    listing: &Listing<'a, L>,
    codes: &str,
    state: &State,
    blocks: usize,
) -> Result<(Nested, &'a L), Stop<L::Error>> {
    let largest = listing.required(&format!("{codes}.nested_absmax"))?;
    let map = listing.required(&format!("{codes}.nested_quant_map"))?;
    let unknown = || Stop::because("the quantisation of its absmax is not stored");
    let block = state
        .nested_block
        .filter(|&block| block > 0)
        .ok_or_else(unknown)?;
    if element_count(largest.shape()) != Some(blocks.div_ceil(block)) {
        return Err(misfit(largest));
    }
    let nested = Nested {
        map: read_all(map, 256)?,
        block,
        offset: state.nested_offset.unwrap_or(0.0),
    };
    Ok((nested, largest))
}
