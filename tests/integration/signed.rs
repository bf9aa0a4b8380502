//! Evidence from signatures, as most users get it.

use mother::evidence::{Evidence, SignatureComparison};
use mother::signature::{Signature, SignatureOptions};
use mother::weights::WeightSource;

/// The signatures of models, none of which may fail.
pub(crate) fn signatures<S: WeightSource>(models: &[S]) -> Vec<Signature> {
    let signed = SignatureOptions::new().sign_all(models).into_iter();
    signed.map(Result::unwrap).collect()
}

/// Signs models and compares their signatures.
pub(crate) fn evidence<S: WeightSource>(models: &[S]) -> Evidence {
    SignatureComparison::new()
        .compare(&signatures(models))
        .unwrap()
}
