//! Why there is no forest.

use super::model::JointConstant;
use crate::arborescence::ArborescenceError;
use crate::clustering::ClusteringError;
use crate::condensed::CondensedError;
use crate::heritage::{Contradiction, GraphError};

crate::errors::errors! {
    /// Why there is no forest.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum RecoveryError {
        /// So many trees can't be made of so many models.
        Count {
            /// The number of trees wanted.
            trees: usize,
            /// The number of models.
            models: usize,
        } => "{models} models can't form {trees} trees",
        /// The distance threshold is NaN or negative.
        Threshold {
            /// The threshold.
            distance: f64,
        } => "a distance threshold can't be {distance}",
        /// c of Eq. 6 is negative or not finite.
        Penalty {
            /// The value.
            c: f64,
        } => "the penalty c can't be {c}",
        /// A constant of the joint model isn't from 0 to 1000.
        Constant {
            /// The constant.
            constant: JointConstant,
            /// Its value.
            value: f64,
        } => "the constant {constant} of the joint model can't be {value}",
        /// The clusters are for other evidence.
        Partition => "the clusters are not those of this evidence",
        /// What is said to be known can't be.
        Knowledge(Contradiction),
        /// The distances can't be clustered.
        Clustering(ClusteringError),
        /// A table of distances is broken.
        Distances(CondensedError),
        /// A cluster can't be spanned.
        Arborescence(ArborescenceError),
        /// The result is no forest.
        Graph(GraphError),
    }
}
