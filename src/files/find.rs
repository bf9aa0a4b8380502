//! Searches folders to any depth for models.

use core::error::Error;
use core::fmt;

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ModelPath;
use super::folder::{Candidate, Contents, Folder, Rejected, models_of, models_of_chosen};
use super::id::{Named, Root, SNAPSHOTS, is_repository};
use super::names::{FileKind, FileName, Slice, shown};
use super::naming::{Item, Namer, with_unique_names};
use super::skipped::{SkipReason, SkippedPath};
use crate::text::{FileName as Shown, Line};

/// How many levels of folders below a given path are searched.
const DEEPEST: usize = 32;

/// Files that mark a folder as a pipeline, where some subfolders contain no weights.
const PIPELINES: [&str; 2] = ["model_index.json", "modules.json"];

/// The folder where repositories keep a model's files as originally released, under its makers' names.
const ORIGINAL: &str = "original";

/// The result of [`find_models`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The models, sorted by name; names are unique.
    pub models: Vec<ModelPath>,
    /// The files and folders that were skipped, sorted by name.
    pub skipped: Vec<SkippedPath>,
}

/// A path passed to [`find_models`] can't be accessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindError {
    /// The path.
    pub path: String,
    /// The kind of failure.
    pub kind: io::ErrorKind,
    /// The system's message.
    pub message: String,
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Shown(&self.path);
        match self.kind {
            io::ErrorKind::NotFound => write!(f, "{path} does not exist"),
            io::ErrorKind::PermissionDenied => write!(f, "no permission to read {path}"),
            _ => write!(f, "cannot access {path}: {}", Line(&self.message)),
        }
    }
}

impl Error for FindError {}

/// Finds the models at the given paths.
///
/// A file is one model. A folder is searched to any depth. Links are followed, names that begin with a dot
/// are skipped, and a folder reached by several paths or links is searched once. A model is
///
/// - an index (`*.safetensors.index.json`) with the shards that it lists;
/// - shards (`x-00001-of-00002.safetensors`) that no index lists, if all of them exist;
/// - any other file of weights.
///
/// Files in one folder are the same model if they differ only in their format, in a precision
/// (`model.fp16.safetensors`) or in one of the generic names that libraries use (`model`, `consolidated`). Of
/// these, the one in full precision is taken, in the preferred format. Generically named files in a subfolder
/// `original` are the same model, too. Files such as `consolidated.00.pth` and `consolidated.01.pth`, or
/// `mp_rank_00_model_states.pt`, `mp_rank_00/model_optim_rng.pt` and their siblings, each contain a slice of every
/// tensor; they are [joined](crate::weights::Joined) into one model. The state of a training run (optimisers, random
/// numbers) is skipped silently; everything else that is skipped is listed with the reason.
///
/// Only indexes and possible Git LFS pointers are opened. So a model that is found need not be readable, and
/// a broken link is listed so that opening it reports the problem.
///
/// # Names
///
/// A model is named by its path below the given folder, without the extension. Two kinds of models are
/// instead named by their paths below the common ancestor of all given paths: given paths that are models
/// themselves, and models that would otherwise share a name. If a model is the only one in its folder, or its
/// file has a generic name, it is named after the folder. In a hub's cache
/// (`models--org--name/snapshots/<hash>`) its name is `org/name`, or `org/name@` with the first seven
/// characters of the hash if several revisions were fetched. If names still coincide, file names distinguish
/// the models.
///
/// # Errors
///
/// [`FindError`] if a given path can't be accessed.
///
/// # Complexity
///
/// O(f log f) time for f files and folders, and memory for their paths.
///
/// # Examples
///
/// ```no_run
/// let found = mother::files::find_models(["base.safetensors", "finetunes"])?;
/// for model in &found.models {
///     println!("{}: {}", model.name(), model.path().display());
/// }
/// for skipped in &found.skipped {
///     eprintln!("skipped {skipped}");
/// }
/// # Ok::<(), mother::files::FindError>(())
/// ```
pub fn find_models<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Found, FindError> {
    let mut given = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let failed = |error: io::Error| FindError {
            path: path.display().to_string(),
            kind: error.kind(),
            message: error.to_string(),
        };
        let is_folder = fs::metadata(path).map_err(failed)?.is_dir();
        if is_folder {
            fs::read_dir(path).map_err(failed)?;
        }
        given.push((place_of(path), path.to_owned(), is_folder));
    }
    // Of several paths to one place, the shortest is shown.
    given.sort_by_cached_key(|(place, path, _)| {
        (place.clone(), path.as_os_str().len(), path.clone())
    });
    given.dedup_by(|(second, ..), (first, ..)| first == second);
    let places: Vec<PathBuf> = given.iter().map(|(place, ..)| place.clone()).collect();
    let (folders, files): (Vec<_>, Vec<_>) =
        (given.into_iter()).partition(|&(_, _, is_folder)| is_folder);
    let mut search = Search::new(Root::shared_by(&places));
    for (place, path, _) in folders {
        search.given_folder(place, path);
    }
    search.linked_folders();
    search.chosen_files(files.into_iter().map(|(place, path, _)| (place, path)));
    Ok(search.found())
}

