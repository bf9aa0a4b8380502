//! The parent of every model and the confidence in it, from the distribution over all trees and states.

use alloc::vec::Vec;

use num_traits::Float;

use super::marginals::Marginals;
use super::{Fit, Placement, Problem, SparseTrees};
use crate::arborescence::{Edge, Root, minimum_arborescence_sparse};
use crate::heritage::RunnerUp;
use crate::heritage::recovery::RecoveryError;
use crate::heritage::recovery::additivity::Additivity;
use crate::heritage::recovery::certainty::Certainty;
use crate::heritage::recovery::costs::{GrowthEvidence, State, UnexplainedErrors};
use crate::heritage::recovery::doubts::Doubt;
use crate::heritage::recovery::missing::FoundTree;
use crate::heritage::recovery::stages::StageWeights;
use crate::parallel;

impl Problem<'_> {
    /// The placement of every model, from the distribution over all trees and states.
    pub(super) fn solve(
        &self,
        fits: &[Fit],
        additivity: Additivity,
    ) -> Result<SparseTrees, RecoveryError> {
        let models = self.size();
        let marginals: Vec<Marginals> = parallel::map(fits, |fit| {
            Marginals::new(&fit.edges, &fit.trees, &fit.certificate)
        });
        let logarithms = |log_prior: fn(State) -> f64| -> Vec<f64> {
            let states = fits.iter().zip(&marginals);
            let logarithm = |(fit, marginals): (&Fit, &Marginals)| {
                marginals.log_partition() - fit.trees.weight() + log_prior(fit.state)
            };
            states.map(logarithm).collect()
        };
        let of_states = logarithms(State::log_prior);
        let greatest = of_states.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = (of_states.iter()).map(|logarithm| Float::exp(logarithm - greatest));
        let total: f64 = weights.clone().sum();
        let of_states: Vec<f64> = weights.map(|weight| weight / total).collect();
        let probabilities = |model: usize| {
            let mut probabilities: Vec<(usize, f64)> = Vec::new();
            for (marginals, weight) in marginals.iter().zip(&of_states) {
                for (parent, probability) in marginals.of(model) {
                    let part = probability * weight;
                    match probabilities.iter_mut().find(|(other, _)| *other == parent) {
                        Some((_, sum)) => *sum += part,
                        None => probabilities.push((parent, part)),
                    }
                }
            }
            probabilities
        };
        let probabilities: Vec<Vec<(usize, f64)>> = (0..models).map(probabilities).collect();
        let parents = self.most_expected(&probabilities)?;
        let weights = fits.iter().zip(logarithms(State::log_prior_of_growth));
        let weights = StageWeights::new(weights.map(|(fit, log)| (fit.state.stage, log)));
        let asked = self.rules.stage.is_none() && models > 1;
        let growth =
            (fits.iter().zip(&of_states)).map(|(fit, weight)| weight * fit.state.growth.mean);
        let near = |u: usize, v: usize| self.family.pair(u, v);
        let found = FoundTree {
            parents: &parents,
            is_trained: &|model| !self.constraints.is_untrained(model),
            squared_distance: &|u, v| {
                let pair = near(u, v).filter(|pair| pair.is_whole())?;
                Some(pair.distance * pair.distance)
            },
            growth: &|u, v| match near(u, v).map(|pair| self.direction(pair).0) {
                None => GrowthEvidence::NONE,
                Some(growth) if u < v => growth,
                Some(growth) => growth.reversed(),
            },
            mean_growth: growth.sum(),
            model: self.rules.model,
        };
        let missing = found.missing_parents();
        let doubts = found.doubts(&missing, additivity);
        let place = |(model, doubt): (usize, Doubt)| {
            let placement = self.placement(model, parents[model], &probabilities);
            if self.constraints.is_known(model) {
                placement
            } else {
                Placement {
                    certainty: doubt.reduce(placement.certainty),
                    ..placement
                }
            }
        };
        Ok(SparseTrees {
            placements: doubts.into_iter().enumerate().map(place).collect(),
            missing,
            stages: asked.then_some(weights),
        })
    }

    /// Among the forests with the fewest roots, finds the one with the largest expected number of correct
    /// edges: it has the greatest sum of edge probabilities.
    fn most_expected(
        &self,
        probabilities: &[Vec<(usize, f64)>],
    ) -> Result<Vec<Option<usize>>, RecoveryError> {
        let models = self.size();
        // More than the sum of all probabilities.
        let root = models as f64 + 1.0;
        let mut edges = Vec::new();
        for (to, parents) in probabilities.iter().enumerate() {
            let weight = |from: usize, probability: f64| {
                let of_root = match (from == models, self.constraints.must_descend(to)) {
                    (false, _) => 0.0,
                    (true, false) => root,
                    (true, true) => 2.0 * root,
                };
                of_root - probability
            };
            let known = parents.iter().map(|&(from, probability)| Edge {
                from,
                to,
                weight: weight(from, probability),
            });
            edges.extend(known);
            if parents.iter().all(|&(from, _)| from != models) {
                let (from, weight) = (models, weight(models, 0.0));
                edges.push(Edge { from, to, weight });
            }
        }
        let forest = minimum_arborescence_sparse(models + 1, &edges, Root::At(models))?;
        Ok(forest.parents_before(models))
    }

    /// The placement of one model, from the probabilities of all models' possible parents.
    fn placement(
        &self,
        model: usize,
        parent: Option<usize>,
        probabilities: &[Vec<(usize, f64)>],
    ) -> Placement {
        if self.constraints.is_known(model) {
            return Placement {
                parent,
                certainty: Certainty::certain(parent),
            };
        }
        let models = self.size();
        let unexplained = UnexplainedErrors::new(models, self.rules.model)
            .with_half_dimension(self.half_dimension, self.rules.model);
        let confidence = |probability| unexplained.allow_for(probability);
        let of = |model: usize, parent: Option<usize>| {
            let mut parents = probabilities[model].iter();
            let found = parents.find(|&&(other, _)| other == parent.unwrap_or(models));
            confidence(found.map_or(0.0, |&(_, probability)| probability))
        };
        let others = (probabilities[model].iter()).map(|&(other, probability)| RunnerUp {
            parent: (other < models).then_some(other),
            confidence: confidence(probability),
        });
        let others = others.filter(|other| other.parent != parent);
        let alike = parent.map_or_else(Vec::new, |parent| self.alike(model, parent));
        let certainty = Certainty::new((model, parent), of, others, alike);
        Placement { parent, certainty }
    }

    /// The possible parents of a model with the same compared weights as its parent, and that parent;
    /// ascending.
    fn alike(&self, model: usize, parent: usize) -> Vec<usize> {
        let equal = self.equal[parent].iter().copied();
        let allowed = |&other: &usize| other != model && self.constraints.allows(other, model);
        let mut models: Vec<usize> = equal.chain([parent]).filter(allowed).collect();
        models.sort_unstable();
        models
    }
}
