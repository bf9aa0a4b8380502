//! The stages of training.

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
