//! The Gibbs distribution over spanning arborescences: how probable each edge and each root is.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use super::{ArborescenceError, DenseDigraph, Root, minimum_arborescence};
use crate::Scalar;

/// The distribution in which an arborescence, of any root, has a probability proportional to
/// exp(−weight).
///
/// Made by [`arborescence_distribution`].
#[derive(Clone, Debug, PartialEq)]
pub struct ArborescenceDistribution {
    log_partition: f64,
    /// For every child (row) the probability of each parent, and last that of being the root.
    probabilities: Table,
}

impl ArborescenceDistribution {
    /// The number of nodes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.probabilities.columns - 1
    }

    /// ln Σ exp(−weight) over all arborescences; infinite where that is beyond the range of `f64`.
    #[must_use]
    pub const fn log_partition(&self) -> f64 {
        self.log_partition
    }

    /// How probable the edge from `parent` to `child` is; `None` where there is no such node.
    #[must_use]
    pub fn edge_probability(&self, parent: usize, child: usize) -> Option<f64> {
        let exists = parent < self.size() && child < self.size();
        exists.then(|| self.probabilities.get(child, parent))
    }

    /// How probable it is that `node` is the root; `None` where there is no such node.
    #[must_use]
    pub fn root_probability(&self, node: usize) -> Option<f64> {
        (node < self.size()).then(|| self.probabilities.get(node, self.size()))
    }
}

/// The distribution over the arborescences of a digraph, over all roots.
///
/// For each node the probabilities of its parents and of being the root add up to 1, to about
/// 1e-12. Renumbering the nodes renumbers the probabilities, up to rounding.
///
/// # Accuracy
///
/// Logarithms of probabilities have an absolute error of about n² · ε · the range of the weights
/// (ε = 2.2e-16). Where weights differ by more than 1e9, an edge that is heavier by more than that
/// than another into the same node counts as heavier by 1e9. So among trees that need such edges the
/// lightest may not be told from others; probabilities still add up to 1.
///
/// # Errors
///
/// Those of [`minimum_arborescence`], if there is no arborescence at all.
///
/// # Complexity
///
/// O(n³) time, O(n² √n) extra space.
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
/// - W. T. Tutte, "The dissection of equilateral triangles into equilateral triangles", 1948.
///   [doi:10.1017/S030500410002449X](https://doi.org/10.1017/S030500410002449X)
/// - T. Koo, A. Globerson, X. Carreras, M. Collins, "Structured prediction models via the
///   matrix-tree theorem", EMNLP 2007.
/// - W. K. Grassmann, M. I. Taksar, D. P. Heyman, "Regenerative analysis and steady state
///   distributions for Markov chains", Operations Research 33(5), 1985.
///   [doi:10.1287/opre.33.5.1107](https://doi.org/10.1287/opre.33.5.1107)
pub fn arborescence_distribution<T: Scalar>(
    digraph: &DenseDigraph<T>,
) -> Result<ArborescenceDistribution, ArborescenceError> {
    let lightest = minimum_arborescence(digraph, Root::Any)?;
    let mut elimination = Elimination::new(digraph, lightest.root());
    let nodes = elimination.nodes;
    // Whole tables are kept now and then, and what lies between is computed again.
    let segment = (1..=nodes).find(|s| s * s >= nodes).unwrap_or(1);
    let mut kept = Vec::new();
    let mut log_partition = elimination.taken_out - elimination.root_rate;
    for node in 0..nodes {
        if node % segment == 0 {
            kept.push(elimination.rates.clone());
        }
        log_partition += elimination.eliminate(node);
    }
    let mut probabilities = Table::new(nodes, nodes + 1, 0.0);
    for (index, rates) in kept.into_iter().enumerate().rev() {
        let start = index * segment;
        elimination.rates = rates;
        let mut before = Vec::new();
        for node in start..nodes.min(start + segment) {
            before.push(elimination.rates.clone());
            elimination.eliminate(node);
        }
        for (offset, rates) in before.iter().enumerate().rev() {
            restore(start + offset, rates, &mut probabilities);
        }
    }
    for row in probabilities.values.chunks_mut(nodes + 1) {
        // Only rounding leaves the range, and moves the sum away from 1.
        for probability in &mut *row {
            *probability = probability.clamp(0.0, 1.0);
        }
        let sum: f64 = row.iter().sum();
        if sum > 0.0 {
            row.iter_mut().for_each(|probability| *probability /= sum);
        }
    }
    Ok(ArborescenceDistribution {
        log_partition: if log_partition.is_nan() {
            -lightest.weight()
        } else {
            log_partition
        },
        probabilities,
    })
}

