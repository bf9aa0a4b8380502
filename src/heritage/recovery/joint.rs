//! The joint decision: the arborescence of the least cost over distances, growth and scores.
//!
//! The cost is derived at [`Recovery`](super::Recovery).

use alloc::vec::Vec;

use hashbrown::HashMap;
use num_traits::Float;

use super::cluster::{Belief, Cluster, Tree};
use super::constraints::MemberConstraints;
use super::costs::{
    self, COST_RANGE, EdgeTerms, GrowthState, NEGLIGIBLE, SHARPNESS, State, log_squared,
};
use super::stages::StageWeights;
use super::{RecoveryError, additivity, partial};
use crate::arborescence::{
    Arborescence, ArborescenceDistribution, DenseDigraph, Root, arborescence_distribution,
    minimum_arborescence,
};
use crate::clustering::{Linkage, linkage};
use crate::condensed::CondensedMatrix;
use crate::heritage::{RunnerUp, Stage};

/// In larger clusters confidences would take longer than all the rest.
const MOST_WITH_CONFIDENCE: usize = 300;

/// A state with its costs and the best tree for them.
struct Fit {
    state: State,
    costs: DenseDigraph,
    tree: Arborescence,
}

impl Fit {
    /// −ln of the probability of state and tree, but for a constant, if costs count so many times.
    fn cost(&self, belief: f64) -> f64 {
        belief * self.tree.weight() - Float::ln(self.state.prior())
    }

    /// The distribution over all trees of the state.
    fn distribution(&self, belief: f64) -> Result<ArborescenceDistribution, RecoveryError> {
        let costs = DenseDigraph::from_fn(self.tree.parents().len(), |parent, child| {
            let cost = self.costs.weight(parent, child);
            cost.map_or(f64::INFINITY, |cost| belief * cost)
        })?;
        Ok(arborescence_distribution(&costs)?)
    }
}

/// The tree of a cluster; a stage given for all leaves no other state, one given for a member
/// holds for the edge into it whatever the state.
pub(super) fn tree(
    cluster: &Cluster<'_>,
    stage: Option<Stage>,
    stages: &[Option<Stage>],
) -> Result<Tree, RecoveryError> {
    let mut pairs = Pairs::new(cluster)?;
    let mut fits = fits(&pairs, stage, stages)?;
    let sharpness = additivity::dimensions(cluster, &best(&fits), 2.0 * SHARPNESS) / 2.0;
    if sharpness > SHARPNESS {
        pairs.prefer_shortest_ways(cluster, sharpness)?;
        fits = self::fits(&pairs, stage, stages)?;
    }
    let mut parents = best(&fits);
    partial::hang_on_first_equal(cluster, &mut parents);
    let belief = costs::belief(sharpness);
    let posterior = if cluster.len() <= MOST_WITH_CONFIDENCE {
        Some(Posterior::new(&fits, belief)?)
    } else {
        None
    };
    let weights = match &posterior {
        Some(posterior) => posterior.stages(),
        None => StageWeights::new(fits.iter().map(|fit| {
            let logarithm = Float::ln(fit.state.prior_of_growth()) - belief * fit.tree.weight();
            (fit.state.stage, logarithm)
        })),
    };
    let asked = stage.is_none() && cluster.len() > 1 && cluster.score(0).is_some();
    Ok(Tree {
        beliefs: posterior.map(|posterior| posterior.beliefs(&parents, cluster.constraints())),
        parents,
        stages: asked.then_some(weights),
    })
}

/// The parents in the best tree of all states.
fn best(fits: &[Fit]) -> Vec<Option<usize>> {
    let mut best: Option<&Fit> = None;
    for fit in fits {
        if best.is_none_or(|best| fit.cost(1.0) < best.cost(1.0)) {
            best = Some(fit);
        }
    }
    best.map_or_else(Vec::new, |fit| fit.tree.parents().to_vec())
}

/// The best tree of every state there may be.
fn fits(
    pairs: &Pairs<'_>,
    stage: Option<Stage>,
    stages: &[Option<Stage>],
) -> Result<Vec<Fit>, RecoveryError> {
    let states = State::ALL.into_iter();
    states
        .filter(|state| stage.is_none() || state.stage == stage)
        .map(|state| {
            let costs = DenseDigraph::from_fn(pairs.structure.size(), |parent, child| {
                let stage = stages[child].or(state.stage);
                pairs.cost(parent, child, state.growth, stage)
            })?;
            let tree = minimum_arborescence(&costs, Root::Any)?;
            Ok(Fit { state, costs, tree })
        })
        .collect()
}

/// The distribution over all trees and states.
struct Posterior {
    /// The states that count.
    states: Vec<(State, ArborescenceDistribution)>,
}

impl Posterior {
    fn new(fits: &[Fit], belief: f64) -> Result<Self, RecoveryError> {
        let costs = fits.iter().map(|fit| fit.cost(belief));
        let least = costs.fold(f64::INFINITY, f64::min);
        let count = (fits.iter()).filter(|fit| fit.cost(belief) - least < NEGLIGIBLE);
        let states = count.map(|fit| Ok((fit.state, fit.distribution(belief)?)));
        Ok(Self {
            states: states.collect::<Result<_, RecoveryError>>()?,
        })
    }

    fn stages(&self) -> StageWeights {
        StageWeights::new(self.states.iter().map(|(state, distribution)| {
            let logarithm = distribution.log_partition() + Float::ln(state.prior_of_growth());
            (state.stage, logarithm)
        }))
    }

