//! From paths to open models.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mother::files::{ModelFile, ModelFileError, ModelPath, find_models};
use mother::safetensors::SafetensorsModel;
use serde::Serialize;

use super::terminal::{Failure, note};
use super::zoo;

/// An open model, as it is read.
pub(crate) type Source = ModelFile;

/// Opens a model. What decodes its weights goes around it here, and in [`Source`].
fn open(path: &ModelPath) -> Result<Source, ModelFileError> {
    path.open()
}

/// A model that was left out, and why.
#[derive(Serialize)]
pub(crate) struct Skipped {
    pub(crate) id: String,
    pub(crate) reason: String,
}

/// The models that could be opened, and those that couldn't.
#[derive(Default)]
pub(crate) struct Models {
    pub(crate) open: Vec<Source>,
    /// The files that they are read from, by their ids; the embedded ones have none.
    pub(crate) files: BTreeMap<String, Vec<PathBuf>>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Models {
    /// The models of the embedded zoo.
    pub(crate) fn zoo() -> Result<Self, Failure> {
        let open = zoo::MODELS.iter().map(|&(name, bytes)| {
            let model = SafetensorsModel::from_bytes(name, bytes);
            model.map(Source::from).map_err(Failure::run)
        });
        Ok(Self {
            open: open.collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }

    /// Opens all models at these paths, each of which has to exist, and notes what was passed over.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let found = find_models(paths).map_err(Failure::run)?;
        let mut models = Self::default();
        for passed_over in &found.passed_over {
            let reason = passed_over.reason().to_string();
            let id = passed_over.name().to_string();
            if passed_over.reason().is_loss() {
                models.skipped.push(Skipped { id, reason });
            } else {
                note(format!("skipped {id}: {reason}"));
            }
        }
        if found.models.is_empty() {
            for Skipped { id, reason } in &models.skipped {
                note(format!("skipped {id}: {reason}"));
            }
            let paths: Vec<_> = paths
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            return Err(Failure::Run(format!("no model in {}", paths.join(", "))));
        }
        found.models.iter().for_each(|model| models.push(model));
        Ok(models)
    }

    fn push(&mut self, model: &ModelPath) {
        let id = model.name().to_string();
        match open(model) {
            Ok(opened) => {
                self.open.push(opened);
                self.files.insert(id, model.files().into());
            }
            Err(error) => self.skipped.push(Skipped {
                id,
                reason: error.to_string(),
            }),
        }
    }
}
