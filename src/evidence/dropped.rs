//! DARE merges: a base plus what two other models learnt since, with some of the values dropped at random.

use alloc::vec::Vec;

use super::common_geometry::NEARLY_ALL;
use super::members::Members;
use super::{Geometry, Merge};
use crate::parallel;
use crate::signature::{Signature, TensorSignature};

/// The weights of both models, the smallest and the largest.
const WEIGHTS: [f64; 2] = [0.2, 0.75];

/// The odds, the smallest and the largest, that a value was dropped. Below them, too little is unexplained to look
/// at; [`find_selective_merges`](crate::heritage::find_selective_merges) finds such merges.
const ODDS: [f64; 2] = [0.35, 4.5];

/// Each of the two models must contribute at least this share of Σ wᵢ²‖τᵢ‖². A model between its parent and its child
/// looks like a merge of that child with any model whose step is very small.
const LEAST_SHARE: f64 = 0.1;

/// The largest cosine between the steps of the two models.
const MOST_IN_COMMON: f64 = 0.25;

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

/// How many of the models nearest to a merge are considered as its base, and how many of those that explain most of its
/// step from there as its parents.
const NEAREST: usize = 16;

impl Members<'_> {
    /// The models that add to a base the weighted steps of two other models, of which values were dropped at random and the
    /// others made larger in return; at most one for each model, sorted by model.
    ///
    /// If a share q of the values is kept, and divided by q, then a step s = Σ wᵢ mᵢτᵢ/q has the inner products
    /// ⟨s, τᵢ⟩ = ⟨Σ wⱼτⱼ, τᵢ⟩ with the original steps, and ‖s‖² = ‖Σ wᵢτᵢ‖² + (1/q − 1) Σ wᵢ²‖τᵢ‖², on average,
    /// with the same weights and the same q on all groups of rows. In a model that was trained, groups and tensors deviate
    /// from that by more than the errors of the sketches and the choice of values explain.
    ///
    /// O(n²) time for n models, if few of them look like such sums.
    pub(super) fn dropped_sums(&self, geometry: &Geometry, models: &[usize]) -> Vec<Merge> {
        let search = Search {
            members: self,
            geometry,
            models,
        };
        let found = parallel::map(models, |&model| search.sum(model));
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
}

struct Search<'a> {
    members: &'a Members<'a>,
    geometry: &'a Geometry,
    /// The models that aren't copies.
    models: &'a [usize],
}

