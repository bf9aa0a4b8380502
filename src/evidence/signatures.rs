//! Builds tables of evidence from the signatures of many models.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use hashbrown::HashMap;

use super::compatibility;
use super::members::Members;
use super::memory;
use super::relation::{self, Relation, RelationOptions};
use super::table::SkippedLayerOf;
use super::unrelated::Layouts;
use super::{Evidence, EvidenceError, GroupEvidence, LayerSelection, Score};
use crate::condensed::condensed_index;
use crate::disjoint_sets::DisjointSets;
use crate::parallel;
use crate::progress::{Observer, Phase, ProgressReporter};
use crate::signature::Signature;

/// The bytes for one pair: its relation, and later its place in the tables.
const BYTES_A_PAIR: usize = 2 * size_of::<Relation>();

/// The least number of models that are compared with all others at a time, so that those are laid out less often.
const LEAST_ROWS: usize = 16;

/// Compares signatures pair by pair and builds the tables that [`Recovery`](crate::heritage::Recovery) works
/// from.
///
/// The comparison of two models depends on no third one (see [`Relation`]), so an upload that has little in
/// common with a family changes nothing for the others.
///
/// # Examples
///
/// ```
/// use mother::evidence::SignatureComparison;
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let model = |name, last| {
///     InMemoryModel::new(name).with_layer("w", [2, 2], vec![9.0_f32, 1.0, 1.0, last])
/// };
/// let options = SignatureOptions::new();
/// let signatures = [options.sign(&model("base", 1.0)?)?, options.sign(&model("chat", 1.5)?)?];
/// let evidence = SignatureComparison::new().compare(&signatures)?;
/// assert_eq!(evidence.groups[0].distances().values(), [0.5]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct SignatureComparison {
    options: RelationOptions,
}

impl SignatureComparison {
    /// Compares all weights that two models share, with kurtosis as the score.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the layers that are compared.
    #[must_use]
    pub fn with_layers(mut self, layers: LayerSelection) -> Self {
        self.options.layers = layers;
        self
    }

    /// Sets the layers whose scores are compared.
    #[must_use]
    pub fn with_score_layers(mut self, layers: LayerSelection) -> Self {
        self.options.score_layers = layers;
        self
    }

    /// Sets the directional score. [`Score::Entropy`] can't be computed from signatures; with it, models have
    /// no score.
    #[must_use]
    pub fn with_score(mut self, score: Score) -> Self {
        self.options.score = score;
        self
    }

    /// Leaves out the weights with these names, which must be sorted.
    pub(crate) fn without(mut self, names: Vec<String>) -> Self {
        self.options.without = names;
        self
    }

    pub(crate) const fn options(&self) -> &RelationOptions {
        &self.options
    }

    /// Eq. 3 over a model's own layers.
    pub(crate) fn score(&self, signature: &Signature) -> Option<f64> {
        relation::score(&self.options, signature)
    }

    /// Compares two models.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Incompatible`] if the signatures were made with different settings.
    pub fn relation(
        &self,
        first: &Signature,
        second: &Signature,
    ) -> Result<Relation, EvidenceError> {
        self.check(first, second)?;
        Ok(Relation::of_checked(&self.options, first, second))
    }

    /// Checks that two signatures were made with the same settings.
    fn check(&self, first: &Signature, second: &Signature) -> Result<(), EvidenceError> {
        compatibility::check(first, second).map_err(|reason| EvidenceError::Incompatible {
            first: first.name().into(),
            second: second.name().into(),
            reason,
        })
    }

    /// Compares all pairs.
    ///
    /// # Errors
    ///
    /// The same as for [`compare_observed`](Self::compare_observed).
    pub fn compare(&self, signatures: &[Signature]) -> Result<Evidence, EvidenceError> {
        self.compare_observed(signatures, &mut |_| ControlFlow::Continue(()))
    }

    /// Compares all pairs and reports progress to `observer`.
    ///
    /// Two models belong to one group if enough of their weights can be compared; this is extended
    /// transitively.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::DuplicateModel`] if two models have the same name, [`EvidenceError::Incompatible`] if
    /// signatures were made with different settings, [`EvidenceError::Cancelled`] if the observer breaks, and
    /// [`EvidenceError::Number`] if squares overflow.
    ///
    /// # Complexity
    ///
    /// O(n² k) time for n signatures of k numbers, and O(n²) memory.
    pub fn compare_observed(
        &self,
        signatures: &[Signature],
        observer: &mut dyn Observer,
    ) -> Result<Evidence, EvidenceError> {
        let mut sorted: Vec<&Signature> = signatures.iter().collect();
        sorted.sort_by(|first, second| first.name().cmp(second.name()));
        if let Some(pair) = sorted.windows(2).find(|p| p[0].name() == p[1].name()) {
            let model = pair[0].name().into();
            return Err(EvidenceError::DuplicateModel { model });
        }
        if let Some(pair) = sorted.first().and_then(|first| {
            let others = sorted.iter().map(|other| self.check(first, other));
            others.filter_map(Result::err).next()
        }) {
            return Err(pair);
        }
        let mut evidence = Evidence::default();
        for models in sharing_widths(&sorted) {
            let models: Vec<&Signature> = models.into_iter().map(|model| sorted[model]).collect();
            evidence.groups.extend(self.groups(&models, observer)?);
        }
        evidence
            .groups
            .sort_by(|a, b| a.models().first().cmp(&b.models().first()));
        for signature in sorted {
            let layers = signature.skipped_layers().iter();
            evidence
                .skipped_layers
                .extend(layers.map(|layer| SkippedLayerOf {
                    model: signature.name().into(),
                    layer: layer.clone(),
                }));
        }
        Ok(evidence)
    }

