//! A few bytes that record what a layer contained on the first read, so that later changes are noticed.

use alloc::vec;
use alloc::vec::Vec;

use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::signature::{LayerShape, ModelFailure, OpenModel};
use crate::weights::WeightSource;

/// A checksum of every 64 Ki values of a layer, independent of the pieces in which they are read.
///
/// A change to one value is always detected, and changes to several except with probability of about 2⁻⁶⁴. It
/// guards against accidents only: an attacker can construct two layers with the same digest. Positive and
/// negative zero count as the same value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    segments: Vec<u64>,
}

impl Digest {
    /// The number of values that share a checksum.
    pub(super) const SEGMENT: usize = 64 * 1024;

    /// The digest of `length` values, none of which has been added yet.
    pub(super) fn new(length: usize) -> Self {
        Self {
            segments: vec![0; length.div_ceil(Self::SEGMENT)],
        }
    }

    /// Adds values of the layer, starting at flat index `offset`. Each value must be added once.
    pub(super) fn add<T: Scalar>(&mut self, mut offset: usize, mut values: &[T]) {
        while let Some(segment) = self.segments.get_mut(offset / Self::SEGMENT) {
            let rest = Self::SEGMENT - offset % Self::SEGMENT;
            let (now, later) = values.split_at(rest.min(values.len()));
            *segment = segment.wrapping_add(checksum(offset, now));
            offset += now.len();
            values = later;
            if values.is_empty() {
                break;
            }
        }
    }

    /// Whether these values are one whole segment and unchanged.
    pub(super) fn has_segment<T: Scalar>(&self, offset: usize, values: &[T]) -> bool {
        self.segments.get(offset / Self::SEGMENT) == Some(&checksum(offset, values))
    }
}

/// Reads values of a layer again and checks that they haven't changed.
///
/// `seen` is the digest of the whole layer; the values are one of its segments.
pub(super) fn read_segment_again<T: Scalar, S: WeightSource>(
    model: &OpenModel<'_, S>,
    layer: &LayerShape,
    offset: usize,
    values: &mut [T],
    seen: &Digest,
) -> Result<(), ModelFailure> {
    model.read(layer, offset, values)?;
    if seen.has_segment(offset, values) {
        Ok(())
    } else {
        Err(ModelFailure::Changed {
            layer: layer.name.clone(),
        })
    }
}

/// A sum of products with odd numbers that depend on the position.
fn checksum<T: Scalar>(offset: usize, values: &[T]) -> u64 {
    let product = |(index, value): (usize, &T)| {
        let factor = ((offset + index) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C16) | 1;
        (value.widen() + 0.0).to_bits().wrapping_mul(factor)
    };
    in_wide_registers(
        #[inline(always)]
        move || (values.iter().enumerate().map(product)).fold(0, u64::wrapping_add),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Vec<f32> {
        (0..150_000_u32)
            .map(|index| index.wrapping_mul(2_654_435_761) as f32)
            .collect()
    }

    fn digest(values: &[f32], piece: usize) -> Digest {
        let mut digest = Digest::new(values.len());
        for (number, piece_of) in values.chunks(piece).enumerate() {
            digest.add(number * piece, piece_of);
        }
        digest
    }

    #[test]
    fn pieces_and_precision_do_not_matter() {
        let values = values();
        let expected = digest(&values, values.len());
        for piece in [7, 4096, Digest::SEGMENT, Digest::SEGMENT + 1, 140_000] {
            assert_eq!(digest(&values, piece), expected, "{piece}");
        }
        let double: Vec<f64> = values.iter().copied().map(f64::from).collect();
        for (number, segment) in double.chunks(Digest::SEGMENT).enumerate() {
            assert!(expected.has_segment(number * Digest::SEGMENT, segment));
        }
    }

    #[test]
    fn any_change_and_any_swap_is_seen() {
        let values = values();
        let expected = digest(&values, values.len());
        for at in (0..values.len()).step_by(997) {
            let mut changed = values.clone();
            changed[at] = f32::from_bits(changed[at].to_bits() ^ 1);
            assert_ne!(digest(&changed, values.len()), expected, "{at}");
            let mut swapped = values.clone();
            swapped.swap(at, (at + 1) % values.len());
            assert_ne!(digest(&swapped, values.len()), expected, "{at}");
        }
    }

    #[test]
    fn zeros_are_one_value_and_no_values_have_a_digest() {
        assert_eq!(digest(&[0.0, 1.0], 2), digest(&[-0.0, 1.0], 2));
        assert_eq!(Digest::new(0), Digest::default());
    }
}
