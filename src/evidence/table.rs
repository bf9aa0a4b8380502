//! The tables of evidence.

use alloc::string::String;
use alloc::vec::Vec;

use super::failure::{number, wrong_size};
use super::{CopyKind, Coverage, EvidenceError, Geometry, Growth, Merge, ModelCopy, SharedWeights};
use crate::condensed::CondensedMatrix;
use crate::signature::SkippedModel;
use crate::weights::SkippedLayer;

/// The measurements of the models of one architecture, sorted by model name.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(remote = "Self")
)]
pub struct GroupEvidence {
    pub(super) models: Vec<String>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) layers: Vec<String>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) scores: Option<Vec<f64>>,
    pub(super) distances: CondensedMatrix,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) geometry: Option<Geometry>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) growth: Option<Growth>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) score_changes: Option<CondensedMatrix>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) copies: Vec<ModelCopy>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) merges: Vec<Merge>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) coverage: Option<Coverage>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) shared_weights: Option<SharedWeights>,
}

crate::checked::deserialise_checked!(GroupEvidence, |read| read.checked());

impl GroupEvidence {
    /// The same tables, each through its check.
    #[cfg(feature = "serde")]
    fn checked(self) -> Result<Self, EvidenceError> {
        if let Some(pair) = self.models.windows(2).find(|pair| pair[0] > pair[1]) {
            return Err(EvidenceError::Order {
                model: pair[1].clone(),
            });
        }
        let mut evidence = Self::new(self.models, self.scores, self.distances)?;
        if let Some(geometry) = self.geometry {
            evidence = evidence.with_geometry(geometry)?;
        }
        if let Some(growth) = self.growth {
            evidence = evidence.with_growth(growth)?;
        }
        if let Some(changes) = self.score_changes {
            evidence = evidence.with_score_changes(changes)?;
        }
        if let Some(coverage) = self.coverage {
            evidence = evidence.with_coverage(coverage)?;
        }
        if let Some(shared) = self.shared_weights {
            evidence = evidence.with_shared_weights(shared)?;
        }
        evidence.layers = self.layers;
        (evidence.with_copies(self.copies)?).with_merges(self.merges)
    }

