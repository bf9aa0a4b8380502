//! The stages of training, and estimates of which one produced a tree.

use crate::errors::{names, unknown};

names! {
    /// The training stage that produced a model from its parent (Eq. 5).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    pub enum Stage {
        /// Fine-tuning: the score falls.
        #[default]
        Specialization => "specialization",
        /// Pre-training or its continuation: the score rises.
        Generalization => "generalization",
    }

    pub(super) fn name;

    const ALL: [Self; 2];
}

/// The probabilities of the stages that may have produced a tree.
///
/// The rest, up to 1, is the probability that the score carries no information about the stage.
///
/// # Examples
///
/// ```
/// use mother::heritage::{Stage, StageEstimate};
///
/// let clear = StageEstimate { specialization: 0.9, generalization: 0.04 };
/// assert_eq!(clear.stage(), Some(Stage::Specialization));
/// let open = StageEstimate { specialization: 0.6, generalization: 0.3 };
/// assert_eq!(open.stage(), None);
/// assert_eq!(open.confidence(), 0.6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StageEstimate {
    /// The probability that the score falls along the edges.
    pub specialization: f64,
    /// The probability that the score rises along the edges.
    pub generalization: f64,
}

impl StageEstimate {
    /// A stage must be more probable than this to be reported.
    const TOLD: f64 = 2.0 / 3.0;

    /// The stage, if it is more than twice as probable as all alternatives together; otherwise `None`.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        (self.confidence() > Self::TOLD).then(|| self.likelier())
    }

    /// The more probable stage; specialisation if both are equally probable.
    fn likelier(&self) -> Stage {
        if self.generalization > self.specialization {
            Stage::Generalization
        } else {
            Stage::Specialization
        }
    }

    /// The probability of the more probable stage.
    #[must_use]
    pub const fn confidence(&self) -> f64 {
        self.specialization.max(self.generalization)
    }
}

unknown! {
    /// A name that isn't a stage.
    pub struct UnknownStage => "unknown training stage `{}`"; Stage of Self::ALL
}
