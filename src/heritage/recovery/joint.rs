//! The joint decision over distances, growth and scores: the posterior over trees, and the best of them.
//!
//! The cost is derived in the documentation of [`JointModel`](super::JointModel).

use alloc::vec::Vec;

use hashbrown::HashMap;
use num_traits::Float;

use super::additivity::Additivity;
use super::certainty::Certainty;
use super::cluster::{Cluster, Tree};
use super::constraints::Constraints;
use super::costs::{
    self, COST_RANGE, EdgeTerms, GrowthEvidence, GrowthState, GrowthTerms, NEGLIGIBLE, State,
    UnexplainedErrors, log_squared,
};
use super::missing::FoundTree;
use super::model::{JointConstant, JointModel};
use super::stages::StageWeights;
use super::{RecoveryError, additivity, large, partial};
use crate::arborescence::{
    Arborescence, ArborescenceDistribution, DenseDigraph, Root, arborescence_distribution,
    minimum_arborescence,
};
use crate::clustering::{Linkage, linkage};
use crate::condensed::{CondensedMatrix, condensed_index, pairs_of};
use crate::heritage::{RunnerUp, Stage};
use crate::parallel;

/// In larger clusters, the distribution over trees uses only the edges that matter.
const MOST_TOGETHER: usize = 300;

/// A state with its edge costs and the best tree for them.
struct Fit {
    state: State,
    costs: DenseDigraph,
    tree: Arborescence,
}

impl Fit {
    /// −ln of the probability of the state and the tree, up to a constant.
    fn cost(&self) -> f64 {
        self.tree.weight() - self.state.log_prior()
    }
}

/// The tree of a cluster. A stage given for all models fixes the stage of the state; a stage given for one
/// member applies to the edge into it, whatever the state.
pub(super) fn tree(
    cluster: &Cluster<'_>,
    stage: Option<Stage>,
    stages: &[Option<Stage>],
) -> Result<Tree, RecoveryError> {
    if cluster.len() > MOST_TOGETHER {
        return large::tree(cluster, stage, stages);
    }
    let mut pairs = Pairs::new(cluster)?;
    let mut fits = fits(&pairs, stage, stages)?;
    let additivity = additivity(cluster, &best(&fits));
    if additivity.half_dimension > pairs.half_dimension {
        pairs = pairs.with_half_dimension(additivity.half_dimension, cluster);
        fits = self::fits(&pairs, stage, stages)?;
    }
    let posterior = Posterior::new(&fits, cluster.model())?;
    let mut parents = posterior.most_expected(cluster.constraints())?;
    partial::hang_on_first_equal(cluster, &mut parents);
    let asked = stage.is_none() && cluster.len() > 1 && cluster.score(0).is_some();
    let found = FoundTree {
        parents: &parents,
        is_trained: &|model| !cluster.constraints().is_untrained(model),
        squared_distance: &|u, v| {
            (cluster.is_compared(u, v)).then(|| Float::powi(cluster.distance(u, v), 2))
        },
        growth: &|first, second| growth(cluster, first, second),
        mean_growth: posterior.mean_growth(),
        model: cluster.model(),
    };
    let missing = found.missing_parents();
    let doubts = found.doubts(&missing, additivity);
    let certainties = posterior.certainties(&parents, cluster).into_iter();
    let doubted = certainties
        .zip(doubts)
        .enumerate()
        .map(|(member, (certainty, doubt))| {
            if cluster.constraints().is_known(member) {
                certainty
            } else {
                doubt.reduce(certainty)
            }
        });
    Ok(Tree {
        certainties: Some(doubted.collect()),
        missing,
        parents,
        stages: asked.then(|| posterior.stages()),
    })
}

/// The parents in the best tree over all states; ties go to the first state.
fn best(fits: &[Fit]) -> Vec<Option<usize>> {
    let best = (fits.iter()).min_by(|first, second| first.cost().total_cmp(&second.cost()));
    best.map_or_else(Vec::new, |fit| fit.tree.parents().to_vec())
}

