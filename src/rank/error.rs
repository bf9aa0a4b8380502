//! What can be wrong with a matrix or a tolerance.

use alloc::string::String;

use crate::weights::ElementType;

crate::errors::errors! {
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
        } => "{values} values are not a matrix of {rows}x{columns}",
        /// Two matrices of different shapes have no difference.
        ShapesDiffer {
            /// Rows and columns of the first matrix.
            first: (usize, usize),
            /// Rows and columns of the second matrix.
            second: (usize, usize),
        } => ("no difference of a matrix of {}x{} and one of {}x{}", first.0, first.1, second.0, second.1),
        /// A pair names a matrix that there isn't.
        UnknownMatrix {
            /// The position given, from 0.
            position: usize,
        } => "there is no matrix {position}",
        /// An entry of the matrix, or of the difference of two, is NaN or infinite.
        NonFinite {
            /// The entry's row, from 0.
            row: usize,
            /// The entry's column, from 0.
            column: usize,
            /// The entry.
            value: f64,
        } => "the entry in row {row}, column {column} is {value}",
        /// A value whose rounding noise is asked for is NaN or infinite.
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
        } => "the parameter of tolerance {rule} is {value}, not finite and at least 0",
        /// A text names no tolerance.
        UnknownTolerance {
            /// The text.
            text: String,
        } => "no tolerance {text:?}; expected absolute:E, relative:R, numpy:EPSILON, \
                     gavish-donoho or rounding-noise:DEVIATION",
        /// The noise of two formats can't be merged into one mean.
        FormatsDiffer {
            /// The format merged into.
            first: ElementType,
            /// The format merged from.
            second: ElementType,
        } => "rounding noise of {first} and {second} can't be merged",
        /// The working memory can't be had.
        OutOfMemory {
            /// The number of bytes asked for.
            bytes: usize,
        } => "no memory for {bytes} bytes",
        /// The largest singular value is too large for `f64`: entries close to its maximum.
        Overflow => "the largest singular value is too large for a f64",
        /// The decomposition and its fall-back failed.
        NoConvergence {
            /// The matrix's rows.
            rows: usize,
            /// The matrix's columns.
            columns: usize,
        } => "no decomposition of the matrix of {rows}x{columns} converged",
    }
}
