//! The joint decision for families of any size, over near pairs only and without a table of all pairs.
//!
//! The costs are those of the dense search (see [`costs`]). Where that search considers all models, as for
//! the third model of the leaf gap, this one considers near pairs.

mod components;
mod family;
mod leaf_gaps;
mod longest_steps;
mod marginals;

use alloc::vec::Vec;

use num_traits::Float;

pub(in crate::heritage) use self::family::{Family, NearPair, Placement, SparseTrees};

use self::leaf_gaps::leaf_gaps;
use self::longest_steps::longest_steps;
use self::marginals::Marginals;
use super::certainty::Certainty;
use super::constraints::Constraints;
use super::costs::{self, EdgeTerms, GrowthEvidence, NEGLIGIBLE, State};
use super::missing::{FoundTree, MissingParent};
use super::model::{JointConstant, JointModel};
use super::stages::StageWeights;
use super::{RecoveryError, additivity, missing, partial};
use crate::arborescence::{
    Arborescence, DualCertificate, Edge, Root, minimum_arborescence_sparse,
    minimum_arborescence_sparse_certified,
};
use crate::heritage::{EquivalentParents, Knowledge, RunnerUp, Stage};

/// A distance counts as equally near if it is larger by at most this share.
const AS_NEAR: f64 = 0.05;

/// In large families the limit on c is this power of the limit in small ones. Among many siblings, one that hardly
/// moved would look as good a parent as the true one unless the measured orthogonality of all steps is trusted.
const MOST_DIMENSIONS_POWER: i32 = 4;

/// How to find trees: the generative model, the stage of all models, and the stages of individual ones.
pub(in crate::heritage) struct TreeRules<'a> {
    pub(in crate::heritage) model: &'a JointModel,
    pub(in crate::heritage) stage: Option<Stage>,
    pub(in crate::heritage) stages: &'a [Option<Stage>],
}

/// Finds the tree of a family, or as few trees as the constraints allow.
///
/// # Complexity
///
/// For m pairs, O(m log n) time and O(m) space, plus the cost of the dense distribution over each set of
/// models whose parents are uncertain together.
pub(in crate::heritage) fn trees(
    family: &Family<'_>,
    knowledge: &Knowledge,
    rules: &TreeRules<'_>,
) -> Result<SparseTrees, RecoveryError> {
    let position = |name: &str| family.names.binary_search(&name).ok();
    let pairs = family.pairs.iter();
    let pairs = pairs.flat_map(|pair| [(pair.first, pair.second), (pair.second, pair.first)]);
    let distance = |u, v| family.pair(u, v).map(|pair| pair.distance);
    let constraints = Constraints::of_names(&family.names, position, knowledge).with_originals(
        &family.originals,
        pairs,
        distance,
    );
    let all: Vec<usize> = (0..family.names.len()).collect();
    trees_under(family, &constraints.select(&all), rules)
}

/// The same, with the constraints given by position.
pub(super) fn trees_under(
    family: &Family<'_>,
    constraints: &Constraints,
    rules: &TreeRules<'_>,
) -> Result<SparseTrees, RecoveryError> {
    if let Some((constant, value)) = rules.model.fault() {
        return Err(RecoveryError::Constant { constant, value });
    }
    let mut problem = Problem::new(family, constraints, rules);
    let growth = family.pairs.iter().map(|pair| problem.direction(pair).0);
    let mut states = State::all(rules.model, family.names.len(), growth);
    states.retain(|state| rules.stage.is_none() || state.stage == rules.stage);
    let fits = problem.fits(&states, 0.0)?;
    let half_dimension = problem.half_dimension_of(&fits);
    if half_dimension > problem.half_dimension {
        problem.half_dimension = half_dimension;
    }
    let fits = problem.fits(&states, NEGLIGIBLE)?;
    problem.solve(&fits)
}

/// A state with the best trees for it.
struct Fit {
    state: State,
    edges: Vec<Edge>,
    trees: Arborescence,
    certificate: DualCertificate,
}

