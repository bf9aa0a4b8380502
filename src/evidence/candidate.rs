//! A model that opened, and reading its values.

use alloc::format;
use alloc::string::{String, ToString};

use hashbrown::HashMap;

use super::ModelFailure;
use super::architecture::{self, Architecture, LayerShape};
use super::digest::Digest;
use crate::Scalar;
use crate::registers::{Kernel, in_wide_registers};
use crate::weights::{ElementType, Layer, WeightSource, element_count};

/// A model whose layers are listed.
pub(super) struct Candidate<'a, S: WeightSource + 'a> {
    source: &'a S,
    layers: HashMap<String, S::Layer<'a>>,
    pub(super) architecture: Architecture,
}

impl<'a, S: WeightSource> Candidate<'a, S> {
    /// Lists a model's layers.
    pub(super) fn open(source: &'a S) -> Result<Self, ModelFailure> {
        let mut layers = HashMap::new();
        let mut architecture = Architecture::new();
        for layer in source.layers() {
            let layer = layer.map_err(|error| ModelFailure::Listing {
                reason: error.to_string(),
            })?;
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
        let mut shapes = architecture.iter().map(|layer| layer.shape.as_slice());
        if shapes.any(architecture::is_weight_matrix) {
            Ok(Self {
                source,
                layers,
                architecture,
            })
        } else {
            Err(ModelFailure::NoWeightMatrix)
        }
    }

    pub(super) fn name(&self) -> &'a str {
        self.source.name()
    }

    /// The type a layer is stored in.
    pub(super) fn element_type(&self, layer: &LayerShape) -> Option<ElementType> {
        self.layers.get(&layer.name).map(Layer::element_type)
    }

    /// Reads the values of a layer from `offset` on, all of which must be finite.
    ///
    /// Values that the source doesn't fill in count as NaN.
    pub(super) fn read<T: Scalar>(
        &self,
        layer: &LayerShape,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), ModelFailure> {
        let reading = |reason: String| ModelFailure::Reading {
            layer: layer.name.clone(),
            reason,
        };
        let Some(handle) = self.layers.get(&layer.name) else {
            return Err(reading("it is no longer there".into()));
        };
        // What a source leaves unfilled must not pass for what the buffer held before.
        values.fill(T::nan());
        handle
            .read(offset, values)
            .map_err(|error| reading(error.to_string()))?;
        match first_not_finite(values) {
            None => Ok(()),
            Some(at) => Err(ModelFailure::NotFinite {
                layer: layer.name.clone(),
                index: offset + at,
                value: format!("{}", values[at]),
            }),
        }
    }

    /// Reads values of a layer once more, which must be what they were before.
    ///
    /// `seen` is the digest of the whole layer; the values are one segment of it.
    pub(super) fn read_segment_again<T: Scalar>(
        &self,
        layer: &LayerShape,
        offset: usize,
        values: &mut [T],
        seen: &Digest,
    ) -> Result<(), ModelFailure> {
        self.read(layer, offset, values)?;
        if seen.has_segment(offset, values) {
            Ok(())
        } else {
            Err(ModelFailure::Changed {
                layer: layer.name.clone(),
            })
        }
    }

    /// Reads a whole layer once more, which must be what it was before.
    #[cfg(feature = "svd")]
    pub(super) fn read_again<T: Scalar>(
        &self,
        layer: &LayerShape,
        values: &mut [T],
        seen: &Digest,
    ) -> Result<(), ModelFailure> {
        self.read(layer, 0, values)?;
        let mut digest = Digest::new(values.len());
        digest.add(0, values);
        if digest == *seen {
            Ok(())
        } else {
            Err(ModelFailure::Changed {
                layer: layer.name.clone(),
            })
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
