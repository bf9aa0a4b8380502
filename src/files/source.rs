//! An open model of any format, as one source of weights.

use core::error::Error;
use core::fmt;

use alloc::boxed::Box;

use super::ModelFormat;
use crate::Scalar;
#[cfg(feature = "gguf")]
use crate::gguf::{GgufError, GgufLayer, GgufModel};
#[cfg(feature = "npz")]
use crate::npz::{NpzError, NpzLayer, NpzModel};
#[cfg(feature = "pytorch")]
use crate::pytorch::{PytorchError, PytorchLayer, PytorchModel};
use crate::safetensors::{SafetensorsError, SafetensorsLayer, SafetensorsModel};
use crate::weights::{ElementType, Layer, SkippedLayer, WeightSlice, WeightSource};

/// Makes the source, the layer and the error over all formats that are read, one line a format.
macro_rules! formats {
    ($($(#[$cfg:meta])* $format:ident: $model:ty, $layer:ident, $error:ty;)*) => {
        /// An open model in any of the formats that this build reads.
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
        /// # Ok::<(), mother::safetensors::SafetensorsError>(())
        /// ```
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum ModelFile {
            $(
                #[doc = concat!("A model in the format of [`ModelFormat::", stringify!($format), "`].")]
                $(#[$cfg])*
                $format($model),
            )*
        }

        /// A layer of a [`ModelFile`].
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum ModelFileLayer<'a> {
            $(
                #[doc = concat!("A layer of a model in the format of [`ModelFormat::", stringify!($format), "`].")]
                $(#[$cfg])*
                $format($layer<'a>),
            )*
        }

        /// Why a model can't be opened or read, in any format.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum ModelFileError {
            $(
                #[doc = concat!("What is wrong with a model in the format of [`ModelFormat::", stringify!($format), "`].")]
                $(#[$cfg])*
                $format(Box<$error>),
            )*
            /// This build doesn't read the format.
            Format(ModelFormat),
        }

        impl ModelFile {
            /// The same model under another name.
            #[must_use]
            pub fn with_name(self, name: impl Into<alloc::string::String>) -> Self {
                match self {
                    $($(#[$cfg])* Self::$format(model) => Self::$format(model.with_name(name)),)*
                }
            }
        }

        impl WeightSource for ModelFile {
            type Error = ModelFileError;
            type Layer<'a> = ModelFileLayer<'a>;

            fn name(&self) -> &str {
                match self {
                    $($(#[$cfg])* Self::$format(model) => model.name(),)*
                }
            }

            fn layers(&self) -> impl Iterator<Item = Result<ModelFileLayer<'_>, ModelFileError>> {
                let layers: Box<dyn Iterator<Item = _>> = match self {
                    $($(#[$cfg])* Self::$format(model) => Box::new(model.layers().map(|layer| {
                        Ok(ModelFileLayer::$format(layer?))
                    })),)*
                };
                layers
            }

            fn skipped_layers(&self) -> &[SkippedLayer] {
                match self {
                    $($(#[$cfg])* Self::$format(model) => model.skipped_layers(),)*
                }
            }
        }

        impl Layer for ModelFileLayer<'_> {
            type Error = ModelFileError;

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

            fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), ModelFileError> {
                match self {
                    $($(#[$cfg])* Self::$format(layer) => Ok(layer.read(offset, values)?),)*
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

        impl fmt::Display for ModelFileError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($(#[$cfg])* Self::$format(error) => error.fmt(f),)*
                    Self::Format(format) => {
                        write!(f, "this build doesn't read the format of {}", format.name())
                    }
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

            $(#[$cfg])*
            impl From<$error> for ModelFileError {
                fn from(error: $error) -> Self {
                    Self::$format(Box::new(error))
                }
            }
        )*
    };
}

formats! {
    Safetensors: SafetensorsModel<'static>, SafetensorsLayer, SafetensorsError;
    #[cfg(feature = "pytorch")]
    PyTorch: PytorchModel<'static>, PytorchLayer, PytorchError;
    #[cfg(feature = "npz")]
    Numpy: NpzModel<'static>, NpzLayer, NpzError;
    #[cfg(feature = "gguf")]
    Gguf: GgufModel<'static>, GgufLayer, GgufError;
}

impl Error for ModelFileError {}
