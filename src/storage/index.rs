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

use super::text::{FileName, Line, Quoted};
use super::texts::{Span, Texts};
use super::{FileError, LARGEST_HEADER, Storage};

/// Why the index of a sharded model can't be used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum IndexError {
    /// The header or index is not UTF-8.
    NotUtf8 {
        /// The file.
        file: String,
        /// The first byte of the header or index that is no part of a character.
        position: usize,
    },
    /// The header or index is not JSON, or the header does not begin with `{`.
    NotJson {
        /// The file.
        file: String,
        /// The parser's message.
        message: String,
    },
    /// Two layers have the same name.
    DuplicateLayer {
        /// The file.
        file: String,
        /// The name.
        layer: String,
    },
    /// The index of a sharded model is larger than the 100 MB that headers may have.
    TooLarge {
        /// The index.
        file: String,
        /// Its length in bytes.
        length: u64,
    },
    /// The index of a sharded model is JSON, but not an index.
    BadIndex {
        /// The index.
        file: String,
        /// What is wrong, and where.
        message: String,
    },
    /// An index names a shard that is no plain name of a file in its folder.
    BadShardName {
        /// The index.
        file: String,
        /// A layer that should be there.
        layer: String,
        /// The shard's name.
        shard: String,
    },
    /// A shard that an index names does not exist.
    MissingShard {
        /// The index.
        file: String,
        /// The shard's name.
        shard: String,
    },
    /// A shard does not hold a layer that the index says it holds.
    MissingLayer {
        /// The index.
        file: String,
        /// The shard's name.
        shard: String,
        /// The layer.
        layer: String,
    },
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { file, position } => write!(
                f,
                "{}: its JSON is not UTF-8 from byte {position} on",
                FileName(file)
            ),
            Self::NotJson { file, message } => {
                write!(
                    f,
                    "{}: its JSON is broken: {}",
                    FileName(file),
                    Line(message)
                )
            }
            Self::DuplicateLayer { file, layer } => {
                write!(f, "{} lists layer {} twice", FileName(file), Quoted(layer))
            }
            Self::TooLarge { file, length } => write!(
                f,
                "{} is {length} bytes long, an index may have {LARGEST_HEADER}",
                FileName(file)
            ),
            Self::BadIndex { file, message } => write!(
                f,
                "{} is not the index of a sharded model: {}",
                FileName(file),
                Line(message)
            ),
            Self::BadShardName { file, layer, shard } => write!(
                f,
                "{} puts layer {} into {}, which is not the plain name of a file in its folder",
                FileName(file),
                Quoted(layer),
                Quoted(shard)
            ),
            Self::MissingShard { file, shard } => write!(
                f,
                "{} names the shard {}, which does not exist",
                FileName(file),
                Quoted(shard)
            ),
            Self::MissingLayer { file, shard, layer } => write!(
                f,
                "{} says that layer {} is in {}, but it is not",
                FileName(file),
                Quoted(layer),
                Quoted(shard)
            ),
        }
    }
}

impl core::error::Error for IndexError {}

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
    fn open<E: From<FileError> + From<IndexError>>(path: &Path) -> Result<Self, E> {
        let storage = Storage::open(path)?;
        let (file, length) = (storage.label(), storage.length());
        if length > LARGEST_HEADER {
            return Err(IndexError::TooLarge {
                file: file.to_owned(),
                length,
            }
            .into());
        }
        Ok(Self::parse(file, &storage.bytes(0, length)?)?)
    }

    fn parse(file: &str, bytes: &[u8]) -> Result<Self, IndexError> {
        let text = core::str::from_utf8(bytes).map_err(|error| IndexError::NotUtf8 {
            file: file.to_owned(),
            position: error.valid_up_to(),
        })?;
        let mut index = Self::default();
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = json.deserialize_map(&mut index);
        if let Err(error) = parsed.and_then(|()| json.end()) {
            let (file, message) = (file.to_owned(), error.to_string());
            return Err(if error.is_data() {
                IndexError::BadIndex { file, message }
            } else {
                IndexError::NotJson { file, message }
            });
        }
        index.check(file)?;
        Ok(index)
    }

    fn check(&mut self, file: &str) -> Result<(), IndexError> {
        let Self { texts, entries } = self;
        let bad_name = (entries.iter()).find(|(_, shard)| !is_file_name(texts.get(*shard)));
        if let Some(&(layer, shard)) = bad_name {
            return Err(IndexError::BadShardName {
                file: file.to_owned(),
                layer: texts.get(layer).to_owned(),
                shard: texts.get(shard).to_owned(),
            });
        }
        if let Some(layer) = texts.first_duplicate(entries.iter().map(|&(layer, _)| layer)) {
            return Err(IndexError::DuplicateLayer {
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

/// A file that holds some of a model's layers.
pub(crate) trait Indexed: Sized {
    type Error: From<FileError> + From<IndexError>;

    fn open(path: &Path) -> Result<Self, Self::Error>;

    /// Whether opening failed because there is no such file.
    fn is_missing(error: &Self::Error) -> bool;

    /// The names of all its layers, also of those that can't be decoded, sorted.
    fn names(&self) -> Vec<&str>;

    /// Moves the layers that `is_wanted` refuses to the skipped ones.
    fn retain(&mut self, is_wanted: impl Fn(&str) -> bool, reason: &str);
}

/// Opens every shard that the index at `path` lists.
pub(crate) fn open_shards<S: Indexed>(path: &Path) -> Result<Vec<S>, S::Error> {
    let index = Index::open::<S::Error>(path)?;
    let label = path.display().to_string();
    (index.shards())
        .map(|layers| open_shard(path, &label, &layers))
        .collect()
}

/// The names of the shards that the index at `path` lists, sorted.
pub(crate) fn shard_names<E: From<FileError> + From<IndexError>>(
    path: &Path,
) -> Result<Vec<String>, E> {
    let index = Index::open::<E>(path)?;
    let shards = index.shards();
    Ok(shards.map(|layers| layers.shard().to_owned()).collect())
}

fn open_shard<S: Indexed>(
    index: &Path,
    label: &str,
    layers: &ShardLayers<'_>,
) -> Result<S, S::Error> {
    let (file, name) = (label.to_owned(), layers.shard().to_owned());
    let mut shard = match S::open(&index.with_file_name(&name)) {
        Err(error) if S::is_missing(&error) => {
            return Err(IndexError::MissingShard { file, shard: name }.into());
        }
        shard => shard?,
    };
    if let Some(layer) = layers.first_missing(&shard.names()) {
        let layer = layer.to_owned();
        return Err(IndexError::MissingLayer {
            file,
            shard: name,
            layer,
        }
        .into());
    }
    let reason = format!(
        "it is in `{}`, where the index doesn't list it",
        Line(&name)
    );
    shard.retain(|layer| layers.contains(layer), &reason);
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
