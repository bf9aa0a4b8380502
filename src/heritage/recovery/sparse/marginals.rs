//! The probability of every edge over all trees of a sparse digraph.
//!
//! The reduced weight of an edge is a lower bound on the extra cost of any tree that contains it. Edges above
//! [`CERTAIN`] are dropped. Models with only one edge left are certain and are contracted into their parents.
//! The others, together with the models contracted into them, form a digraph in which a tree picks one edge
//! into each of them without forming a cycle. Cycles lie within strongly connected components, so the
//! distribution is a product with one factor for each component. Components are small, so their factors are
//! computed exactly with dense matrices.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use crate::arborescence::{
    Arborescence, DenseDigraph, DualCertificate, Edge, arborescence_distribution,
};

use super::components::strongly_connected;
use crate::heritage::layout::Layout;
use crate::logarithms::log_sum;

/// Trees that cost this much more than the best are ignored.
const CERTAIN: f64 = 14.0;

/// Larger components are thinned out.
const MOST_TOGETHER: usize = 100;

/// The factor applied to the edge bound of a component that is too large.
const THINNED: f64 = 0.6;

/// Below this bound, edges from descendants are dropped, since such an edge always requires another change.
const NO_TURNS: f64 = 2.0;

/// Below this bound, models keep their parents in the best tree.
const AS_THEY_ARE: f64 = 0.1;

/// The longest path that is searched for a node that has to change its parent.
const LONGEST_TURN: usize = 64;

/// How far below the greatest log odds of its edges the log odds of an impossible root are set: much further
/// than for any possible root.
const NO_ROOT: f64 = 1e5;

/// The possible parents of a node, each with a number such as its probability or cost.
type Parents = Vec<(usize, f64)>;

/// The probabilities of the edges into every node.
pub(super) struct Marginals {
    /// For every node, its possible parents and their probabilities.
    of: Vec<Parents>,
    log_partition: f64,
}

impl Marginals {
    /// The last node is the virtual root.
    pub(super) fn new(edges: &[Edge], trees: &Arborescence, certificate: &DualCertificate) -> Self {
        let reduced = certificate.reduced_weights(edges);
        let nodes = trees.parents().len().saturating_sub(1);
        let mut bounds = vec![CERTAIN; nodes];
        loop {
            let live = Live::new(edges, &reduced, trees, &bounds);
            let components = live.components();
            let too_large: Vec<&Vec<usize>> = (components.iter())
                .filter(|component| component.len() > MOST_TOGETHER)
                .collect();
            if too_large.is_empty() {
                return live.marginals(&components);
            }
            for &node in too_large.into_iter().flatten() {
                bounds[node] *= THINNED;
            }
        }
    }

    /// The possible parents of a node with their probabilities, in no particular order. The virtual root's
    /// number is the number of nodes.
    pub(super) fn of(&self, node: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.of[node].iter().copied()
    }

    /// ln of the sum, over all trees, of their odds relative to the best tree.
    pub(super) const fn log_partition(&self) -> f64 {
        self.log_partition
    }
}

/// The edges that remain.
struct Live {
    nodes: usize,
    /// For every node, the remaining parents, each with its extra cost over the chosen one, which comes
    /// first.
    parents: Vec<Vec<(usize, f64)>>,
    /// For every node, the best parent that was dropped, with its extra cost.
    others: Vec<Option<(usize, f64)>>,
    /// For every model, the uncertain model that it was contracted into: itself if it is uncertain, otherwise
    /// the nearest uncertain ancestor, or the root.
    heads: Vec<usize>,
}

impl Live {
    fn new(edges: &[Edge], reduced: &[f64], trees: &Arborescence, bounds: &[f64]) -> Self {
        let nodes = bounds.len();
        let tree = trees.parents();
        let layout = Layout::of_acyclic(tree);
        // Every tree has exactly one edge from the virtual root, so the cost of these edges doesn't matter.
        let weight = |edge: &Edge| if edge.from == nodes { 0.0 } else { edge.weight };
        let mut chosen = vec![0.0; nodes];
        let mut parents: Vec<Vec<(usize, f64)>> = vec![Vec::new(); nodes];
        for node in 0..nodes {
            if let (Some(at), Some(parent)) = (trees.edge_index(node), trees.parent(node)) {
                chosen[node] = weight(&edges[at]);
                parents[node].push((parent, 0.0));
            }
        }
        let swaps = Swaps::new(edges, trees, &chosen, &layout);
        let mut others: Vec<Option<(usize, f64)>> = vec![None; nodes];
        for (at, (edge, &reduced)) in edges.iter().zip(reduced).enumerate() {
            let node = edge.to;
            if node >= nodes || trees.edge_index(node) == Some(at) {
                continue;
            }
            let more = weight(edge) - chosen[node];
            let bound = bounds[node];
            let counts = reduced <= bound
                && (bound >= NO_TURNS
                    || (bound >= AS_THEY_ARE
                        && more <= bound
                        && !layout.is_within(edge.from, node)));
            if counts {
                parents[node].push((edge.from, more));
            } else {
                let costs = swaps.cost(node, edge.from, more).max(reduced);
                if others[node].is_none_or(|(_, best)| costs < best) {
                    others[node] = Some((edge.from, costs));
                }
            }
        }
        let mut live = Self {
            nodes,
            parents,
            others,
            heads: (0..=nodes).collect(),
        };
        // Parents come before their children.
        for &node in &layout.preorder {
            if node < nodes
                && live.parents[node].len() == 1
                && let Some(parent) = tree[node]
            {
                live.heads[node] = live.heads[parent];
            }
        }
        live.drop_descendants();
        live
    }

