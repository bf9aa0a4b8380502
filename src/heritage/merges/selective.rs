//! Merges that keep part of what each of two models learnt, as TIES does.

use alloc::vec::Vec;

use crate::evidence::{Geometry, Merge};

/// The smallest share of a merge's squared step that the steps of both models must explain together. TIES
/// merges that keep half of the values reach 0.79; no model of the real trees used to set the constants
/// exceeds 0.63.
const LEAST_EXPLAINED: f64 = 0.7;

/// The smallest share of the squared step that each of the two models must explain beyond the other.
const LEAST_GAIN: f64 = 0.2;

/// The largest cosine between the steps of the two models.
const MOST_IN_COMMON: f64 = 0.25;

/// The smallest share of the squared step that one of the two models must explain alone.
const LEAST_ALONE: f64 = 0.15;

/// The largest number of models among which the search runs.
const MOST_MODELS: usize = 300;

/// Finds models that combine parts of what two other models learnt since a common base, as TIES merges do: TIES
/// keeps the larger changes of both models and drops those whose sign is outvoted.
///
/// For a model m, two models a and b, and a base o, the step m − o is fitted by the steps a − o and b − o. The base
/// must be shorter than the other three, and its distance to each of them within a quarter of the squared distance
/// between independent models. m is a merge of a and b if the fit explains at least 0.7 of |m − o|², at least 0.2
/// more than either step alone, and the cosine between the two steps is at most 0.25 in magnitude. The base gets
/// the remaining weight. If several combinations qualify, the one that explains most is returned; ties go to the
/// first.
///
/// Unlike the merges of [`find_merges`](super::find_merges), these are approximate:
/// [`residual`](Merge::residual) is the unexplained share. A model trained on the data of two relatives can look the
/// same. DARE drops values at random, which leaves more of the step unexplained; such merges are found from signatures
/// ([`GroupEvidence::merges`](crate::evidence::GroupEvidence::merges)).
///
/// # Complexity
///
/// O(n³) time for n models if few models explain part of a step; returns nothing for more than 300 models.
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
    compared: impl Fn(usize, usize) -> bool,
) -> Vec<Merge> {
    let models = geometry.squared_norms().len();
    if models > MOST_MODELS {
        return Vec::new();
    }
    let steps = Steps {
        geometry,
        compared: &compared,
    };
    (0..models).filter_map(|model| steps.merge(model)).collect()
}

/// A model that may be one of the two parents of a merge.
#[derive(Clone, Copy)]
struct Candidate {
    model: usize,
    /// The inner product of its step from the base with the merge's step.
    product: f64,
    /// The share of the merge's squared step that its own step explains.
    explained: f64,
}

struct Steps<'a, C> {
    geometry: &'a Geometry,
    compared: &'a C,
}

impl<C: Fn(usize, usize) -> bool> Steps<'_, C> {
    fn merge(&self, model: usize) -> Option<Merge> {
        let mut best: Option<Merge> = None;
        let models = 0..self.geometry.squared_norms().len();
        for base in models.filter(|&base| self.is_step(base, model)) {
            let candidates = self.candidates(model, base);
            for (at, &first) in candidates.iter().enumerate() {
                for &second in &candidates[at + 1..] {
                    if let Some(merge) = self.fit(model, base, [first, second])
                        && (best.as_ref()).is_none_or(|best| merge.residual() < best.residual())
                    {
                        best = Some(merge);
                    }
                }
            }
        }
        best
    }

    /// Whether a short step leads from the first model to the second, longer one.
    fn is_step(&self, from: usize, to: usize) -> bool {
        self.geometry.is_step(from, to) && (self.compared)(from, to)
    }

    /// The models that explain enough of a merge's step on their own to be one of its two parents.
    fn candidates(&self, model: usize, base: usize) -> Vec<Candidate> {
        let whole = self.geometry.squared_distance(base, model);
        let candidate = |other: usize| {
            let product = self.geometry.product_of_steps(base, model, other);
            let explained = product * product / self.geometry.squared_distance(base, other) / whole;
            let counts = product > 0.0 && explained >= LEAST_ALONE && (self.compared)(model, other);
            counts.then_some(Candidate {
                model: other,
                product,
                explained,
            })
        };
        let models = 0..self.geometry.squared_norms().len();
        let others = models.filter(|&other| other != model && self.is_step(base, other));
        others.filter_map(candidate).collect()
    }

    /// Explains the model as a combination of what two others learnt since the base, if that explains enough.
    fn fit(&self, model: usize, base: usize, parents: [Candidate; 2]) -> Option<Merge> {
        let [first, second] = parents;
        let of_first = self.geometry.squared_distance(base, first.model);
        let of_second = self.geometry.squared_distance(base, second.model);
        let in_common = self
            .geometry
            .product_of_steps(base, first.model, second.model);
        let largest = MOST_IN_COMMON * MOST_IN_COMMON * of_first * of_second;
        if in_common * in_common > largest || !(self.compared)(first.model, second.model) {
            return None;
        }
        let determinant = of_first * of_second - in_common * in_common;
        let weights = [
            (first.product * of_second - second.product * in_common) / determinant,
            (second.product * of_first - first.product * in_common) / determinant,
        ];
        let products = weights[0] * first.product + weights[1] * second.product;
        let explained = products / self.geometry.squared_distance(base, model);
        let enough = explained >= LEAST_EXPLAINED
            && explained - first.explained.max(second.explained) >= LEAST_GAIN
            && weights[0].min(weights[1]) > 0.0;
        if !enough {
            return None;
        }
        let parents = Vec::from([
            (base, 1.0 - weights[0] - weights[1]),
            (first.model, weights[0]),
            (second.model, weights[1]),
        ]);
        Some(Merge::new(model, parents, (1.0 - explained).max(0.0)))
    }
}
