//! DARE merges: a base plus what two or more other models learnt since, with some of the values dropped at random.

use alloc::vec::Vec;

use super::{Merge, MergeSearch, StepFit};
use crate::evidence::members::Members;
use crate::parallel;
use crate::signature::{Signature, TensorSignature};

/// The smallest weight of a parent, times their number, and the largest weight.
const WEIGHTS: [f64; 2] = [0.4, 0.75];

/// The odds, the smallest and the largest, that a value was dropped. Below them, too little is unexplained to look
/// at; [`find_selective_merges`](crate::heritage::find_selective_merges) finds such merges.
const ODDS: [f64; 2] = [0.35, 4.5];

/// Each parent must contribute at least this share of Σ wᵢ²‖τᵢ‖², divided by their number. A model between its parent and
/// its child looks like a merge of that child with any model whose step is very small.
const LEAST_SHARE: f64 = 0.2;

/// The largest unexplained squared step, as a share of the squared distance to the nearest model. It is 0.5 if half of
/// the values are dropped, and 1 for a model trained from the average of the two.
const LARGEST_RESIDUAL: f64 = 0.85;

/// The largest cosine between what a merge leaves unexplained and the step of any other model from the base. Dropped
/// values are random, so nothing but a descendant of the merge has anything in common with them.
const MOST_WITH_OTHERS: f64 = 0.2;

/// The largest ratio of the variance that is found to the one expected by chance, among groups of rows: the first number
/// plus the second times the odds. Set by hand on merges made from models of real trees.
const GROUP_VARIANCE: [f64; 2] = [1.3, 0.25];

/// The same among tensors.
const TENSOR_VARIANCE: [f64; 2] = [2.0, 0.5];

/// Fewer groups of rows can't show that all of them follow one rule.
const LEAST_GROUPS: usize = 64;

/// E x⁴ / (E x²)² of the steps' values: that of a normal distribution.
const KURTOSIS: f64 = 3.0;

/// The smallest weight with which a parent's step alone explains that of a merge of six.
const LEAST_WEIGHT_ALONE: f64 = 0.04;

/// How many of the models nearest to a merge are considered as its base, and how many of those that explain most of its
/// step from there as its parents.
const NEAREST: usize = 16;

