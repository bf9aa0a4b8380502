//! How much of each pair of models was compared, and which parents are incomplete.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use num_traits::Float;

use super::assembled::Assembled;
use super::members::SAME_SHARE;

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
    /// The estimated distance on all weights of the more complete of the two: the weights that the other lacks
    /// are assumed to differ as much as they do from the nearest relative that has them. `None` if that relative
    /// can't be distinguished from the child on the weights that all three share.
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

    /// Sets the entries for pairs that were compared on less than others.
    pub(super) fn add_partial(&mut self, partial: impl IntoIterator<Item = PartialParent>) {
        let estimates = partial
            .into_iter()
            .map(|pair| ((pair.parent, pair.child), pair.distance))
            .collect();
        let share = |of, with| self.share(of, with).unwrap_or(0.0);
        let are_even = |u, v| (share(u, v) - share(v, u)).abs() <= SAME_SHARE;
        let distances = in_both_directions(estimates, are_even).into_iter();
        self.partial = distances
            .map(|((parent, child), distance)| PartialParent {
                parent,
                child,
                distance,
            })
            .collect();
    }
}

/// Gives a pair the same estimated distance in both directions if each model covers as much of the other.
///
/// Such models have replaced some weights. Their distance on all weights is estimated with the help of another relative,
/// which differs between the directions. The difference doesn't show which model came first, so both directions get the
/// geometric mean, or the only estimate there is. If a parent carries no information (`None`), nothing is changed.
/// Distances are listed by parent and child.
pub(crate) fn in_both_directions(
    estimates: BTreeMap<(usize, usize), Option<f64>>,
    are_even: impl Fn(usize, usize) -> bool,
) -> BTreeMap<(usize, usize), Option<f64>> {
    let mut distances = estimates.clone();
    for (&(parent, child), &estimate) in &estimates {
        let reverse = estimates.get(&(child, parent)).copied();
        let Some(estimate) = estimate.filter(|_| are_even(parent, child) && reverse != Some(None))
        else {
            continue;
        };
        let mean = Float::sqrt(estimate * reverse.flatten().unwrap_or(estimate));
        distances.insert((parent, child), Some(mean));
        distances.insert((child, parent), Some(mean));
    }
    distances
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_pairs_have_one_distance() {
        let estimates = [
            ((0, 1), Some(2.0)),
            ((1, 0), Some(8.0)),
            ((0, 2), Some(3.0)),
            ((1, 2), Some(5.0)),
            ((2, 1), None),
            ((0, 3), Some(7.0)),
            ((3, 0), Some(1.0)),
        ];
        let found = in_both_directions(BTreeMap::from(estimates), |u, v| u.max(v) < 3);
        let expected = [
            ((0, 1), Some(4.0)),
            ((0, 2), Some(3.0)),
            ((0, 3), Some(7.0)),
            ((1, 0), Some(4.0)),
            ((1, 2), Some(5.0)),
            ((2, 0), Some(3.0)),
            ((2, 1), None),
            ((3, 0), Some(1.0)),
        ];
        assert_eq!(found, BTreeMap::from(expected));
    }
}
