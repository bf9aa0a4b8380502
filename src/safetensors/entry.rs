//! Parses JSON into a flat listing, without building a tree of values.

use core::fmt;

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::storage::texts::{Span, Texts};
use crate::text::Line;
use crate::weights::{ElementType, SkippedLayer};

/// The key of a header's own notes.
pub(super) const METADATA: &str = "__metadata__";

/// A header as written. Only the kinds of its values have been checked.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) texts: Texts,
    pub(super) lengths: Vec<usize>,
    pub(super) entries: Vec<Entry>,
    pub(super) metadata: Vec<(Span, Span)>,
    pub(super) skipped: Vec<SkippedLayer>,
    /// The entry being read, for error messages.
    pub(super) current: Option<Span>,
}

/// A tensor as listed in a header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: Span,
    pub(super) shape: Span,
    pub(super) stored_type: StoredType,
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// The type of an entry, as far as this build knows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum StoredType {
    Decodable(ElementType),
    /// A type of the format that can't be decoded, with this many bits.
    Opaque(u8),
    Unknown,
}

impl StoredType {
    fn from_name(name: &str) -> Self {
        // Codes with a scale for each block are none of this format.
        match name.parse::<ElementType>() {
            Ok(known) if known.code_bits().is_none() => return Self::Decodable(known),
            _ => {}
        }
        match name {
            "F6_E2M3" | "F6_E3M2" => Self::Opaque(6),
            "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => Self::Opaque(8),
            "F16" | "BF16" => Self::Opaque(16),
            "C64" => Self::Opaque(64),
            _ => Self::Unknown,
        }
    }

    pub(super) fn bits(self) -> Option<u8> {
        match self {
            Self::Decodable(ElementType::F4E2M1) => Some(4),
            Self::Decodable(element_type) => Some(8 * element_type.size() as u8),
            Self::Opaque(bits) => Some(bits),
            Self::Unknown => None,
        }
    }

    /// Why values of the type with this name can't be decoded.
    fn reason(self, name: &str) -> Option<String> {
        match self {
            Self::Decodable(_) => None,
            Self::Opaque(_) if name == "F16" || name == "BF16" => Some(format!(
                "{name} values cannot be decoded without the feature `half`"
            )),
            Self::Opaque(_) => Some(format!("{name} values cannot be decoded")),
            Self::Unknown => Some(format!("unknown data type `{}`", Line(name))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Listing {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Listing {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that maps names to layers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_metadata = false;
        while let Some(name) = map.next_key_seed(&mut self.texts)? {
            self.current = Some(name);
            if self.texts.get(name) != METADATA {
                map.next_value_seed(EntrySeed(self, name))?;
            } else if has_metadata {
                return Err(A::Error::custom("listed twice"));
            } else {
                has_metadata = true;
                map.next_value_seed(MetadataSeed(self))?;
            }
        }
        Ok(())
    }
}

/// Reads one tensor's entry.
struct EntrySeed<'a>(&'a mut Listing, Span);

impl<'de> DeserializeSeed<'de> for EntrySeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `dtype`, `shape` and `data_offsets`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Self(listing, name) = self;
        // Through its map, because a derived struct would also accept a list.
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        let [begin, end] = written.data_offsets;
        let stored_type = StoredType::from_name(&written.dtype);
        if let Some(reason) = stored_type.reason(&written.dtype) {
            let layer = listing.texts.get(name).to_owned();
            listing.skipped.push(SkippedLayer { layer, reason });
        }
        let start = listing.lengths.len();
        listing.lengths.extend(written.shape);
        let shape = Span::new(start, listing.lengths.len())
            .ok_or_else(|| Error::custom("too many lengths"))?;
        listing.entries.push(Entry {
            name,
            shape,
            stored_type,
            begin,
            end,
        });
        Ok(())
    }
}

/// A tensor's entry in the words of the format; other fields are ignored.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Vec<usize>,
    #[serde(deserialize_with = "begin_and_end")]
    data_offsets: [u64; 2],
}

/// Reads the begin and the end of a tensor's data.
///
/// They are read as a list: where a pair is expected, a third number would be an error of the JSON, which names no
/// layer.
fn begin_and_end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u64; 2], D::Error> {
    let offsets = Vec::deserialize(deserializer)?;
    let expected = "the begin and end positions of the data";
    (offsets.try_into())
        .map_err(|offsets: Vec<u64>| Error::invalid_length(offsets.len(), &expected))
}

/// Reads the header's own notes: an object of strings, or `null` for none.
struct MetadataSeed<'a>(&'a mut Listing);

impl<'de> DeserializeSeed<'de> for MetadataSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MetadataSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object whose values are strings")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(&mut self.0.texts)? {
            let value = map.next_value_seed(&mut self.0.texts)?;
            self.0.metadata.push((key, value));
        }
        Ok(())
    }
}
