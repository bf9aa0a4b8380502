//! How the model at a path is stored, and how it is called.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{FileError, FileErrorKind};

/// Where a model is.
pub(crate) enum Place {
    File(PathBuf),
    Index(PathBuf),
}

impl Place {
    /// A folder's model is in the file `single`, or in shards; an index ends in `index_suffix`.
    pub(crate) fn of(
        path: &Path,
        single: &'static str,
        index_suffix: &str,
    ) -> Result<Self, FileError> {
        let metadata = fs::metadata(path).map_err(|error| FileError::from_io(path, &error))?;
        if !metadata.is_dir() {
            return Ok(if is_index(path, index_suffix) {
                Self::Index(path.to_owned())
            } else {
                Self::File(path.to_owned())
            });
        }
        let file = path.join(single);
        let index = path.join(format!("{single}.index.json"));
        if is_present(&file) {
            Ok(Self::File(file))
        } else if is_present(&index) {
            Ok(Self::Index(index))
        } else {
            let expected = single;
            Err(FileErrorKind::NoModel { expected }.in_file(path.display().to_string()))
        }
    }
}

/// Whether there is something of this name, or nobody may know, in which case opening it will tell.
fn is_present(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

fn is_index(path: &Path, suffix: &str) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().ends_with(suffix.as_bytes())
}

/// The name of the model at a path: a file's stem, the name of a folder or of an index's folder.
pub(crate) fn model_name(path: &Path, index_suffix: &str) -> String {
    let folder = if path.is_dir() {
        Some(path)
    } else if is_index(path, index_suffix) {
        path.parent()
    } else {
        None
    };
    let name = match folder {
        // Also where the path ends in a dot.
        Some(folder) => fs::canonicalize(folder)
            .ok()
            .and_then(|folder| folder.file_name().map(OsStr::to_owned)),
        None => path.file_stem().map(OsStr::to_owned),
    };
    name.map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into(),
    )
}
