//! Pairs tensors by shape and values if their names don't help.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use super::{Difference, Positions, common_values};
use crate::signature::TensorSignature;

/// How many weights must be far from all others before two models count as unrelated.
const PROBES: u64 = 8;

/// Weights may correspond up to this share of what independent weights have.
const NEAR: f64 = 0.6;

/// The least distance from the share of independent weights, in standard errors of a sketch.
const STANDARD_ERRORS: f64 = 6.0;

/// How many groups of rows are compared before all of them are.
const GLANCES: usize = 4;

/// Sketches with fewer numbers are compared as a whole.
const LEAST_TO_GLANCE_AT: usize = 256;

/// Weights whose share exceeds this in a few groups of rows are not compared further. With 128 numbers it is
/// three standard errors above [`NEAR`] and one below the share of independent weights.
const MAY_BE_NEAR: f64 = 0.85;

/// The share of independent weights that the sums of all weights of one shape must stay below if half of them
/// correspond. With 128 numbers, sums of independent weights are below it in 1 of 100 cases, which costs time only.
pub(in crate::evidence) const SUMS_MAY_BE_NEAR: f64 = 0.7;

/// The same for the sums of all shapes together, where these have many more numbers.
const MOST_SUMS_MAY_BE_NEAR: f64 = 0.85;

/// How far sums of independent weights are above the limit in 99 of 100 cases, in standard errors.
const STANDARD_ERRORS_OF_SUMS: f64 = 2.4;

/// The share that the sums of all shapes together must stay below if half of the weights correspond.
pub(in crate::evidence) fn all_sums_may_be_near(numbers: usize) -> f64 {
    let error = Float::sqrt(2.0 / numbers.max(1) as f64);
    (1.0 - STANDARD_ERRORS_OF_SUMS * error).clamp(SUMS_MAY_BE_NEAR, MOST_SUMS_MAY_BE_NEAR)
}

/// Vectors may correspond up to this share; the limit is low because norms of different layers are mostly
/// alike.
const NEAR_VECTORS: f64 = 0.25;

/// A tensor is compared with at most this many others of its shape: those with the nearest norms.
const MOST_COMPARED: usize = 256;

/// The tensors of two models that may correspond by shape.
type Alike = [Vec<usize>; 2];

/// The tensors that correspond by shape and values, in no particular order; `None` if they cover less than
/// half of the weights that could correspond by shape.
pub(super) fn matching(first: &[TensorSignature], second: &[TensorSignature]) -> Option<Positions> {
    let models = [first, second];
    let weights = alike(models, |tensor| tensor.is_weight().then(|| tensor.shape()));
    let possible: u64 = weights
        .iter()
        .map(|alike| least_values(models, alike))
        .sum();
    if possible == 0 || !may_be_reordered(models, &weights) || !is_any_near(models, &weights) {
        return None;
    }
    let mut pairs = Positions::new();
    for alike in &weights {
        pairs.extend(nearest_pairs(models, alike, limit));
    }
    pairs.extend(of_other_rows(models, &pairs));
    let near: u64 = (pairs.iter())
        .map(|&(i, j)| common_values(&first[i], &second[j]))
        .sum();
    if near < possible.div_ceil(2) {
        return None;
    }
    let vectors = alike(models, |tensor| {
        (!tensor.is_weight()).then(|| tensor.shape())
    });
    for alike in &vectors {
        pairs.extend(nearest_pairs(models, alike, |_| NEAR_VECTORS));
    }
    pairs.extend(last_of_their_shape(
        models,
        weights.iter().chain(&vectors),
        &pairs,
    ));
    Some(pairs)
}

/// The tensors that are the only ones of their shape left in both models: training may have moved them too far to
/// recognise.
fn last_of_their_shape<'a>(
    models: [&[TensorSignature]; 2],
    shapes: impl Iterator<Item = &'a Alike>,
    pairs: &Positions,
) -> Positions {
    let is_alone = alone(models, pairs);
    let last = |alike: &Alike| {
        let left = [0, 1].map(|model| {
            let mut left = (alike[model].iter()).filter(|&&tensor| is_alone[model][tensor]);
            left.next().filter(|_| left.next().is_none()).copied()
        });
        Some((left[0]?, left[1]?))
    };
    shapes.filter_map(last).collect()
}

/// Which tensors of each model are in none of the pairs.
fn alone(models: [&[TensorSignature]; 2], pairs: &Positions) -> [Vec<bool>; 2] {
    let mut is_alone = models.map(|tensors| vec![true; tensors.len()]);
    for &(i, j) in pairs {
        is_alone[0][i] = false;
        is_alone[1][j] = false;
    }
    is_alone
}

/// Whether any weights of the two models have equal shapes; if not, matching by content is pointless.
pub(super) fn have_equal_shapes(first: &[TensorSignature], second: &[TensorSignature]) -> bool {
    let mut shapes: Vec<&[usize]> = (first.iter())
        .filter(|tensor| tensor.is_weight())
        .map(TensorSignature::shape)
        .collect();
    shapes.sort_unstable();
    let mut others = second.iter().filter(|tensor| tensor.is_weight());
    others.any(|tensor| shapes.binary_search(&tensor.shape()).is_ok())
}

