//! One safetensors file, on disk or in memory, and how its values are read.

use alloc::vec::Vec;
use std::path::Path;

use super::header::{BEGINNING, Header, PREFIX, Tensor, header_length};
use crate::Scalar;
use crate::storage::index::Indexed;
use crate::storage::model::ModelPart;
use crate::storage::{ByteOrder, Element, FileError, Storage};
use crate::weights::{ElementType, SkippedLayer};

/// A file whose header has been read and checked.
#[derive(Debug)]
pub(super) struct Shard<'a> {
    pub(super) header: Header,
    /// Where the data begins.
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
        Ok(Self {
            header: Header::parse(&header, length - data_start).map_err(named)?,
            data_start,
            storage,
        })
    }
}

impl ModelPart for Shard<'_> {
    type Stored = Tensor;

    fn layers(&self) -> &[Tensor] {
        self.header.tensors()
    }

    fn take_skipped(&mut self) -> Vec<SkippedLayer> {
        core::mem::take(&mut self.header.skipped)
    }

    fn name<'a>(&'a self, tensor: &'a Tensor) -> &'a str {
        self.header.name(tensor)
    }

    fn shape<'a>(&'a self, tensor: &'a Tensor) -> &'a [usize] {
        self.header.shape(tensor)
    }

    fn element_type(&self, tensor: &Tensor) -> ElementType {
        tensor.element_type
    }

    fn read<T: Scalar>(
        &self,
        tensor: &Tensor,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), FileError> {
        let layer = self.header.name(tensor);
        (self.storage).check_range(layer, tensor.elements, [offset, values.len()])?;
        if values.is_empty() {
            return Ok(());
        }
        // The header was checked: the tensor's last byte has a position, so these have one too.
        let element = Element {
            element_type: tensor.element_type,
            order: ByteOrder::Little,
        };
        let begin = self.data_start + tensor.begin + offset as u64 * element.size() as u64;
        (self.storage).read_layer(layer, |bytes| element.read(bytes, begin, values))
    }
}

impl Indexed for Shard<'static> {
    fn open(path: &Path) -> Result<Self, FileError> {
        Self::new(Storage::open(path)?)
    }

    fn names(&self) -> Vec<&str> {
        self.header.names()
    }

    fn retain(&mut self, is_wanted: impl Fn(&str) -> bool, reason: &str) {
        self.header.retain(is_wanted, reason);
    }
}
