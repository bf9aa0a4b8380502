//! The joint decision for families of any size, over near pairs only and without a table of all pairs.
//!
//! The costs are those of the dense search (see [`costs`]). Where that search considers all models, as for
//! the third model of the leaf gap, this one considers near pairs.

mod components;
mod family;
mod leaf_gaps;
mod longest_steps;
mod marginals;
mod placements;

use alloc::vec::Vec;

use num_traits::Float;

pub(in crate::heritage) use self::family::{Family, NearPair, Placement, SparseTrees};

use self::leaf_gaps::leaf_gaps;
use self::longest_steps::longest_steps;
use super::additivity::Additivity;
use super::constraints::Constraints;
use super::costs::{self, EdgeTerms, GrowthEvidence, GrowthTerms, NEGLIGIBLE, State};
use super::model::{JointConstant, JointModel};
use super::{RecoveryError, additivity, partial};
use crate::arborescence::{
    Arborescence, DualCertificate, Edge, Root, minimum_arborescence_sparse_certified,
};
use crate::heritage::{Knowledge, Stage};
use crate::parallel;

/// A distance counts as equally near if it is larger by at most this share.
const AS_NEAR: f64 = 0.05;

/// In large families the limit on c is this power of the limit in small ones. Among many siblings, one that hardly
/// moved would look as good a parent as the true one unless the measured orthogonality of all steps is trusted.
const MOST_DIMENSIONS_POWER: i32 = 4;

/// How many edges of paths from an average to one of its sources are forbidden one by one, in addition to those of a single
/// edge. More are hardly needed, and each takes another recovery.
const MOST_CIRCLES: usize = 8;

