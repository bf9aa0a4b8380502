//! The path of a model that was found but not opened.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::path::{Path, PathBuf};

use super::{ModelFile, ModelFormat, config};
#[cfg(feature = "gguf")]
use crate::gguf::GgufModel;
#[cfg(feature = "npz")]
use crate::npz::NpzModel;
#[cfg(feature = "pytorch")]
use crate::pytorch::PytorchModel;
use crate::safetensors::SafetensorsModel;
use crate::storage::index::Stored;
use crate::storage::{FileError, FileErrorKind};
use crate::weights::Joined;

/// A model that was found but not opened: its name and where it is.
///
/// Ordered by name, then by path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelPath {
    pub(super) name: String,
    /// The file, or the index or first shard followed by all other shards.
    pub(super) files: Vec<PathBuf>,
    pub(super) format: ModelFormat,
    pub(super) stored: Stored,
}

impl ModelPath {
    /// The model's name, unique among the models found with it; see [`find_models`](super::find_models).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The format of its weights.
    #[must_use]
    pub const fn format(&self) -> ModelFormat {
        self.format
    }

    /// The file; if there are several, the index, or the first shard if there is no index.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Every file from which the model is read.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The folder that contains the model's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match self.path().parent() {
            Some(folder) if folder == Path::new("") => Path::new("."),
            folder => folder.unwrap_or(Path::new(".")),
        }
    }

    /// Opens the model under this name.
    ///
    /// If `config.json` in its [`folder`](Self::folder) is that of an architecture whose fused projections are
    /// [interleaved](crate::weights::WeightSource::interleaved_groups), the model says so.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the files can't be read or don't contain a model of this [`format`](Self::format).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mother::weights::WeightSource;
    ///
    /// for found in mother::files::find_models(["models"])?.models {
    ///     match found.open() {
    ///         Ok(model) => println!("{}: {} layers", found.name(), model.layers().count()),
    ///         Err(error) => eprintln!("skipped {}: {error}", found.name()),
    ///     }
    /// }
    /// # Ok::<(), mother::files::FindError>(())
    /// ```
    pub fn open(&self) -> Result<ModelFile, FileError> {
        let model = if self.stored == Stored::Slices {
            let slices = self.files.chunks(1);
            let slices = slices.map(|file| self.open_files(Stored::Whole, file));
            Joined::new(slices.collect::<Result<_, _>>()?)?.into()
        } else {
            self.open_files(self.stored, &self.files)?
        };
        let model = model.with_name(&*self.name);
        // Conversions store queries, keys and values one after the other.
        let groups = (self.format.keeps_weights())
            .then(|| config::interleaved_groups(self.folder()))
            .flatten();
        Ok(match groups {
            Some(groups) => model.with_interleaved_groups(groups),
            None => model,
        })
    }

    /// Opens the model in these files. Its name is set later.
    fn open_files(&self, stored: Stored, files: &[PathBuf]) -> Result<ModelFile, FileError> {
        let path = files.first().map_or(Path::new(""), PathBuf::as_path);
        Ok(match self.format {
            ModelFormat::Safetensors => SafetensorsModel::open_files(stored, files)?.into(),
            #[cfg(feature = "pytorch")]
            ModelFormat::PyTorch => PytorchModel::open_files(stored, files)?.into(),
            #[cfg(feature = "npz")]
            ModelFormat::Numpy => NpzModel::open(path)?.into(),
            // The first part records how many others there are.
            #[cfg(feature = "gguf")]
            ModelFormat::Gguf => GgufModel::open(path)?.into(),
            format => {
                let format = format.name();
                let unread = FileErrorKind::UnsupportedFormat { format };
                return Err(unread.in_file(path.display().to_string()));
            }
        })
    }
}
