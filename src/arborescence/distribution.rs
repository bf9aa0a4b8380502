//! The Gibbs distribution over spanning arborescences: the probability of each edge and each root.
//!
//! By the Markov chain tree theorem, the arborescences of a digraph describe a walk that goes from
//! child to parent at the rate exp(−weight). Let the walk also stop at any node at a rate ε, and let eₚ(c) be
//! the probability that a walk from p stops before it reaches c. Then, as ε goes to 0,
//!
//! P(p is the parent of c) = r(c → p) eₚ(c) / (ε + Σ r(c → q) e_q(c)),  P(c is the root) = ε / (same).
//!
//! All eₚ(c) for one c follow by elimination: when a node is eliminated, the walks into it continue to
//! wherever it leads itself. To do this for every c in O(n³), we eliminate one half of the nodes and recurse
//! on the other half, and then the other way round, until one node is left. Nothing is ever subtracted, so
//! probabilities keep their relative precision, however small they are.
//!
//! ε is never given a value: terms of first order in ε have a column of their own.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use super::{ArborescenceError, DenseDigraph, Root, minimum_arborescence};
use crate::Scalar;
use crate::logarithms::{log_add, log_sum};

/// The widest range of the weights into one node. Beyond it, the errors of logarithms exceed 2e-4.
const WIDEST: f64 = 1e12;

/// Bounds the logarithm of the rate of stopping, so that sums stay finite.
const LARGEST_STOP: f64 = f64::MAX / 8.0;

/// The distribution over arborescences, with any root, in which the probability is proportional to
/// exp(−weight).
///
/// Returned by [`arborescence_distribution`].
#[derive(Clone, Debug, PartialEq)]
pub struct ArborescenceDistribution {
    nodes: usize,
    log_partition: f64,
    /// For every child (row), the probability of each parent, and last the probability of being the root.
    probabilities: Vec<f64>,
}

impl ArborescenceDistribution {
    /// The number of nodes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.nodes
    }

    /// ln Σ exp(−weight) over all arborescences; infinite if it exceeds the range of `f64`.
    #[must_use]
    pub const fn log_partition(&self) -> f64 {
        self.log_partition
    }

    /// The probability of the edge from `parent` to `child`; `None` if there is no such node.
    #[must_use]
    pub fn edge_probability(&self, parent: usize, child: usize) -> Option<f64> {
        let exists = parent < self.nodes && child < self.nodes;
        exists.then(|| self.probabilities[child * (self.nodes + 1) + parent])
    }

    /// The probability that `node` is the root; `None` if there is no such node.
    #[must_use]
    pub fn root_probability(&self, node: usize) -> Option<f64> {
        (node < self.nodes).then(|| self.probabilities[node * (self.nodes + 1) + self.nodes])
    }
}

/// The Gibbs distribution over the arborescences of a digraph, with any root.
///
/// For each node, the probabilities of its parents and of being the root add up to 1, to about 1e-15. So do
/// the root probabilities of all nodes, within the error below. Renumbering the nodes renumbers the
/// probabilities, up to rounding. Adding a constant to the weights of all edges into one node changes no
/// probability conditional on the root.
///
/// # Accuracy
///
/// The logarithms of probabilities, even small ones, have an absolute error of about n · ε · the widest
/// range of the weights into one node (ε = 2.2e-16).
///
/// # Errors
///
/// Those of [`minimum_arborescence`] if there is no arborescence, and
/// [`ArborescenceError::Range`] if the weights of the edges into one node differ by more than 1e12.
///
/// # Complexity
///
/// O(n³) time, O(n²) extra space.
///
/// # Examples
///
/// ```
/// use mother::arborescence::{DenseDigraph, arborescence_distribution};
///
/// // Two nodes: the edge 0 → 1 weighs 0, the edge 1 → 0 weighs ln 3.
/// let digraph = DenseDigraph::new(2, vec![0.0, 0.0, 3.0_f64.ln(), 0.0])?;
/// let distribution = arborescence_distribution(&digraph)?;
/// assert!((distribution.edge_probability(0, 1).unwrap() - 0.75).abs() < 1e-12);
/// assert!((distribution.root_probability(1).unwrap() - 0.25).abs() < 1e-12);
/// # Ok::<(), mother::arborescence::ArborescenceError>(())
/// ```
///
/// # References
///
/// - F. T. Leighton, R. L. Rivest, "Estimating a probability using finite memory", IEEE Transactions
///   on Information Theory 32(6), 1986: the Markov chain tree theorem.
///   [doi:10.1109/TIT.1986.1057250](https://doi.org/10.1109/TIT.1986.1057250)
/// - T. Koo, A. Globerson, X. Carreras, M. Collins, "Structured prediction models via the
///   matrix-tree theorem", EMNLP 2007.
/// - W. K. Grassmann, M. I. Taksar, D. P. Heyman, "Regenerative analysis and steady state
///   distributions for Markov chains", Operations Research 33(5), 1985: elimination without
///   subtraction. [doi:10.1287/opre.33.5.1107](https://doi.org/10.1287/opre.33.5.1107)
pub fn arborescence_distribution<T: Scalar>(
    digraph: &DenseDigraph<T>,
) -> Result<ArborescenceDistribution, ArborescenceError> {
    let lightest = minimum_arborescence(digraph, Root::Any)?;
    let nodes = digraph.size();
    let rates = Rates::new(digraph, lightest.root())?;
    let mut found = Found {
        rates: &rates,
        probabilities: vec![0.0; nodes * (nodes + 1)],
        log_partition: None,
    };
    found.solve(Walks::new(&rates), 0.0);
    let log_partition = found.log_partition.unwrap_or(0.0) + rates.taken_out;
    Ok(ArborescenceDistribution {
        nodes,
        log_partition: if log_partition.is_nan() {
            -lightest.weight()
        } else {
            log_partition
        },
        probabilities: found.probabilities,
    })
}

