//! Finds the models among the files of one folder.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::ModelFormat;
use super::id::Named;
use super::names::{FileKind, FileName, PLAIN_ADAPTER, PLAIN_MODEL, Slice, shown};
use super::skipped::SkipReason;
use crate::safetensors::shard_names;
use crate::storage::index::Stored;

/// A Git LFS pointer is about 130 bytes long.
const LONGEST_POINTER: u64 = 1024;

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The files of a folder, which are considered together.
pub(super) struct Folder<'a> {
    /// The location of the files, as given.
    pub(super) path: &'a Path,
    /// Their names, as far as they can be displayed, and their paths.
    pub(super) files: BTreeMap<String, PathBuf>,
}

/// What the files of a folder turned out to be.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) models: Vec<Candidate>,
    pub(super) skipped: Vec<Rejected>,
}

/// A model, judging by the names of files.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) format: ModelFormat,
    pub(super) stored: Stored,
    pub(super) stem: String,
    pub(super) named: Named,
    /// The names of its files, the index first.
    names: Vec<String>,
    pub(super) files: Vec<PathBuf>,
    /// The rank among several files of one model; the lowest is taken.
    preference: (usize, usize),
    /// Which slice of every tensor it may contain.
    slice: Option<Slice>,
    /// Why it can't be read.
    problem: Option<SkipReason>,
}

/// Something that isn't a model, with the name that it would have.
pub(super) struct Rejected {
    pub(super) stem: String,
    pub(super) named: Named,
    pub(super) path: PathBuf,
    pub(super) reason: SkipReason,
}

impl Contents {
    pub(super) fn is_empty(&self) -> bool {
        self.models.is_empty() && self.skipped.is_empty()
    }

    /// The file of the model that is named after the folder.
    pub(super) fn main_file(&self) -> Option<String> {
        let main = (self.models.iter()).find(|model| model.named == Named::ByFolder);
        main?.names.first().cloned()
    }

    /// Skips the models that are named after their folder, since they duplicate another one.
    pub(super) fn skip_copies(&mut self, folder: &Path, of: &str) {
        for rejected in &mut self.skipped {
            if let SkipReason::Slices { files } = &rejected.reason {
                let (files, of) = (files.clone(), of.to_owned());
                rejected.reason = SkipReason::Variant { files, of };
            }
        }
        let is_copy = |model: &mut Candidate| model.named == Named::ByFolder;
        for copy in self.models.extract_if(.., is_copy) {
            (self.skipped).extend(variants(folder, copy.names, of));
        }
    }
}

/// Finds the models among the files of a folder.
pub(super) fn models_of(folder: &Folder<'_>) -> Contents {
    let mut same: BTreeMap<_, Vec<Candidate>> = BTreeMap::new();
    for (model, candidate) in folder.candidates() {
        same.entry(model).or_default().push(candidate);
    }
    let only_one = same.len() == 1;
    let has_plain_model = same.keys().any(|(series, _)| series == PLAIN_MODEL);
    let mut contents = Contents::default();
    let mut unreadable: BTreeMap<ModelFormat, Vec<Candidate>> = BTreeMap::new();
    for ((series, _), mut candidates) in same {
        candidates.sort_by_key(Candidate::rank);
        let mut candidates = candidates.into_iter();
        let Some(mut first) = candidates.next() else {
            continue;
        };
        if only_one && first.named == Named::ByFile {
            first.named = Named::AsTheOnlyOne;
        }
        if has_plain_model && series == PLAIN_ADAPTER {
            first.named = Named::ByFile;
        }
        first.add_slices(&mut candidates);
        if let Some(reason) = first.problem.take() {
            contents.skipped.push(first.rejected(reason));
        } else if first.format.is_readable() {
            // Sorted, so that the line doesn't depend on which formats this build reads.
            let mut others: Vec<_> = candidates.flat_map(|other| other.names).collect();
            others.sort_unstable();
            contents.skipped.extend(first.variants(folder.path, others));
            contents.models.push(first);
        } else {
            unreadable.entry(first.format).or_default().push(first);
        }
    }
    let unreadable = unreadable.into_iter().filter_map(|(format, candidates)| {
        let files = candidates
            .iter()
            .flat_map(|candidate| candidate.names.clone())
            .collect();
        let first = candidates.into_iter().next()?;
        Some(first.rejected(SkipReason::Format { format, files }))
    });
    contents.skipped.extend(unreadable);
    contents
}

