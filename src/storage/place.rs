//! How the model at a path is stored, and its name.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{FileError, FileErrorKind};

/// The file or index of a model.
pub(crate) enum Place {
    File(PathBuf),
    Index(PathBuf),
}

impl Place {
    /// Finds the model at a path. In a folder it is the file `single`, or shards with an index. Index files
    /// end in `index_suffix`.
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

/// Whether something of this name exists. Also true if that can't be found out; opening it will then fail.
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

/// The stem of a file's name, or the whole path if it has none.
pub(crate) fn stem(path: &Path) -> String {
    let stem = path.file_stem().map(OsStr::to_string_lossy);
    stem.map_or_else(|| path.display().to_string(), Into::into)
}

/// The name of the model at a path: a file's stem, a folder's name, or the name of an index's folder.
pub(crate) fn model_name(path: &Path, index_suffix: &str) -> String {
    let folder = if path.is_dir() {
        Some(path)
    } else if is_index(path, index_suffix) {
        path.parent()
    } else {
        None
    };
    let Some(folder) = folder else {
        return stem(path);
    };
    // Canonicalised, because the path may end in a dot.
    let real = fs::canonicalize(folder).ok();
    let name = real.as_deref().and_then(Path::file_name);
    name.map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into(),
    )
}
