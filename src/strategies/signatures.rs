//! Signatures of models in memory.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::families::{Family, FamilyOptions, families};
use super::models::in_memory_models;
use crate::signature::{Signature, SignatureOptions};

/// Signatures of models with any weights, whatever shape, type and size they have.
///
/// They are made from [`in_memory_models`], so that some have left out tensors whose squares
/// overflow. Models without weights, which have no signature, aren't drawn.
///
/// # Examples
///
/// ```
/// use mother::signature::SignatureOptions;
/// use mother::strategies::signatures;
/// use proptest::prelude::*;
///
/// proptest!(|(signature in signatures(SignatureOptions::new()))| {
///     prop_assert!(signature.weights() > 0);
/// });
/// ```
pub fn signatures(options: SignatureOptions) -> impl Strategy<Value = Signature> {
    in_memory_models().prop_filter_map("a model has weights", move |model| {
        options.sign(&model).ok()
    })
}

/// A family of which only the signatures are known, and the true parents.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedFamily {
    /// The signatures of the models, named `00`, `01`, …; a parent stands before its children.
    pub signatures: Vec<Signature>,
    /// The position of each model's parent.
    pub parents: Vec<Option<usize>>,
    /// The number of each model's tree.
    pub trees: Vec<usize>,
}

/// The [`families`] of these options as signatures.
///
/// # Examples
///
/// ```
/// use mother::evidence::SignatureComparison;
/// use mother::signature::SignatureOptions;
/// use mother::strategies::{FamilyOptions, signed_families};
/// use proptest::test_runner::TestRunner;
///
/// let options = FamilyOptions::new(2..=4);
/// TestRunner::deterministic()
///     .run(&signed_families(options, SignatureOptions::new()), |family| {
///         let evidence = SignatureComparison::new().compare(&family.signatures).unwrap();
///         assert_eq!(evidence.groups[0].models().len(), family.parents.len());
///         Ok(())
///     })
///     .unwrap();
/// ```
pub fn signed_families(
    family: FamilyOptions,
    options: SignatureOptions,
) -> impl Strategy<Value = SignedFamily> {
    families(family).prop_filter_map("models have weights", move |family| {
        let Family {
            models,
            parents,
            trees,
        } = family;
        let signatures: Result<_, _> = options.sign_all(&models).into_iter().collect();
        Some(SignedFamily {
            signatures: signatures.ok()?,
            parents,
            trees,
        })
    })
}
