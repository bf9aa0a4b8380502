//! A model whose layers are listed, and reading its values.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::{Cause, ModelFailure};
use crate::Scalar;
use crate::registers::{Kernel, in_wide_registers};
use crate::weights::{ElementType, Layer, WeightSource, element_count};

/// One layer as far as comparing architectures needs it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LayerShape {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// The layers of one model, sorted by name; no name occurs twice.
pub(crate) type Architecture = Vec<LayerShape>;

/// Whether at least two dimensions are longer than 1, and none is empty.
pub(crate) fn is_weight_matrix(shape: &[usize]) -> bool {
    !shape.contains(&0) && shape.iter().filter(|&&length| length > 1).count() >= 2
}

/// A vector of this many values or more counts as a weight: e3nn, Mamba and flattened checkpoints
/// store matrices so, and norms and biases are mostly shorter or change little.
const LONG_VECTOR: usize = 1024;

/// Whether a tensor is a weight: a matrix, or a vector of at least 1,024 values.
pub(crate) fn is_weight(shape: &[usize]) -> bool {
    is_weight_matrix(shape) || element_count(shape).is_some_and(|count| count >= LONG_VECTOR)
}

/// A model whose layers are listed.
pub(crate) struct OpenModel<'a, S: WeightSource + 'a> {
    source: &'a S,
    layers: HashMap<String, S::Layer<'a>>,
    pub(crate) architecture: Architecture,
}

impl<'a, S: WeightSource> OpenModel<'a, S> {
    /// Lists those of a model's layers that may be weights.
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

    /// The layer of a name.
    #[cfg(feature = "svd")]
    pub(crate) fn layer_shape(&self, name: &str) -> Option<&LayerShape> {
        let found = (self.architecture).binary_search_by(|layer| layer.name.as_str().cmp(name));
        found.ok().map(|at| &self.architecture[at])
    }

    /// The handle on a layer.
    pub(crate) fn layer(&self, layer: &LayerShape) -> Option<&S::Layer<'a>> {
        self.layers.get(&layer.name)
    }

    /// The type a layer is stored in.
    pub(crate) fn element_type(&self, layer: &LayerShape) -> Option<ElementType> {
        self.layers.get(&layer.name).map(Layer::element_type)
    }

    /// The mean square by which rounding moved a layer's values, where the source knows.
    pub(crate) fn rounding(&self, layer: &LayerShape) -> Result<Option<f64>, ModelFailure> {
        let rounding = self.layer(layer).map_or(Ok(None), Layer::rounding);
        let known = rounding.map_err(|error| ModelFailure::Reading {
            layer: layer.name.clone(),
            reason: Cause::new(error),
        })?;
        Ok(known.filter(|&moved| moved > 0.0 && moved.is_finite()))
    }

    /// Reads the values of a layer from `offset` on, finite or not.
    ///
    /// Values that the source doesn't fill in are NaN.
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
            return Err(reading(String::from("it is no longer there").into()));
        };
        // What a source leaves unfilled must not pass for what the buffer held before.
        values.fill(T::nan());
        handle
            .read(offset, values)
            .map_err(|error| reading(Cause::new(error)))
    }

    /// Reads the values of a layer from `offset` on, all of which must be finite.
    ///
    /// Values that the source doesn't fill in count as NaN.
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

/// Where the first value is that is NaN or infinite.
fn first_not_finite<T: Scalar>(values: &[T]) -> Option<usize> {
    if in_wide_registers(AllFinite(values)) {
        None
    } else {
        values.iter().position(|value| !value.is_finite())
    }
}

struct AllFinite<'a, T>(&'a [T]);

impl<T: Scalar> Kernel for AllFinite<'_, T> {
    type Output = bool;

    /// Without a way out, so that the compiler can look at many values at once.
    #[inline(always)]
    fn compute(self) -> bool {
        let and = |all, value: &T| all & value.is_finite();
        self.0.iter().fold(true, and)
    }
}