/// The logarithms of the rates at which a walk goes from child to parent and at which it stops.
struct Rates {
    nodes: usize,
    /// Row: child; column: parent.
    to_parents: Vec<f64>,
    /// For every node, in units of ε.
    stop: Vec<f64>,
    /// The logarithm of the factor taken out of all rates.
    taken_out: f64,
}

impl Rates {
    /// Every child has one parent or is the root, so its rates can be taken relative to its greatest rate.
    /// `root` is a node that may be the root.
    fn new<T: Scalar>(digraph: &DenseDigraph<T>, root: usize) -> Result<Self, ArborescenceError> {
        let nodes = digraph.size();
        let mut to_parents = vec![f64::NEG_INFINITY; nodes * nodes];
        let mut greatest = vec![f64::NEG_INFINITY; nodes];
        for edge in digraph.edges() {
            let rate = -edge.weight.widen();
            to_parents[edge.to * nodes + edge.from] = rate;
            greatest[edge.to] = greatest[edge.to].max(rate);
        }
        let rows = to_parents.chunks_mut(nodes).zip(&mut greatest);
        for (node, (row, greatest)) in rows.enumerate() {
            if !greatest.is_finite() {
                // No parent is possible, so this node is the root.
                *greatest = 0.0;
            }
            for rate in row.iter_mut().filter(|rate| **rate > f64::NEG_INFINITY) {
                *rate -= *greatest;
                if *rate < -WIDEST {
                    return Err(ArborescenceError::Range { node });
                }
            }
        }
        let common = greatest[root];
        let stop = greatest.iter().map(|greatest| common - greatest);
        let stop = stop.map(|rate| rate.clamp(-LARGEST_STOP, LARGEST_STOP));
        Ok(Self {
            nodes,
            stop: stop.collect(),
            taken_out: greatest.iter().sum::<f64>() - common,
            to_parents,
        })
    }
}

/// Where walks from every node go once some nodes are eliminated: logarithms of rates for the nodes that
/// are left, and of probabilities for the eliminated ones.
#[derive(Clone)]
struct Walks {
    /// The nodes that are left.
    left: Vec<usize>,
    /// For every node of the digraph: the nodes that are left, then [`SURELY`] and [`RARELY`].
    rows: Vec<f64>,
}

/// Column after those of the nodes: stopping because there is nowhere else to go.
const SURELY: usize = 0;

/// Column after those of the nodes: stopping on the way, in units of ε.
const RARELY: usize = 1;

impl Walks {
    fn new(rates: &Rates) -> Self {
        let rows = rates.to_parents.chunks(rates.nodes).zip(&rates.stop);
        let row = |(rates, &stop): (&[f64], &f64)| {
            let mut row = rates.to_vec();
            row.extend([f64::NEG_INFINITY, stop]);
            row
        };
        Self {
            left: (0..rates.nodes).collect(),
            rows: rows.flat_map(row).collect(),
        }
    }

    fn columns(&self) -> usize {
        self.left.len() + 2
    }

