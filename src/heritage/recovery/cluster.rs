//! The evidence of one cluster, and the tree recovered from it.

use alloc::vec::Vec;

use super::certainty::Certainty;
use super::constraints::Constraints;
use super::missing::MissingParent;
use super::model::JointModel;
use super::stages::StageWeights;
use super::{NEARLY_ALL, RecoveryError};
use crate::arborescence::{DenseDigraph, Root, minimum_arborescence};
use crate::condensed::CondensedMatrix;
use crate::disjoint_sets::DisjointSets;
use crate::evidence::{GroupEvidence, vote};
use crate::heritage::DescentKind;

/// The models of one cluster, sorted by name.
pub(super) struct Cluster<'a> {
    group: &'a GroupEvidence,
    members: Vec<usize>,
    distances: CondensedMatrix,
    constraints: Constraints,
    model: &'a JointModel,
}

impl<'a> Cluster<'a> {
    pub(super) fn new(
        group: &'a GroupEvidence,
        members: Vec<usize>,
        constraints: &Constraints,
        model: &'a JointModel,
    ) -> Result<Self, RecoveryError> {
        let distances = group.distances().select(&members);
        Ok(Self {
            group,
            distances: distances.ok_or(RecoveryError::Partition)?,
            constraints: constraints.select(&members),
            members,
            model,
        })
    }

    /// A cluster of some of the models, given by their positions in the group.
    pub(super) fn part(
        &self,
        members: Vec<usize>,
        constraints: &Constraints,
    ) -> Result<Self, RecoveryError> {
        Self::new(self.group, members, constraints, self.model)
    }

