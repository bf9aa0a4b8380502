//! Why a PyTorch file can't be opened or read.

use core::error::Error;
use core::fmt;

use alloc::string::String;

use crate::storage::input::InputError;
use crate::storage::text::{FileName, Line, Quoted};
use crate::storage::{FileError, IndexError};

/// Why a PyTorch model can't be opened or read.
///
/// `file` is the path, or the model's name where the bytes were given in memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PytorchError {
    /// The file can't be opened or read.
    File(FileError),
    /// The index of a sharded model can't be used.
    Index(IndexError),
    /// The folder holds neither `pytorch_model.bin` nor `pytorch_model.bin.index.json`.
    NoModel {
        /// The path of the folder.
        folder: String,
    },
    /// `torch.save` didn't write this file, or only the beginning of it is left.
    NotPytorch {
        /// The file.
        file: String,
        /// What it is, or what is missing.
        reason: String,
    },
    /// The file is a zip archive, but a damaged one.
    Archive {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The pickle in the file is damaged, or larger than is read.
    Pickle {
        /// The file.
        file: String,
        /// Where in the file, in bytes.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// The file has no floating-point tensors: it holds an optimizer's state, settings, or nothing.
    NoWeights {
        /// The file.
        file: String,
    },
    /// Two layers have the same name.
    DuplicateLayer {
        /// The file.
        file: String,
        /// The name.
        layer: String,
    },
    /// A layer's shape, strides and storage don't fit each other.
    BadLayer {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
        /// What doesn't fit.
        reason: String,
    },
}

impl From<FileError> for PytorchError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<IndexError> for PytorchError {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl fmt::Display for PytorchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Index(error) => error.fmt(f),
            Self::NoModel { folder } => write!(
                f,
                "folder {} holds neither `pytorch_model.bin` nor `pytorch_model.bin.index.json`",
                FileName(folder)
            ),
            Self::NotPytorch { file, reason } => write!(
                f,
                "{} is not a PyTorch file, or cut short: {}",
                FileName(file),
                Line(reason)
            ),
            Self::Archive { file, reason } => write!(
                f,
                "{} is a damaged archive, or cut short: {}",
                FileName(file),
                Line(reason)
            ),
            Self::Pickle {
                file,
                position,
                reason,
            } => write!(
                f,
                "{}: its pickle can't be read at byte {position}: {}",
                FileName(file),
                Line(reason)
            ),
            Self::NoWeights { file } => {
                write!(f, "{} holds no weights", FileName(file))
            }
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
        }
    }
}

impl Error for PytorchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            Self::Index(error) => Some(error),
            _ => None,
        }
    }
}

/// An error inside one file, which doesn't name it yet.
#[derive(Debug)]
pub(super) enum Fault {
    File(FileError),
    NotPytorch(String),
    Archive(String),
    Pickle { position: u64, reason: String },
    NoWeights,
    DuplicateLayer(String),
    BadLayer { layer: String, reason: String },
}

pub(super) type Faulty<R> = Result<R, Fault>;

impl From<FileError> for Fault {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<InputError> for Fault {
    fn from(error: InputError) -> Self {
        match error {
            InputError::File(error) => Self::File(error),
            InputError::Content { position, reason } => Self::Pickle { position, reason },
        }
    }
}

impl Fault {
    pub(super) fn in_file(self, file: &str) -> PytorchError {
        let file = file.into();
        match self {
            Self::File(error) => PytorchError::File(error),
            Self::NotPytorch(reason) => PytorchError::NotPytorch { file, reason },
            Self::Archive(reason) => PytorchError::Archive { file, reason },
            Self::Pickle { position, reason } => PytorchError::Pickle {
                file,
                position,
                reason,
            },
            Self::NoWeights => PytorchError::NoWeights { file },
            Self::DuplicateLayer(layer) => PytorchError::DuplicateLayer { file, layer },
            Self::BadLayer { layer, reason } => PytorchError::BadLayer {
                file,
                layer,
                reason,
            },
        }
    }
}
