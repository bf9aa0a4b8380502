//! Errors of computing evidence.

use core::error::Error;

use alloc::string::{String, ToString};

use super::IncompatibleSignatures;
use crate::condensed::CondensedError;
use crate::progress::Cancelled;
use crate::signature::SkippedModel;

crate::errors::messages! {
    /// Why evidence could not be computed.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum EvidenceError {
        /// Two models have the same name, so results couldn't tell them apart.
        DuplicateModel {
            /// The name.
            model: String,
        } => "two models are named `{model}`",
        /// A model failed, and [`OnFailure::Stop`](super::OnFailure::Stop) was chosen.
        Model(SkippedModel),
        /// The observer stopped the measurement.
        Cancelled => "cancelled by the observer",
        /// Two signatures were made with different settings.
        Incompatible {
            /// The first model.
            first: String,
            /// The second.
            second: String,
            /// What differs.
            reason: IncompatibleSignatures,
        } => "cannot compare models `{first}` and `{second}`: {reason}",
        /// There is not enough memory for the tables of all pairs of models of one architecture.
        Memory {
            /// How many models there are.
            models: usize,
        } => "out of memory for the pairs of {models} models",
        /// A table passed in doesn't have one row for each model.
        Size {
            /// What the table holds.
            table: &'static str,
            /// The number of models in the table.
            found: usize,
            /// How many models there are.
            models: usize,
        } => "the {table} are for {found} models instead of {models}",
        /// A model can't be a copy of the other: one of them doesn't exist, the copy already has another
        /// original, or the original was made from the copy.
        Copy {
            /// The position of the copy.
            copy: usize,
            /// The position of the original.
            original: usize,
        } => "model {copy} cannot be a copy of model {original}",
        /// Deserialised evidence doesn't list its models in the order of their names.
        Order {
            /// The first model that is out of order.
            model: String,
        } => "model `{model}` is not sorted by name",
        /// A number passed in is NaN, infinite, or negative where it can't be.
        Number {
            /// What the table holds.
            table: &'static str,
            /// The model it belongs to.
            model: String,
            /// The number.
            value: f64,
        } => "invalid {table} of model `{model}`: {value}",
        /// Numbers that make no table of pairs.
        Table(CondensedError),
    }
}

pub(super) fn wrong_size(table: &'static str, found: usize, models: usize) -> EvidenceError {
    EvidenceError::Size {
        table,
        found,
        models,
    }
}

pub(super) fn number(table: &'static str, model: impl ToString, value: f64) -> EvidenceError {
    let model = model.to_string();
    EvidenceError::Number {
        table,
        model,
        value,
    }
}

impl Error for EvidenceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Model(skipped) => Some(&skipped.failure),
            Self::Incompatible { reason, .. } => Some(reason),
            Self::Table(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CondensedError> for EvidenceError {
    fn from(error: CondensedError) -> Self {
        Self::Table(error)
    }
}

impl From<Cancelled> for EvidenceError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
