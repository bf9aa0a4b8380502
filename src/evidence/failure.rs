//! What can go wrong while measuring, and which model and layer it was.

use core::error::Error;
use core::fmt;

use alloc::string::String;

/// Why one model could not be measured.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ModelFailure {
    /// The source could not list its layers.
    Listing {
        /// What the source said.
        reason: String,
    },
    /// The source could not read a layer.
    Reading {
        /// The layer's name.
        layer: String,
        /// What the source said.
        reason: String,
    },
    /// A layer was read again and held other values than before.
    Changed {
        /// The layer's name.
        layer: String,
    },
    /// A weight is NaN or infinite.
    NotFinite {
        /// The layer's name.
        layer: String,
        /// The flat index of the first such weight that was met.
        index: usize,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// Two layers of the model have one name.
    DuplicateLayer {
        /// The name.
        layer: String,
    },
    /// The number of elements of a layer overflows.
    TooLarge {
        /// The layer's name.
        layer: String,
    },
    /// Sums of squares of its weights, or of how they differ from another model's, overflow double
    /// precision.
    Overflow,
    /// The model has no tensor with two dimensions longer than 1.
    NoWeightMatrix,
    /// The models of its group share no layer that was selected.
    NoSharedLayer {
        /// How many models the group has.
        models: usize,
    },
    /// The singular values of a difference of layers could not be had.
    Rank {
        /// The layer's name.
        layer: String,
        /// What the rank kernel said.
        reason: String,
    },
}

impl fmt::Display for ModelFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listing { reason } => write!(f, "its layers can't be listed: {reason}"),
            Self::Reading { layer, reason } => {
                write!(f, "layer `{layer}` can't be read: {reason}")
            }
            Self::Changed { layer } => {
                write!(f, "layer `{layer}` changed while it was measured")
            }
            Self::NotFinite {
                layer,
                index,
                value,
            } => write!(f, "layer `{layer}` holds {value} at index {index}"),
            Self::DuplicateLayer { layer } => write!(f, "two of its layers are named `{layer}`"),
            Self::TooLarge { layer } => {
                write!(f, "layer `{layer}` has more elements than can be counted")
            }
            Self::Overflow => f.write_str("squares of its weights overflow"),
            Self::NoWeightMatrix => f.write_str("it has no weight matrix"),
            Self::NoSharedLayer { models } => write!(
                f,
                "the {models} models of its architecture share no layer of those selected"
            ),
            Self::Rank { layer, reason } => {
                write!(f, "the rank of layer `{layer}` can't be found: {reason}")
            }
        }
    }
}

/// A model that was left out, and why.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SkippedModel {
    /// The model's name.
    pub model: String,
    /// Why it was left out.
    pub failure: ModelFailure,
}

impl fmt::Display for SkippedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model `{}`: {}", self.model, self.failure)
    }
}

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
    /// There can be no such update: one of the models doesn't exist, both are the same, the pair has
    /// two, or its rank is above the largest that there can be.
    Update {
        /// The position of the first model.
        first: usize,
        /// The position of the second.
        second: usize,
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
}

impl fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateModel { model } => write!(f, "two models are named `{model}`"),
            Self::Model(skipped) => skipped.fmt(f),
            Self::Cancelled => f.write_str("the measurement was cancelled"),
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
            Self::Update { first, second } => {
                write!(f, "models {first} and {second} can't have such an update")
            }
            Self::Order { model } => {
                write!(f, "model `{model}` is not in the order of the names")
            }
            Self::Number {
                table,
                model,
                value,
            } => write!(f, "the {table} of model `{model}` can't be {value}"),
        }
    }
}

impl Error for EvidenceError {}
