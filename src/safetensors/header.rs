//! A header is read once, checked completely, and kept small. Nothing in it is trusted before the check.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::de::DeserializeSeed;

use super::entry::{Entry, Listing, StoredType};
use crate::storage::index::{damaged, not_json, utf8};
use crate::storage::texts::{Span, Texts};
use crate::storage::{FileError, FileErrorKind, LARGEST_HEADER};
use crate::text::{Quoted, Shape};
use crate::weights::{ElementType, SkippedLayer, element_count};

/// The number of bytes before the header, which hold its length.
pub(super) const PREFIX: u64 = 8;

/// The number of bytes of a file that [`header_length`] looks at.
pub(super) const BEGINNING: u64 = 48;

/// The contents of a header, after every check.
#[derive(Debug)]
pub(super) struct Header {
    texts: Texts,
    lengths: Vec<usize>,
    metadata: Vec<(Span, Span)>,
    pub(super) tensors: Vec<Tensor>,
    /// The layers that can't be decoded.
    pub(super) skipped: Vec<SkippedLayer>,
}

/// A tensor that can be read.
#[derive(Debug)]
pub(super) struct Tensor {
    name: Span,
    shape: Span,
    pub(super) element_type: ElementType,
    pub(super) elements: usize,
    /// The position of its first byte, counted from the end of the header.
    pub(super) begin: u64,
}

impl Header {
    /// Reads and checks a header, given the number of bytes of data after it and the first eight of them.
    pub(super) fn parse(
        header: &[u8],
        (available, beginning): (u64, &[u8]),
    ) -> Result<Self, FileError> {
        let text = utf8(header)?;
        let mut listing = Listing::default();
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = DeserializeSeed::deserialize(&mut listing, &mut json);
        if let Err(error) = parsed.and_then(|()| json.end()) {
            return Err(describe(&listing, &error));
        }
        let check = Check { listing: &listing };
        let elements = check.entries(available)?;
        check.unique_names()?;
        check.ranges(available, may_be_shifted(header, beginning))?;
        Ok(Self::from_checked(listing, &elements))
    }

    /// Keeps what is needed to read tensors, sorted by position in the file.
    fn from_checked(listing: Listing, elements: &[usize]) -> Self {
        let mut tensors: Vec<_> = (listing.entries.iter().zip(elements))
            .filter_map(|(entry, &elements)| {
                let StoredType::Decodable(element_type) = entry.stored_type else {
                    return None;
                };
                Some(Tensor {
                    name: entry.name,
                    shape: entry.shape,
                    element_type,
                    elements,
                    begin: entry.begin,
                })
            })
            .collect();
        tensors.shrink_to_fit();
        tensors.sort_by_key(|tensor| tensor.begin);
        let mut header = Self {
            texts: listing.texts,
            lengths: listing.lengths,
            metadata: listing.metadata,
            tensors,
            skipped: listing.skipped,
        };
        header.texts.shrink_to_fit();
        header.lengths.shrink_to_fit();
        header
    }

    pub(super) fn name(&self, tensor: &Tensor) -> &str {
        self.texts.get(tensor.name)
    }

    pub(super) fn shape(&self, tensor: &Tensor) -> &[usize] {
        self.lengths.get(tensor.shape.range()).unwrap_or_default()
    }

    pub(super) fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        (self.metadata.iter()).map(|&(key, value)| (self.texts.get(key), self.texts.get(value)))
    }
}

/// The length of the header, from the first [`BEGINNING`] bytes of a file of `length` bytes.
pub(super) fn header_length(beginning: &[u8], length: u64) -> Result<u64, FileError> {
    let format = "safetensors";
    let other = |reason| FileErrorKind::OtherFormat { format, reason }.in_file("");
    let Some((&prefix, _)) = beginning.split_first_chunk() else {
        let reason = match length {
            0 => "the file is empty".to_owned(),
            _ => format!("the file is only {length} bytes long"),
        };
        return Err(other(reason));
    };
    // As a number, eight printable characters far exceed any header's length.
    if prefix.iter().all(|&byte| is_text(byte)) {
        let text = beginning.split(|&byte| !is_text(byte)).next();
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        return Err(other(format!(
            "the file is text that begins with {}",
            Quoted(&text)
        )));
    }
    let header = u64::from_le_bytes(prefix);
    if header > length.saturating_sub(PREFIX) {
        let reason = format!("the header would be {header} bytes long in a file of {length}");
        return Err(other(reason));
    }
    if header > LARGEST_HEADER {
        return Err(damaged(format!(
            "the header is {header} bytes long, where the format allows {LARGEST_HEADER}"
        )));
    }
    Ok(header)
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')
}

