//! Merges such as TIES, which keep some of the changes that each parent learnt.

use alloc::vec::Vec;

use crate::evidence::{Geometry, Merge, StepFit};
use crate::parallel;

/// The smallest share of a merge's squared step that the steps of all parents must explain together. TIES merges that keep
/// half of the values of two models reach 0.79, of three 0.7; no model of the real trees used to set the constants exceeds
/// 0.63.
const LEAST_EXPLAINED: f64 = 0.66;

/// The smallest share of the squared step that each parent must explain beyond the others, times their number.
const LEAST_GAIN: f64 = 0.4;

/// The smallest share of the squared step that a parent must explain alone.
const LEAST_ALONE: f64 = 0.06;

/// The largest part of a merge's squared step that its parents don't explain, as a share of its squared distance to each of
/// them. An ordinary child may share some of its step with another model, but most of the step is its own.
const MOST_OF_ITS_OWN: f64 = 0.5;

/// How many of the nearest models are considered as the base.
const NEAREST: usize = 16;

/// Finds models that combine some of the changes that two to six others learnt since a common base. TIES merges, for
/// example, keep the larger changes of each model and drop those whose sign is outvoted.
///
/// For a model m and a base o, the step m − o is fitted by the steps of other models from o. The base must be one of the
/// sixteen models nearest to m and shorter than all others, and its distance to each of them within a quarter of the
/// squared distance between independent models. Parents are added one by one, the one that explains most first. m is a
/// merge of k models if the fit explains at least 0.66 of |m − o|², each of them at least 0.4 / k beyond the others, if
/// what it doesn't explain is at most half of the squared distance to any of them, and if the cosines between their steps
/// are at most 0.25 in magnitude. The base gets the remaining weight. If several
/// combinations qualify, the one that explains most is returned; ties go to the first.
///
/// Unlike the merges of [`find_merges`](super::find_merges), these are approximate:
/// [`residual`](Merge::residual) is the unexplained share. A model trained on the data of two relatives can look the
/// same. Signatures show such merges with certainty, and also those that leave more of the step unexplained, such as DARE
/// merges, if their values weren't rounded ([`GroupEvidence::merges`](crate::evidence::GroupEvidence::merges)).
///
/// # Complexity
///
/// O(n²) time for n models if few models explain part of a step.
///
/// # Examples
///
/// ```
/// use mother::condensed::CondensedMatrix;
/// use mother::evidence::Geometry;
/// use mother::heritage::find_selective_merges;
///
/// // A base, two children with orthogonal steps of length 1, and 0.8 of both steps with something else.
/// let squared = [1.0, 1.0, 1.6, 2.0, 1.0, 1.0];
/// let geometry = Geometry::new(vec![9.0, 10.0, 10.0, 10.6], CondensedMatrix::new(4, squared.to_vec())?)?;
/// let merges = find_selective_merges(&geometry);
/// let parents: Vec<usize> = merges[0].parents().iter().map(|parent| parent.0).collect();
/// assert_eq!((merges[0].model(), parents), (3, vec![0, 1, 2]));
/// assert!((merges[0].residual() - 0.2).abs() < 1e-9);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # References
///
/// P. Yadav et al., "TIES-Merging: Resolving Interference When Merging Models", NeurIPS 2023,
/// [arXiv:2306.01708](https://arxiv.org/abs/2306.01708).
#[must_use]
pub fn find_selective_merges(geometry: &Geometry) -> Vec<Merge> {
    find_selective_merges_among(geometry, |_, _| true)
}

/// The same, using only pairs that were compared on nearly all of their weights.
pub(in crate::heritage) fn find_selective_merges_among(
    geometry: &Geometry,
    compared: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<Merge> {
    let steps = Steps {
        geometry,
        compared: &compared,
    };
    let models = 0..steps.models();
    let merges = parallel::map(models, |model| steps.merge(model));
    merges.into_iter().flatten().collect()
}

struct Steps<'a, C> {
    geometry: &'a Geometry,
    compared: &'a C,
}

impl<C: Fn(usize, usize) -> bool + Sync> Steps<'_, C> {
    fn merge(&self, model: usize) -> Option<Merge> {
        let squared = |other: usize| self.geometry.squared_distance(other, model);
        let mut bases: Vec<usize> = (0..self.models())
            .filter(|&o| self.is_step(o, model))
            .collect();
        bases.sort_by(|&first, &second| squared(first).total_cmp(&squared(second)));
        bases.truncate(NEAREST);
        let fits = bases.into_iter().flat_map(|base| self.fits(base, model));
        let best = fits.reduce(|best, fit| {
            if fit.explained > best.explained {
                fit
            } else {
                best
            }
        });
        best.map(StepFit::into_merge)
    }

    fn models(&self) -> usize {
        self.geometry.squared_norms().len()
    }

    /// Whether a short step leads from the first model to the second, longer one.
    fn is_step(&self, from: usize, to: usize) -> bool {
        self.geometry.is_step(from, to) && (self.compared)(from, to)
    }

    /// The combinations of what others learnt since the base that explain enough of a model's step.
    fn fits(&self, base: usize, model: usize) -> Vec<StepFit> {
        let geometry = self.geometry;
        let whole = geometry.squared_distance(base, model);
        let is_candidate = |&other: &usize| {
            let product = geometry.product_of_steps(base, model, other);
            let explained = product * product / geometry.squared_distance(base, other) / whole;
            other != model
                && self.is_step(base, other)
                && product > 0.0
                && explained >= LEAST_ALONE
                && (self.compared)(model, other)
        };
        let candidates: Vec<usize> = (0..self.models()).filter(is_candidate).collect();
        let are_apart = |first: usize, second: usize| {
            StepFit::are_apart(geometry, base, first, second) && (self.compared)(first, second)
        };
        let is_enough = |fit: &StepFit| {
            let least = LEAST_GAIN / fit.parents.len() as f64;
            let own = (1.0 - fit.explained) * whole;
            let nearest = fit
                .parents
                .iter()
                .map(|&parent| geometry.squared_distance(parent, model));
            let nearest = nearest.fold(f64::INFINITY, f64::min);
            fit.parents.len() > 1
                && fit.explained >= LEAST_EXPLAINED
                && own <= MOST_OF_ITS_OWN * nearest
                && fit.weights.iter().all(|&weight| weight > 0.0)
                && fit.least_gain(geometry) >= least
        };
        let mut fits = StepFit::series(geometry, [base, model], &candidates, are_apart);
        fits.retain(is_enough);
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condensed::CondensedMatrix;
    use alloc::vec;

    /// A child of `a` that also learnt what `b` had: a + 0.75 b, and a step of its own.
    #[test]
    fn a_child_with_a_step_of_its_own_is_no_merge() {
        let merges = |own: f64| {
            let squared = [[1.0, 1.0, 1.5625 + own], [2.0, 0.5625 + own, 1.0625 + own]];
            let squared = CondensedMatrix::new(4, squared.concat()).unwrap();
            let norms = vec![9.0, 10.0, 10.0, 10.5625 + own];
            find_selective_merges(&Geometry::new(norms, squared).unwrap())
        };
        assert_eq!(merges(0.5).len(), 1);
        assert_eq!(merges(0.7), []);
    }
}
