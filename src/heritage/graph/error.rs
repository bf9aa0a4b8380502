//! Why a list of models is no forest.

use alloc::string::String;

crate::errors::errors! {
    /// Why a [`ModelGraph`](super::ModelGraph) could not be made.
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
        } => "a graph of version {found} can't be read, only of version 1",
        /// A parent was given by a name that no model has.
        UnknownParent {
            /// The child's name.
            model: String,
            /// The name of the parent that isn't there.
            parent: String,
        } => "model {model:?} has an unknown parent, {parent:?}",
        /// A parent was given by a position past the end of the list.
        ParentOutOfRange {
            /// The child's name.
            model: String,
            /// The position that isn't there.
            parent: usize,
            /// How many models there are.
            models: usize,
        } => "model {model:?} has parent {parent}, but there are only {models} models",
        /// Several edges of a graph lead to one model.
        SeveralParents {
            /// The model's name.
            model: String,
        } => "several edges lead to model {model:?}",
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
        /// A confidence is not a number from 0 to 1.
        ConfidenceOutOfRange {
            /// The child's name.
            model: String,
            /// The confidence.
            confidence: f64,
        } => "confidence {confidence} in the parent of model {model:?} is not from 0 to 1",
    }
}