impl MergeSearch<'_> {
    /// The models that add to a base the weighted steps of two to six other models, of which values were dropped at random
    /// and the others made larger in return; at most one for each model, sorted by model.
    ///
    /// If a share q of the values is kept, and divided by q, then a step s = Σ wᵢ mᵢτᵢ/q has the inner products
    /// ⟨s, τᵢ⟩ = ⟨Σ wⱼτⱼ, τᵢ⟩ with the original steps, and ‖s‖² = ‖Σ wᵢτᵢ‖² + (1/q − 1) Σ wᵢ²‖τᵢ‖², on average,
    /// with the same weights and the same q on all groups of rows. In a model that was trained, groups and tensors deviate
    /// from that by more than the errors of the sketches and the choice of values explain.
    ///
    /// O(n²) time for n models, if few of them look like such sums.
    pub(super) fn dropped_sums(&self) -> Vec<Merge> {
        let found = parallel::map(&self.models, |&model| self.dropped_sum(model));
        let found: Vec<Merge> = found.into_iter().flatten().collect();
        // What a merge has of its parent is in the parent, too, so each may look like a sum with the other. The parent is
        // explained less.
        let is_explained = |sum: &&Merge| {
            !found.iter().any(|other| {
                let mutual = sum.has_parent(other.model()) && other.has_parent(sum.model());
                mutual && other.residual() < sum.residual()
            })
        };
        found.iter().filter(is_explained).cloned().collect()
    }

    fn dropped_sum(&self, model: usize) -> Option<Merge> {
        let squared = |other| self.geometry.squared_distance(model, other);
        let mut bases = self.others_by(model, squared);
        bases.truncate(NEAREST);
        bases.retain(|&base| self.is_step(base, model));
        let fits = bases.into_iter().flat_map(|base| self.fits(base, model));
        let found: Vec<(StepFit, f64)> = fits
            .filter_map(|fit| {
                let deviation = self.deviation(&fit)?;
                Some((fit, deviation))
            })
            .collect();
        let (best, _) = found
            .iter()
            .min_by(|first, second| first.1.total_cmp(&second.1))?;
        // Any point on the plane through the parents would do as the base, but it has to come before them.
        let norm = |fit: &StepFit| self.geometry.squared_norms()[fit.base];
        let same = found.iter().map(|(fit, _)| fit);
        let same = same.filter(|fit| fit.has_parents_of(best));
        let earliest = same.min_by(|first, second| norm(first).total_cmp(&norm(second)))?;
        Some(earliest.clone().into_merge())
    }

    /// Combinations of the steps of other models that may explain a model's: those of all pairs, and of more models that
    /// explain most.
    fn fits(&self, base: usize, model: usize) -> Vec<StepFit> {
        let product = |other: usize| self.geometry.product_of_steps(base, model, other);
        let weight = |other: usize| product(other) / self.geometry.squared_distance(base, other);
        let mut candidates = self.others_by(model, |other| -product(other) * weight(other).abs());
        candidates.truncate(NEAREST);
        candidates.retain(|&other| {
            // The cosines between the steps change weights by up to a third.
            (LEAST_WEIGHT_ALONE..1.4 * WEIGHTS[1]).contains(&weight(other))
                && self.is_step(base, other)
                && self.is_whole(model, other)
        });
        let are_apart = |first: usize, second: usize| {
            StepFit::are_apart(self.geometry, base, first, second) && self.is_whole(first, second)
        };
        let mut fits = StepFit::series(self.geometry, [base, model], &candidates, are_apart);
        fits.retain(|fit| fit.parents.len() > 2);
        for (at, &first) in candidates.iter().enumerate() {
            let seconds = candidates[at + 1..].iter();
            let seconds = seconds.filter(|&&second| are_apart(first, second));
            fits.extend(seconds.filter_map(|&second| {
                let parents = Vec::from([first.min(second), first.max(second)]);
                StepFit::new(self.geometry, base, model, parents)
            }));
        }
        fits
    }

    /// How far the groups of rows deviate from a sum of which values were dropped; `None` if the fit isn't one.
    fn deviation(&self, fit: &StepFit) -> Option<f64> {
        let &StepFit { base, model, .. } = fit;
        let geometry = self.geometry;
        let products = Products::of(
            &fit.parents,
            geometry.squared_distance(base, model),
            |u, v| geometry.product_of_steps(base, u.unwrap_or(model), v.unwrap_or(model)),
        );
        let rule = Rule::of(fit, &products)?;
        let residual = rule.odds * rule.own(&products);
        let others = || self.models.iter().filter(|&&other| other != model);
        if !others()
            .all(|&other| residual <= LARGEST_RESIDUAL * geometry.squared_distance(model, other))
        {
            return None;
        }
        let unexplained = |other: usize| {
            let explained = fit.parents.iter().zip(&fit.weights);
            let explained = explained
                .map(|(&parent, weight)| weight * geometry.product_of_steps(base, parent, other));
            geometry.product_of_steps(base, model, other) - explained.sum::<f64>()
        };
        let is_random = |&other: &usize| {
            let most = MOST_WITH_OTHERS
                * MOST_WITH_OTHERS
                * residual
                * geometry.squared_distance(base, other);
            unexplained(other) * unexplained(other) <= most
        };
        if !others().filter(|&&other| other != base).all(is_random) {
            return None;
        }
        self.members.deviation(&rule, fit)
    }

    /// Whether a short step leads from the first model to the second, longer one.
    fn is_step(&self, from: usize, to: usize) -> bool {
        self.geometry.is_step(from, to) && self.is_whole(from, to)
    }
}

/// Inner products of the steps of some parents and of a merge from a base, over some rows.
#[derive(Clone, Debug)]
struct Products {
    /// Of the parents' steps with each other, row by row.
    parents: Vec<Vec<f64>>,
    /// Of the merge's step with theirs.
    with_step: Vec<f64>,
    /// Of the merge's step with itself.
    step: f64,
}

