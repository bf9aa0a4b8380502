//! Blocks: models whose weights have equal names and shapes, and which blocks are near each other.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::near::find;
use crate::signature::Signature;

/// Blocks that have a smaller share of their weights in common can't be compared.
const LEAST_SHARED: f64 = 0.02;

/// The names and shapes of the weights of a model, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Layout(Vec<(String, Vec<usize>)>);

impl Layout {
    pub(super) fn of(signature: &Signature) -> Self {
        let weights = signature
            .tensors()
            .iter()
            .filter(|tensor| tensor.is_weight());
        Self(
            weights
                .map(|tensor| (tensor.name().into(), tensor.shape().to_vec()))
                .collect(),
        )
    }

    /// The names of the weights that both have in one shape; where there are none, of those that
    /// differ in their number of rows only.
    pub(super) fn shared<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let shared = |matches: fn(&[usize], &[usize]) -> bool| -> Vec<&'a str> {
            let weights = self.0.iter().filter(|(name, shape)| {
                let found = other.0.binary_search_by(|(other, _)| other.cmp(name));
                found.is_ok_and(|at| matches(shape, &other.0[at].1))
            });
            weights.map(|(name, _)| &**name).collect()
        };
        let equal = shared(|first, second| first == second);
        if equal.is_empty() {
            shared(is_same_but_for_rows)
        } else {
            equal
        }
    }

    pub(super) fn values(&self) -> f64 {
        self.0.iter().map(|(_, shape)| values(shape)).sum()
    }

    /// The number of values of some of the weights, given by sorted names.
    pub(super) fn values_of(&self, names: &[&str]) -> f64 {
        let weights = self.0.iter();
        let some = weights.filter(|(name, _)| names.binary_search(&&**name).is_ok());
        some.map(|(_, shape)| values(shape)).sum()
    }

    /// Whether models of the two layouts have enough weights in common to be compared.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        let mut shared = 0.0;
        for (name, shape) in &self.0 {
            if let Ok(at) = other.0.binary_search_by(|(other, _)| other.cmp(name))
                && is_same_but_for_rows(shape, &other.0[at].1)
            {
                shared += values(shape).min(values(&other.0[at].1));
            }
        }
        let smaller = self.values().min(other.values());
        shared > 0.0 && shared >= LEAST_SHARED * smaller
    }
}

fn values(shape: &[usize]) -> f64 {
    shape.iter().map(|&length| length as f64).product()
}

fn is_same_but_for_rows(first: &[usize], second: &[usize]) -> bool {
    first.len() == second.len() && first.get(1..) == second.get(1..)
}

/// The blocks that can be compared, and so on transitively.
///
/// An inverted list from names to blocks finds those that share anything at all.
///
/// O(pairs of blocks that share a name) time.
pub(super) fn neighbourhoods<'a>(layouts: &[&'a Layout]) -> Vec<Vec<usize>> {
    let mut with: BTreeMap<(&'a str, &'a [usize]), Vec<usize>> = BTreeMap::new();
    for (block, layout) in layouts.iter().enumerate() {
        for (name, shape) in &layout.0 {
            let tail = shape.get(1..).unwrap_or_default();
            with.entry((name, tail)).or_default().push(block);
        }
    }
    let mut sets: Vec<usize> = (0..layouts.len()).collect();
    let mut seen: BTreeSet<(usize, usize)> = BTreeSet::new();
    for blocks in with.values() {
        for (at, &second) in blocks.iter().enumerate() {
            for &first in &blocks[..at] {
                let (u, v) = (find(&mut sets, first), find(&mut sets, second));
                if u != v
                    && seen.insert((first, second))
                    && layouts[first].is_comparable(layouts[second])
                {
                    sets[u.max(v)] = u.min(v);
                }
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for block in 0..layouts.len() {
        groups
            .entry(find(&mut sets, block))
            .or_default()
            .push(block);
    }
    groups.into_values().collect()
}
