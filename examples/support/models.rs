//! From paths to open models.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mother::adapters::AdaptedModel;
use mother::files::{ModelFile, ModelPath, find_models};
use mother::safetensors::SafetensorsModel;
use mother::storage::FileError;
use mother::weights::{AnySource, Dequantised, WeightSource as _};
use serde::Serialize;

use super::adapters::{self, AdapterEdge, Unplaced};
use super::claims::{self, Claim};
use super::terminal::{Failure, note};
use super::zoo;

/// A model's own tensors, as the weights that it computes with.
pub(crate) type Stored = Dequantised<ModelFile>;

/// An open model: its own tensors, or those of its base as an adapter changes them. The base may itself be an
/// adapter on another.
pub(crate) type Source = AdaptedModel<AnySource<'static>, Stored>;

/// A model without an adapter.
pub(crate) fn plain(stored: Stored) -> Source {
    Source::plain(AnySource::new(stored))
}

/// Opens a model.
pub(crate) fn open(path: &ModelPath) -> Result<Stored, FileError> {
    Dequantised::new(path.open()?)
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
    /// The files of each open model; embedded ones have none.
    pub(crate) files: BTreeMap<String, Vec<PathBuf>>,
    pub(crate) skipped: Vec<Skipped>,
    /// The adapters whose base is among the models.
    pub(crate) adapters: Vec<AdapterEdge>,
    /// The adapters whose base is missing or unknown.
    pub(crate) unplaced: Vec<Unplaced>,
    /// The claims of the models' cards.
    pub(crate) claims: Vec<Claim>,
}

impl Models {
    /// The models of the embedded zoo.
    pub(crate) fn zoo() -> Result<Self, Failure> {
        let open = zoo::MODELS.iter().map(|&(name, bytes)| {
            let model = SafetensorsModel::from_bytes(name, bytes).map_err(Failure::run)?;
            let stored = Dequantised::new(model.into()).map_err(Failure::run)?;
            Ok::<_, Failure>(plain(stored))
        });
        Ok(Self {
            open: open.collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }

    /// Opens all models at these paths, each of which must exist, and reports what was skipped.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let found = find_models(paths).map_err(Failure::run)?;
        let mut models = Self::default();
        for skipped in &found.skipped {
            let reason = skipped.reason().to_string();
            let id = skipped.name().to_string();
            if skipped.reason().is_loss() {
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
            return Err(Failure::Run(format!(
                "no model found in {}",
                paths.join(", ")
            )));
        }
        models.claims = claims::on_cards(&found.models);
        let mut stored = Vec::new();
        for path in found.models {
            match open(&path) {
                Ok(opened) => stored.push((path, opened)),
                Err(error) => models.skipped.push(Skipped {
                    id: path.name().to_string(),
                    reason: error.to_string(),
                }),
            }
        }
        adapters::place(stored, &mut models);
        Ok(models)
    }

    /// The ids of all models, including those that can't be read.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let open = self.open.iter().map(|model| model.name());
        let unplaced = self.unplaced.iter().map(|adapter| &*adapter.id);
        let skipped = self.skipped.iter().map(|model| &*model.id);
        open.chain(unplaced).chain(skipped).collect()
    }

    /// Adds a model that is read from these files.
    pub(crate) fn push(&mut self, model: Source, files: Vec<PathBuf>) {
        self.files.insert(model.name().to_string(), files);
        self.open.push(model);
    }
}
