//! Why a list of models is not a forest.

use alloc::string::String;

crate::errors::errors! {
    /// Why a [`ModelGraph`](super::ModelGraph) couldn't be made.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum GraphError {
        /// Two models have the same name.
        DuplicateName {
            /// The name.
            model: String,
        } => "two models are named {model:?}",
        /// A written graph is of a later version of the format.
        Version {
            /// That version.
            found: u32,
        } => "unsupported graph version {found}; only version 1 can be read",
        /// A parent's name belongs to none of the models.
        UnknownParent {
            /// The child's name.
            model: String,
            /// The name of the missing parent.
            parent: String,
        } => "model {model:?} has an unknown parent, {parent:?}",
        /// A parent's position is past the end of the list.
        ParentOutOfRange {
            /// The child's name.
            model: String,
            /// The position past the end.
            parent: usize,
            /// The number of models.
            models: usize,
        } => "model {model:?} has parent {parent}, but there are only {models} models",
        /// A model has several incoming edges.
        SeveralParents {
            /// The model's name.
            model: String,
        } => "model {model:?} has several parents",
        /// A model is its own ancestor.
        Cycle {
            /// The name of a model on the cycle.
            model: String,
        } => "model {model:?} is its own ancestor",
        /// A score is infinite or not a number.
        NonFiniteScore {
            /// The model's name.
            model: String,
            /// The score.
            score: f64,
        } => "score {score} of model {model:?} is not finite",
        /// A distance is infinite or not a number.
        NonFiniteDistance {
            /// The child's name.
            model: String,
            /// The distance.
            distance: f64,
        } => "distance {distance} of model {model:?} from its parent is not finite",
        /// The weight of a parent of a merged model is NaN or infinite.
        NonFiniteWeight {
            /// The merged model.
            model: String,
            /// The weight.
            weight: f64,
        } => "weight {weight} of a parent of the merged model {model:?} is not finite",
        /// A confidence is not between 0 and 1.
        ConfidenceOutOfRange {
            /// The child's name.
            model: String,
            /// The confidence.
            confidence: f64,
        } => "confidence {confidence} in the parent of model {model:?} is not from 0 to 1",
    }
}
