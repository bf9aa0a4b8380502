//! Why a list of models is no forest.

use core::error::Error;
use core::fmt;

use alloc::string::String;

/// Why a [`ModelGraph`](super::ModelGraph) could not be made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GraphError {
    /// Two models have the same name.
    DuplicateName {
        /// The name.
        model: String,
    },
    /// A parent was given by a name that no model has.
    UnknownParent {
        /// The child's name.
        model: String,
        /// The name of the parent that isn't there.
        parent: String,
    },
    /// A parent was given by a position past the end of the list.
    ParentOutOfRange {
        /// The child's name.
        model: String,
        /// The position that isn't there.
        parent: usize,
        /// How many models there are.
        models: usize,
    },
    /// Several edges of a graph lead to one model.
    SeveralParents {
        /// The model's name.
        model: String,
    },
    /// A model is its own ancestor.
    Cycle {
        /// The name of a model on the cycle.
        model: String,
    },
    /// A score is infinite or not a number.
    NonFiniteScore {
        /// The model's name.
        model: String,
        /// The score.
        score: f64,
    },
    /// A distance is infinite or not a number.
    NonFiniteDistance {
        /// The child's name.
        model: String,
        /// The distance.
        distance: f64,
    },
    /// The weight of a parent of a merged model is NaN or infinite.
    NonFiniteWeight {
        /// The merged model.
        model: String,
        /// The weight.
        weight: f64,
    },
    /// A confidence is not a number from 0 to 1.
    ConfidenceOutOfRange {
        /// The child's name.
        model: String,
        /// The confidence.
        confidence: f64,
    },
}

impl fmt::Display for GraphError {
    // Names are printed with `{:?}`, so that a line break in one doesn't break the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName { model } => write!(f, "two models are named {model:?}"),
            Self::UnknownParent { model, parent } => {
                write!(f, "model {model:?} has an unknown parent, {parent:?}")
            }
            Self::ParentOutOfRange {
                model,
                parent,
                models,
            } => write!(
                f,
                "model {model:?} has parent {parent}, but there are only {models} models"
            ),
            Self::SeveralParents { model } => write!(f, "several edges lead to model {model:?}"),
            Self::Cycle { model } => write!(f, "model {model:?} is its own ancestor"),
            Self::NonFiniteScore { model, score } => {
                write!(f, "score {score} of model {model:?} is not finite")
            }
            Self::NonFiniteDistance { model, distance } => write!(
                f,
                "distance {distance} of model {model:?} from its parent is not finite"
            ),
            Self::NonFiniteWeight { model, weight } => write!(
                f,
                "weight {weight} of a parent of the merged model {model:?} is not finite"
            ),
            Self::ConfidenceOutOfRange { model, confidence } => write!(
                f,
                "confidence {confidence} in the parent of model {model:?} is not from 0 to 1"
            ),
        }
    }
}

impl Error for GraphError {}
