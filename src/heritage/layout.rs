//! Everything that queries need to know about a forest's shape, computed once.

use alloc::vec;
use alloc::vec::Vec;

/// A forest laid out in preorder, so that every subtree is one slice.
///
/// Trees are in the order of their roots, and children in the order of their positions.
#[derive(Clone, Default)]
pub(super) struct Layout {
    pub(super) roots: Vec<usize>,
    pub(super) preorder: Vec<usize>,
    /// Where each node is in `preorder`.
    pub(super) place: Vec<usize>,
    /// The number of nodes in each node's subtree, including the node itself.
    pub(super) size: Vec<usize>,
    pub(super) depth: Vec<usize>,
    /// The number of each node's tree.
    pub(super) tree: Vec<usize>,
    /// The children of node `i` are `children[first_child[i]..first_child[i + 1]]`.
    children: Vec<usize>,
    first_child: Vec<usize>,
}

impl Layout {
    /// Lays out a forest given the position of each node's parent.
    ///
    /// On failure, returns a node that is its own ancestor. O(n) time and space, no recursion.
    pub(super) fn new(parents: &[Option<usize>]) -> Result<Self, usize> {
        let layout = Self::of_acyclic(parents);
        if layout.preorder.len() < parents.len() {
            return Err(layout.node_on_cycle(parents));
        }
        Ok(layout)
    }

    /// Like [`new`](Self::new), for parents without cycles. Nodes on a cycle, and all below them, would be in no tree.
    pub(super) fn of_acyclic(parents: &[Option<usize>]) -> Self {
        let mut layout = Self::with_children(parents);
        layout.walk();
        // Children come after their parents, so in reverse order every size is final before it is added.
        for &node in layout.preorder.iter().rev() {
            if let Some(parent) = parents[node] {
                layout.size[parent] += layout.size[node];
            }
        }
        layout
    }

    /// Whether a node is in the subtree of `top`.
    pub(super) fn is_within(&self, node: usize, top: usize) -> bool {
        let start = self.place[top];
        (start..start + self.size[top]).contains(&self.place[node])
    }

    /// The children of a node, in the order of their positions.
    pub(super) fn children(&self, node: usize) -> &[usize] {
        &self.children[self.first_child[node]..self.first_child[node + 1]]
    }

    /// Sorts the nodes by parent, which keeps siblings in order.
    fn with_children(parents: &[Option<usize>]) -> Self {
        let count = parents.len();
        let mut first_child = vec![0; count + 1];
        for &parent in parents.iter().flatten() {
            first_child[parent + 1] += 1;
        }
        for node in 0..count {
            first_child[node + 1] += first_child[node];
        }
        let mut next = first_child.clone();
        let mut children = vec![0; first_child[count]];
        let mut roots = Vec::new();
        for (node, parent) in parents.iter().enumerate() {
            if let Some(parent) = *parent {
                children[next[parent]] = node;
                next[parent] += 1;
            } else {
                roots.push(node);
            }
        }
        Self {
            roots,
            preorder: Vec::with_capacity(count),
            place: vec![usize::MAX; count],
            size: vec![1; count],
            depth: vec![0; count],
            tree: vec![0; count],
            children,
            first_child,
        }
    }

    /// Visits all nodes that can be reached from the roots.
    fn walk(&mut self) {
        let mut stack = Vec::new();
        for (tree, &root) in self.roots.iter().enumerate() {
            stack.push((root, 0));
            while let Some((node, depth)) = stack.pop() {
                self.place[node] = self.preorder.len();
                self.preorder.push(node);
                self.depth[node] = depth;
                self.tree[node] = tree;
                let children = self.children(node).iter().rev();
                stack.extend(children.map(|&child| (child, depth + 1)));
            }
        }
    }

    /// A node that is its own ancestor. Always the same one for the same list.
    fn node_on_cycle(&self, parents: &[Option<usize>]) -> usize {
        let unreached = self.place.iter().position(|&place| place == usize::MAX);
        let mut node = unreached.unwrap_or_default();
        // A node without a root above it has a cycle above it, at most n steps up.
        for _ in parents {
            node = parents[node].unwrap_or(node);
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_and_preorder_keep_the_order_of_the_list() {
        let parents = [Some(3), None, Some(3), None, Some(0), Some(3)];
        let layout = Layout::new(&parents).unwrap();
        assert_eq!(layout.roots, [1, 3]);
        assert_eq!(layout.children(3), [0, 2, 5]);
        assert_eq!(layout.preorder, [1, 3, 0, 4, 2, 5]);
        assert_eq!(layout.size, [2, 1, 1, 5, 1, 1]);
        assert_eq!(layout.depth, [1, 0, 1, 0, 2, 1]);
        assert_eq!(layout.tree, [1, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn the_node_named_is_on_the_cycle_and_not_only_below_it() {
        // 0 → 1 → 2 → 1: the cycle is {1, 2}.
        let parents = [Some(1), Some(2), Some(1), None];
        let node = Layout::new(&parents).err().unwrap();
        assert!(node == 1 || node == 2);
        assert_eq!(Layout::new(&[Some(0)]).err(), Some(0));
    }
}