    /// Creates evidence from existing numbers: names, directional scores (or none at all) and pairwise
    /// distances, all in the same order.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] if a table is for a different number of models,
    /// [`EvidenceError::DuplicateModel`], and [`EvidenceError::Number`] for a score that isn't finite or a
    /// distance that is negative or not finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::condensed::CondensedMatrix;
    /// use mother::evidence::GroupEvidence;
    ///
    /// let distances = CondensedMatrix::new(2, vec![0.5])?;
    /// let names = vec!["child".into(), "base".into()];
    /// let evidence = GroupEvidence::new(names, Some(vec![3.0, 4.0]), distances)?;
    /// assert_eq!(evidence.models(), ["base", "child"]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn new(
        models: Vec<String>,
        scores: Option<Vec<f64>>,
        distances: CondensedMatrix,
    ) -> Result<Self, EvidenceError> {
        let size = |table, found| wrong_size(table, found, models.len());
        if distances.size() != models.len() {
            return Err(size("distances", distances.size()));
        }
        if let Some(scores) = &scores {
            if scores.len() != models.len() {
                return Err(size("scores", scores.len()));
            }
            if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
                return Err(number("score", &models[at], scores[at]));
            }
        }
        if let Some((row, _, value)) = distances
            .pairs()
            .find(|(_, _, value)| !(value.is_finite() && *value >= 0.0))
        {
            return Err(number("distance", &models[row], value));
        }
        let mut order: Vec<usize> = (0..models.len()).collect();
        order.sort_by(|&first, &second| models[first].cmp(&models[second]));
        if let Some(pair) = order.windows(2).find(|p| models[p[0]] == models[p[1]]) {
            return Err(EvidenceError::DuplicateModel {
                model: models[pair[0]].clone(),
            });
        }
        Ok(Self {
            distances: distances.select(&order).unwrap_or(distances),
            scores: scores.map(|scores| order.iter().map(|&model| scores[model]).collect()),
            models: order.iter().map(|&model| models[model].clone()).collect(),
            layers: Vec::new(),
            geometry: None,
            growth: None,
            score_changes: None,
            coverage: None,
            copies: Vec::new(),
            merges: Vec::new(),
            shared_weights: None,
        })
    }

    /// The models' names, sorted.
    #[must_use]
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// The layers on which distances were measured, sorted: those that most models have. Empty if the numbers
    /// were passed in.
    #[must_use]
    pub fn layers(&self) -> &[String] {
        &self.layers
    }

    /// Each model's directional score (Eq. 3); `None` if it is undefined on every layer.
    #[must_use]
    pub fn scores(&self) -> Option<&[f64]> {
        self.scores.as_deref()
    }

    /// The distance of every pair (Eq. 1 or Eq. 2).
    #[must_use]
    pub const fn distances(&self) -> &CondensedMatrix {
        &self.distances
    }

    /// The norms and distances of the models in weight space, if measured.
    #[must_use]
    pub const fn geometry(&self) -> Option<&Geometry> {
        self.geometry.as_ref()
    }

    /// The growth of every pair, if measured.
    #[must_use]
    pub const fn growth(&self) -> Option<&Growth> {
        self.growth.as_ref()
    }

    /// How much the score rises from the first to the second model of every pair, from −1 to 1, if measured.
    #[must_use]
    pub const fn score_changes(&self) -> Option<&CondensedMatrix> {
        self.score_changes.as_ref()
    }

    /// The share of each pair that was compared; `None` if all pairs were compared completely.
    #[must_use]
    pub const fn coverage(&self) -> Option<&Coverage> {
        self.coverage.as_ref()
    }

    /// The share of the model `of`'s weights that was compared with the model `with`.
    #[must_use]
    pub fn compared(&self, of: usize, with: usize) -> f64 {
        let share = |coverage: &Coverage| coverage.share(of, with);
        self.coverage.as_ref().and_then(share).unwrap_or(1.0)
    }

    /// Adds the geometry, in the order of [`models`](Self::models).
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] if it is for a different number of models.
    pub fn with_geometry(mut self, geometry: Geometry) -> Result<Self, EvidenceError> {
        self.check_size("geometry", geometry.squared_norms().len())?;
        self.geometry = Some(geometry);
        Ok(self)
    }

    /// Adds the growth of every pair, in the order of [`models`](Self::models).
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] if it is for a different number of models.
    pub fn with_growth(mut self, growth: Growth) -> Result<Self, EvidenceError> {
        self.check_size("growth", growth.models())?;
        self.growth = Some(growth);
        Ok(self)
    }

    /// Adds the change of score of every pair, in the order of [`models`](Self::models).
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] if it is for a different number of models; [`EvidenceError::Number`] for
    /// a change that isn't from −1 to 1.
    pub fn with_score_changes(mut self, changes: CondensedMatrix) -> Result<Self, EvidenceError> {
        self.check_size("score changes", changes.size())?;
        let wrong = changes
            .pairs()
            .find(|(_, _, change)| !(-1.0..=1.0).contains(change));
        if let Some((model, _, value)) = wrong {
            return Err(number("score change", &self.models[model], value));
        }
        self.score_changes = Some(changes);
        Ok(self)
    }

    /// Adds the coverage of each pair, in the order of [`models`](Self::models).
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] if it is for a different number of models; [`EvidenceError::Number`] for a
    /// share outside 0 to 1, or a distance that is negative or not finite.
    pub fn with_coverage(mut self, coverage: Coverage) -> Result<Self, EvidenceError> {
        let models = self.models.len();
        self.check_size("coverage", coverage.models)?;
        if models.checked_mul(models) != Some(coverage.shares.len()) {
            return Err(wrong_size("shares", coverage.shares.len(), models));
        }
        let share = coverage
            .shares
            .iter()
            .position(|share| !(0.0..=1.0).contains(share));
        if let Some(at) = share {
            let model = &self.models[at / models];
            return Err(number("compared share", model, coverage.shares[at]));
        }
        for assembled in &coverage.assembled {
            let last = assembled
                .parts
                .iter()
                .copied()
                .fold(assembled.model, usize::max);
            self.check_size("assembled models", models.max(last.saturating_add(1)))?;
        }
        for partial in &coverage.partial {
            self.check_size(
                "partial parents",
                models.max(partial.parent.max(partial.child).saturating_add(1)),
            )?;
            if let Some(distance) = partial.distance.filter(|d| !(d.is_finite() && *d >= 0.0)) {
                return Err(number("distance", &self.models[partial.child], distance));
            }
        }
        self.coverage = Some(coverage);
        Ok(self)
    }

    /// Which models hold the same values in some of their weights, if that was measured.
    #[must_use]
    pub const fn shared_weights(&self) -> Option<&SharedWeights> {
        self.shared_weights.as_ref()
    }

    /// Adds which models share weights, by their position in [`models`](Self::models).
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] if it is for a different number of models.
    pub fn with_shared_weights(mut self, shared: SharedWeights) -> Result<Self, EvidenceError> {
        self.check_size("shared weights", shared.models())?;
        self.shared_weights = Some(shared);
        Ok(self)
    }

    /// The models that are copies of others, sorted by copy; empty if that was not measured.
    #[must_use]
    pub fn copies(&self) -> &[ModelCopy] {
        &self.copies
    }

    /// Sets which models are copies of others, by their position in [`models`](Self::models).
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Copy`] if a position doesn't exist, a model is a copy of two others, or copies form a
    /// cycle.
    pub fn with_copies(mut self, mut copies: Vec<ModelCopy>) -> Result<Self, EvidenceError> {
        copies.sort_by_key(|copy| copy.copy);
        let wrong = |copy: &ModelCopy| EvidenceError::Copy {
            copy: copy.copy,
            original: copy.original,
        };
        let models = self.models.len();
        if let Some(copy) = copies.iter().find(|c| c.copy.max(c.original) >= models) {
            return Err(wrong(copy));
        }
        if let Some(pair) = copies.windows(2).find(|pair| pair[0].copy == pair[1].copy) {
            return Err(wrong(&pair[1]));
        }
        self.copies = copies;
        match self
            .copies
            .iter()
            .find(|copy| self.original(copy.copy).is_none())
        {
            Some(copy) => Err(wrong(copy)),
            None => Ok(self),
        }
    }

    /// Merges that only the tensors of a model show, not its distances from other models, at most one for each model; empty
    /// if that was not measured.
    ///
    /// [`SignatureComparison`](super::SignatureComparison) finds two kinds:
    ///
    /// - **Weights by tensor.** Every tensor is an average of the same tensor of two to eight parents, with weights of its
    ///   own: layers were taken from different models, interpolated by a gradient, or averaged by Model Stock.
    /// - **Values chosen from several models.** Some [sampled values](crate::signature::TensorSignature::values) equal one
    ///   parent's exactly, some equal another's, and almost none equal both. TIES, DARE, breadcrumbs and SCE merges combine
    ///   a base and two or more models in this way; others choose between two models. In DARE merges, the steps from the
    ///   base may be multiplied by any number. At least 2 % of the values, and eight, must come from each of
    ///   up to eight parents. Merges stored in 16 bits are found only if training moved their parents by much more than
    ///   rounding did.
    ///
    /// Merges that were trained further aren't found.
    ///
    /// # References
    ///
    /// - D.-H. Jang, S. Yun and D. Han, "Model Stock: All we need is just a few fine-tuned models", ECCV 2024,
    ///   [arXiv:2403.19522](https://arxiv.org/abs/2403.19522).
    /// - P. Yadav et al., "TIES-Merging: Resolving Interference When Merging Models", NeurIPS 2023,
    ///   [arXiv:2306.01708](https://arxiv.org/abs/2306.01708).
    /// - L. Yu et al., "Language Models are Super Mario: Absorbing Abilities from Homologous Models as a Free Lunch",
    ///   ICML 2024, [arXiv:2311.03099](https://arxiv.org/abs/2311.03099).
    #[must_use]
    pub fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// Sets which models are such merges, by their position in [`models`](Self::models).
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Size`] if a position doesn't exist, and [`EvidenceError::Number`] for a weight or residual that
    /// isn't finite.
    pub fn with_merges(mut self, merges: Vec<Merge>) -> Result<Self, EvidenceError> {
        let models = self.models.len();
        for merge in &merges {
            let parents = merge.parents().iter();
            let last = (parents.clone()).fold(merge.model(), |last, parent| last.max(parent.0));
            self.check_size("merges", models.max(last.saturating_add(1)))?;
            let mut numbers = parents.map(|parent| parent.1).chain([merge.residual()]);
            if let Some(value) = numbers.find(|value| !value.is_finite()) {
                return Err(number("merges", &self.models[merge.model()], value));
            }
        }
        self.merges = merges;
        Ok(self)
    }

    /// Makes a model the original of its duplicates, any of which could be the original. Copies of the former
    /// original become copies of this model.
    ///
    /// Does nothing unless the model is a duplicate of a model that is not itself a copy.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::condensed::CondensedMatrix;
    /// use mother::evidence::{CopyKind, GroupEvidence, ModelCopy};
    ///
    /// let names = ["merged", "trained"].map(String::from).to_vec();
    /// let copy = ModelCopy { copy: 1, original: 0, kind: CopyKind::Duplicate };
    /// let group = GroupEvidence::new(names, None, CondensedMatrix::new(2, vec![0.0])?)?;
    /// let group = group.with_copies(vec![copy])?.with_original(1);
    /// assert_eq!(group.copies()[0].original, 1);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_original(mut self, model: usize) -> Self {
        let is_copy = |of: usize| self.copies.iter().find(|copy| copy.copy == of);
        let Some(&ModelCopy {
            original,
            kind: CopyKind::Duplicate,
            ..
        }) = is_copy(model)
        else {
            return self;
        };
        if is_copy(original).is_some() {
            return self;
        }
        for copy in &mut self.copies {
            if copy.copy == model {
                (copy.copy, copy.original) = (original, model);
            } else if copy.original == original {
                copy.original = model;
            }
        }
        self.copies.sort_by_key(|copy| copy.copy);
        self
    }

    /// The first original in a chain of copies, or the model itself if it is not a copy; `None` in a cycle.
    pub(crate) fn original(&self, model: usize) -> Option<usize> {
        let mut model = model;
        for _ in 0..=self.copies.len() {
            match self.copies.binary_search_by_key(&model, |copy| copy.copy) {
                Ok(found) => model = self.copies[found].original,
                Err(_) => return Some(model),
            }
        }
        None
    }

    fn check_size(&self, table: &'static str, found: usize) -> Result<(), EvidenceError> {
        if found == self.models.len() {
            Ok(())
        } else {
            Err(wrong_size(table, found, self.models.len()))
        }
    }

    /// The position of a model in the tables.
    #[must_use]
    pub fn position(&self, model: &str) -> Option<usize> {
        self.models
            .binary_search_by(|name| name.as_str().cmp(model))
            .ok()
    }
}

