//! The stages of training, and how sure it is which one made a tree.

use core::error::Error;
use core::fmt;
use core::str::FromStr;

use alloc::string::String;

/// The training that made a model of its parent (Eq. 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Stage {
    /// Fine-tuning: the score falls.
    #[default]
    Specialization,
    /// Pre-training or its continuation: the score rises.
    Generalization,
}

impl Stage {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Specialization => "specialization",
            Self::Generalization => "generalization",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(name: &str) -> Result<Self, UnknownStage> {
        match name {
            "specialization" => Ok(Self::Specialization),
            "generalization" => Ok(Self::Generalization),
            _ => Err(UnknownStage { name: name.into() }),
        }
    }
}

/// How probable each stage is to have made the models of a tree.
///
/// What is missing to 1 is the probability that the score says nothing of the stage.
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
    /// That the score falls along the edges.
    pub specialization: f64,
    /// That it rises.
    pub generalization: f64,
}

impl StageEstimate {
    /// A stage less probable than this can't be told.
    const TOLD: f64 = 2.0 / 3.0;

    /// The stage, if one is twice as probable as all else together; otherwise it can't be told.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        (self.confidence() > Self::TOLD).then(|| self.likelier())
    }

    /// The stage that is more probable, specialisation where both are equally so.
    fn likelier(&self) -> Stage {
        if self.generalization > self.specialization {
            Stage::Generalization
        } else {
            Stage::Specialization
        }
    }

    /// The probability of the stage that is more probable.
    #[must_use]
    pub const fn confidence(&self) -> f64 {
        self.specialization.max(self.generalization)
    }
}

/// The name of no stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStage {
    /// The name that was to be read.
    pub name: String,
}

impl fmt::Display for UnknownStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no training stage", self.name)
    }
}

impl Error for UnknownStage {}
