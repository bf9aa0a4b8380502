//! Why there is no arborescence, or why the input doesn't describe a digraph.

crate::errors::errors! {
    /// Why a digraph could not be built, or why it has no minimum spanning arborescence.
    ///
    /// Nodes are named by index. If the input has several faults, the error names the first, in the order in
    /// which the input lists the edges.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum ArborescenceError {
        /// The digraph has no nodes, so it has no root.
        Empty => "empty digraph",
        /// The number of weights is not the square of the number of nodes.
        WeightCount {
            /// The number of nodes.
            size: usize,
            /// The number of weights given.
            weights: usize,
        } => "a digraph of {size} nodes needs {size} x {size} weights, not {weights}",
        /// More nodes or edges than can be indexed or stored.
        TooLarge {
            /// The number of nodes of a dense digraph, or of edges of a sparse one.
            size: usize,
        } => "digraph too large: {size} nodes",
        /// The weight of an edge is NaN.
        NotANumber {
            /// The node the edge leaves.
            from: usize,
            /// The node the edge enters.
            to: usize,
        } => "the weight of the edge from {from} to {to} is NaN",
        /// The weight of an edge is −∞. Only +∞ is allowed; it marks an edge that must not be used.
        NegativeInfinity {
            /// The node the edge leaves.
            from: usize,
            /// The node the edge enters.
            to: usize,
        } => "the weight of the edge from {from} to {to} is -inf",
        /// An end of an edge of a sparse digraph is a node that doesn't exist.
        NoSuchNode {
            /// The index of the edge.
            edge: usize,
            /// The node that doesn't exist.
            node: usize,
            /// The number of nodes.
            size: usize,
        } => "edge {edge} names node {node}, which is not in a digraph of size {size}",
        /// The given root doesn't exist.
        NoSuchRoot {
            /// The given root.
            root: usize,
            /// The number of nodes.
            size: usize,
        } => "root {root} is not a node of a digraph of size {size}",
        /// No path leads from the given root to this node.
        Unreachable {
            /// The given root.
            root: usize,
            /// A node that can't be reached.
            node: usize,
        } => "node {node} is unreachable from root {root}",
        /// The weights of the edges into a node differ by more than 1e12, too much for `f64` to compute the
        /// probabilities of other edges accurately.
        Range {
            /// The node.
            node: usize,
        } => "the weights of the edges into node {node} differ by more than 1e12",
        /// No node reaches both of these nodes, so no node can be the root.
        NoArborescence {
            /// The lower of the two.
            first: usize,
            /// The higher of the two.
            second: usize,
        } => "no node reaches both node {first} and node {second}",
    }
}
