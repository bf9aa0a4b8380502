//! The folder of models: nothing outside it is ever read.
//!
//! A path is resolved, links included, and must be below the folder. The model's files are then opened, and the
//! locations of the open files are checked. The model is read from these open files, so a link that changes in
//! the meantime leads nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use mother::files::{FindError, ModelPath, find_models};
use mother::weights::Dequantised;
use tempfile::TempDir;
use tracing::{info, warn};

use crate::adapter::Stored;
use crate::database::NewJob;
use crate::error::{Code, HubError};
use crate::hub::Hub;
use crate::id;
use crate::stated::Stated;

/// The maximum number of files and folders examined for one model.
const MOST_ENTRIES: usize = 10_000;

/// The maximum number of files of a model.
const MOST_FILES: usize = 500;

/// The file names of a model's card and of an adapter's configuration.
const CARD: &str = "README.md";
const ADAPTER_CONFIG: &str = "adapter_config.json";

/// The maximum number of bytes read from an adapter's configuration.
const LONGEST_CONFIG: u64 = 1 << 20;

/// The folder from which models can be added.
pub(crate) struct Folder {
    /// The resolved path, without links.
    root: PathBuf,
    /// The location of links to open files while a model is read.
    staging: PathBuf,
}

/// A model whose files are open.
pub(crate) struct FoundModel {
    model: ModelPath,
    /// The claims of its card, if a folder was named.
    pub(crate) stated: Stated,
    files: Vec<Opened>,
    /// The folder of links to the open files.
    staged: TempDir,
}

/// An open file and its path.
struct Opened {
    path: PathBuf,
    file: File,
}

impl Folder {
    /// Opens the folder, and removes what a killed process left in `staging`.
    pub(crate) fn open(root: &Path, staging: PathBuf) -> Result<Self, String> {
        let failed = |error| {
            format!(
                "cannot open the folder of models {}: {error}",
                root.display()
            )
        };
        let root = fs::canonicalize(root).map_err(failed)?;
        fs::read_dir(&root).map_err(failed)?;
        let _ = fs::remove_dir_all(&staging);
        fs::create_dir_all(&staging).map_err(|error| format!("{}: {error}", staging.display()))?;
        Ok(Self { root, staging })
    }

    /// Finds and opens the single model at a path below the folder.
    pub(crate) fn find(&self, path: &str, most_bytes: u64) -> Result<FoundModel, HubError> {
        let place = self.resolve(path)?;
        if place.is_dir() {
            self.check_links(&place)?;
        }
        let model = only_model(&place)?;
        if model.files().len() > MOST_FILES {
            let message = format!("the model has more than {MOST_FILES} files");
            return Err(HubError::new(Code::TooLarge, message));
        }
        let files = model.files().iter().map(|file| self.open_below(file));
        let mut files = files.collect::<Result<Vec<Opened>, HubError>>()?;
        let sizes = files
            .iter()
            .map(|opened| opened.file.metadata().map(|data| data.len()));
        let bytes = sizes
            .sum::<Result<u64, _>>()
            .map_err(|error| unreadable(&place, &error))?;
        if bytes > most_bytes {
            let message = format!("the model has {bytes} bytes; the limit is {most_bytes}");
            return Err(HubError::new(Code::TooLarge, message));
        }
        let card = place.is_dir().then(|| model.folder().join(CARD));
        let config = Some(model.folder().join(ADAPTER_CONFIG));
        for beside in [card, config].into_iter().flatten() {
            if beside.exists() {
                files.push(self.open_below(&beside)?);
            }
        }
        let staged = stage(&self.staging, &files).map_err(HubError::internal)?;
        let model = only_model(staged.path())?;
        let stated = model.card().map(Stated::from).unwrap_or_default();
        Ok(FoundModel {
            model,
            stated,
            files,
            staged,
        })
    }

