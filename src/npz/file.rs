//! An archive of arrays: their checked headers, and reading their values.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::io;

use super::header::{Header, PREFIX, header_place};
use super::inflate::{Deflated, Stream, Streams};
use crate::Scalar;
use crate::storage::archive::{Entry, Packing, entries};
use crate::storage::part::{self, Part, StoredValues};
use crate::storage::{Bytes, Element, FileError, FileErrorKind, Storage, Strides};
use crate::text::Shape;
use crate::weights::{SkippedLayer, element_count};

/// The maximum number of values inflated while reading a compressed array in Fortran order once: every chunk inflates
/// the whole array again.
const MOST_INFLATED: usize = 1 << 31;

/// An archive in which the arrays' headers have been read and checked, in the order of its directory.
pub(super) type Arrays<'a> = Part<'a, Values>;

pub(super) type StoredLayer = part::StoredLayer<Values>;

/// The values of an array.
#[derive(Debug)]
pub(super) struct Values {
    element: Element,
    contents: Contents,
    /// The position of the first element in the contents.
    start: u64,
    strides: Option<Strides>,
    /// Shared by all arrays of the archive.
    streams: Arc<Streams>,
}

/// The bytes of an array's file, including the header.
#[derive(Clone, Copy, Debug)]
enum Contents {
    Stored(u64),
    Deflated(Deflated),
}

/// Reads and checks the arrays' headers.
pub(super) fn arrays(storage: Storage<'_>) -> Result<Arrays<'_>, FileError> {
    let format = "NumPy";
    let listed = entries(&storage)
        .map_err(|reason| FileErrorKind::OtherFormat { format, reason }.in_file(storage.label()))?;
    let (mut layers, mut skipped) = (Vec::with_capacity(listed.len()), Vec::new());
    let streams = Arc::default();
    for entry in listed {
        let name = entry.name.strip_suffix(".npy").unwrap_or(&entry.name);
        match layer(&storage, &entry, name, &streams) {
            Ok(layer) => layers.push(layer),
            Err(Refused::Skipped(reason)) => skipped.push(SkippedLayer {
                layer: name.into(),
                reason,
            }),
            Err(Refused::Wrong(reason)) => {
                let error = FileErrorKind::BadLayer { reason }.of_layer(name);
                return Err(error.or_in_file(storage.label()));
            }
            Err(Refused::File(error)) => return Err(error),
        }
    }
    Part::new(storage, layers, skipped)
}

/// Reads an entry's header, and checks it against the entry's length.
fn layer(
    storage: &Storage<'_>,
    entry: &Entry,
    name: &str,
    streams: &Arc<Streams>,
) -> Result<StoredLayer, Refused> {
    if name == entry.name {
        return Err(Refused::Skipped("not a NumPy array".to_owned()));
    }
    let contents = match entry.packing {
        Packing::Stored => Contents::Stored(entry.position),
        Packing::Deflated => Contents::Deflated(Deflated {
            position: entry.position,
            length: entry.packed,
        }),
        Packing::Unknown => {
            let reason = "encrypted, or compressed by an unsupported method";
            return Err(Refused::Skipped(reason.to_owned()));
        }
    };
    let mut stream = Opening::new(contents);
    let beginning = stream.bytes(storage, 0, entry.length.min(PREFIX as u64))?;
    let (position, length) = header_place(&beginning)?;
    let start = position + length;
    if start > entry.length {
        return Err(Refused::Wrong("the header is truncated".to_owned()));
    }
    let header = Header::parse(&stream.bytes(storage, position, length)?)?;
    let element = header.element().map_err(Refused::Skipped)?;
    let elements = element_count(&header.shape).ok_or_else(|| "too many elements".to_owned())?;
    let needed = (elements as u64).checked_mul(element.size() as u64);
    if needed != Some(entry.length - start) {
        return Err(Refused::Wrong(format!(
            "its shape {} needs {} bytes, but it has {}",
            Shape(&header.shape),
            needed.map_or_else(|| "more than 2^64".to_owned(), |needed| needed.to_string()),
            entry.length - start
        )));
    }
    let strides = (header.is_column_major).then(|| Strides::column_major(&header.shape));
    let strides = strides.flatten();
    if let Some(strides) = &strides
        && entry.packing == Packing::Deflated
    {
        let times = elements.div_ceil(strides.preferred_length());
        if elements.saturating_mul(times) > MOST_INFLATED {
            return Err(Refused::Skipped(format!(
                "compressed in Fortran order: reading its {elements} values would inflate them \
                 {times} times"
            )));
        }
    }
    Ok(StoredLayer {
        name: name.to_owned(),
        shape: header.shape,
        element_type: element.element_type,
        elements,
        values: Values {
            element,
            contents,
            start,
            strides,
            streams: Arc::clone(streams),
        },
    })
}
impl StoredValues for Values {
    fn preferred_length(&self) -> usize {
        (self.strides.as_ref()).map_or(1, Strides::preferred_length)
    }

    fn read<T: Scalar>(&self, bytes: Bytes<'_>, offset: usize, values: &mut [T]) -> io::Result<()> {
        let (element, start) = (self.element, self.start);
        let first = start + offset as u64 * element.size() as u64;
        match (self.contents, &self.strides) {
            (Contents::Stored(position), None) => element.read(bytes, position + first, values),
            (Contents::Stored(position), Some(strides)) => {
                strides.gather(element, offset, values, |at, buffer| {
                    bytes.fill(position + start + at, buffer)
                })
            }
            (Contents::Deflated(deflated), None) => {
                let read = |stream: &mut Stream| {
                    element.read_with(first, values, |at, buffer| stream.fetch(bytes, at, buffer))
                };
                self.streams.with(deflated, first, read)
            }
            (Contents::Deflated(deflated), Some(strides)) => {
                let mut stream = Stream::new(deflated);
                strides.gather(element, offset, values, |at, buffer| {
                    stream.fetch(bytes, start + at, buffer)
                })
            }
        }
    }
}

/// Why an entry isn't a layer.
enum Refused {
    Skipped(String),
    Wrong(String),
    File(FileError),
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

impl From<FileError> for Refused {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// Contents while only the header is being read.
enum Opening {
    Stored(u64),
    Deflated(Stream),
}

impl Opening {
    fn new(contents: Contents) -> Self {
        match contents {
            Contents::Stored(position) => Self::Stored(position),
            Contents::Deflated(deflated) => Self::Deflated(Stream::new(deflated)),
        }
    }

    fn bytes(
        &mut self,
        storage: &Storage<'_>,
        position: u64,
        length: u64,
    ) -> Result<Vec<u8>, Refused> {
        match self {
            Self::Stored(start) => Ok(storage.bytes(*start + position, length)?),
            Self::Deflated(stream) => {
                let mut bytes = alloc::vec![0; length as usize];
                let read = |source: Bytes<'_>| -> io::Result<()> {
                    stream.fetch(source, position, &mut bytes)
                };
                match storage.read(read)? {
                    Ok(()) => Ok(bytes),
                    Err(error) => Err(Refused::Wrong(error.to_string())),
                }
            }
        }
    }
}
