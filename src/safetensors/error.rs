//! Everything that can be wrong with a model on disk, each with what a person needs to find it.

use core::error::Error;
use core::fmt;

use alloc::string::String;
use alloc::vec::Vec;
use std::io;
use std::path::Path;

use crate::storage::FileError;
use crate::storage::LARGEST_HEADER;
use crate::storage::index::IndexError;
use crate::storage::text::{FileName, Line, Quoted, Shape};

/// Why a safetensors model can't be opened or read.
///
/// `file` is the path, or the model's name where the bytes were given in memory. Layers, shapes and
/// byte positions are as the file states them; positions count from the start of the data, which
/// follows the header.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SafetensorsError {
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
    /// The folder holds neither `model.safetensors` nor `model.safetensors.index.json`.
    NoModel {
        /// The path of the folder.
        folder: String,
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
    /// The file has no bytes.
    Empty {
        /// The file.
        file: String,
    },
    /// The file is shorter than the eight bytes that give the header's length.
    TooShort {
        /// The file.
        file: String,
        /// Its length in bytes.
        length: u64,
    },
    /// The file is text: its first eight bytes are printable.
    Text {
        /// The file.
        file: String,
        /// The beginning of the text.
        beginning: String,
    },
    /// The header would end behind the end of the file: truncated, or another format.
    HeaderBeyondEnd {
        /// The file.
        file: String,
        /// How long the header says it is, in bytes.
        header: u64,
        /// The file's length in bytes.
        length: u64,
    },
    /// The header is longer than the 100 MB that the format allows.
    HeaderTooLarge {
        /// The file.
        file: String,
        /// How long the header says it is, in bytes.
        header: u64,
    },
    /// The header or index is not UTF-8.
    NotUtf8 {
        /// The file.
        file: String,
        /// The first byte of the header or index that is no part of a character.
        position: usize,
    },
    /// The header or index is not JSON.
    NotJson {
        /// The file.
        file: String,
        /// The parser's message.
        message: String,
    },
    /// A header's entry lacks something, or has something of the wrong kind.
    BadEntry {
        /// The file.
        file: String,
        /// The entry's layer, or `__metadata__`.
        layer: String,
        /// What is wrong, and where.
        message: String,
    },
    /// Two layers have the same name.
    DuplicateLayer {
        /// The file.
        file: String,
        /// The name.
        layer: String,
    },
    /// A layer's shape holds more elements than can be counted.
    BadShape {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A layer's data ends before it begins.
    BadOffsets {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
        /// Where it begins.
        begin: u64,
        /// Where it ends.
        end: u64,
    },
    /// A layer's data is not as long as its type and shape need.
    WrongSize {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
        /// How many bytes its data has.
        bytes: u64,
        /// How many bytes its type and shape need, if that can be counted.
        needed: Option<u64>,
    },
    /// A layer's data ends behind the end of the file.
    Truncated {
        /// The file.
        file: String,
        /// The layer.
        layer: String,
        /// Where the layer ends.
        end: u64,
        /// How many bytes of data the file has behind its header.
        available: u64,
    },
    /// There are bytes after the last layer: the header's length may be wrong.
    LeftOver {
        /// The file.
        file: String,
        /// Where the last layer ends.
        end: u64,
        /// How many bytes of data the file has behind its header.
        available: u64,
    },
    /// Two layers share bytes.
    Overlap {
        /// The file.
        file: String,
        /// The layer that begins first.
        first: String,
        /// The other.
        second: String,
    },
    /// The index of a sharded model is larger than the 100 MB that headers may have.
    IndexTooLarge {
        /// The index.
        file: String,
        /// Its length in bytes.
        length: u64,
    },
    /// The index of a sharded model is JSON, but not an index.
    BadIndex {
        /// The index.
        file: String,
        /// What is wrong, and where.
        message: String,
    },
    /// An index names a shard that is no plain name of a file in its folder.
    BadShardName {
        /// The index.
        file: String,
        /// A layer that should be there.
        layer: String,
        /// The shard's name.
        shard: String,
    },
    /// A shard that an index names does not exist.
    MissingShard {
        /// The index.
        file: String,
        /// The shard's name.
        shard: String,
    },
    /// A shard does not hold a layer that the index says it holds.
    MissingLayer {
        /// The index.
        file: String,
        /// The shard's name.
        shard: String,
        /// The layer.
        layer: String,
    },
    /// The file is no longer the one whose header was read.
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

impl SafetensorsError {
    /// What went wrong at `path`.
    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        FileError::from_io(path, error).into()
    }
}

impl From<FileError> for SafetensorsError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotFound { file } => Self::NotFound { file },
            FileError::PermissionDenied { file } => Self::PermissionDenied { file },
            FileError::NotAFile { file } => Self::NotAFile { file },
            FileError::Io {
                file,
                kind,
                message,
            } => Self::Io {
                file,
                kind,
                message,
            },
            FileError::Changed { file, layer } => Self::Changed { file, layer },
            FileError::Read {
                file,
                layer,
                kind,
                message,
            } => Self::Read {
                file,
                layer,
                kind,
                message,
            },
            FileError::OutOfRange {
                file,
                layer,
                offset,
                values,
                elements,
            } => Self::OutOfRange {
                file,
                layer,
                offset,
                values,
                elements,
            },
        }
    }
}

