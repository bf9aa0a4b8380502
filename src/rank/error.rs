//! What can be wrong with a matrix or a tolerance.

use core::error::Error;
use core::fmt;

use alloc::string::String;

use crate::weights::ElementType;

/// Why there is no rank.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RankError {
    /// A matrix of this shape doesn't hold exactly this many values.
    Shape {
        /// The number of values given.
        values: usize,
        /// The number of rows given.
        rows: usize,
        /// The number of columns given.
        columns: usize,
    },
    /// Two matrices of different shapes have no difference.
    ShapesDiffer {
        /// Rows and columns of the first matrix.
        first: (usize, usize),
        /// Rows and columns of the second matrix.
        second: (usize, usize),
    },
    /// A pair names a matrix that there isn't.
    UnknownMatrix {
        /// The position given, from 0.
        position: usize,
    },
    /// An entry of the matrix, or of the difference of two, is NaN or infinite.
    NonFinite {
        /// The entry's row, from 0.
        row: usize,
        /// The entry's column, from 0.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// A value whose rounding noise is asked for is NaN or infinite.
    NonFiniteValue {
        /// The value's index in the slice, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A tolerance's parameter is NaN, infinite or negative.
    InvalidTolerance {
        /// The rule, as [`Tolerance`](super::Tolerance) prints it, without its parameter.
        rule: &'static str,
        /// The parameter.
        value: f64,
    },
    /// A text names no tolerance.
    UnknownTolerance {
        /// The text.
        text: String,
    },
    /// The noise of two formats can't be merged into one mean.
    FormatsDiffer {
        /// The format merged into.
        first: ElementType,
        /// The format merged from.
        second: ElementType,
    },
    /// The working memory can't be had.
    OutOfMemory {
        /// The number of bytes asked for.
        bytes: usize,
    },
    /// The largest singular value is too large for `f64`: entries close to its maximum.
    Overflow,
    /// The decomposition and its fall-back failed.
    NoConvergence {
        /// The matrix's rows.
        rows: usize,
        /// The matrix's columns.
        columns: usize,
    },
}

impl fmt::Display for RankError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape {
                values,
                rows,
                columns,
            } => write!(f, "{values} values are not a matrix of {rows}x{columns}"),
            Self::ShapesDiffer { first, second } => write!(
                f,
                "no difference of a matrix of {}x{} and one of {}x{}",
                first.0, first.1, second.0, second.1
            ),
            Self::UnknownMatrix { position } => write!(f, "there is no matrix {position}"),
            Self::NonFinite { row, column, value } => {
                write!(f, "the entry in row {row}, column {column} is {value}")
            }
            Self::NonFiniteValue { index, value } => {
                write!(f, "the value at index {index} is {value}")
            }
            Self::InvalidTolerance { rule, value } => write!(
                f,
                "the parameter of tolerance {rule} is {value}, not finite and at least 0"
            ),
            Self::UnknownTolerance { text } => write!(
                f,
                "no tolerance {text:?}; expected absolute:E, relative:R, numpy:EPSILON, \
                 gavish-donoho or rounding-noise:DEVIATION"
            ),
            Self::FormatsDiffer { first, second } => {
                write!(f, "rounding noise of {first} and {second} can't be merged")
            }
            Self::OutOfMemory { bytes } => write!(f, "no memory for {bytes} bytes"),
            Self::Overflow => f.write_str("the largest singular value is too large for a f64"),
            Self::NoConvergence { rows, columns } => write!(
                f,
                "no decomposition of the matrix of {rows}x{columns} converged"
            ),
        }
    }
}

impl Error for RankError {}
