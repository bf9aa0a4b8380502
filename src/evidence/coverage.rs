//! How much of each pair of models was compared, and which parents are incomplete.

use alloc::vec::Vec;

use super::assembled::Assembled;

/// For every pair of models in a group, the share of each one's weights that was compared with the other;
/// also the parents that lack a part of their child.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Coverage {
    pub(super) models: usize,
    /// Row by row: the share of the row's model that was compared with the column's.
    pub(super) shares: Vec<f64>,
    /// Sorted by parent and child.
    pub(super) partial: Vec<PartialParent>,
    /// See [`repeated`](Self::repeated).
    pub(super) repeated: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) assembled: Vec<Assembled>,
    /// Pairs of models of which the second is the first with rows added, or taken away, sorted.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) extended: Vec<(usize, usize)>,
}

/// A possible parent that covers less of a child than another model does, or of which the child has less than
/// other models have.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PartialParent {
    /// The position of the parent.
    pub parent: usize,
    /// The position of the child.
    pub child: usize,
    /// The distance that they would have on all of the weights of the one that lacks less, if these moved as
    /// they do from it to the nearest relative that has them; `None` where on what parent and child share the
    /// parent can't be told from a relative that has all the rest, too.
    pub distance: Option<f64>,
}

impl Coverage {
    /// The share of the model `of`'s weights that was compared with the model `with`; 1 with itself, `None`
    /// if there is no such model.
    #[must_use]
    pub fn share(&self, of: usize, with: usize) -> Option<f64> {
        if of.max(with) >= self.models {
            return None;
        }
        if of == with {
            return Some(1.0);
        }
        self.shares.get(of * self.models + with).copied()
    }

    /// The share of a model's weights that lie in tensors of which it holds another copy, perhaps trained since, as
    /// models do that were stacked from layers of another or whose experts were copied from one dense layer; 0
    /// where there is no such model.
    #[must_use]
    pub fn repeated(&self, model: usize) -> f64 {
        self.repeated.get(model).copied().unwrap_or(0.0)
    }

    /// The models that were assembled from the weights of several others, such as some mixtures of experts.
    /// Each of those others came before the assembled model.
    #[must_use]
    pub fn assembled(&self) -> &[Assembled] {
        &self.assembled
    }

    /// Whether some matrices of a model are those of another, its relative, with rows added at the end, as
    /// vocabularies grow, and none the other way round. If the two are otherwise equal and those rows look like all
    /// others, it is the other that was made by taking rows away.
    #[must_use]
    pub fn extends(&self, model: usize, other: usize) -> bool {
        self.extended.binary_search(&(other, model)).is_ok()
    }

    /// What is known of a pair one of which covers less of the other than another model does.
    #[must_use]
    pub fn partial(&self, parent: usize, child: usize) -> Option<PartialParent> {
        let key = |partial: &PartialParent| (partial.parent, partial.child);
        let found = self.partial.binary_search_by_key(&(parent, child), key);
        found.ok().map(|at| self.partial[at])
    }
}
