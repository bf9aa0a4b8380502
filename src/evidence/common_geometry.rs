//! Norms and distances of a group's models, all of them on the same weights.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::members::Members;
use super::relation::{Relation, RelationOptions};
use super::{EvidenceError, Geometry};
use crate::parallel;

/// If at least this share of both models was compared, their squared distance is used unchanged.
pub(crate) const NEARLY_ALL: f64 = 0.9;

impl Members<'_> {
    /// The geometry on the weights that no two relatives have replaced.
    ///
    /// A pair leaves out the weights that were replaced in one of the two. The average of these two doesn't look
    /// replaced to either, so on all its weights it isn't midway between them. If leaving out everything that any
    /// pair leaves out would leave too little to compare, each pair keeps its own weights.
    pub(super) fn geometry(&self) -> Result<Geometry, EvidenceError> {
        match self.without_replaced() {
            Some(same_weights) => same_weights.geometry_of_own_weights(),
            None => self.geometry_of_own_weights(),
        }
    }

    /// The same models without the weights that two relatives have replaced, if there are any and enough is left.
    fn without_replaced(&self) -> Option<Self> {
        let related = || {
            self.relations
                .iter()
                .filter(|relation| relation.is_related())
        };
        let replaced: BTreeSet<&String> = related().flat_map(Relation::replaced_names).collect();
        if replaced.is_empty() {
            return None;
        }
        let without = replaced.into_iter().chain(&self.options.without);
        let mut without: Vec<String> = without.cloned().collect();
        without.sort_unstable();
        let options = RelationOptions {
            without,
            ..self.options.clone()
        };
        let compare = |((u, v), relation): ((usize, usize), &Relation)| {
            if relation.is_related() {
                Relation::of_checked(&options, self.signature(u), self.signature(v))
            } else {
                relation.clone()
            }
        };
        let relations = parallel::map(self.pairs().zip(&self.relations), compare);
        let is_enough = (self.relations.iter().zip(&relations))
            .all(|(own, same)| !is_on_nearly_all(own) || is_on_nearly_all(same));
        is_enough.then(|| Self {
            options,
            signatures: self.signatures.clone(),
            relations,
        })
    }

    fn geometry_of_own_weights(&self) -> Result<Geometry, EvidenceError> {
        let norms: Vec<f64> = (0..self.len()).map(|member| self.norm(member)).collect();
        let squared = self.table(|first, second| {
            let relation = self.relation(first, second);
            let norms = norms[first] + norms[second];
            // Large values that are similar in all models, as in norms, don't make unrelated ones near to each other.
            let seems_near = relation.unrelatedness() <= Geometry::UNRELATED;
            if !relation.is_comparable() || (seems_near && relation.is_unrelated()) {
                norms
            } else if is_on_nearly_all(relation) {
                relation.squared_distance()
            } else {
                relation.unrelatedness() * norms
            }
        })?;
        Geometry::new(norms, squared)
    }

    /// ‖u‖² over the compared weights.
    fn norm(&self, member: usize) -> f64 {
        let tensors = self.signature(member).tensors().iter();
        let selected = tensors.filter(|tensor| self.options.compares(tensor));
        let norms = selected.flat_map(|tensor| tensor.sketch().squared_norms());
        norms.sum()
    }
}

fn is_on_nearly_all(relation: &Relation) -> bool {
    let [first, second] = relation.compared();
    relation.is_comparable() && first.min(second) >= NEARLY_ALL
}
