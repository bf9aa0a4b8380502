//! One GGUF file: its checked tensors, and reading their values.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::io;
use std::path::Path;

use super::blocks::{Block, LARGEST};
use super::header::{Header, Heads, Listed, MAGIC, header};
use super::kind::{Coding, Kind};
use super::names::{in_block, is_derived, is_interleaved, is_raised, original};
use crate::Scalar;
use crate::storage::input::Input;
use crate::storage::model::ModelPart;
use crate::storage::part::{self, StoredValues};
use crate::storage::{BUFFER, ByteOrder, Bytes, Element, FileError, FileErrorKind, Storage};
use crate::weights::{SkippedLayer, element_count};

/// A file whose header has been read and checked. Its layers are sorted by position in the file.
pub(super) type Part<'a> = part::Part<'a, Values>;

pub(super) type StoredLayer = part::StoredLayer<Values>;

/// The most values of a head that is read at once.
const LARGEST_HEAD: usize = 1 << 20;

/// The values of a tensor.
#[derive(Debug)]
pub(super) struct Values {
    place: Place,
    /// Their length in bytes.
    bytes: u64,
    rows: Option<Rows>,
    /// Whether llama.cpp added one to all values.
    is_raised: bool,
}

/// The position of a tensor, and how it is stored.
#[derive(Clone, Copy, Debug)]
enum Place {
    Plain(Element, u64),
    Blocks(&'static Block, u64),
}

/// Rows whose order llama.cpp changed, so that the rows of the two halves of each head alternate.
#[derive(Clone, Copy, Debug)]
struct Rows {
    /// The number of rows in a head.
    head: usize,
    /// The number of values in a row.
    length: usize,
}

impl Rows {
    /// The stored row that holds this row of the model.
    const fn stored(self, row: usize) -> usize {
        let (head, within) = (row / self.head, row % self.head);
        let half = self.head / 2;
        head * self.head + within % half * 2 + within / half
    }

