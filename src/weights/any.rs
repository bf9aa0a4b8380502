//! Sources of different types behind one type.

use core::error::Error;
use core::fmt;

use alloc::boxed::Box;

use super::{ElementType, Layer, SkippedLayer, WeightSlice, WeightSource};
use crate::Scalar;
use crate::scalar::ScalarSliceMut;

/// A weight source of any type, so that one call can take models from different stores.
///
/// This costs one allocation per layer and a virtual call per read.
///
/// # Examples
///
/// ```
/// use mother::signature::SignatureOptions;
/// use mother::weights::{AnySource, InMemoryModel, Transposed};
///
/// let model = |name, last| {
///     InMemoryModel::new(name).with_layer("w", [2, 2], vec![9.0_f32, 1.0, 1.0, last])
/// };
/// let models = [
///     AnySource::new(model("base", 1.0)?),
///     AnySource::new(Transposed::new(model("chat", 1.5)?, ["w".into()])),
/// ];
/// let signatures = SignatureOptions::new().sign_all(&models);
/// assert!(signatures.iter().all(Result::is_ok));
/// # Ok::<(), mother::weights::ShapeError>(())
/// ```
pub struct AnySource<'a>(Box<dyn ErasedSource + Send + 'a>);

/// A layer of an [`AnySource`].
pub struct AnyLayer<'a>(Box<dyn ErasedLayer + Send + Sync + 'a>);

/// Why an [`AnySource`] failed: the error of its source.
#[derive(Debug)]
pub struct AnyError(Box<dyn Error + Send + Sync>);

impl<'a> AnySource<'a> {
    /// Erases the type of a source.
    #[must_use]
    pub fn new(source: impl WeightSource + Send + 'a) -> Self {
        Self(Box::new(source))
    }
}

impl AnyError {
    /// The source's own error, if it is of this type.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Display for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for AnyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Debug for AnySource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnySource").field(&self.name()).finish()
    }
}

impl fmt::Debug for AnyLayer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyLayer").field(&self.name()).finish()
    }
}

impl WeightSource for AnySource<'_> {
    type Error = AnyError;
    type Layer<'b>
        = AnyLayer<'b>
    where
        Self: 'b;

    fn name(&self) -> &str {
        self.0.name_of_model()
    }

    fn layers(&self) -> impl Iterator<Item = Result<AnyLayer<'_>, AnyError>> {
        self.0.all_layers()
    }

    fn skipped_layers(&self) -> &[SkippedLayer] {
        self.0.skipped()
    }

    fn interleaved_groups(&self) -> Option<usize> {
        self.0.groups_interleaved()
    }
}

impl Layer for AnyLayer<'_> {
    type Error = AnyError;

    fn name(&self) -> &str {
        self.0.name_of_layer()
    }

    fn shape(&self) -> &[usize] {
        self.0.lengths()
    }

    fn element_type(&self) -> ElementType {
        self.0.stored_as()
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), AnyError> {
        self.0.read_values(offset, T::scalar_slice_mut(values))
    }

    fn preferred_length(&self) -> usize {
        self.0.length_preferred()
    }

    fn as_slice(&self) -> Option<WeightSlice<'_>> {
        self.0.in_memory()
    }

    fn rounding(&self) -> Result<Option<f64>, AnyError> {
        self.0.moved_by_rounding()
    }

    fn is_cut_from_fused(&self) -> bool {
        self.0.is_cut()
    }
}

/// [`WeightSource`] without associated types.
trait ErasedSource: Sync {
    fn name_of_model(&self) -> &str;
    fn all_layers(&self) -> Box<dyn Iterator<Item = Result<AnyLayer<'_>, AnyError>> + '_>;
    fn skipped(&self) -> &[SkippedLayer];
    fn groups_interleaved(&self) -> Option<usize>;
}

/// [`Layer`] without generic methods.
trait ErasedLayer {
    fn name_of_layer(&self) -> &str;
    fn lengths(&self) -> &[usize];
    fn stored_as(&self) -> ElementType;
    fn read_values(&self, offset: usize, values: ScalarSliceMut<'_>) -> Result<(), AnyError>;
    fn length_preferred(&self) -> usize;
    fn in_memory(&self) -> Option<WeightSlice<'_>>;
    fn moved_by_rounding(&self) -> Result<Option<f64>, AnyError>;
    fn is_cut(&self) -> bool;
}

fn erase(error: impl Error + Send + Sync + 'static) -> AnyError {
    AnyError(Box::new(error))
}

impl<S: WeightSource> ErasedSource for S {
    fn name_of_model(&self) -> &str {
        self.name()
    }

    fn all_layers(&self) -> Box<dyn Iterator<Item = Result<AnyLayer<'_>, AnyError>> + '_> {
        let layers = self.layers();
        Box::new(layers.map(|layer| layer.map(|layer| AnyLayer(Box::new(layer))).map_err(erase)))
    }

    fn skipped(&self) -> &[SkippedLayer] {
        self.skipped_layers()
    }

    fn groups_interleaved(&self) -> Option<usize> {
        self.interleaved_groups()
    }
}

impl<L: Layer<Error: Error + Send + Sync + 'static>> ErasedLayer for L {
    fn name_of_layer(&self) -> &str {
        self.name()
    }

    fn lengths(&self) -> &[usize] {
        self.shape()
    }

    fn stored_as(&self) -> ElementType {
        self.element_type()
    }

    fn read_values(&self, offset: usize, values: ScalarSliceMut<'_>) -> Result<(), AnyError> {
        match values {
            ScalarSliceMut::Single(values) => self.read(offset, values).map_err(erase),
            ScalarSliceMut::Double(values) => self.read(offset, values).map_err(erase),
        }
    }

    fn length_preferred(&self) -> usize {
        self.preferred_length()
    }

    fn in_memory(&self) -> Option<WeightSlice<'_>> {
        self.as_slice()
    }

    fn moved_by_rounding(&self) -> Result<Option<f64>, AnyError> {
        self.rounding().map_err(erase)
    }

    fn is_cut(&self) -> bool {
        self.is_cut_from_fused()
    }
}
