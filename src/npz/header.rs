//! The header of an array in NumPy's format: a Python dictionary with three keys.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::storage::{ByteOrder, Element};
use crate::weights::ElementType;

/// The first bytes of a file, before its version.
pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The maximum number of bytes before the header: magic, version and the header's length.
pub(super) const PREFIX: usize = 12;

/// The maximum length of a header, in bytes.
const LONGEST: u64 = 1 << 16;

/// The contents of a header.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// The type as written; `None` for records with several fields.
    pub(super) description: Option<String>,
    pub(super) is_column_major: bool,
    pub(super) shape: Vec<usize>,
}

/// The position and the length of the header, from the first bytes of a file.
pub(super) fn header_place(beginning: &[u8]) -> Result<(u64, u64), String> {
    let Some(rest) = beginning.strip_prefix(MAGIC) else {
        return Err("does not begin like a NumPy array".to_owned());
    };
    let (start, length) = match *rest {
        [1, _, a, b, ..] => (10, u16::from_le_bytes([a, b]).into()),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d]).into()),
        [version, ..] => return Err(format!("unknown format version {version}")),
        [] => return Err("truncated".to_owned()),
    };
    if length > LONGEST {
        return Err(format!("header too long: {length} bytes"));
    }
    Ok((start, length))
}

impl Header {
    /// Parses a header, such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = core::str::from_utf8(bytes).map_err(|_| "the header is not valid UTF-8")?;
        let mut parser = Parser(text.trim());
        let (mut description, mut order, mut shape) = (None, None, None);
        parser.require('{')?;
        while !parser.takes('}') {
            let key = parser.quoted()?;
            parser.require(':')?;
            match key {
                "descr" => description = Some(parser.description()?),
                "fortran_order" => order = Some(parser.truth()?),
                "shape" => shape = Some(parser.lengths()?),
                _ => return Err(format!("unknown key `{key}` in the header")),
            }
            parser.takes(',');
        }
        match (description, order, shape) {
            (Some(description), Some(is_column_major), Some(shape)) if parser.0.is_empty() => {
                Ok(Self {
                    description,
                    is_column_major,
                    shape,
                })
            }
            _ => Err("the header lacks a key or has trailing text".to_owned()),
        }
    }

    /// How the elements are stored, or why they can't be decoded.
    pub(super) fn element(&self) -> Result<Element, String> {
        let description = self.description.as_deref().unwrap_or("structured");
        let unknown = || format!("{description} values cannot be decoded");
        let (order, kind) = match description.split_at_checked(1) {
            Some(("<", kind)) => (ByteOrder::Little, kind),
            Some((">", kind)) => (ByteOrder::Big, kind),
            _ => return Err(unknown()),
        };
        let name = match kind {
            "f2" => "F16",
            "f4" => "F32",
            "f8" => "F64",
            _ => return Err(unknown()),
        };
        match name.parse::<ElementType>() {
            Ok(element_type) => Ok(Element {
                element_type,
                order,
            }),
            Err(_) => Err(format!("{} without the feature `half`", unknown())),
        }
    }
}

/// The rest of a header.
struct Parser<'a>(&'a str);

impl<'a> Parser<'a> {
    fn takes(&mut self, symbol: char) -> bool {
        let found = self.0.strip_prefix(symbol);
        self.0 = found.unwrap_or(self.0).trim_start();
        found.is_some()
    }

    fn require(&mut self, symbol: char) -> Result<(), String> {
        if self.takes(symbol) {
            Ok(())
        } else {
            Err(format!("expected `{symbol}` in the header"))
        }
    }

    fn quoted(&mut self) -> Result<&'a str, String> {
        self.require('\'')?;
        let end = self.0.split_once('\'');
        let (text, rest) = end.ok_or("unterminated string in the header")?;
        self.0 = rest.trim_start();
        Ok(text)
    }

    /// The name of a type, or `None` for a list of fields.
    fn description(&mut self) -> Result<Option<String>, String> {
        if !self.0.starts_with('[') {
            return self.quoted().map(|text| Some(text.to_owned()));
        }
        let mut depth = 0_usize;
        for (at, symbol) in self.0.char_indices() {
            match symbol {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.0 = self.0.get(at + 1..).unwrap_or_default().trim_start();
                return Ok(None);
            }
        }
        Err("unterminated list in the header".to_owned())
    }

    fn truth(&mut self) -> Result<bool, String> {
        for (word, truth) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest.trim_start();
                return Ok(truth);
            }
        }
        Err("`fortran_order` is neither `True` nor `False`".to_owned())
    }

    fn lengths(&mut self) -> Result<Vec<usize>, String> {
        self.require('(')?;
        let mut lengths = Vec::new();
        while !self.takes(')') {
            let end = self.0.find([',', ')']).unwrap_or(self.0.len());
            let (number, rest) = self.0.split_at(end);
            // Python 2 marks long integers with `L`.
            let number = number.trim().trim_end_matches('L');
            let length = number.parse();
            lengths.push(length.map_err(|_| format!("invalid length `{number}`"))?);
            self.0 = rest;
            if !self.takes(',') && !self.0.starts_with(')') {
                return Err("unterminated shape".to_owned());
            }
        }
        Ok(lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn parse(text: &str) -> Result<Header, String> {
        Header::parse(text.as_bytes())
    }

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let header = parse("{'descr': '>f8', 'fortran_order': True, 'shape': (3, 4L), }     \n");
        let header = header.unwrap();
        assert_eq!(header.shape, [3, 4]);
        assert!(header.is_column_major);
        assert_eq!(header.element().unwrap().order, ByteOrder::Big);
        for (shape, expected) in [
            ("()", vec![]),
            ("(7,)", vec![7]),
            ("(1, 2, 3)", vec![1, 2, 3]),
        ] {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
            assert_eq!(parse(&text).unwrap().shape, expected);
        }
        let fields = "{'descr': [('a', '<f4'), ('b', [('c', '<i4')])], 'fortran_order': False, 'shape': (1,)}";
        let fields = parse(fields).unwrap();
        assert_eq!(
            fields.element().unwrap_err(),
            "structured values cannot be decoded"
        );
    }

    #[test]
    fn a_header_cut_anywhere_is_an_error() {
        let whole = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{}", &whole[..length]);
        }
        for broken in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, -4), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4), }",
            "{'descr': '<f4', 'fortran_order': 1, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} + {}",
            "{'descr': [[, 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'shape': (99999999999999999999,)}",
        ] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
