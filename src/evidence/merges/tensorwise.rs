//! Merges in which every tensor is an average with weights of its own.

use alloc::vec;
use alloc::vec::Vec;

use super::{Merge, MergeSearch, NearestAverage};
use crate::evidence::copies::by_storing;
use crate::evidence::{Geometry, MatchRule, Matching, NEARLY_ALL};
use crate::parallel;
use crate::signature::TensorSignature;

/// How many of the models nearest to a merge are considered as its parents, and how many of those that explain most of its
/// step from the nearest one.
const CONSIDERED: usize = 8;

/// The largest number of parents.
const MOST_PARENTS: usize = 8;

/// The largest squared distance between a merge and its averages, as a share of that to the nearest model, and of the one
/// expected by chance. Spherical interpolation between distant models comes closest to it. If a model of the real trees
/// wasn't merged, the averages of its sixteen neighbours leave at least 0.25.
const RESIDUAL: f64 = 0.1;

/// Rounding to the stored type may add this many times the squared distance that is expected of it.
const ROUNDING: f64 = 2.0;

/// The largest allowance for rounding, as a share of the squared distance to the nearest model, and of the one expected by
/// chance.
const MOST_ROUNDING: [f64; 2] = [0.3, 0.2];

/// The squared distance to the averages may double when parents are left out, and grow by this share of the squared distance
/// to the nearest model.
const AS_WELL: f64 = 1e-4;

/// A model is between two others if it is nearer to both than this share of their squared distance.
const BETWEEN: f64 = 0.9;

/// The largest share of values in tensors that no parent changed, if all tensors were chosen. Children that were each
/// trained with other tensors frozen leave some that neither changed.
const UNCHANGED: f64 = 1e-3;

/// The least share of values in tensors that come from each parent, if all tensors were chosen.
const LEAST_CHOSEN: f64 = 0.1;

/// One of two models may have been trained from the other if their squared norms differ by more than this share of the
/// squared distance. Those of most parents and children differ by 0.4 to 1 of it.
const GROWN: f64 = 0.3;

