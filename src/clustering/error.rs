//! What can't be clustered, and what is no dendrogram or no cut of one.

use core::error::Error;
use core::fmt;

/// Why points can't be clustered, steps are no dendrogram, or a dendrogram can't be cut so.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClusteringError {
    /// There is no point.
    Empty,
    /// A distance is negative or infinite.
    Distance {
        /// The pair's first point.
        row: usize,
        /// The pair's second point.
        column: usize,
        /// The distance.
        value: f64,
    },
    /// There is no memory for the distances of so many points.
    Memory {
        /// The number of points.
        points: usize,
    },
    /// So many points can't be in so many clusters, each with a point.
    Count {
        /// The number of clusters wanted.
        clusters: usize,
        /// The number of points.
        points: usize,
    },
    /// A dendrogram has one step less than points.
    Steps {
        /// The number of points.
        points: usize,
        /// The number of steps.
        steps: usize,
    },
    /// A step's labels are out of order, not made yet, or merged before.
    Labels {
        /// The step.
        step: usize,
        /// The lesser label.
        left: usize,
        /// The greater label.
        right: usize,
    },
    /// A step's height is negative, infinite or NaN.
    Height {
        /// The step.
        step: usize,
        /// The height.
        height: f64,
    },
    /// A step's size isn't the sum of those of the clusters it merges.
    Size {
        /// The step.
        step: usize,
        /// The size.
        size: usize,
    },
}

impl fmt::Display for ClusteringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no point to cluster"),
            Self::Distance { row, column, value } => {
                write!(
                    f,
                    "the distance of points {row} and {column} can't be {value}"
                )
            }
            Self::Memory { points } => {
                write!(f, "no memory for the distances of {points} points")
            }
            Self::Count { clusters, points } => {
                write!(f, "{points} points can't be in {clusters} clusters")
            }
            Self::Steps { points, steps } => {
                write!(f, "{steps} steps can't merge {points} points")
            }
            Self::Labels { step, left, right } => {
                write!(f, "step {step} can't merge clusters {left} and {right}")
            }
            Self::Height { step, height } => write!(f, "step {step} can't be at {height}"),
            Self::Size { step, size } => {
                write!(f, "the cluster of step {step} can't have {size} points")
            }
        }
    }
}

impl Error for ClusteringError {}
