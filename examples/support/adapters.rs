//! Adapters among the models: each is applied to its base, if its base is present.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mother::adapters::{Adapter, AdapterConfig, AdapterError, Placement};
use mother::files::ModelPath;
use mother::heritage::Knowledge;
use mother::weights::WeightSource as _;

use super::models::{Models, Skipped, Source, Stored, open};
use super::terminal::note;

/// The configuration file that PEFT writes next to an adapter.
const CONFIG: &str = "adapter_config.json";

/// The maximum number of bytes read from it.
const LONGEST_CONFIG: u64 = 1 << 20;

/// An adapter applied to its base.
pub(crate) struct AdapterEdge {
    pub(crate) adapter: String,
    pub(crate) base: String,
    pub(crate) rank: usize,
}

/// An adapter whose base is missing or unknown.
pub(crate) struct Unplaced {
    pub(crate) id: String,
    pub(crate) note: String,
}

/// Adds that adapters were trained on their bases, unless something else is known.
pub(crate) fn add(knowledge: &Knowledge, adapters: &[AdapterEdge]) -> Knowledge {
    let has_parent = |child: &str| {
        knowledge.parents().any(|(known, _)| known == child)
            || knowledge.roots().any(|root| root == child)
    };
    let free = adapters.iter().filter(|edge| !has_parent(&edge.adapter));
    free.fold(knowledge.clone(), |knowledge, edge| {
        knowledge.with_parent(&*edge.adapter, &*edge.base)
    })
}

/// Separates adapters from models, and applies every adapter to its base.
pub(crate) fn place(stored: Vec<(ModelPath, Stored)>, models: &mut Models) {
    let (adapters, bases): (Vec<_>, Vec<_>) =
        (stored.into_iter()).partition(|(_, model)| Adapter::is_adapter(model));
    let (paths, bases): (Vec<ModelPath>, Vec<Stored>) = bases.into_iter().unzip();
    for (path, adapter) in adapters {
        match placed(&path, adapter, &paths, &bases) {
            Ok((model, edge, files)) => {
                models.push(model, files);
                models.adapters.push(edge);
            }
            Err(Failed::Unplaced(note)) => models.unplaced.push(Unplaced {
                id: path.name().into(),
                note,
            }),
            Err(Failed::Damaged(reason)) => models.skipped.push(Skipped {
                id: path.name().into(),
                reason,
            }),
        }
    }
    for (path, base) in paths.into_iter().zip(bases) {
        let (model, files) = with_its_own_adapter(&path, base);
        models.push(model, files);
    }
    models.open.sort_by(|a, b| a.name().cmp(b.name()));
}

/// A model, changed by the adapter stored among its own weights, if there is one. The adapter's factors are left
/// out if their scale isn't known.
fn with_its_own_adapter(path: &ModelPath, base: Stored) -> (Source, Vec<PathBuf>) {
    let files = path.files().to_vec();
    if !Adapter::is_within(&base) {
        return (Source::plain(base), files);
    }
    let config_file = path.folder().join(CONFIG);
    let known = config(&config_file);
    let within = |config| {
        let failed = |reason: String| AdapterError::Reading { reason };
        let own = open(path).map_err(|error| failed(error.to_string()))?;
        Adapter::read_within(own, config)
    };
    let error = match known {
        Ok(Some(config)) => {
            let fitting = within(config).and_then(|adapter| {
                adapter.fits(&base)?;
                Ok(adapter)
            });
            match fitting.map(|adapter| (adapter, open(path))) {
                Ok((adapter, Ok(own))) => {
                    if let Ok(model) = adapter.applied_to(own) {
                        return (model, [&files[..], &[config_file]].concat());
                    }
                    "the factors cannot be applied".into()
                }
                Ok((_, Err(error))) => error.to_string(),
                Err(error) => error.to_string(),
            }
        }
        Ok(None) => format!("no {CONFIG} gives their scale"),
        Err(error) => error.to_string(),
    };
    note(format!(
        "left out the adapter factors among the weights of {}: {error}",
        path.name()
    ));
    match within(AdapterConfig::new()) {
        Ok(adapter) => (adapter.removed_from(base), files),
        Err(_) => (Source::plain(base), files),
    }
}

/// Why an adapter could not be applied.
enum Failed {
    Unplaced(String),
    Damaged(String),
}

/// The model that an adapter and its base form, and the files that it is read from.
fn placed(
    path: &ModelPath,
    adapter: Stored,
    paths: &[ModelPath],
    bases: &[Stored],
) -> Result<(Source, AdapterEdge, Vec<PathBuf>), Failed> {
    let config_file = path.folder().join(CONFIG);
    let adapter = read(&config_file, adapter).map_err(|error| match error {
        AdapterError::Method { .. } | AdapterError::Pattern { .. } => {
            Failed::Unplaced(format!("is an adapter that cannot be read: {error}"))
        }
        error => Failed::Damaged(format!("unusable adapter: {error}")),
    })?;
    let (rank, method) = (adapter.rank(), adapter.method());
    let needs = |why: String| {
        Failed::Unplaced(format!(
            "is an adapter ({method}, rank {rank}) without its base{why}"
        ))
    };
    let named = adapter.config().base().map(String::from);
    let base = match (adapter.place(bases), named) {
        (Placement::Found(base), _) => base,
        (Placement::Incompatible(base, error), _) => {
            let base = bases[base].name();
            return Err(needs(format!(": it does not fit {base}: {error}")));
        }
        (Placement::Ambiguous(models), _) => {
            let names: Vec<&str> = models.iter().map(|&model| bases[model].name()).collect();
            return Err(needs(format!(
                ", which could be any of {}",
                names.join(", ")
            )));
        }
        (_, Some(named)) => {
            return Err(needs(format!(" {named}, which is not among the models")));
        }
        _ => return Err(needs(", which is not among the models".into())),
    };
    let damaged = |error: String| Failed::Damaged(error);
    // Opened again, because the base is also read as a model of its own.
    let opened = open(&paths[base]).map_err(|error| damaged(error.to_string()))?;
    let model = adapter
        .applied_to(opened)
        .map_err(|error| damaged(error.to_string()))?;
    let edge = AdapterEdge {
        adapter: path.name().into(),
        base: bases[base].name().into(),
        rank,
    };
    let mut files = [path.files(), paths[base].files()].concat();
    files.extend(config_file.is_file().then_some(config_file));
    Ok((model, edge, files))
}

fn read(config_file: &Path, adapter: Stored) -> Result<Adapter<Stored>, AdapterError> {
    Adapter::read(adapter, config(config_file)?.unwrap_or_default())
}

/// The configuration in a file, if the file exists.
fn config(file: &Path) -> Result<Option<AdapterConfig>, AdapterError> {
    let Ok(file) = File::open(file) else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = file.take(LONGEST_CONFIG).read_to_string(&mut text);
    read.map_err(|error| AdapterError::Config {
        message: error.to_string(),
    })?;
    AdapterConfig::from_json(&text).map(Some)
}
