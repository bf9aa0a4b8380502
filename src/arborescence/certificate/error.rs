//! Why a certificate proves nothing.

use core::fmt;

/// What a certificate fails to prove.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CertificateError {
    /// The certificate is for another number of nodes.
    Size {
        /// The number of nodes of the certificate.
        certificate: usize,
        /// The number of nodes of the arborescence or the digraph.
        given: usize,
    },
    /// The arborescence has another root than the one the certificate is for.
    Root {
        /// The root of the arborescence.
        root: usize,
    },
    /// The parents of this node don't lead to the root.
    NotSpanning {
        /// The node.
        node: usize,
    },
    /// The digraph doesn't have this edge of the arborescence, or not at this weight.
    NoSuchEdge {
        /// The node the edge leaves.
        from: usize,
        /// The node the edge enters.
        to: usize,
    },
    /// A set of several nodes has a negative cost.
    NegativeCost {
        /// The lowest node of the set.
        node: usize,
        /// The cost.
        cost: f64,
    },
    /// An edge weighs less than the sets cost that it enters.
    NegativeReducedWeight {
        /// The node the edge leaves.
        from: usize,
        /// The node the edge enters.
        to: usize,
        /// The weight less the costs.
        reduced: f64,
    },
    /// An edge enters the set that only the virtual root should.
    RootSetEntered {
        /// The node the edge leaves.
        from: usize,
        /// The node the edge enters.
        to: usize,
    },
    /// The bound for some root is below the weight of the arborescence.
    Gap {
        /// The root.
        root: usize,
        /// The bound for it.
        bound: f64,
        /// The weight of the arborescence.
        weight: f64,
    },
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { certificate, given } => {
                write!(f, "the certificate is for {certificate} nodes, not {given}")
            }
            Self::Root { root } => write!(f, "the certificate is not for root {root}"),
            Self::NotSpanning { node } => {
                write!(f, "the parents of node {node} don't lead to the root")
            }
            Self::NoSuchEdge { from, to } => {
                write!(f, "the digraph has no such edge from {from} to {to}")
            }
            Self::NegativeCost { node, cost } => {
                write!(f, "a set that holds node {node} has the cost {cost}")
            }
            Self::NegativeReducedWeight { from, to, reduced } => write!(
                f,
                "the edge from {from} to {to} has the reduced weight {reduced}"
            ),
            Self::RootSetEntered { from, to } => {
                write!(f, "the edge from {from} to {to} enters the root set")
            }
            Self::Gap {
                root,
                bound,
                weight,
            } => write!(
                f,
                "the bound for root {root} is {bound}, below the weight {weight}"
            ),
        }
    }
}

impl core::error::Error for CertificateError {}
