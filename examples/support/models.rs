//! From paths to open models.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mother::safetensors::{ModelPath, SafetensorsModel, find_models};
use mother::weights::Dequantised;
use serde::Serialize;

use super::terminal::Failure;
use super::zoo;

/// A model as the weights that it computes with.
pub(crate) type Model = Dequantised<SafetensorsModel<'static>>;

/// A model that was left out, and why.
#[derive(Serialize)]
pub(crate) struct Skipped {
    pub(crate) id: String,
    pub(crate) reason: String,
}

/// The models that could be opened, and those that couldn't.
#[derive(Default)]
pub(crate) struct Models {
    pub(crate) open: Vec<Model>,
    /// Where they lie, by their ids; the embedded ones lie nowhere.
    pub(crate) paths: BTreeMap<String, PathBuf>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Models {
    /// The models of the embedded zoo.
    pub(crate) fn zoo() -> Result<Self, Failure> {
        let open = zoo::MODELS.iter().map(|&(name, bytes)| {
            let stored = SafetensorsModel::from_bytes(name, bytes);
            stored.and_then(Model::new).map_err(Failure::run)
        });
        Ok(Self {
            open: open.collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }

    /// Opens all models at these paths, each of which has to exist.
    ///
    /// A model's id is its name; models that share one are told apart by their paths.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut found = Vec::new();
        for path in paths {
            found.extend(find_models(path).map_err(Failure::run)?);
        }
        if found.is_empty() {
            let paths: Vec<_> = paths
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            return Err(Failure::Run(format!("no model in {}", paths.join(", "))));
        }
        // The same model given twice is one model, by the shortest of its paths.
        found.sort_by_cached_key(|model| {
            let path = model.path();
            (place(path), path.as_os_str().len(), path.to_path_buf())
        });
        found.dedup_by_key(|model| place(model.path()));
        found.sort();
        let mut models = Self::default();
        for same_name in found.chunk_by(|a, b| a.name() == b.name()) {
            for model in same_name {
                let id = match same_name {
                    [_] => model.name().to_string(),
                    _ => model.path().display().to_string(),
                };
                models.push(id, model);
            }
        }
        Ok(models)
    }

    fn push(&mut self, id: String, model: &ModelPath) {
        let stored = model.open().map(|stored| stored.with_name(&*id));
        match stored.and_then(Model::new) {
            Ok(opened) => {
                self.open.push(opened);
                self.paths.insert(id, model.path().into());
            }
            Err(error) => self.skipped.push(Skipped {
                id,
                reason: error.to_string(),
            }),
        }
    }
}

/// Where a path lies. A link in the last place is not followed, since two links to one file are two
/// models that happen to be equal.
fn place(path: &Path) -> PathBuf {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.into());
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder == Path::new("") => real(Path::new(".")).join(name),
        (Some(folder), Some(name)) => real(folder).join(name),
        _ => real(path),
    }
}
