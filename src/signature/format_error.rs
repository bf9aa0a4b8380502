//! What can be wrong with a written signature.

use core::error::Error;
use core::fmt::{self, Write};

use alloc::string::String;

use super::Signature;

/// Why a written signature can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureFormatError {
    /// The bytes are no safetensors file, or they were cut short.
    Header {
        /// What is wrong with its header.
        message: String,
    },
    /// A safetensors file that isn't a signature: its metadata says so, or says nothing.
    OtherFormat {
        /// What the metadata calls the format, if anything.
        format: Option<String>,
    },
    /// The signature was written in another version of the format.
    Version {
        /// That version.
        found: String,
    },
    /// A setting is missing, or it has a value that it can't have.
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Its value; empty where it is missing.
        value: String,
    },
    /// The list of tensors or of skipped layers isn't one.
    List {
        /// The name of the list in the metadata.
        list: &'static str,
        /// What is wrong with it, and where.
        message: String,
    },
    /// A tensor's values were stored in a type that this build doesn't know.
    ElementType {
        /// The tensor's name.
        tensor: String,
        /// The name of the type.
        element_type: String,
    },
    /// An array of numbers is missing, or isn't as the list of tensors asks for.
    Array {
        /// The name of the array.
        array: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// What is kept of a tensor can't be true of any.
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is impossible.
        reason: &'static str,
    },
    /// No tensor is a weight.
    NoWeight,
}

impl fmt::Display for SignatureFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { message } => write!(f, "no safetensors file: {}", Line(message)),
            Self::OtherFormat {
                format: Some(format),
            } => write!(f, "no signature but `{}`", Line(format)),
            Self::OtherFormat { format: None } => f.write_str("no signature of a model"),
            Self::Version { found } => write!(
                f,
                "written in version `{}` of the format, not in version {}",
                Line(found),
                Signature::VERSION
            ),
            Self::Setting { setting, value } => {
                write!(f, "the setting `{setting}` can't be `{}`", Line(value))
            }
            Self::List { list, message } => {
                write!(f, "the list of {list} can't be read: {}", Line(message))
            }
            Self::ElementType {
                tensor,
                element_type,
            } => write!(
                f,
                "tensor `{}` was stored as `{}`, which isn't known",
                Line(tensor),
                Line(element_type)
            ),
            Self::Array { array, message } => write!(f, "the array `{array}` {}", Line(message)),
            Self::Tensor { tensor, reason } => write!(f, "tensor `{}`: {reason}", Line(tensor)),
            Self::NoWeight => f.write_str("it has no weights"),
        }
    }
}

impl Error for SignatureFormatError {}

/// Shows text that somebody else wrote on one short line.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        for (at, character) in self.0.chars().enumerate() {
            match character {
                _ if at == LONGEST => return f.write_str("…"),
                _ if character.is_control() => f.write_char('\u{FFFD}')?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}
