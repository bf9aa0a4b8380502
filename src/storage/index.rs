//! The index of a sharded model: the file of each layer.

use core::fmt;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::ffi::OsStr;
#[cfg(feature = "safetensors")]
use std::path::PathBuf;
use std::path::{Component, Path};

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};

use super::model::ModelPart;
use super::place::{Place, model_name};
use super::texts::{Span, Texts};
use super::{FileError, FileErrorKind, LARGEST_HEADER, Storage};
use crate::text::Line;
use crate::weights::SkippedLayer;

/// The layers of each shard, already checked.
#[derive(Debug, Default)]
struct Index {
    texts: Texts,
    /// Pairs of layer and shard, sorted by shard, then by layer.
    entries: Vec<(Span, Span)>,
}

/// The layers that one shard should hold, sorted.
struct ShardLayers<'a> {
    index: &'a Index,
    entries: &'a [(Span, Span)],
}

impl Index {
    fn open(path: &Path) -> Result<Self, FileError> {
        let storage = Storage::open(path)?;
        let (file, length) = (storage.label(), storage.length());
        if length > LARGEST_HEADER {
            let reason = format!("too long: {length} bytes, where the limit is {LARGEST_HEADER}");
            return Err(FileErrorKind::BadIndex { reason }.in_file(file));
        }
        let index = Self::parse(&storage.bytes(0, length)?);
        index.map_err(|error| error.or_in_file(file))
    }

    fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        let text = utf8(bytes)?;
        let mut index = Self::default();
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = json.deserialize_map(&mut index);
        if let Err(error) = parsed.and_then(|()| json.end()) {
            return Err(if error.is_data() {
                let reason = error.to_string();
                FileErrorKind::BadIndex { reason }.in_file("")
            } else {
                not_json(&error)
            });
        }
        index.check()?;
        Ok(index)
    }

    fn check(&mut self) -> Result<(), FileError> {
        let Self { texts, entries } = self;
        let bad_name = (entries.iter()).find(|(_, shard)| !is_file_name(texts.get(*shard)));
        if let Some(&(layer, shard)) = bad_name {
            let shard = texts.get(shard).to_owned();
            return Err(FileErrorKind::BadShardName { shard }.of_layer(texts.get(layer)));
        }
        if let Some(layer) = texts.first_duplicate(entries.iter().map(|&(layer, _)| layer)) {
            return Err(FileErrorKind::DuplicateLayer.of_layer(layer));
        }
        entries.sort_unstable_by_key(|&(layer, shard)| (texts.get(shard), texts.get(layer)));
        Ok(())
    }

    /// The layers of each shard, sorted by the shard's name.
    fn shards(&self) -> impl Iterator<Item = ShardLayers<'_>> {
        self.entries
            .chunk_by(|(_, first), (_, second)| self.texts.get(*first) == self.texts.get(*second))
            .map(|entries| ShardLayers {
                index: self,
                entries,
            })
    }
}

impl ShardLayers<'_> {
    /// The name of the file, without a path.
    fn shard(&self) -> &str {
        (self.entries.first()).map_or("", |&(_, shard)| self.index.texts.get(shard))
    }

    fn contains(&self, layer: &str) -> bool {
        (self.entries)
            .binary_search_by(|&(listed, _)| self.index.texts.get(listed).cmp(layer))
            .is_ok()
    }

    /// The first layer that is not in `present`, which must be sorted.
    fn first_missing(&self, present: &[&str]) -> Option<&str> {
        (self.entries.iter())
            .map(|&(layer, _)| self.index.texts.get(layer))
            .find(|layer| present.binary_search(layer).is_err())
    }
}

/// How the weights of a model are stored.
#[cfg(feature = "safetensors")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stored {
    /// In one file.
    Whole,
    /// In shards that an index lists.
    Indexed,
    /// In shards without an index.
    Shards,
    /// In files with a slice of every tensor.
    Slices,
}

