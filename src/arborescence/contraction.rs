//! Grows paths against the direction of edges and contracts the cycles that they close.
//!
//! This part is the same for dense and sparse digraphs: it only asks for the cheapest edge into a
//! set of nodes. A *set* is a single node or a contracted cycle. Node `v` is set `v`, and a
//! contracted cycle gets the next free number, so a set's number is always below that of the set that
//! encloses it.

use alloc::vec;
use alloc::vec::Vec;

use super::Root;

/// An edge that enters a set of nodes, with its reduced weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entering {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The edge's position in the caller's input.
    pub(super) edge: usize,
    /// The weight minus the costs of the inner sets that hold `to`.
    pub(super) cost: f64,
}

/// A set on the path, with the edge by which the path continues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) set: usize,
    pub(super) entering: Entering,
}

/// What the contraction needs to know about a digraph.
pub(super) trait CheapestEdges {
    /// The cheapest edge into the set from outside; on ties the one with the lowest `from`, then `to`.
    fn cheapest(&mut self, set: usize, sets: &mut DisjointSets) -> Option<Entering>;

    /// Merges the sets of `cycle` into the set `union`, and lowers the cost of every edge into each of them
    /// by the cost of the edge that the cycle uses to enter it.
    fn contract(&mut self, cycle: &[Step], union: usize);
}

/// Some set needs an edge from outside, and there is none.
#[derive(Debug)]
pub(super) struct Stuck;

/// The outermost set of each node.
#[derive(Clone, Debug, Default)]
pub(super) struct DisjointSets {
    /// By node: a node of the same set that is closer to its representative, or the representative itself.
    links: Vec<usize>,
    /// By representative: the number of nodes in the set, and the set's number.
    sets: Vec<(usize, usize)>,
}

impl DisjointSets {
    /// The outermost set that holds this node.
    pub(super) fn find(&mut self, node: usize) -> usize {
        let representative = self.representative(node);
        self.sets[representative].1
    }

    fn representative(&mut self, mut node: usize) -> usize {
        while self.links[node] != node {
            // Path halving.
            self.links[node] = self.links[self.links[node]];
            node = self.links[node];
        }
        node
    }

    /// Merges the sets of two nodes into one with this number.
    fn unite(&mut self, a: usize, b: usize, number: usize) {
        let (mut a, mut b) = (self.representative(a), self.representative(b));
        if self.sets[a].0 < self.sets[b].0 {
            core::mem::swap(&mut a, &mut b);
        }
        if a != b {
            self.links[b] = a;
            self.sets[a].0 += self.sets[b].0;
        }
        self.sets[a].1 = number;
    }