    /// Resolves a path below the folder, links included.
    pub(crate) fn resolve(&self, path: &str) -> Result<PathBuf, HubError> {
        let given = Path::new(path);
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if path.is_empty() || path.contains('\0') || !given.components().all(is_plain) {
            let message = "the path must be relative to the folder of models, without `..`";
            return Err(HubError::new(Code::OutsidePath, message));
        }
        let place =
            fs::canonicalize(self.root.join(given)).map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => HubError::new(
                    Code::NoSuchPath,
                    format!("{path:?} is not in the folder of models"),
                ),
                _ => unreadable(given, &error),
            })?;
        self.check_below(&place)?;
        Ok(place)
    }

    fn check_below(&self, place: &Path) -> Result<(), HubError> {
        if place.starts_with(&self.root) {
            return Ok(());
        }
        let message = "the path leads out of the folder of models";
        Err(HubError::new(Code::OutsidePath, message))
    }

    /// Checks that no link in a folder leads out of the folder of models.
    fn check_links(&self, folder: &Path) -> Result<(), HubError> {
        let mut seen = BTreeSet::from([folder.to_owned()]);
        let mut waiting = vec![folder.to_owned()];
        let mut entries = 0;
        while let Some(folder) = waiting.pop() {
            let listed = fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
            for entry in listed {
                let entry = entry.map_err(|error| unreadable(&folder, &error))?;
                entries += 1;
                if entries > MOST_ENTRIES {
                    let message = format!("the folder contains more than {MOST_ENTRIES} files");
                    return Err(HubError::new(Code::TooLarge, message));
                }
                let mut place = entry.path();
                let kind = entry
                    .file_type()
                    .map_err(|error| unreadable(&place, &error))?;
                if kind.is_symlink() {
                    // A link that leads nowhere is found out when it is opened.
                    let Ok(target) = fs::canonicalize(&place) else {
                        continue;
                    };
                    place = target;
                    self.check_below(&place)?;
                }
                if place.is_dir() && seen.insert(place.clone()) {
                    waiting.push(place);
                }
            }
        }
        Ok(())
    }

    /// Opens a regular file below the folder.
    fn open_below(&self, path: &Path) -> Result<Opened, HubError> {
        let place = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
        self.check_below(&place)?;
        // Before opening, since opening a pipe would wait for somebody to write to it.
        let is_file = |data: &fs::Metadata| data.is_file();
        if !fs::metadata(&place).is_ok_and(|data| is_file(&data)) {
            return Err(HubError::new(
                Code::Unreadable,
                "a file of the model is not a regular file",
            ));
        }
        let file = File::open(&place).map_err(|error| unreadable(&place, &error))?;
        let opened = Opened {
            path: path.to_owned(),
            file,
        };
        self.check_below(&opened.place(&place)?)?;
        if !opened.file.metadata().is_ok_and(|data| is_file(&data)) {
            return Err(HubError::new(
                Code::Unreadable,
                "a file of the model is not a regular file",
            ));
        }
        Ok(opened)
    }

    /// A path relative to the folder, as clients name it.
    fn name(&self, place: &Path) -> Option<String> {
        Some(place.strip_prefix(&self.root).ok()?.to_str()?.into())
    }
}

impl Opened {
    /// The path of the open file in the system.
    #[cfg(target_os = "linux")]
    fn link(&self, _place: &Path) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// On other systems files are opened again by their paths, and [`FoundModel::check_unchanged`] checks afterwards
    /// that these still lead to the same files.
    #[cfg(not(target_os = "linux"))]
    fn link(&self, place: &Path) -> PathBuf {
        place.to_owned()
    }

    /// The real location of the open file.
    fn place(&self, place: &Path) -> Result<PathBuf, HubError> {
        fs::canonicalize(self.link(place)).map_err(|error| unreadable(&self.path, &error))
    }
}

impl FoundModel {
    /// Opens the model, as the weights that it computes with.
    pub(crate) fn open(&self) -> Result<Stored, HubError> {
        let opened = self.model.open().and_then(Dequantised::new);
        opened.map_err(|error| self.unreadable(&error))
    }

    /// An adapter's configuration.
    pub(crate) fn adapter_config(&self) -> Option<String> {
        let file = File::open(self.staged.path().join(ADAPTER_CONFIG)).ok()?;
        let mut json = String::new();
        file.take(LONGEST_CONFIG).read_to_string(&mut json).ok()?;
        Some(json)
    }

    /// Why the model can't be read, without revealing where the hub keeps its files.
    pub(crate) fn unreadable(&self, error: &dyn Display) -> HubError {
        let staged = format!("{}/", self.staged.path().display());
        HubError::new(Code::Unreadable, error.to_string().replace(&staged, ""))
    }

