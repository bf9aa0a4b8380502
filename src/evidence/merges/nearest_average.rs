//! The average of some points that is nearest to the origin, by Wolfe's algorithm.

use alloc::vec;
use alloc::vec::Vec;

use crate::linear_equations::solve;

/// The largest number of models in an average; the search stops there.
const MOST_POINTS: usize = 8;

/// The largest number of rounds. Points are added and removed, but a few times more rounds than points are
/// enough.
const MOST_ROUNDS: usize = 64;

/// The largest cosine between the steps of two models from their base.
pub(crate) const MOST_IN_COMMON: f64 = 1.0 / 3.0;

/// Training doesn't take two models into opposite directions. Subtracting a part of another model's step does.
const LEAST_IN_COMMON: f64 = -0.2;

/// A squared distance that is negative by more than this share of the others isn't a rounding error.
const IMPOSSIBLE: f64 = 1e-4;

/// Products below this share of the squared lengths are rounding errors.
const ROUNDING: f64 = 1e-12;

/// An average of some points with weights that sum to 1. `P` gives the inner product of any two points.
pub(crate) struct NearestAverage<P> {
    product: P,
    points: Vec<usize>,
    weights: Vec<f64>,
}

impl<P: Fn(usize, usize) -> f64 + Copy> NearestAverage<P> {
    /// Finds the average of `others` with non-negative weights that is nearest to the origin, using at most the
    /// first eight points that the search adds.
    pub(crate) fn find(product: P, others: &[usize]) -> Option<Self> {
        let mut average = Self {
            product,
            points: Vec::new(),
            weights: Vec::new(),
        };
        let nearest = least(others, |other| average.product(other, other))?;
        average.points.push(nearest);
        average.weights.push(1.0);
        for _ in 0..MOST_ROUNDS {
            // A point on the near side of the plane through the average, perpendicular to the line to it.
            let near = least(others, |other| average.product_with(other))?;
            let scale = average
                .product(near, near)
                .max(average.product(nearest, nearest));
            let on_plane = average.squared_distance() - average.product_with(near);
            if on_plane <= ROUNDING * scale
                || average.points.contains(&near)
                || average.points.len() == MOST_POINTS
            {
                break;
            }
            average.points.push(near);
            average.weights.push(0.0);
            average.settle()?;
        }
        Some(average)
    }

    /// The same without the points below this weight. `None` if fewer than two remain, or if the weight of
    /// one of them falls below it without the others.
    pub(crate) fn without_below(mut self, least_weight: f64) -> Option<Self> {
        let heavy = |&at: &usize| self.weights[at] >= least_weight;
        let kept: Vec<usize> = (0..self.points.len()).filter(heavy).collect();
        self.points = kept.iter().map(|&at| self.points[at]).collect();
        self.weights = self.affine_weights()?;
        let heavy = self.weights.iter().all(|&weight| weight >= least_weight);
        (heavy && self.points.len() > 1).then_some(self)
    }

    /// The same with a base of negative weight: the one that brings the average nearest and that the others
    /// may have been trained from, given the squared norms of all points. `None` if no base has at least this weight in
    /// magnitude, or if the weight of another point then falls below it.
    pub(crate) fn with_base(
        self,
        others: &[usize],
        squared_norms: &[f64],
        least_weight: f64,
    ) -> Option<Self> {
        let mut best: Option<Self> = None;
        let may_be_base = |&&base: &&usize| self.may_descend_from(base, squared_norms);
        for &base in others.iter().filter(may_be_base) {
            let mut extended = Self {
                product: self.product,
                points: self.points.iter().copied().chain([base]).collect(),
                weights: Vec::new(),
            };
            let Some(weights) = extended.affine_weights() else {
                continue;
            };
            let Some((of_base, of_points)) = weights.split_last() else {
                continue;
            };
            let counts =
                *of_base <= -least_weight && of_points.iter().all(|&weight| weight >= least_weight);
            if counts {
                extended.weights = weights;
                let distance = extended.squared_distance();
                if best
                    .as_ref()
                    .is_none_or(|best| distance < best.squared_distance())
                {
                    best = Some(extended);
                }
            }
        }
        best
    }

