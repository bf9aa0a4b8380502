//! How much of a model is a copy of other parts of it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::matching::are_copies;
use crate::signature::{Signature, TensorSignature};

/// A tensor is compared with at most this many others, since a mixture may have thousands of experts.
const MOST_COMPARED: usize = 128;

/// The share of a model's weights in tensors that also exist under a name that differs only in its numbers:
/// stacked layers, or experts that were all copied from one dense layer. Such experts are near each other even
/// after training, unlike those of other mixtures.
///
/// A tensor is compared with at most 128 others of such names. O(t k + t log t) time for t tensors with sketches of k
/// numbers, and up to 128 times as much if a few numbers of a sketch don't show that layers differ.
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
    let mut stacked: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, tensor) in weights.iter().enumerate() {
        stacked
            .entry(tensor.name_without_digits())
            .or_default()
            .push(at);
    }
    for of_name in stacked.values() {
        for (place, &first) in of_name.iter().enumerate() {
            for &second in of_name[place + 1..].iter().take(MOST_COMPARED) {
                let is_known = is_repeated[first] && is_repeated[second];
                if !is_known && are_copies(weights[first], weights[second]) {
                    is_repeated[first] = true;
                    is_repeated[second] = true;
                }
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
    (tensor.digest().words(), tensor.name_without_digits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::SignatureOptions;
    use crate::weights::InMemoryModel;

    /// A layer of 64 × 64 values, each moved a little.
    fn layer(seed: u32, moved: u32) -> Vec<f32> {
        let random = |seed: u32, at: u32| {
            let mixed = (seed * 4096 + at).wrapping_mul(2_654_435_761);
            ((mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519) >> 8) as f32 / 8e6 - 1.0
        };
        (0..4096)
            .map(|at| random(seed, at) + 0.1 * random(moved, at))
            .collect()
    }

    #[test]
    fn stacked_layers_are_alike_also_after_training() {
        // The third and fourth layer were copies of the first and second.
        let layers = [(1, 11), (2, 12), (1, 13), (2, 14), (3, 15)];
        let named = layers.into_iter().enumerate();
        let model = named.fold(InMemoryModel::new("m"), |model, (at, (seed, moved))| {
            let name = alloc::format!("layers.{at}.weight");
            model
                .with_layer(name, [64, 64], layer(seed, moved))
                .unwrap()
        });
        let signature = SignatureOptions::new().sign(&model).unwrap();
        assert_eq!(repeated(&signature), 0.8);
    }
}
