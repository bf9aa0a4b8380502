//! Why recovery failed.

use super::model::JointConstant;
use crate::arborescence::ArborescenceError;
use crate::clustering::ClusteringError;
use crate::condensed::CondensedError;
use crate::heritage::{Contradiction, GraphError};

crate::errors::errors! {
    /// Why a forest couldn't be recovered.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum RecoveryError {
        /// The requested number of trees is zero or larger than the number of models.
        Count {
            /// The requested number of trees.
            trees: usize,
            /// The number of models.
            models: usize,
        } => "{models} models cannot form {trees} trees",
        /// The distance threshold is NaN or negative.
        Threshold {
            /// The threshold.
            distance: f64,
        } => "invalid distance threshold {distance}",
        /// c of Eq. 6 is negative or not finite.
        Penalty {
            /// The value.
            c: f64,
        } => "invalid penalty c: {c}",
        /// A constant of the joint model is outside 0 to 1000.
        Constant {
            /// The constant.
            constant: JointConstant,
            /// Its value.
            value: f64,
        } => "invalid value {value} of the constant `{constant}`",
        /// The clusters belong to other evidence.
        Partition => "the clusters do not match the evidence",
        /// The known facts contradict each other or the evidence.
        Knowledge(Contradiction),
        /// The distances can't be clustered.
        Clustering(ClusteringError),
        /// A table of distances is invalid.
        Distances(CondensedError),
        /// No tree spans a cluster.
        Arborescence(ArborescenceError),
        /// The result is not a forest.
        Graph(GraphError),
    }
}