    /// How probable each member's parent is, or that it is the root, and what is second.
    fn beliefs(&self, parents: &[Option<usize>], constraints: &MemberConstraints) -> Vec<Belief> {
        let logarithm = |(state, distribution): &(State, ArborescenceDistribution)| {
            distribution.log_partition() + Float::ln(state.prior())
        };
        let greatest = (self.states.iter().map(logarithm)).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = (self.states.iter())
            .map(|state| Float::exp(logarithm(state) - greatest))
            .collect();
        let total: f64 = weights.iter().sum();
        let members = parents.len();
        let probability = |member: usize, parent: Option<usize>| {
            let of_states =
                (self.states.iter().zip(&weights)).map(|((_, distribution), weight)| {
                    let probability = match parent {
                        Some(parent) => distribution.edge_probability(parent, member),
                        None => distribution.root_probability(member),
                    };
                    weight * probability.unwrap_or(0.0)
                });
            costs::less_unforeseen(of_states.sum::<f64>() / total, members)
        };
        let belief = |(member, &parent): (usize, &Option<usize>)| {
            if constraints.is_known(member) {
                return Belief {
                    confidence: 1.0,
                    runner_up: None,
                };
            }
            let confidence = probability(member, parent);
            let allowed = |&other: &usize| constraints.allows(other, member);
            let parents = (0..members).filter(allowed).map(Some);
            let mut runner_up: Option<RunnerUp> = None;
            for other in parents.chain([None]).filter(|other| *other != parent) {
                let confidence = probability(member, other);
                if runner_up.is_none_or(|best| confidence > best.confidence) {
                    let parent = other;
                    runner_up = Some(RunnerUp { parent, confidence });
                }
            }
            Belief {
                confidence,
                runner_up: runner_up.filter(|_| members > 1),
            }
        };
        parents.iter().enumerate().map(belief).collect()
    }
}

/// What the cost of an edge is made of, for every pair of a cluster.
struct Pairs<'a> {
    constraints: &'a MemberConstraints,
    /// More than any two trees can differ in cost.
    range: f64,
    /// c ln D² + c f, and what the detour costs.
    structure: CondensedMatrix,
    /// b from the first to the second model.
    growth: CondensedMatrix,
    /// v from the first to the second model.
    votes: CondensedMatrix,
    /// Of a parent and a child of which other models cover more.
    partial: HashMap<(usize, usize), f64>,
}

impl<'a> Pairs<'a> {
    fn new(cluster: &'a Cluster<'_>) -> Result<Self, RecoveryError> {
        let models = cluster.len();
        let largest = cluster
            .distances()
            .values()
            .iter()
            .copied()
            .fold(0.0, f64::max);
        Ok(Self {
            constraints: cluster.constraints(),
            range: COST_RANGE * models as f64,
            structure: CondensedMatrix::from_fn(models, |first, second| {
                if largest == 0.0 {
                    return 0.0;
                }
                let log = log_squared(cluster.distance(first, second) / largest);
                costs::structure(log, saving(cluster, first, second))
            })?,
            growth: CondensedMatrix::from_fn(models, |first, second| {
                let (coefficient, layer_error, model_error) =
                    cluster.growth(first, second).unwrap_or_default();
                costs::shrunk_growth(coefficient, layer_error, model_error)
            })?,
            votes: CondensedMatrix::from_fn(models, |first, second| {
                cluster.score_change(first, second)
            })?,
            partial: partial::costs(cluster, SHARPNESS),
        })
    }

    /// Adds to every pair what its detour costs, where distances add up better than usual.
    fn prefer_shortest_ways(
        &mut self,
        cluster: &Cluster<'_>,
        sharpness: f64,
    ) -> Result<(), RecoveryError> {
        let distances = cluster.distances();
        let largest = distances.values().iter().copied().fold(0.0, f64::max);
        if largest == 0.0 {
            return Ok(());
        }
        let longest_steps = linkage(distances, Linkage::Single)?.cophenetic_distances()?;
        self.structure = CondensedMatrix::from_fn(distances.size(), |first, second| {
            let log = |table: &CondensedMatrix| {
                log_squared(table.distance(first, second).unwrap_or(0.0) / largest)
            };
            let ratio = log(distances) - log(&longest_steps);
            let structure = self.structure.distance(first, second).unwrap_or(0.0);
            structure + costs::detour(ratio, sharpness)
        })?;
        Ok(())
    }

    fn cost(&self, parent: usize, child: usize, growth: GrowthState, stage: Option<Stage>) -> f64 {
        if !self.constraints.allows(parent, child) {
            return f64::INFINITY;
        }
        let hints = self.constraints.hints(parent, child);
        let directed = |table: &CondensedMatrix| {
            let value = table.distance(parent, child).unwrap_or(0.0);
            if parent < child { value } else { -value }
        };
        let terms = EdgeTerms {
            structure: self.structure.distance(parent, child).unwrap_or(0.0),
            growth: directed(&self.growth),
            vote: directed(&self.votes),
        };
        let partial = self.partial.get(&(parent, child)).copied().unwrap_or(0.0);
        terms.cost(growth, stage) + hints + partial - self.constraints.bonus(child, self.range)
    }
}

/// f: the least share of the squared way from one end at which a third model branches off, 0 where
/// it does so at the end itself.
fn saving(cluster: &Cluster<'_>, first: usize, second: usize) -> f64 {
    let squared = |u, v| cluster.squared_distance(u, v);
    let whole = squared(first, second);
    let comparable =
        |other: usize| cluster.is_compared(first, other) && cluster.is_compared(second, other);
    let others =
        (0..cluster.len()).filter(|&other| other != first && other != second && comparable(other));
    let branch = |other: usize| costs::branch(whole, squared(first, other), squared(second, other));
    costs::saving(whole, others.map(branch).fold(f64::INFINITY, f64::min))
}
