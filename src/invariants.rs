//! Properties that any correct result must have, as plain functions for testing your implementation or ours.
//!
//! Each function takes a result as plain data and reports any fault as a [`Violation`]. They are slow and
//! simple, and share no code with the implementations they check. Feed them from `strategies` (feature
//! `proptest`), from a fuzzer, or from your own cases:
//!
//! - for clusterings: [`dendrogram`], [`monotone_heights`], [`nested`];
//! - for arborescences: [`arborescence`], and [`dual_certificate`], which proves the minimum;
//! - for forests: [`forest`], [`recovered_forest`];
//! - for weight sources: [`weight_source`], [`same_weights`];
//! - for results that must not depend on names, units or origin: [`relabelled_parents`],
//!   [`relabelled_distances`], [`scaled_distances`].
//!
//! # Examples
//!
//! ```
//! use mother::invariants::{Violation, forest};
//!
//! assert_eq!(forest(&[None, Some(0), Some(1)]), Ok(()));
//! assert_eq!(forest(&[Some(1), Some(0)]), Err(Violation::Cycle { node: 0 }));
//! ```

mod clusters;
mod source;
mod symmetry;
mod trees;
mod violation;

pub use self::clusters::{dendrogram, monotone_heights, nested};
pub use self::source::{same_weights, weight_source};
pub use self::symmetry::{relabelled_distances, relabelled_parents, scaled_distances};
pub use self::trees::{arborescence, dual_certificate, forest, recovered_forest};
pub use self::violation::Violation;
