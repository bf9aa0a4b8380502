//! A model whose layers are in memory.

use core::convert::Infallible;
use core::error::Error;
use core::fmt;

use alloc::string::String;
use alloc::vec::Vec;

use super::{ElementType, Layer, WeightSlice, WeightSource, WeightValues, element_count};
use crate::Scalar;

/// A model in memory. Its values are borrowed or owned, and readers never copy them.
///
/// # Examples
///
/// ```
/// use mother::weights::{InMemoryModel, Layer, WeightSource};
///
/// let head = [0.5_f32, 1.5];
/// let model = InMemoryModel::new("base")
///     .with_layer("embed", [2, 3], vec![0.0_f64; 6])?
///     .with_layer("head", [1, 2], &head[..])?;
/// let names: Vec<String> = model.layers().map(|layer| layer.unwrap().name().into()).collect();
/// assert_eq!(names, ["embed", "head"]);
/// # Ok::<(), mother::weights::ShapeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct InMemoryModel<'a> {
    name: String,
    layers: Vec<InMemoryLayer<'a>>,
    interleaved_groups: Option<usize>,
}

impl<'a> InMemoryModel<'a> {
    /// Creates a model without layers.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            layers: Vec::new(),
            interleaved_groups: None,
        }
    }

    /// Returns the same model under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Declares that fused projections list their rows by groups of heads; see
    /// [`WeightSource::interleaved_groups`].
    #[must_use]
    pub const fn with_interleaved_groups(mut self, groups: usize) -> Self {
        self.interleaved_groups = Some(groups);
        self
    }

    /// Adds a layer: a name, the length of each dimension, and the values in row-major order.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the shape doesn't match the number of values.
    pub fn with_layer(
        mut self,
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        values: impl Into<WeightValues<'a>>,
    ) -> Result<Self, ShapeError> {
        let layer = InMemoryLayer {
            name: name.into(),
            shape: shape.into(),
            values: values.into(),
        };
        let found = layer.values.as_slice().len();
        if element_count(&layer.shape) != Some(found) {
            return Err(ShapeError {
                layer: layer.name,
                shape: layer.shape,
                values: found,
            });
        }
        self.layers.push(layer);
        Ok(self)
    }
}

impl WeightSource for InMemoryModel<'_> {
    type Error = Infallible;
    type Layer<'b>
        = &'b InMemoryLayer<'b>
    where
        Self: 'b;

    fn name(&self) -> &str {
        &self.name
    }

    fn layers(&self) -> impl Iterator<Item = Result<&InMemoryLayer<'_>, Infallible>> {
        self.layers.iter().map(Ok)
    }

    fn interleaved_groups(&self) -> Option<usize> {
        self.interleaved_groups
    }
}

/// A layer of an [`InMemoryModel`].
#[derive(Clone, Debug, PartialEq)]
pub struct InMemoryLayer<'a> {
    name: String,
    shape: Vec<usize>,
    values: WeightValues<'a>,
}

impl Layer for &InMemoryLayer<'_> {
    type Error = Infallible;

    fn name(&self) -> &str {
        &self.name
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn element_type(&self) -> ElementType {
        self.values.as_slice().element_type()
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), Infallible> {
        self.values.as_slice().copy_to(offset, values);
        Ok(())
    }

    fn as_slice(&self) -> Option<WeightSlice<'_>> {
        Some(self.values.as_slice())
    }
}

/// A layer's shape and its number of values don't agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// The layer's name.
    pub layer: String,
    /// The shape passed in.
    pub shape: Vec<usize>,
    /// How many values there were.
    pub values: usize,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "layer `{}` of shape {:?} does not match {} values",
            self.layer, self.shape, self.values
        )
    }
}

impl Error for ShapeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_layer_reads_from_any_offset_in_either_precision() {
        let model = InMemoryModel::new("m")
            .with_layer("w", [2, 2], vec![1_i8, -2, 3, -4])
            .unwrap();
        let layer = model.layers().next().unwrap().unwrap();
        let mut pair = [0.0_f32; 2];
        layer.read(1, &mut pair).unwrap();
        assert_eq!(pair, [-2.0, 3.0]);
        let mut last = [0.0_f64];
        layer.read(3, &mut last).unwrap();
        assert_eq!(last, [-4.0]);
    }

    #[test]
    fn a_shape_that_does_not_fit_is_refused() {
        let refused = InMemoryModel::new("m").with_layer("w", [usize::MAX, 2], vec![0.0_f32]);
        let error = refused.unwrap_err();
        assert_eq!((error.layer.as_str(), error.values), ("w", 1));
    }
}
