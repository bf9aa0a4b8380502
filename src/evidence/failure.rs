//! Why there is no evidence.

use core::error::Error;
use core::fmt;

use alloc::string::String;

use super::IncompatibleSignatures;
use crate::condensed::CondensedError;
use crate::progress::Cancelled;
use crate::signature::SkippedModel;

/// Why there is no evidence.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Two models have one name, so results could not tell them apart.
    DuplicateModel {
        /// The name.
        model: String,
    },
    /// A model failed, and [`OnFailure::Stop`](super::OnFailure::Stop) was chosen.
    Model(SkippedModel),
    /// The observer stopped the measurement.
    Cancelled,
    /// Two signatures were made with different settings.
    Incompatible {
        /// The first model.
        first: String,
        /// The second.
        second: String,
        /// What differs.
        reason: IncompatibleSignatures,
    },
    /// There is no memory for tables of all pairs of so many models of one architecture.
    Memory {
        /// How many models there are.
        models: usize,
    },
    /// A table that was handed in doesn't have one row for every model.
    Size {
        /// What the table holds.
        table: &'static str,
        /// How many models it is for.
        found: usize,
        /// How many models there are.
        models: usize,
    },
    /// A model can't be a copy of the other: it doesn't exist, has another original, or the other
    /// is made of it.
    Copy {
        /// The position of the copy.
        copy: usize,
        /// The position of the original.
        original: usize,
    },
    /// Evidence that was written down doesn't list its models in the order of their names.
    Order {
        /// The first model that is out of order.
        model: String,
    },
    /// A number that was handed in is NaN, infinite or, where that can't be, negative.
    Number {
        /// What the table holds.
        table: &'static str,
        /// The model at fault.
        model: String,
        /// The number.
        value: f64,
    },
    /// Numbers that make no table of pairs.
    Table(CondensedError),
}

impl fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateModel { model } => write!(f, "two models are named `{model}`"),
            Self::Model(skipped) => skipped.fmt(f),
            Self::Cancelled => f.write_str("the measurement was cancelled"),
            Self::Incompatible {
                first,
                second,
                reason,
            } => write!(
                f,
                "models `{first}` and `{second}` can't be compared: {reason}"
            ),
            Self::Memory { models } => {
                write!(f, "there is no memory for the pairs of {models} models")
            }
            Self::Size {
                table,
                found,
                models,
            } => write!(
                f,
                "{table} are given for {found} models, there are {models}"
            ),
            Self::Copy { copy, original } => {
                write!(f, "model {copy} can't be a copy of model {original}")
            }
            Self::Order { model } => {
                write!(f, "model `{model}` is not in the order of the names")
            }
            Self::Number {
                table,
                model,
                value,
            } => write!(f, "the {table} of model `{model}` can't be {value}"),
            Self::Table(error) => error.fmt(f),
        }
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
