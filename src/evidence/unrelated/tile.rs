//! Compares some models with sixteen others.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use super::super::Geometry;
use super::super::common::MUCH;
use super::super::matching::content::{SUMS_MAY_BE_NEAR, all_sums_may_be_near};
use super::super::sums::Sums;
use super::{Model, Place};
use crate::powers::power_of_two;
use crate::registers::in_wide_registers;
use crate::sketch::{MatrixSketch, RowGroups};

/// How many models are compared with another one at once, each in a lane of vector registers.
pub(super) const LANES: usize = 16;

/// A limit of a share is exceeded clearly if it is exceeded by this much, which is far more than rounding.
const CLEARLY: f64 = 1.0 + 1e-9;

/// Sketches are compared in one unit, a power of two, if their own units differ from it by at most this exponent:
/// numbers that are then so small that they lose digits don't affect sums of their squares.
const LARGEST_SHIFT: i32 = 24;

/// Squares of numbers in a unit beyond this exponent may be out of range.
const LARGEST_EXPONENT: i32 = 256;

type Lanes = [f64; LANES];

/// Some models, up to sixteen others, and what is known of their pairs so far.
pub(super) struct Tile<'a> {
    firsts: &'a [Model<'a>],
    others: &'a [Model<'a>],
    /// One row for each of the first models.
    rows: Vec<Row>,
    /// The buckets of one tensor of all others, and the squared norms of its groups.
    buckets: Vec<[f32; LANES]>,
    squared_norms: Vec<Lanes>,
    /// The buckets of one tensor of one model, and its squared distances from the others.
    first: Vec<f32>,
    squared: [Lanes; RowGroups::MAXIMUM],
}

/// A model's sums with all others.
#[derive(Clone)]
struct Row {
    is_settled: [bool; LANES],
    /// The number of values in weights that may have a common ancestor.
    near: Lanes,
    squared_distance: Lanes,
    squared_distance_of_vectors: Lanes,
    distance: Lanes,
}

