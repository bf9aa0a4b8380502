//! What is wrong with a result.

use alloc::string::String;

crate::errors::errors! {
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
        } => "there should be {expected} entries, there are {found}",
        /// A step of a dendrogram merges what isn't there (any more), or in the wrong order.
        Labels {
            /// The step.
            step: usize,
            /// The lesser label.
            left: usize,
            /// The greater label.
            right: usize,
        } => "step {step} can't merge clusters {left} and {right}",
        /// The size of a merged cluster isn't the sum of its parts.
        ClusterSize {
            /// The step.
            step: usize,
            /// The sum.
            expected: usize,
            /// The size given.
            found: usize,
        } => "the cluster of step {step} has {expected} points, not {found}",
        /// A height is NaN, infinite or negative, or it is below one that it can't be below.
        Height {
            /// The step.
            step: usize,
            /// The height.
            height: f64,
        } => "step {step} can't be at height {height}",
        /// Two points are together in the finer of two partitions and apart in the coarser.
        NotNested {
            /// One point.
            first: usize,
            /// The other.
            second: usize,
        } => "points {first} and {second} are together in the finer partition, apart in the coarser",
        /// A node has a parent that doesn't exist.
        NoSuchParent {
            /// The node.
            node: usize,
            /// The parent.
            parent: usize,
        } => "node {node} has the parent {parent}, which doesn't exist",
        /// A node is its own ancestor.
        Cycle {
            /// The lowest such node.
            node: usize,
        } => "node {node} is its own ancestor",
        /// There isn't exactly one root.
        Roots {
            /// How many there are.
            found: usize,
        } => "there should be one root, there are {found}",
        /// An edge is used that is forbidden or has no weight.
        ForbiddenEdge {
            /// The node the edge leaves.
            from: usize,
            /// The node the edge enters.
            to: usize,
        } => "the edge from {from} to {to} must not be used",
        /// A set of several nodes has a negative cost, or a cost that is no number.
        Cost {
            /// The position of the set.
            set: usize,
            /// The cost.
            cost: f64,
        } => "set {set} can't cost {cost}",
        /// An edge weighs less than the sets cost that it enters.
        DualInfeasible {
            /// The node the edge leaves.
            from: usize,
            /// The node the edge enters.
            to: usize,
            /// What the sets cost more than the edge weighs.
            excess: f64,
        } => "the sets that the edge from {from} to {to} enters cost {excess} more than it weighs",
        /// Something lighter isn't ruled out.
        Gap {
            /// The weight of the arborescence.
            weight: f64,
            /// What the costs prove to be the least.
            bound: f64,
        } => "the arborescence weighs {weight}, and no more than {bound} is proved to be needed",
        /// The models of a graph aren't those of the evidence, each once.
        Models {
            /// A name that is missing, twice, or too many.
            name: String,
        } => "model `{name}` isn't in the graph and the evidence once each",
        /// Two models of different architectures are in one tree.
        Architectures {
            /// The child.
            child: String,
            /// The parent.
            parent: String,
        } => "`{parent}` has another architecture than its child `{child}`",
        /// A layer can't be listed or read.
        Source {
            /// The layer; empty where it can't be listed.
            layer: String,
            /// What the source said.
            reason: String,
        } => "layer `{layer}` can't be listed or read: {reason}",
        /// Two layers of a source have one name, or it lists others the second time.
        Layers {
            /// The name of the layer.
            layer: String,
        } => "layer `{layer}` isn't listed once each time",
        /// What a layer says of itself contradicts what it is.
        Layer {
            /// The name of the layer.
            layer: String,
            /// What is contradicted.
            property: &'static str,
        } => "layer `{layer}` contradicts itself: {property}",
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
        } => "layer `{layer}` has {found} at index {index}, where {expected} should be",
        /// A result for renumbered items isn't the renumbered result.
        Relabelling {
            /// The item, by its number before.
            item: usize,
        } => "the result for item {item} changes when items are renumbered",
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
        } => "the distance of {row} and {column} should be {expected}, it is {found}",
    }
}
