//! An open model of any format, as a single source type.

use alloc::boxed::Box;

use crate::Scalar;
#[cfg(feature = "gguf")]
use crate::gguf::{GgufLayer, GgufModel};
#[cfg(feature = "npz")]
use crate::npz::{NpzLayer, NpzModel};
#[cfg(feature = "pytorch")]
use crate::pytorch::{PytorchLayer, PytorchModel};
use crate::safetensors::{SafetensorsLayer, SafetensorsModel};
use crate::storage::FileError;
use crate::weights::{
    ElementType, Joined, JoinedLayer, Layer, SkippedLayer, WeightSlice, WeightSource,
};

/// A layer of a model joined from files.
type JoinedFileLayer<'a> = JoinedLayer<'a, ModelFileLayer<'a>>;

/// Defines the source, layer and error types over all readable formats, one line per format.
macro_rules! formats {
    ($($(#[$cfg:meta])* $format:ident: $model:ty, $layer:ident;)*) => {
        /// An open model in any format that this build reads.
        ///
        /// # Examples
        ///
        /// ```
        /// use mother::files::ModelFile;
        /// use mother::safetensors::SafetensorsModel;
        /// use mother::weights::WeightSource;
        ///
        /// let model = SafetensorsModel::from_bytes("empty", b"\x02\0\0\0\0\0\0\0{}")?;
        /// let model = ModelFile::from(model).with_name("renamed");
        /// assert_eq!((model.name(), model.layers().count()), ("renamed", 0));
        /// # Ok::<(), mother::storage::FileError>(())
        /// ```
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum ModelFile {
            $(
                #[doc = concat!("A `", stringify!($model), "`.")]
                $(#[$cfg])*
                $format($model),
            )*
        }

        /// A layer of a [`ModelFile`].
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum ModelFileLayer<'a> {
            $(
                #[doc = concat!("A layer of a `", stringify!($model), "`.")]
                $(#[$cfg])*
                $format($layer<'a>),
            )*
        }

        impl ModelFile {
            /// Returns the same model under another name.
            #[must_use]
            pub fn with_name(self, name: impl Into<alloc::string::String>) -> Self {
                match self {
                    $($(#[$cfg])* Self::$format(model) => Self::$format(model.with_name(name)),)*
                }
            }

            /// Declares that fused projections list their rows by groups of heads; see
            /// [`WeightSource::interleaved_groups`].
            #[must_use]
            pub fn with_interleaved_groups(self, groups: usize) -> Self {
                match self {
                    $($(#[$cfg])* Self::$format(model) => {
                        Self::$format(model.with_interleaved_groups(groups))
                    })*
                }
            }
        }

        impl WeightSource for ModelFile {
            type Error = FileError;
            type Layer<'a> = ModelFileLayer<'a>;

            fn name(&self) -> &str {
                match self {
                    $($(#[$cfg])* Self::$format(model) => model.name(),)*
                }
            }

            fn layers(&self) -> impl Iterator<Item = Result<ModelFileLayer<'_>, FileError>> {
                let layers: Box<dyn Iterator<Item = _>> = match self {
                    $($(#[$cfg])* Self::$format(model) => {
                        Box::new(model.layers().map(|layer| layer.map(ModelFileLayer::$format)))
                    })*
                };
                layers
            }

            fn skipped_layers(&self) -> &[SkippedLayer] {
                match self {
                    $($(#[$cfg])* Self::$format(model) => model.skipped_layers(),)*
                }
            }

            fn interleaved_groups(&self) -> Option<usize> {
                match self {
                    $($(#[$cfg])* Self::$format(model) => model.interleaved_groups(),)*
                }
            }
        }

        impl Layer for ModelFileLayer<'_> {
            type Error = FileError;

            fn name(&self) -> &str {
                match self {
                    $($(#[$cfg])* Self::$format(layer) => layer.name(),)*
                }
            }

            fn shape(&self) -> &[usize] {
                match self {
                    $($(#[$cfg])* Self::$format(layer) => layer.shape(),)*
                }
            }

            fn element_type(&self) -> ElementType {
                match self {
                    $($(#[$cfg])* Self::$format(layer) => layer.element_type(),)*
                }
            }

            fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), FileError> {
                match self {
                    $($(#[$cfg])* Self::$format(layer) => layer.read(offset, values),)*
                }
            }

            fn preferred_length(&self) -> usize {
                match self {
                    $($(#[$cfg])* Self::$format(layer) => layer.preferred_length(),)*
                }
            }

            fn as_slice(&self) -> Option<WeightSlice<'_>> {
                match self {
                    $($(#[$cfg])* Self::$format(layer) => layer.as_slice(),)*
                }
            }
        }

        $(
            $(#[$cfg])*
            impl From<$model> for ModelFile {
                fn from(model: $model) -> Self {
                    Self::$format(model)
                }
            }
        )*
    };
}

formats! {
    Safetensors: SafetensorsModel<'static>, SafetensorsLayer;
    #[cfg(feature = "pytorch")]
    PyTorch: PytorchModel<'static>, PytorchLayer;
    #[cfg(feature = "npz")]
    Numpy: NpzModel<'static>, NpzLayer;
    #[cfg(feature = "gguf")]
    Gguf: GgufModel<'static>, GgufLayer;
    Joined: Joined<ModelFile>, JoinedFileLayer;
}
