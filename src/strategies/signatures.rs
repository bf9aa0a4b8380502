//! Signatures of models in memory.

use proptest::prelude::*;

use super::models::in_memory_models;
use crate::signature::{Signature, SignatureOptions};

/// Signatures of models with any weights, of any shape, type and size.
///
/// They are made from [`in_memory_models`], so some omit tensors whose squares overflow. Models without
/// weights, which have no signature, aren't generated.
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