    /// The generative model.
    pub(super) const fn model(&self) -> &'a JointModel {
        self.model
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn name(&self, member: usize) -> &'a str {
        &self.group.models()[self.members[member]]
    }

    pub(super) fn score(&self, member: usize) -> Option<f64> {
        Some(self.group.scores()?[self.members[member]])
    }

    /// How much the score rises from the first to the second member: the vote of the layers, or of the whole
    /// model if layers have no scores of their own.
    pub(super) fn score_change(&self, first: usize, second: usize) -> f64 {
        match self.group.score_changes() {
            Some(changes) => {
                let (u, v) = (self.members[first], self.members[second]);
                let change = changes.distance(u, v).unwrap_or(0.0);
                if u < v { change } else { -change }
            }
            None => vote(self.score(first).into_iter().zip(self.score(second))),
        }
    }

    /// The distance from a parent to a child that costs are based on; `None` if the weights they share carry
    /// no information beyond that of a model with all the rest.
    pub(super) fn parent_distance(&self, parent: usize, child: usize) -> Option<f64> {
        let (u, v) = (self.members[parent], self.members[child]);
        let coverage = self.group.coverage();
        match coverage.and_then(|coverage| coverage.partial(u, v)) {
            Some(partial) => partial.distance,
            None => Some(self.distance(parent, child)),
        }
    }

    /// Whether another member covers more of the child than this parent does.
    pub(super) fn is_partial_parent(&self, parent: usize, child: usize) -> bool {
        let (u, v) = (self.members[parent], self.members[child]);
        let coverage = self.group.coverage();
        coverage.is_some_and(|coverage| coverage.partial(u, v).is_some())
    }

    /// The share of a member's weights that was compared with another's.
    pub(super) fn compared(&self, of: usize, with: usize) -> f64 {
        self.group.compared(self.members[of], self.members[with])
    }

    /// The share of a member's weights that it holds more than once.
    pub(super) fn repeated(&self, member: usize) -> f64 {
        let coverage = self.group.coverage();
        coverage.map_or(0.0, |coverage| coverage.repeated(self.members[member]))
    }

    /// Whether a member has some matrices of another with rows added at the end.
    pub(super) fn extends(&self, member: usize, other: usize) -> bool {
        let (u, v) = (self.members[member], self.members[other]);
        let coverage = self.group.coverage();
        coverage.is_some_and(|coverage| coverage.extends(u, v))
    }

    /// In how many sets of models that share weights both members are.
    pub(super) fn shared_sets(&self, first: usize, second: usize) -> usize {
        let (u, v) = (self.members[first], self.members[second]);
        let shared = self.group.shared_weights();
        shared.map_or(0, |shared| shared.sets_with(u, v))
    }

    /// Whether two members were compared on nearly all weights of both.
    pub(super) fn is_compared(&self, first: usize, second: usize) -> bool {
        self.compared(first, second)
            .min(self.compared(second, first))
            >= NEARLY_ALL
    }

    /// Whether some pair was compared on only part of the weights.
    pub(super) const fn is_partial(&self) -> bool {
        self.group.coverage().is_some()
    }

    pub(super) const fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    pub(super) const fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.constraints
    }

    /// How a child was copied from its parent; `None` if it isn't a copy of it.
    pub(super) fn kind(&self, parent: usize, child: usize) -> Option<DescentKind> {
        let (parent, child) = (self.members[parent], self.members[child]);
        let copy = (self.group.copies().iter()).find(|copy| copy.copy == child)?;
        let is_original = self.group.original(child) == Some(parent);
        is_original.then_some(DescentKind::Copy(copy.kind))
    }

    /// The members of each tree of the shortest forest with the fewest roots that the rules allow.
    pub(super) fn parts(&self) -> Result<Vec<Vec<usize>>, RecoveryError> {
        let models = self.len();
        let largest = self.distances.values().iter().copied().fold(0.0, f64::max);
        // A root costs more than any forest with one root fewer.
        let root = models as f64 * if largest > 0.0 { largest } else { 1.0 };
        let costs = DenseDigraph::from_fn(models + 1, |parent, child| {
            if child == models || (parent == models && self.constraints.is_known(child)) {
                f64::INFINITY
            } else if parent == models {
                root
            } else if self.constraints.allows(parent, child) {
                self.distance(parent, child)
            } else {
                f64::INFINITY
            }
        })?;
        let forest = minimum_arborescence(&costs, Root::At(models))?;
        let mut sets = DisjointSets::new(models);
        for (member, parent) in forest.parents_before(models).into_iter().enumerate() {
            sets.join(member, parent.unwrap_or(member));
        }
        let parts = sets.into_members().into_iter();
        Ok(parts
            .map(|part| part.iter().map(|&member| self.members[member]).collect())
            .collect())
    }

    pub(super) const fn distances(&self) -> &CondensedMatrix {
        &self.distances
    }

    pub(super) fn distance(&self, first: usize, second: usize) -> f64 {
        self.distances.distance(first, second).unwrap_or(0.0)
    }

    /// d² over all weights, if it was measured.
    pub(super) fn squared_distance(&self, first: usize, second: usize) -> f64 {
        let geometry = self.group.geometry();
        let measured = geometry.and_then(|geometry| {
            let distances = geometry.squared_distances();
            distances.distance(self.members[first], self.members[second])
        });
        measured.unwrap_or_else(|| {
            let distance = self.distance(first, second);
            distance * distance
        })
    }

    /// β from one model to the other, with its layer error and its model error, if measured.
    pub(super) fn growth(&self, parent: usize, child: usize) -> Option<(f64, f64, f64)> {
        let growth = self.group.growth()?;
        let (parent, child) = (self.members[parent], self.members[child]);
        Some((
            growth.coefficient(parent, child)?,
            growth.layer_error(parent, child)?,
            growth.model_error(parent, child)?,
        ))
    }
}

/// The parent of every member of a cluster, and how certain it is, if known.
pub(super) struct Tree {
    pub(super) parents: Vec<Option<usize>>,
    pub(super) certainties: Option<Vec<Certainty>>,
    /// The points between the models where a model is missing.
    pub(super) missing: Vec<MissingParent>,
    /// `None` if the stage was given or no score is used.
    pub(super) stages: Option<StageWeights>,
}