impl Fit {
    /// −ln of the probability of the state and the trees, up to a constant.
    fn cost(&self) -> f64 {
        self.trees.weight() - self.state.log_prior()
    }
}

/// The edges between near models, and a virtual root above all models.
struct Problem<'a> {
    family: &'a Family<'a>,
    constraints: &'a Constraints,
    rules: &'a TreeRules<'a>,
    /// c, the weight of ln D² + f.
    half_dimension: f64,
    /// For every pair, ln D² + f and the cost of not being the shortest path.
    structure: Vec<[f64; 2]>,
    /// For every model, the largest share of it that a near model covers, and the smallest distance among the
    /// models that cover this share.
    coverage: Vec<(f64, f64)>,
    /// For every model, those with the same compared weights.
    equal: Vec<Vec<usize>>,
}

impl<'a> Problem<'a> {
    fn new(family: &'a Family<'a>, constraints: &'a Constraints, rules: &'a TreeRules<'a>) -> Self {
        let weight = rules.model.get(JointConstant::LeafGapWeight);
        let largest = family.pairs.iter().map(|p| p.distance).fold(0.0, f64::max);
        let longest_steps = longest_steps(family.names.len(), &family.pairs);
        let structure = |((pair, gap), longest): ((&NearPair, f64), f64)| {
            if largest == 0.0 {
                return [0.0; 2];
            }
            let whole = costs::log_squared(pair.distance / largest);
            let ratio = whole - costs::log_squared(longest / largest);
            [
                whole + weight * gap,
                costs::non_shortest(ratio, rules.model),
            ]
        };
        let pairs = family.pairs.iter().zip(leaf_gaps(family));
        Self {
            family,
            constraints,
            rules,
            half_dimension: rules.model.get(JointConstant::HalfDimension),
            structure: pairs.zip(longest_steps).map(structure).collect(),
            coverage: family.coverage(),
            equal: family.equal(),
        }
    }

    fn size(&self) -> usize {
        self.family.names.len()
    }

    /// The edges of all pairs in both directions, followed by those from the virtual root.
    fn edges(&self, state: State) -> Vec<Edge> {
        let models = self.size();
        let mut edges = Vec::with_capacity(2 * self.family.pairs.len() + models);
        for (pair, &[structure, non_shortest]) in self.family.pairs.iter().zip(&self.structure) {
            let structure = self.half_dimension * structure + non_shortest;
            let (growth, vote) = self.direction(pair);
            for (from, to, growth, vote) in [
                (pair.first, pair.second, growth, vote),
                (pair.second, pair.first, growth.reversed(), -vote),
            ] {
                if !self.constraints.allows(from, to) {
                    continue;
                }
                let terms = EdgeTerms {
                    structure,
                    growth,
                    vote,
                };
                let stage = self.rules.stages[to].or(state.stage);
                let weight =
                    terms.cost(state.growth, stage, self.rules.model) + self.extra(pair, from, to);
                if weight.is_finite() {
                    edges.push(Edge { from, to, weight });
                }
            }
        }
        // A root costs more than any forest with one root fewer.
        let range = costs::range(self.half_dimension) * models as f64;
        edges.extend((0..models).map(|to| Edge {
            from: models,
            to,
            weight: if self.constraints.must_descend(to) {
                2.0 * range
            } else {
                range
            },
        }));
        edges
    }

    /// The growth and the vote of the scores from the first to the second model of a pair.
    fn direction(&self, pair: &NearPair) -> (GrowthEvidence, f64) {
        let untrained = |model| self.constraints.is_untrained(model);
        match pair.growth {
            _ if untrained(pair.first) || untrained(pair.second) => (GrowthEvidence::NONE, 0.0),
            Some([coefficient, layer, model]) => {
                (GrowthEvidence::new(coefficient, layer, model), pair.vote)
            }
            None => (GrowthEvidence::NONE, pair.vote),
        }
    }

