//! Why a sequence could not be measured.

use core::error::Error;
use core::fmt;

/// Why values were refused, or two accumulators could not be joined.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MomentsError {
    /// A value is NaN or infinite.
    NotFinite {
        /// Its position in the sequence, counted from 0.
        position: u64,
        /// The value.
        value: f64,
    },
    /// An accumulator was asked to start where no block begins.
    Misaligned {
        /// The position asked for.
        position: u64,
    },
    /// The second accumulator does not start where the first one ends.
    NotAdjacent {
        /// Where the first one ends.
        end: u64,
        /// Where the second one starts.
        start: u64,
    },
    /// Positions beyond `u64::MAX` would be needed.
    TooLong {
        /// Where the accumulator ends.
        end: u64,
        /// How many more values there were.
        additional: u64,
    },
}

impl fmt::Display for MomentsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { position, value } => {
                write!(f, "value {value} at position {position} is not finite")
            }
            Self::Misaligned { position } => write!(
                f,
                "start position {position} is not a multiple of the block length {}",
                super::MomentsAccumulator::BLOCK
            ),
            Self::NotAdjacent { end, start } => write!(
                f,
                "values up to position {end} cannot be followed by values from position {start}"
            ),
            Self::TooLong { end, additional } => write!(
                f,
                "{additional} values after position {end} are more than a u64 can count"
            ),
        }
    }
}

impl Error for MomentsError {}
