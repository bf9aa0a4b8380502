//! A model with listed layers, and reading its values.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::{Cause, ModelFailure};
use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::weights::{ElementType, Layer, WeightSource, element_count};

/// The part of a layer that matters for comparing architectures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LayerShape {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// The layers of one model, sorted by name; names are unique.
pub(crate) type Architecture = Vec<LayerShape>;

/// Whether at least two dimensions are longer than 1 and none is empty.
pub(crate) fn is_weight_matrix(shape: &[usize]) -> bool {
    !shape.contains(&0) && shape.iter().filter(|&&length| length > 1).count() >= 2
}

/// A vector of at least this many values counts as a weight. e3nn, Mamba and flattened checkpoints store
/// matrices as vectors, and norms and biases are mostly shorter or change little.
const LONG_VECTOR: usize = 1024;

/// Whether a tensor is a weight: a matrix, or a vector of at least 1,024 values.
pub(crate) fn is_weight(shape: &[usize]) -> bool {
    is_weight_matrix(shape) || element_count(shape).is_some_and(|count| count >= LONG_VECTOR)
}

/// A model with its layers listed.
pub(crate) struct OpenModel<'a, S: WeightSource + 'a> {
    source: &'a S,
    layers: HashMap<String, S::Layer<'a>>,
    pub(crate) architecture: Architecture,
}

impl<'a, S: WeightSource> OpenModel<'a, S> {
    /// Lists the layers of a model that may be weights.
    pub(crate) fn open(source: &'a S) -> Result<Self, ModelFailure> {
        let mut layers = HashMap::new();
        let mut architecture = Architecture::new();
        for layer in source.layers() {
            let layer = layer.map_err(|error| ModelFailure::Listing {
                reason: Cause::new(error),
            })?;
            if !layer.element_type().may_be_weights() {
                continue;
            }
            let name = String::from(layer.name());
            if element_count(layer.shape()).is_none() {
                return Err(ModelFailure::TooLarge { layer: name });
            }
            architecture.push(LayerShape {
                name: name.clone(),
                shape: layer.shape().into(),
            });
            if layers.insert(name.clone(), layer).is_some() {
                return Err(ModelFailure::DuplicateLayer { layer: name });
            }
        }
        architecture.sort();
        Ok(Self {
            source,
            layers,
            architecture,
        })
    }

    pub(crate) fn name(&self) -> &'a str {
        self.source.name()
    }

    /// The layer with this name.
    #[cfg(feature = "svd")]
    pub(crate) fn layer_shape(&self, name: &str) -> Option<&LayerShape> {
        let found = (self.architecture).binary_search_by(|layer| layer.name.as_str().cmp(name));
        found.ok().map(|at| &self.architecture[at])
    }

    /// The handle of a layer.
    pub(crate) fn layer(&self, layer: &LayerShape) -> Option<&S::Layer<'a>> {
        self.layers.get(&layer.name)
    }

    /// The stored type of a layer.
    pub(crate) fn element_type(&self, layer: &LayerShape) -> Option<ElementType> {
        self.layers.get(&layer.name).map(Layer::element_type)
    }

    /// The mean squared change from rounding a layer's values, if the source knows it.
    pub(crate) fn rounding(&self, layer: &LayerShape) -> Result<Option<f64>, ModelFailure> {
        let rounding = self.layer(layer).map_or(Ok(None), Layer::rounding);
        let known = rounding.map_err(|error| ModelFailure::Reading {
            layer: layer.name.clone(),
            reason: Cause::new(error),
        })?;
        Ok(known.filter(|&moved| moved > 0.0 && moved.is_finite()))
    }

    /// Reads the values of a layer starting at `offset`, finite or not.
    ///
    /// Values that the source doesn't fill are NaN.
    pub(crate) fn read_unchecked<T: Scalar>(
        &self,
        layer: &LayerShape,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), ModelFailure> {
        let reading = |reason: Cause| ModelFailure::Reading {
            layer: layer.name.clone(),
            reason,
        };
        let Some(handle) = self.layers.get(&layer.name) else {
            return Err(reading(String::from("no longer listed").into()));
        };
        // Unfilled values must not be mistaken for the buffer's previous contents.
        values.fill(T::nan());
        handle
            .read(offset, values)
            .map_err(|error| reading(Cause::new(error)))
    }

    /// Reads the values of a layer starting at `offset`, all of which must be finite.
    ///
    /// Values that the source doesn't fill count as NaN.
    pub(crate) fn read<T: Scalar>(
        &self,
        layer: &LayerShape,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), ModelFailure> {
        self.read_unchecked(layer, offset, values)?;
        match first_not_finite(values) {
            None => Ok(()),
            Some(at) => Err(ModelFailure::NotFinite {
                layer: layer.name.clone(),
                index: offset + at,
                value: format!("{}", values[at]),
            }),
        }
    }
}

/// The index of the first value that is NaN or infinite.
fn first_not_finite<T: Scalar>(values: &[T]) -> Option<usize> {
    // Without an early exit, so that the compiler can check many values at once.
    let all_are_finite = in_wide_registers(
        #[inline(always)]
        || (values.iter()).fold(true, |all, value| all & value.is_finite()),
    );
    if all_are_finite {
        None
    } else {
        values.iter().position(|value| !value.is_finite())
    }
}