/// Treats every given file as a model, whatever its name and neighbours.
pub(super) fn models_of_chosen(folder: &Folder<'_>) -> Contents {
    let mut contents = Contents::default();
    for (_, mut candidate) in folder.candidates() {
        match candidate.problem.take() {
            Some(reason) => contents.skipped.push(candidate.rejected(reason)),
            None => contents.models.push(candidate),
        }
    }
    let others = folder
        .files
        .iter()
        .filter(|(name, _)| FileName::parse(name).is_none());
    contents.models.extend(others.map(|(name, path)| Candidate {
        format: ModelFormat::of_file(name).unwrap_or(ModelFormat::Safetensors),
        stored: Stored::Whole,
        stem: shown(Path::new(name).file_stem()),
        named: Named::ByFile,
        names: vec![name.clone()],
        files: vec![path.clone()],
        preference: (0, 0),
        slice: None,
        problem: None,
    }));
    contents
}

/// The key shared by files of the same model.
type Model = (String, Option<ModelFormat>);

impl Folder<'_> {
    /// All possible models, each with the key that it shares with its duplicates.
    fn candidates(&self) -> Vec<(Model, Candidate)> {
        let parsed = self
            .files
            .keys()
            .filter_map(|name| Some((&**name, FileName::parse(name)?)));
        let parsed: Vec<(&str, FileName<'_>)> = parsed.collect();
        let mut claimed: BTreeSet<String> = BTreeSet::new();
        let mut candidates = Vec::new();
        for (name, file) in parsed
            .iter()
            .filter(|(_, file)| file.kind == FileKind::Index)
        {
            let shards = self.shards_of(name, file, &parsed);
            claimed.extend(shards.iter().cloned());
            let names = [vec![(*name).to_owned()], shards].concat();
            candidates.push(self.candidate(file, Stored::Indexed, names));
        }
        let mut sets: BTreeMap<_, (FileName<'_>, Vec<(usize, String)>)> = BTreeMap::new();
        for (name, file) in parsed {
            match file.kind {
                _ if claimed.contains(name) => {}
                FileKind::Index => {}
                FileKind::Whole => {
                    candidates.push(self.candidate(&file, Stored::Whole, vec![name.to_owned()]));
                }
                FileKind::Shard { number, of } => {
                    let set = (file.stem, file.format, file.precision, of);
                    let (_, shards) = sets.entry(set).or_insert((file, Vec::new()));
                    shards.push((number, name.to_owned()));
                }
            }
        }
        for ((.., of), (file, shards)) in sets {
            let missing = missing_shards(&file, &shards, of);
            let names = shards.into_iter().map(|(_, name)| name).collect();
            let (model, mut candidate) = self.candidate(&file, Stored::Shards, names);
            candidate.problem = missing.or(candidate.problem.take());
            candidates.push((model, candidate));
        }
        candidates
    }

    /// The shards that an index lists and that exist; if it can't be read, those that match its name.
    fn shards_of(
        &self,
        index: &str,
        file: &FileName<'_>,
        parsed: &[(&str, FileName<'_>)],
    ) -> Vec<String> {
        if let Some(Ok(listed)) = self.files.get(index).map(|path| shard_names(path)) {
            let is_there = |name: &String| self.path.join(name).symlink_metadata().is_ok();
            return listed.into_iter().filter(is_there).collect();
        }
        let is_shard = |other: &FileName<'_>| {
            matches!(other.kind, FileKind::Shard { .. })
                && (other.series, other.format, other.precision)
                    == (file.series, file.format, file.precision)
        };
        let shards = parsed.iter().filter(|(_, other)| is_shard(other));
        shards.map(|&(name, _)| name.to_owned()).collect()
    }

    fn candidate(
        &self,
        file: &FileName<'_>,
        stored: Stored,
        names: Vec<String>,
    ) -> (Model, Candidate) {
        let path =
            |name: &String| (self.files.get(name)).map_or(self.path.join(name), PathBuf::clone);
        let files: Vec<PathBuf> = names.iter().map(path).collect();
        let is_pointer = |(path, name): (&PathBuf, &String)| is_pointer(path).then(|| name.clone());
        let pointers: Vec<String> = files.iter().zip(&names).filter_map(is_pointer).collect();
        let problem = SkipReason::LfsPointers {
            files: pointers.clone(),
        };
        let (series, format) = file.model();
        let candidate = Candidate {
            format: file.format,
            stored,
            stem: file.stem.to_owned(),
            named: file.named(),
            names,
            files,
            preference: file.preference(),
            slice: Slice::parse(file.series),
            problem: (!pointers.is_empty()).then_some(problem),
        };
        ((series.to_owned(), format), candidate)
    }
}

impl Candidate {
    /// The sort key that puts the preferred candidate first.
    fn rank(&self) -> impl Ord + use<> {
        let (name, precision) = self.preference;
        let problems = (self.problem.is_some(), !self.format.is_readable());
        (problems, precision, name, self.stored, self.format)
    }

    /// Adds the files with the other slices of its tensors.
    fn add_slices(&mut self, others: &mut vec::IntoIter<Self>) {
        let is_other = |other: &&Self| other.slice.is_some() && other.format == self.format;
        if self.slice.is_none() || !others.as_slice().iter().any(|other| is_other(&other)) {
            return;
        }
        let (slices, rest): (Vec<_>, Vec<_>) = others.partition(|other| is_other(&other));
        *others = rest.into_iter();
        let mut slices: Vec<Self> = [vec![self.clone()], slices].concat();
        slices.sort_by_key(|slice| slice.slice.and_then(|slice| slice.number));
        self.stored = Stored::Slices;
        self.names = slices
            .iter()
            .flat_map(|slice| slice.names.clone())
            .collect();
        self.files = slices
            .iter()
            .flat_map(|slice| slice.files.clone())
            .collect();
        let numbers = slices
            .iter()
            .map(|slice| slice.slice.and_then(|slice| slice.number));
        let are_all = numbers.eq((0..slices.len()).map(Some));
        let problem = slices.into_iter().find_map(|slice| slice.problem);
        self.problem = problem.or_else(|| {
            let files = self.names.clone();
            (!are_all).then_some(SkipReason::Slices { files })
        });
    }

    fn rejected(self, reason: SkipReason) -> Rejected {
        Rejected {
            stem: self.stem,
            named: self.named,
            path: self.files.into_iter().next().unwrap_or_default(),
            reason,
        }
    }

    /// The line about other files of this model.
    fn variants(&self, folder: &Path, files: Vec<String>) -> Option<Rejected> {
        variants(folder, files, self.names.first()?)
    }
}

/// The line about files that duplicate another model.
fn variants(folder: &Path, files: Vec<String>, of: &str) -> Option<Rejected> {
    let first = files.first()?.clone();
    Some(Rejected {
        path: folder.join(&first),
        stem: first,
        named: Named::ByFile,
        reason: SkipReason::Variant {
            files,
            of: of.to_owned(),
        },
    })
}

/// The problem if some shards are missing.
fn missing_shards(
    file: &FileName<'_>,
    shards: &[(usize, String)],
    of: usize,
) -> Option<SkipReason> {
    let numbers: BTreeSet<usize> = shards.iter().map(|&(number, _)| number).collect();
    // Some shards are numbered from zero.
    let start = usize::from(!numbers.contains(&0));
    let there = numbers.range(start..of + start).count();
    let first = (start..of + start).find(|number| !numbers.contains(number))?;
    Some(SkipReason::MissingShards {
        first: alloc::format!("{}-{first:05}-of-{of:05}", file.stem),
        missing: of - there,
        of,
    })
}

/// Whether a file is a Git LFS pointer; false if it can't be read.
fn is_pointer(path: &Path) -> bool {
    let read = || {
        let metadata = path.metadata().ok()?;
        let may_be = metadata.is_file() && metadata.len() <= LONGEST_POINTER;
        let mut beginning = [0; POINTER.len()];
        let mut file = may_be.then(|| File::open(path).ok())??;
        file.read_exact(&mut beginning).ok()?;
        Some(beginning == *POINTER)
    };
    read().unwrap_or(false)
}
