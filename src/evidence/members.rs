//! Builds the tables of one group of models from the relations of its pairs.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use num_traits::Float;

use super::assembled::assembled;
use super::copies::{CopyKind, copy_kind, is_same_but_for_rounding};
use super::coverage::Coverage;
use super::relation::{self, Relation, RelationOptions};
use super::repeated::repeated;
use super::{EvidenceError, GroupEvidence, Growth, MatchRule, ModelCopy, SharedWeights};
use crate::condensed::{CondensedMatrix, condensed_index};
use crate::signature::Signature;

/// How many of the nearest models are considered as originals of a copy.
const NEAREST: usize = 8;

/// Differences in shares below this are ignored: a head with few classes, a few extra tokens.
pub(crate) const SAME_SHARE: f64 = 1e-3;

/// Models are of one kind if at least this share of both was compared.
const MOSTLY_ALIKE: f64 = 0.75;

/// Models whose unrelatedness is below this may differ by rounding alone.
const ROUNDING: f64 = 1e-12;

/// The standard error assigned to growth that can't be estimated.
const UNKNOWN: f64 = 1e3;

/// The models of one group.
pub(super) struct Members<'a> {
    pub(super) options: RelationOptions,
    pub(super) signatures: Vec<&'a Signature>,
    /// The relations of all pairs, in condensed order.
    pub(super) relations: Vec<Relation>,
}

