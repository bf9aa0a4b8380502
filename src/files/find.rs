//! Looks through folders, to any depth, for models.

use core::error::Error;
use core::fmt;

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ModelPath;
use super::folder::{Candidate, Contents, Folder, Rejected, models_of, models_of_chosen};
use super::id::{Named, Root, SNAPSHOTS, is_repository};
use super::names::{FileKind, FileName};
use super::naming::{Item, Namer, with_unique_names};
use super::passed_over::{PassedOver, PassedOverReason};
use crate::storage::text::{FileName as Shown, Line};

/// How many folders below what was given are looked into, one below the other.
const DEEPEST: usize = 32;

/// Files by which a folder is a pipeline, some of whose folders hold no weights.
const PIPELINES: [&str; 2] = ["model_index.json", "modules.json"];

/// Where repositories keep a model's files as it was released, under the names of its makers.
const ORIGINAL: &str = "original";

/// What [`find_models`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The models, sorted by name; no two have the same.
    pub models: Vec<ModelPath>,
    /// The files and folders that were passed over, sorted by name.
    pub passed_over: Vec<PassedOver>,
}

/// A path that was given and can't be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindError {
    /// The path.
    pub path: String,
    /// What kind of failure.
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
            _ => write!(f, "{path} can't be looked at: {}", Line(&self.message)),
        }
    }
}

impl Error for FindError {}

/// The models that paths stand for.
///
/// A file is one model. A folder is looked through to any depth: links are followed, names that begin
/// with a dot are passed over, and a folder that several paths or links lead to is looked into once. A
/// model is
///
/// - an index (`*.safetensors.index.json`) with the shards that it lists;
/// - shards (`x-00001-of-00002.safetensors`) that no index lists, if all are there;
/// - any other file of weights.
///
/// Files of one folder that differ only in their format, in a precision (`model.fp16.safetensors`) or in
/// one of the names that libraries give to every model (`model`, `consolidated`) are one model: the one
/// of full precision counts, in the format that is read best. So are those in a folder called `original` below.
/// Files such as `consolidated.00.pth` and `consolidated.01.pth` hold a slice of every tensor, and aren't read. The state of a training run (optimizers,
/// random numbers) is passed over without a word; all else that is passed over is listed with the reason.
///
/// Nothing is opened but indexes and what may be a pointer of Git LFS: what is found need not be
/// readable, and a link that leads nowhere is listed so that opening it says so.
///
/// # Names
///
/// A model is named by its path below the folder that was given, without the ending. What was given and is
/// a model itself, and models that would share a name, are named by their paths below what all that was
/// given shares. A model that is the only one of its folder, or whose file has
/// a name that libraries give to every model, is named by the folder. In a hub's cache
/// (`models--org--name/snapshots/<hash>`) it is `org/name`, and where several states were fetched
/// `org/name@` with the first seven characters of the hash. Models that share a name all
/// the same are told apart by their files.
///
/// # Errors
///
/// When a path that was given can't be looked at.
///
/// # Complexity
///
/// O(f log f) time for f files and folders; the memory for their paths.
///
/// # Examples
///
/// ```no_run
/// let found = mother::files::find_models(["base.safetensors", "finetunes"])?;
/// for model in &found.models {
///     println!("{}: {}", model.name(), model.path().display());
/// }
/// for passed_over in &found.passed_over {
///     eprintln!("skipped {passed_over}");
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
    // Of several paths to one place the shortest is shown.
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

/// Where a path lies. A link in the last place is not followed, since two links to one file are two
/// models that happen to be equal.
fn place_of(path: &Path) -> PathBuf {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.into());
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder == Path::new("") => real(Path::new(".")).join(name),
        (Some(folder), Some(name)) => real(folder).join(name),
        _ => real(path),
    }
}

/// A folder to be looked into.
#[derive(Clone)]
struct Step {
    /// The folder as it is given to the system, and shown.
    path: PathBuf,
    /// Where it lies.
    place: PathBuf,
    /// The number of the folder that was given and led here.
    given: usize,
    depth: usize,
    /// The file of a model in the folder above that is called as that folder.
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
        (self.place.file_name().unwrap_or_default())
            .to_string_lossy()
            .into_owned()
    }

    fn is_named_like_weights(&self) -> bool {
        FileName::parse(&self.name()).is_some()
    }
}