/// A matrix by rows.
#[derive(Clone, Debug, PartialEq)]
struct Table {
    columns: usize,
    values: Vec<f64>,
}

impl Table {
    fn new(rows: usize, columns: usize, value: f64) -> Self {
        Self {
            columns,
            values: vec![value; rows * columns],
        }
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        self.values[row * self.columns + column] = value;
    }
}

/// The greatest weights, and the widest range of them, that are computed with as they are.
const WIDEST: f64 = 1e9;

/// The logarithms of the rates at which a walk goes from child to parent.
struct Elimination {
    nodes: usize,
    /// Row: child; column: parent, and last the virtual root that every root hangs on.
    rates: Table,
    /// The rate into the virtual root, so low that two roots never pay.
    root_rate: f64,
    /// The logarithm of what was taken out of all rates.
    taken_out: f64,
}

impl Elimination {
    fn new<T: Scalar>(digraph: &DenseDigraph<T>, root: usize) -> Self {
        let nodes = digraph.size();
        let mut rates = Table::new(nodes, nodes + 1, f64::NEG_INFINITY);
        let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        for edge in digraph.edges() {
            let weight = edge.weight.widen();
            rates.set(edge.to, edge.from, -weight);
            (least, greatest) = (least.min(weight), greatest.max(weight));
        }
        let magnitude = digraph.largest_magnitude();
        if f64::max(greatest - least, magnitude) > WIDEST {
            return Self::narrowed(digraph, root);
        }
        let range = if least <= greatest {
            greatest - least
        } else {
            0.0
        };
        // Another root saves one edge, at most; e⁻¹⁰⁰ is far below rounding.
        let root_rate = -(2.0 * nodes as f64 * range + magnitude + 100.0);
        for node in 0..nodes {
            rates.set(node, nodes, root_rate);
        }
        Self {
            nodes,
            rates,
            root_rate,
            taken_out: 0.0,
        }
    }

    /// As [`new`](Self::new), with every child's rates relative to its greatest and none of them less
    /// than e to the power of minus [`WIDEST`]: each child has one parent, so what is taken out of all
    /// its rates changes no probability. `root` is one that the digraph may have.
    fn narrowed(digraph: &DenseDigraph<impl Scalar>, root: usize) -> Self {
        let nodes = digraph.size();
        let mut rates = Table::new(nodes, nodes + 1, f64::NEG_INFINITY);
        let mut greatest = vec![f64::NEG_INFINITY; nodes];
        for edge in digraph.edges() {
            let rate = -edge.weight.widen();
            rates.set(edge.to, edge.from, rate);
            greatest[edge.to] = f64::max(greatest[edge.to], rate);
        }
        // Nothing is taken out of a root's rates, as it has none: to be one is so much more probable.
        let may_be_root = reaching(root, &rates);
        let given = |node: usize| {
            if greatest[node].is_finite() {
                -greatest[node]
            } else {
                0.0
            }
        };
        let most_given = (0..nodes)
            .filter(|&node| may_be_root[node])
            .map(given)
            .fold(f64::NEG_INFINITY, f64::max);
        let root_rate = -(3.0 * nodes as f64 * WIDEST + 100.0);
        for (node, &greatest) in greatest.iter().enumerate() {
            for parent in 0..nodes {
                let rate = rates.get(node, parent);
                if rate > f64::NEG_INFINITY {
                    rates.set(node, parent, f64::max(rate - greatest, -WIDEST));
                }
            }
            let given = (given(node) - most_given).clamp(-WIDEST, 0.0);
            rates.set(node, nodes, root_rate + given);
        }
        let taken_out: f64 = (0..nodes).map(|node| -given(node)).sum();
        Self {
            nodes,
            rates,
            root_rate,
            taken_out: taken_out + most_given,
        }
    }

