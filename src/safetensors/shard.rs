//! One safetensors file, on disk or in memory, and reading its values.

use alloc::vec::Vec;
use std::io;

use super::header::{BEGINNING, Header, PREFIX, Tensor, header_length};
use crate::Scalar;
use crate::storage::model::{About, ModelPart};
use crate::storage::{BUFFER, ByteOrder, Bytes, Element, FileError, Storage};
use crate::weights::{ElementType, F4_E2M1, SkippedLayer};

/// A file whose header has been read and checked.
#[derive(Debug)]
pub(super) struct Shard<'a> {
    pub(super) header: Header,
    /// The position at which the data begins.
    data_start: u64,
    storage: Storage<'a>,
}

impl<'a> Shard<'a> {
    pub(super) fn new(storage: Storage<'a>) -> Result<Self, FileError> {
        let (label, length) = (storage.label(), storage.length());
        let beginning = storage.bytes(0, BEGINNING.min(length))?;
        let named = |error: FileError| error.or_in_file(label);
        let header_length = header_length(&beginning, length).map_err(named)?;
        let data_start = PREFIX + header_length;
        let header = storage.bytes(PREFIX, header_length)?;
        let available = length - data_start;
        let beginning = storage.bytes(data_start, available.min(8))?;
        Ok(Self {
            header: Header::parse(&header, (available, &beginning)).map_err(named)?,
            data_start,
            storage,
        })
    }
}

impl ModelPart for Shard<'_> {
    type Stored = Tensor;

    fn storage(&self) -> &Storage<'_> {
        &self.storage
    }

    fn layers(&self) -> &[Tensor] {
        &self.header.tensors
    }

    fn skipped(&self) -> &[SkippedLayer] {
        &self.header.skipped
    }

    fn lists(&mut self) -> (&mut Vec<Tensor>, &mut Vec<SkippedLayer>) {
        (&mut self.header.tensors, &mut self.header.skipped)
    }

    fn about<'a>(&'a self, layer: &'a Tensor) -> About<'a> {
        About {
            name: self.header.name(layer),
            shape: self.header.shape(layer),
            element_type: layer.element_type,
            elements: layer.elements,
        }
    }

    fn read_bytes<T: Scalar>(
        &self,
        bytes: Bytes<'_>,
        tensor: &Tensor,
        offset: usize,
        values: &mut [T],
    ) -> io::Result<()> {
        // No overflow: the header's check ensured that the tensor's last byte has a valid position.
        let data = self.data_start + tensor.begin;
        if tensor.element_type == ElementType::F4E2M1 {
            return read_pairs(bytes, data, offset, values);
        }
        let element = Element {
            element_type: tensor.element_type,
            order: ByteOrder::Little,
        };
        let begin = data + offset as u64 * element.size() as u64;
        element.read(bytes, begin, values)
    }
}

/// Fills `values` with floats of four bits, the first of each byte in its lower half.
fn read_pairs<T: Scalar>(
    bytes: Bytes<'_>,
    data: u64,
    offset: usize,
    values: &mut [T],
) -> io::Result<()> {
    let mut buffer = bytes.buffer(BUFFER.min(values.len() / 2 + 1));
    let mut at = offset;
    // The first value may be the second of its byte.
    let (first, rest) = values.split_at_mut(offset % 2);
    for values in [first].into_iter().chain(rest.chunks_mut(2 * BUFFER)) {
        let length = (at % 2 + values.len()).div_ceil(2);
        let stored = bytes.view(data + at as u64 / 2, length, &mut buffer)?;
        let codes = stored.iter().flat_map(|byte| [byte & 15, byte >> 4]);
        for (value, code) in values.iter_mut().zip(codes.skip(at % 2)) {
            *value = T::from_single(F4_E2M1[usize::from(code)]);
        }
        at += values.len();
    }
    Ok(())
}
