//! One safetensors file, on disk or in memory, and how its values are read.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use std::io;
use std::path::Path;

use super::SafetensorsError;
use super::file::{ModelFile, read_values};
use super::header::{BEGINNING, Header, PREFIX, Tensor, header_length};
use crate::Scalar;

/// A file whose header has been read and checked.
#[derive(Debug)]
pub(super) struct Shard<'a> {
    /// How the file is called in errors.
    label: String,
    pub(super) header: Header,
    /// Where the data begins.
    data_start: u64,
    storage: Storage<'a>,
}

#[derive(Debug)]
enum Storage<'a> {
    /// The data behind the header.
    Memory(&'a [u8]),
    File(ModelFile),
}

impl<'a> Shard<'a> {
    pub(super) fn open(path: &Path) -> Result<Self, SafetensorsError> {
        let file = ModelFile::open(path)?;
        let (label, length) = (path.display().to_string(), file.length());
        let beginning = file.bytes(0, BEGINNING.min(length))?;
        let header_length = header_length(&label, &beginning, length)?;
        let data_start = PREFIX + header_length;
        let header = file.bytes(PREFIX, header_length)?;
        Ok(Self {
            header: Header::parse(&label, &header, length - data_start)?,
            label,
            data_start,
            storage: Storage::File(file),
        })
    }

    pub(super) fn from_bytes(label: &str, bytes: &'a [u8]) -> Result<Self, SafetensorsError> {
        let length = bytes.len() as u64;
        let beginning = bytes.get(..BEGINNING as usize).unwrap_or(bytes);
        let header_length = header_length(label, beginning, length)?;
        let data_start = PREFIX + header_length;
        // The header ends inside the bytes, so its length is one that an index can have.
        let (header, data) = bytes.split_at(data_start as usize);
        let header = &header[PREFIX as usize..];
        Ok(Self {
            label: label.to_owned(),
            header: Header::parse(label, header, data.len() as u64)?,
            data_start,
            storage: Storage::Memory(data),
        })
    }

    /// Fills `values` with the tensor's values from flat index `offset` on.
    pub(super) fn read<T: Scalar>(
        &self,
        tensor: &Tensor,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), SafetensorsError> {
        let out_of_range = || SafetensorsError::OutOfRange {
            file: self.label.clone(),
            layer: self.header.name(tensor).to_owned(),
            offset,
            values: values.len(),
            elements: tensor.elements,
        };
        match offset.checked_add(values.len()) {
            Some(end) if end <= tensor.elements => {}
            _ => return Err(out_of_range()),
        }
        if values.is_empty() {
            return Ok(());
        }
        // The header was checked: the tensor's last byte has a position, so these have one too.
        let size = tensor.element_type.size();
        let begin = tensor.begin + offset as u64 * size as u64;
        match &self.storage {
            Storage::Memory(data) => {
                let range = begin as usize..begin as usize + values.len() * size;
                let bytes = data.get(range).ok_or_else(out_of_range)?;
                let decoded = tensor.element_type.decode(bytes, values);
                decoded.map_err(|error| self.read_error(tensor, &io::Error::other(error)))
            }
            Storage::File(file) => self.read_file(file, tensor, begin, values),
        }
    }

    fn read_file<T: Scalar>(
        &self,
        file: &ModelFile,
        tensor: &Tensor,
        begin: u64,
        values: &mut [T],
    ) -> Result<(), SafetensorsError> {
        let changed = || SafetensorsError::Changed {
            file: self.label.clone(),
            layer: self.header.name(tensor).to_owned(),
        };
        let handle = file.handle().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => changed(),
            _ => self.read_error(tensor, &error),
        })?;
        let read = read_values(
            &handle,
            tensor.element_type,
            self.data_start + begin,
            values,
        );
        // Afterwards, so that a change during the read is seen as well. It explains any failure.
        if !file.is_unchanged(&handle) {
            return Err(changed());
        }
        read.map_err(|error| self.read_error(tensor, &error))
    }

    fn read_error(&self, tensor: &Tensor, error: &io::Error) -> SafetensorsError {
        SafetensorsError::Read {
            file: self.label.clone(),
            layer: self.header.name(tensor).to_owned(),
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}
