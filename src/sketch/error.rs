//! Errors of sketches.

crate::errors::errors! {
    /// Why a matrix can't be sketched, or two sketches can't be compared.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum SketchError {
        /// The number of buckets isn't a power of two from 8 to 1024.
        Buckets {
            /// The number asked for.
            buckets: usize,
        } => "invalid number of buckets {buckets}; expected a power of two from 8 to 1024",
        /// The width of rows is zero.
        Width => "rows have no values",
        /// More values were added than the matrix has.
        TooMany {
            /// How many values the matrix has.
            values: usize,
        } => "more values added than the matrix's {values}",
        /// Values of the matrix are missing.
        Incomplete {
            /// How many values were added.
            found: usize,
            /// How many values the matrix has in all.
            values: usize,
        } => "only {found} of the matrix's {values} values were added",
        /// The squares of the values overflow double precision.
        Overflow => "the squares of the values overflow",
        /// Two sketches differ in width or in the number of buckets.
        Mismatch => "the sketches differ in width or in the number of buckets",
        /// The numbers passed in don't fit the shape, or one of them is impossible.
        Numbers => "the numbers do not match the shape of the sketch",
    }
}