    /// Where in its head the model has a row that is stored at this place of the head.
    const fn within_head(self, stored: usize) -> usize {
        stored % 2 * (self.head / 2) + stored / 2
    }
}

/// Reads and checks a file's header. The number is that of the model's files; 0 or 1 if this is the only one.
pub(super) fn part(storage: Storage<'_>) -> Result<(Part<'_>, u64), FileError> {
    let header = read_header(&storage)?;
    let (mut layers, mut skipped) = (Vec::new(), Vec::new());
    for listed in &header.tensors {
        match layer(&header, listed, storage.length()) {
            Ok(Ok(layer)) => layers.push(layer),
            Ok(Err(layer)) => skipped.push(layer),
            Err(reason) => return Err(bad_layer(&listed.name, reason).or_in_file(storage.label())),
        }
    }
    let position = |layer: &StoredLayer| layer.values.place.position();
    layers.sort_by(|first, second| {
        (position(first).cmp(&position(second))).then_with(|| first.name.cmp(&second.name))
    });
    let part = Part::new(storage, layers, skipped)?;
    let overlaps = |pair: &&[StoredLayer]| {
        let (first, second) = (&pair[0].values, &pair[1]);
        second.values.bytes > 0 && first.place.position() + first.bytes > position(second)
    };
    match part.layers().windows(2).find(overlaps) {
        Some(pair) => {
            let reason = format!("overlaps `{}`", pair[0].name);
            Err(bad_layer(&pair[1].name, reason).or_in_file(part.storage().label()))
        }
        None => Ok((part, header.parts)),
    }
}

/// Checks a tensor against the file's length. The error describes what is wrong.
fn layer(
    header: &Header,
    listed: &Listed,
    length: u64,
) -> Result<Result<StoredLayer, SkippedLayer>, String> {
    let name = original(&header.architecture, &listed.name);
    let name = name.unwrap_or_else(|| listed.name.clone());
    let shape: Option<Vec<usize>> = (listed.dimensions.iter().rev())
        .map(|&length| length.try_into().ok())
        .collect();
    let shape = shape.unwrap_or_default();
    let elements = (element_count(&shape).filter(|_| shape.len() == listed.dimensions.len()))
        .ok_or("too many elements")?;
    let skipped = |layer, reason| Ok(Err(SkippedLayer { layer, reason }));
    let Some(kind) = Kind::of(listed.kind) else {
        let reason = format!("unknown data type {}", listed.kind);
        return skipped(name, reason);
    };
    let (position, bytes) = place(header, listed, kind, elements, length)?;
    let (place, element_type) = match kind.coding {
        _ if is_derived(&listed.name) => {
            return skipped(name, "derived from the configuration".to_owned());
        }
        Coding::Unknown => {
            return skipped(name, format!("{} values cannot be decoded", kind.name));
        }
        Coding::Blocks(block, element_type) => (Place::Blocks(block, position), element_type),
        Coding::Plain(element_type) => {
            let order = ByteOrder::Little;
            let element = Element {
                element_type,
                order,
            };
            (Place::Plain(element, position), element_type)
        }
    };
    Ok(Ok(StoredLayer {
        name,
        element_type,
        elements,
        values: Values {
            place,
            bytes,
            rows: rows(header, &listed.name, &shape, kind),
            is_raised: is_raised(&header.architecture, &listed.name),
        },
        shape,
    }))
}

fn bad_layer(layer: &str, reason: String) -> FileError {
    FileErrorKind::BadLayer { reason }.of_layer(layer)
}

fn read_header(storage: &Storage<'_>) -> Result<Header, FileError> {
    let mut input = Input::new(storage, 0, storage.length());
    let magic = storage.bytes(0, storage.length().min(MAGIC.len() as u64))?;
    if magic != MAGIC {
        let other = FileErrorKind::OtherFormat {
            format: "GGUF",
            reason: "the file does not begin with `GGUF`".to_owned(),
        };
        return Err(other.in_file(storage.label()));
    }
    input.skip(MAGIC.len() as u64)?;
    let version = u32::from_le_bytes(input.array()?);
    if !(2..=3).contains(&version) {
        return input.fault(format!(
            "unsupported version {version:#x}; only little-endian files of versions 2 and 3 can be read"
        ));
    }
    header(&mut input)
}

/// The position and length of a tensor's data in a file of `length` bytes. The error describes what is wrong.
fn place(
    header: &Header,
    listed: &Listed,
    kind: Kind,
    elements: usize,
    length: u64,
) -> Result<(u64, u64), String> {
    let (values, bytes) = kind.unit;
    let innermost = listed.dimensions.first().copied().unwrap_or(1);
    if !innermost.is_multiple_of(values as u64) {
        return Err(format!(
            "has rows of {innermost} values, but {} stores blocks of {values}",
            kind.name
        ));
    }
    let begin = header.data_start.checked_add(listed.offset);
    let size = ((elements / values) as u64).checked_mul(bytes as u64);
    let place = begin.zip(size);
    let end = place.and_then(|(begin, size)| begin.checked_add(size));
    match place.zip(end) {
        Some((place, end)) if end <= length || elements == 0 => Ok(place),
        Some((_, end)) => Err(format!(
            "ends at byte {end}, but the file has only {length}"
        )),
        None => Err("ends beyond 2^64 bytes".to_owned()),
    }
}

/// How to restore the order of the rows of q and k, if it was changed.
fn rows(header: &Header, name: &str, shape: &[usize], kind: Kind) -> Option<Rows> {
    if !is_interleaved(&header.architecture) {
        return None;
    }
    let (layer, part, _) = in_block(name)?;
    let (queries, keys) = Heads::of_layer(&header.heads, layer);
    let heads = match part {
        "attn_q" => queries,
        "attn_k" => keys,
        _ => return None,
    };
    let heads = usize::try_from(heads).ok()?;
    let (&rows, rest) = shape.split_first()?;
    let head = rows.checked_div(heads)?;
    let length = element_count(rest)?;
    let (unit, _) = kind.unit;
    let has_whole_blocks = length > 0 && length.is_multiple_of(unit);
    let fits = head * heads == rows && head.is_multiple_of(2) && head > 2;
    (fits && has_whole_blocks).then_some(Rows { head, length })
}

impl Place {
    const fn position(self) -> u64 {
        match self {
            Self::Plain(_, position) | Self::Blocks(_, position) => position,
        }
    }

    /// The number of bytes that this many values take; they must fill whole blocks.
    fn bytes_of(self, values: usize) -> usize {
        match self {
            Self::Plain(element, _) => values * element.size(),
            Self::Blocks(block, _) => values / block.values * block.bytes,
        }
    }

    /// Decodes values from their bytes; both must be whole blocks.
    fn decode<T: Scalar>(self, stored: &[u8], values: &mut [T]) -> io::Result<()> {
        match self {
            Self::Plain(element, _) => element.decode(stored, values),
            Self::Blocks(block, _) => {
                block.decode(stored, values);
                Ok(())
            }
        }
    }

    /// Fills `values` from the stored value at `offset` on.
    fn read<T: Scalar>(
        self,
        buffer: &mut [u8],
        bytes: Bytes<'_>,
        offset: usize,
        values: &mut [T],
    ) -> io::Result<()> {
        match self {
            Self::Plain(element, position) => {
                let position = position + (offset * element.size()) as u64;
                element.read_through(buffer, bytes, position, values)
            }
            Self::Blocks(block, _) => self.read_blocks(block, buffer, bytes, offset, values),
        }
    }

