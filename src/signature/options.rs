//! How to make signatures.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::signing;
use super::{ModelFailure, Signature};
use crate::progress::{Cancelled, Observer};
use crate::sketch::{MatrixSketcher, RowGroups, SketchError, SketchKey};
use crate::weights::WeightSource;

/// How to make signatures: the size of sketches and the key of their random signs.
///
/// # Examples
///
/// ```
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let model = |name, last| {
///     InMemoryModel::new(name).with_layer("w", [2, 2], vec![9.0_f32, 1.0, 1.0, last])
/// };
/// let models = [model("base", 1.0)?, model("chat", 1.5)?];
/// let signatures = SignatureOptions::new().with_buckets(16)?.sign_all(&models);
/// assert_eq!(signatures[1].as_ref().unwrap().name(), "chat");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields))]
pub struct SignatureOptions {
    pub(super) buckets: usize,
    pub(super) key: SketchKey,
}

crate::checked::deserialise_checked!(SignatureOptions, |read| read.with_buckets(read.buckets));

impl SignatureOptions {
    /// 32 buckets per group of rows, and the public key.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buckets: 32,
            key: SketchKey::PUBLIC,
        }
    }

    /// Sets the number of buckets per group of rows, which limits the differences that can be resolved.
    ///
    /// Take a model, a child of it at distance ε, and a third model at distance δ from these. Deciding which
    /// of the two the third was trained from takes about (3 δ/ε)² numbers in total.
    ///
    /// # Errors
    ///
    /// [`SketchError::Buckets`] unless the number is a power of two from 8 to 1024.
    pub fn with_buckets(mut self, buckets: usize) -> Result<Self, SketchError> {
        MatrixSketcher::new(RowGroups::new(0, 1)?, buckets, self.key)?;
        self.buckets = buckets;
        Ok(self)
    }

    /// Sets the key of the random signs; signatures with different keys can't be compared.
    #[must_use]
    pub const fn with_key(mut self, key: SketchKey) -> Self {
        self.key = key;
        self
    }

    /// The number of buckets per group of rows.
    ///
    /// ```
    /// use mother::signature::SignatureOptions;
    ///
    /// assert_eq!(SignatureOptions::new().buckets(), 32);
    /// ```
    #[must_use]
    pub const fn buckets(&self) -> usize {
        self.buckets
    }

    /// The key of the random signs.
    ///
    /// ```
    /// use mother::signature::SignatureOptions;
    /// use mother::sketch::SketchKey;
    ///
    /// assert_eq!(SignatureOptions::new().key(), SketchKey::PUBLIC);
    /// ```
    #[must_use]
    pub const fn key(&self) -> SketchKey {
        self.key
    }

    /// Signs one model as [`Unfused`](crate::weights::Unfused) lists it: fused layers are signed in parts.
    ///
    /// A tensor with a non-finite value, or whose squares overflow, is left out and listed in
    /// [`Signature::skipped_layers`].
    ///
    /// # Errors
    ///
    /// [`ModelFailure`] if the source fails, two layers have the same name, a layer is too large, or no
    /// weight is left.
    ///
    /// # Complexity
    ///
    /// O(w) time for w values, each of which is read once; a few megabytes in addition to the signature, or 16 MB (32 MB
    /// for doubles) where a layer prefers long chunks.
    pub fn sign<S: WeightSource>(&self, model: &S) -> Result<Signature, ModelFailure> {
        let mut signatures = self.sign_all(core::slice::from_ref(model));
        signatures.pop().unwrap_or(Err(ModelFailure::NoWeight))
    }

    /// Signs many models, several at once. Results are in the order of the models.
    pub fn sign_all<S: WeightSource>(&self, models: &[S]) -> Vec<Result<Signature, ModelFailure>> {
        let mut go_on = |_| ControlFlow::Continue(());
        self.sign_all_observed(models, &mut go_on)
            .unwrap_or_default()
    }

    /// Signs many models and reports progress to `observer`.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] if the observer breaks. It is called at least once every four million values.
    pub fn sign_all_observed<S: WeightSource>(
        &self,
        models: &[S],
        observer: &mut dyn Observer,
    ) -> Result<Vec<Result<Signature, ModelFailure>>, Cancelled> {
        signing::sign_all(*self, models, observer)
    }
}

impl Default for SignatureOptions {
    fn default() -> Self {
        Self::new()
    }
}
