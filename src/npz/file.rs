//! An archive of arrays: their checked headers, and reading their values.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::io;

use super::header::{Header, PREFIX, header_place};
use super::inflate::{Deflated, Stream, Streams};
use crate::Scalar;
use crate::storage::archive::{Entry, Packing, entries};
use crate::storage::model::{About, ModelPart};
use crate::storage::text::Shape;
use crate::storage::{Bytes, Element, FileError, FileErrorKind, Storage, Strides};
use crate::weights::{SkippedLayer, element_count};

/// The maximum number of values inflated while reading a compressed array in Fortran order once: every chunk inflates
/// the whole array again.
const MOST_INFLATED: usize = 1 << 31;

/// An archive in which the arrays' headers have been read and checked.
#[derive(Debug)]
pub(super) struct Arrays<'a> {
    storage: Storage<'a>,
    /// In the order of the archive's directory.
    pub(super) layers: Vec<StoredLayer>,
    pub(super) skipped: Vec<SkippedLayer>,
    streams: Streams,
}

/// An array that can be read.
#[derive(Debug)]
pub(super) struct StoredLayer {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
    elements: usize,
    contents: Contents,
    /// The position of its first element in the contents.
    start: u64,
    strides: Option<Strides>,
}

/// The bytes of an array's file, including the header.
#[derive(Clone, Copy, Debug)]
enum Contents {
    Stored(u64),
    Deflated(Deflated),
}

impl<'a> Arrays<'a> {
    pub(super) fn new(storage: Storage<'a>) -> Result<Self, FileError> {
        let format = "NumPy";
        let listed = entries(&storage).map_err(|reason| {
            FileErrorKind::OtherFormat { format, reason }.in_file(storage.label())
        })?;
        let mut arrays = Self {
            storage,
            layers: Vec::with_capacity(listed.len()),
            skipped: Vec::new(),
            streams: Streams::default(),
        };
        for entry in listed {
            let name = entry.name.strip_suffix(".npy").unwrap_or(&entry.name);
            match arrays.layer(&entry, name) {
                Ok(layer) => arrays.layers.push(layer),
                Err(Refused::Skipped(reason)) => arrays.skipped.push(SkippedLayer {
                    layer: name.into(),
                    reason,
                }),
                Err(Refused::Wrong(reason)) => {
                    let error = FileErrorKind::BadLayer { reason }.of_layer(name);
                    return Err(error.or_in_file(arrays.storage.label()));
                }
                Err(Refused::File(error)) => return Err(error),
            }
        }
        arrays.check_names()?;
        Ok(arrays)
    }

    fn check_names(&self) -> Result<(), FileError> {
        let mut names: Vec<_> = self.layers.iter().map(|layer| &layer.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                let twice = FileErrorKind::DuplicateLayer.of_layer(pair[0]);
                Err(twice.or_in_file(self.storage.label()))
            }
            None => Ok(()),
        }
    }

    /// Reads an entry's header, and checks it against the entry's length.
    fn layer(&self, entry: &Entry, name: &str) -> Result<StoredLayer, Refused> {
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
        let beginning = stream.bytes(&self.storage, 0, entry.length.min(PREFIX as u64))?;
        let (position, length) = header_place(&beginning)?;
        let start = position + length;
        if start > entry.length {
            return Err(Refused::Wrong("the header is truncated".to_owned()));
        }
        let header = Header::parse(&stream.bytes(&self.storage, position, length)?)?;
        let element = header.element().map_err(Refused::Skipped)?;
        let elements =
            element_count(&header.shape).ok_or_else(|| "too many elements".to_owned())?;
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
            element,
            elements,
            contents,
            start,
            strides,
        })
    }
}

impl ModelPart for Arrays<'_> {
    type Stored = StoredLayer;

    fn layers(&self) -> &[StoredLayer] {
        &self.layers
    }

    fn take_skipped(&mut self) -> Vec<SkippedLayer> {
        core::mem::take(&mut self.skipped)
    }

    fn about<'a>(&'a self, layer: &'a StoredLayer) -> About<'a> {
        About {
            name: &layer.name,
            shape: &layer.shape,
            element_type: layer.element.element_type,
        }
    }

    fn preferred_length(&self, layer: &StoredLayer) -> usize {
        let strides = layer.strides.as_ref();
        strides.map_or(1, Strides::preferred_length)
    }

    fn read<T: Scalar>(
        &self,
        layer: &StoredLayer,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), FileError> {
        let range = [offset, values.len()];
        (self.storage).check_range(&layer.name, layer.elements, range)?;
        if values.is_empty() {
            return Ok(());
        }
        let (element, size) = (layer.element, layer.element.size() as u64);
        let first = layer.start + offset as u64 * size;
        (self.storage).read_layer(&layer.name, |bytes| {
            match (layer.contents, &layer.strides) {
                (Contents::Stored(position), None) => element.read(bytes, position + first, values),
                (Contents::Stored(position), Some(strides)) => {
                    let start = position + layer.start;
                    strides.gather(element, offset, values, |at, buffer| {
                        bytes.fill(start + at, buffer)
                    })
                }
                (Contents::Deflated(deflated), None) => {
                    let read = |stream: &mut Stream| {
                        element
                            .read_with(first, values, |at, buffer| stream.fetch(bytes, at, buffer))
                    };
                    self.streams.with(deflated, first, read)
                }
                (Contents::Deflated(deflated), Some(strides)) => {
                    let mut stream = Stream::new(deflated);
                    strides.gather(element, offset, values, |at, buffer| {
                        stream.fetch(bytes, layer.start + at, buffer)
                    })
                }
            }
        })
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
