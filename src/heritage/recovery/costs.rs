//! The cost of one edge: the terms that the dense and the sparse search share.
//!
//! The cost is derived in the documentation of [`JointModel`](super::JointModel).

use alloc::vec::Vec;
use core::f64::consts::TAU;

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

/// A larger |β| doesn't come from training: a step would have to point along the weights, or against them. Rows or columns
/// were rescaled, as by merging IA3.
const PLAUSIBLE_GROWTH: f64 = 4.0;

/// The cost of an edge from a parent that carries no information about its child: more than its distance can
/// gain. It is finite because otherwise there might be no tree at all.
pub(super) const SAYS_NOTHING: f64 = 4000.0;

/// The most that shared weights reduce the cost of an edge: less than [`SAYS_NOTHING`].
const MOST_SHARED: f64 = 1200.0;

/// States are dropped if their best tree costs this much more than the best of all.
pub(super) const NEGLIGIBLE: f64 = 30.0;

/// How growth behaves along all edges of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GrowthState {
    /// The mean β of its edges.
    pub(super) mean: f64,
    regularity: Regularity,
    /// The factor of ln(1 + …) in [`GrowthTerms::cost`].
    exponent: f64,
    log_prior: f64,
}

/// How closely β follows its mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regularity {
    /// Closely, as in most trees.
    Regular,
    /// Loosely, as in trees of small models that unlearn much.
    Erratic,
}

impl GrowthState {
    /// From steps orthogonal to their starting point (1), through small and pruned models (0.3 to 0.6) and
    /// training that preserves norms (0), to steps that shorten weights more than decay would; and erratic
    /// growth, whose likelihood ratio to regular growth between models that no edge joins has this logarithm.
    fn all(model: &JointModel, log_ratio: f64) -> [Self; 7] {
        let share = |constant| model.get(constant).min(1.0);
        let erratic = share(JointConstant::Erratic);
        let kept = (1.0 - erratic) * share(JointConstant::NormPreserving);
        let shortened = (1.0 - erratic - kept) * share(JointConstant::Shortening);
        let lengthened = (1.0 - erratic - kept - shortened) / 93.0;
        let state = |regularity, mean, log_prior| Self {
            mean,
            regularity,
            exponent: Spreads::new(regularity, model).edges.exponent(),
            log_prior,
        };
        let regular = |mean, prior| state(Regularity::Regular, mean, Float::ln(prior));
        let mean = model.get(JointConstant::ErraticGrowth);
        [
            regular(0.95, 46.0 * lengthened),
            regular(0.6, 26.0 * lengthened),
            regular(0.3, 21.0 * lengthened),
            regular(0.0, kept),
            regular(-0.4, 0.5 * shortened),
            regular(-0.9, 0.5 * shortened),
            state(Regularity::Erratic, mean, Float::ln(erratic) + log_ratio),
        ]
    }
}

/// Unknowns that all edges of a tree share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    pub(super) growth: GrowthState,
    /// `None` if the score carries no information.
    pub(super) stage: Option<Stage>,
    log_prior_of_stage: f64,
}

impl State {
    /// All possible states of a tree, given the number of its models and the growth between its pairs. Among equally
    /// good trees, the one of the first state is taken.
    pub(super) fn all(
        model: &JointModel,
        models: usize,
        growth: impl Iterator<Item = GrowthEvidence>,
    ) -> Vec<Self> {
        let of_growth = |growth| {
            stages::STAGES.map(|stage| Self {
                growth,
                stage,
                log_prior_of_stage: Float::ln(stages::prior(stage, model)),
            })
        };
        let erratic = GrowthEvidence::erratic_ratio(growth, models, model);
        let states = (GrowthState::all(model, erratic).into_iter()).flat_map(of_growth);
        states
            .filter(|state| state.log_prior() > f64::NEG_INFINITY)
            .collect()
    }

    pub(super) const fn log_prior_of_growth(self) -> f64 {
        self.growth.log_prior
    }

