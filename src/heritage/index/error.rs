//! What can go wrong with an index.

use alloc::string::String;

use crate::evidence::EvidenceError;
use crate::heritage::{GraphError, RecoveryError};
use crate::progress::Cancelled;

crate::errors::messages! {
    /// Why an index can't answer a request.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum IndexError {
        /// The index already has a model of this name.
        DuplicateModel {
            /// The name.
            model: String,
        } => "model {model} is already in the index",
        /// There is no model of this name.
        NoSuchModel {
            /// The name.
            model: String,
        } => "model {model} is not in the index",
        /// The observer stopped the work.
        Cancelled => "cancelled by the observer",
        /// Signatures can't be compared.
        Evidence(EvidenceError),
        /// The trees can't be recovered.
        Recovery(RecoveryError),
    }
}

impl core::error::Error for IndexError {}

impl From<Cancelled> for IndexError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<EvidenceError> for IndexError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Cancelled => Self::Cancelled,
            error => Self::Evidence(error),
        }
    }
}

impl From<RecoveryError> for IndexError {
    fn from(error: RecoveryError) -> Self {
        Self::Recovery(error)
    }
}

impl From<GraphError> for IndexError {
    fn from(error: GraphError) -> Self {
        Self::Recovery(RecoveryError::Graph(error))
    }
}
