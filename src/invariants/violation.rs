//! What is wrong with a result.

use core::error::Error;
use core::fmt;

use alloc::string::String;

/// What an invariant finds wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Violation {
    /// A table has another length than there are points, nodes or models.
    Length {
        /// The length that it should have.
        expected: usize,
        /// The length that it has.
        found: usize,
    },
    /// A step of a dendrogram merges what isn't there (any more), or in the wrong order.
    Labels {
        /// The step.
        step: usize,
        /// The lesser label.
        left: usize,
        /// The greater label.
        right: usize,
    },
    /// The size of a merged cluster isn't the sum of its parts.
    ClusterSize {
        /// The step.
        step: usize,
        /// The sum.
        expected: usize,
        /// The size given.
        found: usize,
    },
    /// A height is NaN, infinite or negative, or it is below one that it can't be below.
    Height {
        /// The step.
        step: usize,
        /// The height.
        height: f64,
    },
    /// Two points are together in the finer of two partitions and apart in the coarser.
    NotNested {
        /// One point.
        first: usize,
        /// The other.
        second: usize,
    },
    /// A node has a parent that doesn't exist.
    NoSuchParent {
        /// The node.
        node: usize,
        /// The parent.
        parent: usize,
    },
    /// A node is its own ancestor.
    Cycle {
        /// The lowest such node.
        node: usize,
    },
    /// There isn't exactly one root.
    Roots {
        /// How many there are.
        found: usize,
    },
    /// An edge is used that is forbidden or has no weight.
    ForbiddenEdge {
        /// The node the edge leaves.
        from: usize,
        /// The node the edge enters.
        to: usize,
    },
    /// A set of several nodes has a negative cost, or a cost that is no number.
    Cost {
        /// The position of the set.
        set: usize,
        /// The cost.
        cost: f64,
    },
    /// An edge weighs less than the sets cost that it enters.
    DualInfeasible {
        /// The node the edge leaves.
        from: usize,
        /// The node the edge enters.
        to: usize,
        /// What the sets cost more than the edge weighs.
        excess: f64,
    },
    /// Something lighter isn't ruled out.
    Gap {
        /// The weight of the arborescence.
        weight: f64,
        /// What the costs prove to be the least.
        bound: f64,
    },
    /// The models of a graph aren't those of the evidence, each once.
    Models {
        /// A name that is missing, twice, or too many.
        name: String,
    },
    /// Two models of different architectures are in one tree.
    Architectures {
        /// The child.
        child: String,
        /// The parent.
        parent: String,
    },
    /// A layer can't be listed or read.
    Source {
        /// The layer; empty where it can't be listed.
        layer: String,
        /// What the source said.
        reason: String,
    },
    /// Two layers of a source have one name, or it lists others the second time.
    Layers {
        /// The name of the layer.
        layer: String,
    },
    /// What a layer says of itself contradicts what it is.
    Layer {
        /// The name of the layer.
        layer: String,
        /// What is contradicted.
        property: &'static str,
    },
    /// A value is another one when it is read in another way.
    Value {
        /// The name of the layer.
        layer: String,
        /// The flat index.
        index: usize,
        /// The value that it should be.
        expected: f64,
        /// The value read.
        found: f64,
    },
    /// A result for renumbered items isn't the renumbered result.
    Relabelling {
        /// The item, by its number before.
        item: usize,
    },
    /// A distance didn't scale as the weights did.
    Distance {
        /// The pair's first point.
        row: usize,
        /// The pair's second point.
        column: usize,
        /// The distance that it should be.
        expected: f64,
        /// The distance found.
        found: f64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, found } => {
                write!(f, "there should be {expected} entries, there are {found}")
            }
            Self::Labels { step, left, right } => {
                write!(f, "step {step} can't merge clusters {left} and {right}")
            }
            Self::ClusterSize {
                step,
                expected,
                found,
            } => write!(
                f,
                "the cluster of step {step} has {expected} points, not {found}"
            ),
            Self::Height { step, height } => {
                write!(f, "step {step} can't be at height {height}")
            }
            Self::NotNested { first, second } => write!(
                f,
                "points {first} and {second} are together in the finer partition, apart in the coarser"
            ),
            Self::NoSuchParent { node, parent } => {
                write!(
                    f,
                    "node {node} has the parent {parent}, which doesn't exist"
                )
            }
            Self::Cycle { node } => write!(f, "node {node} is its own ancestor"),
            Self::Roots { found } => write!(f, "there should be one root, there are {found}"),
            Self::ForbiddenEdge { from, to } => {
                write!(f, "the edge from {from} to {to} must not be used")
            }
            Self::Cost { set, cost } => write!(f, "set {set} can't cost {cost}"),
            Self::DualInfeasible { from, to, excess } => write!(
                f,
                "the sets that the edge from {from} to {to} enters cost {excess} more than it weighs"
            ),
            Self::Gap { weight, bound } => write!(
                f,
                "the arborescence weighs {weight}, and no more than {bound} is proved to be needed"
            ),
            Self::Models { name } => {
                write!(
                    f,
                    "model `{name}` isn't in the graph and the evidence once each"
                )
            }
            Self::Architectures { child, parent } => {
                write!(
                    f,
                    "`{parent}` has another architecture than its child `{child}`"
                )
            }
            Self::Source { layer, reason } => {
                write!(f, "layer `{layer}` can't be listed or read: {reason}")
            }
            Self::Layers { layer } => {
                write!(f, "layer `{layer}` isn't listed once each time")
            }
            Self::Layer { layer, property } => {
                write!(f, "layer `{layer}` contradicts itself: {property}")
            }
            Self::Value {
                layer,
                index,
                expected,
                found,
            } => write!(
                f,
                "layer `{layer}` has {found} at index {index}, where {expected} should be"
            ),
            Self::Relabelling { item } => {
                write!(
                    f,
                    "the result for item {item} changes when items are renumbered"
                )
            }
            Self::Distance {
                row,
                column,
                expected,
                found,
            } => write!(
                f,
                "the distance of {row} and {column} should be {expected}, it is {found}"
            ),
        }
    }
}

impl Error for Violation {}