    /// The extra cost of an edge from prior knowledge, and for a parent that covers less than others do.
    fn extra(&self, pair: &NearPair, from: usize, to: usize) -> f64 {
        let model = self.rules.model;
        let given = model.get(JointConstant::AddedWeights) * (1.0 - pair.share_of(to));
        self.constraints.hints(from, to, model)
            + given
            + match self.family.partial.get(&(from, to)) {
                None => 0.0,
                Some(None) => costs::says_nothing(self.half_dimension),
                Some(&Some(distance)) => self.partial(pair, to, distance),
            }
    }

    fn partial(&self, pair: &NearPair, child: usize, distance: f64) -> f64 {
        let (most, nearest) = self.coverage[child];
        let missing = if nearest <= (1.0 + AS_NEAR) * distance {
            most - pair.share_of(child)
        } else {
            0.0
        };
        let longer = Float::ln(distance) - Float::ln(pair.distance);
        let longer = if longer.is_finite() { longer } else { 0.0 };
        // Uses the usual c: with that of the tree, 0.964 of the edges of simulated hubs are right instead of
        // 0.970.
        let half_dimension = self.rules.model.get(JointConstant::HalfDimension);
        half_dimension * (partial::MISSING * missing + 2.0 * longer)
    }

    /// The best trees of the states within `margin` of the best one.
    fn fits(&self, states: &[State], margin: f64) -> Result<Vec<Fit>, RecoveryError> {
        let mut bounds: Vec<(f64, State)> = (states.iter())
            .map(|&state| (self.bound(&self.edges(state)) - state.log_prior(), state))
            .collect();
        // The sort is stable: ties go to the first state.
        bounds.sort_by(|first, second| first.0.total_cmp(&second.0));
        let mut least = f64::INFINITY;
        let mut fits: Vec<Fit> = Vec::new();
        for (bound, state) in bounds {
            if bound > least + margin {
                continue;
            }
            let edges = self.edges(state);
            let root = Root::At(self.size());
            let (trees, certificate) =
                minimum_arborescence_sparse_certified(self.size() + 1, &edges, root)?;
            let fit = Fit {
                state,
                edges,
                trees,
                certificate,
            };
            least = least.min(fit.cost());
            fits.push(fit);
            fits.retain(|fit| fit.cost() <= least + margin);
        }
        fits.sort_by_key(|fit| states.iter().position(|&state| state == fit.state));
        Ok(fits)
    }

    /// A lower bound on the cost of all trees: the cheapest edge into every model, except roots.
    fn bound(&self, edges: &[Edge]) -> f64 {
        let models = self.size();
        let mut least = alloc::vec![f64::INFINITY; models];
        for edge in edges.iter().filter(|edge| edge.from < models) {
            least[edge.to] = least[edge.to].min(edge.weight);
        }
        let range = costs::range(self.half_dimension) * models as f64;
        let roots = least.iter().filter(|cost| cost.is_infinite()).count();
        let known = least.iter().copied().filter(|cost| cost.is_finite());
        let (sum, most) = known.fold((0.0, f64::NEG_INFINITY), |(sum, most), cost| {
            (sum + cost, f64::max(most, cost))
        });
        let cost_of_root = if roots == 0 { range - most } else { 0.0 };
        sum + roots as f64 * range + cost_of_root
    }

