//! The evidence of one cluster, and the tree that is found of it.

use alloc::vec::Vec;

use super::RecoveryError;
use crate::condensed::CondensedMatrix;
use crate::evidence::GroupEvidence;

/// The models of one cluster, sorted by name.
pub(super) struct Cluster<'a> {
    group: &'a GroupEvidence,
    members: Vec<usize>,
    distances: CondensedMatrix,
}

impl<'a> Cluster<'a> {
    pub(super) fn new(
        group: &'a GroupEvidence,
        members: Vec<usize>,
    ) -> Result<Self, RecoveryError> {
        let distances = group.distances().select(&members);
        Ok(Self {
            group,
            distances: distances.ok_or(RecoveryError::Partition)?,
            members,
        })
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

    /// The score of each layer, or of the model where layers aren't told apart.
    pub(super) fn layer_scores(&self, member: usize) -> Vec<f64> {
        match self.group.layer_scores() {
            Some(scores) => scores[self.members[member]].clone(),
            None => self.score(member).into_iter().collect(),
        }
    }

    /// What a member was copied of, if it is a copy and that is in the cluster.
    pub(super) fn original(&self, member: usize) -> Option<usize> {
        let model = self.members[member];
        let original = self
            .group
            .original(model)
            .filter(|&original| original != model)?;
        self.members.binary_search(&original).ok()
    }

    pub(super) const fn distances(&self) -> &CondensedMatrix {
        &self.distances
    }

    pub(super) fn distance(&self, first: usize, second: usize) -> f64 {
        self.distances.distance(first, second).unwrap_or(0.0)
    }

    /// d², over all weights where it was measured.
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

    /// β from one model to the other, its layer error and its model error, if it was measured.
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

/// The parent of every member of a cluster, and how sure it is, if that is known.
pub(super) struct Tree {
    pub(super) parents: Vec<Option<usize>>,
    pub(super) confidences: Option<Vec<f64>>,
}
