//! Why a sequence could not be measured.

crate::errors::errors! {
    /// Why values were rejected, or why two accumulators could not be joined.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum MomentsError {
        /// A value is NaN or infinite.
        NotFinite {
            /// Its position in the sequence, counted from 0.
            position: u64,
            /// The value.
            value: f64,
        } => "value {value} at position {position} is not finite",
        /// An accumulator can't start at this position, because no block begins there.
        Misaligned {
            /// The requested position.
            position: u64,
        } => ("start position {position} is not a multiple of the block length {}", super::MomentsAccumulator::BLOCK),
        /// The second accumulator does not start where the first one ends.
        NotAdjacent {
            /// The end of the first accumulator.
            end: u64,
            /// The start of the second accumulator.
            start: u64,
        } => "values up to position {end} are not followed by those from position {start}",
        /// Positions would exceed `u64::MAX`.
        TooLong {
            /// The end of the accumulator.
            end: u64,
            /// The number of further values.
            additional: u64,
        } => "{additional} values after position {end} overflow a u64",
    }
}
