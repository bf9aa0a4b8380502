//! Names models by their paths below the given ones, without uninformative parts.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// The prefix of a repository's folder in a hub's cache: `models--org--name`.
const REPOSITORY: &str = "models--";

/// Its subfolder that contains one folder per fetched revision.
pub(super) const SNAPSHOTS: &str = "snapshots";

/// How many characters of a revision's hash identify it.
const HASH: usize = 7;

/// A place in a hub's cache.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Repository {
    /// The folder `models--org--name`.
    pub(super) folder: PathBuf,
    /// The hash of the revision.
    pub(super) snapshot: Option<String>,
    /// `org/name`.
    name: String,
    /// The path below the revision's folder.
    below: Vec<String>,
}

impl Repository {
    /// The repository that contains a place.
    pub(super) fn of(place: &Path) -> Option<Self> {
        let folder = place.ancestors().find(|folder| is_repository(folder))?;
        let name = folder.file_name()?.to_string_lossy();
        let mut below = names(place.strip_prefix(folder).ok()?);
        let mut snapshot = None;
        if below.first().is_some_and(|name| name == SNAPSHOTS) {
            below.remove(0);
            snapshot = (!below.is_empty()).then(|| below.remove(0));
        }
        Some(Self {
            folder: folder.to_owned(),
            snapshot,
            name: name.strip_prefix(REPOSITORY)?.replace("--", "/"),
            below,
        })
    }
}

/// Whether a folder is a repository in a hub's cache, judging by its name.
pub(super) fn is_repository(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    let bytes = name.as_encoded_bytes();
    bytes.len() > REPOSITORY.len() && bytes.starts_with(REPOSITORY.as_bytes())
}

fn names(path: &Path) -> Vec<String> {
    let normal = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    normal.collect()
}

/// The common ancestor of all given paths: a folder or a file.
#[derive(Debug)]
pub(super) struct Root(PathBuf);

/// Which part of its path gives a model its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Always the folder.
    ByFolder,
    /// The folder, or the file if the folder is the one that was given.
    AsTheOnlyOne,
    /// The file.
    ByFile,
}

impl Root {
    /// The common ancestor of all these places.
    pub(super) fn shared_by(places: &[PathBuf]) -> Self {
        let mut places = places.iter();
        let first = places.next().cloned().unwrap_or_default();
        Self(places.fold(first, |shared, place| {
            let both = shared.components().zip(place.components());
            let same = both.take_while(|(first, second)| first == second);
            same.map(|(component, _)| component).collect()
        }))
    }

    /// Whether the root is this folder.
    pub(super) fn is(&self, folder: &Path) -> bool {
        self.0 == folder
    }

    /// The name of a folder, or of the file in it with this stem.
    pub(super) fn id(&self, folder: &Path, stem: &str, named: Named) -> String {
        self.id_with(folder, stem, named, false)
    }

    /// Like [`id`](Self::id), with the beginning of the hash of a repository's revision.
    pub(super) fn id_with(
        &self,
        folder: &Path,
        stem: &str,
        named: Named,
        with_hash: bool,
    ) -> String {
        let repository = Repository::of(folder);
        let by_file = match named {
            Named::ByFolder => false,
            Named::AsTheOnlyOne => folder == self.0 && repository.is_none(),
            Named::ByFile => true,
        };
        let mut parts = match repository {
            Some(repository) => {
                let hash = repository.snapshot.filter(|_| with_hash);
                let hash = hash.map(|hash| hash.chars().take(HASH).collect::<String>());
                let name = match hash {
                    Some(hash) => repository.name + "@" + &hash,
                    None => repository.name,
                };
                [[name].to_vec(), repository.below].concat()
            }
            None => folder.strip_prefix(&self.0).map(names).unwrap_or_default(),
        };
        if by_file {
            parts.push(stem.to_owned());
        }
        if parts.is_empty() {
            let own = folder.file_name().map(OsStr::to_string_lossy);
            parts.push(own.map_or_else(|| folder.display().to_string(), Into::into));
        }
        parts.join("/")
    }

    /// The unchanged path of a file below the root.
    pub(super) fn path_of(&self, file: &Path) -> String {
        let below = names(file.strip_prefix(&self.0).unwrap_or(file)).join("/");
        if below.is_empty() {
            file.display().to_string()
        } else {
            below
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(places: &[&str]) -> Root {
        let places: Vec<PathBuf> = places.iter().map(PathBuf::from).collect();
        Root::shared_by(&places)
    }

    #[test]
    fn ids_are_paths_below_what_is_shared() {
        let id = |root: &Root, folder, named| root.id(Path::new(folder), "x", named);
        let one = root(&["/m"]);
        assert_eq!(id(&one, "/m/a/b", Named::ByFolder), "a/b");
        assert_eq!(id(&one, "/m/a/b", Named::AsTheOnlyOne), "a/b");
        assert_eq!(id(&one, "/m", Named::ByFolder), "m");
        assert_eq!(id(&one, "/m", Named::AsTheOnlyOne), "x");
        assert_eq!(id(&one, "/m/a", Named::ByFile), "a/x");
        let several = root(&["/m/a/unet", "/m/ab/unet"]);
        assert_eq!(id(&several, "/m/a/unet", Named::ByFolder), "a/unet");
        let file = root(&["/m/a/x.safetensors"]);
        assert_eq!(id(&file, "/m/a", Named::ByFile), "x");
        assert_eq!(id(&file, "/m/a", Named::ByFolder), "a");
    }

    #[test]
    fn a_repository_in_a_hubs_cache_is_called_by_its_name() {
        let snapshot = "/hub/models--acme--base-7b/snapshots/0123456789";
        for given in ["/hub", "/", snapshot, "/hub/models--acme--base-7b"] {
            let root = root(&[given]);
            let id = |folder: &str, hash| {
                root.id_with(Path::new(folder), "x", Named::AsTheOnlyOne, hash)
            };
            assert_eq!(id(snapshot, false), "acme/base-7b");
            assert_eq!(id(snapshot, true), "acme/base-7b@0123456");
            let unet = [snapshot, "unet"].join("/");
            assert_eq!(id(&unet, false), "acme/base-7b/unet");
            assert_eq!(id("/hub/models--gpt2/snapshots/0/", false), "gpt2");
        }
    }
}
