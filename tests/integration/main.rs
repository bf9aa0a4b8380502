//! The crate's public API, used from outside.
mod arborescence;
