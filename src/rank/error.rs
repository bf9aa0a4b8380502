//! Errors of matrices and tolerances.

use alloc::string::String;

use crate::weights::ElementType;

crate::errors::errors! {
    /// Why a rank could not be computed.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum RankError {
        /// The number of values isn't the product of rows and columns.
        Shape {
            /// The number of values given.
            values: usize,
            /// The number of rows given.
            rows: usize,
            /// The number of columns given.
            columns: usize,
        } => "{values} values do not form a {rows}x{columns} matrix",
        /// The matrices have different shapes, so they have no difference.
        ShapesDiffer {
            /// Rows and columns of the first matrix.
            first: (usize, usize),
            /// Rows and columns of the second matrix.
            second: (usize, usize),
        } => ("cannot subtract matrices of {}x{} and {}x{}", first.0, first.1, second.0, second.1),
        /// A pair refers to a matrix that doesn't exist.
        UnknownMatrix {
            /// The position given, from 0.
            position: usize,
        } => "matrix {position} does not exist",
        /// An entry of the matrix, or of the difference of two matrices, is NaN or infinite.
        NonFinite {
            /// The entry's row, from 0.
            row: usize,
            /// The entry's column, from 0.
            column: usize,
            /// The entry.
            value: f64,
        } => "the entry in row {row}, column {column} is {value}",
        /// A value passed to [`RoundingNoise`](super::RoundingNoise) is NaN or infinite.
        NonFiniteValue {
            /// The value's index in the slice, from 0.
            index: usize,
            /// The value.
            value: f64,
        } => "the value at index {index} is {value}",
        /// A tolerance's parameter is NaN, infinite or negative.
        InvalidTolerance {
            /// The rule, as [`Tolerance`](super::Tolerance) prints it, without its parameter.
            rule: &'static str,
            /// The parameter.
            value: f64,
        } => "invalid parameter {value} of tolerance {rule}; expected a finite number of at least 0",
        /// A text doesn't name a tolerance.
        UnknownTolerance {
            /// The text.
            text: String,
        } => "unknown tolerance {text:?}; expected absolute:E, relative:R, numpy:EPSILON, \
                     gavish-donoho or rounding-noise:DEVIATION",
        /// The noise of two different formats can't be merged.
        FormatsDiffer {
            /// The format of the noise that was merged into.
            first: ElementType,
            /// The format of the noise to be merged.
            second: ElementType,
        } => "rounding noise of {first} and {second} cannot be merged",
        /// There is not enough memory.
        OutOfMemory {
            /// The number of bytes requested.
            bytes: usize,
        } => "out of memory for {bytes} bytes",
        /// The largest singular value exceeds the range of `f64`, because entries are close to its maximum.
        Overflow => "the largest singular value overflows an f64",
        /// Both the decomposition and its fallback failed.
        NoConvergence {
            /// The matrix's rows.
            rows: usize,
            /// The matrix's columns.
            columns: usize,
        } => "no decomposition of the {rows}x{columns} matrix converged",
    }
}
