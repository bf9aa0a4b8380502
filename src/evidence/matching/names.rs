//! Equal names, and names without the parts that wrappers add.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::cmp::Ordering;

use hashbrown::HashMap;

use super::{Positions, is_same_but_for_rows};
use crate::signature::TensorSignature;

/// Dot-separated parts of names that come from wrapping a module: to train it on many devices, to compile it,
/// or to adapt it.
const WRAPPERS: [&str; 9] = [
    "_checkpoint_wrapped_module",
    "_forward_module",
    "_fsdp_wrapped_module",
    "_orig_mod",
    "base_layer",
    "base_model",
    "module",
    "original_layer",
    "original_module",
];

/// The tensors of equal names. Both lists are sorted by name.
pub(super) fn equal(first: &[TensorSignature], second: &[TensorSignature]) -> Positions {
    let mut pairs = Positions::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(u), Some(v)) = (first.get(i), second.get(j)) {
        match u.name().cmp(v.name()) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => {
                if is_same_but_for_rows(u, v) {
                    pairs.push((i, j));
                }
                i += 1;
                j += 1;
            }
        }
    }
    pairs
}

/// The names of a model's tensors without wrappers. If two would become equal, both stay as they are.
pub(super) fn unwrapped(tensors: &[TensorSignature]) -> Vec<Cow<'_, str>> {
    let names: Vec<Cow<'_, str>> = tensors
        .iter()
        .map(|tensor| without(tensor.name()))
        .collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in &names {
        *counts.entry(name).or_default() += 1;
    }
    let is_unique: Vec<bool> = names.iter().map(|name| counts[&**name] == 1).collect();
    let own = tensors.iter().map(|tensor| Cow::Borrowed(tensor.name()));
    drop(counts);
    let chosen = names.into_iter().zip(own).zip(is_unique);
    chosen
        .map(|((name, own), is_unique)| if is_unique { name } else { own })
        .collect()
}

fn without(name: &str) -> Cow<'_, str> {
    let is_wrapper = |part: &&str| WRAPPERS.contains(part);
    if !name.split('.').any(|part| is_wrapper(&part)) {
        return Cow::Borrowed(name);
    }
    let parts: Vec<&str> = name.split('.').filter(|part| !is_wrapper(part)).collect();
    if parts.is_empty() {
        return Cow::Borrowed(name);
    }
    Cow::Owned(parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_come_off_wherever_they_are() {
        for (name, expected) in [
            ("_orig_mod.module.layers.0.weight", "layers.0.weight"),
            (
                "layers.0._orig_mod.q_proj.base_layer.weight",
                "layers.0.q_proj.weight",
            ),
            ("modules.0.weight", "modules.0.weight"),
            ("module", "module"),
        ] {
            assert_eq!(without(name), expected);
        }
    }
}