/// The real location of a path. A link in the last component is not followed, since two links to one file are
/// two models that happen to be equal.
fn place_of(path: &Path) -> PathBuf {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.into());
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder == Path::new("") => real(Path::new(".")).join(name),
        (Some(folder), Some(name)) => real(folder).join(name),
        _ => real(path),
    }
}

/// A folder to search.
#[derive(Clone)]
struct Step {
    /// The path for the system and for display.
    path: PathBuf,
    /// Its real location.
    place: PathBuf,
    /// The index of the given folder that led here.
    given: usize,
    depth: usize,
    /// The file of the model in the parent folder that is named after that folder.
    above: Option<String>,
}

impl Step {
    fn below(&self, path: PathBuf) -> Self {
        let name = path.file_name().unwrap_or_default();
        Self {
            place: self.place.join(name),
            path,
            given: self.given,
            depth: self.depth + 1,
            above: None,
        }
    }

    fn below_model(&self, path: PathBuf, model: Option<&String>) -> Self {
        Self {
            above: model.cloned(),
            ..self.below(path)
        }
    }

    fn name(&self) -> String {
        shown(self.place.file_name())
    }

    fn is_named_like_weights(&self) -> bool {
        FileName::parse(&self.name()).is_some()
    }
}

/// The contents of a folder, sorted by name.
#[derive(Default)]
struct Listing {
    files: BTreeMap<String, PathBuf>,
    folders: Vec<PathBuf>,
    links: Vec<PathBuf>,
}

impl Listing {
    fn of(folder: &Path) -> io::Result<Self> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
        paths.sort();
        let mut listing = Self::default();
        for path in paths {
            let mut name = shown(path.file_name());
            if name.starts_with('.') {
                continue;
            }
            // Two non-Unicode names may look the same.
            while listing.files.contains_key(&name) {
                name.insert(0, char::REPLACEMENT_CHARACTER);
            }
            if !path.is_dir() {
                listing.files.insert(name, path);
            } else if path.is_symlink() {
                listing.links.push(path);
            } else if let slices @ [_, ..] = &slices_in(&path, &name)[..] {
                listing.files.extend(slices.iter().cloned());
            } else {
                listing.folders.push(path);
            }
        }
        // In a hub's cache, the files themselves are elsewhere, under meaningless names.
        let is_snapshots = |path: &PathBuf| path.file_name().is_some_and(|name| name == SNAPSHOTS);
        if is_repository(folder) && listing.folders.iter().any(is_snapshots) {
            listing.folders.retain(is_snapshots);
            listing.files.clear();
        }
        Ok(listing)
    }
}

/// The files with a slice of every tensor in a folder that Megatron made for a rank, with their names below the
/// folder above.
fn slices_in(folder: &Path, name: &str) -> Vec<(String, PathBuf)> {
    let is_rank = name.starts_with("mp_rank_");
    let entries = is_rank.then(|| fs::read_dir(folder).ok()).flatten();
    let paths = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let named = paths.map(|path| (format!("{name}/{}", shown(path.file_name())), path));
    let is_slice = |(name, path): &(String, PathBuf)| {
        let slice = FileName::parse(name).and_then(|file| Slice::parse(file.series));
        slice.is_some() && path.is_file()
    };
    named.filter(is_slice).collect()
}

/// The search through all given paths.
struct Search {
    shared: Root,
    /// The given folders.
    given: Vec<Root>,
    /// Every folder searched, by its real path, and where it was found.
    seen: BTreeMap<PathBuf, PathBuf>,
    /// Links to folders, which are searched after real folders.
    links: VecDeque<Step>,
    models: Vec<Item<Candidate>>,
    skipped: Vec<Item<Rejected>>,
}

