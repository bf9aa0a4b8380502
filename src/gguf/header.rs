//! A GGUF file's header: the few metadata entries that are needed, and the list of tensors.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::storage::input::{Input, Reading};

/// The first bytes of a file, before the version.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";

/// The maximum length of a tensor's name or a key, according to the format's specification.
const LONGEST_NAME: u64 = 65_535;

/// The maximum number of dimensions of a tensor; ggml supports four.
const MOST_DIMENSIONS: u32 = 8;

/// The maximum depth of nested arrays.
const DEEPEST: u32 = 4;

/// The needed contents of a header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) architecture: String,
    /// The numbers of attention heads, for queries and for keys.
    pub(super) heads: Heads,
    /// The number of files of the model, if there are several.
    pub(super) parts: u64,
    pub(super) tensors: Vec<Listed>,
    /// The position at which the data begins.
    pub(super) data_start: u64,
}

/// The numbers of attention heads, by layer if layers differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads {
    pub(super) queries: Vec<u64>,
    pub(super) keys: Vec<u64>,
}

impl Heads {
    /// The numbers of heads for queries, and for keys and values, in one layer; 0 if unknown.
    pub(super) fn of_layer(&self, layer: usize) -> (u64, u64) {
        let of = |heads: &[u64]| match heads {
            [all] => Some(*all),
            heads => heads.get(layer).copied(),
        };
        let queries = of(&self.queries).unwrap_or(0);
        (queries, of(&self.keys).unwrap_or(queries))
    }
}

/// A tensor as listed in the header.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    /// Innermost first.
    pub(super) dimensions: Vec<u64>,
    pub(super) kind: u32,
    /// Counted from the beginning of the data.
    pub(super) offset: u64,
}

/// Reads the header after the magic and the version.
pub(super) fn header(input: &mut Input<'_>) -> Reading<Header> {
    let tensors = number(input)?;
    let keys = number(input)?;
    let mut metadata = Metadata {
        alignment: 32,
        ..Metadata::default()
    };
    for _ in 0..keys {
        metadata.read(input)?;
    }
    // Every tensor takes more than a byte, so a count that is too large fails at the end of the file.
    let mut listed = Vec::new();
    for _ in 0..tensors {
        listed.push(tensor(input)?);
    }
    let alignment = metadata.alignment;
    if !alignment.is_power_of_two() {
        return input.fault(format!("the alignment {alignment} is not a power of two"));
    }
    let Some(data_start) = input.position().checked_next_multiple_of(alignment) else {
        return input.fault(format!("the alignment {alignment} is too large"));
    };
    Ok(Header {
        architecture: metadata.architecture,
        heads: metadata.heads,
        parts: metadata.parts,
        tensors: listed,
        data_start,
    })
}

#[derive(Default)]
struct Metadata {
    architecture: String,
    alignment: u64,
    heads: Heads,
    parts: u64,
}

impl Metadata {
    /// Reads one key and its value.
    fn read(&mut self, input: &mut Input<'_>) -> Reading<()> {
        let key = name(input)?;
        let kind = u32::from_le_bytes(input.array()?);
        if key == "general.architecture" && kind == STRING {
            self.architecture = name(input)?;
        } else if key == "general.alignment" {
            self.alignment = naturals(input, kind)?.first().copied().unwrap_or(0);
        } else if key == "split.count" {
            self.parts = naturals(input, kind)?.first().copied().unwrap_or(0);
        } else if key.ends_with(".attention.head_count") {
            self.heads.queries = naturals(input, kind)?;
        } else if key.ends_with(".attention.head_count_kv") {
            self.heads.keys = naturals(input, kind)?;
        } else {
            skip(input, kind, DEEPEST)?;
        }
        Ok(())
    }
}

fn tensor(input: &mut Input<'_>) -> Reading<Listed> {
    let name = name(input)?;
    let dimensions = u32::from_le_bytes(input.array()?);
    if dimensions > MOST_DIMENSIONS {
        return input.fault(format!(
            "layer `{name}` has too many dimensions: {dimensions}"
        ));
    }
    let dimensions: Reading<_> = (0..dimensions).map(|_| number(input)).collect();
    Ok(Listed {
        name,
        dimensions: dimensions?,
        kind: u32::from_le_bytes(input.array()?),
        offset: number(input)?,
    })
}

fn number(input: &mut Input<'_>) -> Reading<u64> {
    Ok(u64::from_le_bytes(input.array()?))
}

fn name(input: &mut Input<'_>) -> Reading<String> {
    let length = number(input)?;
    if length > LONGEST_NAME {
        return input.fault(format!("name too long: {length} bytes"));
    }
    match String::from_utf8(input.bytes(length)?) {
        Ok(name) => Ok(name),
        Err(_) => input.fault("name is not valid UTF-8"),
    }
}

const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// The size of a value of this type; `None` for strings, arrays and unknown types.
fn size(kind: u32) -> Option<u64> {
    match kind {
        // Bytes and booleans.
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A natural number, or an array of them.
fn naturals(input: &mut Input<'_>, kind: u32) -> Reading<Vec<u64>> {
    /// More than the number of layers of any model.
    const MOST: u64 = 1 << 16;

    let (kind, count) = match kind {
        ARRAY => (u32::from_le_bytes(input.array()?), number(input)?),
        _ => (kind, 1),
    };
    if count > MOST {
        return input.fault(format!("too many heads or sizes: {count}"));
    }
    (0..count).map(|_| natural(input, kind)).collect()
}

fn natural(input: &mut Input<'_>, kind: u32) -> Reading<u64> {
    // Negative numbers become too large to be valid.
    Ok(match kind {
        0 | 1 => input.byte()?.into(),
        2 | 3 => u16::from_le_bytes(input.array()?).into(),
        4 | 5 => u32::from_le_bytes(input.array()?).into(),
        10 | 11 => number(input)?,
        _ => return input.fault(format!("expected an integer, found type {kind}")),
    })
}

/// Skips a value.
fn skip(input: &mut Input<'_>, kind: u32, deepest: u32) -> Reading<()> {
    if let Some(size) = size(kind) {
        return input.skip(size);
    }
    match (kind, deepest.checked_sub(1)) {
        (STRING, _) => {
            let length = number(input)?;
            input.skip(length)
        }
        (ARRAY, Some(deepest)) => {
            let kind = u32::from_le_bytes(input.array()?);
            let count = number(input)?;
            if let Some(size) = size(kind) {
                return match count.checked_mul(size) {
                    Some(length) => input.skip(length),
                    None => input.fault(format!("array too long: {count} values")),
                };
            }
            for _ in 0..count {
                skip(input, kind, deepest)?;
            }
            Ok(())
        }
        (ARRAY, None) => input.fault("arrays nested too deeply"),
        _ => input.fault(format!("unknown metadata type {kind}")),
    }
}