    /// Checks that the model's paths still lead to the files that were read.
    pub(crate) fn check_unchanged(&self) -> Result<(), HubError> {
        let is_same = |opened: &Opened| match (opened.file.metadata(), fs::metadata(&opened.path)) {
            (Ok(open), Ok(now)) => is_same_file(&open, &now),
            _ => false,
        };
        if self.files.iter().all(is_same) {
            return Ok(());
        }
        Err(HubError::new(
            Code::Unreadable,
            "the model's files changed while they were read",
        ))
    }
}

#[cfg(unix)]
fn is_same_file(first: &fs::Metadata, second: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let key = |data: &fs::Metadata| (data.dev(), data.ino(), data.len());
    key(first) == key(second)
}

#[cfg(not(unix))]
fn is_same_file(first: &fs::Metadata, second: &fs::Metadata) -> bool {
    (first.len(), first.modified().ok()) == (second.len(), second.modified().ok())
}

/// Creates a folder with a link to every open file, under the same name.
fn stage(staging: &Path, files: &[Opened]) -> std::io::Result<TempDir> {
    let staged = TempDir::new_in(staging)?;
    for opened in files {
        let name = opened.path.file_name().unwrap_or_default();
        let link = staged.path().join(name);
        let place = fs::canonicalize(&opened.path)?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(opened.link(&place), link)?;
        #[cfg(windows)]
        std::os::windows::fs::symlink_file(opened.link(&place), link)?;
    }
    Ok(staged)
}

/// The single model at a path.
fn only_model(place: &Path) -> Result<ModelPath, HubError> {
    let refused = |message: String| HubError::new(Code::NotOneModel, message);
    let unlisted = |error: FindError| refused(format!("cannot access the path: {}", error.message));
    let found = find_models([place]).map_err(unlisted)?;
    let mut models = found.models.into_iter();
    match (models.next(), models.len()) {
        (Some(model), 0) => Ok(model),
        (Some(_), others) => {
            let models = others + 1;
            Err(refused(format!(
                "the path contains {models} models; name one of them"
            )))
        }
        (None, _) => {
            let mut reasons = found
                .skipped
                .iter()
                .map(|passed| passed.reason().to_string());
            let reason = reasons.next().unwrap_or_else(|| "no weights found".into());
            Err(refused(format!("the path is not a model: {reason}")))
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> HubError {
    let name = path.file_name().unwrap_or_default().display();
    HubError::new(Code::Unreadable, format!("cannot read {name}: {error}"))
}

/// Queues every model in the folder that is new to the hub, or that it couldn't read before.
pub(crate) fn scan(hub: &Hub) {
    let Some(folder) = &hub.folder else {
        return;
    };
    let found = match find_models([&folder.root]) {
        Ok(found) => found,
        Err(error) => {
            warn!(%error, "cannot search the folder of models");
            return;
        }
    };
    for skipped in &found.skipped {
        info!("skipped {skipped}");
    }
    let mut in_folder: BTreeMap<&Path, usize> = BTreeMap::new();
    for model in &found.models {
        *in_folder.entry(model.folder()).or_default() += 1;
    }
    // Adapters come last, since their bases have to be there.
    let is_adapter = |model: &&ModelPath| model.folder().join(ADAPTER_CONFIG).exists();
    let (adapters, models): (Vec<_>, Vec<_>) = found.models.iter().partition(is_adapter);
    let mut queued = 0;
    for model in models.into_iter().chain(adapters) {
        if hub.shutdown.has_begun() {
            return;
        }
        // The folder, for its card, where it is the model's own.
        let is_alone = in_folder.get(model.folder()) == Some(&1);
        let is_own = is_alone && model.folder() != folder.root && is_leaf(model.folder());
        let place = if is_own { model.folder() } else { model.path() };
        let Some(path) = folder.name(place) else {
            warn!(model = model.name(), "skipped: the path is not UTF-8");
            continue;
        };
        if let Err(error) = id::check(model.name()) {
            warn!(model = model.name(), "skipped: {}", error.message);
            continue;
        }
        let job = NewJob {
            model: model.name().into(),
            path,
            stated: Stated::default(),
        };
        let is_known = hub.database().knows_path(&job.path);
        if is_known.is_ok_and(|known| !known) && hub.queue(&job, usize::MAX).is_ok() {
            queued += 1;
        }
    }
    info!(
        models = found.models.len(),
        queued, "searched the folder of models"
    );
}

/// Whether a folder has no subfolder, which could contain other models.
fn is_leaf(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|entry| !entry.path().is_dir()))
    })
}
