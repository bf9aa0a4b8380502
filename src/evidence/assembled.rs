//! Models that were assembled from parts of others, as mixtures of experts are made of several models'
//! layers.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use crate::signature::Signature;

/// A model that holds weights of several others, unchanged.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Assembled {
    /// The position of the model.
    pub model: usize,
    /// The positions of those that it holds weights of, ascending.
    pub parts: Vec<usize>,
}

/// The digest of a tensor's values.
type Digest = [u64; 2];

/// The weights of a model: names and digests.
fn weights(signature: &Signature) -> impl Iterator<Item = (&str, Digest)> {
    let weights = (signature.tensors().iter()).filter(|tensor| tensor.is_weight());
    weights.map(|tensor| (tensor.name(), tensor.digest().words()))
}

/// The models that were assembled from others of these.
///
/// Two models have different weights of one name, each without the other's, and a third holds both: it must
/// have come after them. A common ancestor holds one of them at most, as it has one place of that name.
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

/// The digests that models have under more than one name.
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

/// The models of which a model holds different weights of one name.
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
