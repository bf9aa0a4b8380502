//! Properties of a tensor's values: the precision they need, zeros, and levels.

use alloc::vec::Vec;

use hashbrown::HashSet;

use super::digest::{rounded_to_bfloat, rounded_to_half};
use crate::Scalar;
use crate::registers::in_wide_registers;

/// A tensor may be quantised if it has at most as many distinct values as a byte.
pub(super) const LEVELS: usize = 256;

/// The largest finite number of half precision.
const LARGEST_HALF: f32 = 65_504.0;

/// The resolution of a tensor's values, independent of their stored type.
///
/// # Examples
///
/// ```
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let model = InMemoryModel::new("m").with_layer("w", [2, 2], vec![0.5_f64, 0.0, 0.25, 0.5])?;
/// let signature = SignatureOptions::new().sign(&model)?;
/// let profile = signature.tensors()[0].profile();
/// assert!(profile.fits_bf16() && profile.fits_f16());
/// assert_eq!(profile.zeros(), 1);
/// assert_eq!(profile.levels().unwrap().count, 3);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PrecisionProfile {
    pub(super) single: bool,
    pub(super) bfloat: bool,
    pub(super) half: bool,
    pub(super) zeros: u64,
    pub(super) levels: Option<Levels>,
    pub(super) rounding: Option<f64>,
}

/// The distinct values of a tensor that has at most 256 of them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Levels {
    /// The number of distinct values.
    pub count: usize,
    /// The smallest difference between two of them; 0 if there is only one.
    pub gap: f64,
}

impl PrecisionProfile {
    /// Whether single precision represents every value exactly.
    #[must_use]
    pub const fn fits_f32(&self) -> bool {
        self.single
    }

    /// Whether bfloat16 represents every value exactly.
    #[must_use]
    pub const fn fits_bf16(&self) -> bool {
        self.bfloat
    }

    /// Whether half precision represents every value exactly.
    #[must_use]
    pub const fn fits_f16(&self) -> bool {
        self.half
    }

    /// How many values are zero.
    #[must_use]
    pub const fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The distinct values if there are at most 256; the two zeros count as one.
    #[must_use]
    pub const fn levels(&self) -> Option<Levels> {
        self.levels
    }

    /// The mean squared change from rounding, if the values show that they were rounded to a few levels.
    ///
    /// Quantised weights share a scale in groups: the whole tensor, a row, a column, or some neighbours.
    /// Within a group, values then lie on a few levels: at most 256 evenly spaced ones, floats of at most
    /// four significant bits, or any sixteen. The levels determine how much rounding to the nearest one moves
    /// a value on average, and this in turn gives the distance of a copy from its original.
    ///
    /// Up to 16 tiles of 16 rows and 64 columns are examined, in tensors of at least 1,024 values. Scales for
    /// groups of at least 8 neighbours are found if single precision represents the values exactly. Those for
    /// groups of 4 are found only if the largest magnitude stands for 7 or 127. If the values don't show
    /// their levels, the source may know them (see [`Layer::rounding`](crate::weights::Layer::rounding)).
    #[must_use]
    pub const fn rounding(&self) -> Option<f64> {
        self.rounding
    }
}

/// Profiles the values of a tensor, which are added in pieces.
#[derive(Clone, Debug)]
pub(super) struct Profiler {
    single: bool,
    bfloat: bool,
    half: bool,
    zeros: u64,
    /// `None` once there are more than [`LEVELS`].
    levels: Option<HashSet<u64>>,
}

impl Profiler {
    pub(super) fn new() -> Self {
        Self {
            single: true,
            bfloat: true,
            half: true,
            zeros: 0,
            levels: Some(HashSet::new()),
        }
    }

    pub(super) fn extend<T: Scalar>(&mut self, values: &[T]) {
        self.zeros += zeros(values);
        self.single = self.single
            && (size_of::<T>() == size_of::<f32>()
                || all(values, |value| f64::from(value as f32) == value));
        self.bfloat = self.bfloat
            && all(values, |value| {
                rounded_to_bfloat(value as f32) == value as f32
            });
        self.half = self.half
            && all(values, |value| {
                let single = value as f32;
                single.abs() <= LARGEST_HALF && rounded_to_half(single) == single
            });
        if let Some(levels) = &mut self.levels {
            let mut last = None;
            for value in values {
                // Adding zero makes both zeros equal.
                let bits = (value.widen() + 0.0).to_bits();
                if last != Some(bits) {
                    levels.insert(bits);
                    last = Some(bits);
                }
                if levels.len() > LEVELS {
                    self.levels = None;
                    break;
                }
            }
        }
    }

    pub(super) fn finish(self) -> PrecisionProfile {
        PrecisionProfile {
            single: self.single,
            bfloat: self.single && self.bfloat,
            half: self.single && self.half,
            zeros: self.zeros,
            rounding: None,
            levels: self.levels.map(|levels| {
                let mut values: Vec<f64> = levels.into_iter().map(f64::from_bits).collect();
                values.sort_by(f64::total_cmp);
                let gaps = values.windows(2).map(|pair| pair[1] - pair[0]);
                let gap = gaps.fold(f64::INFINITY, f64::min);
                Levels {
                    count: values.len(),
                    gap: if gap.is_finite() { gap } else { 0.0 },
                }
            }),
        }
    }
}

/// Whether all values have the property.
fn all<T: Scalar>(values: &[T], has: impl Fn(f64) -> bool + Copy) -> bool {
    // Checks few at a time, because the first ones usually decide.
    const AT_ONCE: usize = 256;
    let mut chunks = values.chunks(AT_ONCE);
    chunks.all(|values| {
        in_wide_registers(
            #[inline(always)]
            move || (values.iter()).fold(true, |all, value| all & has(value.widen())),
        )
    })
}

/// How many values are zero.
fn zeros<T: Scalar>(values: &[T]) -> u64 {
    // Uses counters as wide as the values, which suits vector registers.
    const AT_ONCE: usize = 1 << 16;
    let count = |values: &[T]| {
        let zero = |count: u32, value: &T| count + u32::from(value.is_zero());
        u64::from(values.iter().fold(0, zero))
    };
    in_wide_registers(
        #[inline(always)]
        || values.chunks(AT_ONCE).map(count).sum(),
    )
}

#[cfg(all(test, feature = "half"))]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_half() {
        let mut bits = 1_u32;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from_bits(bits);
            if !value.is_finite() || value.abs() > 1e30 {
                continue;
            }
            assert_eq!(
                rounded_to_bfloat(value),
                half::bf16::from_f32(value).to_f32()
            );
            if value.abs() < 65_504.0 {
                assert_eq!(
                    rounded_to_half(value),
                    half::f16::from_f32(value).to_f32(),
                    "{value}"
                );
            }
        }
        for step in 0..70_000_u32 {
            let value = step as f32 * 1.1e-8;
            assert_eq!(
                rounded_to_half(value),
                half::f16::from_f32(value).to_f32(),
                "{value}"
            );
        }
    }
}
