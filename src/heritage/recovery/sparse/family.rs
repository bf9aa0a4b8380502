//! The near pairs of a family, and the trees recovered from them.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::evidence::Merge;
use crate::heritage::StageEstimate;
use crate::heritage::recovery::NEARLY_ALL;
use crate::heritage::recovery::certainty::Certainty;
use crate::heritage::recovery::missing::MissingParent;
use crate::heritage::recovery::model::JointModel;
use crate::heritage::recovery::stages::{self, StageWeights};

/// The comparison of two near models.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::heritage) struct NearPair {
    /// The smaller position.
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
    /// In how many sets of models that share weights both are.
    pub(in crate::heritage) shared_sets: usize,
}

impl NearPair {
    /// The share of one of the two that was compared.
    pub(in crate::heritage) fn share_of(&self, model: usize) -> f64 {
        self.compared[usize::from(model == self.second)]
    }

    /// Whether the two were compared on nearly all weights of both.
    pub(super) fn is_whole(&self) -> bool {
        self.compared[0].min(self.compared[1]) >= NEARLY_ALL
    }
}

/// The models of one family, sorted by name, and their near pairs.
#[derive(Clone, Debug, Default)]
pub(in crate::heritage) struct Family<'a> {
    pub(in crate::heritage) names: Vec<&'a str>,
    /// Sorted by first and second model.
    pub(in crate::heritage) pairs: Vec<NearPair>,
    /// Copies, each with its original.
    pub(in crate::heritage) originals: Vec<(usize, usize)>,
    /// The models that were averaged from others of the family.
    pub(in crate::heritage) merges: Vec<Merge>,
    /// For every parent (first) that covers less of a child (second) than another model does, the distance it
    /// would have over all of the child.
    pub(in crate::heritage) partial: HashMap<(usize, usize), Option<f64>>,
}

impl Family<'_> {
    /// The comparison of two models, if they are near.
    pub(super) fn pair(&self, u: usize, v: usize) -> Option<&NearPair> {
        let ends = (u.min(v), u.max(v));
        let found = (self.pairs).binary_search_by_key(&ends, |pair| (pair.first, pair.second));
        self.pairs.get(found.ok()?)
    }

    /// For every model, those with the same compared weights.
    pub(super) fn equal(&self) -> Vec<Vec<usize>> {
        let mut equal = alloc::vec![Vec::new(); self.names.len()];
        for pair in (self.pairs.iter()).filter(|pair| pair.squared_distance == 0.0) {
            equal[pair.first].push(pair.second);
            equal[pair.second].push(pair.first);
        }
        equal
    }

    /// For every model, the largest share of it that a near model covers, and the smallest distance among the
    /// models that cover this share.
    pub(super) fn coverage(&self) -> Vec<(f64, f64)> {
        let mut coverage = alloc::vec![(0.0, f64::INFINITY); self.names.len()];
        for pair in &self.pairs {
            for model in [pair.first, pair.second] {
                let (most, nearest) = &mut coverage[model];
                let share = pair.share_of(model);
                if share > *most {
                    (*most, *nearest) = (share, pair.distance);
                } else if share >= *most {
                    *nearest = nearest.min(pair.distance);
                }
            }
        }
        coverage
    }
}

/// The parent of a member (`None` for a root), and the confidence in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::heritage) struct Placement {
    pub(in crate::heritage) parent: Option<usize>,
    pub(in crate::heritage) certainty: Certainty,
}

/// The trees of a family.
#[derive(Clone, Debug, Default)]
pub(in crate::heritage) struct SparseTrees {
    pub(in crate::heritage) placements: Vec<Placement>,
    /// The points between the models where a model is missing.
    pub(in crate::heritage::recovery) missing: Vec<MissingParent>,
    /// `None` if the stage is given.
    pub(in crate::heritage::recovery) stages: Option<StageWeights>,
}

impl SparseTrees {
    /// The estimated stage of the trees; `None` if it is given.
    pub(in crate::heritage) fn stage(&self, model: &JointModel) -> Option<StageEstimate> {
        stages::estimate(&[self.stages?], model).first().copied()
    }
}