/// How many states are fitted before others are ruled out.
const FITTED_AT_ONCE: usize = 2;

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
    let constraints = Constraints::of_names(&family.names, position, knowledge)
        .with_originals(&family.originals, pairs, distance)
        .with_merges_of_relatives(&family.merges);
    let all: Vec<usize> = (0..family.names.len()).collect();
    let mut constraints = constraints.select(&all);
    let mut found = trees_under(family, &constraints, rules)?;
    for _ in 0..MOST_CIRCLES {
        let parents: Vec<Option<usize>> = found.placements.iter().map(|p| p.parent).collect();
        if !constraints.forbid_circles(&parents) {
            break;
        }
        found = trees_under(family, &constraints, rules)?;
    }
    Ok(found)
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
    let additivity = problem.additivity(&fits);
    if additivity.half_dimension > problem.half_dimension {
        problem = problem.with_half_dimension(additivity.half_dimension);
    }
    let fits = problem.fits(&states, NEGLIGIBLE)?;
    problem.solve(&fits, additivity)
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
    /// For every pair, the cost in either direction apart from growth and scores; infinite if it isn't allowed.
    known: Vec<[f64; 2]>,
    /// For every pair, the growth and the vote of the scores from the first to the second model.
    directions: Vec<(GrowthTerms, f64)>,
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
        let half_dimension = rules.model.get(JointConstant::HalfDimension);
        let problem = Self {
            family,
            constraints,
            rules,
            half_dimension,
            structure: pairs.zip(longest_steps).map(structure).collect(),
            known: Vec::new(),
            directions: Vec::new(),
            coverage: family.coverage(),
            equal: family.equal(),
        };
        let (growth, votes): (Vec<_>, Vec<_>) =
            (family.pairs.iter().map(|pair| problem.direction(pair))).unzip();
        let terms = GrowthTerms::all(growth.into_iter(), rules.model);
        Self {
            directions: terms.into_iter().zip(votes).collect(),
            ..problem.with_half_dimension(half_dimension)
        }
    }

    fn with_half_dimension(self, half_dimension: f64) -> Self {
        let problem = Self {
            half_dimension,
            ..self
        };
        let known = |(pair, &[structure, non_shortest]): (&NearPair, &[f64; 2])| {
            let structure = half_dimension * structure + non_shortest;
            [(pair.first, pair.second), (pair.second, pair.first)].map(|(from, to)| {
                if problem.constraints.allows(from, to) {
                    structure + problem.extra(pair, from, to)
                } else {
                    f64::INFINITY
                }
            })
        };
        let pairs = problem.family.pairs.iter().zip(&problem.structure);
        Self {
            known: pairs.map(known).collect(),
            ..problem
        }
    }

    fn size(&self) -> usize {
        self.family.names.len()
    }

    /// The edges of all pairs in both directions.
    fn edges_of_pairs(&self, state: State) -> impl Iterator<Item = Edge> + '_ {
        let edge = move |pair: &NearPair, known: &[f64; 2], direction: &(GrowthTerms, f64)| {
            let &(growth, vote) = direction;
            let ends = [(pair.first, pair.second), (pair.second, pair.first)];
            let terms = [(growth, vote), (growth.reversed(), -vote)];
            [0, 1].map(|at| {
                let (from, to) = ends[at];
                let terms = EdgeTerms {
                    structure: known[at],
                    growth: terms[at].0,
                    vote: terms[at].1,
                };
                let stage = self.rules.stages[to].or(state.stage);
                let weight = terms.cost(state.growth, stage, self.rules.model);
                Edge { from, to, weight }
            })
        };
        let pairs = (self.family.pairs.iter().zip(&self.known)).zip(&self.directions);
        pairs
            .flat_map(move |((pair, known), direction)| edge(pair, known, direction))
            .filter(|edge| edge.weight.is_finite())
    }

    /// The edges of all pairs in both directions, followed by those from the virtual root.
    fn edges(&self, state: State) -> Vec<Edge> {
        let models = self.size();
        let mut edges = Vec::with_capacity(2 * self.family.pairs.len() + models);
        edges.extend(self.edges_of_pairs(state));
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
        self.constraints.hints(from, to, model) + given - costs::of_shared(pair.shared_sets, model)
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
        let bound = |&state: &State| (self.bound(state) - state.log_prior(), state);
        let mut bounds: Vec<(f64, State)> = parallel::map(states, bound);
        bounds.sort_by(|first, second| first.0.total_cmp(&second.0));
        let mut least = f64::INFINITY;
        let mut fits: Vec<Fit> = Vec::new();
        // Which states remain doesn't depend on how many are fitted at once.
        for bounds in bounds.chunks(FITTED_AT_ONCE) {
            let promising = bounds.iter().filter(|(bound, _)| *bound <= least + margin);
            for fit in parallel::map(promising, |&(_, state)| self.fit(state)) {
                fits.push(fit?);
            }
            least = fits.iter().map(Fit::cost).fold(least, f64::min);
            fits.retain(|fit| fit.cost() <= least + margin);
        }
        fits.sort_by_key(|fit| states.iter().position(|&state| state == fit.state));
        Ok(fits)
    }

    fn fit(&self, state: State) -> Result<Fit, RecoveryError> {
        let edges = self.edges(state);
        let root = Root::At(self.size());
        let (trees, certificate) =
            minimum_arborescence_sparse_certified(self.size() + 1, &edges, root)?;
        Ok(Fit {
            state,
            edges,
            trees,
            certificate,
        })
    }

    /// A lower bound on the cost of all trees: the cheapest edge into every model, except roots.
    fn bound(&self, state: State) -> f64 {
        let models = self.size();
        let mut least = alloc::vec![f64::INFINITY; models];
        for edge in self.edges_of_pairs(state) {
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

    /// How well squared distances of near pairs add up along the best trees.
    fn additivity(&self, fits: &[Fit]) -> Additivity {
        let best = (fits.iter()).min_by(|first, second| first.cost().total_cmp(&second.cost()));
        let parents = best.map_or_else(Vec::new, |fit| fit.trees.parents_before(self.size()));
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
        additivity::additivity(&parents, &steps, squared, (most, model))
    }
}