impl<'a> Tile<'a> {
    /// The pairs of a model of `firsts` with a later one of `others`, of which there are at most [`LANES`].
    pub(super) fn new(firsts: &'a [Model<'a>], others: &'a [Model<'a>]) -> Self {
        let row = |first: &Model<'_>| {
            let is_later = |lane: usize| {
                others
                    .get(lane)
                    .is_some_and(|other| other.position > first.position)
            };
            Row {
                is_settled: core::array::from_fn(is_later),
                near: [0.0; LANES],
                squared_distance: [0.0; LANES],
                squared_distance_of_vectors: [0.0; LANES],
                distance: [0.0; LANES],
            }
        };
        Self {
            firsts,
            others,
            rows: firsts.iter().map(row).collect(),
            buckets: Vec::new(),
            squared_norms: Vec::new(),
            first: Vec::new(),
            squared: [[0.0; LANES]; RowGroups::MAXIMUM],
        }
    }

    /// Leaves out pairs that may be related, judging by the sums over all weights of each shape.
    pub(super) fn compare_glances(&mut self) {
        let mut sums: Vec<[Lanes; 2]> = vec![[[0.0; LANES]; 2]; self.firsts.len()];
        let shapes = self.firsts.first().map_or(0, |first| first.glances.len());
        let mut all = 0;
        for shape in 0..shapes {
            let numbers = self.firsts[0].glances[shape].sum.len();
            all += numbers;
            self.buckets.clear();
            self.buckets.resize(numbers, [0.0; LANES]);
            let mut norms = [0.0; LANES];
            for (lane, other) in self.others.iter().enumerate() {
                let glance = &other.glances[shape];
                norms[lane] = glance.squared_norm;
                for (numbers, &number) in self.buckets.iter_mut().zip(&glance.sum) {
                    numbers[lane] = number;
                }
            }
            for ((first, row), sums) in self.firsts.iter().zip(&mut self.rows).zip(&mut sums) {
                let glance = &first.glances[shape];
                let squared = in_wide_registers(
                    #[inline(always)]
                    || squared_distances(&glance.sum, &self.buckets),
                );
                for lane in 0..LANES {
                    let norm = glance.squared_norm + norms[lane];
                    row.is_settled[lane] &= squared[lane] > CLEARLY * SUMS_MAY_BE_NEAR * norm;
                    sums[0][lane] += squared[lane];
                    sums[1][lane] += norm;
                }
            }
        }
        let limit = CLEARLY * all_sums_may_be_near(all);
        for (row, [squared, norms]) in self.rows.iter_mut().zip(&sums) {
            for lane in 0..LANES {
                row.is_settled[lane] &= squared[lane] > limit * norms[lane];
            }
        }
    }

    /// Compares one tensor.
    pub(super) fn compare(&mut self, place: &Place) {
        let (firsts, others) = (self.firsts, self.others);
        let mut open =
            (firsts.iter().zip(&self.rows)).filter(|(_, row)| row.is_settled.contains(&true));
        if open.next().is_none() {
            return;
        }
        let sketch = |model: &'a Model<'a>| model.signature.tensors()[place.at].sketch();
        let unit = firsts
            .iter()
            .chain(others)
            .filter_map(|model| exponent(sketch(model)))
            .max();
        let unit = unit.unwrap_or(0);
        self.load(others.iter().map(sketch), unit);
        for (at, first) in firsts.iter().enumerate() {
            let first = sketch(first);
            let of_group = first.buckets_of_group();
            let Some(factor) = factor(first, unit) else {
                self.rows[at].is_settled = [false; LANES];
                continue;
            };
            self.first.clear();
            self.first
                .extend(first.buckets().iter().map(|bucket| factor * bucket));
            in_wide_registers(
                #[inline(always)]
                || {
                    let numbers = (&self.first[..], &self.buckets[..]);
                    distances_of_groups(numbers, of_group, power_of_two(unit), &mut self.squared);
                },
            );
            let groups = first.squared_norms().len();
            let row = &mut self.rows[at];
            let squared = &self.squared[..groups];
            match place.weights {
                Some(values) => in_wide_registers(
                    #[inline(always)]
                    || {
                        let norms = (first.squared_norms(), &self.squared_norms[..]);
                        row.add_weight(values as f64, squared, norms);
                    },
                ),
                None => {
                    for squared in squared {
                        for (sum, squared) in
                            row.squared_distance_of_vectors.iter_mut().zip(squared)
                        {
                            *sum += squared;
                        }
                    }
                }
            }
        }
    }

    /// Lays out the sketches of all others, converted to a common unit.
    fn load<'s>(&mut self, others: impl Iterator<Item = &'s MatrixSketch>, unit: i32) {
        self.buckets.clear();
        self.squared_norms.clear();
        for (lane, other) in others.enumerate() {
            self.buckets.resize(other.buckets().len(), [0.0; LANES]);
            self.squared_norms
                .resize(other.squared_norms().len(), [0.0; LANES]);
            let Some(factor) = factor(other, unit) else {
                for row in &mut self.rows {
                    row.is_settled[lane] = false;
                }
                continue;
            };
            for (lanes, bucket) in self.buckets.iter_mut().zip(other.buckets()) {
                lanes[lane] = factor * bucket;
            }
            for (lanes, &norm) in self.squared_norms.iter_mut().zip(other.squared_norms()) {
                lanes[lane] = norm;
            }
        }
    }

    /// The clearly unrelated pairs: none of their weights are near to each other.
    pub(super) fn settled(&self) -> impl Iterator<Item = (&'a Model<'a>, &'a Model<'a>, Sums)> {
        (self.firsts.iter().zip(&self.rows)).flat_map(move |(first, row)| {
            let lanes = self.others.iter().enumerate();
            lanes.filter_map(move |(lane, other)| {
                let is_unrelated = row.is_settled[lane] && row.near[lane] == 0.0;
                is_unrelated.then_some((
                    first,
                    other,
                    Sums {
                        squared_distance: row.squared_distance[lane],
                        squared_distance_of_vectors: row.squared_distance_of_vectors[lane],
                        distance: row.distance[lane],
                        ..Sums::default()
                    },
                ))
            })
        })
    }
}