impl MergeSearch<'_> {
    /// The models of which every tensor is an average of the same tensor of other models, sorted.
    ///
    /// Training moves every tensor in a direction of its own, so it explains no such model. But if a model was only put
    /// together from whole tensors, they could have been trained from it instead, each with other layers frozen. Such a
    /// model counts if no tensor is the same in all of them, or if something lies between it and each of its parents, as
    /// their base does. Two models of which each looks like a merge of the other don't count.
    ///
    /// O(n²) time for n models, if few of them are merges.
    pub(super) fn tensorwise_merges(&self) -> Vec<Merge> {
        let found = parallel::map(&self.models, |&model| self.tensorwise_merge(model));
        let found: Vec<Merge> = found.into_iter().flatten().collect();
        // If two models exchanged layers, each of the four has its tensors from the two on the other side.
        let is_mutual = |merge: &Merge| found.iter().any(|other| merge.is_mutual(other));
        found
            .iter()
            .filter(|merge| !is_mutual(merge))
            .cloned()
            .collect()
    }

    fn tensorwise_merge(&self, model: usize) -> Option<Merge> {
        let others = self.possible_parents(model);
        let nearest = self.geometry.squared_distance(model, *others.first()?);
        if nearest <= 0.0 || others.len() < 2 {
            return None;
        }
        let rounding = (ROUNDING * self.by_rounding(model)).min(MOST_ROUNDING[0] * nearest);
        let limit = RESIDUAL * nearest + rounding;
        let tensors = self.tensors(model, &others, limit)?;
        let all: Vec<usize> = (0..others.len()).collect();
        let limit = limit.min(2.0 * tensors.left(&all) + AS_WELL * nearest);
        let distance = |u: usize, v: usize| self.geometry.squared_distance(others[u], others[v]);
        let parents = (tensors.two_parents(limit, distance))
            .or_else(|| tensors.more_parents(limit))
            .filter(|parents| tensors.is_merge(parents, nearest, rounding))?;
        let squared = |parent: usize| self.geometry.squared_distance(model, others[parent]);
        let by_chance = 1.0 / (parents.iter().map(|&p| 1.0 / squared(p))).sum::<f64>();
        let residual = tensors.left(&parents) / by_chance;
        let weights = tensors.weights(&parents)?.into_iter();
        let weighted = parents.iter().map(|&parent| others[parent]).zip(weights);
        Some(Merge::new(model, weighted.collect(), residual))
    }

    /// The models that are considered as parents, nearest first.
    fn possible_parents(&self, model: usize) -> Vec<usize> {
        let squared = |other: usize| self.geometry.squared_distance(model, other);
        let mut others = self.others_by(model, squared);
        others.retain(|&other| {
            let unrelatedness = self.geometry.unrelatedness(model, other);
            unrelatedness.is_some_and(|share| share <= Geometry::UNRELATED)
                && self.is_whole(model, other)
        });
        if others.len() > 2 * CONSIDERED {
            let nearest = others[0];
            let explained = |other: usize| {
                let product = self.geometry.product_of_steps(nearest, model, other);
                let squared = self.geometry.squared_distance(nearest, other);
                if squared > 0.0 {
                    product.max(0.0) * product / squared
                } else {
                    0.0
                }
            };
            let mut kept = others.clone();
            kept[CONSIDERED..].sort_by(|&u, &v| explained(v).total_cmp(&explained(u)));
            kept.truncate(2 * CONSIDERED);
            others.retain(|other| kept.contains(other));
        }
        others
    }

    /// The compared tensors of a model.
    fn compared(&self, model: usize) -> impl Iterator<Item = &TensorSignature> {
        let tensors = self.members.signature(model).tensors().iter();
        tensors.filter(|tensor| self.members.options.compares(tensor))
    }

    /// The squared change that rounding to the stored type explains.
    fn by_rounding(&self, model: usize) -> f64 {
        let of = |tensor: &TensorSignature| {
            by_storing(tensor) * tensor.sketch().squared_norms().iter().sum::<f64>()
        };
        self.compared(model).map(of).sum()
    }

    /// The tensors of a model relative to others, if these have nearly all of them and their averages leave no more than
    /// the limit unexplained.
    fn tensors(&self, model: usize, others: &[usize], limit: f64) -> Option<Tensors> {
        let mut own: Vec<&TensorSignature> = self.compared(model).collect();
        // Large tensors show first that a model isn't a merge.
        own.sort_by_key(|tensor| core::cmp::Reverse(tensor.moments().count()));
        let counterparts: Vec<Vec<_>> = (others.iter())
            .map(|&other| self.counterparts(model, &own, other))
            .collect();
        let mut tensors = Tensors {
            others: others.len(),
            tensors: Vec::with_capacity(own.len()),
        };
        let all: Vec<usize> = (0..others.len()).collect();
        let (mut left, mut missing) = (0.0, 0.0);
        for (at, tensor) in own.iter().enumerate() {
            let same: Vec<_> = counterparts.iter().map(|of_other| of_other[at]).collect();
            let products = Tensor::new(tensor, &same);
            if products.present.is_empty() {
                missing += products.values;
                continue;
            }
            left += products.left(&all);
            if left > limit {
                return None;
            }
            tensors.tensors.push(products);
        }
        let found: f64 = tensors.tensors.iter().map(|tensor| tensor.values).sum();
        (found >= NEARLY_ALL * (found + missing)).then_some(tensors)
    }

    /// For some tensors of a model, the corresponding ones of another, if their shapes are equal.
    pub(super) fn counterparts(
        &self,
        model: usize,
        own: &[&TensorSignature],
        other: usize,
    ) -> Vec<Option<&TensorSignature>> {
        let [model_at, other_at] = [model, other].map(|at| self.members.signature(at));
        let is_by_name = self.members.relation(model, other).rule() == MatchRule::Names;
        let matching = (!is_by_name).then(|| Matching::of_checked(model_at, other_at));
        let counterpart = |tensor: &&TensorSignature| {
            let name = tensor.name();
            let found = match &matching {
                None => other_at.tensor(name)?,
                Some(matching) => {
                    let pairs = matching.pairs();
                    pairs[pairs
                        .binary_search_by(|pair| pair.0.name().cmp(name))
                        .ok()?]
                    .1
                }
            };
            (found.shape() == tensor.shape()).then_some(found)
        };
        own.iter().map(counterpart).collect()
    }
}

/// The tensors of a model, each relative to those of other models.
struct Tensors {
    /// The number of other models.
    others: usize,
    tensors: Vec<Tensor>,
}

