//! One node of a model graph.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Descent, GraphError};
use crate::heritage::StageEstimate;

/// A model in a [`ModelGraph`](super::ModelGraph): its name, its directional score, and its descent.
///
/// # Examples
///
/// ```
/// use mother::heritage::{Descent, Model};
///
/// let base = Model::new("base").with_score(231.5);
/// let chat = Model::new("chat")
///     .with_score(230.25)
///     .with_descent(Descent::new(0).with_distance(0.0125));
/// assert_eq!(base.descent(), None);
/// assert_eq!(chat.descent().and_then(Descent::distance), Some(0.0125));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Model {
    pub(in crate::heritage) name: String,
    pub(in crate::heritage) score: Option<f64>,
    pub(in crate::heritage) descent: Option<Descent>,
    pub(in crate::heritage) root_confidence: Option<f64>,
    pub(in crate::heritage) runner_up: Option<RunnerUp>,
    pub(in crate::heritage) merged_from: Vec<MergeParent>,
    pub(in crate::heritage) stage: Option<StageEstimate>,
    pub(in crate::heritage) hidden: bool,
}

impl Model {
    /// A model without a parent or a score.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            score: None,
            descent: None,
            root_confidence: None,
            runner_up: None,
            merged_from: Vec::new(),
            stage: None,
            hidden: false,
        }
    }

    /// A missing model: not in the collection, but others must have been trained from it.
    #[must_use]
    pub fn hidden(name: impl Into<String>) -> Self {
        Self {
            hidden: true,
            ..Self::new(name)
        }
    }

    /// Sets the directional score, such as the summed kurtosis of the model's layers.
    #[must_use]
    pub const fn with_score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }

    /// Makes the model a child, with this edge from its parent.
    #[must_use]
    pub fn with_descent(mut self, descent: Descent) -> Self {
        self.descent = Some(descent);
        self
    }

    /// Sets the confidence, from 0 to 1, that the model has no parent.
    #[must_use]
    pub const fn with_root_confidence(mut self, confidence: f64) -> Self {
        self.root_confidence = Some(confidence);
        self
    }

    /// Sets the second most probable descent of the model.
    #[must_use]
    pub const fn with_runner_up(mut self, runner_up: RunnerUp) -> Self {
        self.runner_up = Some(runner_up);
        self
    }

    /// Makes the model a weighted average of others.
    ///
    /// These edges are separate from the tree. An average has a parent in the tree only if it also has a
    /// [`descent`](Self::descent).
    #[must_use]
    pub fn with_merged_from(mut self, parents: Vec<MergeParent>) -> Self {
        self.merged_from = parents;
        self
    }

    /// Sets the stage of training of the tree that the model is the root of.
    #[must_use]
    pub const fn with_stage(mut self, stage: StageEstimate) -> Self {
        self.stage = Some(stage);
        self
    }

    /// The name, unique in its graph.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directional score, if it was measured.
    #[must_use]
    pub const fn score(&self) -> Option<f64> {
        self.score
    }

    /// The edge from the model's parent; `None` for a root.
    #[must_use]
    pub const fn descent(&self) -> Option<&Descent> {
        self.descent.as_ref()
    }

    /// The confidence, from 0 to 1, that the parent is right or, for a root, that it has no parent.
    #[must_use]
    pub fn confidence(&self) -> Option<f64> {
        match &self.descent {
            Some(descent) => descent.confidence(),
            None => self.root_confidence,
        }
    }

    /// The second most probable descent of the model, and its probability.
    #[must_use]
    pub const fn runner_up(&self) -> Option<&RunnerUp> {
        self.runner_up.as_ref()
    }

    /// The models that this one is an average of, with their weights; empty for most models.
    #[must_use]
    pub fn merged_from(&self) -> &[MergeParent] {
        &self.merged_from
    }

    /// The stage of training of the tree that the model is the root of, if it was estimated.
    #[must_use]
    pub const fn stage(&self) -> Option<&StageEstimate> {
        self.stage.as_ref()
    }

    /// Whether the model itself is missing: it is known only through its descendants.
    #[must_use]
    pub const fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// The position of the model's parent.
    pub(super) fn parent(&self) -> Option<usize> {
        self.descent().map(Descent::parent)
    }

    /// The same model in a list with other positions. References to models without a new position are
    /// dropped.
    pub(in crate::heritage) fn moved(mut self, place: impl Fn(usize) -> Option<usize>) -> Self {
        self.runner_up = self.runner_up.and_then(|second| {
            let parent = match second.parent {
                Some(parent) => Some(place(parent)?),
                None => None,
            };
            Some(RunnerUp { parent, ..second })
        });
        let merged = self.merged_from.iter().map(|merge| {
            let parent = place(merge.parent)?;
            Some(MergeParent { parent, ..*merge })
        });
        self.merged_from = merged.collect::<Option<_>>().unwrap_or_default();
        self.descent = self.descent.and_then(|descent| descent.moved(place));
        self
    }

    /// Checks that all values of the model are valid in a graph of this many models.
    pub(super) fn check(&self, models: usize) -> Result<(), GraphError> {
        let model = || self.name.clone();
        if let Some(score) = self.score.filter(|score| !score.is_finite()) {
            return Err(GraphError::NonFiniteScore {
                model: model(),
                score,
            });
        }
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        if let Some(confidence) = self.shares().find(|share| !is_share(share)) {
            return Err(GraphError::ConfidenceOutOfRange {
                model: model(),
                confidence,
            });
        }
        let mut weights = self.merged_from.iter().map(|parent| parent.weight);
        if let Some(weight) = weights.find(|weight| !weight.is_finite()) {
            return Err(GraphError::NonFiniteWeight {
                model: model(),
                weight,
            });
        }
        if let Some(parent) = self.named().find(|&parent| parent >= models) {
            return Err(GraphError::ParentOutOfRange {
                model: model(),
                parent,
                models,
            });
        }
        match self.descent().and_then(Descent::distance) {
            Some(distance) if !distance.is_finite() => Err(GraphError::NonFiniteDistance {
                model: model(),
                distance,
            }),
            _ => Ok(()),
        }
    }

    /// All that must be from 0 to 1.
    fn shares(&self) -> impl Iterator<Item = f64> {
        let descent = self.descent();
        let alike = descent.and_then(Descent::equivalent_parents);
        (self.confidence().into_iter())
            .chain(self.runner_up.map(|runner_up| runner_up.confidence))
            .chain(descent.and_then(Descent::compared))
            .chain(descent.and_then(Descent::joined))
            .chain(alike.map(|alike| alike.confidence))
            .chain(
                (self.stage.iter()).flat_map(|stage| [stage.specialization, stage.generalization]),
            )
    }

    /// All models that this one refers to, its parent last.
    fn named(&self) -> impl Iterator<Item = usize> {
        let alike = self
            .descent()
            .and_then(Descent::equivalent_parents)
            .into_iter();
        (self
            .runner_up
            .iter()
            .filter_map(|runner_up| runner_up.parent))
        .chain(self.merged_from.iter().map(|parent| parent.parent))
        .chain(alike.flat_map(|alike| alike.models.iter().copied()))
        .chain(self.parent())
    }
}

/// The second most probable descent of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RunnerUp {
    /// The position of the parent; `None` if the alternative is that the model is a root.
    pub parent: Option<usize>,
    /// The probability of this descent, from 0 to 1.
    pub confidence: f64,
}

/// One of the models that a weighted average was made from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MergeParent {
    /// Its position.
    pub parent: usize,
    /// The weight. The weights of all parents of a model sum to 1.
    pub weight: f64,
}