impl Members<'_> {
    pub(super) fn len(&self) -> usize {
        self.signatures.len()
    }

    pub(super) fn signature(&self, member: usize) -> &Signature {
        self.signatures[member]
    }

    pub(super) fn relation(&self, first: usize, second: usize) -> &Relation {
        &self.relations[condensed_index(self.len(), first, second)]
    }

    /// All names of the weights that most pairs of related models share but didn't inherit from a common
    /// ancestor, such as heads for different tasks.
    ///
    /// A few pairs may share such weights; counting them would make those distances longer than the rest.
    pub(super) fn mostly_replaced(&self) -> Vec<String> {
        // Models with different layers under the same names don't help to identify a head.
        let is_alike = |relation: &Relation| {
            let [first, second] = relation.compared();
            relation.is_related() && first.min(second) >= MOSTLY_ALIKE
        };
        let alike = || self.relations.iter().filter(|relation| is_alike(relation));
        let mut replaced: BTreeMap<&str, usize> = BTreeMap::new();
        for name in alike().flat_map(Relation::replaced_names) {
            *replaced.entry(name).or_default() += 1;
        }
        let has = |member: usize, name: &str| self.signature(member).tensor(name).is_some();
        let mostly = replaced.into_iter().filter(|&(name, count)| {
            let having: Vec<bool> = (0..self.len()).map(|m| has(m, name)).collect();
            let counts = |&(u, v): &(usize, usize)| {
                let relation = self.relation(u, v);
                // If names differ, the model without this name has the weight, too.
                let either = relation.rule() != MatchRule::Names && (having[u] || having[v]);
                is_alike(relation) && ((having[u] && having[v]) || either)
            };
            2 * count >= self.pairs().filter(counts).count()
        });
        mostly.map(|(name, _)| name.into()).collect()
    }

    /// All pairs, in condensed order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let models = self.len();
        (0..models).flat_map(move |first| (first + 1..models).map(move |second| (first, second)))
    }

    /// A table with one value per pair; the smaller position comes first.
    pub(super) fn table(
        &self,
        value: impl FnMut(usize, usize) -> f64,
    ) -> Result<CondensedMatrix, EvidenceError> {
        Ok(CondensedMatrix::from_fn(self.len(), value)?)
    }

    pub(super) fn evidence(&self) -> Result<GroupEvidence, EvidenceError> {
        let distances = self.distances()?;
        let names = (0..self.len()).map(|member| self.signature(member).name().into());
        let mut evidence = GroupEvidence::new(names.collect(), self.scores(), distances)?
            .with_geometry(self.geometry()?)?;
        if self.len() > 1 {
            evidence = evidence
                .with_growth(self.growth()?)?
                .with_score_changes(self.table(|u, v| self.relation(u, v).score_change())?)?;
        }
        evidence.layers = self.layers();
        evidence.shared_weights = Some(SharedWeights::of(&self.signatures));
        let copies = self.copies(&evidence);
        if let Some(geometry) = evidence.geometry() {
            evidence.merges = self.merges(geometry, &copies);
        }
        evidence = evidence.with_copies(copies)?;
        if let Some(coverage) = self.coverage() {
            evidence = evidence.with_coverage(coverage)?;
        }
        Ok(evidence)
    }

    /// The mean size of weights if models differ in what they share; distances are then in units of it.
    pub(super) fn common_size(&self) -> Option<f64> {
        let is_all = |relation: &Relation| {
            let [first, second] = relation.compared();
            first.min(second) > 1.0 - SAME_SHARE
        };
        if self.relations.iter().all(is_all) {
            return None;
        }
        let comparable = self.relations.iter().filter(|r| r.is_comparable());
        let mut sizes: Vec<f64> = comparable.map(Relation::size).collect();
        // Sorted, so that the order of the models doesn't affect the rounding of the sum.
        sizes.sort_by(f64::total_cmp);
        Some(sizes.iter().sum::<f64>() / sizes.len().max(1) as f64)
    }

    /// Eq. 1 without uniform shrinkage, scaled to a common size if models differ in what they share; `None`
    /// for models that can't be compared.
    pub(super) fn distance(&self, first: usize, second: usize, common: Option<f64>) -> Option<f64> {
        let relation = self.relation(first, second);
        let scale = match common {
            Some(common) if relation.size() > 0.0 => common / relation.size(),
            _ => 1.0,
        };
        let without_decay = || Float::sqrt(relation.share_without_decay());
        relation
            .is_comparable()
            .then(|| scale * without_decay() * relation.distance())
    }

    fn distances(&self) -> Result<CondensedMatrix, EvidenceError> {
        let common = self.common_size();
        let known = self
            .pairs()
            .filter_map(|(u, v)| self.distance(u, v, common));
        let largest = known.fold(0.0, f64::max);
        self.table(|u, v| self.distance(u, v, common).unwrap_or(2.0 * largest))
    }

    /// Eq. 3 over each model's own layers; `None` if any model has no score.
    fn scores(&self) -> Option<Vec<f64>> {
        let score = |member: usize| relation::score(&self.options, self.signature(member));
        (0..self.len()).map(score).collect()
    }

    fn growth(&self) -> Result<Growth, EvidenceError> {
        let growth = |u, v| self.relation(u, v).growth();
        Growth::new(
            self.table(|u, v| growth(u, v).map_or(0.0, |growth| growth.coefficient))?,
            self.table(|u, v| growth(u, v).map_or(UNKNOWN, |g| g.model_error.min(UNKNOWN)))?,
            self.table(|u, v| growth(u, v).map_or(0.0, |growth| growth.layer_error))?,
        )
    }

    /// The names of the compared tensors that most members have.
    fn layers(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for signature in &self.signatures {
            for tensor in signature.tensors() {
                if self.options.compares(tensor) {
                    *counts.entry(tensor.name()).or_default() += 1;
                }
            }
        }
        let most = counts
            .into_iter()
            .filter(|(_, count)| 2 * count > self.len());
        most.map(|(name, _)| name.into()).collect()
    }

    /// The copies, each with its nearest possible original.
    fn copies(&self, evidence: &GroupEvidence) -> Vec<ModelCopy> {
        let mut copies = self.duplicates();
        self.rounded_duplicates(&mut copies);
        for copy in 0..self.len() {
            if copies.iter().any(|duplicate| duplicate.copy == copy) {
                continue;
            }
            let distance = |other: usize| {
                evidence
                    .distances()
                    .distance(copy, other)
                    .unwrap_or(f64::INFINITY)
            };
            let mut others: Vec<usize> = (0..self.len())
                .filter(|&other| other != copy && self.relation(copy, other).is_related())
                .collect();
            others.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
            others.truncate(NEAREST);
            let made_from = others.into_iter().find_map(|original| {
                let kind = copy_kind(self.signature(original), self.signature(copy))?;
                Some(ModelCopy {
                    copy,
                    original,
                    kind,
                })
            });
            copies.extend(made_from);
        }
        self.made_from_originals(&mut copies);
        copies
    }

    /// The models with the same values as another. The one stored in the fewest bytes is taken as the original: values
    /// that fit a shorter type were converted from it. Of several, it is the first.
    fn duplicates(&self) -> Vec<ModelCopy> {
        // A skipped tensor may differ.
        let is_whole = |&member: &usize| self.signature(member).skipped_layers().is_empty();
        let mut whole: Vec<usize> = (0..self.len()).filter(is_whole).collect();
        whole.sort_by_key(|&member| self.signature(member).stored_bytes());
        let mut copies: Vec<ModelCopy> = Vec::new();
        for (at, &copy) in whole.iter().enumerate() {
            let is_equal = |&&original: &&usize| self.relation(original, copy).is_equal();
            let original = whole[..at].iter().find(is_equal);
            copies.extend(original.map(|&original| ModelCopy {
                copy,
                original,
                kind: CopyKind::Duplicate,
            }));
        }
        copies
    }

    /// Adds models that differ from an earlier one by rounding alone.
    fn rounded_duplicates(&self, copies: &mut Vec<ModelCopy>) {
        for copy in 1..self.len() {
            let is_copy = |model: usize| copies.iter().any(|known| known.copy == model);
            let is_same = |&other: &usize| {
                self.relation(copy, other).unrelatedness() < ROUNDING
                    && !is_copy(other)
                    && is_same_but_for_rounding(self.signature(other), self.signature(copy))
            };
            let original = (0..copy).filter(|_| !is_copy(copy)).find(is_same);
            copies.extend(original.map(|original| ModelCopy {
                copy,
                original,
                kind: CopyKind::Duplicate,
            }));
        }
    }

    /// If a model could have been made from a copy or from that copy's original, picks the original: its
    /// distances to both are often too similar to decide.
    fn made_from_originals(&self, copies: &mut [ModelCopy]) {
        for at in 0..copies.len() {
            // A chain of originals is no longer than the number of copies.
            for _ in 0..copies.len() {
                let ModelCopy { copy, original, .. } = copies[at];
                let above = copies.iter().find(|other| other.copy == original);
                let Some(above) = above.map(|other| other.original).filter(|&m| m != copy) else {
                    break;
                };
                let Some(kind) = copy_kind(self.signature(above), self.signature(copy)) else {
                    break;
                };
                copies[at].original = above;
                copies[at].kind = kind;
            }
        }
    }

    /// The pairs of which the second is the first with rows added, or taken away, sorted.
    fn extended(&self) -> Vec<(usize, usize)> {
        let pairs =
            self.pairs().filter_map(
                |(first, second)| match self.relation(first, second).rows() {
                    Ordering::Less => Some((first, second)),
                    Ordering::Greater => Some((second, first)),
                    Ordering::Equal => None,
                },
            );
        let mut pairs: Vec<(usize, usize)> = pairs.collect();
        pairs.sort_unstable();
        pairs
    }

    /// The coverage; `None` if every pair was compared on all weights.
    fn coverage(&self) -> Option<Coverage> {
        let models = self.len();
        let mut shares = vec![1.0; models * models];
        for first in 0..models {
            for second in first + 1..models {
                let [u, v] = self.relation(first, second).compared();
                shares[first * models + second] = u;
                shares[second * models + first] = v;
            }
        }
        let extended = self.extended();
        if extended.is_empty() && shares.iter().all(|&share| share > 1.0 - SAME_SHARE) {
            return None;
        }
        let mut coverage = Coverage {
            models,
            shares,
            partial: Vec::new(),
            repeated: self.signatures.iter().map(|s| repeated(s)).collect(),
            assembled: assembled(&self.signatures),
            extended,
        };
        let mut partial = Vec::new();
        for child in 0..models {
            partial.extend(self.partial_parents(&coverage, child));
            partial.extend(self.parents_of_partial(&coverage, child));
        }
        coverage.add_partial(partial);
        Some(coverage)
    }
}