    /// The groups of models with tensors in common, extended transitively.
    fn groups(
        &self,
        models: &[&Signature],
        observer: &mut dyn Observer,
    ) -> Result<Vec<GroupEvidence>, EvidenceError> {
        let relations = self.relations(models, observer)?;
        let mut groups = Vec::new();
        for members in components(models.len(), &relations) {
            let mut group = Members {
                options: self.options.clone(),
                relations: select(models.len(), &members, &relations),
                signatures: members.iter().map(|&member| models[member]).collect(),
            };
            let without = group.mostly_replaced();
            if !without.is_empty() {
                group.options.without = without;
                let options = group.options.clone();
                group.relations = Self { options }.relations(&group.signatures, observer)?;
            }
            groups.push(group.evidence()?);
        }
        Ok(groups)
    }

    /// The relations of all pairs, in condensed order.
    fn relations(
        &self,
        sorted: &[&Signature],
        observer: &mut dyn Observer,
    ) -> Result<Vec<Relation>, EvidenceError> {
        let models = sorted.len();
        let pairs = models
            .checked_mul(models.saturating_sub(1))
            .map(|pairs| pairs / 2);
        if !memory::is_there(pairs.and_then(|pairs| pairs.checked_mul(BYTES_A_PAIR))) {
            return Err(EvidenceError::Memory { models });
        }
        let layouts = Layouts::new(&self.options, sorted);
        let mut reporter = ProgressReporter::new(observer);
        reporter.begin((models * models.saturating_sub(1) / 2) as u64);
        let mut relations = Vec::new();
        let mut first = 0;
        while first < models {
            // Takes rows of the triangle, a few thousand pairs at a time.
            let mut end = first;
            let mut pairs = Vec::new();
            while end < models && (pairs.len() < 4096 || end < first + LEAST_ROWS) {
                pairs.extend((end + 1..models).map(|second| (end, second)));
                end += 1;
            }
            let mut known: Vec<Option<Relation>> = vec![None; pairs.len()];
            let (start, count) = (relations.len(), pairs.len());
            for ((u, v), relation) in layouts.unrelated(&(first..end)) {
                known[condensed_index(models, u, v) - start] = Some(relation);
            }
            let relate = |((u, v), known): ((usize, usize), Option<Relation>)| {
                known.map_or_else(|| self.relation(sorted[u], sorted[v]), Ok)
            };
            for found in parallel::map(pairs.into_iter().zip(known), relate) {
                relations.push(found?);
            }
            reporter.tick(Phase::Comparing, count as u64)?;
            first = end;
        }
        Ok(relations)
    }
}

/// Groups models with weights of the same width, transitively: no others can have corresponding tensors.
fn sharing_widths(signatures: &[&Signature]) -> Vec<Vec<usize>> {
    let mut sets = DisjointSets::new(signatures.len());
    let mut first_with: HashMap<(usize, &[usize], usize), usize> = HashMap::new();
    for (model, signature) in signatures.iter().enumerate() {
        let tensors = signature.tensors().iter();
        for tensor in tensors.filter(|tensor| tensor.is_weight()) {
            let tail = tensor.shape().get(1..).unwrap_or_default();
            let key = (tensor.shape().len(), tail, tensor.sketch().groups().width());
            let first = *first_with.entry(key).or_insert(model);
            sets.join(first, model);
        }
    }
    sets.into_members()
}

/// Groups models that can be compared, transitively, in the order of their first model.
fn components(models: usize, relations: &[Relation]) -> Vec<Vec<usize>> {
    let mut sets = DisjointSets::new(models);
    for first in 0..models {
        for second in first + 1..models {
            if relations[condensed_index(models, first, second)].is_comparable() {
                sets.join(first, second);
            }
        }
    }
    sets.into_members()
}

/// The relations between some of the models, in condensed order.
fn select(models: usize, members: &[usize], relations: &[Relation]) -> Vec<Relation> {
    let pairs = (members.iter().enumerate())
        .flat_map(|(at, &first)| members[at + 1..].iter().map(move |&second| (first, second)));
    pairs
        .map(|(first, second)| relations[condensed_index(models, first, second)].clone())
        .collect()
}
