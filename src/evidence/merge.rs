//! A model that was made from others without training.

use alloc::vec::Vec;

/// A model that is a weighted average of others, apart from rounding, or approximately.
///
/// See [`find_merges`](crate::heritage::find_merges), [`find_selective_merges`](crate::heritage::find_selective_merges) and
/// [`GroupEvidence::merges`](super::GroupEvidence::merges), which find different kinds.
///
/// # Examples
///
/// ```
/// use mother::evidence::Merge;
///
/// let merge = Merge::new(2, vec![(1, 0.25), (0, 0.75)], 0.0);
/// assert_eq!(merge.parents(), [(0, 0.75), (1, 0.25)]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Merge {
    model: usize,
    parents: Vec<(usize, f64)>,
    residual: f64,
}

impl Merge {
    /// Creates a merge from the positions of the model and of its parents, with their weights, and the residual.
    #[must_use]
    pub fn new(model: usize, mut parents: Vec<(usize, f64)>, residual: f64) -> Self {
        parents.sort_unstable_by_key(|&(parent, _)| parent);
        Self {
            model,
            parents,
            residual,
        }
    }

    /// The position of the merged model.
    #[must_use]
    pub const fn model(&self) -> usize {
        self.model
    }

    /// The positions of the two to eight models that were averaged, ascending, with their weights, which sum
    /// to 1. One of them may be a base with a negative weight. The model is then the base plus the others'
    /// weighted differences from it, with weights of more than 1 in total.
    #[must_use]
    pub fn parents(&self) -> &[(usize, f64)] {
        &self.parents
    }

    /// Whether a model is one of the parents.
    pub(super) fn has_parent(&self, model: usize) -> bool {
        self.parents.iter().any(|&(parent, _)| parent == model)
    }

    /// The squared distance from the model to the average, as a share of what it would be if the parents were
    /// unrelated to the model: 0 for an exact average, 1 by chance. Where values were chosen or dropped, the share of the
    /// model's squared step from its base that isn't explained.
    #[must_use]
    pub const fn residual(&self) -> f64 {
        self.residual
    }
}
