//! Models that were assembled from parts of others, as mixtures of experts are from the layers of several
//! models.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use crate::signature::Signature;

/// A model that contains unchanged weights of several others.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Assembled {
    /// The position of the model.
    pub model: usize,
    /// The positions of the models whose weights it contains, ascending.
    pub parts: Vec<usize>,
}

/// The digest of a tensor's values.
type Digest = [u64; 2];

/// The names and digests of a model's weights.
fn weights(signature: &Signature) -> impl Iterator<Item = (&str, Digest)> {
    let weights = (signature.tensors().iter()).filter(|tensor| tensor.is_weight());
    weights.map(|tensor| (tensor.name(), tensor.digest().words()))
}

/// The models that were assembled from others in the list.
///
/// Suppose two models have different weights under the same name, and neither has the other's. A third model
/// that contains both must have come after them. A common ancestor has only one place of that name, so it can
/// contain at most one of them.
pub(super) fn assembled(signatures: &[&Signature]) -> Vec<Assembled> {
    let held: Vec<HashSet<Digest>> = (signatures.iter())
        .map(|signature| weights(signature).map(|(_, digest)| digest).collect())
        .collect();
    let moved = under_several_names(signatures);
    let is_moved = |model: &usize| !held[*model].is_disjoint(&moved);
    if moved.is_empty() {
        return Vec::new();
    }
    let candidates = (0..signatures.len()).filter(is_moved);
    let found = candidates.filter_map(|model| {
        let parts = parts(signatures, &held, model);
        (!parts.is_empty()).then_some(Assembled { model, parts })
    });
    found.collect()
}

/// The digests that occur under more than one name.
fn under_several_names(signatures: &[&Signature]) -> HashSet<Digest> {
    let mut names: HashMap<Digest, &str> = HashMap::new();
    let mut several = HashSet::new();
    for (name, digest) in signatures.iter().flat_map(|signature| weights(signature)) {
        if *names.entry(digest).or_insert(name) != name {
            several.insert(digest);
        }
    }
    several
}

/// The models from which this one contains different weights of the same name.
fn parts(signatures: &[&Signature], held: &[HashSet<Digest>], model: usize) -> Vec<usize> {
    let mut by_name: BTreeMap<&str, Vec<(Digest, usize)>> = BTreeMap::new();
    for (other, signature) in signatures.iter().enumerate() {
        let shared = weights(signature).filter(|(_, digest)| held[model].contains(digest));
        for (name, digest) in shared.filter(|_| other != model) {
            by_name.entry(name).or_default().push((digest, other));
        }
    }
    let mut parts = BTreeSet::new();
    for shared in by_name.values() {
        for &(digest, first) in shared {
            let differs = |&&(other, second): &&(Digest, usize)| {
                !held[first].contains(&other) && !held[second].contains(&digest)
            };
            if shared.iter().any(|pair| differs(&pair)) {
                parts.insert(first);
            }
        }
    }
    parts.into_iter().collect()
}
