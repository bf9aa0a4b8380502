//! Short summaries of signatures, and the search for the nearest models by them.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use crate::parallel;
use crate::registers::{Kernel, in_wide_registers};
use crate::signature::{Signature, TensorSignature};
use crate::sketch::mix;

/// How many numbers a summary has.
///
/// Whole signatures decide where summaries can't. The search by summaries only has to find models from which
/// the parent can be reached in a few steps.
pub(super) const NUMBERS: usize = 64;

/// How many summaries are compared at once.
const LANES: usize = 16;

/// How many numbers are compared before checking whether the distance is already too large.
const STRIDE: usize = 16;

/// How many models are searched for together, so that the summaries they are compared with stay in the cache.
const TILE: usize = 64;

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

    fn scaled(&self, exponent: i32) -> [f32; NUMBERS] {
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

/// A near model: the squared distance between the summaries per value, and the model's position.
pub(super) type Near = (f32, usize);

/// The units in which one search measures all distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Numbers are compared in units of 2 to this power; no summary has a larger unit.
    pub(super) exponent: i32,
    /// The number of values that the models have in common.
    pub(super) values: f64,
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

/// Finds the nearest targets of every query except itself, by an exact scan over all of them. Ties go to the
/// first, so merging the nearest of several lists gives the nearest of all.
///
/// O(queries · targets) time, but most comparisons look at only a quarter of the numbers; O(targets) space.
pub(super) fn nearest(
    queries: &[(usize, &Summary)],
    targets: &[(usize, &Summary)],
    most: usize,
    scale: Scale,
) -> Vec<Vec<Near>> {
    let Scale { exponent, values } = scale;
    let panels = Panels::new(targets, exponent);
    let search = |tile: &[(usize, &Summary)]| {
        in_wide_registers(Scan {
            queries: tile,
            exponent,
            panels: &panels,
            most,
        })
    };
    let found: Vec<Vec<Vec<Near>>> = parallel::map(queries.chunks(TILE), search);
    let unit = Float::powi(4.0_f64, exponent) / values.max(1.0);
    let per_value = |(squared, model): Near| ((f64::from(squared) * unit) as f32, model);
    (found.into_iter().flatten())
        .map(|near| near.into_iter().map(per_value).collect())
        .collect()
}

/// Summaries side by side, one number at a time.
struct Panels {
    models: Vec<usize>,
    numbers: Vec<[f32; LANES]>,
}

impl Panels {
    fn new(targets: &[(usize, &Summary)], exponent: i32) -> Self {
        let count = targets.len().div_ceil(LANES);
        // Missing summaries are infinitely far away.
        let mut numbers = vec![[f32::INFINITY; LANES]; count * NUMBERS];
        for (panel, targets) in targets.chunks(LANES).enumerate() {
            for (lane, (_, summary)) in targets.iter().enumerate() {
                for (at, number) in summary.scaled(exponent).into_iter().enumerate() {
                    numbers[panel * NUMBERS + at][lane] = number;
                }
            }
        }
        Self {
            models: targets.iter().map(|&(model, _)| model).collect(),
            numbers,
        }
    }
}

/// A scan of all targets for some queries.
struct Scan<'a> {
    queries: &'a [(usize, &'a Summary)],
    exponent: i32,
    panels: &'a Panels,
    most: usize,
}

impl Kernel for Scan<'_> {
    type Output = Vec<Vec<Near>>;

    #[inline(always)]
    fn compute(self) -> Vec<Vec<Near>> {
        let mut queries: Vec<(usize, [f32; NUMBERS], Vec<Near>)> = (self.queries.iter())
            .map(|&(model, summary)| (model, summary.scaled(self.exponent), Vec::new()))
            .collect();
        for (at, panel) in self.panels.numbers.chunks_exact(NUMBERS).enumerate() {
            for (model, query, near) in &mut queries {
                let worst = if near.len() < self.most {
                    f32::INFINITY
                } else {
                    near.last().map_or(f32::INFINITY, |&(distance, _)| distance)
                };
                let Some(distances) = distances(query, panel, worst) else {
                    continue;
                };
                for (lane, distance) in distances.into_iter().enumerate() {
                    let Some(&target) = self.panels.models.get(at * LANES + lane) else {
                        break;
                    };
                    if target != *model && distance < worst {
                        keep(near, (distance, target), self.most);
                    }
                }
            }
        }
        queries.into_iter().map(|(_, _, near)| near).collect()
    }
}

