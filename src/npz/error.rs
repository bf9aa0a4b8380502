//! Why an archive of arrays can't be opened or read.

use core::error::Error;
use core::fmt;

use alloc::string::String;

use crate::storage::FileError;
use crate::storage::text::{FileName, Line, Quoted};

/// Why a model in numpy's format can't be opened or read.
///
/// `file` is the path, or the model's name where the bytes were given in memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NpzError {
    /// The file can't be opened or read.
    File(FileError),
    /// The file is no zip archive, or a damaged one.
    Archive {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// An array's header can't be read, or doesn't fit the bytes behind it.
    BadLayer {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
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
}

impl From<FileError> for NpzError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for NpzError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Archive { file, reason } => write!(
                f,
                "{} is not an archive of arrays, or damaged: {}",
                FileName(file),
                Line(reason)
            ),
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
            Self::DuplicateLayer { file, layer } => {
                write!(f, "{} lists layer {} twice", FileName(file), Quoted(layer))
            }
        }
    }
}

impl Error for NpzError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            _ => None,
        }
    }
}