    /// Drops edges into a model from models that were contracted into it.
    fn drop_descendants(&mut self) {
        for node in 0..self.nodes {
            let heads = &self.heads;
            self.parents[node].retain(|&(parent, _)| heads[parent] != node);
        }
    }

    /// The strongly connected components of the uncertain models.
    fn components(&self) -> Vec<Vec<usize>> {
        let above = |node: usize| -> Vec<usize> {
            let heads = (self.parents[node].iter()).map(|&(parent, _)| self.heads[parent]);
            heads.filter(|&head| head < self.nodes).collect()
        };
        let is_uncertain = |&node: &usize| self.heads[node] == node;
        let above: Vec<_> = (0..self.nodes).map(above).collect();
        strongly_connected(&above, (0..self.nodes).filter(is_uncertain))
    }

    fn marginals(self, components: &[Vec<usize>]) -> Marginals {
        let mut of: Vec<Vec<(usize, f64)>> = Vec::with_capacity(self.nodes);
        for node in 0..self.nodes {
            // Nearly certain unless edges were thinned out. Components replace this below.
            let odds = self.others[node].map_or(0.0, |(_, more)| Float::exp(-more));
            let first = self.parents[node].first().map(|&(parent, _)| (parent, 1.0));
            let other = self.others[node].map(|(parent, _)| (parent, odds));
            let normalised = |(parent, of_parent)| (parent, of_parent / (1.0 + odds));
            of.push(first.into_iter().chain(other).map(normalised).collect());
        }
        let mut place = vec![usize::MAX; self.nodes + 1];
        let mut log_partition = 0.0;
        for component in components {
            for (at, &node) in component.iter().enumerate() {
                place[node] = at;
            }
            let found = match component[..] {
                [node] => Some(self.alone(node)),
                _ => self.together(component, &place),
            };
            if let Some((logarithm, probabilities)) = found {
                log_partition += logarithm;
                for (&node, probabilities) in component.iter().zip(probabilities) {
                    of[node] = probabilities;
                }
            }
            for &node in component {
                place[node] = usize::MAX;
            }
        }
        Marginals { of, log_partition }
    }

    /// A model whose choice of parent doesn't affect any other model's.
    fn alone(&self, node: usize) -> (f64, Vec<Parents>) {
        let parents = &self.parents[node];
        let total = log_sum(parents.iter().map(|&(_, cost)| -cost));
        let probability = |&(parent, cost): &(usize, f64)| (parent, Float::exp(-cost - total));
        (total, vec![parents.iter().map(probability).collect()])
    }

    /// Models that may be each other's ancestors; `None` if no tree of them exists.
    fn together(&self, component: &[usize], place: &[usize]) -> Option<(f64, Vec<Parents>)> {
        let size = component.len();
        let above = |parent: usize| match place[self.heads[parent]] {
            usize::MAX => size,
            at => at,
        };
        let mut odds = Odds::new(size);
        for (child, &node) in component.iter().enumerate() {
            for &(parent, cost) in &self.parents[node] {
                odds.add(above(parent), child, -cost);
            }
        }
        let parents = || component.iter().flat_map(|&node| &self.parents[node]);
        let is_top = parents().all(|&(p, _)| p == self.nodes || above(p) < size);
        let (logarithm, table) = if is_top {
            odds.with_own_root()?
        } else {
            odds.with_root_above()?
        };
        let probabilities = component.iter().enumerate().map(|(child, &node)| {
            let share = |&(parent, cost): &(usize, f64)| {
                let from = above(parent);
                let part = Float::exp(-cost - odds.get(from, child));
                (parent, table[from * size + child] * part)
            };
            self.parents[node].iter().map(share).collect()
        });
        Some((logarithm, probabilities.collect()))
    }
}