impl Products {
    /// From the products of any two; `None` stands for the merge.
    fn of<T: Copy>(
        parents: &[T],
        step: f64,
        product: impl Fn(Option<T>, Option<T>) -> f64,
    ) -> Self {
        let row = |&u: &T| parents.iter().map(|&v| product(Some(u), Some(v))).collect();
        Self {
            parents: parents.iter().map(row).collect(),
            with_step: parents.iter().map(|&u| product(Some(u), None)).collect(),
            step,
        }
    }
}

/// How a step is made of those of others: with the same weights and odds on all rows.
#[derive(Clone, Debug)]
struct Rule {
    weights: Vec<f64>,
    /// The odds that a value was dropped.
    odds: f64,
}

impl Rule {
    /// The rule of a fit; `None` if it isn't of this kind.
    fn of(fit: &StepFit, products: &Products) -> Option<Self> {
        let mut rule = Self {
            weights: fit.weights.clone(),
            odds: 0.0,
        };
        let own = rule.own(products);
        rule.odds = (1.0 - fit.explained) * products.step / own;
        let parents = fit.parents.len() as f64;
        let least = WEIGHTS[0] / parents;
        let is_parent = |(weight, part): (&f64, f64)| {
            (least..=WEIGHTS[1]).contains(weight) && part >= LEAST_SHARE / parents * own
        };
        let fits = (rule.weights.iter().zip(rule.parts(products))).all(is_parent)
            && (ODDS[0]..=ODDS[1]).contains(&rule.odds);
        fits.then_some(rule)
    }

    /// wᵢ²‖τᵢ‖².
    fn parts(&self, products: &Products) -> impl Iterator<Item = f64> {
        let rows = self.weights.iter().zip(&products.parents).enumerate();
        rows.map(|(at, (weight, row))| weight * weight * row[at])
    }

    /// Σ wᵢ²‖τᵢ‖².
    fn own(&self, products: &Products) -> f64 {
        self.parts(products).sum()
    }

    /// The expected inner products of the parents' steps with the merge's.
    fn with_step(&self, products: &Products) -> Vec<f64> {
        let product = |row: &Vec<f64>| {
            let pairs = self.weights.iter().zip(row);
            pairs.map(|(weight, product)| weight * product).sum()
        };
        products.parents.iter().map(product).collect()
    }

    /// The deviations of a step and of its inner products from their expected values on one group of rows. `numbers` is
    /// the length of the group's sketch and `values` the number of its values. `None` if nothing moved.
    fn deviations(&self, products: &Products, numbers: f64, values: f64) -> Option<Vec<Deviation>> {
        let expected = self.with_step(products);
        let whole = self.weights.iter().zip(&expected);
        let whole = whole.map(|(weight, product)| weight * product);
        let step = self.odds * self.own(products) + whole.sum::<f64>();
        if step <= 0.0 {
            // A step that none of them has is infinitely far from what is expected.
            let deviations = alloc::vec![Deviation::INFINITE; 1 + self.weights.len()];
            return (products.step > 0.0).then_some(deviations);
        }
        // The relative variance of a sum over the values that are kept.
        let chance = KURTOSIS * self.odds / values;
        let of_chance: f64 = self.parts(products).map(|part| chance * part * part).sum();
        let factor = 1.0 + self.odds;
        let whole = Deviation {
            deviation: products.step - step,
            variance: 2.0 * step * step / numbers + factor * factor * of_chance,
        };
        let with_parents = (0..self.weights.len()).map(|at| {
            let (square, expected) = (products.parents[at][at], expected[at]);
            let own = self.weights[at] * square;
            Deviation {
                deviation: products.with_step[at] - expected,
                variance: (step * square + expected * expected) / numbers + chance * own * own,
            }
        });
        Some([whole].into_iter().chain(with_parents).collect())
    }