    fn reset(&mut self, size: usize) {
        self.links.clear();
        self.links.extend(0..size);
        self.sets.clear();
        self.sets.extend((0..size).map(|node| (1, node)));
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Status {
    Untouched,
    OnPath,
    /// The chosen edges lead from the root to it.
    Done,
}

/// Stands for the enclosing set of an outermost set, which has none.
pub(super) const OUTERMOST: usize = usize::MAX;

/// The contracted, nested cycles, and the cheapest edge into each set.
#[derive(Clone, Debug, Default)]
pub(super) struct Contraction {
    size: usize,
    enclosing: Vec<usize>,
    entering: Vec<Option<Entering>>,
    status: Vec<Status>,
    sets: DisjointSets,
    path: Vec<Step>,
    /// With [`Root::Any`], the set that no edge enters. The root is one of its nodes.
    root_set: Option<usize>,
}

impl Contraction {
    /// Contracts cycles until the cheapest edges lead from the root to every outermost set.
    pub(super) fn run(
        &mut self,
        size: usize,
        root: Root,
        edges: &mut impl CheapestEdges,
    ) -> Result<(), Stuck> {
        self.reset(size);
        if let Root::At(root) = root {
            self.status[root] = Status::Done;
        }
        for node in 0..size {
            let set = self.sets.find(node);
            if self.status[set] == Status::Untouched {
                self.grow(set, root, edges)?;
            }
        }
        Ok(())
    }

    fn reset(&mut self, size: usize) {
        self.size = size;
        self.enclosing.clear();
        self.enclosing.resize(size, OUTERMOST);
        self.entering.clear();
        self.entering.resize(size, None);
        self.status.clear();
        self.status.resize(size, Status::Untouched);
        self.sets.reset(size);
        self.path.clear();
        self.root_set = None;
    }

    /// Walks from `set` against the cheapest edges until it reaches a set that is done.
    fn grow(
        &mut self,
        mut set: usize,
        root: Root,
        edges: &mut impl CheapestEdges,
    ) -> Result<(), Stuck> {
        loop {
            self.status[set] = Status::OnPath;
            let Some(entering) = edges.cheapest(set, &mut self.sets) else {
                if root != Root::Any || self.root_set.is_some() {
                    return Err(Stuck);
                }
                // It can only be entered from the virtual root.
                self.root_set = Some(set);
                self.status[set] = Status::Done;
                break;
            };
            self.entering[set] = Some(entering);
            self.path.push(Step { set, entering });
            let source = self.sets.find(entering.from);
            match self.status[source] {
                Status::Done => break,
                Status::Untouched => set = source,
                Status::OnPath => set = self.close_cycle(source, edges),
            }
        }
        for step in self.path.drain(..) {
            self.status[step.set] = Status::Done;
        }
        Ok(())
    }

    /// Contracts the end of the path, starting at `first`, and returns the new set.
    fn close_cycle(&mut self, first: usize, edges: &mut impl CheapestEdges) -> usize {
        let start = self.path.iter().rposition(|step| step.set == first);
        let cycle = &self.path[start.unwrap_or_default()..];
        let union = self.enclosing.len();
        for step in cycle {
            self.enclosing[step.set] = union;
            // Each chosen edge joins two sets of the cycle.
            let Entering { from, to, .. } = step.entering;
            self.sets.unite(from, to, union);
        }
        self.enclosing.push(OUTERMOST);
        self.entering.push(None);
        self.status.push(Status::OnPath);
        edges.contract(cycle, union);
        self.path.truncate(start.unwrap_or_default());
        union
    }

    /// Of the nodes that reach all others, the one with the lightest arborescence; the lowest on ties.
    ///
    /// By complementary slackness, the optimum for root r is the sum of the costs of all sets that
    /// don't hold r. So the best root is the one whose own sets have the highest total cost.
    pub(super) fn best_root(&self) -> Option<usize> {
        let root_set = self.root_set?;
        let mut held = vec![f64::NEG_INFINITY; root_set + 1];
        held[root_set] = 0.0;
        for set in (0..root_set).rev() {
            if let Some(&outer) = held.get(self.enclosing[set]) {
                held[set] = outer + self.cost(set);
            }
        }
        let nodes = held.iter().take(self.size).enumerate();
        let mut best = None;
        for (node, &cost) in nodes {
            if cost > best.map_or(f64::NEG_INFINITY, |(_, best)| best) {
                best = Some((node, cost));
            }
        }
        best.map(|(node, _)| node)
    }

    /// Passes the edge into every node except the root to `choose`, in no particular order.
    pub(super) fn expand(&self, root: usize, mut choose: impl FnMut(Entering)) {
        let mut entered = vec![false; self.enclosing.len()];
        self.mark_entered(root, &mut entered);
        for set in (0..self.enclosing.len()).rev() {
            if !entered[set]
                && let Some(entering) = self.entering[set]
            {
                choose(entering);
                self.mark_entered(entering.to, &mut entered);
            }
        }
    }

    /// An edge that enters a node enters every set that holds it.
    fn mark_entered(&self, node: usize, entered: &mut [bool]) {
        let mut set = node;
        while set != OUTERMOST && !entered[set] {
            entered[set] = true;
            set = self.enclosing[set];
        }
    }

    /// The cost of entering a set; 0 for the root and the root set.
    fn cost(&self, set: usize) -> f64 {
        self.entering[set].map_or(0.0, |entering| entering.cost)
    }

    /// The set that encloses each set, or [`OUTERMOST`] if there is none.
    pub(super) fn enclosing(&self) -> &[usize] {
        &self.enclosing
    }

    /// The cost of every set, by its number.
    pub(super) fn costs(&self) -> Vec<f64> {
        (0..self.enclosing.len())
            .map(|set| self.cost(set))
            .collect()
    }

    pub(super) fn root_set(&self) -> Option<usize> {
        self.root_set
    }
}
