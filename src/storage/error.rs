//! Errors of weight files, in any format.

use core::error::Error;
use core::fmt;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use std::io;
use std::path::Path;

use crate::text::{FileName, Line, Quoted};

/// Why a model file can't be opened or read.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "npz")] {
/// use mother::npz::NpzModel;
/// use mother::storage::FileErrorKind;
///
/// let error = NpzModel::from_bytes("notes", b"Dear diary").unwrap_err();
/// assert_eq!(error.file, "notes");
/// assert!(matches!(error.kind, FileErrorKind::OtherFormat { format: "NumPy", .. }));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FileError {
    /// The path, or the model's name if the bytes were given in memory.
    pub file: String,
    /// The layer at fault, if there is one.
    pub layer: Option<String>,
    /// What is wrong.
    pub kind: FileErrorKind,
}

/// What is wrong with a model file, or with one of its layers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// There is no such file or folder.
    NotFound,
    /// There is no permission to read the file or folder.
    PermissionDenied,
    /// The path is neither a file nor a folder, or it is a folder where a file is needed.
    NotAFile,
    /// The folder holds no model.
    NoModel {
        /// The expected file name of the model; an index would be named `….index.json`.
        expected: &'static str,
    },
    /// The operating system failed to open, list or read something.
    Io {
        /// The kind of failure.
        kind: io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// The file is no longer the one that was opened.
    Changed,
    /// More values were requested than the layer has.
    OutOfRange {
        /// The index of the first value requested.
        offset: usize,
        /// The number of values requested.
        values: usize,
        /// The number of values in the layer.
        elements: usize,
    },
    /// This build can't read the format.
    UnsupportedFormat {
        /// The format's name.
        format: &'static str,
    },
    /// The file has another format, or only its beginning is left.
    OtherFormat {
        /// The name of the expected format.
        format: &'static str,
        /// What the file is, or what is missing.
        reason: String,
    },
    /// The file's header, directory or pickle is damaged, or exceeds the maximum size.
    Damaged {
        /// The position in the file, in bytes, if known.
        position: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// Two layers have the same name.
    DuplicateLayer,
    /// A layer's entry is broken, or its type, shape and position don't fit each other or the file.
    BadLayer {
        /// The description of the mismatch.
        reason: String,
    },
    /// The file has no floating-point tensors: it holds an optimiser's state, settings, or nothing.
    NoWeights,
    /// The file is one of several that make up the model, and another is missing or belongs to another
    /// model.
    BadPart {
        /// What is wrong.
        reason: String,
    },
    /// The file isn't the index of a sharded model, or is too long.
    BadIndex {
        /// What is wrong, and the position.
        reason: String,
    },
    /// An index puts the layer into a shard whose name isn't a plain file name in the same folder.
    BadShardName {
        /// The shard's name.
        shard: String,
    },
    /// A shard listed in the index does not exist.
    MissingShard {
        /// The shard's name.
        shard: String,
    },
    /// A shard does not hold a layer that the index lists for it.
    MissingLayer {
        /// The shard's name.
        shard: String,
    },
}

impl FileErrorKind {
    /// The error in this file; [`FileError::or_in_file`] fills in an empty name.
    pub(crate) fn in_file(self, file: impl Into<String>) -> FileError {
        FileError {
            file: file.into(),
            layer: None,
            kind: self,
        }
    }

    /// The error for a layer, in a file that isn't named yet.
    pub(crate) fn of_layer(self, layer: impl Into<String>) -> FileError {
        FileError {
            layer: Some(layer.into()),
            ..self.in_file("")
        }
    }

    pub(super) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            kind => Self::Io {
                kind,
                message: error.to_string(),
            },
        }
    }
}

impl FileError {
    /// The error for `path`.
    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        FileErrorKind::from_io(error).in_file(path.display().to_string())
    }

    /// The same error, in this file unless it already names one.
    pub(crate) fn or_in_file(mut self, file: &str) -> Self {
        if self.file.is_empty() {
            self.file = file.to_owned();
        }
        self
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use FileErrorKind as Kind;

        let file = FileName(&self.file);
        let layer = Quoted(self.layer.as_deref().unwrap_or_default());
        match &self.kind {
            Kind::NotFound => write!(f, "{file} does not exist"),
            Kind::PermissionDenied => write!(f, "no permission to read {file}"),
            Kind::NotAFile => write!(f, "{file} is not a file"),
            Kind::NoModel { expected } => write!(
                f,
                "folder {file} contains neither `{expected}` nor `{expected}.index.json`"
            ),
            Kind::Io { message, .. } => {
                write!(f, "cannot read ")?;
                if self.layer.is_some() {
                    write!(f, "layer {layer} of ")?;
                }
                write!(f, "{file}: {}", Line(message))
            }
            Kind::Changed => write!(
                f,
                "{file} changed after it was opened: noticed while reading layer {layer}"
            ),
            Kind::OutOfRange {
                offset,
                values,
                elements,
            } => write!(
                f,
                "{file}: layer {layer} has {elements} values, but {values} from value {offset} on \
                 were requested"
            ),
            Kind::UnsupportedFormat { format } => {
                write!(f, "this build cannot read {format} files")
            }
            Kind::OtherFormat { format, reason } => write!(
                f,
                "{file} is not a {format} file, or is truncated: {}",
                Line(reason)
            ),
            Kind::Damaged { position, reason } => {
                write!(f, "{file} is damaged")?;
                if let Some(position) = position {
                    write!(f, " at byte {position}")?;
                }
                write!(f, ": {}", Line(reason))
            }
            Kind::NoWeights => write!(f, "{file} contains no weights"),
            _ => self.fmt_parts(f),
        }
    }
}

impl FileError {
    /// What is wrong with a layer, a shard or another part.
    fn fmt_parts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use FileErrorKind as Kind;

        let file = FileName(&self.file);
        let layer = Quoted(self.layer.as_deref().unwrap_or_default());
        match &self.kind {
            Kind::DuplicateLayer => write!(f, "{file} lists layer {layer} twice"),
            Kind::BadLayer { reason } => {
                write!(f, "{file}: invalid layer {layer}: {}", Line(reason))
            }
            Kind::BadPart { reason } => {
                write!(f, "{file} is only part of a model: {}", Line(reason))
            }
            Kind::BadIndex { reason } => write!(
                f,
                "{file} is not the index of a sharded model: {}",
                Line(reason)
            ),
            Kind::BadShardName { shard } => write!(
                f,
                "{file} puts layer {layer} into the shard {}, which is not a plain file name",
                Quoted(shard)
            ),
            Kind::MissingShard { shard } => write!(
                f,
                "{file} lists the shard {}, which does not exist",
                Quoted(shard)
            ),
            Kind::MissingLayer { shard } => write!(
                f,
                "{file} lists layer {layer} in the shard {}, which lacks it",
                Quoted(shard)
            ),
            // The others are about the file as a whole.
            _ => Ok(()),
        }
    }
}

impl Error for FileError {}