impl Search<'_> {
    fn sum(&self, model: usize) -> Option<Merge> {
        let mut bases: Vec<usize> =
            self.others(model, |other| self.geometry.squared_distance(model, other));
        bases.retain(|&base| self.is_step(base, model));
        let mut best: Option<(f64, Merge)> = None;
        for base in bases {
            let product = |other: usize| self.geometry.product_of_steps(base, model, other);
            let weight =
                |other: usize| product(other) / self.geometry.squared_distance(base, other);
            let mut candidates = self.others(model, |other| -product(other) * weight(other).abs());
            candidates.retain(|&other| {
                // The cosine between the steps changes weights by up to a third.
                (0.6 * WEIGHTS[0]..1.4 * WEIGHTS[1]).contains(&weight(other))
                    && self.is_step(base, other)
                    && self.is_whole(model, other)
            });
            for (at, &first) in candidates.iter().enumerate() {
                for &second in &candidates[at + 1..] {
                    let found = self.fit(model, base, [first.min(second), first.max(second)]);
                    if let Some(found) = found
                        && best.as_ref().is_none_or(|(least, _)| found.0 < *least)
                    {
                        best = Some(found);
                    }
                }
            }
        }
        Some(best?.1)
    }

    /// The other models with the least values, in this order; ties go to the first.
    fn others(&self, model: usize, value: impl Fn(usize) -> f64) -> Vec<usize> {
        let others = self.models.iter().filter(|&&other| other != model);
        let valued = others.map(|&other| (value(other), other));
        let mut valued: Vec<(f64, usize)> = valued.filter(|(value, _)| value.is_finite()).collect();
        valued.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        valued.truncate(NEAREST);
        valued.into_iter().map(|(_, other)| other).collect()
    }

    /// The sum, if it is one, and how far the groups of rows deviate from it.
    fn fit(&self, model: usize, base: usize, [first, second]: [usize; 2]) -> Option<(f64, Merge)> {
        if !self.is_whole(first, second) {
            return None;
        }
        let products = Products {
            squares: [first, second].map(|parent| self.geometry.squared_distance(base, parent)),
            between: self.geometry.product_of_steps(base, first, second),
            with_step: [first, second]
                .map(|parent| self.geometry.product_of_steps(base, model, parent)),
            step: self.geometry.squared_distance(base, model),
        };
        let rule = Rule::of(&products)?;
        let own = rule.own(&products);
        let least = rule.parts(&products).into_iter().fold(own, f64::min);
        if least < LEAST_SHARE * own {
            return None;
        }
        let residual = rule.odds * own;
        let mut others = self.models.iter().filter(|&&other| other != model);
        if !others.all(|&other| {
            residual <= LARGEST_RESIDUAL * self.geometry.squared_distance(model, other)
        }) {
            return None;
        }
        let unexplained = |other: usize| {
            let [of_first, of_second] = rule.weights;
            self.geometry.product_of_steps(base, model, other)
                - of_first * self.geometry.product_of_steps(base, first, other)
                - of_second * self.geometry.product_of_steps(base, second, other)
        };
        let is_random = |&other: &usize| {
            let most = MOST_WITH_OTHERS
                * MOST_WITH_OTHERS
                * residual
                * self.geometry.squared_distance(base, other);
            unexplained(other) * unexplained(other) <= most
        };
        let mut others = self
            .models
            .iter()
            .filter(|&&other| other != model && other != base);
        if !others.all(is_random) {
            return None;
        }
        let of = [base, first, second, model].map(|at| self.members.signature(at));
        let deviation = self.members.deviation(&rule, of)?;
        let [of_first, of_second] = rule.weights;
        let of_base = 1.0 - of_first - of_second;
        let parents = Vec::from([(base, of_base), (first, of_first), (second, of_second)]);
        Some((
            deviation,
            Merge::new(model, parents, residual / products.step),
        ))
    }

    /// Whether a short step leads from the first model to the second, longer one.
    fn is_step(&self, from: usize, to: usize) -> bool {
        self.geometry.is_step(from, to) && self.is_whole(from, to)
    }

    /// Whether two models were compared on nearly all weights.
    fn is_whole(&self, first: usize, second: usize) -> bool {
        let [of_first, of_second] = self.members.relation(first, second).compared();
        of_first.min(of_second) >= NEARLY_ALL
    }
}

/// Inner products of the steps of two models and a third from a base, over some rows.
#[derive(Clone, Copy, Debug)]
struct Products {
    /// Of the steps of the two with themselves.
    squares: [f64; 2],
    between: f64,
    /// Of the third step with those of the two.
    with_step: [f64; 2],
    /// Of the third step with itself.
    step: f64,
}

/// How a step is made of those of two models: with the same weights and odds on all rows.
#[derive(Clone, Copy, Debug)]
struct Rule {
    weights: [f64; 2],
    /// The odds that a value was dropped.
    odds: f64,
}

impl Rule {
    /// The rule that explains a step best; `None` if it isn't of this kind.
    fn of(products: &Products) -> Option<Self> {
        let ([first, second], between) = (products.squares, products.between);
        if between * between > MOST_IN_COMMON * MOST_IN_COMMON * first * second {
            return None;
        }
        let determinant = first * second - between * between;
        let [with_first, with_second] = products.with_step;
        let mut rule = Self {
            weights: [
                (with_first * second - with_second * between) / determinant,
                (with_second * first - with_first * between) / determinant,
            ],
            odds: 0.0,
        };
        rule.odds = (products.step - rule.step(products)) / rule.own(products);
        let [least, most] = WEIGHTS;
        let fits = rule
            .weights
            .iter()
            .all(|weight| (least..=most).contains(weight))
            && (ODDS[0]..=ODDS[1]).contains(&rule.odds);
        fits.then_some(rule)
    }

    /// wᵢ²‖τᵢ‖².
    fn parts(&self, products: &Products) -> [f64; 2] {
        [0, 1].map(|at| self.weights[at] * self.weights[at] * products.squares[at])
    }

    /// Σ wᵢ²‖τᵢ‖².
    fn own(&self, products: &Products) -> f64 {
        self.parts(products).iter().sum()
    }

    /// The expected squared step.
    fn step(&self, products: &Products) -> f64 {
        let [first, second] = self.weights;
        (1.0 + self.odds) * self.own(products) + 2.0 * first * second * products.between
    }

