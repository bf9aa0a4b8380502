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
    /// Pairs of models of which the second was made from the first by adding or removing rows, sorted.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) extended: Vec<(usize, usize)>,
}

/// A parent and a child, one of which covers less of the other's weights than some other model does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PartialParent {
    /// The position of the parent.
    pub parent: usize,
    /// The position of the child.
    pub child: usize,
    /// The estimated distance on all weights of whichever of the two lacks less: the weights that the other lacks
    /// are assumed to differ as much as they do from the nearest relative that has them. `None` if a relative
    /// with those weights can't be distinguished from the parent on the weights that parent and child share.
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

    /// The share of a model's weights in tensors that it contains more than once. The copies may have been trained
    /// since. Examples are models stacked from the layers of another, and mixtures whose experts were copied from
    /// one dense layer. 0 if there is no such model.
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

    /// Whether a model has some matrices of a relative with rows added at the end, such as a larger vocabulary,
    /// and the relative has none of its matrices with added rows. If the two are otherwise equal and the extra rows
    /// look like the others, rows were removed instead, and the roles are exchanged.
    #[must_use]
    pub fn extends(&self, model: usize, other: usize) -> bool {
        self.extended.binary_search(&(other, model)).is_ok()
    }

    /// The entry for a pair, if one of the two covers less of the other than some other model does.
    #[must_use]
    pub fn partial(&self, parent: usize, child: usize) -> Option<PartialParent> {
        let key = |partial: &PartialParent| (partial.parent, partial.child);
        let found = self.partial.binary_search_by_key(&(parent, child), key);
        found.ok().map(|at| self.partial[at])
    }
}