/// How well squared distances add up along a tree.
fn additivity(cluster: &Cluster<'_>, parents: &[Option<usize>]) -> Additivity {
    let step = |(child, parent): (usize, &Option<usize>)| {
        parent.map_or(0.0, |parent| cluster.squared_distance(parent, child))
    };
    let steps: Vec<f64> = parents.iter().enumerate().map(step).collect();
    let models = cluster.len();
    let compared = pairs_of(models).filter(|&(u, v)| cluster.is_compared(u, v));
    let squared = compared.map(|(u, v)| (u, v, cluster.squared_distance(u, v)));
    let most = cluster.model().get(JointConstant::DimensionFactorLimit);
    additivity::additivity(parents, &steps, squared, (most, cluster.model()))
}

/// The best tree for every possible state.
fn fits(
    pairs: &Pairs<'_>,
    stage: Option<Stage>,
    stages: &[Option<Stage>],
) -> Result<Vec<Fit>, RecoveryError> {
    let fit = |&state: &State| {
        let costs = DenseDigraph::from_fn(pairs.structure.size(), |parent, child| {
            let stage = stages[child].or(state.stage);
            pairs.cost(parent, child, state.growth, stage)
        })?;
        let tree = minimum_arborescence(&costs, Root::Any)?;
        Ok(Fit { state, costs, tree })
    };
    let possible = |state: &&State| stage.is_none() || state.stage == stage;
    let states = pairs.states.iter().filter(possible);
    parallel::map(states, fit).into_iter().collect()
}

/// The distribution over all trees and states.
struct Posterior {
    members: usize,
    unexplained: UnexplainedErrors,
    /// The states with non-negligible probability, each with that probability.
    states: Vec<(State, f64, ArborescenceDistribution)>,
}

impl Posterior {
    fn new(fits: &[Fit], model: &JointModel) -> Result<Self, RecoveryError> {
        let least = fits.iter().map(Fit::cost).fold(f64::INFINITY, f64::min);
        let count = fits.iter().filter(|fit| fit.cost() - least < NEGLIGIBLE);
        let distributions = parallel::map(count, |fit| {
            Ok((fit.state, arborescence_distribution(&fit.costs)?))
        });
        let distributions: Vec<_> =
            (distributions.into_iter()).collect::<Result<_, RecoveryError>>()?;
        let logarithm = |(state, distribution): &(State, ArborescenceDistribution)| {
            distribution.log_partition() + state.log_prior()
        };
        let greatest = (distributions.iter().map(logarithm)).fold(f64::NEG_INFINITY, f64::max);
        let weight = |of: &(State, ArborescenceDistribution)| Float::exp(logarithm(of) - greatest);
        let total: f64 = distributions.iter().map(weight).sum();
        let members = fits.first().map_or(0, |fit| fit.tree.parents().len());
        Ok(Self {
            members,
            unexplained: UnexplainedErrors::new(members, model),
            states: (distributions.into_iter())
                .map(|of| (of.0, weight(&of) / total, of.1))
                .collect(),
        })
    }

    fn stages(&self) -> StageWeights {
        StageWeights::new(self.states.iter().map(|(state, _, distribution)| {
            let logarithm = distribution.log_partition() + state.log_prior_of_growth();
            (state.stage, logarithm)
        }))
    }

    /// The mean growth along edges, over all states.
    fn mean_growth(&self) -> f64 {
        let states = self.states.iter();
        states
            .map(|(state, weight, _)| weight * state.growth.mean)
            .sum()
    }

    /// The probability that a member has this parent or, for `None`, that it is a root.
    fn probability(&self, member: usize, parent: Option<usize>) -> f64 {
        let of_states = (self.states.iter()).map(|(_, weight, distribution)| {
            let probability = match parent {
                Some(parent) => distribution.edge_probability(parent, member),
                None => distribution.root_probability(member),
            };
            weight * probability.unwrap_or(0.0)
        });
        self.unexplained.allow_for(of_states.sum())
    }

    /// The tree with the largest expected number of correct edges: the one with the greatest sum of edge and
    /// root probabilities.
    fn most_expected(
        &self,
        constraints: &Constraints,
    ) -> Result<Vec<Option<usize>>, RecoveryError> {
        let members = self.members;
        // More than the sum of all probabilities, so that there is only one root.
        let root = members as f64 + 1.0;
        let costs = DenseDigraph::from_fn(members + 1, |parent, child| {
            if child == members {
                f64::INFINITY
            } else if parent == members {
                root - self.probability(child, None)
            } else if constraints.allows(parent, child) {
                -self.probability(child, Some(parent)) - constraints.bonus(child, 2.0 * root)
            } else {
                f64::INFINITY
            }
        })?;
        let tree = minimum_arborescence(&costs, Root::At(members))?;
        Ok(tree.parents_before(members))
    }