    /// The mean of the squared deviations of steps, if all means are within the limits.
    fn deviation(
        &self,
        deviations: &[Vec<Deviation>],
        [least, with_odds]: [f64; 2],
    ) -> Option<f64> {
        let most = least + with_odds * self.odds;
        let mean = |at: usize| {
            let squares = deviations.iter().map(|deviations| deviations[at].squared());
            squares.sum::<f64>() / deviations.len().max(1) as f64
        };
        let all_small = (0..=self.weights.len()).all(|at| mean(at) <= most);
        all_small.then(|| mean(0))
    }
}

/// How far a number deviates from its expected value, and the variance of that deviation.
#[derive(Clone, Copy, Debug, Default)]
struct Deviation {
    deviation: f64,
    variance: f64,
}

impl Deviation {
    const INFINITE: Self = Self {
        deviation: f64::INFINITY,
        variance: 1.0,
    };

    /// In units of the variance.
    fn squared(self) -> f64 {
        if self.variance > 0.0 {
            self.deviation * self.deviation / self.variance
        } else {
            0.0
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            deviation: self.deviation + other.deviation,
            variance: self.variance + other.variance,
        }
    }
}

impl Members<'_> {
    /// How far groups of rows deviate from a rule; `None` if it doesn't hold.
    fn deviation(&self, rule: &Rule, fit: &StepFit) -> Option<f64> {
        let (mut of_groups, mut of_tensors) = (Vec::new(), Vec::new());
        let base = self.signature(fit.base);
        let others = fit.parents.iter().chain([&fit.model]);
        let others: Vec<&Signature> = others.map(|&at| self.signature(at)).collect();
        for tensor in base
            .tensors()
            .iter()
            .filter(|tensor| self.options.compares(tensor))
        {
            let counterparts = others.iter().map(|signature| {
                let found = signature.tensor(tensor.name())?;
                (found.shape() == tensor.shape()).then_some(found)
            });
            let counterparts: Option<Vec<_>> = counterparts.collect();
            let groups = counterparts
                .and_then(|others| products(tensor, &others))
                .unwrap_or_default();
            let numbers = tensor.sketch().buckets_of_group() as f64;
            let deviations = groups
                .iter()
                .filter_map(|(products, values)| rule.deviations(products, numbers, *values));
            let before = of_groups.len();
            of_groups.extend(deviations);
            let sum = of_groups[before..]
                .iter()
                .cloned()
                .reduce(|mut sums, more| {
                    for (sum, more) in sums.iter_mut().zip(more) {
                        *sum = sum.plus(more);
                    }
                    sums
                });
            of_tensors.extend(sum);
        }
        if of_groups.len() < LEAST_GROUPS {
            return None;
        }
        rule.deviation(&of_tensors, TENSOR_VARIANCE)?;
        rule.deviation(&of_groups, GROUP_VARIANCE)
    }
}

/// The products of each group of rows of a base and others, the last of which is the merge, with the number of the group's
/// values; `None` if their sketches can't be compared.
fn products(base: &TensorSignature, others: &[&TensorSignature]) -> Option<Vec<(Products, f64)>> {
    let compare = |u: &TensorSignature, v: &TensorSignature| u.sketch().compare(v.sketch()).ok();
    let steps: Option<Vec<_>> = others.iter().map(|other| compare(base, other)).collect();
    let steps = steps?;
    let between: Option<Vec<Vec<_>>> = (others.iter())
        .map(|u| others.iter().map(|v| compare(u, v)).collect())
        .collect();
    let between = between?;
    let merge = others.len().checked_sub(1)?;
    let parents: Vec<usize> = (0..merge).collect();
    let group = |at: usize| {
        let square = |of: usize| steps[of][at].squared_distance;
        let product = |u: Option<usize>, v: Option<usize>| {
            let (u, v) = (u.unwrap_or(merge), v.unwrap_or(merge));
            (square(u) + square(v) - between[u][v][at].squared_distance) / 2.0
        };
        (
            Products::of(&parents, square(merge), product),
            steps[merge][at].values as f64,
        )
    };
    Some((0..steps[merge].len()).map(group).collect())
}
