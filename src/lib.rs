//! Recover the family tree of neural networks from their weights.
//!
//! Each model is read once, into a [`Signature`](signature::Signature) of a few thousand numbers.
//! [`SignatureComparison`](evidence::SignatureComparison) turns signatures into small tables of
//! [`Evidence`](evidence::Evidence), and [`Recovery`](heritage::Recovery) turns these into a
//! [`ModelGraph`](heritage::ModelGraph): the forest of which model was trained from which.
//!
//! ```
//! use mother::evidence::SignatureComparison;
//! use mother::heritage::Recovery;
//! use mother::signature::SignatureOptions;
//! use mother::weights::InMemoryModel;
//!
//! // A base of 32 rows, and two models trained from it: rows move by different amounts.
//! let base: Vec<f32> = (0..1024).map(|i| (i * i % 61) as f32 - 30.0).collect();
//! let trained = |from: &[f32], seed: usize| -> Vec<f32> {
//!     let step = |i: usize| ((i * seed) % 101) as f32 / 50.0 - 1.0;
//!     let size = |i: usize| 1.0 + (i / 32 % 5) as f32;
//!     from.iter().enumerate().map(|(i, value)| value + size(i) * step(i)).collect()
//! };
//! let (chat, code) = (trained(&base, 37), trained(&base, 53));
//! let model = |name, values| InMemoryModel::new(name).with_layer("w", [32, 32], values);
//! let models = [model("base", base)?, model("chat", chat)?, model("code", code)?];
//!
//! let signatures: Result<Vec<_>, _> = SignatureOptions::new().sign_all(&models).into_iter().collect();
//! let evidence = SignatureComparison::new().compare(&signatures?)?;
//! let graph = Recovery::new().recover(&evidence)?;
//! assert_eq!(graph.parent(1), Some(0));
//! assert_eq!(graph.parent(2), Some(0));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! Each module depends only on those below it:
//!
//! - file formats, a feature each: `safetensors`, `pytorch`, `gguf` and `npz` read models from files, on top
//!   of `storage`; `files` finds models and opens them (feature `safetensors`);
//! - [`heritage`]: from evidence to the graph, its exports, and a hub that grows model by model;
//! - [`evidence`]: how two models relate, and the tables of many pairs;
//! - [`signature`]: one model, read once;
//! - kernels, independent of models: [`moments`], [`entropy`], [`sketch`], [`pairwise`], [`growth`],
//!   [`kinship`], `rank` (feature `svd`), [`condensed`], [`clustering`], [`arborescence`];
//! - [`adapters`]: models stored as a small change to another model;
//! - [`weights`]: the traits of readable models, and models in memory; [`progress`]: watching long work.
//!
//! # Features
//!
//! `std`, `rayon`, `svd`, `half`, `safetensors`, `pytorch`, `gguf` and `npz` are on by default. Without features
//! the crate needs only `core` and `alloc`.
//!
//! - The formats depend on few other crates: `gguf` on `half`, `pytorch` on `rawzip` and those of `safetensors`,
//!   and `npz` on `rawzip` and `miniz_oxide`. Any of them enables `storage`.
//! - `simd`, part of `std`, uses the vector registers that are available at run time. Without `std` only the
//!   processor is asked, so leave it off where the system doesn't save 256-bit and 512-bit registers, as in an
//!   operating system's kernel.
//! - `serde` (de)serialises evidence, dendrograms, graphs and settings. Graphs can also be serialised with
//!   `safetensors`.
//! - `petgraph` converts graphs to and from those of petgraph.
//! - `proptest` adds strategies for your own property tests. The [`invariants`] that check their results are
//!   always available.
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

pub mod adapters;
pub mod arborescence;
mod checked;
pub mod clustering;
pub mod condensed;
mod disjoint_sets;
pub mod entropy;
mod errors;
pub mod evidence;
#[cfg(feature = "safetensors")]
pub mod files;
#[cfg(feature = "gguf")]
pub mod gguf;
pub mod growth;
pub mod heritage;
pub mod invariants;
pub mod kinship;
mod linear_equations;
mod logarithms;
mod minimum;
pub mod moments;
#[cfg(feature = "npz")]
pub mod npz;
pub mod pairwise;
mod parallel;
mod powers;
pub mod progress;
#[cfg(feature = "pytorch")]
pub mod pytorch;
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
#[cfg(feature = "storage")]
#[cfg_attr(
    not(all(
        feature = "safetensors",
        feature = "pytorch",
        feature = "gguf",
        feature = "npz"
    )),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "each format needs some of it"
    )
)]
pub mod storage;
#[cfg(feature = "proptest")]
pub mod strategies;
#[cfg_attr(
    not(feature = "safetensors"),
    allow(dead_code, reason = "each format needs some of it")
)]
mod text;
pub mod weights;

pub use crate::scalar::Scalar;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
