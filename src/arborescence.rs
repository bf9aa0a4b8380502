//! Minimum spanning arborescences: the lightest directed tree that reaches every node from a root.
//!
//! In an *arborescence* of a weighted digraph, exactly one edge enters every node except the root, and a path
//! leads from the root to every node. It is the directed counterpart of a spanning tree.
//! [`minimum_arborescence`] finds one of minimum weight in a [`DenseDigraph`], and
//! [`minimum_arborescence_sparse`] in a list of edges, either for a given root or over all roots ([`Root`]).
//! The `_certified` variants also return a [`DualCertificate`], which lets a caller check that no
//! arborescence weighs less.
//!
//! # Method
//!
//! The algorithm is that of Chu and Liu, and of Edmonds. Every node chooses the cheapest edge that enters
//! it. Where the choices close a cycle, contract the cycle to one node, and lower the weight of each edge
//! into it by the weight of the edge it would replace. Following Gabow, Galil, Spencer and Tarjan, we grow a
//! path from a node against the direction of the edges until it meets a node that the root reaches, and
//! contract each cycle as it closes, so no work is repeated. Neither variant recurses.
//!
//! [`Root::Any`] doesn't need a large number in place of infinity: a contracted set takes its edge from a
//! virtual root only when no other edge enters it, which is exact. The weights of the best
//! arborescences for two roots then differ only by the costs of the sets that hold these roots, so one run
//! decides between all roots.
//!
//! # Ties
//!
//! Each node and each contracted cycle takes the cheapest edge. Among equally cheap edges it takes the one
//! that leaves the lowest node, then the one that enters the lowest node, then (for parallel edges) the
//! first in the list. Among equally good roots the lowest is taken. These choices alone determine which
//! cycles close, so the result doesn't depend on the order in which nodes or edges are visited. Where the
//! optimum is unique, renumbering the nodes renumbers the result.
//!
//! # Weights and rounding
//!
//! A weight may have either sign. +∞ marks an edge that must not be used; NaN and −∞ are errors. Costs are
//! computed in `f64` by successive subtraction. Where the subtractions are exact, as for whole numbers below
//! 2⁵³, the result is a minimum and ties are ties. Otherwise rounding may make the result heavier than the
//! minimum, by at most about n · ε · the largest magnitude of a weight (ε = 2.2e-16), and may decide between
//! two arborescences whose weights are closer than that. Differences don't overflow: if a weight exceeds
//! 1e288 in magnitude, all weights are scaled by 2⁻⁶⁴ during the computation, and those below 4e-289 lose
//! precision.
//!
//! # Examples
//!
//! ```
//! use mother::arborescence::{DenseDigraph, Root, minimum_arborescence};
//!
//! // From row to column.
//! let weights = vec![
//!     0.0, 3.0, 8.0, //
//!     4.0, 0.0, 1.0, //
//!     9.0, 1.0, 0.0,
//! ];
//! let digraph = DenseDigraph::new(3, weights)?;
//! let best = minimum_arborescence(&digraph, Root::Any)?;
//! assert_eq!(best.root(), 0);
//! assert_eq!(best.parents(), [None, Some(0), Some(1)]);
//! assert_eq!(best.weight(), 4.0);
//! # Ok::<(), mother::arborescence::ArborescenceError>(())
//! ```
//!
//! # References
//!
//! - Y. J. Chu, T. H. Liu (1965): On the shortest arborescence of a directed graph. Scientia Sinica
//!   14, 1396–1400.
//! - J. Edmonds (1967): Optimum branchings. Journal of Research of the National Bureau of Standards
//!   71B, 233–240. <https://doi.org/10.6028/jres.071B.032>
//! - R. E. Tarjan (1977): Finding optimum branchings. Networks 7, 25–35.
//!   <https://doi.org/10.1002/net.3230070103>
//! - H. N. Gabow, Z. Galil, T. Spencer, R. E. Tarjan (1986): Efficient algorithms for finding
//!   minimum spanning trees in undirected and directed graphs. Combinatorica 6, 109–122.
//!   <https://doi.org/10.1007/BF02579168>
//! - D. D. Sleator, R. E. Tarjan (1986): Self-adjusting heaps. SIAM Journal on Computing 15, 52–69.
//!   <https://doi.org/10.1137/0215004>

mod certificate;
mod contraction;
mod dense;
mod digraph;
mod distribution;
mod error;
mod reachability;
mod scale;
mod sparse;
mod tree;

use alloc::vec;
use alloc::vec::Vec;

use self::contraction::Contraction;
use self::dense::DenseEdges;
use self::scale::Scale;
use self::sparse::SparseEdges;
use crate::Scalar;

pub use self::certificate::DualCertificate;
pub use self::digraph::{DenseDigraph, Edge};
pub use self::distribution::{ArborescenceDistribution, arborescence_distribution};
pub use self::error::ArborescenceError;
pub use self::tree::Arborescence;

