//! Why a decoded layer can't be read.

use core::error::Error;
use core::fmt;

use alloc::string::String;

/// Why the layers of a [`Dequantised`](super::Dequantised) source can't be listed or read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DequantiseError<E> {
    /// The source failed.
    Source(E),
    /// The source no longer lists a layer that it first listed.
    Missing {
        /// The layer's name.
        layer: String,
    },
}

impl<E: fmt::Display> fmt::Display for DequantiseError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Missing { layer } => write!(f, "layer `{layer}` is no longer listed"),
        }
    }
}

impl<E: Error + 'static> Error for DequantiseError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Source(error) => error.source(),
            Self::Missing { .. } => None,
        }
    }
}