    /// c, estimated from how well squared distances of near pairs add up along the best trees.
    fn half_dimension_of(&self, fits: &[Fit]) -> f64 {
        let models = self.size();
        let best = fits.iter().reduce(
            |best, fit| {
                if fit.cost() < best.cost() { fit } else { best }
            },
        );
        let parents = best
            .into_iter()
            .flat_map(|fit| fit.trees.parents().iter().take(models));
        let parents: Vec<Option<usize>> =
            (parents.map(|parent| parent.filter(|&parent| parent < models))).collect();
        let step = |(child, parent): (usize, &Option<usize>)| {
            let pair = parent.and_then(|parent| self.family.pair(parent, child));
            pair.map_or(0.0, |pair| pair.squared_distance)
        };
        let steps: Vec<f64> = parents.iter().enumerate().map(step).collect();
        let whole = self.family.pairs.iter().filter(|pair| pair.is_whole());
        let squared = whole.map(|pair| (pair.first, pair.second, pair.squared_distance));
        let model = self.rules.model;
        let most = Float::powi(
            model.get(JointConstant::DimensionFactorLimit),
            MOST_DIMENSIONS_POWER,
        );
        let times = additivity::times_usual(&parents, &steps, squared, model);
        model.get(JointConstant::HalfDimension) * times.min(most)
    }

    /// The placement of every model, from the distribution over all trees and states.
    fn solve(&self, fits: &[Fit]) -> Result<SparseTrees, RecoveryError> {
        let models = self.size();
        let marginals: Vec<Marginals> = (fits.iter())
            .map(|fit| Marginals::new(&fit.edges, &fit.trees, &fit.certificate))
            .collect();
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
        let missing = self.missing_parents(&parents, growth.sum());
        let absent = missing::probabilities(&missing, &parents);
        let place = |model: usize| {
            let placement = self.placement(model, parents[model], &probabilities);
            if self.constraints.is_known(model) {
                placement
            } else {
                Placement {
                    certainty: placement.certainty.unless_missing(absent[model]),
                    ..placement
                }
            }
        };
        Ok(SparseTrees {
            placements: (0..models).map(place).collect(),
            missing,
            stages: asked.then_some(weights),
        })
    }

    /// The points where paths along the trees meet without a model.
    fn missing_parents(&self, parents: &[Option<usize>], mean_growth: f64) -> Vec<MissingParent> {
        let near = |u: usize, v: usize| self.family.pair(u, v);
        let squared = |u, v| {
            let pair = near(u, v).filter(|pair| pair.is_whole())?;
            Some(pair.distance * pair.distance)
        };
        let growth = |u, v| match near(u, v).map(|pair| self.direction(pair).0) {
            None => GrowthEvidence::NONE,
            Some(growth) if u < v => growth,
            Some(growth) => growth.reversed(),
        };
        let tree = FoundTree {
            parents,
            is_trained: &|model| !self.constraints.is_untrained(model),
            squared_distance: &squared,
            growth: &growth,
            mean_growth,
            model: self.rules.model,
        };
        tree.missing_parents()
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
        let parents = forest.parents().iter().take(models);
        Ok(parents
            .map(|parent| parent.filter(|&parent| parent < models))
            .collect())
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
        let confidence = |probability| {
            costs::allow_for_unexplained_errors(probability, models, self.rules.model)
        };
        let of = |model: usize, parent: usize| {
            let mut parents = probabilities[model].iter();
            let found = parents.find(|&&(other, _)| other == parent);
            confidence(found.map_or(0.0, |&(_, probability)| probability))
        };
        let own = parent.unwrap_or(models);
        let mut second: Option<(usize, f64)> = None;
        for &(other, probability) in probabilities[model].iter().filter(|(p, _)| *p != own) {
            let is_better = second.is_none_or(|(second, best)| {
                probability > best || (probability == best && other < second)
            });
            if is_better {
                second = Some((other, probability));
            }
        }
        let certainty = Certainty {
            confidence: of(model, own),
            runner_up: second.map(|(other, probability)| RunnerUp {
                parent: (other < models).then_some(other),
                confidence: confidence(probability),
            }),
            joined: parent.map(|parent| (of(model, parent) + of(parent, model)).min(1.0)),
            alike: parent.and_then(|parent| {
                let models = self.alike(model, parent);
                let confidence: f64 = models.iter().map(|&other| of(model, other)).sum();
                (models.len() > 1).then_some(EquivalentParents {
                    models,
                    confidence: confidence.min(1.0),
                })
            }),
        };
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