    pub(super) fn log_prior(self) -> f64 {
        self.log_prior_of_growth() + self.log_prior_of_stage
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

    /// ln of the likelihood ratio of erratic to regular growth if no edge joined these pairs of models. All pairs
    /// follow from the norms of the models, so together they count as much as there are edges.
    fn erratic_ratio(pairs: impl Iterator<Item = Self>, models: usize, model: &JointModel) -> f64 {
        let [regular, erratic] =
            [Regularity::Regular, Regularity::Erratic].map(|of| Spreads::new(of, model));
        let ratio = |pair: Self| {
            pair.log_density(0.0, erratic.others) - pair.log_density(0.0, regular.others)
        };
        let known = pairs.filter(|pair| pair.variance.is_finite());
        let mut ratios: Vec<f64> = known.map(ratio).collect();
        // The sum must not depend on the order of models.
        ratios.sort_unstable_by(f64::total_cmp);
        let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
        model.get(JointConstant::GrowthWeight) * mean * models.saturating_sub(1) as f64
    }

    /// The log-likelihood ratio of β under two hypotheses: that this share of the squared distance is the
    /// first model's own step from a common parent, and that all of it is a step from the first model to the
    /// second.
    pub(super) fn log_ratio_below(self, mean: f64, share: f64, model: &JointModel) -> f64 {
        if !self.variance.is_finite() {
            return 0.0;
        }
        let spread = Spreads::new(Regularity::Regular, model).edges;
        let below = self.log_density(mean * (1.0 - 2.0 * share), spread);
        model.get(JointConstant::GrowthWeight) * (below - self.log_density(mean, spread))
    }

    /// ln of the density of β around this mean, up to a constant.
    fn log_density(self, mean: f64, spread: Spread) -> f64 {
        let variance = spread.variance(self);
        let squared = (self.coefficient - mean) * (self.coefficient - mean) / variance;
        let log_density = spread.log_density_at_mean(variance)
            - spread.exponent() * Float::ln_1p(squared / spread.degrees_of_freedom);
        or_rescaled(log_density, self.rescaled(spread.rescaled))
    }

    /// The probability that a model was rescaled, 0 if its growth is plausible.
    fn rescaled(self, share: f64) -> f64 {
        if self.coefficient.abs() > PLAUSIBLE_GROWTH {
            share
        } else {
            0.0
        }
    }
}

/// The likelihood of β between two models, as far as it is the same for all states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GrowthTerms {
    coefficient: f64,
    regular: LikelihoodRatio,
    erratic: LikelihoodRatio,
}

/// The likelihood ratio of β on an edge to β between two models that no edge joins.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LikelihoodRatio {
    /// ln of the density on an edge if β is at the mean.
    at_mean: f64,
    /// ln of the density of this β between two models that no edge joins.
    of_others: f64,
    /// See [`or_rescaled`].
    rescaled: f64,
    /// The factor of (β − mean)² in [`GrowthTerms::cost`].
    precision: f64,
}

impl GrowthTerms {
    /// The terms of many pairs.
    pub(super) fn all(
        growth: impl Iterator<Item = GrowthEvidence>,
        model: &JointModel,
    ) -> Vec<Self> {
        let spreads = [Regularity::Regular, Regularity::Erratic].map(|of| Spreads::new(of, model));
        let terms = |growth: GrowthEvidence| {
            let [regular, erratic] = spreads.map(|Spreads { edges, others }| {
                if !growth.variance.is_finite() {
                    return LikelihoodRatio {
                        at_mean: 0.0,
                        of_others: 0.0,
                        rescaled: 0.0,
                        precision: 0.0,
                    };
                }
                let variance = edges.variance(growth);
                LikelihoodRatio {
                    at_mean: edges.log_density_at_mean(variance),
                    of_others: growth.log_density(0.0, others),
                    rescaled: growth.rescaled(edges.rescaled),
                    precision: 1.0 / (variance * edges.degrees_of_freedom),
                }
            });
            Self {
                coefficient: growth.coefficient,
                regular,
                erratic,
            }
        };
        growth.map(terms).collect()
    }

    /// The terms in the opposite direction.
    pub(super) const fn reversed(self) -> Self {
        Self {
            coefficient: -self.coefficient,
            ..self
        }
    }

    /// −ln of the likelihood ratio of β on an edge to β between two models that no edge joins.
    fn cost(self, state: GrowthState) -> f64 {
        let ratio = match state.regularity {
            Regularity::Regular => self.regular,
            Regularity::Erratic => self.erratic,
        };
        let deviation = self.coefficient - state.mean;
        let tail = Float::ln_1p(ratio.precision * deviation * deviation);
        let log_density = ratio.at_mean - state.exponent * tail;
        ratio.of_others - or_rescaled(log_density, ratio.rescaled)
    }
}

