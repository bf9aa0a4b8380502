//! Why an adapter can't be read or applied.

use core::error::Error;
use core::fmt;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::errors::errors;

errors! {
    // Names are printed with `{:?}`, so that a line break in a name doesn't break the message.
    /// Why an adapter can't be read, or can't be applied to a base.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum AdapterError {
        /// The model doesn't contain any low-rank factors.
        NotAnAdapter => "no low-rank factors found",
        /// The adapter was made by an unsupported method.
        Method {
            /// The method.
            method: String,
        } => "unsupported adapter method {method:?}",
        /// The adapter's configuration is invalid.
        Config {
            /// What is wrong.
            message: String,
        } => "invalid adapter configuration: {message:?}",
        /// A pattern in the adapter's configuration is invalid or unsupported.
        Pattern {
            /// The pattern, a regular expression.
            pattern: String,
            /// What is wrong with it.
            reason: String,
        } => "unsupported pattern {pattern:?}: {reason:?}",
        /// The layers of a model can't be listed, or the values of one can't be read.
        Reading {
            /// What is wrong.
            reason: String,
        } => "{reason}",
        /// A factor exists without the others that belong to it.
        Incomplete {
            /// The weight that they would change.
            weight: String,
        } => "incomplete factors for {weight:?}",
        /// The factors of a weight don't fit each other.
        Shapes {
            /// The weight.
            weight: String,
            /// The shape of the factor that is applied first.
            down: Vec<usize>,
            /// The shape of the other factor.
            up: Vec<usize>,
        } => "the factors for {weight:?} have incompatible shapes {down:?} and {up:?}",
        /// The base doesn't have this weight.
        NoSuchWeight {
            /// The weight that the adapter changes.
            weight: String,
        } => "the base has no weight {weight:?}",
        /// The base has the weight in a different shape.
        WrongShape {
            /// The weight.
            weight: String,
            /// Its shape in the base.
            shape: Vec<usize>,
            /// The numbers of outputs and inputs according to the adapter's factors, as far as they determine
            /// them.
            expected: [Option<usize>; 2],
        } => (
            "the base's weight {weight:?} has the shape {shape:?}, but {}",
            mismatch(*expected)
        ),
    }
}

/// How many outputs and inputs the factors are for, as far as that is known.
fn mismatch(expected: [Option<usize>; 2]) -> String {
    match expected {
        [Some(outputs), Some(inputs)] => {
            format!("the factors are for {outputs} outputs and {inputs} inputs")
        }
        [Some(count), None] => format!("the factors are for {count} outputs"),
        [None, Some(count)] => format!("the factors are for {count} inputs"),
        [None, None] => "the factors do not fit it".into(),
    }
}

/// Why a layer of an adapted model can't be read.
#[derive(Clone, Debug, PartialEq)]
pub enum AdaptedError<B, A> {
    /// The base can't be read.
    Base(B),
    /// The adapter can't be read.
    Adapter(A),
}

impl<B: fmt::Display, A: fmt::Display> fmt::Display for AdaptedError<B, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(error) => error.fmt(f),
            Self::Adapter(error) => error.fmt(f),
        }
    }
}

impl<B: Error, A: Error> Error for AdaptedError<B, A> {}