/// The costs of trees that differ from the best one by one or two edges.
struct Swaps<'a> {
    edges: &'a [Edge],
    trees: &'a Arborescence,
    chosen: &'a [f64],
    layout: &'a Layout,
    /// For every node, the edges into it.
    into: Vec<Vec<usize>>,
}

impl<'a> Swaps<'a> {
    fn new(
        edges: &'a [Edge],
        trees: &'a Arborescence,
        chosen: &'a [f64],
        layout: &'a Layout,
    ) -> Self {
        let mut into = vec![Vec::new(); chosen.len()];
        for (at, edge) in edges.iter().enumerate() {
            if edge.to < into.len() {
                into[edge.to].push(at);
            }
        }
        Self {
            edges,
            trees,
            chosen,
            layout,
            into,
        }
    }

    /// The extra cost of the cheapest tree in which the node is a child of `parent`; that edge alone costs
    /// `more`. If `parent` is a descendant of the node, a node on the path between them must get a parent
    /// that isn't a descendant. Paths longer than [`LONGEST_TURN`] aren't searched.
    fn cost(&self, node: usize, parent: usize, more: f64) -> f64 {
        if !self.layout.is_within(parent, node) {
            return more;
        }
        let mut least = f64::INFINITY;
        let mut below = parent;
        for _ in 0..LONGEST_TURN {
            if below == node {
                break;
            }
            least = least.min(self.elsewhere(below, node));
            let Some(above) = self.trees.parent(below) else {
                break;
            };
            below = above;
        }
        more + least
    }

    /// The smallest extra cost of giving a node a parent that isn't below `other`.
    fn elsewhere(&self, node: usize, other: usize) -> f64 {
        let root = self.chosen.len();
        let is_below_root = self.trees.parent(other) == Some(root);
        let costs = self.into[node].iter().filter_map(|&at| {
            let edge = &self.edges[at];
            if self.layout.is_within(edge.from, other) {
                None
            } else if edge.from == root {
                is_below_root.then_some(-self.chosen[node])
            } else {
                Some(edge.weight - self.chosen[node])
            }
        });
        costs.fold(f64::INFINITY, f64::min)
    }
}

/// The log odds of every edge between some models, and of the edges into them from above.
struct Odds {
    size: usize,
    /// Indexed by parent and child; the last parent stands for everything above.
    logarithms: Vec<f64>,
}

/// ln of the partition function, and the probability of every edge.
type Distribution = (f64, Vec<f64>);

impl Odds {
    fn new(size: usize) -> Self {
        Self {
            size,
            logarithms: vec![f64::NEG_INFINITY; (size + 1) * size],
        }
    }

    fn get(&self, parent: usize, child: usize) -> f64 {
        self.logarithms[parent * self.size + child]
    }

    fn add(&mut self, parent: usize, child: usize, logarithm: f64) {
        let sum = &mut self.logarithms[parent * self.size + child];
        *sum = log_sum([*sum, logarithm].into_iter());
    }

    /// Any number of models may have their parent above.
    fn with_root_above(&self) -> Option<Distribution> {
        let size = self.size;
        let graph = DenseDigraph::from_fn(size + 1, |from, to| {
            if to == size {
                f64::INFINITY
            } else {
                -self.get(from, to)
            }
        });
        let found = arborescence_distribution(&graph.ok()?).ok()?;
        let edges = (0..=size).flat_map(|from| (0..size).map(move |to| (from, to)));
        let probability = |(from, to)| found.edge_probability(from, to).unwrap_or(0.0);
        Some((found.log_partition(), edges.map(probability).collect()))
    }

    /// One of the models is the root.
    ///
    /// Its log odds as a root are subtracted from those of the edges into it.
    fn with_own_root(&self) -> Option<Distribution> {
        let size = self.size;
        let as_root = |child: usize| match self.get(size, child) {
            f64::NEG_INFINITY => self.greatest(child) - NO_ROOT,
            logarithm => logarithm,
        };
        let graph = DenseDigraph::from_fn(size, |from, to| as_root(to) - self.get(from, to));
        let found = arborescence_distribution(&graph.ok()?).ok()?;
        let edges = (0..=size).flat_map(|from| (0..size).map(move |to| (from, to)));
        let probability = |(from, to)| {
            let found = if from == size {
                found.root_probability(to)
            } else {
                found.edge_probability(from, to)
            };
            found.unwrap_or(0.0)
        };
        let logarithm = found.log_partition() + (0..size).map(as_root).sum::<f64>();
        Some((logarithm, edges.map(probability).collect()))
    }

    /// The greatest log odds of any edge into a model.
    fn greatest(&self, child: usize) -> f64 {
        let into = (0..=self.size).map(|parent| self.get(parent, child));
        into.fold(f64::NEG_INFINITY, f64::max)
    }
}
