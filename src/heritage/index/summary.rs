//! Short summaries of signatures.

use alloc::vec::Vec;

use num_traits::Float;

use crate::signature::{Signature, TensorSignature};
use crate::sketch::mix;

/// How many numbers a summary has.
///
/// Whole signatures decide where summaries can't. The search by summaries only has to find models from which
/// the parent can be reached in a few steps.
pub(super) const NUMBERS: usize = 64;

/// Sums of the sketches' numbers with random signs. The squared distance between two summaries estimates that
/// between the models, as for sketches, but less accurately.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    /// The numbers are in units of 2 to this power.
    exponent: i32,
    numbers: [f32; NUMBERS],
}

impl Summary {
    /// The summary of some tensors of a signature. Only tensors with equal names are compared.
    pub(super) fn new(signature: &Signature, selects: impl Fn(&TensorSignature) -> bool) -> Self {
        Self::with_seeds(&selected(signature, selects), |tensor| {
            tensor.name().bytes().fold(0, |hash: u64, byte| {
                mix(hash.wrapping_add(u64::from(byte)).wrapping_add(1))
            })
        })
    }

    /// The summary of some tensors of a signature, ignoring their names. It compares sums over tensors of one
    /// shape. If the tensors moved independently, the squared distance between the sums estimates that
    /// between corresponding tensors.
    pub(super) fn without_names(
        signature: &Signature,
        selects: impl Fn(&TensorSignature) -> bool,
    ) -> Self {
        Self::with_seeds(&selected(signature, selects), seed_of_shape)
    }

    /// The summary of all weights. It is exactly equal for models that hold the same values, whatever their
    /// names and order.
    pub(super) fn of_values(signature: &Signature) -> Self {
        let weights = signature.tensors().iter().filter(|t| t.is_weight());
        let mut weights: Vec<&TensorSignature> = weights.collect();
        weights.sort_by_key(|tensor| (tensor.shape(), tensor.digest()));
        Self::with_seeds(&weights, seed_of_shape)
    }

    /// The summary of some tensors, with random signs determined by a seed for each tensor.
    fn with_seeds(tensors: &[&TensorSignature], seed: impl Fn(&TensorSignature) -> u64) -> Self {
        let exponents = tensors.iter().map(|tensor| tensor.sketch().exponent());
        let exponent = exponents.max().unwrap_or(0);
        let mut numbers = [0.0; NUMBERS];
        for tensor in tensors {
            let unit = power(tensor.sketch().exponent() - exponent);
            let seed = seed(tensor);
            for (at, buckets) in tensor.sketch().buckets().chunks(NUMBERS).enumerate() {
                let signs = mix(seed.wrapping_add(at as u64 + 1));
                for (lane, (sum, bucket)) in numbers.iter_mut().zip(buckets).enumerate() {
                    let sign = if signs >> lane & 1 == 1 { -unit } else { unit };
                    *sum += sign * bucket;
                }
            }
        }
        Self { exponent, numbers }
    }

    pub(super) fn from_numbers(exponent: i32, numbers: &[f32]) -> Option<Self> {
        let numbers = *numbers.first_chunk()?;
        Some(Self { exponent, numbers })
    }

    pub(super) const fn exponent(&self) -> i32 {
        self.exponent
    }

    pub(super) const fn numbers(&self) -> &[f32; NUMBERS] {
        &self.numbers
    }

    /// The signs of the first numbers, one bit each.
    pub(super) fn signs(&self, numbers: u32) -> u64 {
        let first = self.numbers.iter().take(numbers as usize);
        first.fold(0, |signs, number| signs << 1 | u64::from(*number > 0.0))
    }

    /// The numbers in units of 2 to a power that is at least the summary's own.
    pub(super) fn scaled(&self, exponent: i32) -> [f32; NUMBERS] {
        let unit = power(self.exponent - exponent);
        self.numbers.map(|number| unit * number)
    }
}

fn selected(
    signature: &Signature,
    selects: impl Fn(&TensorSignature) -> bool,
) -> Vec<&TensorSignature> {
    let tensors = signature.tensors().iter();
    tensors.filter(|tensor| selects(tensor)).collect()
}

fn seed_of_shape(tensor: &TensorSignature) -> u64 {
    let lengths = tensor.shape().iter();
    lengths.fold(0, |hash: u64, &length| {
        mix(hash.wrapping_add(length as u64).wrapping_add(1))
    })
}

/// 2 to a power that is zero or negative.
fn power(exponent: i32) -> f32 {
    Float::powi(2.0_f64, exponent) as f32
}

/// The largest exponent that any summary of a model can have.
pub(super) fn exponent(signature: &Signature) -> i32 {
    let weights = signature
        .tensors()
        .iter()
        .filter(|tensor| tensor.is_weight());
    let exponents = weights.map(|tensor| tensor.sketch().exponent());
    exponents.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Summary {
        /// A summary of random numbers of this size.
        pub(in crate::heritage::index) fn random(seed: u64, size: f32) -> Self {
            let number = |at: u64| (mix(seed * 1000 + at) >> 40) as f32 / (1 << 24) as f32 - 0.5;
            Self {
                exponent: (seed % 3) as i32,
                numbers: core::array::from_fn(|at| size * number(at as u64)),
            }
        }

        /// The sum of two summaries.
        pub(in crate::heritage::index) fn plus(&self, other: &Self) -> Self {
            let exponent = self.exponent.max(other.exponent);
            let (first, second) = (self.scaled(exponent), other.scaled(exponent));
            Self {
                exponent,
                numbers: core::array::from_fn(|at| first[at] + second[at]),
            }
        }
    }
}
