//! Why there is no forest.

use core::error::Error;
use core::fmt;

use super::model::JointConstant;
use crate::arborescence::ArborescenceError;
use crate::clustering::ClusteringError;
use crate::condensed::CondensedError;
use crate::heritage::{Contradiction, GraphError};

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
    },
    /// The distance threshold is NaN or negative.
    Threshold {
        /// The threshold.
        distance: f64,
    },
    /// c of Eq. 6 is negative or not finite.
    Penalty {
        /// The value.
        c: f64,
    },
    /// A constant of the joint model isn't from 0 to 1000.
    Constant {
        /// The constant.
        constant: JointConstant,
        /// Its value.
        value: f64,
    },
    /// The clusters are for other evidence.
    Partition,
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

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { trees, models } => {
                write!(f, "{models} models can't form {trees} trees")
            }
            Self::Threshold { distance } => {
                write!(f, "a distance threshold can't be {distance}")
            }
            Self::Penalty { c } => write!(f, "the penalty c can't be {c}"),
            Self::Constant { constant, value } => {
                write!(
                    f,
                    "the constant {constant} of the joint model can't be {value}"
                )
            }
            Self::Partition => f.write_str("the clusters are not those of this evidence"),
            Self::Knowledge(error) => error.fmt(f),
            Self::Clustering(error) => error.fmt(f),
            Self::Distances(error) => error.fmt(f),
            Self::Arborescence(error) => error.fmt(f),
            Self::Graph(error) => error.fmt(f),
        }
    }
}

impl Error for RecoveryError {}

macro_rules! from_error {
    ($($variant:ident($error:ty)),*) => {$(
        impl From<$error> for RecoveryError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from_error!(
    Knowledge(Contradiction),
    Clustering(ClusteringError),
    Distances(CondensedError),
    Arborescence(ArborescenceError),
    Graph(GraphError)
);