/// Whether the header's length may be wrong, so that padding counts as data or data as padding.
///
/// Headers are padded to a multiple of eight bytes. If one bit of the length is flipped, they lose at least eight
/// spaces, or end with white space elsewhere.
fn may_be_shifted(header: &[u8], beginning: &[u8]) -> bool {
    let is_padded = header.last().is_some_and(u8::is_ascii_whitespace);
    beginning == PADDING || is_padded && !header.len().is_multiple_of(PADDING.len())
}

/// The padding of the reference implementation.
const PADDING: &[u8; 8] = b"        ";

/// Converts a parser's error, naming the entry in which it occurred.
fn describe(listing: &Listing, error: &serde_json::Error) -> FileError {
    match listing.current {
        Some(name) if error.is_data() => bad_layer(listing.texts.get(name), error.to_string()),
        _ => not_json(error),
    }
}

fn bad_layer(layer: &str, reason: String) -> FileError {
    FileErrorKind::BadLayer { reason }.of_layer(layer)
}

/// The checks that need the whole listing.
struct Check<'a> {
    listing: &'a Listing,
}

impl Check<'_> {
    fn name(&self, name: Span) -> &str {
        self.listing.texts.get(name)
    }

    /// Checks each entry by itself, and returns the number of its elements.
    fn entries(&self, available: u64) -> Result<Vec<usize>, FileError> {
        (self.listing.entries.iter())
            .map(|entry| {
                let elements = self.entry(entry, available);
                elements.map_err(|reason| bad_layer(self.name(entry.name), reason))
            })
            .collect()
    }

    /// The number of an entry's elements, or a description of what is wrong.
    fn entry(&self, entry: &Entry, available: u64) -> Result<usize, String> {
        let &Entry { begin, end, .. } = entry;
        let bytes = (end.checked_sub(begin))
            .ok_or_else(|| format!("begins at byte {begin} but ends at byte {end}"))?;
        let shape = (self.listing.lengths.get(entry.shape.range())).unwrap_or_default();
        let elements = element_count(shape).ok_or_else(|| {
            let shape = Shape(shape);
            format!("too many elements: its shape is {shape}")
        })?;
        if let Some(bits) = entry.stored_type.bits() {
            // Types narrower than a byte are packed.
            let needed = (elements as u64).checked_mul(u64::from(bits));
            let needed = needed.map(|bits| bits.div_ceil(8));
            if needed != Some(bytes) {
                let needed = needed.map_or_else(|| COUNTLESS.to_owned(), |bytes| bytes.to_string());
                return Err(format!(
                    "has {bytes} bytes, but its type and shape need {needed}"
                ));
            }
        }
        if end > available {
            return Err(format!(
                "ends at byte {end} of the data, but the file has only {available}"
            ));
        }
        Ok(elements)
    }

    /// Rejects two layers, or two metadata keys, with the same name.
    fn unique_names(&self) -> Result<(), FileError> {
        let names = self.listing.entries.iter().map(|entry| entry.name);
        if let Some(layer) = self.listing.texts.first_duplicate(names) {
            return Err(FileErrorKind::DuplicateLayer.of_layer(layer));
        }
        let keys = self.listing.metadata.iter().map(|&(key, _)| key);
        match self.listing.texts.first_duplicate(keys) {
            Some(key) => Err(bad_layer(
                super::entry::METADATA,
                format!("key `{key}` listed twice"),
            )),
            None => Ok(()),
        }
    }

    /// Rejects layers that share bytes, and bytes after the last layer.
    ///
    /// The reference implementation also rejects bytes between layers. They are harmless and accepted here, and a
    /// file with such gaps may end with unused bytes, but no more than its longest gap. If one bit of the header's
    /// length were flipped, all layers would be read from the wrong place and bytes would be left over, so a file
    /// whose length may be wrong has to end with its last layer.
    fn ranges(&self, available: u64, may_be_shifted: bool) -> Result<(), FileError> {
        let mut ranges: Vec<_> = (self.listing.entries.iter())
            .filter(|entry| entry.begin < entry.end)
            .map(|entry| (entry.begin, entry.end, entry.name))
            .collect();
        ranges.sort_unstable_by_key(|&(begin, end, _)| (begin, end));
        let mut longest_gap = 0;
        for pair in ranges.windows(2) {
            let &[(_, end, first), (begin, _, second)] = pair else {
                continue;
            };
            if begin < end {
                let reason = format!("overlaps {}", Quoted(self.name(first)));
                return Err(bad_layer(self.name(second), reason));
            }
            longest_gap = longest_gap.max(begin - end);
        }
        let end = ranges.last().map_or(0, |&(_, end, _)| end);
        let allowed = if may_be_shifted { 0 } else { longest_gap };
        if available - end <= allowed {
            return Ok(());
        }
        Err(damaged(format!(
            "the last layer ends at byte {end} of the data, but the file has {available}"
        )))
    }
}

const COUNTLESS: &str = "more than 2^64";