/// The name and the parts of the model at a path: a file, or shards with an index, as [`Place`] finds them.
pub(crate) fn open_model<S: ModelPart>(
    path: &Path,
    single: &'static str,
    index_suffix: &str,
    read: impl Fn(Storage<'static>) -> Result<S, FileError>,
) -> Result<(String, Vec<S>), FileError> {
    let parts = match Place::of(path, single, index_suffix)? {
        Place::File(file) => Vec::from([read(Storage::open(&file)?)?]),
        Place::Index(index) => open_shards(&index, read)?,
    };
    Ok((model_name(path, index_suffix), parts))
}

/// The parts of the model that these files store; an index comes before its shards.
#[cfg(feature = "safetensors")]
pub(crate) fn open_files<S: ModelPart>(
    stored: Stored,
    files: &[PathBuf],
    read: impl Fn(Storage<'static>) -> Result<S, FileError>,
) -> Result<Vec<S>, FileError> {
    match files {
        [index, ..] if stored == Stored::Indexed => open_shards(index, read),
        _ => (files.iter().map(|path| read(Storage::open(path)?))).collect(),
    }
}

/// Opens every shard that the index at `path` lists.
fn open_shards<S: ModelPart>(
    path: &Path,
    read: impl Fn(Storage<'static>) -> Result<S, FileError>,
) -> Result<Vec<S>, FileError> {
    let index = Index::open(path)?;
    let label = path.display().to_string();
    let open = |layers: ShardLayers<'_>| {
        let name = layers.shard();
        match Storage::open(&path.with_file_name(name)) {
            Err(error) if error.kind == FileErrorKind::NotFound => {
                let shard = name.to_owned();
                Err(FileErrorKind::MissingShard { shard }.in_file(&*label))
            }
            storage => keep_listed(read(storage?)?, &label, &layers),
        }
    };
    index.shards().map(open).collect()
}

/// The names of the shards that the index at `path` lists, sorted.
pub(crate) fn shard_names(path: &Path) -> Result<Vec<String>, FileError> {
    let index = Index::open(path)?;
    let shards = index.shards();
    Ok(shards.map(|layers| layers.shard().to_owned()).collect())
}

/// Checks that a shard has the layers that the index lists for it, and skips its other layers.
fn keep_listed<S: ModelPart>(
    mut shard: S,
    index: &str,
    listed: &ShardLayers<'_>,
) -> Result<S, FileError> {
    let mut present: Vec<&str> = (shard.layers().iter())
        .map(|layer| shard.about(layer).name)
        .chain(shard.skipped().iter().map(|skipped| &*skipped.layer))
        .collect();
    present.sort_unstable();
    if let Some(layer) = listed.first_missing(&present) {
        let shard = listed.shard().to_owned();
        let missing = FileErrorKind::MissingLayer { shard }.of_layer(layer);
        return Err(missing.or_in_file(index));
    }
    let elsewhere = |layer: &S::Stored| {
        let layer = shard.about(layer).name;
        let name = Line(listed.shard());
        (!listed.contains(layer)).then(|| SkippedLayer {
            layer: layer.to_owned(),
            reason: format!("not listed by the index for `{name}`, which contains it"),
        })
    };
    let unlisted: Vec<_> = shard.layers().iter().map(elsewhere).collect();
    let (layers, skipped) = shard.lists();
    let mut is_listed = unlisted.iter().map(Option::is_none);
    layers.retain(|_| is_listed.next().unwrap_or_default());
    skipped.extend(unlisted.into_iter().flatten());
    Ok(shard)
}

/// The text of a header or an index.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, FileError> {
    core::str::from_utf8(bytes).map_err(|error| {
        let position = error.valid_up_to();
        let reason = format!("invalid UTF-8 in the JSON at byte {position}");
        damaged(reason)
    })
}

/// The error for a header or an index that the JSON parser rejects.
pub(crate) fn not_json(error: &serde_json::Error) -> FileError {
    damaged(format!("invalid JSON: {error}"))
}

pub(crate) fn damaged(reason: String) -> FileError {
    let position = None;
    FileErrorKind::Damaged { position, reason }.in_file("")
}

/// Whether this is a single plain path component on every system, so that it can't lead elsewhere.
fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    components.next() == Some(Component::Normal(OsStr::new(name)))
        && components.next().is_none()
        && !name.contains(['/', '\\', '\0'])
}

impl<'de> Visitor<'de> for &mut Index {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `weight_map`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_weight_map = false;
        while let Some(key) = map.next_key_seed(&mut self.texts)? {
            if self.texts.get(key) != "weight_map" {
                map.next_value::<IgnoredAny>()?;
            } else if has_weight_map {
                return Err(Error::duplicate_field("weight_map"));
            } else {
                has_weight_map = true;
                map.next_value_seed(WeightMapSeed(self))?;
            }
        }
        if !has_weight_map {
            return Err(Error::missing_field("weight_map"));
        }
        Ok(())
    }
}

/// Reads the shard name of each layer.
struct WeightMapSeed<'a>(&'a mut Index);

impl<'de> DeserializeSeed<'de> for WeightMapSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WeightMapSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that maps layers to files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(layer) = map.next_key_seed(&mut self.0.texts)? {
            let shard = map.next_value_seed(&mut self.0.texts)?;
            self.0.entries.push((layer, shard));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_file_name;

    #[test]
    fn only_plain_names_are_file_names() {
        for name in ["model-00001-of-00002.safetensors", "a", "..a", "a b", "é"] {
            assert!(is_file_name(name), "{name}");
        }
        let elsewhere = [
            "", ".", "..", "../a", "a/..", "/a", "a/", "./a", "a/b", "a\\b", "..\\a", "C:\\a",
            "a\0",
        ];
        for name in elsewhere {
            assert!(!is_file_name(name), "{name}");
        }
    }
}
