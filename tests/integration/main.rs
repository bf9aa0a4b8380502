//! The crate's public API, used from outside.

mod entropy;
mod moments;
#[cfg(feature = "svd")]
mod rank;
#[cfg(feature = "safetensors")]
mod safetensors;
