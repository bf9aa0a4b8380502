//! How well the steps of some models from a base explain the step of another.

use alloc::vec::Vec;

use super::Merge;
use crate::evidence::Geometry;
use crate::linear_equations::solve;

/// The largest number of models whose steps are added up.
const MOST_PARENTS: usize = 6;

/// The largest cosine between the steps of two parents. A few children can explain most of their own parent's step only if
/// their steps have more in common than this.
const MOST_IN_COMMON: f64 = 0.25;

/// The step of a model, fitted by the weighted steps of others from the same base.
#[derive(Clone, Debug)]
pub(crate) struct StepFit {
    pub(crate) base: usize,
    pub(crate) model: usize,
    pub(crate) parents: Vec<usize>,
    /// One for each parent.
    pub(crate) weights: Vec<f64>,
    /// The share of the squared step that the weighted steps explain.
    pub(crate) explained: f64,
}

impl StepFit {
    /// Fits the step by least squares; `None` if the parents' steps depend on each other.
    pub(crate) fn new(
        geometry: &Geometry,
        base: usize,
        model: usize,
        parents: Vec<usize>,
    ) -> Option<Self> {
        let product = |u: usize, v: usize| geometry.product_of_steps(base, u, v);
        let squares = parents.iter().map(|&parent| product(parent, parent));
        let scale = squares.fold(0.0, f64::max);
        let row = |&u: &usize| {
            let others = parents.iter().chain([&model]);
            others.map(|&v| product(u, v) / scale).collect()
        };
        let weights = solve(parents.iter().map(row).collect())?;
        let products = weights.iter().zip(&parents);
        let products = products.map(|(weight, &parent)| weight * product(parent, model));
        let explained = products.sum::<f64>() / geometry.squared_distance(base, model);
        Some(Self {
            base,
            model,
            parents,
            weights,
            explained,
        })
    }

    /// Whether the steps of two models from a base have little in common.
    pub(crate) fn are_apart(geometry: &Geometry, base: usize, first: usize, second: usize) -> bool {
        let in_common = geometry.product_of_steps(base, first, second);
        let [first, second] = [first, second].map(|model| geometry.squared_distance(base, model));
        in_common * in_common <= MOST_IN_COMMON * MOST_IN_COMMON * first * second
    }

    /// Fits with one parent, two parents, and so on. Each fit adds the candidate that improves the previous fit most, among
    /// those that are apart from all its parents; ties go to the first.
    pub(crate) fn series(
        geometry: &Geometry,
        [base, model]: [usize; 2],
        candidates: &[usize],
        are_apart: impl Fn(usize, usize) -> bool,
    ) -> Vec<Self> {
        let mut series: Vec<Self> = Vec::new();
        while series.len() < MOST_PARENTS {
            let parents = series.last().map_or(&[][..], |fit| &fit.parents);
            let mut best: Option<Self> = None;
            for &candidate in candidates {
                let fits = |&parent: &usize| parent != candidate && are_apart(parent, candidate);
                if !parents.iter().all(fits) {
                    continue;
                }
                let more = parents.iter().copied().chain([candidate]).collect();
                let fit = Self::new(geometry, base, model, more);
                if let Some(fit) = fit
                    .filter(|fit| (best.as_ref()).is_none_or(|best| fit.explained > best.explained))
                {
                    best = Some(fit);
                }
            }
            match best {
                Some(best) => series.push(best),
                None => break,
            }
        }
        series
    }

    /// The least share of the squared step that one parent explains beyond the others.
    pub(crate) fn least_gain(&self, geometry: &Geometry) -> f64 {
        let without = |at: usize| {
            let mut others = self.parents.clone();
            others.remove(at);
            Self::new(geometry, self.base, self.model, others)
        };
        let fits = (0..self.parents.len()).filter_map(without);
        let gains = fits.map(|fit| self.explained - fit.explained);
        gains.fold(self.explained, f64::min)
    }

    /// The model as a merge. The base has the remaining weight.
    pub(crate) fn into_merge(self) -> Merge {
        let of_base = (self.base, 1.0 - self.weights.iter().sum::<f64>());
        let parents = self.parents.into_iter().zip(self.weights);
        let residual = (1.0 - self.explained).max(0.0);
        Merge::new(self.model, parents.chain([of_base]).collect(), residual)
    }
}
