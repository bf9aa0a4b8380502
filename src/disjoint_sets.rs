//! Disjoint sets of items, each named by its lowest item.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Items, each in exactly one set.
pub(crate) struct DisjointSets(Vec<usize>);

impl DisjointSets {
    /// Puts every item in a set of its own.
    pub(crate) fn new(items: usize) -> Self {
        Self((0..items).collect())
    }

    /// The representative of an item's set: its lowest item.
    pub(crate) fn find(&mut self, mut item: usize) -> usize {
        while self.0[item] != item {
            self.0[item] = self.0[self.0[item]];
            item = self.0[item];
        }
        item
    }

    /// Joins two sets, and returns the representative of the union.
    pub(crate) fn join(&mut self, first: usize, second: usize) -> usize {
        let (first, second) = (self.find(first), self.find(second));
        self.0[first.max(second)] = first.min(second);
        first.min(second)
    }

    /// The sets, in the order of their lowest items.
    pub(crate) fn into_members(mut self) -> Vec<Vec<usize>> {
        let mut sets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for item in 0..self.0.len() {
            sets.entry(self.find(item)).or_default().push(item);
        }
        sets.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn joined_items_are_in_one_set() {
        let mut sets = DisjointSets::new(5);
        assert_eq!(sets.join(3, 1), 1);
        assert_eq!(sets.join(4, 3), 1);
        assert_eq!(sets.find(4), sets.find(1));
        assert_eq!(sets.into_members(), [vec![0], vec![1, 3, 4], vec![2]]);
    }
}
