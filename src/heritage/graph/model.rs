//! One node of a model graph, and the edge it hangs on.

use alloc::string::String;

use super::GraphError;

/// A model as a [`ModelGraph`](super::ModelGraph) knows it: a name, a directional score, and what
/// it descends from.
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
    pub(super) name: String,
    pub(super) score: Option<f64>,
    pub(super) descent: Option<Descent>,
    pub(super) root_confidence: Option<f64>,
}

impl Model {
    /// A root without a score.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            score: None,
            descent: None,
            root_confidence: None,
        }
    }

    /// Sets the directional score, such as the summed kurtosis of the model's layers.
    #[must_use]
    pub const fn with_score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }

    /// Makes the model a child.
    #[must_use]
    pub const fn with_descent(mut self, descent: Descent) -> Self {
        self.descent = Some(descent);
        self
    }

    /// Sets how sure it is that the model has no parent, from 0 to 1.
    #[must_use]
    pub const fn with_root_confidence(mut self, confidence: f64) -> Self {
        self.root_confidence = Some(confidence);
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

    /// How sure it is that the model has no parent, or that its parent is the right one, from 0
    /// to 1.
    #[must_use]
    pub fn confidence(&self) -> Option<f64> {
        match &self.descent {
            Some(descent) => descent.confidence(),
            None => self.root_confidence,
        }
    }

    /// The position of the model's parent.
    pub(super) fn parent(&self) -> Option<usize> {
        self.descent().map(Descent::parent)
    }

    /// Whether all that the model carries may be part of a graph of this many models.
    pub(super) fn check(&self, models: usize) -> Result<(), GraphError> {
        let model = || self.name.clone();
        if let Some(score) = self.score
            && !score.is_finite()
        {
            return Err(GraphError::NonFiniteScore {
                model: model(),
                score,
            });
        }
        if let Some(confidence) = self.confidence()
            && !(0.0..=1.0).contains(&confidence)
        {
            return Err(GraphError::ConfidenceOutOfRange {
                model: model(),
                confidence,
            });
        }
        let Some(Descent {
            parent, distance, ..
        }) = self.descent
        else {
            return Ok(());
        };
        if parent >= models {
            return Err(GraphError::ParentOutOfRange {
                model: model(),
                parent,
                models,
            });
        }
        match distance {
            Some(distance) if !distance.is_finite() => Err(GraphError::NonFiniteDistance {
                model: model(),
                distance,
            }),
            _ => Ok(()),
        }
    }
}

/// The edge from a parent to the model that carries it, and what the edge rests on.
///
/// What was not measured is `None`: the edges of a known family have no distance.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Descent {
    pub(super) parent: usize,
    pub(super) distance: Option<f64>,
    pub(super) confidence: Option<f64>,
}

impl Descent {
    /// Descent from the model at this position of the list that the graph is made from.
    #[must_use]
    pub const fn new(parent: usize) -> Self {
        Self {
            parent,
            distance: None,
            confidence: None,
        }
    }

    /// Sets the distance between the weights of parent and child.
    #[must_use]
    pub const fn with_distance(mut self, distance: f64) -> Self {
        self.distance = Some(distance);
        self
    }

    /// Sets how sure the edge is, from 0 to 1.
    #[must_use]
    pub const fn with_confidence(mut self, confidence: f64) -> Self {
        self.confidence = Some(confidence);
        self
    }

    /// The parent's position in the list of models.
    #[must_use]
    pub const fn parent(&self) -> usize {
        self.parent
    }

    /// The distance between the weights of parent and child.
    #[must_use]
    pub const fn distance(&self) -> Option<f64> {
        self.distance
    }

    /// How sure the edge is, from 0 to 1.
    #[must_use]
    pub const fn confidence(&self) -> Option<f64> {
        self.confidence
    }
}
