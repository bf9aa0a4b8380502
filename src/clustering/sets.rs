//! Disjoint sets, to follow which clusters points have come into.

use alloc::vec;
use alloc::vec::Vec;

/// Union-find by size with path halving.
pub(super) struct DisjointSets {
    parent: Vec<usize>,
    size: Vec<usize>,
}

impl DisjointSets {
    pub(super) fn new(points: usize) -> Self {
        Self {
            parent: (0..points).collect(),
            size: vec![1; points],
        }
    }

    /// The number of points in the set of this one.
    pub(super) fn size(&mut self, point: usize) -> usize {
        let root = self.find(point);
        self.size[root]
    }

    /// The point that stands for the set of this one.
    pub(super) fn find(&mut self, mut point: usize) -> usize {
        while self.parent[point] != point {
            self.parent[point] = self.parent[self.parent[point]];
            point = self.parent[point];
        }
        point
    }

    /// The point that stands for the union of the two sets.
    pub(super) fn union(&mut self, first: usize, second: usize) -> usize {
        let (first, second) = (self.find(first), self.find(second));
        let (small, large) = if self.size[first] < self.size[second] {
            (first, second)
        } else {
            (second, first)
        };
        if small != large {
            self.parent[small] = large;
            self.size[large] += self.size[small];
        }
        large
    }
}
