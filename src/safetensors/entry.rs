//! Parses JSON into a flat listing, without building a tree of values.

use core::fmt;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::storage::text::Line;
use crate::storage::texts::{Span, Texts};
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

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(listing, name) = self;
        let (mut stored_type, mut shape, mut offsets) = (None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Type => {
                    once(&stored_type, "dtype")?;
                    stored_type = Some(map.next_value_seed(TypeSeed)?);
                }
                Field::Shape => {
                    once(&shape, "shape")?;
                    shape = Some(map.next_value_seed(ShapeSeed(&mut listing.lengths))?);
                }
                Field::Offsets => {
                    once(&offsets, "data_offsets")?;
                    offsets = Some(map.next_value_seed(OffsetsSeed)?);
                }
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let (stored_type, reason) = stored_type.ok_or_else(|| Error::missing_field("dtype"))?;
        let shape = shape.ok_or_else(|| Error::missing_field("shape"))?;
        let (begin, end) = offsets.ok_or_else(|| Error::missing_field("data_offsets"))?;
        if let Some(reason) = reason {
            let layer = listing.texts.get(name).to_owned();
            listing.skipped.push(SkippedLayer { layer, reason });
        }
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

fn once<T, E: Error>(value: &Option<T>, field: &'static str) -> Result<(), E> {
    match value {
        Some(_) => Err(E::duplicate_field(field)),
        None => Ok(()),
    }
}

/// The meaning of a key in a tensor's entry.
#[derive(Deserialize)]
enum Field {
    #[serde(rename = "dtype")]
    Type,
    #[serde(rename = "shape")]
    Shape,
    #[serde(rename = "data_offsets")]
    Offsets,
    #[serde(other)]
    Other,
}

/// Reads a type's name. The reason says why it can't be decoded, if it can't.
struct TypeSeed;

impl<'de> DeserializeSeed<'de> for TypeSeed {
    type Value = (StoredType, Option<String>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for TypeSeed {
    type Value = (StoredType, Option<String>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a type")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let stored_type = StoredType::from_name(name);
        Ok((stored_type, stored_type.reason(name)))
    }
}

/// Reads a shape to the end of the list of lengths.
struct ShapeSeed<'a>(&'a mut Vec<usize>);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of lengths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Span, A::Error> {
        let start = self.0.len();
        while let Some(length) = sequence.next_element_seed(NumberSeed)? {
            let length = usize::try_from(length)
                .map_err(|_| Error::custom("a length does not fit this machine's word size"))?;
            self.0.push(length);
        }
        Span::new(start, self.0.len()).ok_or_else(|| Error::custom("too many lengths"))
    }
}

/// Reads the begin and the end of a tensor's data.
struct OffsetsSeed;

impl<'de> DeserializeSeed<'de> for OffsetsSeed {
    type Value = (u64, u64);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(u64, u64), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OffsetsSeed {
    type Value = (u64, u64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the begin and end positions of the data")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(u64, u64), A::Error> {
        let begin = sequence.next_element_seed(NumberSeed)?;
        let end = sequence.next_element_seed(NumberSeed)?;
        let more = sequence.next_element::<IgnoredAny>()?;
        match (begin, end, more) {
            (Some(begin), Some(end), None) => Ok((begin, end)),
            (None, ..) => Err(Error::invalid_length(0, &self)),
            (_, None, _) => Err(Error::invalid_length(1, &self)),
            _ => Err(Error::invalid_length(3, &self)),
        }
    }
}

/// Reads a whole number; the error for anything else says that one was expected.
struct NumberSeed;

impl<'de> DeserializeSeed<'de> for NumberSeed {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for NumberSeed {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer from 0 to 2^64 - 1")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }
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
