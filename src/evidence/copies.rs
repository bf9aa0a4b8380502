//! Copies of models: what was made of a model without training.

use alloc::vec::Vec;

use hashbrown::HashSet;

use super::ModelFailure;
use super::architecture::LayerShape;
use super::candidate::Candidate;
use super::digest::Digest;
use crate::Scalar;
use crate::condensed::CondensedMatrix;
use crate::registers::{Kernel, in_wide_registers};
use crate::weights::{WeightSource, element_count};

/// A layer with no more distinct values than a byte has may be quantised, if it has many values.
const LEVELS: usize = 256;

/// Layers of fewer values may have few distinct ones by chance.
const MANY_VALUES: usize = 1024;

/// How many of the nearest models may be what a model is a copy of.
const NEAREST: usize = 8;

/// How a copy was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum CopyKind {
    /// All weights are the same.
    Duplicate,
    /// All weights were rounded to a shorter floating-point type.
    Cast,
    /// The weights of each large layer were rounded to at most 256 evenly spaced values.
    Quantised,
    /// Some weights were set to zero.
    Pruned,
}

impl CopyKind {
    /// Its name: `duplicate`, `cast`, `quantised` or `pruned`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Cast => "cast",
            Self::Quantised => "quantised",
            Self::Pruned => "pruned",
        }
    }
}

/// A model that is a copy of another of its group: it was not trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ModelCopy {
    /// The position of the copy.
    pub copy: usize,
    /// The position of what it was made of.
    pub original: usize,
    /// How.
    pub kind: CopyKind,
}

/// What the values of a model have in common.
#[derive(Clone, Debug)]
pub(super) struct Grain {
    single: bool,
    bfloat: bool,
    half: bool,
    quantised_layers: usize,
    large_layers: usize,
    zeros: usize,
    levels: HashSet<u64>,
    values_of_layer: usize,
}

impl Grain {
    pub(super) fn new() -> Self {
        Self {
            single: true,
            bfloat: true,
            half: true,
            quantised_layers: 0,
            large_layers: 0,
            zeros: 0,
            levels: HashSet::new(),
            values_of_layer: 0,
        }
    }

    /// Takes the next values of a layer.
    pub(super) fn add<T: Scalar>(&mut self, values: &[T]) {
        self.values_of_layer += values.len();
        self.zeros += in_wide_registers(Zeros(values));
        self.single = self.single && all(values, |value| f64::from(value as f32) == value);
        self.bfloat = self.bfloat && all(values, |value| (value as f32).to_bits() & 0xFFFF == 0);
        self.half = self.half
            && all(values, |value| {
                rounded_to_half(value as f32) == value as f32
            });
        for value in values {
            if self.levels.len() > LEVELS {
                break;
            }
            // Zero has two signs.
            self.levels.insert((value.widen() + 0.0).to_bits());
        }
    }

    /// The layer is complete.
    pub(super) fn end_layer(&mut self) {
        if self.values_of_layer >= MANY_VALUES {
            self.large_layers += 1;
            self.quantised_layers += usize::from(self.levels.len() <= LEVELS);
        }
        self.values_of_layer = 0;
        self.levels.clear();
    }

    fn is_quantised(&self) -> bool {
        self.large_layers > 0 && self.quantised_layers == self.large_layers
    }

    /// Whether a model of this grain can have been made of one of the other.
    fn may_be_made_of(&self, other: &Self) -> bool {
        (self.single && !other.single)
            || (self.single && self.bfloat && !other.bfloat)
            || (self.single && self.half && !other.half)
            || (self.is_quantised() && !other.is_quantised())
            || self.zeros > other.zeros
    }
}

/// Whether all values have a property.
fn all<T: Scalar>(values: &[T], has: impl Fn(f64) -> bool + Copy) -> bool {
    // Few at a time, as mostly the first ones tell.
    const AT_ONCE: usize = 256;
    let mut chunks = values.chunks(AT_ONCE);
    chunks.all(|values| in_wide_registers(All { values, has }))
}

