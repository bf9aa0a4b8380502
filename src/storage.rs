//! Weight files of any format: they are read in pieces, few are open at once, and changes are noticed.
//!
//! All modules that read models from files build on this one. Programs need it only for [`FileError`] and
//! [`set_open_file_limit`].

#[cfg(any(feature = "pytorch", feature = "npz"))]
pub(crate) mod archive;
mod bytes;
mod element;
mod error;
mod file;
#[cfg(any(feature = "safetensors", feature = "pytorch"))]
pub(crate) mod index;
pub(crate) mod input;
pub(crate) mod model;
#[cfg(any(feature = "pytorch", feature = "gguf", feature = "npz"))]
pub(crate) mod part;
pub(crate) mod place;
mod strides;
#[cfg(any(feature = "safetensors", feature = "pytorch"))]
pub(crate) mod texts;

pub use self::error::{FileError, FileErrorKind};
pub use self::file::set_open_file_limit;

pub(crate) use self::bytes::{BUFFER, Bytes, LARGEST_HEADER, Storage};
pub(crate) use self::element::{ByteOrder, Element};
pub(crate) use self::strides::Strides;
