//! Selects which of a group's shared layers are measured.

use alloc::vec::Vec;

use super::Glob;
use crate::signature::{LayerShape, TensorSignature};

/// Which kinds of tensors are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum LayerKinds {
    /// Tensors with at least two dimensions longer than 1; biases and norms are left out.
    #[default]
    WeightMatrices,
    /// All tensors, including vectors, except those without elements.
    AllTensors,
}

/// A selection from the layers that all models of a group share.
///
/// The default is every shared weight matrix.
///
/// # Examples
///
/// ```
/// use mother::evidence::{LayerKinds, LayerSelection};
///
/// let dense = LayerSelection::new().with_glob("*dense.weight");
/// assert!(dense.selects("encoder.0.dense.weight", &[64, 64]));
/// assert!(!dense.selects("encoder.0.query.weight", &[64, 64]));
/// let everything = LayerSelection::new().with_kinds(LayerKinds::AllTensors);
/// assert!(everything.selects("norm.bias", &[64]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LayerSelection {
    globs: Vec<Glob>,
    kinds: LayerKinds,
}

impl LayerSelection {
    /// Selects every shared weight matrix.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Restricts the selection to names that match this pattern or another one added the same way.
    #[must_use]
    pub fn with_glob(mut self, glob: impl Into<Glob>) -> Self {
        self.globs.push(glob.into());
        self
    }

    /// Sets which kinds of tensors may be selected.
    #[must_use]
    pub fn with_kinds(mut self, kinds: LayerKinds) -> Self {
        self.kinds = kinds;
        self
    }

    /// Whether a layer of this name and shape is selected.
    #[must_use]
    pub fn selects(&self, name: &str, shape: &[usize]) -> bool {
        let kind = match self.kinds {
            LayerKinds::WeightMatrices => crate::signature::is_weight_matrix(shape),
            LayerKinds::AllTensors => !shape.contains(&0),
        };
        kind && self.selects_name(name)
    }

    /// Whether a tensor of a signature is selected; long vectors count as weight matrices.
    pub(super) fn selects_tensor(&self, tensor: &TensorSignature) -> bool {
        let kind = match self.kinds {
            LayerKinds::WeightMatrices => tensor.is_weight(),
            LayerKinds::AllTensors => !tensor.shape().contains(&0),
        };
        kind && self.selects_name(tensor.name())
    }

    pub(super) fn selects_name(&self, name: &str) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.matches(name))
    }

    pub(super) fn selects_layer(&self, layer: &LayerShape) -> bool {
        self.selects(&layer.name, &layer.shape)
    }
}
