//! One model of an index.

use alloc::borrow::Cow;

use super::IndexError;
use super::blocks::Common;
use super::summary::Summary;
use crate::evidence::SignatureComparison;
use crate::signature::Signature;

/// One signature, with the data that the search needs.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) signature: Signature,
    pub(super) summary: Summary,
    pub(super) squared_norm: f64,
}

impl Entry {
    pub(super) fn new(signature: Signature) -> Self {
        let weights = signature.tensors().iter().filter(|t| t.is_weight());
        let norms = weights.flat_map(|tensor| tensor.sketch().squared_norms());
        Self {
            summary: Summary::new(&signature, |tensor| tensor.is_weight()),
            squared_norm: norms.sum(),
            signature,
        }
    }

    /// The summary of the weights in common with others, or of all weights.
    pub(super) fn summary_of(&self, common: Option<&Common<'_>>) -> Cow<'_, Summary> {
        match common {
            Some(common) => Cow::Owned(common.summary(&self.signature)),
            None => Cow::Borrowed(&self.summary),
        }
    }
}

/// Checks that two signatures were made with the same settings, as all signatures of an index must be.
pub(super) fn check_settings(first: &Signature, second: &Signature) -> Result<(), IndexError> {
    if first.key() != second.key() || first.buckets() != second.buckets() {
        SignatureComparison::new().relation(first, second)?;
    }
    Ok(())
}
