//! Adapters among the models: each is applied to its base, if its base is present.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mother::adapters::{Adapter, AdapterConfig, AdapterError, Placement, models_named};
use mother::files::ModelPath;
use mother::heritage::Knowledge;
use mother::weights::{AnySource, WeightSource as _};

use super::models::{Models, Skipped, Source, Stored, open, plain};
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
    let (adapters, bases): (Vec<_>, Vec<_>) = (stored.into_iter())
        .partition(|(path, model)| Adapter::is_adapter(model) || is_named_adapter(path));
    let (paths, bases): (Vec<ModelPath>, Vec<Stored>) = bases.into_iter().unzip();
    let mut read = Vec::new();
    let fail = |path: &ModelPath, failed: Failed, models: &mut Models| {
        let id = path.name().into();
        match failed {
            Failed::Unplaced(note) => models.unplaced.push(Unplaced { id, note }),
            Failed::Damaged(reason) => models.skipped.push(Skipped { id, reason }),
        }
    };
    for (path, adapter) in adapters {
        match readable(&path, adapter) {
            Ok(adapter) => read.push((path, adapter)),
            Err(failed) => fail(&path, failed, models),
        }
    }
    let adapters = Adapters {
        read,
        paths: &paths,
        bases: &bases,
    };
    for at in 0..adapters.read.len() {
        match adapters.placed(at) {
            Ok((model, edge, files)) => {
                models.push(model, files);
                models.adapters.push(edge);
            }
            Err(failed) => fail(&adapters.read[at].0, failed, models),
        }
    }
    for (path, base) in paths.into_iter().zip(bases) {
        let (model, files) = with_its_own_adapter(&path, base);
        models.push(model, files);
    }
    models.open.sort_by(|a, b| a.name().cmp(b.name()));
}

/// Whether a file has the name that PEFT gives adapters, next to their configuration.
fn is_named_adapter(path: &ModelPath) -> bool {
    let stem = path.path().file_stem();
    stem.is_some_and(|stem| stem == "adapter_model") && path.folder().join(CONFIG).is_file()
}

/// A model, changed by the adapter stored among its own weights, if there is one. The adapter's factors are left
/// out if their scale isn't known.
fn with_its_own_adapter(path: &ModelPath, base: Stored) -> (Source, Vec<PathBuf>) {
    let files = files_of(path, &base);
    if !Adapter::is_within(&base) {
        return (plain(base), files);
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
                    if let Ok(model) = adapter.applied_to(AnySource::new(own)) {
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
        Ok(adapter) => (adapter.removed_from(AnySource::new(base)), files),
        Err(_) => (plain(base), files),
    }
}

/// Every file on which a model's weights depend.
fn files_of(path: &ModelPath, model: &Stored) -> Vec<PathBuf> {
    let mut files = path.files().to_vec();
    if model.interleaved_groups().is_some() {
        files.push(path.folder().join("config.json"));
    }
    files
}

/// Why an adapter could not be applied.
enum Failed {
    Unplaced(String),
    Damaged(String),
}

/// An adapter of which no tensor is missing, by a method that can be computed.
fn readable(path: &ModelPath, adapter: Stored) -> Result<Adapter<Stored>, Failed> {
    let config = config(&path.folder().join(CONFIG));
    let known = config.as_ref().ok().and_then(Option::as_ref);
    let base = match known.and_then(AdapterConfig::base) {
        Some(base) => format!(" of {base}"),
        None => String::new(),
    };
    let read = config.and_then(|config| Adapter::read(adapter, config.unwrap_or_default()));
    read.map_err(|error| match error {
        AdapterError::Method { .. } | AdapterError::Pattern { .. } => {
            Failed::Unplaced(format!("is an adapter{base} that cannot be read: {error}"))
        }
        error => Failed::Damaged(format!("unusable adapter{base}: {error}")),
    })
}

/// The adapters among the models, and the models that may be their bases.
struct Adapters<'a> {
    read: Vec<(ModelPath, Adapter<Stored>)>,
    paths: &'a [ModelPath],
    bases: &'a [Stored],
}

