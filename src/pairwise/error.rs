//! Why vectors could not be compared.

use core::error::Error;
use core::fmt;

/// Why vectors, or the place for their distances, were refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PairwiseError {
    /// A vector isn't as long as the first one.
    Length {
        /// The vector's index.
        vector: usize,
        /// Its length.
        length: usize,
        /// The length of the first vector.
        expected: usize,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// The vector's index.
        vector: usize,
        /// The position of the value in it.
        position: usize,
        /// The value.
        value: f64,
    },
    /// A range of rows isn't inside the vectors.
    Rows {
        /// The range's start.
        start: usize,
        /// The range's end.
        end: usize,
        /// The number of vectors.
        vectors: usize,
    },
    /// The output isn't as long as there are pairs.
    Output {
        /// The number of pairs.
        pairs: u128,
        /// The length of the output.
        length: usize,
    },
    /// There is no memory for as many distances.
    Memory {
        /// The number of pairs.
        pairs: u128,
    },
}

impl fmt::Display for PairwiseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length {
                vector,
                length,
                expected,
            } => write!(
                formatter,
                "vector {vector} has {length} elements where vector 0 has {expected}"
            ),
            Self::NotFinite {
                vector,
                position,
                value,
            } => write!(
                formatter,
                "value {value} at position {position} of vector {vector} is not finite"
            ),
            Self::Rows {
                start,
                end,
                vectors,
            } => write!(
                formatter,
                "rows {start}..{end} are not inside {vectors} vectors"
            ),
            Self::Output { pairs, length } => write!(
                formatter,
                "an output of length {length} isn't that of {pairs} pairs"
            ),
            Self::Memory { pairs } => {
                write!(formatter, "no memory for the distances of {pairs} pairs")
            }
        }
    }
}

impl Error for PairwiseError {}
