//! A file with a list of layers, for formats that store each layer by itself.

use alloc::string::String;
use alloc::vec::Vec;
use std::io;

use super::model::{About, ModelPart};
use super::{Bytes, FileError, FileErrorKind, Storage};
use crate::Scalar;
use crate::weights::{ElementType, SkippedLayer};

/// The values of a layer in a file: where they are, and how they are stored.
pub(crate) trait StoredValues {
    fn preferred_length(&self) -> usize;

    /// Fills `values`, of which there are some, from the value at `offset` on.
    fn read<T: Scalar>(&self, bytes: Bytes<'_>, offset: usize, values: &mut [T]) -> io::Result<()>;
}

/// A layer that can be read.
#[derive(Debug)]
pub(crate) struct StoredLayer<V> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) element_type: ElementType,
    pub(crate) elements: usize,
    pub(crate) values: V,
}

/// A file of these layers.
#[derive(Debug)]
pub(crate) struct Part<'a, V> {
    storage: Storage<'a>,
    layers: Vec<StoredLayer<V>>,
    skipped: Vec<SkippedLayer>,
}

impl<'a, V> Part<'a, V> {
    /// Rejects layers that have the same name.
    pub(crate) fn new(
        storage: Storage<'a>,
        layers: Vec<StoredLayer<V>>,
        skipped: Vec<SkippedLayer>,
    ) -> Result<Self, FileError> {
        let mut names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let twice = FileErrorKind::DuplicateLayer.of_layer(pair[0]);
            return Err(twice.or_in_file(storage.label()));
        }
        Ok(Self {
            storage,
            layers,
            skipped,
        })
    }
}

impl<V: StoredValues> ModelPart for Part<'_, V> {
    type Stored = StoredLayer<V>;

    fn storage(&self) -> &Storage<'_> {
        &self.storage
    }

    fn layers(&self) -> &[StoredLayer<V>] {
        &self.layers
    }

    fn skipped(&self) -> &[SkippedLayer] {
        &self.skipped
    }

    fn lists(&mut self) -> (&mut Vec<StoredLayer<V>>, &mut Vec<SkippedLayer>) {
        (&mut self.layers, &mut self.skipped)
    }

    fn about<'a>(&'a self, layer: &'a StoredLayer<V>) -> About<'a> {
        About {
            name: &layer.name,
            shape: &layer.shape,
            element_type: layer.element_type,
            elements: layer.elements,
        }
    }

    fn preferred_length(&self, layer: &StoredLayer<V>) -> usize {
        layer.values.preferred_length()
    }

    fn read_bytes<T: Scalar>(
        &self,
        bytes: Bytes<'_>,
        layer: &StoredLayer<V>,
        offset: usize,
        values: &mut [T],
    ) -> io::Result<()> {
        layer.values.read(bytes, offset, values)
    }
}
