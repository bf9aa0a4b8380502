//! Blocks of models whose weights have equal names and shapes, and which blocks can be compared: by names, or
//! by shapes if the names differ.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::summary::Summary;
use crate::disjoint_sets::DisjointSets;
use crate::signature::{Signature, TensorSignature};

/// Blocks that share less than this part of their weights can't be compared.
const LEAST_SHARED: f64 = 0.02;

/// Blocks with different names can be compared if this share of their weights has equal shapes.
const LEAST_OF_EQUAL_SHAPE: f64 = 0.5;

/// The names and shapes of the weights of a model, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Layout {
    weights: Vec<(String, Vec<usize>)>,
    /// How many weights have each shape, sorted by shape.
    shapes: Vec<(Vec<usize>, usize)>,
}

/// What models of two layouts have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Common<'a> {
    /// Weights with these names, sorted.
    Names(Vec<&'a str>),
    /// Weights with these shapes, sorted, under different names.
    Shapes(Vec<&'a [usize]>),
}

impl Common<'_> {
    /// Whether a tensor is in common.
    fn holds(&self, tensor: &TensorSignature) -> bool {
        match self {
            Self::Names(names) => names.binary_search(&tensor.name()).is_ok(),
            Self::Shapes(shapes) => {
                tensor.is_weight() && shapes.binary_search(&tensor.shape()).is_ok()
            }
        }
    }

    /// The summary of what a model has in common with others.
    pub(super) fn summary(&self, signature: &Signature) -> Summary {
        match self {
            Self::Names(_) => Summary::new(signature, |tensor| self.holds(tensor)),
            Self::Shapes(_) => Summary::without_names(signature, |tensor| self.holds(tensor)),
        }
    }
}

impl Layout {
    pub(super) fn of(signature: &Signature) -> Self {
        let tensors = signature.tensors().iter();
        let weights: Vec<(String, Vec<usize>)> = tensors
            .filter(|tensor| tensor.is_weight())
            .map(|tensor| (tensor.name().into(), tensor.shape().to_vec()))
            .collect();
        let mut counts: BTreeMap<&[usize], usize> = BTreeMap::new();
        for (_, shape) in &weights {
            *counts.entry(shape).or_default() += 1;
        }
        let shapes = counts
            .into_iter()
            .map(|(shape, count)| (shape.to_vec(), count));
        Self {
            shapes: shapes.collect(),
            weights,
        }
    }

    /// What models of both layouts have in common: weights with equal names, or with equal shapes if more
    /// weights agree only in their shapes; `None` if they have nothing in common.
    pub(super) fn common<'a>(&'a self, other: &Self) -> Option<Common<'a>> {
        let names = self.shared(other);
        if self.has_equal_shapes(other) && 2.0 * self.values_of(&names) < self.of_equal_shape(other)
        {
            let shapes = self.equal_shapes(other).map(|(shape, _)| shape);
            return Some(Common::Shapes(shapes.collect()));
        }
        (!names.is_empty()).then_some(Common::Names(names))
    }

    /// The names of the weights that have the same shape in both; if there are none, of those that differ
    /// only in their number of rows.
    fn shared<'a>(&'a self, other: &Self) -> Vec<&'a str> {
        let shared = |matches: fn(&[usize], &[usize]) -> bool| -> Vec<&'a str> {
            let weights = self.weights.iter().filter(|(name, shape)| {
                let found = other.shape(name);
                found.is_some_and(|found| matches(shape, found))
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

    fn shape(&self, name: &str) -> Option<&[usize]> {
        let found = (self.weights).binary_search_by(|(other, _)| other.as_str().cmp(name));
        found.ok().map(|at| &*self.weights[at].1)
    }

    /// The shapes that occur in both, with the smaller of their two counts.
    fn equal_shapes<'a>(&'a self, other: &Self) -> impl Iterator<Item = (&'a [usize], usize)> {
        self.shapes.iter().filter_map(|(shape, count)| {
            let found = other.shapes.binary_search_by(|(other, _)| other.cmp(shape));
            let at = found.ok()?;
            Some((&**shape, (*count).min(other.shapes[at].1)))
        })
    }

    /// The number of values in weights that may correspond by shape.
    fn of_equal_shape(&self, other: &Self) -> f64 {
        let shapes = self.equal_shapes(other);
        shapes
            .map(|(shape, count)| values(shape) * count as f64)
            .sum()
    }

    /// Whether most weights of the smaller model have a shape that occurs in the other.
    fn has_equal_shapes(&self, other: &Self) -> bool {
        let smaller = self.values().min(other.values());
        smaller > 0.0 && self.of_equal_shape(other) >= LEAST_OF_EQUAL_SHAPE * smaller
    }

    pub(super) fn values(&self) -> f64 {
        self.weights.iter().map(|(_, shape)| values(shape)).sum()
    }

    /// The number of values in what this layout has in common with another.
    pub(super) fn values_in(&self, common: &Common<'_>, other: &Self) -> f64 {
        match common {
            Common::Names(names) => self.values_of(names),
            Common::Shapes(_) => self.of_equal_shape(other),
        }
    }

    /// The number of values in some of the weights, given by sorted names.
    fn values_of(&self, names: &[&str]) -> f64 {
        let weights = self.weights.iter();
        let some = weights.filter(|(name, _)| names.binary_search(&&**name).is_ok());
        some.map(|(_, shape)| values(shape)).sum()
    }

    /// Whether models of the two layouts have enough weights in common to be compared.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        let mut shared = 0.0;
        for (name, shape) in &self.weights {
            if let Some(found) = other.shape(name)
                && is_same_but_for_rows(shape, found)
            {
                shared += values(shape).min(values(found));
            }
        }
        let smaller = self.values().min(other.values());
        (shared > 0.0 && shared >= LEAST_SHARED * smaller) || self.has_equal_shapes(other)
    }
}

fn values(shape: &[usize]) -> f64 {
    shape.iter().map(|&length| length as f64).product()
}

fn is_same_but_for_rows(first: &[usize], second: &[usize]) -> bool {
    first.len() == second.len() && first.get(1..) == second.get(1..)
}

/// Groups blocks that can be compared, directly or through other blocks.
///
/// Inverted lists from names and shapes to blocks find the blocks that share anything at all.
///
/// O(pairs of blocks that share a name or a shape) time.
pub(super) fn neighbourhoods(layouts: &[&Layout]) -> Vec<Vec<usize>> {
    let mut with: BTreeMap<(Option<&str>, &[usize]), Vec<usize>> = BTreeMap::new();
    for (block, layout) in layouts.iter().enumerate() {
        for (name, shape) in &layout.weights {
            let tail = shape.get(1..).unwrap_or_default();
            with.entry((Some(name), tail)).or_default().push(block);
        }
        for (shape, _) in &layout.shapes {
            with.entry((None, shape)).or_default().push(block);
        }
    }
    let mut sets = DisjointSets::new(layouts.len());
    let mut seen: BTreeSet<(usize, usize)> = BTreeSet::new();
    for blocks in with.values() {
        for (at, &second) in blocks.iter().enumerate() {
            for &first in &blocks[..at] {
                let (u, v) = (sets.find(first), sets.find(second));
                if u != v
                    && seen.insert((first, second))
                    && layouts[first].is_comparable(layouts[second])
                {
                    sets.join(u, v);
                }
            }
        }
    }
    sets.into_members()
}
