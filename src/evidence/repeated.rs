//! How much of a model is a copy of other parts of it.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::matching::are_copies;
use crate::signature::{Signature, TensorSignature};

/// The share of a model's weights in tensors that also exist under a name that differs only in its numbers:
/// stacked layers, or experts that were all copied from one dense layer. Such experts are near each other even
/// after training, unlike those of other mixtures.
///
/// A tensor without an equal one is compared with those whose names have the next number in one place.
/// O(t (k + log t)) time for t tensors with sketches of k numbers.
pub(super) fn repeated(signature: &Signature) -> f64 {
    let weights: Vec<&TensorSignature> = (signature.tensors().iter())
        .filter(|tensor| tensor.is_weight())
        .collect();
    let mut digests: Vec<([u64; 2], String)> = weights.iter().map(|tensor| kind(tensor)).collect();
    digests.sort_unstable();
    let is_equal = |tensor: &&TensorSignature| {
        let kind = kind(tensor);
        let first = digests.partition_point(|other| *other < kind);
        digests.get(first + 1) == Some(&kind)
    };
    let mut is_repeated: Vec<bool> = weights.iter().map(is_equal).collect();
    let named: HashMap<&str, usize> = (weights.iter().enumerate())
        .map(|(at, tensor)| (tensor.name(), at))
        .collect();
    for (at, tensor) in weights.iter().enumerate() {
        for next in next_names(tensor.name()) {
            let Some(&next) = named.get(&*next) else {
                continue;
            };
            if are_copies(tensor, weights[next]) {
                is_repeated[at] = true;
                is_repeated[next] = true;
            }
        }
    }
    let values = |tensor: &TensorSignature| tensor.moments().count();
    let all: u64 = weights.iter().map(|tensor| values(tensor)).sum();
    let counted = weights
        .iter()
        .zip(&is_repeated)
        .filter(|(_, is_repeated)| **is_repeated);
    let repeated: u64 = counted.map(|(tensor, _)| values(tensor)).sum();
    repeated as f64 / all.max(1) as f64
}

/// A tensor's values, and its name without numbers, so that a head tied to the embeddings doesn't count as
/// stacked.
fn kind(tensor: &TensorSignature) -> ([u64; 2], String) {
    let letters = tensor.name().chars().filter(|c| !c.is_ascii_digit());
    (tensor.digest().words(), letters.collect())
}

/// The names that result from incrementing one of the numbers in this name.
fn next_names(name: &str) -> Vec<String> {
    let mut names = vec![];
    let mut start = 0;
    for part in name.split('.') {
        let end = start + part.len();
        if let Some(next) = part
            .parse::<u32>()
            .ok()
            .and_then(|number| number.checked_add(1))
        {
            names.push(format!("{}{next}{}", &name[..start], &name[end..]));
        }
        start = end + 1;
    }
    names
}
