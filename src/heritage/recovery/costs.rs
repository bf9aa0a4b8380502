//! The cost of one edge: the terms that the dense and the sparse search share.
//!
//! The cost is derived in the documentation of [`JointModel`](super::JointModel).

use num_traits::Float;

use super::model::{JointConstant, JointModel};
use super::stages;
use crate::heritage::Stage;

/// More than the costs of two edges can differ, as long as c is at most [`USUAL_RANGE`]: by the logarithm of
/// [`SMALLEST_DISTANCE`]², growth, the leaf gap, times, scores, and parents that carry no information.
pub(super) const COST_RANGE: f64 = 10_000.0;

/// Costs that are greater than any distance can make them grow with c beyond this.
const USUAL_RANGE: f64 = 80.0;

/// [`COST_RANGE`] for any c.
pub(super) fn range(half_dimension: f64) -> f64 {
    COST_RANGE * (half_dimension / USUAL_RANGE).max(1.0)
}

/// [`SAYS_NOTHING`] for any c.
pub(super) fn says_nothing(half_dimension: f64) -> f64 {
    SAYS_NOTHING * (half_dimension / USUAL_RANGE).max(1.0)
}

/// Distances below this share of the cluster's largest distance are rounded up to it.
const SMALLEST_DISTANCE: f64 = 1e-15;

/// A larger |β| only means that the fit failed.
const LARGEST_GROWTH: f64 = 10.0;

/// The cost of an edge from a parent that carries no information about its child: more than its distance can
/// gain. It is finite because otherwise there might be no tree at all.
pub(super) const SAYS_NOTHING: f64 = 4000.0;

/// States are dropped if their best tree costs this much more than the best of all.
pub(super) const NEGLIGIBLE: f64 = 30.0;

/// How growth behaves along all edges of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GrowthState {
    /// The mean β of its edges.
    pub(super) mean: f64,
    prior: f64,
}

impl GrowthState {
    /// From steps orthogonal to their starting point (1), through small and pruned models (0.3 to 0.6) and
    /// training that preserves norms (0), to steps that shorten weights more than decay would.
    fn all(model: &JointModel) -> [Self; 6] {
        let kept = model.get(JointConstant::NormPreserving).min(1.0);
        let shortened = model.get(JointConstant::Shortening).min(1.0 - kept);
        let lengthened = (1.0 - kept - shortened) / 93.0;
        [
            (0.95, 46.0 * lengthened),
            (0.6, 26.0 * lengthened),
            (0.3, 21.0 * lengthened),
            (0.0, kept),
            (-0.4, 0.5 * shortened),
            (-0.9, 0.5 * shortened),
        ]
        .map(|(mean, prior)| Self { mean, prior })
    }
}

/// Unknowns that all edges of a tree share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    pub(super) growth: GrowthState,
    /// `None` if the score carries no information.
    pub(super) stage: Option<Stage>,
    prior_of_stage: f64,
}

impl State {
    /// All possible states. Among equally good trees, the one of the first state is taken.
    pub(super) fn all(model: &JointModel) -> impl Iterator<Item = Self> {
        let of_growth = |growth| {
            stages::STAGES.map(|stage| Self {
                growth,
                stage,
                prior_of_stage: stages::prior(stage, model),
            })
        };
        let states = GrowthState::all(model).into_iter().flat_map(of_growth);
        states.filter(|state| state.prior() > 0.0)
    }

    pub(super) const fn prior_of_growth(self) -> f64 {
        self.growth.prior
    }

    pub(super) fn prior(self) -> f64 {
        self.prior_of_growth() * self.prior_of_stage
    }
}

/// β from one model to another, and its squared error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GrowthEvidence {
    coefficient: f64,
    variance: f64,
}

impl GrowthEvidence {
    /// No evidence.
    pub(super) const NONE: Self = Self {
        coefficient: 0.0,
        variance: f64::INFINITY,
    };

    pub(super) fn new(coefficient: f64, layer_error: f64, model_error: f64) -> Self {
        Self {
            coefficient: coefficient.clamp(-LARGEST_GROWTH, LARGEST_GROWTH),
            variance: layer_error * layer_error + model_error * model_error,
        }
    }

    /// The evidence in the opposite direction.
    pub(super) const fn reversed(self) -> Self {
        Self {
            coefficient: -self.coefficient,
            variance: self.variance,
        }
    }