    /// The same walks after eliminating the nodes in these columns, and the logarithm of the product
    /// of the rates out of them.
    fn pass_over(&self, passed: core::ops::Range<usize>) -> (Self, f64) {
        let kept = |column: &usize| !passed.contains(column);
        let order: Vec<usize> = passed
            .clone()
            .chain((0..self.columns()).filter(kept))
            .collect();
        let columns = self.columns();
        let mut rows: Vec<f64> = (self.rows.chunks(columns))
            .flat_map(|row| order.iter().map(|&column| row[column]))
            .collect();
        let nodes: Vec<usize> = order
            .iter()
            .filter_map(|&column| self.left.get(column).copied())
            .collect();
        let mut product = 0.0;
        for column in 0..passed.len() {
            product += eliminate(&mut rows, &nodes, column);
        }
        let rest = (rows.chunks(columns)).flat_map(|row| row[passed.len()..].iter().copied());
        let walks = Self {
            left: nodes[passed.len()..].to_vec(),
            rows: rest.collect(),
        };
        (walks, product)
    }
}

/// Eliminates the node in this column, the first that is left; returns the logarithm of the rate out of it.
fn eliminate(rows: &mut [f64], nodes: &[usize], column: usize) -> f64 {
    let columns = nodes.len() + 2;
    let node = nodes[column];
    let (surely, rarely) = (nodes.len() + SURELY, nodes.len() + RARELY);
    let own = &mut rows[node * columns..(node + 1) * columns];
    let mut total = log_sum(own[column + 1..rarely].iter().copied());
    if total == f64::NEG_INFINITY {
        // It can only stop. ε makes that rare, but not improbable.
        total = core::mem::replace(&mut own[rarely], f64::NEG_INFINITY);
        own[surely] = total;
    }
    for rate in &mut own[column + 1..] {
        *rate -= total;
    }
    let out = own[column + 1..].to_vec();
    // A walk that returns to its start before it goes on starts anew.
    let mut start = vec![usize::MAX; rows.len() / columns];
    for (at, &node) in nodes.iter().enumerate().skip(column + 1) {
        start[node] = at - column - 1;
    }
    for ((from, row), &own) in rows.chunks_mut(columns).enumerate().zip(&start) {
        let into = row[column];
        if into == f64::NEG_INFINITY || from == node {
            continue;
        }
        for (at, (rate, &on)) in row[column + 1..].iter_mut().zip(&out).enumerate() {
            if at != own {
                *rate = log_add(*rate, into + on);
            }
        }
    }
    total
}

/// The results so far.
struct Found<'a> {
    rates: &'a Rates,
    probabilities: Vec<f64>,
    /// Known once all nodes but one have been eliminated for the first time.
    log_partition: Option<f64>,
}

impl Found<'_> {
    /// Finds the probabilities of all nodes that are left; `product` is the logarithm of the product of
    /// the rates out of all eliminated nodes.
    ///
    /// The recursion is log₂ n deep.
    fn solve(&mut self, walks: Walks, product: f64) {
        let left = walks.left.len();
        if left == 1 {
            self.take(&walks, product);
            return;
        }
        for passed in [left / 2..left, 0..left / 2] {
            let (walks, of_passed) = walks.pass_over(passed);
            self.solve(walks, product + of_passed);
        }
    }

    /// Finds the probabilities of the only node that is left.
    fn take(&mut self, walks: &Walks, product: f64) {
        let [child] = walks.left[..] else { return };
        let nodes = self.rates.nodes;
        let rates = &self.rates.to_parents[child * nodes..(child + 1) * nodes];
        let ends: Vec<[f64; 2]> = (walks.rows.chunks(3))
            .map(|row| [row[1 + SURELY], row[1 + RARELY]])
            .collect();
        let stops = |order: usize| -> Vec<f64> {
            let stop = |(rate, end): (&f64, &[f64; 2])| rate + end[order];
            rates.iter().zip(&ends).map(stop).collect()
        };
        let (surely, mut rarely) = (stops(SURELY), stops(RARELY));
        rarely.push(self.rates.stop[child]);
        // Rare ends don't count if there are sure ones.
        let logarithms = if surely.iter().any(|&stop| stop > f64::NEG_INFINITY) {
            let mut logarithms = surely;
            logarithms.push(f64::NEG_INFINITY);
            logarithms
        } else {
            rarely
        };
        self.log_partition
            .get_or_insert(product + log_sum(logarithms.iter().copied()));
        let row = &mut self.probabilities[child * (nodes + 1)..(child + 1) * (nodes + 1)];
        // Subtracting the logarithm of the sum instead would lose digits if logarithms are large.
        let greatest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (probability, logarithm) in row.iter_mut().zip(logarithms) {
            *probability = Float::exp(logarithm - greatest);
        }
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|probability| *probability /= sum);
    }
}