/// The exponent of a sketch's unit; `None` if any unit will do, as all buckets are zero.
fn exponent(sketch: &MatrixSketch) -> Option<i32> {
    let is_zero = sketch.buckets().iter().all(|&bucket| bucket == 0.0);
    (!is_zero).then(|| sketch.exponent())
}

/// The factor that converts buckets to a unit that is at least their own, without a loss that matters.
fn factor(sketch: &MatrixSketch, unit: i32) -> Option<f32> {
    let shift = exponent(sketch).map_or(0, |own| unit - own);
    (shift <= LARGEST_SHIFT && unit.abs() <= LARGEST_EXPONENT).then(|| power_of_two(-shift) as f32)
}

/// The squared distances of one vector from others, one in each lane.
#[inline(always)]
fn squared_distances(first: &[f32], others: &[[f32; LANES]]) -> Lanes {
    let mut squared = [0.0; LANES];
    for (&first, others) in first.iter().zip(others) {
        for lane in 0..LANES {
            let difference = f64::from(first) - f64::from(others[lane]);
            squared[lane] += difference * difference;
        }
    }
    squared
}

/// The squared distances of one sketch from others for each group of rows. Squares are added in the same order as
/// in a comparison of two sketches.
#[inline(always)]
fn distances_of_groups(
    (first, others): (&[f32], &[[f32; LANES]]),
    of_group: usize,
    unit: f64,
    squared: &mut [Lanes],
) {
    let in_group = of_group / 8;
    let firsts = first.as_chunks::<8>().0.chunks_exact(in_group);
    let others = others.as_chunks::<8>().0.chunks_exact(in_group);
    for ((first, others), squared) in firsts.zip(others).zip(squared) {
        let mut total = [0.0; LANES];
        for position in 0..8 {
            let mut sums = [0.0_f32; LANES];
            for (first, others) in first.iter().zip(others) {
                let first = first[position];
                for (sum, other) in sums.iter_mut().zip(&others[position]) {
                    let difference = first - other;
                    *sum += difference * difference;
                }
            }
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += f64::from(sum);
            }
        }
        *squared = total.map(|total| total * unit * unit);
    }
}

impl Row {
    /// Adds the groups of one weight, given their squared distances from the others and the squared norms of the first
    /// model and the others.
    #[inline(always)]
    fn add_weight(&mut self, values: f64, squared: &[Lanes], (first, others): (&[f64], &[Lanes])) {
        let (mut total, mut norms, mut lower) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        let (Some(last), Some(last_first), Some(last_others)) =
            (squared.last(), first.last(), others.last())
        else {
            return;
        };
        for ((squared, &first), others) in squared.iter().zip(first).zip(others) {
            for lane in 0..LANES {
                let norm = first + others[lane];
                // Whether this group's share of the distance between independent rows is less than a quarter of the
                // last group's share.
                let is_lower = MUCH * squared[lane] * (last_first + last_others[lane])
                    <= CLEARLY * last[lane] * norm;
                lower[lane] += if is_lower { 1.0 } else { 0.0 };
                total[lane] += squared[lane];
                norms[lane] += norm;
            }
        }
        let most = (squared.len() / 2) as f64;
        for lane in 0..LANES {
            let is_far = total[lane] > CLEARLY * Geometry::UNRELATED * norms[lane];
            self.near[lane] += if is_far { 0.0 } else { values };
            // Otherwise the last rows may be new ones, which don't count.
            self.is_settled[lane] &= lower[lane] <= most;
            self.squared_distance[lane] += total[lane];
            self.distance[lane] += Float::sqrt(total[lane]);
        }
    }
}