/// One tensor of a model, relative to those of other models.
struct Tensor {
    /// The number of values.
    values: f64,
    /// The other models that have the tensor, ascending.
    present: Vec<usize>,
    /// The inner products of the differences from the model, for all pairs of other models, row by row.
    products: Vec<f64>,
    /// How much larger the squared norms of the others are than the model's.
    growth: Vec<f64>,
    others: usize,
}

impl Tensor {
    fn new(own: &TensorSignature, others: &[Option<&TensorSignature>]) -> Self {
        let difference = |other: &TensorSignature| -> Vec<f64> {
            let pairs = other.sketch().sums().zip(own.sketch().sums());
            pairs.map(|(other, own)| other - own).collect()
        };
        let differences: Vec<Option<Vec<f64>>> =
            others.iter().map(|other| other.map(difference)).collect();
        let mut products = vec![0.0; others.len() * others.len()];
        for (at, first) in differences.iter().enumerate() {
            for (other, second) in differences.iter().enumerate().take(at + 1) {
                if let (Some(first), Some(second)) = (first, second) {
                    let product = first.iter().zip(second).map(|(a, b)| a * b).sum();
                    products[at * others.len() + other] = product;
                    products[other * others.len() + at] = product;
                }
            }
        }
        let present = (0..others.len()).filter(|&at| others[at].is_some());
        let norm = |tensor: &TensorSignature| tensor.sketch().squared_norms().iter().sum::<f64>();
        let growth = others
            .iter()
            .map(|other| other.map_or(0.0, |other| norm(other) - norm(own)));
        Self {
            values: own.moments().count() as f64,
            present: present.collect(),
            products,
            growth: growth.collect(),
            others: others.len(),
        }
    }

    fn product(&self, first: usize, second: usize) -> f64 {
        self.products[first * self.others + second]
    }

    /// The squared distance to another model.
    fn squared_distance(&self, other: usize) -> f64 {
        self.product(other, other)
    }

    fn present<'a>(&'a self, models: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        let is_present = |model: &usize| self.present.binary_search(model).is_ok();
        models.iter().copied().filter(is_present)
    }

    /// The squared distance to the nearest of some models.
    fn to_nearest(&self, models: &[usize]) -> f64 {
        let squared = self
            .present(models)
            .map(|other| self.squared_distance(other));
        squared.fold(f64::INFINITY, f64::min)
    }

    /// The squared distance to the nearest average that would be expected if some models had been trained from this one by
    /// orthogonal steps.
    fn by_chance(&self, models: &[usize]) -> f64 {
        let squared = self
            .present(models)
            .map(|other| self.squared_distance(other));
        1.0 / squared.map(|squared| 1.0 / squared).sum::<f64>()
    }

    /// The nearest average of the tensors of some models.
    fn average(
        &self,
        models: &[usize],
    ) -> Option<NearestAverage<impl Fn(usize, usize) -> f64 + Copy + '_>> {
        let models: Vec<usize> = self.present(models).collect();
        NearestAverage::find(|first, second| self.product(first, second), &models)
    }

    /// The squared distance to that average.
    fn left(&self, models: &[usize]) -> f64 {
        match self.average(models) {
            Some(average) => average.squared_distance(),
            None => self.to_nearest(models),
        }
    }
}

impl Tensors {
    /// The squared distance to the averages of some models, one for each tensor.
    fn left(&self, models: &[usize]) -> f64 {
        self.tensors.iter().map(|tensor| tensor.left(models)).sum()
    }

    /// The same, unless it is above the limit.
    fn left_within(&self, models: &[usize], limit: f64) -> Option<f64> {
        let mut left = 0.0;
        for tensor in &self.tensors {
            left += tensor.left(models);
            if left > limit {
                return None;
            }
        }
        Some(left)
    }

    /// The two models that explain all tensors within the limit and are farthest from each other: models between them are
    /// merges of the same two.
    fn two_parents(
        &self,
        limit: f64,
        squared_distance: impl Fn(usize, usize) -> f64,
    ) -> Option<Vec<usize>> {
        let mut farthest: Option<(f64, [usize; 2])> = None;
        for first in 0..self.others {
            for second in first + 1..self.others {
                let distance = squared_distance(first, second);
                let is_farther = farthest.is_none_or(|(most, _)| distance > most);
                if is_farther && self.left_within(&[first, second], limit).is_some() {
                    farthest = Some((distance, [first, second]));
                }
            }
        }
        farthest.map(|(_, parents)| Vec::from(parents))
    }