/// The remaining weights that correspond but differ in their number of rows.
fn of_other_rows(models: [&[TensorSignature]; 2], pairs: &Positions) -> Positions {
    let is_alone = alone(models, pairs);
    let mut left_over = alike(models, |tensor| {
        let (tail, dimensions) = (tensor.shape().get(1..), tensor.shape().len());
        (tensor.is_weight()).then_some((dimensions, tail))
    });
    for alike in &mut left_over {
        for (tensors, is_alone) in alike.iter_mut().zip(&is_alone) {
            tensors.retain(|&tensor| is_alone[tensor]);
        }
    }
    let found = left_over
        .iter()
        .map(|alike| nearest_pairs(models, alike, limit));
    found.flatten().collect()
}

/// Groups the tensors of two models by the key that corresponding tensors have in common.
fn alike<'a, K: Ord>(
    models: [&'a [TensorSignature]; 2],
    key: impl Fn(&'a TensorSignature) -> Option<K>,
) -> Vec<Alike> {
    let mut by_key: BTreeMap<K, Alike> = BTreeMap::new();
    for (model, tensors) in models.into_iter().enumerate() {
        for (at, tensor) in tensors.iter().enumerate() {
            if let Some(key) = key(tensor).filter(|_| tensor.moments().count() > 0) {
                by_key.entry(key).or_default()[model].push(at);
            }
        }
    }
    let both = |alike: &Alike| alike.iter().all(|tensors| !tensors.is_empty());
    by_key.into_values().filter(both).collect()
}

/// The number of values in the smaller model.
fn least_values(models: [&[TensorSignature]; 2], alike: &Alike) -> u64 {
    let values = |model: usize| {
        let counts = alike[model]
            .iter()
            .map(|&at| models[model][at].moments().count());
        counts.sum::<u64>()
    };
    values(0).min(values(1))
}

/// Whether half of the weights may correspond, judging by the sums over all weights of each shape, which don't
/// depend on the order of the weights. This takes less time than comparing each weight with many others.
///
/// If one model has many more weights of a shape, its sum says nothing about those that correspond.
fn may_be_reordered([first, second]: [&[TensorSignature]; 2], weights: &[Alike]) -> bool {
    let (mut all_squared, mut all_norms, mut numbers) = (0.0, 0.0, 0);
    for [of_first, of_second] in weights {
        let (fewer, more) = (
            of_first.len().min(of_second.len()),
            of_first.len().max(of_second.len()),
        );
        if more > 2 * fewer {
            return true;
        }
        let (u, v) = (
            sum_of_glances(first, of_first),
            sum_of_glances(second, of_second),
        );
        let (mut squared, mut norms) = (0.0, 0.0);
        for (&u, &v) in u.iter().zip(&v) {
            let (u, v) = (f64::from(u), f64::from(v));
            squared += (u - v) * (u - v);
            norms += u * u + v * v;
        }
        if squared <= SUMS_MAY_BE_NEAR * norms {
            return true;
        }
        numbers += u.len();
        all_squared += squared;
        all_norms += norms;
    }
    // Numbers that aren't finite decide nothing.
    let are_far = all_squared > all_sums_may_be_near(numbers) * all_norms;
    !are_far
}

/// The sums that decide whether two models whose weights have the same shapes may be reordered: one for each
/// shape, over all weights of it.
pub(in crate::evidence) fn sums_of_glances(tensors: &[TensorSignature]) -> Vec<Vec<f32>> {
    let weights = alike([tensors; 2], |tensor| {
        tensor.is_weight().then(|| tensor.shape())
    });
    let of_shapes = weights.iter().map(|[of_shape, _]| of_shape);
    of_shapes
        .map(|of_shape| sum_of_glances(tensors, of_shape))
        .collect()
}

/// The sum of the sketches of weights of one shape, over a few groups of rows.
fn sum_of_glances(tensors: &[TensorSignature], of_shape: &[usize]) -> Vec<f32> {
    let sketches = || of_shape.iter().map(|&at| tensors[at].sketch());
    let Some(first) = sketches().next() else {
        return Vec::new();
    };
    let (groups, buckets) = (first.groups().count(), first.buckets_of_group());
    let mut sums = vec![0.0_f32; glances(groups).count() * buckets];
    for sketch in sketches() {
        let unit = Float::powi(2.0_f64, sketch.exponent()) as f32;
        for (sums, group) in sums.chunks_exact_mut(buckets).zip(glances(groups)) {
            let values = &sketch.buckets()[group * buckets..(group + 1) * buckets];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += unit * value;
            }
        }
    }
    sums
}

/// Which groups of rows are compared before all of them are.
fn glances(groups: usize) -> impl Iterator<Item = usize> {
    let count = GLANCES.min(groups);
    (0..count).map(move |glance| glance * groups / count)
}