/// ln of the density of β if, with this probability, it is evenly spread over all that isn't plausible.
fn or_rescaled(log_density: f64, probability: f64) -> f64 {
    if probability == 0.0 {
        return log_density;
    }
    // Densities are relative to one whose integral is √(2π).
    let even = Float::sqrt(TAU) / (2.0 * (LARGEST_GROWTH - PLAUSIBLE_GROWTH));
    Float::ln((1.0 - probability) * Float::exp(log_density) + probability * even)
}

/// The distributions of β around its mean, on edges and between models that no edge joins.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spreads {
    edges: Spread,
    others: Spread,
}

impl Spreads {
    fn new(regularity: Regularity, model: &JointModel) -> Self {
        let (degrees_of_freedom, error_share, deviations) = match regularity {
            Regularity::Regular => (
                JointConstant::GrowthDegreesOfFreedom,
                model.get(JointConstant::GrowthErrorShare),
                [
                    JointConstant::EdgeGrowthDeviation,
                    JointConstant::NonEdgeGrowthDeviation,
                ],
            ),
            Regularity::Erratic => (
                JointConstant::ErraticDegreesOfFreedom,
                1.0,
                [
                    JointConstant::ErraticEdgeDeviation,
                    JointConstant::ErraticNonEdgeDeviation,
                ],
            ),
        };
        let [edges, others] = deviations.map(|deviation| Spread {
            deviation: model.get(deviation),
            error_share,
            rescaled: model.get(JointConstant::Rescaled).min(1.0),
            ..Spread::new(model.get(degrees_of_freedom))
        });
        Self { edges, others }
    }
}

/// The shape of one of these distributions: Student's t.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    deviation: f64,
    /// The share of the squared error of β that is counted.
    error_share: f64,
    degrees_of_freedom: f64,
    /// The probability that β isn't plausible because a model was rescaled.
    rescaled: f64,
    /// ln of the density at the mean for a variance of 1, relative to that of a normal distribution.
    log_peak: f64,
}

impl Spread {
    /// All of the error of β, and no deviation besides.
    fn new(degrees_of_freedom: f64) -> Self {
        // Fewer than one have no mean.
        let degrees_of_freedom = degrees_of_freedom.max(1.0);
        // Γ((ν + 1) / 2) / Γ(ν / 2) · √(2 / ν), to 1e-4 from 3 degrees of freedom.
        let inverse = 1.0 / degrees_of_freedom;
        let peak = 1.0 - inverse * (0.25 - inverse * (0.03125 + inverse * 0.0390625));
        Self {
            deviation: 0.0,
            error_share: 1.0,
            rescaled: 0.0,
            degrees_of_freedom,
            log_peak: Float::ln(peak),
        }
    }

    /// The variance of this β around its mean.
    fn variance(self, growth: GrowthEvidence) -> f64 {
        self.error_share * growth.variance + self.deviation * self.deviation
    }

    /// ln of the density at the mean, up to the constant of [`GrowthEvidence::log_density`].
    fn log_density_at_mean(self, variance: f64) -> f64 {
        self.log_peak - 0.5 * Float::ln(variance)
    }

    /// The exponent of the density.
    fn exponent(self) -> f64 {
        0.5 * (self.degrees_of_freedom + 1.0)
    }
}

/// The terms of one edge's cost, apart from prior knowledge.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeTerms {
    /// c (ln D² + f), and the cost of not being the shortest path.
    pub(super) structure: f64,
    /// From the parent to the child.
    pub(super) growth: GrowthTerms,
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
        let against_score = if risen == 0.0 {
            0.0
        } else {
            Float::ln((1.0 + Float::exp(2.0 * risen)) / 2.0)
        };
        let growth = model.get(JointConstant::GrowthWeight) * self.growth.cost(growth);
        self.structure + growth + against_score
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

