//! The near pairs of a family, and what is found of them.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::heritage::StageEstimate;
use crate::heritage::recovery::NEARLY_ALL;
use crate::heritage::recovery::belief::Belief;
use crate::heritage::recovery::missing::MissingParent;
use crate::heritage::recovery::model::JointModel;
use crate::heritage::recovery::stages::{self, StageWeights};

/// What two near models say of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::heritage) struct NearPair {
    /// The lesser position.
    pub(in crate::heritage) first: usize,
    pub(in crate::heritage) second: usize,
    pub(in crate::heritage) distance: f64,
    pub(in crate::heritage) squared_distance: f64,
    /// β from the first to the second with its layer error and its model error.
    pub(in crate::heritage) growth: Option<[f64; 3]>,
    /// v from the first to the second.
    pub(in crate::heritage) vote: f64,
    /// The share of the first and of the second that was compared.
    pub(in crate::heritage) compared: [f64; 2],
}

impl NearPair {
    /// The share of one of the two that was compared.
    pub(in crate::heritage) fn share_of(&self, model: usize) -> f64 {
        self.compared[usize::from(model == self.second)]
    }

    /// Whether the two were compared on as good as all weights of both.
    pub(super) fn is_whole(&self) -> bool {
        self.compared[0].min(self.compared[1]) >= NEARLY_ALL
    }
}

/// The models of one family, sorted by name, and the pairs among them that are near.
#[derive(Clone, Debug, Default)]
pub(in crate::heritage) struct Family<'a> {
    pub(in crate::heritage) names: Vec<&'a str>,
    /// Sorted by first and second.
    pub(in crate::heritage) pairs: Vec<NearPair>,
    /// Copies, each with what it was made of.
    pub(in crate::heritage) originals: Vec<(usize, usize)>,
    /// For parents (first) that cover less of a child (second) than another model does: the distance
    /// that they would have on all of the child.
    pub(in crate::heritage) partial: HashMap<(usize, usize), Option<f64>>,
}

impl Family<'_> {
    /// What two models say of each other, if they are near.
    pub(super) fn pair(&self, u: usize, v: usize) -> Option<&NearPair> {
        let ends = (u.min(v), u.max(v));
        let found = (self.pairs).binary_search_by_key(&ends, |pair| (pair.first, pair.second));
        self.pairs.get(found.ok()?)
    }
}

/// The parent of a member, `None` for a root, and how sure that is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::heritage) struct Placement {
    pub(in crate::heritage) parent: Option<usize>,
    pub(in crate::heritage) belief: Belief,
}

/// The trees of a family.
#[derive(Clone, Debug, Default)]
pub(in crate::heritage) struct SparseTrees {
    pub(in crate::heritage) placements: Vec<Placement>,
    /// The points between the models that no model holds.
    pub(in crate::heritage::recovery) missing: Vec<MissingParent>,
    /// `None` where the stage is given.
    pub(in crate::heritage::recovery) stages: Option<StageWeights>,
}

impl SparseTrees {
    /// What the trees say of their stage; `None` where it is given.
    pub(in crate::heritage) fn stage(&self, model: &JointModel) -> Option<StageEstimate> {
        stages::estimate(&[self.stages?], model).first().copied()
    }
}
