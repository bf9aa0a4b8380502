//! Where the weights of a model lie, and what it is called.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::SafetensorsError;

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";
const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// Whether there is something of this name, or nobody may know, in which case opening it will tell.
fn is_present(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// How the model at a path is stored.
pub(super) enum Stored {
    File(PathBuf),
    Index(PathBuf),
}

impl Stored {
    pub(super) fn at(path: &Path) -> Result<Self, SafetensorsError> {
        let metadata =
            fs::metadata(path).map_err(|error| SafetensorsError::from_io(path, &error))?;
        if !metadata.is_dir() {
            return Ok(match is_index(path) {
                true => Self::Index(path.to_owned()),
                false => Self::File(path.to_owned()),
            });
        }
        let (file, index) = (path.join(SINGLE_FILE), path.join(INDEX_FILE));
        if is_present(&file) {
            Ok(Self::File(file))
        } else if is_present(&index) {
            Ok(Self::Index(index))
        } else {
            Err(SafetensorsError::NoModel {
                folder: path.display().to_string(),
            })
        }
    }
}

fn is_index(path: &Path) -> bool {
    (path.file_name())
        .is_some_and(|name| name.as_encoded_bytes().ends_with(INDEX_SUFFIX.as_bytes()))
}

/// The name of the model at a path: a file's stem, the name of a folder or of an index's folder.
pub(super) fn model_name(path: &Path) -> String {
    let name = if path.is_dir() {
        folder_name(path)
    } else if is_index(path) {
        folder_name(path.parent().unwrap_or(path))
    } else {
        path.file_stem().map(|stem| stem.to_string_lossy().into())
    };
    name.unwrap_or_else(|| path.display().to_string())
}

/// A folder's own name, also where the path ends in a dot.
fn folder_name(folder: &Path) -> Option<String> {
    let absolute;
    let folder = match folder.file_name() {
        Some(_) => folder,
        None => {
            let here = Path::new(".");
            let folder = if folder == Path::new("") {
                here
            } else {
                folder
            };
            absolute = fs::canonicalize(folder).ok()?;
            &absolute
        }
    };
    Some(folder.file_name()?.to_string_lossy().into())
}
