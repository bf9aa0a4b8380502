//! What can be wrong with a sketch.

use core::error::Error;
use core::fmt;

/// Why there is no sketch, or no comparison of two.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SketchError {
    /// The number of buckets isn't a power of two from 8 to 1024.
    Buckets {
        /// The number asked for.
        buckets: usize,
    },
    /// Rows have no values.
    Width,
    /// More values were added than the matrix has.
    TooMany {
        /// How many values the matrix has.
        values: usize,
    },
    /// The matrix isn't complete.
    Incomplete {
        /// How many values were added.
        found: usize,
        /// How many the matrix has.
        values: usize,
    },
    /// The squares of the values overflow double precision.
    Overflow,
    /// Two sketches differ in width or in the number of buckets.
    Mismatch,
    /// The numbers handed in don't fit the shape, or one of them is impossible.
    Numbers,
}

impl fmt::Display for SketchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buckets { buckets } => write!(
                f,
                "a sketch can't have {buckets} buckets: only a power of two from 8 to 1024"
            ),
            Self::Width => f.write_str("rows without values can't be sketched"),
            Self::TooMany { values } => {
                write!(f, "the matrix has {values} values, and more were added")
            }
            Self::Incomplete { found, values } => {
                write!(f, "only {found} of the matrix's {values} values were added")
            }
            Self::Overflow => f.write_str("the squares of the values overflow"),
            Self::Mismatch => {
                f.write_str("the sketches differ in width or in the number of buckets")
            }
            Self::Numbers => f.write_str("the numbers don't fit the shape of the sketch"),
        }
    }
}

impl Error for SketchError {}
