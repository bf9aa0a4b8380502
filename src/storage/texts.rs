//! Many short strings in one allocation, so that a header of millions of names stays small.

use core::fmt;
use core::ops::Range;

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, Visitor};

/// The position of a string in [`Texts`], or of a shape in the list of lengths.
///
/// Half the size of a slice. 32 bits suffice, since everything comes from at most 100 MB of JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The span of these positions; `None` if they don't fit into 32 bits.
    pub(crate) fn new(start: usize, end: usize) -> Option<Self> {
        Some(Self {
            start: u32::try_from(start).ok()?,
            end: u32::try_from(end).ok()?,
        })
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Strings stored one after another.
#[derive(Debug, Default)]
pub(crate) struct Texts(String);

impl Texts {
    /// The string at `span`, which must come from this collection.
    pub(crate) fn get(&self, span: Span) -> &str {
        self.0.get(span.range()).unwrap_or_default()
    }

    /// Adds a string; `None` if there are more than 4 GB in total.
    pub(crate) fn push(&mut self, text: &str) -> Option<Span> {
        let start = self.0.len();
        self.0.push_str(text);
        Span::new(start, self.0.len())
    }

    /// The first string, in alphabetical order, that occurs twice in `spans`.
    pub(crate) fn first_duplicate(&self, spans: impl Iterator<Item = Span>) -> Option<&str> {
        let mut texts: Vec<_> = spans.map(|span| self.get(span)).collect();
        texts.sort_unstable();
        texts.windows(2).find_map(|pair| match pair {
            [first, second] if first == second => Some(*first),
            _ => None,
        })
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }
}

/// Reads a JSON string directly to the end of the texts.
impl<'de> DeserializeSeed<'de> for &mut Texts {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Texts {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        self.push(text)
            .ok_or_else(|| E::custom("more than 4 GB of names"))
    }
}