    /// The models that remain after all others were left out, nearest first, as far as the limit allows.
    fn more_parents(&self, limit: f64) -> Option<Vec<usize>> {
        let mut kept: Vec<usize> = (0..self.others).collect();
        for model in 0..self.others {
            let without: Vec<usize> = kept.iter().copied().filter(|&k| k != model).collect();
            if self.left_within(&without, limit).is_some() {
                kept = without;
            }
        }
        let number = kept.len();
        (2..=MOST_PARENTS).contains(&number).then_some(kept)
    }

    /// Whether a model was merged from these, rather than being the one that they were trained from.
    fn is_merge(&self, parents: &[usize], nearest: f64, rounding: f64) -> bool {
        let left = self.left(parents);
        let by_chance: f64 = (self.tensors.iter())
            .map(|tensor| tensor.by_chance(parents))
            .sum();
        let exact = AS_WELL * nearest;
        let rounding = rounding.min(MOST_ROUNDING[1] * by_chance);
        let is_mixed = by_chance > exact && left <= RESIDUAL * by_chance + rounding;
        let is_chosen = || self.are_all_chosen(parents) || self.are_apart(parents);
        is_mixed || (left <= exact && is_chosen())
    }

    /// Whether each parent supplied a fair share of the tensors, and almost every tensor differs from that of at least
    /// one parent.
    ///
    /// A base and two children, or a parent and a child, can look like that as well, if the steps to them trained different
    /// tensors. But then the shares are mostly uneven, and what was trained has grown.
    fn are_all_chosen(&self, parents: &[usize]) -> bool {
        let values = |is_counted: &dyn Fn(&Tensor) -> bool| -> f64 {
            let counted = self.tensors.iter().filter(|tensor| is_counted(tensor));
            counted.map(|tensor| tensor.values).sum()
        };
        let is_from = |tensor: &Tensor, parent: usize| tensor.squared_distance(parent) == 0.0;
        let all = values(&|_| true);
        let unchanged = values(&|tensor| parents.iter().all(|&parent| is_from(tensor, parent)));
        let least =
            |&parent: &usize| values(&|tensor| is_from(tensor, parent)) >= LEAST_CHOSEN * all;
        let sum = |of: &dyn Fn(&Tensor) -> f64| self.tensors.iter().map(of).sum::<f64>();
        let has_not_grown = |&parent: &usize| {
            let growth = sum(&|tensor| tensor.growth[parent]);
            growth.abs() <= GROWN * sum(&|tensor| tensor.squared_distance(parent))
        };
        unchanged <= UNCHANGED * all
            && parents.iter().all(least)
            && parents.iter().all(has_not_grown)
    }

    /// Whether another model lies between the model and each parent, on the tensors that differ between the two.
    fn are_apart(&self, parents: &[usize]) -> bool {
        let is_between = |parent: usize, other: usize| {
            let changed = || {
                let tensors = self.tensors.iter();
                tensors.filter(|tensor| tensor.squared_distance(parent) > 0.0)
            };
            let sum = |squared: &dyn Fn(&Tensor) -> f64| changed().map(squared).sum::<f64>();
            let whole = sum(&|tensor| tensor.squared_distance(parent));
            let to_model = sum(&|tensor| tensor.squared_distance(other));
            let products = sum(&|tensor| tensor.product(parent, other));
            let to_parent = whole + to_model - 2.0 * products;
            to_model.max(to_parent) <= BETWEEN * whole
        };
        parents.iter().all(|&parent| {
            (0..self.others).any(|other| other != parent && is_between(parent, other))
        })
    }

    /// The mean weights of the parents over all values of tensors that differ from one of them.
    fn weights(&self, parents: &[usize]) -> Option<Vec<f64>> {
        let mut weights = vec![0.0; parents.len()];
        let mut values = 0.0;
        for tensor in &self.tensors {
            let is_changed = tensor
                .present(parents)
                .any(|p| tensor.squared_distance(p) > 0.0);
            if let Some(average) = tensor.average(parents).filter(|_| is_changed) {
                values += tensor.values;
                for (parent, weight) in average.points() {
                    if let Some(at) = parents.iter().position(|&p| p == parent) {
                        weights[at] += weight * tensor.values;
                    }
                }
            }
        }
        (values > 0.0).then(|| weights.iter().map(|weight| weight / values).collect())
    }
}