    /// The deviations of a step and of its inner products from their expected values on one group of rows. `numbers` is
    /// the length of the group's sketch and `values` the number of its values. `None` if nothing moved.
    fn deviations(&self, products: &Products, numbers: f64, values: f64) -> Option<[Deviation; 3]> {
        let step = self.step(products);
        if step <= 0.0 {
            // A step that neither of the two has is infinitely far from what is expected.
            return (products.step > 0.0).then_some([Deviation::INFINITE; 3]);
        }
        // The relative variance of a sum over the values that are kept.
        let chance = KURTOSIS * self.odds / values;
        let parts = self.parts(products).into_iter();
        let of_chance: f64 = parts.map(|part| chance * part * part).sum();
        let factor = 1.0 + self.odds;
        let whole = Deviation {
            deviation: products.step - step,
            variance: 2.0 * step * step / numbers + factor * factor * of_chance,
        };
        let [with_first, with_second] = [0, 1].map(|at| {
            let (square, weight) = (products.squares[at], self.weights[at]);
            let expected = weight * square + self.weights[1 - at] * products.between;
            let own = weight * square;
            Deviation {
                deviation: products.with_step[at] - expected,
                variance: (step * square + expected * expected) / numbers + chance * own * own,
            }
        });
        Some([whole, with_first, with_second])
    }

    /// The mean of the squared deviations of steps, if all means are within the limits.
    fn deviation(
        &self,
        deviations: &[[Deviation; 3]],
        [least, with_odds]: [f64; 2],
    ) -> Option<f64> {
        let most = least + with_odds * self.odds;
        let means = [0, 1, 2].map(|at| {
            let squares = deviations.iter().map(|deviations| deviations[at].squared());
            squares.sum::<f64>() / deviations.len().max(1) as f64
        });
        means.iter().all(|&mean| mean <= most).then_some(means[0])
    }
}

/// How far a number deviates from what is expected, and the variance of that.
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
    /// How far groups of rows deviate from a rule for the steps from a base to two models and a third; `None` if it doesn't
    /// hold.
    fn deviation(&self, rule: &Rule, of: [&Signature; 4]) -> Option<f64> {
        let (mut of_groups, mut of_tensors) = (Vec::new(), Vec::new());
        let tensors = of[0].tensors().iter();
        for tensor in tensors.filter(|tensor| self.options.compares(tensor)) {
            let named = of.map(|signature| {
                let tensors = signature.tensors();
                let found = tensors.binary_search_by(|other| other.name().cmp(tensor.name()));
                found.ok().map(|at| &tensors[at])
            });
            let groups = products(named).unwrap_or_default();
            let numbers = tensor.sketch().buckets_of_group() as f64;
            let deviations = groups
                .iter()
                .filter_map(|(products, values)| rule.deviations(products, numbers, *values));
            let before = of_groups.len();
            of_groups.extend(deviations);
            of_tensors.extend(
                (of_groups[before..].iter().copied())
                    .reduce(|sums, more| [0, 1, 2].map(|at| Deviation::plus(sums[at], more[at]))),
            );
        }
        if of_groups.len() < LEAST_GROUPS {
            return None;
        }
        rule.deviation(&of_tensors, TENSOR_VARIANCE)?;
        rule.deviation(&of_groups, GROUP_VARIANCE)
    }
}

/// The products of each group of rows of a base, two models and a third, and the number of its values; `None` if one
/// lacks the tensor or has another shape.
fn products(of: [Option<&TensorSignature>; 4]) -> Option<Vec<(Products, f64)>> {
    let [base, first, second, model] = of;
    let (base, first, second, model) = (base?, first?, second?, model?);
    let squared = |u: &TensorSignature, v: &TensorSignature| {
        (u.shape() == v.shape()).then(|| u.sketch().compare(v.sketch()).ok())?
    };
    let to_first = squared(base, first)?;
    let to_second = squared(base, second)?;
    let groups = squared(base, model)?;
    let between = squared(first, second)?;
    let from_first = squared(first, model)?;
    let from_second = squared(second, model)?;
    let group = |at: usize| {
        let [
            to_first,
            to_second,
            to_model,
            between,
            from_first,
            from_second,
        ] = [
            &to_first,
            &to_second,
            &groups,
            &between,
            &from_first,
            &from_second,
        ]
        .map(|groups| groups[at].squared_distance);
        let values = groups[at].values as f64;
        let products = Products {
            squares: [to_first, to_second],
            between: (to_first + to_second - between) / 2.0,
            with_step: [
                (to_first + to_model - from_first) / 2.0,
                (to_second + to_model - from_second) / 2.0,
            ],
            step: to_model,
        };
        (products, values)
    };
    Some((0..groups.len()).map(group).collect())
}