    /// The certainty of each member's place: how probable its parent is, or that it is a root.
    fn certainties(&self, parents: &[Option<usize>], cluster: &Cluster<'_>) -> Vec<Certainty> {
        let certainty = |(member, &parent): (usize, &Option<usize>)| {
            if cluster.constraints().is_known(member) {
                return Certainty::certain(parent);
            }
            let allowed =
                |&other: &usize| other != member && cluster.constraints().allows(other, member);
            let others = (0..self.members).filter(allowed).map(Some).chain([None]);
            let others = (others.filter(|other| *other != parent)).map(|other| RunnerUp {
                parent: other,
                confidence: self.probability(member, other),
            });
            let is_alike = |other: &usize| {
                parent.is_some_and(|parent| {
                    *other == parent || cluster.squared_distance(parent, *other) == 0.0
                })
            };
            let alike = (0..self.members).filter(allowed).filter(is_alike).collect();
            Certainty::new(
                (member, parent),
                |member, parent| self.probability(member, parent),
                others,
                alike,
            )
        };
        parents.iter().enumerate().map(certainty).collect()
    }
}

/// The terms of the edge cost, for every pair of a cluster.
struct Pairs<'a> {
    model: &'a JointModel,
    constraints: &'a Constraints,
    /// More than the largest possible difference in cost between two trees.
    range: f64,
    /// c, the weight of ln D² + f.
    half_dimension: f64,
    /// D of whole models.
    distances: CondensedMatrix,
    /// ln D² + f.
    structure: CondensedMatrix,
    /// The cost of not being the shortest path.
    non_shortest: CondensedMatrix,
    /// All possible states.
    states: Vec<State>,
    /// From the first to the second model.
    growth: Vec<GrowthTerms>,
    /// v from the first to the second model.
    votes: CondensedMatrix,
    /// The extra cost of an edge, by parent and child, if the parent doesn't cover all of the child.
    partial: HashMap<(usize, usize), f64>,
    /// How much less an edge costs because of weights that both models share.
    shared: CondensedMatrix,
}

impl<'a> Pairs<'a> {
    fn new(cluster: &'a Cluster<'_>) -> Result<Self, RecoveryError> {
        let models = cluster.len();
        // The two models of every pair, or others that give the same information about them and more.
        let pairs: Vec<(usize, usize)> = pairs_of(models)
            .map(|(first, second)| whole_pair(cluster, first, second))
            .collect();
        let of_pairs = |value: &dyn Fn(usize, usize) -> f64| {
            let values = pairs.iter().map(|&(first, second)| value(first, second));
            CondensedMatrix::new(models, values.collect())
        };
        let distances = of_pairs(&|first, second| cluster.distance(first, second))?;
        let leaf_gaps = of_pairs(&|first, second| leaf_gap(cluster, first, second))?;
        let largest = distances.values().iter().copied().fold(0.0, f64::max);
        let half_dimension = cluster.model().get(JointConstant::HalfDimension);
        let growth = (pairs.iter()).map(|&(first, second)| growth(cluster, first, second));
        let growth: Vec<GrowthEvidence> = growth.collect();
        Ok(Self {
            model: cluster.model(),
            constraints: cluster.constraints(),
            range: COST_RANGE * models as f64,
            half_dimension,
            structure: structure(cluster, [&distances, &leaf_gaps], largest)?,
            non_shortest: non_shortest(cluster, &distances, largest)?,
            states: State::all(cluster.model(), models, growth.iter().copied()),
            growth: GrowthTerms::all(growth.into_iter(), cluster.model()),
            votes: of_pairs(&|first, second| {
                if are_trained(cluster, first, second) {
                    cluster.score_change(first, second)
                } else {
                    0.0
                }
            })?,
            partial: partial::costs(cluster, &distances, half_dimension),
            shared: CondensedMatrix::from_fn(models, |first, second| {
                costs::of_shared(cluster.shared_sets(first, second), cluster.model())
            })?,
            distances,
        })
    }

    fn with_half_dimension(self, half_dimension: f64, cluster: &Cluster<'_>) -> Self {
        Self {
            half_dimension,
            partial: partial::costs(cluster, &self.distances, half_dimension),
            ..self
        }
    }

