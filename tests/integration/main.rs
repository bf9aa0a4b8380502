//! The crate's public API, used from outside.

#[cfg(feature = "svd")]
mod rank;