impl Search {
    fn new(shared: Root) -> Self {
        Self {
            shared,
            given: Vec::new(),
            seen: BTreeMap::new(),
            links: VecDeque::new(),
            models: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Searches a given folder.
    fn given_folder(&mut self, place: PathBuf, path: PathBuf) {
        let given = self.given.len();
        self.given
            .push(Root::shared_by(core::slice::from_ref(&place)));
        let step = Step {
            path,
            place,
            given,
            depth: 0,
            above: None,
        };
        if !self.folder(&step) {
            self.skip(&step, SkipReason::NoWeights);
        }
    }

    /// Searches a folder and everything below; returns whether it contains anything to report.
    fn folder(&mut self, step: &Step) -> bool {
        if step.depth > DEEPEST {
            self.skip(step, SkipReason::TooDeep);
            return true;
        }
        let real = fs::canonicalize(&step.path).unwrap_or_else(|_| step.path.clone());
        if let Some(first) = self.seen.get(&real) {
            // A folder given twice needn't be reported.
            if *first != step.place && step.depth > 0 {
                let folder = self.shared.id(first, "", Named::ByFolder);
                self.skip(step, SkipReason::SameFolder { folder });
            }
            return true;
        }
        self.seen.insert(real, step.place.clone());
        let listing = match Listing::of(&step.path) {
            Ok(listing) => listing,
            Err(error) => {
                let message = error.to_string();
                self.skip(step, SkipReason::Unreadable { message });
                return true;
            }
        };
        let is_pipeline = (PIPELINES.iter()).any(|file| listing.files.contains_key(*file));
        let mut contents = models_of(&Folder {
            path: &step.path,
            files: listing.files,
        });
        if let Some(model) = step.above.as_ref().filter(|_| step.name() == ORIGINAL) {
            contents.skip_copies(&step.path, model);
        }
        let model = contents.main_file();
        let mut any = !contents.is_empty() || !listing.links.is_empty();
        self.add(Some(step.given), &step.place, contents);
        let links = listing.links.into_iter().map(|link| step.below(link));
        self.links.extend(links);
        let mut empty = Vec::new();
        let below = |folder| step.below_model(folder, model.as_ref());
        for folder in listing.folders.into_iter().map(below) {
            if self.folder(&folder) {
                any = true;
            } else {
                empty.push(folder);
            }
        }
        any |= empty.iter().any(Step::is_named_like_weights);
        if any && !is_pipeline {
            empty.iter().for_each(|folder| self.skip_empty(folder));
        }
        any
    }

    /// Searches the folders to which links lead.
    fn linked_folders(&mut self) {
        while let Some(step) = self.links.pop_front() {
            if !self.folder(&step) {
                self.skip_empty(&step);
            }
        }
    }

    /// Adds the given files, unless they belong to a model already found.
    fn chosen_files(&mut self, files: impl Iterator<Item = (PathBuf, PathBuf)>) {
        let models = self.models.iter();
        let known = models.flat_map(|model| {
            let names = model.what.files.iter().filter_map(|file| file.file_name());
            names.map(|name| model.folder.join(name))
        });
        let known: BTreeSet<PathBuf> = known.collect();
        let mut folders: BTreeMap<PathBuf, (PathBuf, BTreeMap<String, PathBuf>)> = BTreeMap::new();
        for (place, path) in files.filter(|(place, _)| !known.contains(place)) {
            let parent = |path: &Path| path.parent().unwrap_or(path).to_owned();
            let name = shown(path.file_name());
            let (_, files) = folders
                .entry(parent(&place))
                .or_insert((parent(&path), BTreeMap::new()));
            files.extend(other_shards(&path, &name));
            files.insert(name, path);
        }
        for (place, (path, files)) in folders {
            let contents = models_of_chosen(&Folder { path: &path, files });
            self.add(None, &place, contents);
        }
    }

    fn add(&mut self, given: Option<usize>, folder: &Path, contents: Contents) {
        let models = contents.models.into_iter();
        self.models.extend(models.map(|what| Item {
            given,
            folder: folder.to_owned(),
            what,
        }));
        let rejected = contents.skipped.into_iter();
        self.skipped.extend(rejected.map(|what| Item {
            given,
            folder: folder.to_owned(),
            what,
        }));
    }

    fn skip(&mut self, step: &Step, reason: SkipReason) {
        self.skipped.push(Item {
            given: Some(step.given),
            folder: step.place.clone(),
            what: Rejected {
                stem: String::new(),
                named: Named::ByFolder,
                path: step.path.clone(),
                reason,
            },
        });
    }

    fn skip_empty(&mut self, step: &Step) {
        let name = step.name();
        match (FileName::parse(&name), step.place.parent()) {
            (Some(file), Some(folder)) => self.skipped.push(Item {
                given: Some(step.given),
                folder: folder.to_owned(),
                what: Rejected {
                    stem: file.stem.to_owned(),
                    named: file.named(),
                    path: step.path.clone(),
                    reason: SkipReason::Folder,
                },
            }),
            _ => self.skip(step, SkipReason::NoWeights),
        }
    }

    fn found(self) -> Found {
        let namer = Namer::new(&self.shared, &self.given, &self.models);
        let mut skipped: Vec<SkippedPath> = (self.skipped.iter())
            .map(|item| SkippedPath {
                name: namer
                    .root(item.given)
                    .id(&item.folder, &item.what.stem, item.what.named),
                path: item.what.path.clone(),
                reason: item.what.reason.clone(),
            })
            .collect();
        skipped.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        let paths = self.models.iter().map(|item| namer.names(item)).collect();
        Found {
            models: with_unique_names(paths),
            skipped,
        }
    }
}

/// The other shards of a shard's model, by name.
fn other_shards(path: &Path, name: &str) -> BTreeMap<String, PathBuf> {
    let set = |file: FileName<'_>| match file.kind {
        FileKind::Shard { of, .. } => Some((file.stem.to_owned(), file.format, of)),
        _ => None,
    };
    let Some(wanted) = FileName::parse(name).and_then(set) else {
        return BTreeMap::new();
    };
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let listing = Listing::of(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    let files = listing.files.into_iter();
    let is_shard = |name: &str| FileName::parse(name).and_then(set).as_ref() == Some(&wanted);
    files.filter(|(name, _)| is_shard(name)).collect()
}