struct All<'a, T, F> {
    values: &'a [T],
    has: F,
}

impl<T: Scalar, F: Fn(f64) -> bool> Kernel for All<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn compute(self) -> bool {
        let and = |all, value: &T| all & (self.has)(value.widen());
        self.values.iter().fold(true, and)
    }
}

/// How many values are zero.
struct Zeros<'a, T>(&'a [T]);

impl<T: Scalar> Kernel for Zeros<'_, T> {
    type Output = usize;

    #[inline(always)]
    fn compute(self) -> usize {
        self.0.iter().filter(|value| value.is_zero()).count()
    }
}

/// A layer that was compared, with the digest of what each model has there.
pub(super) struct SeenLayer<'a> {
    pub(super) shape: &'a LayerShape,
    pub(super) digests: &'a [Digest],
}

/// The copies among the models of a group, each with its nearest possible original.
///
/// Of duplicates the first is the original.
///
/// # Errors
///
/// The model that couldn't be read again, and why.
pub(super) fn find_copies<S: WeightSource>(
    members: &[&Candidate<'_, S>],
    layers: &[SeenLayer<'_>],
    grains: &[Grain],
    squared_distances: &CondensedMatrix,
) -> Result<Vec<ModelCopy>, (usize, ModelFailure)> {
    let mut copies = Vec::new();
    for copy in 0..members.len() {
        let distance = |other: usize| {
            let distance = squared_distances.distance(copy, other);
            distance.unwrap_or(f64::INFINITY)
        };
        // A distance may also be zero because squares of what is between them are too small.
        let same = |other: usize| {
            let mut layers = layers.iter();
            layers.all(|layer| layer.digests.get(copy) == layer.digests.get(other))
        };
        let mut duplicates = (0..copy).filter(|&other| distance(other) == 0.0 && same(other));
        if let Some(original) = duplicates.next() {
            let kind = CopyKind::Duplicate;
            copies.push(ModelCopy {
                copy,
                original,
                kind,
            });
            continue;
        }
        let mut others: Vec<usize> = (0..members.len()).filter(|&other| other != copy).collect();
        others.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
        others.truncate(NEAREST);
        for original in others {
            if !grains[copy].may_be_made_of(&grains[original]) {
                continue;
            }
            let pair = Pair {
                members: [(original, members[original]), (copy, members[copy])],
                quantised: grains[copy].is_quantised(),
            };
            if let Some(kind) = pair.kind(layers)? {
                copies.push(ModelCopy {
                    copy,
                    original,
                    kind,
                });
                break;
            }
        }
    }
    Ok(copies)
}

/// A model and what may be its copy.
struct Pair<'a, 'b, S: WeightSource> {
    members: [(usize, &'a Candidate<'b, S>); 2],
    quantised: bool,
}

/// What the copy may still be.
#[derive(Clone, Copy)]
struct Possible {
    single: bool,
    bfloat: bool,
    half: bool,
    quantised: bool,
    pruned: bool,
}

impl Possible {
    const fn any(self) -> bool {
        self.single || self.bfloat || self.half || self.quantised || self.pruned
    }

    fn see(&mut self, original: f64, copy: f64, grid: Option<&Grid>) {
        let single = original as f32;
        self.single &= f64::from(single) == copy;
        self.bfloat &= f64::from(rounded_to_bfloat(single)) == copy;
        self.half = self.half && f64::from(rounded_to_half(single)) == copy;
        self.pruned &= copy == 0.0 || copy == original;
        self.quantised &= match grid {
            Some(grid) => grid.may_round(original, copy),
            // Small layers are often left alone.
            None => true,
        };
    }
}

impl<S: WeightSource> Pair<'_, '_, S> {
    fn kind(&self, layers: &[SeenLayer<'_>]) -> Result<Option<CopyKind>, (usize, ModelFailure)> {
        let mut possible = Possible {
            single: true,
            bfloat: true,
            half: true,
            quantised: self.quantised,
            pruned: true,
        };
        for layer in layers {
            let grid = if possible.quantised {
                self.grid(layer)?
            } else {
                None
            };
            self.blocks(layer, |original, copy| {
                for (&original, &copy) in original.iter().zip(copy) {
                    possible.see(original, copy, grid.as_ref());
                }
                possible.any()
            })?;
            if !possible.any() {
                return Ok(None);
            }
        }
        Ok(if possible.single || possible.bfloat || possible.half {
            Some(CopyKind::Cast)
        } else if possible.pruned {
            Some(CopyKind::Pruned)
        } else {
            Some(CopyKind::Quantised)
        })
    }

    /// The values that the copy's layer has, if it is large.
    fn grid(&self, layer: &SeenLayer<'_>) -> Result<Option<Grid>, (usize, ModelFailure)> {
        if element_count(&layer.shape.shape).unwrap_or(0) < MANY_VALUES {
            return Ok(None);
        }
        let mut values = HashSet::new();
        self.blocks(layer, |_, copy| {
            values.extend(copy.iter().map(|value| (value + 0.0).to_bits()));
            values.len() <= LEVELS
        })?;
        Ok(Some(Grid::new(values.into_iter().map(f64::from_bits))))
    }

    /// Reads a layer of both in step, until `see` has seen enough.
    fn blocks(
        &self,
        layer: &SeenLayer<'_>,
        mut see: impl FnMut(&[f64], &[f64]) -> bool,
    ) -> Result<(), (usize, ModelFailure)> {
        let mut values = [Vec::new(), Vec::new()];
        let length = element_count(&layer.shape.shape).unwrap_or(0);
        for offset in (0..length).step_by(Digest::SEGMENT) {
            for (&(member, candidate), values) in self.members.iter().zip(&mut values) {
                values.resize(Digest::SEGMENT.min(length - offset), 0.0_f64);
                let seen = &layer.digests[member];
                let read = candidate.read_segment_again(layer.shape, offset, values, seen);
                read.map_err(|failure| (member, failure))?;
            }
            if !see(&values[0], &values[1]) {
                break;
            }
        }
        Ok(())
    }
}

/// The values that a quantised layer has.
struct Grid {
    /// Half the least difference of two values, and a little for its rounding.
    reach: f64,
    largest: f64,
}

impl Grid {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let gaps = values.windows(2).map(|pair| pair[1] - pair[0]);
        Self {
            reach: 0.5 * 1.001 * gaps.fold(f64::INFINITY, f64::min),
            largest: values
                .iter()
                .fold(0.0, |largest, value| value.abs().max(largest)),
        }
    }

    /// Whether the value may be rounded so; what lies outside the range is clipped to its end.
    fn may_round(&self, value: f64, rounded: f64) -> bool {
        (value - rounded).abs() <= self.reach || rounded.abs() == self.largest
    }
}

/// To the nearest bfloat16, ties to even.
fn rounded_to_bfloat(value: f32) -> f32 {
    let bits = value.to_bits();
    let round = 0x7FFF + (bits >> 16 & 1);
    f32::from_bits(bits.wrapping_add(round) & 0xFFFF_0000)
}

/// To the nearest half-precision value, ties to even; what is too large stays as it is.
#[inline(always)]
fn rounded_to_half(value: f32) -> f32 {
    // Adding and taking away a number of which the last bit is that of the result rounds to it.
    let magnitude = value.abs();
    if magnitude == 0.0 || magnitude >= 65_520.0 {
        return value;
    }
    let exponent = (magnitude.to_bits() >> 23).max(127 - 14);
    // 2^(exponent - 10 + 23) has its last bit where half precision has it.
    let round = f32::from_bits((exponent + 13) << 23);
    (magnitude + round - round).copysign(value)
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
