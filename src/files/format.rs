//! The formats of weight files: how they are recognised and which can be read.

use crate::errors::names;

names! {
    /// A format of weight files.
    ///
    /// Some can only be recognised, so that models that can't be read are at least reported.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::files::ModelFormat;
    ///
    /// assert_eq!(ModelFormat::of_file("base/model.safetensors"), Some(ModelFormat::Safetensors));
    /// assert_eq!(ModelFormat::of_file("base/model-Q8_0.gguf"), Some(ModelFormat::Gguf));
    /// assert_eq!(ModelFormat::of_file("base/config.json"), None);
    /// assert!(ModelFormat::Safetensors.is_readable());
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum ModelFormat {
        /// Hugging Face's safetensors.
        Safetensors => "safetensors",
        /// PyTorch pickles.
        PyTorch => "PyTorch",
        /// NumPy arrays in one archive.
        Numpy => "numpy",
        /// Flax MessagePack files.
        Flax => "Flax",
        /// HDF5 files of Keras and TensorFlow.
        Keras => "Keras",
        /// llama.cpp's GGUF.
        Gguf => "GGUF",
        /// ONNX graphs.
        Onnx => "ONNX",
        /// FlatBuffers of TensorFlow Lite.
        TensorFlowLite => "TensorFlow Lite",
        /// Checkpoints that several PyTorch processes wrote, a file each.
        TorchDistributed => "distributed PyTorch",
    }

    /// The usual name of the format.
    pub fn name;

    const ALL: [Self; 9];
}

impl ModelFormat {
    /// The endings of its file names, in lower case.
    const fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Safetensors => &[".safetensors"],
            // PyTorch's own examples write `.pth.tar`, which is no tar archive.
            Self::PyTorch => &[
                ".bin",
                ".ckpt",
                ".jit",
                ".pt",
                ".pt.tar",
                ".pth",
                ".pth.tar",
                ".torchscript",
            ],
            Self::Numpy => &[".npz"],
            Self::Flax => &[".msgpack"],
            Self::Keras => &[".h5", ".keras"],
            Self::Gguf => &[".gguf"],
            Self::Onnx => &[".onnx"],
            Self::TensorFlowLite => &[".tflite"],
            Self::TorchDistributed => &[".distcp"],
        }
    }

    /// The format of a file with this name, judging by its ending; case is ignored.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        Self::split(name).map(|(_, format)| format)
    }

    /// Splits a name into the part before the ending and the format.
    pub(super) fn split(name: &str) -> Option<(&str, Self)> {
        Self::ALL.into_iter().find_map(|format| {
            let mut endings = format.endings().iter();
            Some((
                endings.find_map(|ending| without_ending(name, ending))?,
                format,
            ))
        })
    }

    /// Whether this build can read the format.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        match self {
            Self::Safetensors => true,
            Self::PyTorch => cfg!(feature = "pytorch"),
            Self::Numpy => cfg!(feature = "npz"),
            Self::Gguf => cfg!(feature = "gguf"),
            Self::Flax
            | Self::Keras
            | Self::Onnx
            | Self::TensorFlowLite
            | Self::TorchDistributed => false,
        }
    }

    /// Whether a file of this format, next to one of another format, duplicates its weights.
    pub(super) const fn keeps_weights(self) -> bool {
        !matches!(self, Self::Gguf | Self::Onnx | Self::TensorFlowLite)
    }
}

/// The name without this ending, in any case; `None` if nothing is left.
fn without_ending<'a>(name: &'a str, ending: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
    (!stem.is_empty() && end.eq_ignore_ascii_case(ending)).then_some(stem)
}
