//! The index of a sharded model: which layer lies in which file.

use core::fmt;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::ffi::OsStr;
use std::path::{Component, Path};

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};

use super::SafetensorsError;
use super::file::ModelFile;
use super::header::{LARGEST_HEADER, utf8};
use super::shard::Shard;
use super::text::{Line, Span, Texts};

/// The layers of each shard, read and checked.
#[derive(Debug, Default)]
struct Index {
    texts: Texts,
    /// Layer and shard, sorted by shard, then by layer.
    entries: Vec<(Span, Span)>,
}

/// The layers that one shard should hold, sorted.
struct ShardLayers<'a> {
    index: &'a Index,
    entries: &'a [(Span, Span)],
}

impl Index {
    fn open(path: &Path, label: &str) -> Result<Self, SafetensorsError> {
        let file = ModelFile::open(path)?;
        let length = file.length();
        if length > LARGEST_HEADER {
            return Err(SafetensorsError::IndexTooLarge {
                file: label.to_owned(),
                length,
            });
        }
        Self::parse(label, &file.bytes(0, length)?)
    }

    fn parse(file: &str, bytes: &[u8]) -> Result<Self, SafetensorsError> {
        let mut index = Self::default();
        let mut json = serde_json::Deserializer::from_str(utf8(file, bytes)?);
        let parsed = json.deserialize_map(&mut index);
        if let Err(error) = parsed.and_then(|()| json.end()) {
            let (file, message) = (file.to_owned(), error.to_string());
            return Err(if error.is_data() {
                SafetensorsError::BadIndex { file, message }
            } else {
                SafetensorsError::NotJson { file, message }
            });
        }
        index.check(file)?;
        Ok(index)
    }

    fn check(&mut self, file: &str) -> Result<(), SafetensorsError> {
        let Self { texts, entries } = self;
        let bad_name = (entries.iter()).find(|(_, shard)| !is_file_name(texts.get(*shard)));
        if let Some(&(layer, shard)) = bad_name {
            return Err(SafetensorsError::BadShardName {
                file: file.to_owned(),
                layer: texts.get(layer).to_owned(),
                shard: texts.get(shard).to_owned(),
            });
        }
        if let Some(layer) = texts.first_duplicate(entries.iter().map(|&(layer, _)| layer)) {
            return Err(SafetensorsError::DuplicateLayer {
                file: file.to_owned(),
                layer: layer.to_owned(),
            });
        }
        entries.sort_unstable_by_key(|&(layer, shard)| (texts.get(shard), texts.get(layer)));
        Ok(())
    }

    /// Each shard's layers, sorted by the shard's name.
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
    /// The file's name, a plain name without a path.
    fn shard(&self) -> &str {
        (self.entries.first()).map_or("", |&(_, shard)| self.index.texts.get(shard))
    }

    fn contains(&self, layer: &str) -> bool {
        (self.entries)
            .binary_search_by(|&(listed, _)| self.index.texts.get(listed).cmp(layer))
            .is_ok()
    }

    /// The first layer that is not among `present`, which is sorted.
    fn first_missing(&self, present: &[&str]) -> Option<&str> {
        (self.entries.iter())
            .map(|&(layer, _)| self.index.texts.get(layer))
            .find(|layer| present.binary_search(layer).is_err())
    }
}

/// Opens every shard that the index at `path` lists.
pub(super) fn open_shards(path: &Path) -> Result<Vec<Shard<'static>>, SafetensorsError> {
    let label = path.display().to_string();
    let index = Index::open(path, &label)?;
    (index.shards())
        .map(|layers| open_shard(path, &label, &layers))
        .collect()
}

/// The names of the shards that the index at `path` lists, sorted.
pub(crate) fn shard_names(path: &Path) -> Result<Vec<String>, SafetensorsError> {
    let index = Index::open(path, &path.display().to_string())?;
    let shards = index.shards();
    Ok(shards.map(|layers| layers.shard().to_owned()).collect())
}

fn open_shard(
    index: &Path,
    label: &str,
    layers: &ShardLayers<'_>,
) -> Result<Shard<'static>, SafetensorsError> {
    let (file, name) = (label.to_owned(), layers.shard().to_owned());
    let mut shard = match Shard::open(&index.with_file_name(&name)) {
        Err(SafetensorsError::NotFound { .. }) => {
            return Err(SafetensorsError::MissingShard { file, shard: name });
        }
        shard => shard?,
    };
    if let Some(layer) = layers.first_missing(&shard.header.names()) {
        return Err(SafetensorsError::MissingLayer {
            file,
            shard: name,
            layer: layer.to_owned(),
        });
    }
    let reason = format!(
        "it is in `{}`, where the index doesn't list it",
        Line(&name)
    );
    shard.header.retain(|layer| layers.contains(layer), &reason);
    Ok(shard)
}

/// Whether this is one plain component of a path on every system, so that it can't lead elsewhere.
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

/// Reads layer by layer the name of its shard.
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
