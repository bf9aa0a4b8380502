//! Why vectors could not be compared.

crate::errors::errors! {
    /// Why vectors, or the output for their distances, were rejected.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum PairwiseError {
        /// A vector's length differs from that of the first one.
        Length {
            /// The vector's index.
            vector: usize,
            /// The vector's length.
            length: usize,
            /// The length of the first vector.
            expected: usize,
        } => "vector {vector} has {length} elements where vector 0 has {expected}",
        /// A value is NaN or infinite.
        NotFinite {
            /// The vector's index.
            vector: usize,
            /// The position of the value in the vector.
            position: usize,
            /// The value.
            value: f64,
        } => "value {value} at position {position} of vector {vector} is not finite",
        /// A range of rows isn't within the vectors.
        Rows {
            /// The range's start.
            start: usize,
            /// The range's end.
            end: usize,
            /// The number of vectors.
            vectors: usize,
        } => "rows {start}..{end} are out of range for {vectors} vectors",
        /// The length of the output isn't the number of pairs.
        Output {
            /// The number of pairs.
            pairs: u128,
            /// The length of the output.
            length: usize,
        } => "the output has length {length} instead of {pairs} pairs",
        /// There is not enough memory for this many distances.
        Memory {
            /// The number of pairs.
            pairs: u128,
        } => "out of memory for the distances of {pairs} pairs",
    }
}
