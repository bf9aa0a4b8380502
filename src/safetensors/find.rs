//! Which models a path stands for.

use core::cmp::Ordering;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{SafetensorsError, SafetensorsModel};

const EXTENSION: &str = "safetensors";
const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";
const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// A model that was found but not opened: its name and where it is.
///
/// Ordered by name, then by path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelPath {
    name: String,
    path: PathBuf,
}

impl ModelPath {
    fn new(path: PathBuf) -> Self {
        Self {
            name: model_name(&path),
            path,
        }
    }

    /// The model's name: a file's stem or a folder's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the model.
    ///
    /// # Errors
    ///
    /// As [`SafetensorsModel::open`].
    pub fn open(&self) -> Result<SafetensorsModel<'static>, SafetensorsError> {
        SafetensorsModel::open(&self.path)
    }
}

impl Ord for ModelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.name, &self.path).cmp(&(&other.name, &other.path))
    }
}

impl PartialOrd for ModelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The models that a path stands for, sorted by name.
///
/// A file is one model. A folder that holds `model.safetensors` or `model.safetensors.index.json` is
/// one model. In any other folder, every file `*.safetensors` is a model, and so is every sub-folder
/// of the first kind; nothing deeper is looked at, and names that begin with a dot are passed over.
/// A folder with nothing of this gives no models. Nothing is opened: what is found need not be
/// readable, and a link that leads nowhere is listed so that opening it says so.
///
/// Names are as [`SafetensorsModel::open`] gives them; a file and a folder may have the same.
///
/// # Errors
///
/// [`SafetensorsError::NotFound`], [`PermissionDenied`](SafetensorsError::PermissionDenied) or
/// [`Io`](SafetensorsError::Io) when the path itself can't be looked at.
///
/// # Examples
///
/// ```no_run
/// use mother::weights::WeightSource;
///
/// for found in mother::safetensors::find_models("models")? {
///     match found.open() {
///         Ok(model) => println!("{}: {} layers", found.name(), model.layers().count()),
///         Err(error) => eprintln!("skipped {}: {error}", found.name()),
///     }
/// }
/// # Ok::<(), mother::safetensors::SafetensorsError>(())
/// ```
pub fn find_models(path: impl AsRef<Path>) -> Result<Vec<ModelPath>, SafetensorsError> {
    let path = path.as_ref();
    let failed = |error| SafetensorsError::from_io(path, &error);
    if !fs::metadata(path).map_err(failed)?.is_dir() || is_model_folder(path) {
        return Ok(vec![ModelPath::new(path.to_owned())]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_model(&path) {
            found.push(ModelPath::new(path));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether something in a folder is a model.
fn is_model(path: &Path) -> bool {
    let hidden = (path.file_name()).is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    if hidden {
        return false;
    }
    if path.is_dir() {
        return is_model_folder(path);
    }
    path.extension() == Some(OsStr::new(EXTENSION))
}

fn is_model_folder(folder: &Path) -> bool {
    is_present(&folder.join(SINGLE_FILE)) || is_present(&folder.join(INDEX_FILE))
}

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