    /// Whether the points may have been trained from a model: they are longer, and their steps from it have
    /// little in common. Any corner of a parallelogram is the sum of two others minus the fourth, so the
    /// weights alone don't show which corner is the base.
    fn may_descend_from(&self, base: usize, squared_norms: &[f64]) -> bool {
        let from_base = |first, second| {
            self.product(first, second) - self.product(first, base) - self.product(base, second)
                + self.product(base, base)
        };
        self.points.iter().enumerate().all(|(at, &first)| {
            first != base
                && squared_norms[base] < squared_norms[first]
                && self.points[at + 1..].iter().all(|&second| {
                    let squared = from_base(first, first) * from_base(second, second);
                    let cosine = from_base(first, second) / num_traits::Float::sqrt(squared);
                    (LEAST_IN_COMMON..=MOST_IN_COMMON).contains(&cosine)
                })
        })
    }

    /// The points, each with its weight.
    pub(crate) fn points(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.points
            .iter()
            .copied()
            .zip(self.weights.iter().copied())
    }

    pub(crate) fn squared_distance(&self) -> f64 {
        self.signed_squared_distance().max(0.0)
    }

    /// Whether no space has these distances between the points and the origin, for example because they were
    /// measured on different weights. The remaining squared distance is then negative by more than rounding.
    pub(crate) fn is_impossible(&self) -> bool {
        let scale = self.points.iter().map(|&point| self.product(point, point));
        self.signed_squared_distance() < -IMPOSSIBLE * scale.fold(0.0, f64::max)
    }

    fn signed_squared_distance(&self) -> f64 {
        let products = self
            .points()
            .map(|(point, weight)| weight * self.product_with(point));
        products.sum()
    }

    /// Moves to the nearest average of the points and removes those that don't contribute.
    fn settle(&mut self) -> Option<()> {
        loop {
            let wanted = self.affine_weights()?;
            // How far the weights can move before one becomes negative.
            let mut way = 1.0_f64;
            for (&weight, &wanted) in self.weights.iter().zip(&wanted) {
                if wanted < 0.0 {
                    way = way.min(weight / (weight - wanted));
                }
            }
            for (weight, wanted) in self.weights.iter_mut().zip(&wanted) {
                *weight += way * (wanted - *weight);
            }
            if way >= 1.0 {
                self.weights = wanted;
                return Some(());
            }
            let before = self.points.len();
            let weights = core::mem::take(&mut self.weights);
            let mut kept = weights.iter().map(|&weight| weight > ROUNDING);
            self.points.retain(|_| kept.next().unwrap_or(false));
            self.weights = weights
                .into_iter()
                .filter(|&weight| weight > ROUNDING)
                .collect();
            if self.points.len() == before || self.points.is_empty() {
                return None;
            }
        }
    }

    /// The weights, of either sign, of the nearest point on the plane through the points: the solution of G
    /// w = μ 1, 1·w = 1.
    fn affine_weights(&self) -> Option<Vec<f64>> {
        let count = self.points.len();
        let scale = self
            .points
            .iter()
            .map(|&p| self.product(p, p))
            .fold(0.0, f64::max);
        let mut rows: Vec<Vec<f64>> = (self.points.iter())
            .map(|&first| {
                let products = self
                    .points
                    .iter()
                    .map(|&second| self.product(first, second) / scale);
                products.chain([1.0, 0.0]).collect()
            })
            .collect();
        let mut last = vec![1.0; count + 2];
        last[count] = 0.0;
        rows.push(last);
        let mut solution = solve(rows)?;
        solution.truncate(count);
        Some(solution)
    }

    /// The inner product of a point with the average.
    fn product_with(&self, point: usize) -> f64 {
        self.points()
            .map(|(other, weight)| weight * self.product(point, other))
            .sum()
    }

    fn product(&self, first: usize, second: usize) -> f64 {
        (self.product)(first, second)
    }
}

/// The item with the smallest key; the first of equal ones.
fn least(items: &[usize], key: impl Fn(usize) -> f64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for &item in items {
        let key = key(item);
        if best.is_none_or(|(_, least)| key < least) {
            best = Some((item, key));
        }
    }
    best.map(|(item, _)| item)
}
