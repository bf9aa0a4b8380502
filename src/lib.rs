//! Recover the family tree of neural networks from their weights.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod arborescence;
pub mod clustering;
pub mod condensed;
pub mod entropy;
pub mod evidence;
pub mod growth;
pub mod heritage;
pub mod moments;
pub mod pairwise;
#[cfg(feature = "svd")]
pub mod rank;
#[cfg(feature = "safetensors")]
pub mod safetensors;
mod scalar;
pub mod weights;

pub use crate::scalar::Scalar;
