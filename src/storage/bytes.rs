//! Bytes on disk or in memory, read from any position.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::fs::File;
use std::io;
use std::path::Path;

use super::file::{ModelFile, read_exact_at};
use super::{FileError, FileErrorKind};

/// The maximum length in bytes of a header or index that is read, which is the limit of the reference
/// implementation of safetensors.
pub(crate) const LARGEST_HEADER: u64 = 100_000_000;

/// The number of bytes read at once, which is the memory that one call of `read` takes.
pub(crate) const BUFFER: usize = 64 * 1024;

/// The bytes of one file, and the file's name in errors.
#[derive(Debug)]
pub(crate) struct Storage<'a> {
    label: String,
    held: Held<'a>,
}

#[derive(Debug)]
enum Held<'a> {
    Memory(&'a [u8]),
    File(ModelFile),
}

/// Bytes ready to be read.
#[derive(Clone, Copy)]
pub(crate) enum Bytes<'a> {
    Memory(&'a [u8]),
    File(&'a File),
}

impl Storage<'static> {
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self {
            label: path.display().to_string(),
            held: Held::File(ModelFile::open(path)?),
        })
    }
}

impl<'a> Storage<'a> {
    pub(crate) fn from_bytes(label: &str, bytes: &'a [u8]) -> Self {
        Self {
            label: label.to_owned(),
            held: Held::Memory(bytes),
        }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn length(&self) -> u64 {
        match &self.held {
            Held::Memory(bytes) => bytes.len() as u64,
            Held::File(file) => file.length(),
        }
    }

    /// Reads all of these bytes at once. The caller has checked the length against the file's.
    pub(crate) fn bytes(&self, position: u64, length: u64) -> Result<Vec<u8>, FileError> {
        // Callers ask for at most 100 MB, the limit for headers.
        let mut bytes = vec![0; length as usize];
        self.fill(position, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `bytes` from `position` on, while opening, before layers are known.
    pub(crate) fn fill(&self, position: u64, bytes: &mut [u8]) -> Result<(), FileError> {
        self.read(|source| source.fill(position, bytes))?
            .map_err(|error| FileErrorKind::from_io(&error).in_file(&*self.label))
    }

    /// Reads with `read`, while opening, before layers are known. The outer error is a failure to open the
    /// file.
    pub(crate) fn read<R>(&self, read: impl FnOnce(Bytes<'_>) -> R) -> Result<R, FileError> {
        let failed = |error| FileErrorKind::from_io(&error).in_file(&*self.label);
        Ok(match &self.held {
            Held::Memory(memory) => read(Bytes::Memory(memory)),
            Held::File(file) => {
                let handle = file.handle().map_err(failed)?;
                read(Bytes::File(&handle))
            }
        })
    }

    /// Reads values of a layer with `read`, then checks that the file hasn't changed.
    pub(crate) fn read_layer<R>(
        &self,
        layer: &str,
        read: impl FnOnce(Bytes<'_>) -> io::Result<R>,
    ) -> Result<R, FileError> {
        let at_fault = |kind: FileErrorKind| kind.of_layer(layer).or_in_file(&self.label);
        let failed = |error: io::Error| {
            at_fault(FileErrorKind::Io {
                kind: error.kind(),
                message: error.to_string(),
            })
        };
        let file = match &self.held {
            Held::Memory(bytes) => {
                return read(Bytes::Memory(bytes)).map_err(failed);
            }
            Held::File(file) => file,
        };
        let changed = || at_fault(FileErrorKind::Changed);
        let handle = file.handle().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => changed(),
            _ => failed(error),
        })?;
        let result = read(Bytes::File(&handle));
        // Checked afterwards, to notice changes during the read as well. A change explains any failure.
        if !file.is_unchanged(&handle) {
            return Err(changed());
        }
        result.map_err(failed)
    }

    /// Returns an error unless a layer with this many elements has all the requested values.
    pub(crate) fn check_range(
        &self,
        layer: &str,
        elements: usize,
        [offset, values]: [usize; 2],
    ) -> Result<(), FileError> {
        match offset.checked_add(values) {
            Some(end) if end <= elements => Ok(()),
            _ => {
                let kind = FileErrorKind::OutOfRange {
                    offset,
                    values,
                    elements,
                };
                Err(kind.of_layer(layer).or_in_file(&self.label))
            }
        }
    }
}

impl<'a> Bytes<'a> {
    /// Fills `bytes` with the bytes from `position` on.
    pub(crate) fn fill(self, position: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory(memory) => {
                bytes.copy_from_slice(slice(memory, position, bytes.len())?);
                Ok(())
            }
            Self::File(file) => read_exact_at(file, bytes, position),
        }
    }

    /// These bytes, borrowed if they are in memory, otherwise read into `buffer`.
    pub(crate) fn view<'b>(
        self,
        position: u64,
        length: usize,
        buffer: &'b mut [u8],
    ) -> io::Result<&'b [u8]>
    where
        'a: 'b,
    {
        match self {
            Self::Memory(memory) => slice(memory, position, length),
            Self::File(file) => {
                let bytes = (buffer.get_mut(..length)).ok_or(io::ErrorKind::InvalidInput)?;
                read_exact_at(file, bytes, position)?;
                Ok(bytes)
            }
        }
    }

    /// A buffer for views of at most this many bytes; empty for bytes in memory, which don't need one.
    pub(crate) fn buffer(self, length: usize) -> Vec<u8> {
        match self {
            Self::Memory(_) => Vec::new(),
            Self::File(_) => vec![0; length],
        }
    }
}

fn slice(memory: &[u8], position: u64, length: usize) -> io::Result<&[u8]> {
    let start = usize::try_from(position).ok();
    let range = start.and_then(|start| Some(start..start.checked_add(length)?));
    (range.and_then(|range| memory.get(range))).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