/// What an adapter changes.
#[derive(Clone, Copy)]
enum Base {
    Model(usize),
    /// What another adapter makes of its own base.
    Adapter(usize),
}

impl Adapters<'_> {
    /// The model that an adapter and its base form, and the files that it is read from.
    fn placed(&self, at: usize) -> Result<(Source, AdapterEdge, Vec<PathBuf>), Failed> {
        let base = self.base(at)?;
        let (model, files) = self.model(at, self.read.len())?;
        let edge = AdapterEdge {
            adapter: self.read[at].0.name().into(),
            base: match base {
                Base::Model(base) => self.bases[base].name().into(),
                Base::Adapter(base) => self.read[base].0.name().into(),
            },
            rank: self.read[at].1.rank(),
        };
        Ok((model, edge, files))
    }

    /// An adapter applied to its base, which may be an adapter itself. Files are opened again, because each model
    /// is also read by itself. At most `most` adapters are applied.
    fn model(&self, at: usize, most: usize) -> Result<(Source, Vec<PathBuf>), Failed> {
        let (path, _) = &self.read[at];
        let Some(most) = most.checked_sub(1) else {
            return Err(self.needs(at, ": its chain of bases leads back to itself"));
        };
        let damaged = |error: String| Failed::Damaged(error);
        let reopened = |path: &ModelPath| open(path).map_err(|error| damaged(error.to_string()));
        let (base, mut files) = match self.base(at)? {
            Base::Model(base) => {
                let path = &self.paths[base];
                (
                    AnySource::new(reopened(path)?),
                    files_of(path, &self.bases[base]),
                )
            }
            Base::Adapter(base) => {
                let (model, files) = self.model(base, most)?;
                (AnySource::new(model), files)
            }
        };
        let adapter = readable(path, reopened(path)?)?;
        let model = adapter.applied_to(base);
        let model =
            model.map_err(|error| self.needs(at, &format!(": it does not fit: {error}")))?;
        files.extend_from_slice(path.files());
        files.extend(Some(path.folder().join(CONFIG)).filter(|config| config.is_file()));
        Ok((model, files))
    }

    fn base(&self, at: usize) -> Result<Base, Failed> {
        let (path, adapter) = &self.read[at];
        match (adapter.place(self.bases), adapter.config().base()) {
            (Placement::Found(base), _) => Ok(Base::Model(base)),
            (Placement::Incompatible(base, error), _) => {
                let base = self.bases[base].name();
                Err(self.needs(at, &format!(": it does not fit {base}: {error}")))
            }
            (Placement::Ambiguous(models), _) => {
                let names: Vec<&str> = models
                    .iter()
                    .map(|&model| self.bases[model].name())
                    .collect();
                let names = names.join(", ");
                Err(self.needs(at, &format!(", which could be any of {names}")))
            }
            (_, Some(named)) => {
                let names = self.read.iter().map(|(path, _)| path.name());
                let mut found = models_named(named, names);
                found.retain(|&other| self.read[other].0.name() != path.name());
                match found[..] {
                    [other] => Ok(Base::Adapter(other)),
                    [] => {
                        let missing = format!(" {named}, which is not among the models");
                        Err(self.needs(at, &missing))
                    }
                    _ => Err(self.needs(at, &format!(" {named}, a name that several models have"))),
                }
            }
            _ => Err(self.needs(at, ", which is not among the models")),
        }
    }

    fn needs(&self, at: usize, why: &str) -> Failed {
        let adapter = &self.read[at].1;
        let (rank, method) = (adapter.rank(), adapter.method());
        Failed::Unplaced(format!(
            "is an adapter ({method}, rank {rank}) without its base{why}"
        ))
    }
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