impl From<IndexError> for SafetensorsError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::NotUtf8 { file, position } => Self::NotUtf8 { file, position },
            IndexError::NotJson { file, message } => Self::NotJson { file, message },
            IndexError::DuplicateLayer { file, layer } => Self::DuplicateLayer { file, layer },
            IndexError::TooLarge { file, length } => Self::IndexTooLarge { file, length },
            IndexError::BadIndex { file, message } => Self::BadIndex { file, message },
            IndexError::BadShardName { file, layer, shard } => {
                Self::BadShardName { file, layer, shard }
            }
            IndexError::MissingShard { file, shard } => Self::MissingShard { file, shard },
            IndexError::MissingLayer { file, shard, layer } => {
                Self::MissingLayer { file, shard, layer }
            }
        }
    }
}

impl fmt::Display for SafetensorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { file } => write!(f, "{} does not exist", FileName(file)),
            Self::PermissionDenied { file } => {
                write!(f, "no permission to read {}", FileName(file))
            }
            Self::NotAFile { file } => write!(f, "{} is not a file", FileName(file)),
            Self::NoModel { folder } => write!(
                f,
                "folder {} holds neither `model.safetensors` nor `model.safetensors.index.json`",
                FileName(folder)
            ),
            Self::Io { file, message, .. } => {
                write!(f, "{} can't be read: {}", FileName(file), Line(message))
            }
            Self::Empty { file } => write!(f, "{} is empty", FileName(file)),
            Self::TooShort { file, length } => write!(
                f,
                "{} is not a safetensors file: it is only {length} bytes long",
                FileName(file)
            ),
            Self::Text { file, beginning } => write!(
                f,
                "{} is not a safetensors file but text that begins with {}",
                FileName(file),
                Quoted(beginning)
            ),
            Self::HeaderBeyondEnd {
                file,
                header,
                length,
            } => write!(
                f,
                "{} is cut short or not a safetensors file: \
                 its header would be {header} bytes long, the file has {length}",
                FileName(file)
            ),
            Self::HeaderTooLarge { file, header } => write!(
                f,
                "{}: its header is {header} bytes long, the format allows {LARGEST_HEADER}",
                FileName(file)
            ),
            Self::NotUtf8 { file, position } => write!(
                f,
                "{}: its JSON is not UTF-8 from byte {position} on",
                FileName(file)
            ),
            Self::NotJson { file, message } => {
                write!(
                    f,
                    "{}: its JSON is broken: {}",
                    FileName(file),
                    Line(message)
                )
            }
            Self::BadEntry {
                file,
                layer,
                message,
            } => write!(
                f,
                "{}: the header's entry for {} is wrong: {}",
                FileName(file),
                Quoted(layer),
                Line(message)
            ),
            Self::DuplicateLayer { file, layer } => {
                write!(f, "{} lists layer {} twice", FileName(file), Quoted(layer))
            }
            Self::BadShape { file, layer, shape } => write!(
                f,
                "{}: layer {} has more elements than can be counted: its shape is {}",
                FileName(file),
                Quoted(layer),
                Shape(shape)
            ),
            Self::BadOffsets {
                file,
                layer,
                begin,
                end,
            } => write!(
                f,
                "{}: layer {} begins at byte {begin} but ends at byte {end}",
                FileName(file),
                Quoted(layer)
            ),
            Self::WrongSize {
                file,
                layer,
                bytes,
                needed: Some(needed),
            } => write!(
                f,
                "{}: layer {} has {bytes} bytes, its type and shape need {needed}",
                FileName(file),
                Quoted(layer)
            ),
            Self::WrongSize {
                file,
                layer,
                bytes,
                needed: None,
            } => write!(
                f,
                "{}: layer {} has {bytes} bytes, its type and shape need more than can be counted",
                FileName(file),
                Quoted(layer)
            ),
            Self::Truncated {
                file,
                layer,
                end,
                available,
            } => write!(
                f,
                "{} is cut short: layer {} ends at byte {end} of the data, the file has {available}",
                FileName(file),
                Quoted(layer)
            ),
            Self::LeftOver {
                file,
                end,
                available,
            } => write!(
                f,
                "{}: the last layer ends at byte {end} of the data, the file has {available}",
                FileName(file)
            ),
            Self::Overlap {
                file,
                first,
                second,
            } => write!(
                f,
                "{}: layers {} and {} overlap",
                FileName(file),
                Quoted(first),
                Quoted(second)
            ),
            Self::IndexTooLarge { file, length } => write!(
                f,
                "{} is {length} bytes long, an index may have {LARGEST_HEADER}",
                FileName(file)
            ),
            Self::BadIndex { file, message } => write!(
                f,
                "{} is not the index of a sharded model: {}",
                FileName(file),
                Line(message)
            ),
            Self::BadShardName { file, layer, shard } => write!(
                f,
                "{} puts layer {} into {}, which is not the plain name of a file in its folder",
                FileName(file),
                Quoted(layer),
                Quoted(shard)
            ),
            Self::MissingShard { file, shard } => write!(
                f,
                "{} names the shard {}, which does not exist",
                FileName(file),
                Quoted(shard)
            ),
            Self::MissingLayer { file, shard, layer } => write!(
                f,
                "{} says that layer {} is in {}, but it is not",
                FileName(file),
                Quoted(layer),
                Quoted(shard)
            ),
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

impl Error for SafetensorsError {}
