//! Distances between models that share only part of their weights, scaled to what they would be on all of them.

use alloc::vec::Vec;

use num_traits::Float;

use super::Matching;
use super::coverage::{Coverage, PartialParent};
use super::members::Members;
use super::relation::RelationOptions;
use crate::signature::Signature;
use crate::sketch::GroupComparison;

/// If a relative covers less of a model than another relative does, by at least this share of the model's weights,
/// the two are compared on the weights that both cover. Below it, the missing rows change a distance by less than
/// that comparison might.
pub(crate) const PARTIAL: f64 = 0.02;

impl Members<'_> {
    /// The others that a model is related to.
    fn relatives(&self, model: usize) -> Vec<usize> {
        let is_related =
            |&other: &usize| other != model && self.relation(model, other).is_related();
        (0..self.len()).filter(is_related).collect()
    }

    /// The relatives of a model that cover less of it than another relative does.
    pub(super) fn partial_parents(&self, coverage: &Coverage, child: usize) -> Vec<PartialParent> {
        let share = |other: usize| coverage.share(child, other).unwrap_or(0.0);
        let mut relatives = self.relatives(child);
        // A model with more rows may well have been made from this one.
        relatives.retain(|&other| !coverage.extends(other, child));
        let most = relatives
            .iter()
            .map(|&other| share(other))
            .fold(0.0, f64::max);
        let covers = |&&other: &&usize| share(other) > most - PARTIAL;
        let common = self.common_size();
        let distance = |other: usize| self.distance(child, other, common).unwrap_or(0.0);
        let covering = relatives.iter().filter(covers).copied();
        let nearest = covering.min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
        let Some(nearest) = nearest else {
            return Vec::new();
        };
        let partial = relatives.iter().filter(|other| !covers(other));
        let describe = |&parent: &usize| {
            let [from_parent, from_nearest] = restricted_squared_distance(
                &self.options,
                self.signature(child),
                self.signature(parent),
                self.signature(nearest),
            )?;
            let ratio = Float::sqrt(from_parent / from_nearest);
            Some(PartialParent {
                parent,
                child,
                distance: (from_nearest > 0.0 && ratio.is_finite())
                    .then(|| distance(nearest) * ratio),
            })
        };
        partial.filter_map(describe).collect()
    }

    /// The possible parents of a model that has fewer of their weights than other models have, as a mixture of
    /// experts has fewer of a dense model's weights.
    ///
    /// The distances of such a parent to its other relatives were measured on more weights, which may have moved
    /// more or less than those it shares with the child. So the child's distance is scaled to what it would be on
    /// all of those weights if the child differed from its nearest relative there as it does on the shared ones.
    pub(super) fn parents_of_partial(
        &self,
        coverage: &Coverage,
        child: usize,
    ) -> Vec<PartialParent> {
        let share = |of: usize, with: usize| coverage.share(of, with).unwrap_or(0.0);
        let relatives = self.relatives(child);
        let most = |of: usize, others: &[usize]| {
            let shares = others.iter().map(|&other| share(of, other));
            shares.fold(0.0, f64::max)
        };
        let most_of_child = most(child, &relatives);
        let mut parents = relatives;
        parents.retain(|&parent| share(child, parent) > most_of_child - PARTIAL);
        let common = self.common_size();
        let distance = |u, v| self.distance(u, v, common).unwrap_or(0.0);
        let from_child = |&other: &usize| distance(child, other);
        let nearest =
            (parents.iter().copied()).min_by(|a, b| from_child(a).total_cmp(&from_child(b)));
        let Some(nearest) = nearest else {
            return Vec::new();
        };
        let covered = |parent: usize| most(parent, &self.relatives(parent)) - PARTIAL;
        if parents
            .iter()
            .all(|&parent| share(parent, child) > covered(parent))
        {
            return Vec::new();
        }
        // How many times longer the distance to each would be.
        let factor = |parent: usize| {
            if parent == nearest || share(parent, nearest) <= covered(parent) {
                return None;
            }
            let [to_child, to_nearest] = restricted_squared_distance(
                &self.options,
                self.signature(parent),
                self.signature(child),
                self.signature(nearest),
            )?;
            let longer = distance(parent, nearest) * Float::sqrt(to_child / to_nearest);
            let factor = longer / distance(parent, child);
            (factor.is_finite() && factor > 0.0).then_some(factor)
        };
        let factors: Vec<Option<f64>> = parents.iter().map(|&parent| factor(parent)).collect();
        let mut known: Vec<f64> = factors.iter().copied().flatten().collect();
        known.sort_by(f64::total_cmp);
        let Some(&usual) = known.get(known.len() / 2) else {
            return Vec::new();
        };
        let longer = parents
            .iter()
            .zip(&factors)
            .map(|(&parent, factor)| PartialParent {
                parent,
                child,
                distance: Some(factor.unwrap_or(usual) * distance(parent, child)),
            });
        longer.collect()
    }
}

/// The squared distances from a model to two others, on the groups of rows that all three share; `None` if
/// there are none.
pub(crate) fn restricted_squared_distance(
    options: &RelationOptions,
    model: &Signature,
    first: &Signature,
    second: &Signature,
) -> Option<[f64; 2]> {
    let mut squared = None;
    let (mut with_first, mut with_second) = (Vec::new(), Vec::new());
    let of_first = Matching::of_checked(model, first);
    let of_second = Matching::of_checked(model, second);
    let mut others = of_second.pairs().iter().peekable();
    for &(tensor, u) in of_first.pairs() {
        while (others.next_if(|(other, _)| other.name() < tensor.name())).is_some() {}
        let found = others.next_if(|(other, _)| other.name() == tensor.name());
        let compares = |other| options.compares_both((tensor, other));
        let Some(&(_, v)) = found.filter(|(_, v)| compares(u) && compares(v)) else {
            continue;
        };
        for (groups, other) in [(&mut with_first, u), (&mut with_second, v)] {
            groups.clear();
            let _ = (tensor.sketch()).compare_each(other.sketch(), |group| groups.push(group));
        }
        // Rows that only one of them has, or that were initialised anew, count in neither sum.
        for (from_first, from_second) in with_first.iter().zip(&with_second) {
            let near = |group: &GroupComparison| {
                let norms = group.first_squared_norm + group.second_squared_norm;
                group.squared_distance <= 0.5 * norms
            };
            if near(from_first) && near(from_second) {
                let [to_first, to_second] = squared.get_or_insert([0.0; 2]);
                *to_first += from_first.squared_distance;
                *to_second += from_second.squared_distance;
            }
        }
    }
    squared
}