/// Whether one of a few weights of the first model is near any of the second. Related models have half of
/// their weights from one ancestor, and each weight tested represents an equal part of the values.
fn is_any_near([first, second]: [&[TensorSignature]; 2], weights: &[Alike]) -> bool {
    let candidates = || {
        let of_alike = |alike: &'_ Alike| -> Vec<usize> { alike[0].clone() };
        (weights.iter()).flat_map(move |alike| of_alike(alike).into_iter().map(move |i| (i, alike)))
    };
    let values = |i: usize| first[i].moments().count();
    let all: u64 = candidates().map(|(i, _)| values(i)).sum();
    let (mut seen, mut probe) = (0_u64, 0_u64);
    for (i, alike) in candidates() {
        seen = seen.saturating_add(values(i));
        // Each probe is at the middle of the part of all values it represents.
        let is_reached = |probe: u64| {
            u128::from(seen) * u128::from(2 * PROBES) > u128::from(2 * probe + 1) * u128::from(all)
        };
        if !is_reached(probe) {
            continue;
        }
        while is_reached(probe) {
            probe += 1;
        }
        let is_near = |&j: &usize| {
            may_be_near(&first[i], &second[j]) && {
                let difference = Difference::between(&first[i], &second[j]);
                difference.share <= limit(difference)
            }
        };
        if alike[1].iter().any(is_near) {
            return true;
        }
    }
    false
}

/// The share below which two weights are far nearer than independent ones are by chance.
pub(super) fn limit(difference: Difference) -> f64 {
    let chance = STANDARD_ERRORS * Float::sqrt(2.0 / difference.numbers.max(1) as f64);
    NEAR.min(1.0 - chance)
}

/// Whether two tensors may be near, judging by a few groups of their rows; most independent ones aren't.
pub(super) fn may_be_near(u: &TensorSignature, v: &TensorSignature) -> bool {
    let (first, second) = (u.sketch(), v.sketch());
    let (groups, buckets) = (first.groups().count(), first.buckets_of_group());
    let is_small = groups * buckets <= LEAST_TO_GLANCE_AT;
    if is_small || first.groups() != second.groups() || buckets != second.buckets_of_group() {
        return true;
    }
    let exponent = first.exponent().max(second.exponent());
    let unit = |own: i32| Float::powi(2.0_f64, own - exponent) as f32;
    let units = [unit(first.exponent()), unit(second.exponent())];
    let (mut squared, mut norms) = (0.0_f64, 0.0);
    for group in glances(groups) {
        let range = group * buckets..(group + 1) * buckets;
        let values = [first, second].map(|sketch| sketch.buckets()[range.clone()].as_chunks::<8>());
        // Eight sums, which fit into vector registers.
        let mut lanes = [0.0_f32; 8];
        for (u, v) in values[0].0.iter().zip(values[1].0) {
            for (lane, sum) in lanes.iter_mut().enumerate() {
                let difference = units[0] * u[lane] - units[1] * v[lane];
                *sum += difference * difference;
            }
        }
        squared += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
        norms += first.squared_norms()[group] + second.squared_norms()[group];
    }
    let unit = Float::powi(2.0_f64, exponent);
    // If units are out of range, nothing can be decided, so the tensors may be near.
    let is_far = squared * unit * unit > MAY_BE_NEAR * norms;
    !is_far
}

/// Pairs tensors, nearest first; among equally near pairs, the first in both models.
fn nearest_pairs(
    [first, second]: [&[TensorSignature]; 2],
    alike: &Alike,
    limit: impl Fn(Difference) -> f64,
) -> Positions {
    let norm = |tensor: &TensorSignature| tensor.sketch().squared_norms().iter().sum::<f64>();
    let mut others: Vec<(f64, usize)> = (alike[1].iter().enumerate())
        .map(|(other, &j)| (norm(&second[j]), other))
        .collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut near: Vec<(f64, usize, usize)> = Vec::new();
    for (at, &i) in alike[0].iter().enumerate() {
        let length = norm(&first[i]);
        let middle = others.partition_point(|&(norm, _)| norm < length);
        let start = middle.saturating_sub(MOST_COMPARED / 2);
        let end = (start + MOST_COMPARED).min(others.len());
        // If one side has fewer, more are taken from the other.
        for &(_, other) in &others[end.saturating_sub(MOST_COMPARED)..end] {
            let (u, v) = (&first[i], &second[alike[1][other]]);
            if !may_be_near(u, v) {
                continue;
            }
            let difference = Difference::between(u, v);
            if difference.share <= limit(difference) {
                near.push((difference.share, at, other));
            }
        }
    }
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut is_taken = [vec![false; alike[0].len()], vec![false; alike[1].len()]];
    let mut pairs = Positions::new();
    for (_, at, other) in near {
        if !is_taken[0][at] && !is_taken[1][other] {
            is_taken[0][at] = true;
            is_taken[1][other] = true;
            pairs.push((alike[0][at], alike[1][other]));
        }
    }
    pairs
}