/// Which nodes may be the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Root {
    /// Only this node.
    At(usize),
    /// Any node: the root of the lightest arborescence is chosen, the lowest on ties.
    #[default]
    Any,
}

/// The minimum spanning arborescence of a dense digraph.
///
/// See the [module](self) for ties and rounding. A single node is its own arborescence, of weight 0.
///
/// # Errors
///
/// [`Empty`](ArborescenceError::Empty) for no nodes, [`NoSuchRoot`](ArborescenceError::NoSuchRoot)
/// for a root that doesn't exist. If there is no arborescence,
/// [`Unreachable`](ArborescenceError::Unreachable) with the lowest node that the given root doesn't
/// reach, or [`NoArborescence`](ArborescenceError::NoArborescence) with two nodes that can't both be
/// reached from any one node.
///
/// # Complexity
///
/// O(n²) time: every weight is read at most twice. Space is O(n), plus 16·n bytes for every contracted cycle
/// that isn't part of another one. There are at most n / 2 of these at a time, and only a few on random
/// weights.
///
/// # Examples
///
/// ```
/// use mother::arborescence::{ArborescenceError, DenseDigraph, Root, minimum_arborescence};
///
/// // A node can only be reached from lower ones.
/// let weight = |from: usize, to: usize| if from < to { 1.0 } else { f64::INFINITY };
/// let digraph = DenseDigraph::from_fn(4, weight)?;
/// assert_eq!(minimum_arborescence(&digraph, Root::Any)?.root(), 0);
/// assert_eq!(
///     minimum_arborescence(&digraph, Root::At(2)),
///     Err(ArborescenceError::Unreachable { root: 2, node: 0 })
/// );
/// # Ok::<(), ArborescenceError>(())
/// ```
pub fn minimum_arborescence<T: Scalar>(
    digraph: &DenseDigraph<T>,
    root: Root,
) -> Result<Arborescence<T>, ArborescenceError> {
    let solved = solve_dense(digraph, root)?;
    Ok(solved.arborescence)
}

/// [`minimum_arborescence`] with a proof that its result is a minimum.
///
/// # Errors
///
/// The same as for [`minimum_arborescence`].
///
/// # Examples
///
/// See [`DualCertificate`].
pub fn minimum_arborescence_certified<T: Scalar>(
    digraph: &DenseDigraph<T>,
    root: Root,
) -> Result<(Arborescence<T>, DualCertificate), ArborescenceError> {
    Ok(solve_dense(digraph, root)?.certified(digraph.size(), root))
}

/// The minimum spanning arborescence of the digraph with `size` nodes and these edges.
///
/// Parallel edges and loops are allowed; loops are never used. [`Arborescence::edge_index`] returns
/// the chosen edges. See the [module](self) for ties and rounding.
///
/// # Errors
///
/// The same as for [`minimum_arborescence`], and before that [`NoSuchNode`](ArborescenceError::NoSuchNode) for
/// an edge with an end that doesn't exist, [`NotANumber`](ArborescenceError::NotANumber) and
/// [`NegativeInfinity`](ArborescenceError::NegativeInfinity) for a weight that is NaN or −∞, and
/// [`TooLarge`](ArborescenceError::TooLarge) for 2³² − 1 edges or more. If there are fewer than
/// n − 1 edges, the nodes named as unreachable are the lowest ones that no edge enters.
///
/// # Complexity
///
/// O(m log n) time, O(m + n) space: 16 bytes per edge and about 250 per node.
///
/// # Examples
///
/// ```
/// use mother::arborescence::{Edge, Root, minimum_arborescence_sparse};
///
/// let edge = |from, to, weight| Edge { from, to, weight };
/// let edges = [edge(0, 1, 4.0), edge(2, 1, 1.0), edge(1, 2, 1.0), edge(0, 1, 3.0)];
/// let best = minimum_arborescence_sparse(3, &edges, Root::At(0))?;
/// assert_eq!(best.weight(), 4.0);
/// assert_eq!(best.parents(), [None, Some(0), Some(1)]);
/// assert_eq!(best.edge_index(1), Some(3));
/// # Ok::<(), mother::arborescence::ArborescenceError>(())
/// ```
pub fn minimum_arborescence_sparse<T: Scalar>(
    size: usize,
    edges: &[Edge<T>],
    root: Root,
) -> Result<Arborescence<T>, ArborescenceError> {
    let solved = solve_sparse(size, edges, root)?;
    Ok(solved.arborescence)
}

