//! Models that were made from others without training.

mod elementwise;
mod nearest_average;
mod step_fit;
mod tensorwise;

use alloc::vec::Vec;

pub(crate) use self::elementwise::takes_values_of_several;
pub(crate) use self::nearest_average::{MOST_IN_COMMON, NearestAverage};
pub(crate) use self::step_fit::StepFit;

use super::common_geometry::NEARLY_ALL;
use super::members::Members;
use super::{Geometry, ModelCopy};

/// A model that is a weighted average of others, exactly (apart from rounding) or approximately.
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

    /// Whether each is a parent of the other.
    pub(crate) fn is_mutual(&self, other: &Self) -> bool {
        self.has_parent(other.model) && other.has_parent(self.model)
    }

    /// Whether two different averages lie on one line: between the same two models, or one of them between the other and one
    /// of its parents.
    pub(crate) fn is_in_line_with(&self, other: &Self) -> bool {
        let are_pairs = self.parents.len() == 2 && other.parents.len() == 2;
        let is_on_line =
            |&(parent, _): &(usize, f64)| parent == other.model || other.has_parent(parent);
        are_pairs && self.model != other.model && self.parents.iter().all(is_on_line)
    }

    fn has_parent(&self, model: usize) -> bool {
        self.parents.iter().any(|&(parent, _)| parent == model)
    }

    /// How far the model is from the average: 0 if the average is exact, and about 1 if the parents were trained from the
    /// model independently. It is the ratio of their squared distance to the one expected in that case. For merges that
    /// select or drop values, it is the share of the model's squared step from its base that the parents' steps don't
    /// explain, or, without a base, the share of the values that come from none of the parents.
    #[must_use]
    pub const fn residual(&self) -> f64 {
        self.residual
    }
}

impl Members<'_> {
    /// Merges that only tensors show, at most one for each model.
    pub(super) fn merges(&self, geometry: &Geometry, copies: &[ModelCopy]) -> Vec<Merge> {
        let is_copy = |model: usize| copies.iter().any(|copy| copy.copy == model);
        let search = MergeSearch {
            members: self,
            geometry,
            models: (0..self.len()).filter(|&model| !is_copy(model)).collect(),
        };
        let mut merges = search.tensorwise_merges();
        merges.extend(search.elementwise_merges());
        // The sort is stable: averages come first and are kept.
        merges.sort_by_key(Merge::model);
        merges.dedup_by_key(|merge| merge.model());
        merges
    }
}

/// A search for merges among the models of a group.
struct MergeSearch<'a> {
    members: &'a Members<'a>,
    geometry: &'a Geometry,
    /// The models that aren't copies.
    models: Vec<usize>,
}

impl MergeSearch<'_> {
    /// The other models for which the value is finite, by increasing value; ties go to the first.
    fn others_by(&self, model: usize, value: impl Fn(usize) -> f64) -> Vec<usize> {
        let others = self.models.iter().filter(|&&other| other != model);
        let valued = others.map(|&other| (value(other), other));
        let mut valued: Vec<(f64, usize)> = valued.filter(|(value, _)| value.is_finite()).collect();
        valued.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        valued.into_iter().map(|(_, other)| other).collect()
    }

    /// Whether two models were compared on nearly all weights.
    fn is_whole(&self, first: usize, second: usize) -> bool {
        let [of_first, of_second] = self.members.relation(first, second).compared();
        of_first.min(of_second) >= NEARLY_ALL
    }
}
