//! Why there is no arborescence, or why the input describes no digraph.

use core::fmt;

/// Why a digraph or its minimum spanning arborescence could not be had.
///
/// Nodes are named by index. Of several faults in the input the first is named, in the order in
/// which the input lists the edges.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArborescenceError {
    /// The digraph has no node, so it has no root.
    Empty,
    /// The number of weights is not the square of the number of nodes.
    WeightCount {
        /// The number of nodes.
        size: usize,
        /// The number of weights given.
        weights: usize,
    },
    /// More nodes or edges than can be indexed or stored.
    TooLarge {
        /// The number of nodes of a dense digraph, or of edges of a sparse one.
        size: usize,
    },
    /// The weight of an edge is NaN.
    NotANumber {
        /// The node the edge leaves.
        from: usize,
        /// The node the edge enters.
        to: usize,
    },
    /// The weight of an edge is −∞; only +∞ has a meaning, an edge that must not be used.
    NegativeInfinity {
        /// The node the edge leaves.
        from: usize,
        /// The node the edge enters.
        to: usize,
    },
    /// An edge of a sparse digraph ends at a node that doesn't exist.
    NoSuchNode {
        /// The index of the edge.
        edge: usize,
        /// The node it names.
        node: usize,
        /// The number of nodes.
        size: usize,
    },
    /// The given root doesn't exist.
    NoSuchRoot {
        /// The given root.
        root: usize,
        /// The number of nodes.
        size: usize,
    },
    /// No path leads from the given root to this node.
    Unreachable {
        /// The given root.
        root: usize,
        /// A node that can't be reached.
        node: usize,
    },
    /// The weights of the edges into a node differ by so much that `f64` can't tell the probabilities of
    /// other edges from each other.
    Range {
        /// The node.
        node: usize,
    },
    /// No node reaches both of these nodes, so no node can be the root.
    NoArborescence {
        /// The lower of the two.
        first: usize,
        /// The higher of the two.
        second: usize,
    },
}

impl fmt::Display for ArborescenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a digraph without nodes has no root"),
            Self::WeightCount { size, weights } => write!(
                f,
                "a digraph of {size} nodes needs {size} times {size} weights, not {weights}"
            ),
            Self::TooLarge { size } => {
                write!(f, "a digraph of size {size} is too large to be stored")
            }
            Self::NotANumber { from, to } => {
                write!(f, "the weight of the edge from {from} to {to} is NaN")
            }
            Self::NegativeInfinity { from, to } => {
                write!(f, "the weight of the edge from {from} to {to} is -inf")
            }
            Self::NoSuchNode { edge, node, size } => write!(
                f,
                "edge {edge} names node {node}, but the nodes are numbered from 0 to below {size}"
            ),
            Self::NoSuchRoot { root, size } => write!(
                f,
                "root {root} is no node: they are numbered from 0 to below {size}"
            ),
            Self::Unreachable { root, node } => {
                write!(f, "node {node} can't be reached from root {root}")
            }
            Self::Range { node } => write!(
                f,
                "the weights of the edges into node {node} differ by more than 1e12"
            ),
            Self::NoArborescence { first, second } => {
                write!(f, "no node reaches both node {first} and node {second}")
            }
        }
    }
}

impl core::error::Error for ArborescenceError {}