/// The squared distances to the models of a panel; `None` as soon as all exceed `worst`.
#[inline(always)]
fn distances(query: &[f32; NUMBERS], panel: &[[f32; LANES]], worst: f32) -> Option<[f32; LANES]> {
    let mut sums = [0.0_f32; LANES];
    for (query, rows) in query.chunks_exact(STRIDE).zip(panel.chunks_exact(STRIDE)) {
        for (number, row) in query.iter().zip(rows) {
            for (sum, other) in sums.iter_mut().zip(row) {
                let difference = number - other;
                *sum += difference * difference;
            }
        }
        if sums
            .iter()
            .fold(f32::INFINITY, |least, &sum| least.min(sum))
            >= worst
        {
            return None;
        }
    }
    Some(sums)
}

/// Inserts into a sorted list and keeps at most `most` items.
#[inline(always)]
pub(super) fn keep(near: &mut Vec<Near>, new: Near, most: usize) {
    let before = |old: &Near| old.0.total_cmp(&new.0).then(old.1.cmp(&new.1)).is_lt();
    let at = near.partition_point(before);
    if at < most {
        near.insert(at, new);
        near.truncate(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale {
        exponent: 2,
        values: 1.0,
    };

    fn summary(seed: u64, size: f32) -> Summary {
        let number = |at: u64| (mix(seed * 1000 + at) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        Summary {
            exponent: (seed % 3) as i32,
            numbers: core::array::from_fn(|at| size * number(at as u64)),
        }
    }

    #[test]
    fn the_scan_finds_what_brute_force_finds() {
        let summaries: Vec<Summary> = (0..150).map(|seed| summary(seed, 1.0)).collect();
        let all: Vec<(usize, &Summary)> = summaries.iter().enumerate().collect();
        let found = nearest(&all, &all, 7, SCALE);
        for (model, own) in &all {
            let distance = |other: &Summary| {
                let pairs = own.scaled(2).into_iter().zip(other.scaled(2));
                pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
            };
            let others = all.iter().filter(|(other, _)| other != model);
            let mut expected: Vec<Near> = others.map(|(at, s)| (distance(s), *at)).collect();
            expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let models = |near: &[Near]| near.iter().map(|&(_, at)| at).collect::<Vec<_>>();
            assert_eq!(models(&found[*model]), models(&expected[..7]));
        }
    }

    #[test]
    fn the_nearest_of_parts_are_those_of_all() {
        let summaries: Vec<Summary> = (0..90).map(|seed| summary(seed, 1.0)).collect();
        let all: Vec<(usize, &Summary)> = summaries.iter().enumerate().collect();
        let mut merged: Vec<Vec<Near>> = vec![Vec::new(); all.len()];
        for part in all.chunks(37) {
            for (list, found) in merged.iter_mut().zip(nearest(&all, part, 7, SCALE)) {
                found.into_iter().for_each(|new| keep(list, new, 7));
            }
        }
        assert_eq!(merged, nearest(&all, &all, 7, SCALE));
    }

    #[test]
    fn equally_near_ones_are_found_in_order() {
        let same = summary(1, 1.0);
        let all: Vec<(usize, &Summary)> = (0..40).map(|at| (at, &same)).collect();
        let found = nearest(&all, &all, 3, SCALE);
        let models = |near: &[Near]| near.iter().map(|&(_, at)| at).collect::<Vec<_>>();
        assert_eq!(models(&found[0]), [1, 2, 3]);
        assert_eq!(models(&found[39]), [0, 1, 2]);
    }
}
