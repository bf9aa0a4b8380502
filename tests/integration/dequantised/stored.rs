//! A model as a file would hold it: named tensors of bytes.

use core::sync::atomic::{AtomicUsize, Ordering};

use mother::Scalar;
use mother::weights::{DecodeError, ElementType, Layer, WeightSource};

#[derive(Debug, Default)]
pub(crate) struct Stored {
    name: String,
    tensors: Vec<Tensor>,
    /// The most values that were read at once.
    most: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) element_type: ElementType,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredLayer<'a> {
    tensor: &'a Tensor,
    most: &'a AtomicUsize,
}

impl Tensor {
    pub(crate) fn new(
        name: &str,
        shape: &[usize],
        element_type: ElementType,
        bytes: Vec<u8>,
    ) -> Self {
        assert_eq!(
            shape.iter().product::<usize>() * element_type.size(),
            bytes.len()
        );
        Self {
            name: name.into(),
            shape: shape.into(),
            element_type,
            bytes,
        }
    }

    pub(crate) fn floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self::new(name, shape, ElementType::F32, bytes.collect())
    }

    pub(crate) fn words(name: &str, shape: &[usize], values: &[u32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self::new(name, shape, ElementType::I32, bytes.collect())
    }

    pub(crate) fn bytes(name: &str, shape: &[usize], values: &[u8]) -> Self {
        Self::new(name, shape, ElementType::U8, values.into())
    }

    /// The same numbers as bytes or floats of another type.
    pub(crate) fn of_type(mut self, element_type: ElementType) -> Self {
        assert_eq!(self.element_type.size(), element_type.size());
        self.element_type = element_type;
        self
    }
}

impl Stored {
    pub(crate) fn new(name: &str, tensors: Vec<Tensor>) -> Self {
        Self {
            name: name.into(),
            tensors,
            most: AtomicUsize::new(0),
        }
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl WeightSource for Stored {
    type Error = DecodeError;
    type Layer<'a> = StoredLayer<'a>;

    fn name(&self) -> &str {
        &self.name
    }

    fn layers(&self) -> impl Iterator<Item = Result<StoredLayer<'_>, DecodeError>> {
        let most = &self.most;
        (self.tensors.iter()).map(move |tensor| Ok(StoredLayer { tensor, most }))
    }
}

impl Layer for StoredLayer<'_> {
    type Error = DecodeError;

    fn name(&self) -> &str {
        &self.tensor.name
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn element_type(&self) -> ElementType {
        self.tensor.element_type
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), DecodeError> {
        self.most.fetch_max(values.len(), Ordering::Relaxed);
        let stored = self.tensor.element_type;
        let range = offset * stored.size()..(offset + values.len()) * stored.size();
        // Reading beyond the end is a fault of the reader.
        stored.decode(&self.tensor.bytes[range], values)
    }
}
