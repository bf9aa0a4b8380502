//! Weights that are equal in some models of a group, and different in others.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::disjoint_sets::DisjointSets;
use crate::signature::{Signature, TensorSignature};

/// Which models of a group have equal weights.
///
/// Training changes every value of a weight, and never arrives at the same values twice. So models with equal weights
/// inherited them from a common ancestor, through models that kept them: a merged LoRA shares the embeddings of its
/// base, and nothing with a sibling that was trained in full. All weights that are equal in exactly the same models count
/// as one set.
///
/// # Examples
///
/// ```
/// use mother::evidence::SharedWeights;
///
/// // The first two models have equal embeddings; all but the last have equal heads.
/// let shared = SharedWeights::new(4, [vec![0, 1], vec![0, 1, 2]]);
/// assert_eq!(shared.sets_with(0, 1), 2);
/// assert_eq!(shared.sets_with(1, 2), 1);
/// assert_eq!(shared.sets_with(0, 3), 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "Vec<Vec<usize>>", into = "Vec<Vec<usize>>")
)]
pub struct SharedWeights {
    /// The sets that each model is in, ascending.
    sets_of: Vec<Vec<usize>>,
}

impl SharedWeights {
    /// Takes this many models, and sets of models that share weights. Equal sets count once, and positions that don't
    /// exist are ignored.
    pub fn new(models: usize, sets: impl IntoIterator<Item = Vec<usize>>) -> Self {
        let mut sets_of = vec![Vec::new(); models];
        let distinct: BTreeSet<Vec<usize>> = sets.into_iter().map(sorted).collect();
        for (set, members) in distinct.into_iter().enumerate() {
            for member in members.into_iter().filter(|&member| member < models) {
                sets_of[member].push(set);
            }
        }
        Self { sets_of }
    }

    /// Finds the sets. The values of two tensors are the same if those sampled for
    /// [`rounded_digests`](TensorSignature::rounded_digests) are, as they are or rounded to 16 bits: copies in a
    /// shorter type hold the same weights. Constant tensors don't count, nor does what all models share.
    ///
    /// O(t log t) time for t tensors.
    pub(crate) fn of(signatures: &[&Signature]) -> Self {
        let tensors: Vec<(usize, &TensorSignature)> = (signatures.iter().enumerate())
            .flat_map(|(model, signature)| signature.tensors().iter().map(move |t| (model, t)))
            .filter(|(_, tensor)| is_telling(tensor))
            .collect();
        let mut same = DisjointSets::new(tensors.len());
        let roundings: [fn(&TensorSignature) -> u64; 2] = [
            |tensor| tensor.samples().bfloat,
            |tensor| tensor.samples().half,
        ];
        for rounded in roundings {
            let key = |&at: &usize| (tensors[at].1.moments().count(), rounded(tensors[at].1));
            let mut order: Vec<usize> = (0..tensors.len()).collect();
            order.sort_unstable_by_key(key);
            let runs = order.chunk_by(|first, second| key(first) == key(second));
            for pair in runs.flat_map(|run| run.windows(2)) {
                same.join(pair[0], pair[1]);
            }
        }
        let holders = same.into_members().into_iter().map(|tensor| {
            let models = tensor.into_iter().map(|at| tensors[at].0);
            sorted(models.collect())
        });
        let some = holders.filter(|models| (2..signatures.len()).contains(&models.len()));
        Self::new(signatures.len(), some)
    }

    /// The number of models; 0 if nothing is known about any.
    #[must_use]
    pub fn models(&self) -> usize {
        self.sets_of.len()
    }

    /// The number of sets with both of these models; 0 if one of them doesn't exist.
    ///
    /// O(k) time if each is in k sets.
    #[must_use]
    pub fn sets_with(&self, first: usize, second: usize) -> usize {
        let sets = |model: usize| self.sets_of.get(model).map_or(&[][..], Vec::as_slice);
        let (mut of_first, of_second) = (sets(first).iter().peekable(), sets(second));
        let is_common = |&&set: &&usize| {
            while of_first.next_if(|&&other| other < set).is_some() {}
            of_first.next_if_eq(&&set).is_some()
        };
        of_second.iter().filter(is_common).count()
    }
}

#[cfg(feature = "serde")]
impl From<Vec<Vec<usize>>> for SharedWeights {
    fn from(sets_of: Vec<Vec<usize>>) -> Self {
        Self {
            sets_of: sets_of.into_iter().map(sorted).collect(),
        }
    }
}

#[cfg(feature = "serde")]
impl From<SharedWeights> for Vec<Vec<usize>> {
    fn from(shared: SharedWeights) -> Self {
        shared.sets_of
    }
}

/// Whether equal values of this tensor come from one ancestor: it isn't constant, and its values are known.
fn is_telling(tensor: &TensorSignature) -> bool {
    let varies = (tensor.moments().variance()).is_some_and(|variance| variance > 0.0);
    tensor.is_weight() && varies && tensor.rounded_digests() != [0; 4]
}

fn sorted(mut models: Vec<usize>) -> Vec<usize> {
    models.sort_unstable();
    models.dedup();
    models
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::SignatureOptions;
    use crate::weights::InMemoryModel;

    /// A model with one weight for each seed.
    fn model(name: &str, seeds: [u32; 3], rounded: bool) -> Signature {
        let values = |seed: u32| {
            let value = move |at: u32| {
                let mixed = (seed * 4096 + at).wrapping_mul(2_654_435_761);
                let value = f32::from_bits(0x3f80_0000 | (mixed >> 9));
                if rounded {
                    half::bf16::from_f32(value).to_f32()
                } else {
                    value
                }
            };
            (0..64).map(value).collect::<Vec<f32>>()
        };
        let layers = seeds.into_iter().enumerate();
        let model = layers.fold(InMemoryModel::new(name), |model, (at, seed)| {
            let name = alloc::format!("layer.{at}");
            let constant = vec![1.0; 64];
            let values = if seed == 0 { constant } else { values(seed) };
            model.with_layer(name, [8, 8], values).unwrap()
        });
        SignatureOptions::new().sign(&model).unwrap()
    }

    #[test]
    fn equal_weights_count_whatever_their_type_and_place() {
        let models = [
            model("base", [1, 2, 3], false),
            model("cast", [1, 2, 3], true),
            model("lora", [1, 9, 3], false),
            model("moved", [3, 1, 8], false),
            model("full", [5, 6, 7], false),
        ];
        let shared = SharedWeights::of(&models.iter().collect::<Vec<_>>());
        // Weights 1 and 3 are one set, and weight 2 is another.
        let sets =
            |of: usize| -> Vec<usize> { (0..5).map(|with| shared.sets_with(of, with)).collect() };
        assert_eq!(sets(0), [2, 2, 1, 1, 0]);
        assert_eq!(sets(2), [1, 1, 1, 1, 0]);
        assert_eq!(sets(4), [0; 5]);
    }

    #[test]
    fn constants_and_what_all_share_say_nothing() {
        let models = [
            model("a", [1, 0, 2], false),
            model("b", [1, 0, 3], false),
            model("c", [1, 4, 5], false),
        ];
        let shared = SharedWeights::of(&models.iter().collect::<Vec<_>>());
        assert_eq!(shared, SharedWeights::new(3, []));
    }
}
