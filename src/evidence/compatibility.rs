//! Checks whether two signatures can be compared.

use crate::signature::Signature;

crate::errors::errors! {
    /// Why two signatures can't be compared.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum IncompatibleSignatures {
        /// They were made with different keys.
        Keys => "the signatures have different keys",
        /// Their sketches differ in the number of buckets.
        Buckets {
            /// The number of buckets in the first.
            first: usize,
            /// The number of buckets in the second.
            second: usize,
        } => "the signatures have {first} and {second} buckets per group",
    }
}

/// Checks that two signatures were made with the same settings.
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