/// How much less an edge costs between two models that are both in this many sets of models that share weights.
pub(super) fn of_shared(sets: usize, model: &JointModel) -> f64 {
    f64::min(
        model.get(JointConstant::SharedWeights) * sets as f64,
        MOST_SHARED,
    )
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

/// Errors that the evidence can't show.
///
/// A few per cent of the edges that seemed certain were wrong, for reasons that no distance shows. That share is spread
/// evenly over all parents.
#[derive(Clone, Copy, Debug)]
pub(in crate::heritage) struct UnexplainedErrors {
    share: f64,
    members: usize,
}

impl UnexplainedErrors {
    /// In a cluster of this many models.
    pub(in crate::heritage) fn new(members: usize, model: &JointModel) -> Self {
        Self {
            share: model.get(JointConstant::UnexplainedError).min(1.0),
            members,
        }
    }

    /// In a large cluster, whose c is well known. Errors are rarer where unrelated steps are nearly orthogonal: their share
    /// is taken to be proportional to the typical cosine between steps, √(1 / 2c), with the c of at most a small cluster.
    pub(super) fn with_half_dimension(self, half_dimension: f64, model: &JointModel) -> Self {
        let usual = model.get(JointConstant::HalfDimension);
        let most = model.get(JointConstant::DimensionFactorLimit).max(1.0);
        let share = self.share / Float::sqrt((half_dimension / usual).clamp(1.0, most));
        Self { share, ..self }
    }

    /// A probability, reduced for these errors.
    pub(in crate::heritage) fn allow_for(self, probability: f64) -> f64 {
        let any = 1.0 / self.members.max(1) as f64;
        ((1.0 - self.share) * probability + self.share * any).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_spreads(model: &JointModel) -> [Spread; 4] {
        let [regular, erratic] = [Regularity::Regular, Regularity::Erratic]
            .map(|regularity| Spreads::new(regularity, model));
        [regular.edges, regular.others, erratic.edges, erratic.others]
    }

    /// The integral of a density, up to ±`most`.
    fn integral(spread: Spread, most: i32) -> f64 {
        let density = |at: i32| {
            let growth = GrowthEvidence {
                coefficient: 1e-2 * (f64::from(at) + 0.5),
                variance: 0.04,
            };
            // The constant that plausible growth leaves out.
            let share = 1.0 - spread.rescaled + growth.rescaled(spread.rescaled);
            share * growth.log_density(0.3, spread).exp()
        };
        // The densities are relative to one whose integral is √(2π).
        (-100 * most..100 * most).map(density).sum::<f64>() * 1e-2 / TAU.sqrt()
    }

    #[test]
    fn densities_of_growth_are_normalised() {
        let trained = JointModel::new().without(JointConstant::Rescaled);
        for spread in all_spreads(&trained) {
            let integral = integral(spread, 100);
            assert!((integral - 1.0).abs() < 2e-4, "{spread:?}: {integral}");
        }
        for spread in all_spreads(&JointModel::new()) {
            let integral = integral(spread, 10);
            assert!((integral - 1.0).abs() < 2e-4, "{spread:?}: {integral}");
        }
    }

    #[test]
    fn growth_beyond_what_training_does_shows_no_direction() {
        let between = |coefficient: f64| {
            let growth = GrowthEvidence::new(coefficient, 0.1, 0.1);
            let of = |model: &JointModel| {
                let state = GrowthState::all(model, 0.0)[0];
                let terms = GrowthTerms::all([growth, growth.reversed()].into_iter(), model);
                terms[1].cost(state) - terms[0].cost(state)
            };
            [
                of(&JointModel::new()),
                of(&JointModel::new().without(JointConstant::Rescaled)),
            ]
        };
        let [with, without] = between(0.9);
        assert!(with == without && with > 10.0, "{with} {without}");
        let [with, without] = between(-8.0);
        assert!(with.abs() < 0.1 && without < -5.0, "{with} {without}");
    }

    #[test]
    fn wild_growth_is_more_likely_to_be_erratic() {
        let model = JointModel::new();
        let ratio = |coefficients: &[f64]| {
            let pairs = coefficients
                .iter()
                .map(|&coefficient| GrowthEvidence::new(coefficient, 0.1, 0.1));
            GrowthEvidence::erratic_ratio(pairs, 5, &model)
        };
        assert!(ratio(&[0.1, -0.3, 0.2, 0.0]) < -2.0);
        assert!(ratio(&[1.8, -2.5, 0.4, -0.9]) > 10.0);
        assert_eq!(ratio(&[]), 0.0);
        // Pairs are not independent observations.
        let (few, many) = (ratio(&[1.0, -2.0]), ratio(&[1.0, -2.0, 1.0, -2.0]));
        assert!((few - many).abs() < 1e-12, "{few} {many}");
    }
}
