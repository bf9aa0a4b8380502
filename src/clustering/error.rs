//! Errors of clustering, of building a dendrogram, and of cutting it.

crate::errors::errors! {
    /// Why points can't be clustered, steps don't form a dendrogram, or a dendrogram can't be cut as asked.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum ClusteringError {
        /// There are no points.
        Empty => "there is no point to cluster",
        /// A distance is negative or infinite.
        Distance {
            /// The pair's first point.
            row: usize,
            /// The pair's second point.
            column: usize,
            /// The distance.
            value: f64,
        } => "the distance of points {row} and {column} cannot be {value}",
        /// There is not enough memory for the distances of this many points.
        Memory {
            /// The number of points.
            points: usize,
        } => "no memory for the distances of {points} points",
        /// The number of clusters is zero or exceeds the number of points.
        Count {
            /// The requested number of clusters.
            clusters: usize,
            /// The number of points.
            points: usize,
        } => "{points} points cannot be in {clusters} clusters",
        /// The number of steps isn't one less than the number of points.
        Steps {
            /// The number of points.
            points: usize,
            /// The number of steps.
            steps: usize,
        } => "{steps} steps cannot merge {points} points",
        /// A step's labels are out of order, refer to a later cluster, or were merged before.
        Labels {
            /// The step.
            step: usize,
            /// The lower label.
            left: usize,
            /// The higher label.
            right: usize,
        } => "step {step} cannot merge clusters {left} and {right}",
        /// A step's height is negative, infinite or NaN.
        Height {
            /// The step.
            step: usize,
            /// The height.
            height: f64,
        } => "step {step} cannot be at {height}",
        /// A step's size isn't the sum of the sizes of the clusters it merges.
        Size {
            /// The step.
            step: usize,
            /// The size.
            size: usize,
        } => "the cluster of step {step} cannot have {size} points",
    }
}