    /// Lets every walk pass over `node`; returns the logarithm of the rate out of it.
    fn eliminate(&mut self, node: usize) -> f64 {
        let columns = self.rates.columns;
        let (head, tail) = self.rates.values.split_at_mut((node + 1) * columns);
        let out = &head[node * columns + node + 1..];
        let total = log_sum(out);
        for (offset, row) in tail.chunks_mut(columns).enumerate() {
            let into = row[node];
            if into == f64::NEG_INFINITY {
                continue;
            }
            let child = node + 1 + offset;
            for (column, rate) in (node + 1..columns).zip(out) {
                if column != child {
                    row[column] = log_add(row[column], into + rate - total);
                }
            }
        }
        total
    }
}

/// From which nodes `root` can be reached: the walks that start at it.
fn reaching(root: usize, rates: &Table) -> Vec<bool> {
    let mut reached = vec![false; rates.columns - 1];
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if !core::mem::replace(&mut reached[node], true) {
            let parents = 0..reached.len();
            open.extend(parents.filter(|&parent| rates.get(node, parent) > f64::NEG_INFINITY));
        }
    }
    reached
}

/// From the probabilities of the edges after `node` was eliminated to those before, whose rates are
/// given: an edge that then stood for itself and a way over the node is shared out.
fn restore(node: usize, rates: &Table, probabilities: &mut Table) {
    let columns = rates.columns;
    let out = &rates.values[node * columns + node + 1..(node + 1) * columns];
    let total = log_sum(out);
    let mut passed_to = vec![0.0; out.len()];
    let mut passed = 0.0;
    for child in node + 1..columns - 1 {
        let into = rates.get(child, node);
        if into == f64::NEG_INFINITY {
            continue;
        }
        let mut from_child = 0.0;
        for (offset, &rate) in out.iter().enumerate() {
            let parent = node + 1 + offset;
            let probability = probabilities.get(child, parent);
            if parent == child || probability == 0.0 {
                continue;
            }
            let by_way = into + rate - total;
            let share = 1.0 / (1.0 + Float::exp(rates.get(child, parent) - by_way));
            let share = share * probability;
            probabilities.set(child, parent, probability - share);
            passed_to[offset] += share;
            from_child += share;
        }
        probabilities.set(child, node, from_child);
        passed += from_child;
    }
    // Several nodes may pass over this one, so this may be negative.
    let free = 1.0 - passed;
    for (offset, (&rate, passed)) in out.iter().zip(passed_to).enumerate() {
        let probability = passed + free * Float::exp(rate - total);
        probabilities.set(node, node + 1 + offset, probability);
    }
}

/// ln Σ eˣ.
fn log_sum(values: &[f64]) -> f64 {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values
        .iter()
        .map(|value| Float::exp(value - greatest))
        .sum();
    greatest + Float::ln(sum)
}

/// ln (eᵃ + eᵇ).
fn log_add(first: f64, second: f64) -> f64 {
    let (less, more) = if first < second {
        (first, second)
    } else {
        (second, first)
    };
    // Below this the sum rounds to the greater one.
    if more - less > 40.0 || less == f64::NEG_INFINITY {
        more
    } else {
        more + Float::ln_1p(Float::exp(less - more))
    }
}
