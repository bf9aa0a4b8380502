//! Why a sequence could not be measured.

crate::errors::errors! {
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
        } => "value {value} at position {position} is not finite",
        /// An accumulator was asked to start where no block begins.
        Misaligned {
            /// The position asked for.
            position: u64,
        } => ("start position {position} is not a multiple of the block length {}", super::MomentsAccumulator::BLOCK),
        /// The second accumulator does not start where the first one ends.
        NotAdjacent {
            /// Where the first one ends.
            end: u64,
            /// Where the second one starts.
            start: u64,
        } => "values up to position {end} cannot be followed by values from position {start}",
        /// Positions beyond `u64::MAX` would be needed.
        TooLong {
            /// Where the accumulator ends.
            end: u64,
            /// How many more values there were.
            additional: u64,
        } => "{additional} values after position {end} are more than a u64 can count",
    }
}
