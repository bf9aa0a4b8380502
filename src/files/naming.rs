//! Gives each model that was found a unique name.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::path::PathBuf;

use super::ModelPath;
use super::folder::Candidate;
use super::id::{Named, Repository, Root};

/// Something that was found, with its location.
pub(super) struct Item<T> {
    /// The index of the given folder, if a folder was given.
    pub(super) given: Option<usize>,
    pub(super) folder: PathBuf,
    pub(super) what: T,
}

/// The context that names depend on, apart from the model itself.
pub(super) struct Namer<'a> {
    shared: &'a Root,
    given: &'a [Root],
    /// Which of the given folders are models themselves.
    are_models: Vec<bool>,
    /// The hub repositories with several revisions found.
    several_states: BTreeSet<PathBuf>,
}

impl<'a> Namer<'a> {
    pub(super) fn new(shared: &'a Root, given: &'a [Root], models: &[Item<Candidate>]) -> Self {
        let mut are_models = alloc::vec![false; given.len()];
        let mut states: BTreeMap<PathBuf, BTreeSet<Option<String>>> = BTreeMap::new();
        for item in models {
            if let Some(number) = item.given
                && item.what.named != Named::ByFile
                && given[number].is(&item.folder)
            {
                are_models[number] = true;
            }
            if let Some(found) = Repository::of(&item.folder) {
                states
                    .entry(found.folder)
                    .or_default()
                    .insert(found.snapshot);
            }
        }
        let several = states.into_iter().filter(|(_, states)| states.len() > 1);
        Self {
            shared,
            given,
            are_models,
            several_states: several.map(|(folder, _)| folder).collect(),
        }
    }

    /// The root below which a name begins.
    pub(super) fn root(&self, given: Option<usize>) -> &Root {
        match given {
            Some(number) if !self.are_models[number] => &self.given[number],
            _ => self.shared,
        }
    }

    /// The model with its possible names, best first.
    pub(super) fn names(&self, item: &Item<Candidate>) -> (Vec<String>, ModelPath) {
        let Item {
            folder,
            what: model,
            ..
        } = item;
        let with_hash = Repository::of(folder)
            .is_some_and(|repository| self.several_states.contains(&repository.folder));
        let id = |root: &Root, named| root.id_with(folder, &model.stem, named, with_hash);
        let file = model.files.first().and_then(|file| file.file_name());
        let place = folder.join(file.unwrap_or_default());
        let names = [
            id(self.root(item.given), model.named),
            id(self.shared, model.named),
            id(self.shared, Named::ByFile),
            self.shared.path_of(&place),
            place.display().to_string(),
        ];
        let path = ModelPath {
            name: String::new(),
            format: model.format,
            stored: model.stored,
            files: model.files.clone(),
        };
        (names.to_vec(), path)
    }
}

/// Gives each model the first of its names that is still free, and sorts the models.
///
/// Models with the same first name all move to their second one. If some still share a name, the first keeps
/// it.
pub(super) fn with_unique_names(mut models: Vec<(Vec<String>, ModelPath)>) -> Vec<ModelPath> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for (names, _) in &models {
        *count.entry(names[0].clone()).or_default() += 1;
    }
    for (names, _) in &mut models {
        if count[&names[0]] > 1 {
            names.remove(0);
        }
    }
    models.sort_by(|(first, a), (second, b)| {
        (&first[0], a.format, first, &a.files).cmp(&(&second[0], b.format, second, &b.files))
    });
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for (names, mut path) in models {
        if taken.insert(names[0].clone()) {
            path.name.clone_from(&names[0]);
            named.push(path);
        } else {
            others.push((names, path));
        }
    }
    for (names, mut path) in others {
        let last = names.last().cloned().unwrap_or_default();
        let numbered = (2..).map(|number: usize| format!("{last}#{number}"));
        let mut free = names.into_iter().chain(numbered);
        path.name = free.find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(path.name.clone());
        named.push(path);
    }
    named.sort();
    named
}