/// What a folder holds, sorted by name.
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
            let mut name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with('.') {
                continue;
            }
            // Two names that aren't Unicode may look the same.
            while listing.files.contains_key(&name) {
                name.insert(0, char::REPLACEMENT_CHARACTER);
            }
            if !path.is_dir() {
                listing.files.insert(name, path);
            } else if path.is_symlink() {
                listing.links.push(path);
            } else {
                listing.folders.push(path);
            }
        }
        // In a hub's cache the files themselves are elsewhere, under names that say nothing.
        let is_snapshots = |path: &PathBuf| path.file_name().is_some_and(|name| name == SNAPSHOTS);
        if is_repository(folder) && listing.folders.iter().any(is_snapshots) {
            listing.folders.retain(is_snapshots);
            listing.files.clear();
        }
        Ok(listing)
    }
}

/// The search through all that was given.
struct Search {
    shared: Root,
    /// The folders that were given.
    given: Vec<Root>,
    /// Every folder that was looked into, by its real path, and where it was found.
    seen: BTreeMap<PathBuf, PathBuf>,
    /// Links to folders, for which those that aren't links come first.
    links: VecDeque<Step>,
    models: Vec<Item<Candidate>>,
    passed_over: Vec<Item<Rejected>>,
}

impl Search {
    fn new(shared: Root) -> Self {
        Self {
            shared,
            given: Vec::new(),
            seen: BTreeMap::new(),
            links: VecDeque::new(),
            models: Vec::new(),
            passed_over: Vec::new(),
        }
    }

    /// Looks into a folder that was given.
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
            self.pass_over(&step, PassedOverReason::NoWeights);
        }
    }

    /// Looks into a folder and all below; whether there was anything worth a word.
    fn folder(&mut self, step: &Step) -> bool {
        if step.depth > DEEPEST {
            self.pass_over(step, PassedOverReason::TooDeep);
            return true;
        }
        let real = fs::canonicalize(&step.path).unwrap_or_else(|_| step.path.clone());
        if let Some(first) = self.seen.get(&real) {
            // Of what is given twice nothing needs to be said.
            if *first != step.place && step.depth > 0 {
                let folder = self.shared.id(first, "", Named::ByFolder);
                self.pass_over(step, PassedOverReason::SameFolder { folder });
            }
            return true;
        }
        self.seen.insert(real, step.place.clone());
        let listing = match Listing::of(&step.path) {
            Ok(listing) => listing,
            Err(error) => {
                let message = error.to_string();
                self.pass_over(step, PassedOverReason::Unlisted { message });
                return true;
            }
        };
        let is_pipeline = (PIPELINES.iter()).any(|file| listing.files.contains_key(*file));
        let mut contents = models_of(&Folder {
            path: &step.path,
            files: listing.files,
        });
        if let Some(model) = step.above.as_ref().filter(|_| step.name() == ORIGINAL) {
            contents.pass_over_copies(&step.path, model);
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
            empty.iter().for_each(|folder| self.pass_over_empty(folder));
        }
        any
    }

    /// Looks into the folders that links lead to.
    fn linked_folders(&mut self) {
        while let Some(step) = self.links.pop_front() {
            if !self.folder(&step) {
                self.pass_over_empty(&step);
            }
        }
    }

    /// Takes the files that were given, unless they are part of a model that was found already.
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
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
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
        let rejected = contents.passed_over.into_iter();
        self.passed_over.extend(rejected.map(|what| Item {
            given,
            folder: folder.to_owned(),
            what,
        }));
    }

    fn pass_over(&mut self, step: &Step, reason: PassedOverReason) {
        self.passed_over.push(Item {
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

    fn pass_over_empty(&mut self, step: &Step) {
        let name = step.name();
        match (FileName::parse(&name), step.place.parent()) {
            (Some(file), Some(folder)) => self.passed_over.push(Item {
                given: Some(step.given),
                folder: folder.to_owned(),
                what: Rejected {
                    stem: file.stem.to_owned(),
                    named: file.named(),
                    path: step.path.clone(),
                    reason: PassedOverReason::Folder,
                },
            }),
            _ => self.pass_over(step, PassedOverReason::NoWeights),
        }
    }

    fn found(self) -> Found {
        let namer = Namer::new(&self.shared, &self.given, &self.models);
        let mut passed_over: Vec<PassedOver> = (self.passed_over.iter())
            .map(|item| PassedOver {
                name: namer
                    .root(item.given)
                    .id(&item.folder, &item.what.stem, item.what.named),
                path: item.what.path.clone(),
                reason: item.what.reason.clone(),
            })
            .collect();
        passed_over.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        let paths = self.models.iter().map(|item| namer.names(item)).collect();
        Found {
            models: with_unique_names(paths),
            passed_over,
        }
    }
}

/// The other shards of the model that a file is a shard of, by their names.
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
