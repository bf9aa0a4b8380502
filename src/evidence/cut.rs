//! Parts of fused weights whose rows are in a different order in the other model.

use alloc::vec::Vec;

use hashbrown::HashSet;

use super::common::Tensor;
use crate::signature::TensorSignature;

/// The names of the parts into which fused weights are cut.
const PARTS: [&str; 5] = ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"];

/// Leaves out the parts of a fused weight if one of them is unrelated to its counterpart, unlike most weights of
/// two related models.
///
/// Fused rows are often interleaved by heads. If that wasn't known when the model was read, its parts contain rows of
/// other projections, and their distance doesn't show how far training moved them. Two models interleaved in the same
/// way are not affected.
pub(super) fn leave_out_reordered(
    tensors: &mut Vec<Tensor>,
    matched: &[(&TensorSignature, &TensorSignature)],
    usual: f64,
) {
    let fused_of = |tensor: &Tensor| {
        let (u, v) = matched[tensor.at];
        let of = |tensor: &TensorSignature| tensor.is_cut_from_fused();
        [u, v].map(|tensor| fused(tensor.name()).filter(|_| of(tensor)))
    };
    let far = tensors
        .iter()
        .filter(|tensor| tensor.has_independent_rows(usual));
    let far = far.map(fused_of).filter(|fused| *fused != [None; 2]);
    let (mut first, mut second) = (HashSet::new(), HashSet::new());
    for [of_first, of_second] in far {
        first.extend(of_first);
        second.extend(of_second);
    }
    if first.is_empty() && second.is_empty() {
        return;
    }
    tensors.retain(|tensor| {
        let [of_first, of_second] = fused_of(tensor);
        let is_reordered = of_first.is_some_and(|fused| first.contains(fused))
            || of_second.is_some_and(|fused| second.contains(fused));
        !is_reordered
    });
}

/// The beginning that the names of all parts of one fused weight share.
fn fused(part: &str) -> Option<&str> {
    let found = PARTS.iter().find_map(|name| part.rfind(name));
    part.get(..found?)
}
