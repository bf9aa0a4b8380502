//! What can be wrong with a serialised signature.

use core::fmt;

use alloc::string::String;

use super::Signature;
use crate::text::Line;

crate::errors::errors! {
    /// Why a serialised signature can't be read.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum SignatureFormatError {
        /// The bytes aren't a safetensors file, or they were truncated.
        Header {
            /// What is wrong with its header.
            message: String,
        } => ("not a safetensors file: {}", Line(message)),
        /// A safetensors file that isn't a signature: its metadata names another format, or none.
        OtherFormat {
            /// The format named in the metadata, if any.
            format: Option<String>,
        } => ("not a signature: {}", Instead(format)),
        /// The signature was written in a different version of the format.
        Version {
            /// The version found.
            found: String,
        } => ("unsupported format version `{}`; expected version {}", Line(found), Signature::VERSION),
        /// A setting is missing or has an invalid value.
        Setting {
            /// The setting's name.
            setting: &'static str,
            /// Its value; empty if it is missing.
            value: String,
        } => ("invalid value `{}` of the setting `{setting}`", Line(value)),
        /// The list of tensors or of skipped layers is invalid.
        List {
            /// The name of the list in the metadata.
            list: &'static str,
            /// What is wrong with it, and where.
            message: String,
        } => ("cannot read the list of {list}: {}", Line(message)),
        /// A tensor's values were stored in a type that this build doesn't know.
        ElementType {
            /// The tensor's name.
            tensor: String,
            /// The name of the type.
            element_type: String,
        } => ("tensor `{}` was stored with the unknown type `{}`", Line(tensor), Line(element_type)),
        /// An array of numbers is missing or doesn't match the list of tensors.
        Array {
            /// The name of the array.
            array: &'static str,
            /// What is wrong with it.
            message: String,
        } => ("the array `{array}` {}", Line(message)),
        /// The contents of a tensor are impossible.
        Tensor {
            /// The tensor's name.
            tensor: String,
            /// What is impossible.
            reason: &'static str,
        } => ("tensor `{}`: {reason}", Line(tensor)),
        /// No tensor is a weight.
        NoWeight => "no weights",
    }
}

/// The format of a file that is not a signature.
struct Instead<'a>(&'a Option<String>);

impl fmt::Display for Instead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(format) => write!(f, "the format is `{}`", Line(format)),
            None => f.write_str("no format in the metadata"),
        }
    }
}
