//! Recover the family tree of neural networks from their weights.
//!
//! Given a set of models, [`Measurement`](evidence::Measurement) streams their weights into a few
//! small tables of [`Evidence`](evidence::Evidence), and [`Recovery`](heritage::Recovery) turns these
//! into a [`ModelGraph`](heritage::ModelGraph): the forest of who was trained from whom.
//!
//! ```
//! use mother::evidence::Measurement;
//! use mother::heritage::Recovery;
//! use mother::weights::InMemoryModel;
//!
//! let model = |name, last| {
//!     InMemoryModel::new(name).with_layer("w", [2, 2], vec![9.0_f32, 1.0, 1.0, last])
//! };
//! let models = [model("base", 1.0)?, model("chat", 1.5)?, model("chat-2", 1.75)?];
//! let evidence = Measurement::new().measure(&models)?;
//! let graph = Recovery::new().recover(&evidence)?;
//! assert_eq!(graph.len(), 3);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Floors
//!
//! Modules depend on those below them alone:
//!
//! - adapters: `safetensors` reads models from files (feature `safetensors`);
//! - [`heritage`]: from evidence to the graph, and what is asked of it;
//! - [`evidence`]: from weights to tables;
//! - kernels, which know no model and each other hardly: [`moments`], [`entropy`], [`pairwise`],
//!   [`growth`], `rank` (feature `svd`), [`condensed`], [`clustering`], [`arborescence`];
//! - [`weights`]: the traits of what can be read, and models in memory.
//!
//! # Features
//!
//! `std`, `rayon`, `svd`, `half` and `safetensors` are on by default; without them the crate needs
//! `core` and `alloc` alone. `simd` comes with `std`, and uses the vector registers that the machine turns
//! out to have. Without `std` the processor alone is asked, so that it isn't for programs whose registers
//! of 256 and 512 bits nobody saves, such as operating systems. `serde` (de)serialises evidence,
//! dendrograms, graphs and options, `proptest` brings strategies and invariants for your own property tests.
//!
//! # References
//!
//! E. Horwitz, A. Shul, Y. Hoshen, *Unsupervised Model Tree Heritage Recovery*, ICLR 2025.
//! [arXiv:2405.18432](https://arxiv.org/abs/2405.18432)
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
#[cfg(feature = "proptest")]
pub mod invariants;
mod minimum;
pub mod moments;
pub mod pairwise;
pub mod progress;
#[cfg(feature = "svd")]
pub mod rank;
mod registers;
#[cfg(feature = "safetensors")]
pub mod safetensors;
#[cfg(doc)]
#[doc = include_str!("robustness.md")]
pub mod robustness {}
mod scalar;
pub mod signature;
pub mod sketch;
#[cfg(feature = "proptest")]
pub mod strategies;
pub mod weights;

pub use crate::scalar::Scalar;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
