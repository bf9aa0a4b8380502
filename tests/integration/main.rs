//! The crate's public API, used from outside.

#[cfg(feature = "safetensors")]
mod safetensors;
