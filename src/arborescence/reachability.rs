//! Finds the nodes that can't be reached, once it is known that there are some.

use alloc::vec;
use alloc::vec::Vec;

use super::{ArborescenceError, Root};

/// Why the digraph with these successors has no spanning arborescence.
///
/// For a given root, the error names the lowest node that the root doesn't reach. For any root, it names two
/// nodes that can't both be reached from one node: the lowest nodes of two strongly connected components that
/// no edge enters.
pub(super) fn explain<F, I>(size: usize, root: Root, successors: F) -> ArborescenceError
where
    F: Fn(usize) -> I,
    I: Iterator<Item = usize>,
{
    match root {
        Root::At(root) => {
            let mut reached = vec![false; size];
            visit(root, &mut reached, &successors);
            let node = reached.iter().position(|&reached| !reached);
            ArborescenceError::Unreachable {
                root,
                node: node.unwrap_or(root),
            }
        }
        Root::Any => {
            let sources = source_components(size, &successors);
            let first = sources.first().copied().unwrap_or_default();
            let second = sources.get(1).copied().unwrap_or(first);
            ArborescenceError::NoArborescence { first, second }
        }
    }
}

/// The lowest node of every strongly connected component that no edge enters, in ascending order.
fn source_components<F, I>(size: usize, successors: &F) -> Vec<usize>
where
    F: Fn(usize) -> I,
    I: Iterator<Item = usize>,
{
    // Searching from the nodes in ascending order starts one search at the lowest node of every such
    // component, because no search that starts elsewhere can enter it.
    let mut reached = vec![false; size];
    let mut starts = Vec::new();
    for node in 0..size {
        if !reached[node] {
            starts.push(node);
            visit(node, &mut reached, successors);
        }
    }
    // No start is reached from an earlier one. The starts that aren't reached from a later one either are
    // the result.
    reached.fill(false);
    let mut sources = Vec::new();
    for &start in starts.iter().rev() {
        if !reached[start] {
            sources.push(start);
            visit(start, &mut reached, successors);
        }
    }
    sources.reverse();
    sources
}

/// Marks every node that can be reached from `start` through unmarked nodes.
fn visit<F, I>(start: usize, reached: &mut [bool], successors: &F)
where
    F: Fn(usize) -> I,
    I: Iterator<Item = usize>,
{
    let mut open = vec![start];
    reached[start] = true;
    while let Some(node) = open.pop() {
        for next in successors(node) {
            if !reached[next] {
                reached[next] = true;
                open.push(next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(size: usize, edges: &[(usize, usize)]) -> Vec<usize> {
        source_components(size, &|node: usize| {
            edges
                .iter()
                .filter(move |edge| edge.0 == node)
                .map(|edge| edge.1)
        })
    }

    #[test]
    fn every_component_without_an_entering_edge_is_found_by_its_lowest_node() {
        assert_eq!(sources(3, &[]), [0, 1, 2]);
        // 1 -> 2 -> 3 -> 1 enters 0; 4 <-> 5 enters 0 as well.
        let edges = [(1, 2), (2, 3), (3, 1), (3, 0), (5, 4), (4, 5), (4, 0)];
        assert_eq!(sources(6, &edges), [1, 4]);
        // The start at 0 is reached from a later start.
        assert_eq!(sources(3, &[(0, 1), (2, 0)]), [2]);
    }
}
