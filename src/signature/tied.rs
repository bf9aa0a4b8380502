//! Tensors that a model holds under several names.

use alloc::vec::Vec;

use super::{TensorSignature, is_weight_matrix};

/// Marks matrices that repeat another one under a different name, such as an output head that is tied to the
/// embeddings. Some files list such a matrix once and others under every name, so all but one are marked: the one with
/// the shortest name, and among equally short names the first, is not.
///
/// Names that differ only in their digits don't count, because stacked layers repeat others, too.
///
/// O(t log t) time for t tensors.
pub(super) fn mark_tied(tensors: &mut [TensorSignature]) {
    let mut matrices: Vec<usize> = (0..tensors.len())
        .filter(|&at| is_weight_matrix(&tensors[at].shape))
        .collect();
    let key = |at: usize| {
        let tensor: &TensorSignature = &tensors[at];
        (tensor.digest.words(), tensor.name.len(), at)
    };
    matrices.sort_unstable_by_key(|&at| key(at));
    let is_tied = |&(&first, &second): &(&usize, &usize)| {
        let (first, second): (&TensorSignature, _) = (&tensors[first], &tensors[second]);
        first.digest == second.digest
            && first.shape == second.shape
            && first.name_without_digits() != second.name_without_digits()
    };
    let pairs = matrices.iter().zip(matrices.iter().skip(1));
    let tied: Vec<usize> = pairs.filter(is_tied).map(|(_, &second)| second).collect();
    for at in tied {
        tensors[at].is_tied = true;
    }
}
