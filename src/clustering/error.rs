//! Errors of clustering, of building a dendrogram, and of cutting it.

crate::errors::errors! {
    /// Why points can't be clustered, steps don't form a dendrogram, or a dendrogram can't be cut as asked.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum ClusteringError {
        /// There are no points.
        Empty => "no points to cluster",
        /// A distance is negative or infinite.
        Distance {
            /// The pair's first point.
            row: usize,
            /// The pair's second point.
            column: usize,
            /// The distance.
            value: f64,
        } => "invalid distance {value} between points {row} and {column}",
        /// There is not enough memory for the distances of this many points.
        Memory {
            /// The number of points.
            points: usize,
        } => "out of memory for the distances of {points} points",
        /// The number of clusters is zero or exceeds the number of points.
        Count {
            /// The requested number of clusters.
            clusters: usize,
            /// The number of points.
            points: usize,
        } => "cannot cut {points} points into {clusters} clusters",
        /// The number of steps isn't one less than the number of points.
        Steps {
            /// The number of points.
            points: usize,
            /// The number of steps.
            steps: usize,
        } => "{steps} steps do not merge {points} points",
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
        } => "invalid height {height} of step {step}",
        /// A step's size isn't the sum of the sizes of the clusters it merges.
        Size {
            /// The step.
            step: usize,
            /// The size.
            size: usize,
        } => "invalid size {size} of the cluster of step {step}",
    }
}