    /// −ln of the likelihood ratio of β on an edge to β between two models that no edge joins.
    fn cost(self, growth: GrowthState, model: &JointModel) -> f64 {
        if !self.variance.is_finite() {
            return 0.0;
        }
        let of_edge = self.log_density(growth.mean, JointConstant::EdgeGrowthDeviation, model);
        let of_others = self.log_density(0.0, JointConstant::NonEdgeGrowthDeviation, model);
        model.get(JointConstant::GrowthWeight) * (of_others - of_edge)
    }

    /// The log-likelihood ratio of β under two hypotheses: that this share of the squared distance is the
    /// first model's own step from a common parent, and that all of it is a step from the first model to the
    /// second.
    pub(super) fn log_ratio_below(self, mean: f64, share: f64, model: &JointModel) -> f64 {
        if !self.variance.is_finite() {
            return 0.0;
        }
        let density = |mean| self.log_density(mean, JointConstant::EdgeGrowthDeviation, model);
        let below = density(mean * (1.0 - 2.0 * share));
        model.get(JointConstant::GrowthWeight) * (below - density(mean))
    }

    /// ln of the density of Student's t with this spread, up to a term that depends only on its degrees of freedom.
    fn log_density(self, mean: f64, spread: JointConstant, model: &JointModel) -> f64 {
        let spread = model.get(spread);
        let variance = self.variance + spread * spread;
        let squared = (self.coefficient - mean) * (self.coefficient - mean) / variance;
        // Fewer than one have no mean.
        let degrees_of_freedom = model.get(JointConstant::GrowthDegreesOfFreedom).max(1.0);
        let tail = Float::ln_1p(squared / degrees_of_freedom);
        -0.5 * (Float::ln(variance) + (degrees_of_freedom + 1.0) * tail)
    }
}

/// The terms of one edge's cost, apart from prior knowledge.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeTerms {
    /// c (ln D² + f), and the cost of not being the shortest path.
    pub(super) structure: f64,
    /// From the parent to the child.
    pub(super) growth: GrowthEvidence,
    /// v from the parent to the child.
    pub(super) vote: f64,
}

impl EdgeTerms {
    pub(super) fn cost(self, growth: GrowthState, stage: Option<Stage>, model: &JointModel) -> f64 {
        let risen = match stage {
            Some(Stage::Specialization) => self.vote,
            Some(Stage::Generalization) => -self.vote,
            None => 0.0,
        } * model.get(JointConstant::ScoreWeight);
        let against_score = Float::ln((1.0 + Float::exp(2.0 * risen)) / 2.0);
        self.structure + self.growth.cost(growth, model) + against_score
    }
}

/// ln D², with the distance as a share of the largest one.
pub(super) fn log_squared(distance: f64) -> f64 {
    2.0 * Float::ln(distance.max(SMALLEST_DISTANCE))
}

/// The share of the squared distance between two models at which a third branches off, from the nearer end.
/// All three distances are squared.
pub(super) fn branch(whole: f64, to_first: f64, to_second: f64) -> f64 {
    let from_first = whole + to_first - to_second;
    let from_second = whole + to_second - to_first;
    from_first.min(from_second) / (2.0 * whole)
}

/// f, computed from the smallest [`branch`] over all third models.
pub(super) fn leaf_gap(whole: f64, least_branch: f64) -> f64 {
    if whole > 0.0 && least_branch.is_finite() {
        least_branch.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// The cost of an edge that isn't on the minimum spanning tree. `log_ratio` is ln of its squared distance
/// divided by the largest one on the path along that tree.
pub(super) fn non_shortest(log_ratio: f64, model: &JointModel) -> f64 {
    let dimension =
        model.get(JointConstant::ChanceHalfDimension) - model.get(JointConstant::HalfDimension);
    let share = model.get(JointConstant::NonShortest).min(1.0);
    let by_chance = Float::exp(-dimension.max(0.0) * log_ratio.max(0.0));
    -Float::ln(share + (1.0 - share) * by_chance)
}

/// A probability, reduced for errors that the evidence can't show.
///
/// A few per cent of the edges that seemed certain were wrong, for reasons that no distance shows. That share
/// is spread evenly over all parents.
pub(in crate::heritage) fn allow_for_unexplained_errors(
    probability: f64,
    members: usize,
    model: &JointModel,
) -> f64 {
    let share = model.get(JointConstant::UnexplainedError).min(1.0);
    let any = 1.0 / members.max(1) as f64;
    ((1.0 - share) * probability + share * any).clamp(0.0, 1.0)
}
