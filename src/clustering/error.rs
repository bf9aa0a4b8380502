//! What can't be clustered, and what is no dendrogram or no cut of one.

crate::errors::errors! {
    /// Why points can't be clustered, steps are no dendrogram, or a dendrogram can't be cut so.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum ClusteringError {
        /// There is no point.
        Empty => "there is no point to cluster",
        /// A distance is negative or infinite.
        Distance {
            /// The pair's first point.
            row: usize,
            /// The pair's second point.
            column: usize,
            /// The distance.
            value: f64,
        } => "the distance of points {row} and {column} can't be {value}",
        /// There is no memory for the distances of so many points.
        Memory {
            /// The number of points.
            points: usize,
        } => "no memory for the distances of {points} points",
        /// So many points can't be in so many clusters, each with a point.
        Count {
            /// The number of clusters wanted.
            clusters: usize,
            /// The number of points.
            points: usize,
        } => "{points} points can't be in {clusters} clusters",
        /// A dendrogram has one step less than points.
        Steps {
            /// The number of points.
            points: usize,
            /// The number of steps.
            steps: usize,
        } => "{steps} steps can't merge {points} points",
        /// A step's labels are out of order, not made yet, or merged before.
        Labels {
            /// The step.
            step: usize,
            /// The lesser label.
            left: usize,
            /// The greater label.
            right: usize,
        } => "step {step} can't merge clusters {left} and {right}",
        /// A step's height is negative, infinite or NaN.
        Height {
            /// The step.
            step: usize,
            /// The height.
            height: f64,
        } => "step {step} can't be at {height}",
        /// A step's size isn't the sum of those of the clusters it merges.
        Size {
            /// The step.
            step: usize,
            /// The size.
            size: usize,
        } => "the cluster of step {step} can't have {size} points",
    }
}
