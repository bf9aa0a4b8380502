//! Whether two signatures can be compared at all.

use core::error::Error;
use core::fmt;

use crate::signature::Signature;

/// Why two signatures can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncompatibleSignatures {
    /// They were made with different keys.
    Keys,
    /// Their sketches differ in the number of buckets.
    Buckets {
        /// Those of the first.
        first: usize,
        /// Those of the second.
        second: usize,
    },
}

impl fmt::Display for IncompatibleSignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys => f.write_str("the signatures were made with different keys"),
            Self::Buckets { first, second } => write!(
                f,
                "the sketches of one signature have {first} buckets a group, those of the other {second}"
            ),
        }
    }
}

impl Error for IncompatibleSignatures {}

/// Whether two signatures were made with the same settings.
pub(super) fn check(first: &Signature, second: &Signature) -> Result<(), IncompatibleSignatures> {
    if first.key() != second.key() {
        return Err(IncompatibleSignatures::Keys);
    }
    let (first, second) = (first.buckets(), second.buckets());
    if first != second {
        return Err(IncompatibleSignatures::Buckets { first, second });
    }
    Ok(())
}