/// A layer of a model that couldn't be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SkippedLayerOf {
    /// The model's name.
    pub model: String,
    /// The layer and the reason.
    pub layer: SkippedLayer,
}

/// The measurements of all models: one table for each architecture, and what was left out.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Evidence {
    /// The groups, sorted by the name of their first model.
    pub groups: Vec<GroupEvidence>,
    /// The models that were left out, sorted by name.
    pub skipped: Vec<SkippedModel>,
    /// The layers that could not be decoded, sorted by model.
    pub skipped_layers: Vec<SkippedLayerOf>,
}

impl Evidence {
    /// Takes the distances from other evidence about the same models, such as Eq. 1 or 2 measured on raw
    /// weights. The geometry is also replaced if the other evidence has one.
    ///
    /// A group keeps its own tables unless the other evidence has all its models in one group.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Number`] if a table of the other evidence is invalid.
    pub fn with_distances_of(mut self, exact: &Self) -> Result<Self, EvidenceError> {
        for group in &mut self.groups {
            let positions = exact.groups.iter().find_map(|other| {
                let positions = group.models.iter().map(|model| other.position(model));
                Some((other, positions.collect::<Option<Vec<usize>>>()?))
            });
            let Some((other, positions)) = positions else {
                continue;
            };
            if let Some(distances) = other.distances.select(&positions) {
                group.distances = distances;
            }
            if let Some(geometry) = &other.geometry {
                group.geometry = Some(geometry.select(&positions)?);
            }
            group.coverage = None;
        }
        Ok(self)
    }
}