    fn cost(&self, parent: usize, child: usize, growth: GrowthState, stage: Option<Stage>) -> f64 {
        if !self.constraints.allows(parent, child) {
            return f64::INFINITY;
        }
        let hints = self.constraints.hints(parent, child, self.model);
        let growth_between = self.growth[condensed_index(self.structure.size(), parent, child)];
        let vote = self.votes.distance(parent, child).unwrap_or(0.0);
        let (growth_to_child, vote) = if parent < child {
            (growth_between, vote)
        } else {
            (growth_between.reversed(), -vote)
        };
        let structure = self.structure.distance(parent, child).unwrap_or(0.0);
        let non_shortest = self.non_shortest.distance(parent, child).unwrap_or(0.0);
        let terms = EdgeTerms {
            structure: self.half_dimension * structure + non_shortest,
            growth: growth_to_child,
            vote,
        };
        let partial = self.partial.get(&(parent, child)).copied().unwrap_or(0.0)
            - self.shared.distance(parent, child).unwrap_or(0.0);
        let known = hints - self.constraints.bonus(child, self.range);
        terms.cost(growth, stage, self.model) + partial + known
    }
}

/// ln D² + f of every pair, with D as a share of the largest distance.
fn structure(
    cluster: &Cluster<'_>,
    [distances, leaf_gaps]: [&CondensedMatrix; 2],
    largest: f64,
) -> Result<CondensedMatrix, RecoveryError> {
    let weight = cluster.model().get(JointConstant::LeafGapWeight);
    let pairs = distances.values().iter().zip(leaf_gaps.values());
    let structure = pairs.map(|(distance, gap)| {
        if largest == 0.0 {
            return 0.0;
        }
        log_squared(distance / largest) + weight * gap
    });
    Ok(CondensedMatrix::new(cluster.len(), structure.collect())?)
}

/// For every pair, the cost of not being the shortest path.
fn non_shortest(
    cluster: &Cluster<'_>,
    distances: &CondensedMatrix,
    largest: f64,
) -> Result<CondensedMatrix, RecoveryError> {
    if largest == 0.0 {
        return Ok(distances.clone());
    }
    let longest_steps = linkage(distances, Linkage::Single)?.cophenetic_distances()?;
    let log = |table: &CondensedMatrix, first, second| {
        log_squared(table.distance(first, second).unwrap_or(0.0) / largest)
    };
    Ok(CondensedMatrix::from_fn(cluster.len(), |first, second| {
        let longest = log(&longest_steps, first, second);
        costs::non_shortest(log(distances, first, second) - longest, cluster.model())
    })?)
}

fn are_trained(cluster: &Cluster<'_>, first: usize, second: usize) -> bool {
    let constraints = cluster.constraints();
    !constraints.is_untrained(first) && !constraints.is_untrained(second)
}

/// The two models, or others that give the same information about them and more. Layers differ in how far they moved, so
/// the distance over the layers of a part may be smaller than that over all.
fn whole_pair(cluster: &Cluster<'_>, first: usize, second: usize) -> (usize, usize) {
    let of_first = partial::whole(cluster, first, second);
    (of_first, partial::whole(cluster, second, of_first))
}

fn growth(cluster: &Cluster<'_>, first: usize, second: usize) -> GrowthEvidence {
    match cluster
        .growth(first, second)
        .filter(|_| are_trained(cluster, first, second))
    {
        Some((coefficient, layer_error, model_error)) => {
            GrowthEvidence::new(coefficient, layer_error, model_error)
        }
        None => GrowthEvidence::NONE,
    }
}

/// f: the smallest share of the squared distance, from either end, at which a third model branches off; 0 if
/// it branches off at the end itself.
fn leaf_gap(cluster: &Cluster<'_>, first: usize, second: usize) -> f64 {
    let squared = |u, v| cluster.squared_distance(u, v);
    let whole = squared(first, second);
    let comparable =
        |other: usize| cluster.is_compared(first, other) && cluster.is_compared(second, other);
    let others =
        (0..cluster.len()).filter(|&other| other != first && other != second && comparable(other));
    let branch = |other: usize| costs::branch(whole, squared(first, other), squared(second, other));
    costs::leaf_gap(whole, others.map(branch).fold(f64::INFINITY, f64::min))
}
