//! What can go wrong with a file of weights, in any format.

use core::error::Error;
use core::fmt;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use std::io;
use std::path::Path;

use super::text::{FileName, Line, Quoted};

/// Why a model's file can't be opened or read.
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
    /// The path, or the model's name where the bytes were given in memory.
    pub file: String,
    /// The layer at fault, if it is one.
    pub layer: Option<String>,
    /// What is wrong.
    pub kind: FileErrorKind,
}

/// What is wrong with a model's file, or with one of its layers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// There is no such file or folder.
    NotFound,
    /// The file or folder may not be read.
    PermissionDenied,
    /// The path is neither a file nor a folder, or a folder where a file has to be.
    NotAFile,
    /// The folder holds no model.
    NoModel {
        /// The name that the model's only file would have; an index would be `….index.json`.
        expected: &'static str,
    },
    /// The operating system failed to open, list or read something.
    Io {
        /// What kind of failure.
        kind: io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// The file is no longer the one that was opened.
    Changed,
    /// More values were asked for than the layer has.
    OutOfRange {
        /// The first value asked for.
        offset: usize,
        /// How many values were asked for.
        values: usize,
        /// How many values the layer has.
        elements: usize,
    },
    /// This build doesn't read the format.
    UnreadFormat {
        /// The format's name.
        format: &'static str,
    },
    /// The file is of another format, or only its beginning is left.
    OtherFormat {
        /// The name of the format it should have.
        format: &'static str,
        /// What it is, or what is missing.
        reason: String,
    },
    /// The file's header, directory or pickle is damaged, or larger than is read.
    Damaged {
        /// Where in the file, in bytes, if that is known.
        position: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// Two layers have the same name.
    DuplicateLayer,
    /// A layer's entry is broken, or its type, shape and place don't fit each other or the file.
    BadLayer {
        /// What doesn't fit.
        reason: String,
    },
    /// The file has no floating-point tensors: it holds an optimizer's state, settings, or nothing.
    NoWeights,
    /// The file is one of several that hold the model together, and another is missing or of another
    /// model.
    BadPart {
        /// What is wrong.
        reason: String,
    },
    /// The file isn't the index of a sharded model, or is longer than one may be.
    BadIndex {
        /// What is wrong, and where.
        reason: String,
    },
    /// An index puts the layer into a shard that is no plain name of a file in its folder.
    BadShardName {
        /// The shard's name.
        shard: String,
    },
    /// A shard that an index names does not exist.
    MissingShard {
        /// The shard's name.
        shard: String,
    },
    /// A shard does not hold the layer that the index says it holds.
    MissingLayer {
        /// The shard's name.
        shard: String,
    },
}

impl FileErrorKind {
    /// In a file; [`FileError::or_in_file`] fills in a name that is empty.
    pub(crate) fn in_file(self, file: impl Into<String>) -> FileError {
        FileError {
            file: file.into(),
            layer: None,
            kind: self,
        }
    }

    /// Of a layer, in a file that isn't named yet.
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
    /// What went wrong at `path`.
    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        FileErrorKind::from_io(error).in_file(path.display().to_string())
    }

    /// The same, in this file if it doesn't say in which.
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
                "folder {file} holds neither `{expected}` nor `{expected}.index.json`"
            ),
            Kind::Io { message, .. } => {
                write!(f, "{file}")?;
                if self.layer.is_some() {
                    write!(f, ": layer {layer}")?;
                }
                write!(f, " can't be read: {}", Line(message))
            }
            Kind::Changed => write!(
                f,
                "{file} changed since its header was read, seen while reading layer {layer}"
            ),
            Kind::OutOfRange {
                offset,
                values,
                elements,
            } => write!(
                f,
                "{file}: layer {layer} has {elements} values, but {values} from value {offset} on \
                 were asked for"
            ),
            Kind::UnreadFormat { format } => {
                write!(f, "this build doesn't read the format of {format}")
            }
            Kind::OtherFormat { format, reason } => write!(
                f,
                "{file} is not a {format} file, or cut short: {}",
                Line(reason)
            ),
            Kind::Damaged { position, reason } => {
                write!(f, "{file} is damaged")?;
                if let Some(position) = position {
                    write!(f, " at byte {position}")?;
                }
                write!(f, ": {}", Line(reason))
            }
            Kind::NoWeights => write!(f, "{file} holds no weights"),
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
                write!(f, "{file}: layer {layer} is wrong: {}", Line(reason))
            }
            Kind::BadPart { reason } => write!(f, "{file} is a part of a model: {}", Line(reason)),
            Kind::BadIndex { reason } => write!(
                f,
                "{file} is not the index of a sharded model: {}",
                Line(reason)
            ),
            Kind::BadShardName { shard } => write!(
                f,
                "{file} puts layer {layer} into {}, which is not the plain name of a file in its \
                 folder",
                Quoted(shard)
            ),
            Kind::MissingShard { shard } => write!(
                f,
                "{file} names the shard {}, which does not exist",
                Quoted(shard)
            ),
            Kind::MissingLayer { shard } => write!(
                f,
                "{file} says that layer {layer} is in {}, but it is not",
                Quoted(shard)
            ),
            // The others are about the file as a whole.
            _ => Ok(()),
        }
    }
}

impl Error for FileError {}
