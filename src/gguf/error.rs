//! Why a GGUF file can't be opened or read.

use core::error::Error;
use core::fmt;

use alloc::string::String;

use crate::storage::FileError;
use crate::storage::input::InputError;
use crate::storage::text::{FileName, Line, Quoted};

/// Why a GGUF model can't be opened or read.
///
/// `file` is the path, or the model's name where the bytes were given in memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GgufError {
    /// The file can't be opened or read.
    File(FileError),
    /// The file doesn't begin as a GGUF file does.
    NotGguf {
        /// The file.
        file: String,
    },
    /// The file is of a version that isn't read, or in the byte order of other machines.
    Version {
        /// The file.
        file: String,
        /// The version, in the byte order of the file format.
        version: u32,
    },
    /// The header is damaged, cut short, or larger than is read.
    Header {
        /// The file.
        file: String,
        /// Where in the file, in bytes.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// Two layers have the same name.
    DuplicateLayer {
        /// The file.
        file: String,
        /// The name.
        layer: String,
    },
    /// A layer's shape, type and place don't fit each other or the file.
    BadLayer {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
        /// What doesn't fit.
        reason: String,
    },
    /// The file is one of several that hold the model together, and another is missing or of another
    /// model.
    BadPart {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl GgufError {
    pub(super) fn from_input(file: &str, error: InputError) -> Self {
        match error {
            InputError::File(error) => Self::File(error),
            InputError::Content { position, reason } => Self::Header {
                file: file.into(),
                position,
                reason,
            },
        }
    }
}

impl From<FileError> for GgufError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for GgufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::NotGguf { file } => write!(
                f,
                "{} is not a GGUF file: it does not begin with `GGUF`",
                FileName(file)
            ),
            Self::Version { file, version } => write!(
                f,
                "{} is of version {version:#x} of GGUF, read are versions 2 and 3 of little-endian \
                 machines",
                FileName(file)
            ),
            Self::Header {
                file,
                position,
                reason,
            } => write!(
                f,
                "{}: its header can't be read at byte {position}: {}",
                FileName(file),
                Line(reason)
            ),
            Self::DuplicateLayer { file, layer } => {
                write!(f, "{} lists layer {} twice", FileName(file), Quoted(layer))
            }
            Self::BadLayer {
                file,
                layer,
                reason,
            } => write!(
                f,
                "{}: layer {} is wrong: {}",
                FileName(file),
                Quoted(layer),
                Line(reason)
            ),
            Self::BadPart { file, reason } => {
                write!(
                    f,
                    "{} is a part of a model: {}",
                    FileName(file),
                    Line(reason)
                )
            }
        }
    }
}

impl Error for GgufError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            _ => None,
        }
    }
}
