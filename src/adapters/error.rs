//! Why an adapter can't be read or applied.

use core::error::Error;
use core::fmt;

use alloc::string::String;
use alloc::vec::Vec;

/// Why an adapter can't be read, or can't be applied to a base.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdapterError {
    /// The model doesn't contain any low-rank factors.
    NotAnAdapter,
    /// The adapter was made by an unsupported method.
    Method {
        /// The method.
        method: String,
    },
    /// The adapter's configuration is invalid.
    Config {
        /// What is wrong.
        message: String,
    },
    /// A pattern in the adapter's configuration is invalid or unsupported.
    Pattern {
        /// The pattern, a regular expression.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The layers of a model can't be listed, or the values of one can't be read.
    Reading {
        /// What is wrong.
        reason: String,
    },
    /// A factor exists without the others that belong to it.
    Incomplete {
        /// The weight that they would change.
        weight: String,
    },
    /// The factors of a weight don't fit each other.
    Shapes {
        /// The weight.
        weight: String,
        /// The shape of the factor that is applied first.
        down: Vec<usize>,
        /// The shape of the other factor.
        up: Vec<usize>,
    },
    /// The base doesn't have this weight.
    NoSuchWeight {
        /// The weight that the adapter changes.
        weight: String,
    },
    /// The base has the weight in a different shape.
    WrongShape {
        /// The weight.
        weight: String,
        /// Its shape in the base.
        shape: Vec<usize>,
        /// The numbers of outputs and inputs according to the adapter's factors, as far as they determine
        /// them.
        expected: [Option<usize>; 2],
    },
}

impl fmt::Display for AdapterError {
    // Names are printed with `{:?}`, so that a line break in a name doesn't break the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAdapter => f.write_str("no low-rank factors found"),
            Self::Method { method } => {
                write!(f, "unsupported adapter method {method:?}")
            }
            Self::Config { message } => write!(f, "invalid adapter configuration: {message:?}"),
            Self::Pattern { pattern, reason } => {
                write!(f, "unsupported pattern {pattern:?}: {reason:?}")
            }
            Self::Reading { reason } => f.write_str(reason),
            Self::Incomplete { weight } => {
                write!(f, "incomplete factors for {weight:?}")
            }
            Self::Shapes { weight, down, up } => write!(
                f,
                "the factors for {weight:?} have incompatible shapes {down:?} and {up:?}"
            ),
            Self::NoSuchWeight { weight } => write!(f, "the base has no weight {weight:?}"),
            Self::WrongShape {
                weight,
                shape,
                expected: [outputs, inputs],
            } => {
                write!(
                    f,
                    "the base's weight {weight:?} has the shape {shape:?}, but "
                )?;
                match (outputs, inputs) {
                    (Some(outputs), Some(inputs)) => write!(
                        f,
                        "the factors are for {outputs} outputs and {inputs} inputs"
                    ),
                    (Some(count), None) => write!(f, "the factors are for {count} outputs"),
                    (None, Some(count)) => write!(f, "the factors are for {count} inputs"),
                    (None, None) => f.write_str("the factors do not fit it"),
                }
            }
        }
    }
}

impl Error for AdapterError {}

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