    /// Decodes the blocks that hold the values, as many at once as fit into the buffer.
    fn read_blocks<T: Scalar>(
        self,
        block: &Block,
        buffer: &mut [u8],
        bytes: Bytes<'_>,
        offset: usize,
        mut values: &mut [T],
    ) -> io::Result<()> {
        let (mut at, mut within) = (offset / block.values, offset % block.values);
        let mut decoded = [T::zero(); LARGEST];
        while !values.is_empty() {
            let whole = match within {
                0 => (values.len() / block.values).min(BUFFER / block.bytes),
                _ => 0,
            };
            let count = whole.max(1);
            let start = self.position() + (at * block.bytes) as u64;
            let stored = bytes.view(start, count * block.bytes, buffer)?;
            at += count;
            if whole > 0 {
                let (now, later) = values.split_at_mut(whole * block.values);
                block.decode(stored, now);
                values = later;
                continue;
            }
            // Of the first and the last block only a part may be asked for.
            block.decode(stored, &mut decoded[..block.values]);
            let wanted = &decoded[within..block.values];
            let (now, later) = values.split_at_mut(wanted.len().min(values.len()));
            now.copy_from_slice(&wanted[..now.len()]);
            (values, within) = (later, 0);
        }
        Ok(())
    }
}

impl StoredValues for Values {
    /// A head, whose rows are stored in another order.
    fn preferred_length(&self) -> usize {
        let head = self.rows.map_or(1, |rows| rows.head * rows.length);
        if head <= LARGEST_HEAD { head } else { 1 }
    }

    fn read<T: Scalar>(&self, bytes: Bytes<'_>, offset: usize, values: &mut [T]) -> io::Result<()> {
        // Of two blocks only a part may be asked for.
        let needed = self
            .place
            .bytes_of(values.len().saturating_add(2 * LARGEST));
        let mut buffer = bytes.buffer(BUFFER.min(needed));
        match self.rows {
            None => self.place.read(&mut buffer, bytes, offset, values)?,
            Some(rows) => {
                let head = rows.head * rows.length;
                let before = (offset.next_multiple_of(head) - offset).min(values.len());
                let (before, rest) = values.split_at_mut(before);
                let (heads, after) = rest.split_at_mut(rest.len() / head * head);
                let first = offset + before.len();
                let end = first + heads.len();
                self.read_rows(rows, &mut buffer, bytes, (offset, before))?;
                self.read_heads(rows, &mut buffer, bytes, (first, heads))?;
                self.read_rows(rows, &mut buffer, bytes, (end, after))?;
            }
        }
        if self.is_raised {
            for value in values {
                *value = *value - T::one();
            }
        }
        Ok(())
    }
}

impl Values {
    /// Reads rows whose order llama.cpp changed one by one.
    fn read_rows<T: Scalar>(
        &self,
        rows: Rows,
        buffer: &mut [u8],
        bytes: Bytes<'_>,
        (mut offset, mut left): (usize, &mut [T]),
    ) -> io::Result<()> {
        while !left.is_empty() {
            let (row, column) = (offset / rows.length, offset % rows.length);
            let count = (rows.length - column).min(left.len());
            let (now, later) = left.split_at_mut(count);
            let stored = rows.stored(row) * rows.length + column;
            self.place.read(buffer, bytes, stored, now)?;
            left = later;
            offset += count;
        }
        Ok(())
    }

    /// Reads whole heads in the order in which their rows are stored, as many rows at once as the buffer
    /// holds.
    fn read_heads<T: Scalar>(
        &self,
        rows: Rows,
        buffer: &mut [u8],
        bytes: Bytes<'_>,
        (offset, heads): (usize, &mut [T]),
    ) -> io::Result<()> {
        let row = self.place.bytes_of(rows.length);
        let at_once = BUFFER / row.max(1);
        if at_once < 2 {
            return self.read_rows(rows, buffer, bytes, (offset, heads));
        }
        let mut position = self.place.position() + self.place.bytes_of(offset) as u64;
        for values in heads.chunks_exact_mut(rows.head * rows.length) {
            for first in (0..rows.head).step_by(at_once) {
                let count = at_once.min(rows.head - first);
                let stored = bytes.view(position, count * row, buffer)?;
                position += stored.len() as u64;
                for (place, stored) in (first..).zip(stored.chunks_exact(row)) {
                    let start = rows.within_head(place) * rows.length;
                    (self.place).decode(stored, &mut values[start..start + rows.length])?;
                }
            }
        }
        Ok(())
    }
}

/// The other files of a model whose first is `path`: `name-00001-of-00003.gguf` and so on.
pub(super) fn other_parts(path: &Path, parts: u64) -> Result<Vec<Part<'static>>, FileError> {
    let bad = |reason| FileErrorKind::BadPart { reason }.in_file(path.display().to_string());
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = format!("-00001-of-{parts:05}");
    let Some(stem) = name.strip_suffix(end.as_str()) else {
        return Err(bad(format!(
            "the model is split into {parts} files, so the name of the first should end in `{end}`"
        )));
    };
    let open = |number| {
        let path = path.with_file_name(format!("{stem}-{number:05}-of-{parts:05}.gguf"));
        match part(Storage::open(&path)?)? {
            (part, others) if others == parts => Ok(part),
            _ => Err(bad(format!(
                "`{}` belongs to another model",
                path.display()
            ))),
        }
    };
    (2..=parts).map(open).collect()
}
