//! The formats of weight files: how they are recognised and which can be read.

use core::fmt;

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
    Safetensors,
    /// PyTorch pickles.
    PyTorch,
    /// NumPy arrays in one archive.
    Numpy,
    /// Flax MessagePack files.
    Flax,
    /// HDF5 files of Keras and TensorFlow.
    Keras,
    /// llama.cpp's GGUF.
    Gguf,
    /// ONNX graphs.
    Onnx,
}

/// The properties of a format.
struct Entry {
    format: ModelFormat,
    name: &'static str,
    /// The endings of its file names, in lower case.
    endings: &'static [&'static str],
    contents: Contents,
    is_readable: bool,
}

/// What a file usually contains if the model also exists in another format.
#[derive(Clone, Copy, PartialEq)]
enum Contents {
    /// The original weights: a duplicate of the same model.
    AsTrained,
    /// Mostly converted weights, for instance quantised ones: a separate model.
    Converted,
}

/// Every format. If a model exists in several, the first readable one is used.
const FORMATS: [Entry; 7] = [
    Entry {
        format: ModelFormat::Safetensors,
        name: "safetensors",
        endings: &[".safetensors"],
        contents: Contents::AsTrained,
        is_readable: true,
    },
    Entry {
        format: ModelFormat::PyTorch,
        name: "PyTorch",
        endings: &[".bin", ".pt", ".pth", ".ckpt"],
        contents: Contents::AsTrained,
        is_readable: cfg!(feature = "pytorch"),
    },
    Entry {
        format: ModelFormat::Numpy,
        name: "numpy",
        endings: &[".npz"],
        contents: Contents::AsTrained,
        is_readable: cfg!(feature = "npz"),
    },
    Entry {
        format: ModelFormat::Flax,
        name: "Flax",
        endings: &[".msgpack"],
        contents: Contents::AsTrained,
        is_readable: false,
    },
    Entry {
        format: ModelFormat::Keras,
        name: "Keras",
        endings: &[".h5", ".keras"],
        contents: Contents::AsTrained,
        is_readable: false,
    },
    Entry {
        format: ModelFormat::Gguf,
        name: "GGUF",
        endings: &[".gguf"],
        contents: Contents::Converted,
        is_readable: cfg!(feature = "gguf"),
    },
    Entry {
        format: ModelFormat::Onnx,
        name: "ONNX",
        endings: &[".onnx"],
        contents: Contents::Converted,
        is_readable: false,
    },
];

impl ModelFormat {
    fn entry(self) -> Option<&'static Entry> {
        FORMATS.iter().find(|entry| entry.format == self)
    }

    /// The format of a file with this name, judging by its ending; case is ignored.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        Self::split(name).map(|(_, format)| format)
    }

    /// Splits a name into the part before the ending and the format.
    pub(super) fn split(name: &str) -> Option<(&str, Self)> {
        FORMATS.iter().find_map(|entry| {
            let stem = (entry.endings.iter()).find_map(|ending| without_ending(name, ending))?;
            Some((stem, entry.format))
        })
    }

    /// The usual name of the format.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.name)
    }

    /// Whether this build can read the format.
    #[must_use]
    pub fn is_readable(self) -> bool {
        self.entry().is_some_and(|entry| entry.is_readable)
    }

    /// Whether a file of this format, next to one of another format, duplicates its weights.
    pub(super) fn keeps_weights(self) -> bool {
        (self.entry()).is_some_and(|entry| entry.contents == Contents::AsTrained)
    }
}

impl fmt::Display for ModelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name without this ending, in any case; `None` if nothing is left.
fn without_ending<'a>(name: &'a str, ending: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
    (!stem.is_empty() && end.eq_ignore_ascii_case(ending)).then_some(stem)
}
