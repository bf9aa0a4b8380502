//! What can go wrong with any file, whatever is in it.

use core::error::Error;
use core::fmt;

use alloc::string::{String, ToString};
use std::io;
use std::path::Path;

use super::text::{FileName, Line, Quoted};

/// Why a file of weights can't be opened or read.
///
/// `file` is the path, or the model's name where the bytes were given in memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file or folder.
    NotFound {
        /// The path.
        file: String,
    },
    /// The file or folder may not be read.
    PermissionDenied {
        /// The path.
        file: String,
    },
    /// The path is neither a file nor a folder, or a folder where a file has to be.
    NotAFile {
        /// The path.
        file: String,
    },
    /// The operating system failed to open, list or read something.
    Io {
        /// The path.
        file: String,
        /// What kind of failure.
        kind: io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// The file is no longer the one that was opened.
    Changed {
        /// The file.
        file: String,
        /// The layer that was being read.
        layer: String,
    },
    /// A layer's values could not be read.
    Read {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
        /// What kind of failure.
        kind: io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// More values were asked for than the layer has.
    OutOfRange {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
        /// The first value asked for.
        offset: usize,
        /// How many values were asked for.
        values: usize,
        /// How many values the layer has.
        elements: usize,
    },
}

impl FileError {
    /// What went wrong at `path`.
    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        Self::of_file(path.display().to_string(), error)
    }

    /// What went wrong with a file of this name.
    pub(super) fn of_file(file: String, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { file },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { file },
            kind => Self::Io {
                file,
                kind,
                message: error.to_string(),
            },
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { file } => write!(f, "{} does not exist", FileName(file)),
            Self::PermissionDenied { file } => {
                write!(f, "no permission to read {}", FileName(file))
            }
            Self::NotAFile { file } => write!(f, "{} is not a file", FileName(file)),
            Self::Io { file, message, .. } => {
                write!(f, "{} can't be read: {}", FileName(file), Line(message))
            }
            Self::Changed { file, layer } => write!(
                f,
                "{} changed since its header was read, seen while reading layer {}",
                FileName(file),
                Quoted(layer)
            ),
            Self::Read {
                file,
                layer,
                message,
                ..
            } => write!(
                f,
                "{}: layer {} can't be read: {}",
                FileName(file),
                Quoted(layer),
                Line(message)
            ),
            Self::OutOfRange {
                file,
                layer,
                offset,
                values,
                elements,
            } => write!(
                f,
                "{}: layer {} has {elements} values, but {values} from value {offset} on were \
                 asked for",
                FileName(file),
                Quoted(layer)
            ),
        }
    }
}

impl Error for FileError {}
