//! The violations that invariants report.

use alloc::string::String;

crate::errors::errors! {
    /// How a result violates an invariant.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum Violation {
        /// The length of a table isn't the number of points, nodes or models.
        Length {
            /// The expected length.
            expected: usize,
            /// The actual length.
            found: usize,
        } => "expected {expected} entries, found {found}",
        /// A step of a dendrogram merges a cluster that doesn't exist or was merged before, or names its clusters
        /// in the wrong order.
        Labels {
            /// The step.
            step: usize,
            /// The lower label.
            left: usize,
            /// The higher label.
            right: usize,
        } => "step {step} cannot merge clusters {left} and {right}",
        /// The size of a merged cluster isn't the sum of its parts.
        ClusterSize {
            /// The step.
            step: usize,
            /// The sum of the parts.
            expected: usize,
            /// The size given in the step.
            found: usize,
        } => "the cluster of step {step} has {expected} points, not {found}",
        /// A height is NaN, infinite or negative, or below the previous one in a monotone linkage.
        Height {
            /// The step.
            step: usize,
            /// The height.
            height: f64,
        } => "invalid height {height} of step {step}",
        /// Two points are together in the finer partition but apart in the coarser one.
        NotNested {
            /// One point.
            first: usize,
            /// The other point.
            second: usize,
        } => "points {first} and {second} are together in the finer partition but apart in the coarser one",
        /// A node has a parent that doesn't exist.
        NoSuchParent {
            /// The node.
            node: usize,
            /// The parent.
            parent: usize,
        } => "node {node} has the parent {parent}, which does not exist",
        /// A node is its own ancestor.
        Cycle {
            /// The lowest such node.
            node: usize,
        } => "node {node} is its own ancestor",
        /// There isn't exactly one root.
        Roots {
            /// The number of roots.
            found: usize,
        } => "expected one root, found {found}",
        /// The root isn't the given one.
        WrongRoot {
            /// The node that should be the root.
            expected: usize,
        } => "node {expected} should be the root, but is not",
        /// An edge that is forbidden or has no weight is used.
        ForbiddenEdge {
            /// The node the edge leaves.
            from: usize,
            /// The node the edge enters.
            to: usize,
        } => "the edge from {from} to {to} must not be used",
        /// A set of several nodes has a negative cost, or some set has an infinite or NaN cost.
        Cost {
            /// The position of the set.
            set: usize,
            /// The cost.
            cost: f64,
        } => "invalid cost {cost} of set {set}",
        /// An edge weighs less than the total cost of the sets that it enters.
        DualInfeasible {
            /// The node the edge leaves.
            from: usize,
            /// The node the edge enters.
            to: usize,
            /// The cost of the sets minus the weight of the edge.
            excess: f64,
        } => "the sets entered by the edge from {from} to {to} cost {excess} more than its weight",
        /// The costs don't rule out a lighter arborescence.
        Gap {
            /// The weight of the arborescence.
            weight: f64,
            /// The lower bound that the costs prove.
            bound: f64,
        } => "the arborescence weighs {weight}, but the certificate proves a bound of only {bound}",
        /// The models of the graph aren't exactly those of the evidence, each once.
        Models {
            /// The name of a model that is missing, duplicated or unknown.
            name: String,
        } => "model `{name}` does not appear once in both the graph and the evidence",
        /// A parent and its child have different architectures.
        Architectures {
            /// The child.
            child: String,
            /// The parent.
            parent: String,
        } => "`{parent}` has another architecture than its child `{child}`",
        /// A layer can't be listed or read.
        Source {
            /// The layer; empty if layers can't be listed.
            layer: String,
            /// The source's error message.
            reason: String,
        } => "cannot list or read layer `{layer}`: {reason}",
        /// Two layers of a source have the same name, or the source lists different layers the second time.
        Layers {
            /// The name of the layer.
            layer: String,
        } => "layer `{layer}` is not listed exactly once every time",
        /// A layer's description contradicts its contents.
        Layer {
            /// The name of the layer.
            layer: String,
            /// The contradicted property.
            property: &'static str,
        } => "layer `{layer}` is inconsistent: {property}",
        /// A value differs when it is read in another way.
        Value {
            /// The name of the layer.
            layer: String,
            /// The flat index.
            index: usize,
            /// The expected value.
            expected: f64,
            /// The value read.
            found: f64,
        } => "layer `{layer}` has {found} at index {index} instead of {expected}",
        /// A result for renumbered items isn't the renumbered result.
        Relabelling {
            /// The item, by its original number.
            item: usize,
        } => "the result for item {item} changes when items are renumbered",
        /// A distance didn't scale with the weights.
        Distance {
            /// The pair's first point.
            row: usize,
            /// The pair's second point.
            column: usize,
            /// The expected distance.
            expected: f64,
            /// The distance found.
            found: f64,
        } => "the distance between {row} and {column} should be {expected}, but is {found}",
    }
}
