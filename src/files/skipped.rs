//! Files and folders that aren't models, with the reason.

use core::fmt;

use alloc::string::String;
use alloc::vec::Vec;
use std::path::{Path, PathBuf};

use super::ModelFormat;
use crate::text::{Line, Quoted};

/// A file or folder that was skipped, and why.
///
/// Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedPath {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) reason: SkipReason,
}

impl SkippedPath {
    /// The name that the path would have as a model, or its location below the given path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it was skipped.
    #[must_use]
    pub const fn reason(&self) -> &SkipReason {
        &self.reason
    }
}

impl fmt::Display for SkippedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Line(&self.name), self.reason)
    }
}

/// Why a file or folder was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// Neither the folder nor any below it contains weights.
    NoWeights,
    /// The folder has a name that only weight files have.
    Folder,
    /// The folder can't be listed.
    Unreadable {
        /// The system's message.
        message: String,
    },
    /// The folder is deeper than the search goes.
    TooDeep,
    /// The link leads to a folder that was already searched.
    SameFolder {
        /// The path of that folder below the given one.
        folder: String,
    },
    /// The weights are in a format that this build can't read.
    Format {
        /// The format.
        format: ModelFormat,
        /// The files.
        files: Vec<String>,
    },
    /// The files are Git LFS pointers, and the weights haven't been fetched.
    LfsPointers {
        /// The files.
        files: Vec<String>,
    },
    /// Some shards of the model are missing.
    MissingShards {
        /// The beginning of the first shard's name.
        first: String,
        /// How many are missing.
        missing: usize,
        /// The total number of shards.
        of: usize,
    },
    /// Each of the files contains a slice of a model, and they cannot be joined: some are missing, or it is unknown how.
    Slices {
        /// The files.
        files: Vec<String>,
    },
    /// The files duplicate another file, which is used instead.
    Variant {
        /// The files.
        files: Vec<String>,
        /// The file that is used.
        of: String,
    },
}

impl SkipReason {
    /// Whether skipping it may lose a model.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        match self {
            Self::NoWeights | Self::TooDeep | Self::SameFolder { .. } | Self::Variant { .. } => {
                false
            }
            Self::Folder
            | Self::Unreadable { .. }
            | Self::Format { .. }
            | Self::LfsPointers { .. }
            | Self::Slices { .. }
            | Self::MissingShards { .. } => true,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWeights => f.write_str("no weights found"),
            Self::Folder => f.write_str("a folder named like a weight file, without weights"),
            Self::Unreadable { message } => write!(f, "cannot list folder: {}", Line(message)),
            Self::TooDeep => f.write_str("nested too deeply to be searched"),
            Self::SameFolder { folder } => {
                write!(
                    f,
                    "a link to {}, which is searched under that name",
                    Quoted(folder)
                )
            }
            Self::Format { format, files } => write!(
                f,
                "{} {} {} weights, which this build cannot read",
                Several(files),
                if files.len() == 1 {
                    "contains"
                } else {
                    "contain"
                },
                format.name()
            ),
            Self::LfsPointers { files: one } if one.len() == 1 => write!(
                f,
                "{} is a Git LFS pointer, not the weights: fetch them with `git lfs pull`",
                Several(one)
            ),
            Self::LfsPointers { files } => write!(
                f,
                "{} are Git LFS pointers, not the weights: fetch them with `git lfs pull`",
                Several(files)
            ),
            Self::MissingShards {
                first,
                missing: 1,
                of,
            } => write!(f, "1 of {of} shards is missing: {}", Quoted(first)),
            Self::MissingShards { first, missing, of } => write!(
                f,
                "{missing} of {of} shards are missing: {} and {} more",
                Quoted(first),
                missing - 1
            ),
            Self::Slices { files } => write!(
                f,
                "{} each contain a slice of every tensor, which cannot be read separately",
                Several(files)
            ),
            Self::Variant { files, of } => write!(
                f,
                "{} {} the same model as {}, which is used instead",
                Several(files),
                if files.len() == 1 { "is" } else { "are" },
                Quoted(of)
            ),
        }
    }
}

/// Displays the first of several files and counts the others.
struct Several<'a>(&'a [String]);

impl fmt::Display for Several<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("no file"),
            [file] => write!(f, "{}", Quoted(file)),
            [first, second] => write!(f, "{} and {}", Quoted(first), Quoted(second)),
            [first, others @ ..] => write!(f, "{} and {} more", Quoted(first), others.len()),
        }
    }
}
