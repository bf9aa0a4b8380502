//! Strategies for property tests: matrices, digraphs, dendrograms, models, signatures, and families of models
//! with known parents.
//!
//! They are for crates that implement a [`WeightSource`](crate::weights::WeightSource) or build on the
//! kernels and test with `proptest`. All of them shrink towards fewer points, nodes, layers and models;
//! whatever remains keeps its values. The [`invariants`](crate::invariants) check whether a result can be
//! right.
//!
//! # Examples
//!
//! ```
//! use mother::evidence::SignatureComparison;
//! use mother::heritage::Recovery;
//! use mother::signature::SignatureOptions;
//! use mother::strategies::{FamilyOptions, Shape, Step, families};
//! use proptest::test_runner::TestRunner;
//!
//! let options = FamilyOptions::new(2..=5).with_shape(Shape::Random).with_step(Step::Full);
//! TestRunner::deterministic()
//!     .run(&families(options), |family| {
//!         let signed = SignatureOptions::new().sign_all(&family.models).into_iter();
//!         let signatures: Vec<_> = signed.map(Result::unwrap).collect();
//!         let evidence = SignatureComparison::new().compare(&signatures).unwrap();
//!         let graph = Recovery::new().recover(&evidence).unwrap();
//!         assert_eq!(graph.len(), family.parents.len());
//!         Ok(())
//!     })
//!     .unwrap();
//! ```

mod distances;
mod families;
mod models;
mod noise;
mod signatures;

pub use self::distances::{
    Ties, condensed_matrices, dendrograms, digraphs, point_distances, ultrametric_distances,
};
pub use self::families::{Family, FamilyOptions, Shape, Step, families};
pub use self::models::{in_memory_models, permutations, scaled_model, translated_model};
pub use self::signatures::signatures;
