//! Strongly connected components.

use alloc::vec;
use alloc::vec::Vec;

/// The strongly connected components of the nodes that can be reached from `starts`, given the successors of
/// every node. Nodes are ascending in each.
///
/// # References
///
/// R. Tarjan, "Depth-first search and linear graph algorithms", SIAM Journal on Computing 1(2), 1972.
/// [doi:10.1137/0201010](https://doi.org/10.1137/0201010)
pub(super) fn strongly_connected(
    successors: &[Vec<usize>],
    starts: impl Iterator<Item = usize>,
) -> Vec<Vec<usize>> {
    let nodes = successors.len();
    let mut search = Search {
        successors,
        index: vec![usize::MAX; nodes],
        low: vec![0; nodes],
        on_stack: vec![false; nodes],
        stack: Vec::new(),
        count: 0,
        components: Vec::new(),
    };
    for start in starts {
        if search.index[start] == usize::MAX {
            search.run(start);
        }
    }
    search.components
}

/// A depth-first search without recursion.
struct Search<'a> {
    successors: &'a [Vec<usize>],
    index: Vec<usize>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    count: usize,
    components: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn run(&mut self, start: usize) {
        let mut calls = vec![(start, 0)];
        self.open(start);
        while let Some((node, next)) = calls.pop() {
            if let Some(&successor) = self.successors[node].get(next) {
                calls.push((node, next + 1));
                if self.index[successor] == usize::MAX {
                    self.open(successor);
                    calls.push((successor, 0));
                } else if self.on_stack[successor] {
                    self.low[node] = self.low[node].min(self.index[successor]);
                }
            } else {
                self.close(node);
                if let Some(&(above, _)) = calls.last() {
                    self.low[above] = self.low[above].min(self.low[node]);
                }
            }
        }
    }

    fn open(&mut self, node: usize) {
        self.index[node] = self.count;
        self.low[node] = self.count;
        self.count += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
    }

    fn close(&mut self, node: usize) {
        if self.low[node] != self.index[node] {
            return;
        }
        let mut component = Vec::new();
        while let Some(member) = self.stack.pop() {
            self.on_stack[member] = false;
            component.push(member);
            if member == node {
                break;
            }
        }
        component.sort_unstable();
        self.components.push(component);
    }
}