/// [`minimum_arborescence_sparse`] with a proof that its result is a minimum.
///
/// # Errors
///
/// The same as for [`minimum_arborescence_sparse`].
///
/// # Examples
///
/// ```
/// use mother::arborescence::{Edge, Root, minimum_arborescence_sparse_certified};
///
/// let edge = |from, to| Edge { from, to, weight: 1.0_f32 };
/// let edges = [edge(0, 1), edge(1, 0), edge(1, 2)];
/// let (best, certificate) = minimum_arborescence_sparse_certified(3, &edges, Root::Any)?;
/// assert_eq!(best.root(), 0);
/// assert_eq!(certificate.root_set(), Some(vec![0, 1]));
/// assert_eq!(certificate.bound(0), best.weight());
/// # Ok::<(), mother::arborescence::ArborescenceError>(())
/// ```
pub fn minimum_arborescence_sparse_certified<T: Scalar>(
    size: usize,
    edges: &[Edge<T>],
    root: Root,
) -> Result<(Arborescence<T>, DualCertificate), ArborescenceError> {
    Ok(solve_sparse(size, edges, root)?.certified(size, root))
}

struct Solved<T> {
    arborescence: Arborescence<T>,
    contraction: Contraction,
    scale: Scale,
}

impl<T> Solved<T> {
    fn certified(self, size: usize, root: Root) -> (Arborescence<T>, DualCertificate) {
        let certificate = DualCertificate::read_off(&self.contraction, size, root, self.scale);
        (self.arborescence, certificate)
    }
}

fn solve_dense<T: Scalar>(
    digraph: &DenseDigraph<T>,
    root: Root,
) -> Result<Solved<T>, ArborescenceError> {
    let size = digraph.size();
    check_root(size, root)?;
    let scale = Scale::for_magnitude(digraph.largest_magnitude());
    let mut contraction = Contraction::default();
    let mut edges = DenseEdges::new(digraph, scale);
    if contraction.run(size, root, &mut edges).is_err() {
        return Err(reachability::explain(size, root, |from| {
            (0..size).filter(move |&to| digraph.weight(from, to).is_some())
        }));
    }
    let chosen = chosen_root(&contraction, root);
    let weight_of = |from: usize, to, _| digraph.entering(to)[from];
    let arborescence = Arborescence::read_off(&contraction, size, chosen, scale, weight_of);
    Ok(Solved {
        arborescence,
        contraction,
        scale,
    })
}

fn solve_sparse<T: Scalar>(
    size: usize,
    edges: &[Edge<T>],
    root: Root,
) -> Result<Solved<T>, ArborescenceError> {
    check_root(size, root)?;
    let scale = Scale::for_magnitude(sparse::check(size, edges)?);
    if size - 1 > edges.len() {
        return Err(too_few_edges(edges, root));
    }
    let mut contraction = Contraction::default();
    let mut cheapest = SparseEdges::new(size, edges, scale);
    if contraction.run(size, root, &mut cheapest).is_err() {
        drop(cheapest);
        return Err(explain_sparse(size, edges, root));
    }
    let chosen = chosen_root(&contraction, root);
    let weight_of = |_, _, edge: usize| edges[edge].weight;
    let arborescence = Arborescence::read_off(&contraction, size, chosen, scale, weight_of);
    Ok(Solved {
        arborescence,
        contraction,
        scale,
    })
}

fn check_root(size: usize, root: Root) -> Result<(), ArborescenceError> {
    match root {
        _ if size == 0 => Err(ArborescenceError::Empty),
        Root::At(root) if root >= size => Err(ArborescenceError::NoSuchRoot { root, size }),
        _ => Ok(()),
    }
}

/// The root found by a run that succeeded.
fn chosen_root(contraction: &Contraction, root: Root) -> usize {
    match root {
        Root::At(root) => root,
        // A run over all roots leaves a root set, and every set has a node.
        Root::Any => contraction.best_root().unwrap_or_default(),
    }
}

/// Names nodes that no edge enters, without allocating memory for every node.
fn too_few_edges<T: Scalar>(edges: &[Edge<T>], root: Root) -> ArborescenceError {
    // There are at least two more nodes than edges, so at least two of the first `edges.len() + 2` nodes are
    // not entered.
    let mut entered = vec![false; edges.len() + 2];
    for edge in edges {
        if let Some(entered) = entered.get_mut(edge.to) {
            *entered = edge.from != edge.to && edge.weight.is_finite() || *entered;
        }
    }
    let mut nodes = (0..entered.len()).filter(|&node| !entered[node]);
    match root {
        Root::At(root) => {
            let node = nodes.find(|&node| node != root).unwrap_or(root);
            ArborescenceError::Unreachable { root, node }
        }
        Root::Any => {
            let first = nodes.next().unwrap_or_default();
            let second = nodes.next().unwrap_or(first);
            ArborescenceError::NoArborescence { first, second }
        }
    }
}

fn explain_sparse<T: Scalar>(size: usize, edges: &[Edge<T>], root: Root) -> ArborescenceError {
    let mut successors = vec![Vec::new(); size];
    for edge in edges.iter().filter(|edge| edge.weight.is_finite()) {
        successors[edge.from].push(edge.to);
    }
    reachability::explain(size, root, |from| successors[from].iter().copied())
}
