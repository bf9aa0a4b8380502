//! What one edge costs: the terms that the dense and the sparse search have in common.
//!
//! The cost is derived at [`Recovery`](super::Recovery).

use num_traits::Float;

use super::stages;
use crate::heritage::Stage;

/// c: how much ln of the squared distance counts, in units of log-probability. Half the number of
/// dimensions that the steps of real trees seem to have.
pub(super) const SHARPNESS: f64 = 18.0;

/// The share of pairs that are joined although a shorter way leads past them.
const DETOURS: f64 = 0.7;

/// More than the costs of two edges can differ: by the logarithm of [`SMALLEST_DISTANCE`]², growth,
/// what a third model saves, times and scores.
pub(super) const COST_RANGE: f64 = 2000.0;

/// Distances below this share of the cluster's largest one count as that.
const SMALLEST_DISTANCE: f64 = 1e-15;

/// The share of growth's cost that is left where its direction means nothing.
const UNDIRECTED: f64 = 1.0 / 3.0;

/// What every edge costs more where steps make weights shorter: scores that are wrong about a whole
/// chain must not turn growth round.
const SHORTENING: f64 = 1.0;

/// However well distances add up, costs count for confidences at most so many times.
const MOST_BELIEF: f64 = 2.0;

/// What an edge costs whose child was uploaded before its parent: ln of the odds of 0.997.
pub(super) const EARLY: f64 = 5.8;

/// How much cheaper an edge is that somebody claims: ln of the odds of 0.9.
pub(super) const CLAIMED: f64 = 2.2;

/// The share of edges that are wrong for reasons the evidence doesn't show.
const UNFORESEEN: f64 = 0.03;

/// States whose best tree costs so much more than the best of all don't count.
pub(super) const NEGLIGIBLE: f64 = 30.0;

/// How growth tells the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GrowthState {
    /// Steps make weights longer.
    Directed,
    /// It doesn't.
    Undirected,
    /// Steps make weights shorter.
    Reversed,
}

/// What is the same for all edges of a tree, but unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) growth: GrowthState,
    /// `None` where the score says nothing.
    pub(super) stage: Option<Stage>,
}

impl State {
    /// All of them; of equally good trees that of the first is taken.
    pub(super) const ALL: [Self; 9] = {
        const fn state(growth: GrowthState, stage: Option<Stage>) -> State {
            State { growth, stage }
        }
        use GrowthState::{Directed, Reversed, Undirected};
        [
            state(Directed, Some(Stage::Specialization)),
            state(Directed, Some(Stage::Generalization)),
            state(Directed, None),
            state(Undirected, Some(Stage::Specialization)),
            state(Undirected, Some(Stage::Generalization)),
            state(Undirected, None),
            state(Reversed, Some(Stage::Specialization)),
            state(Reversed, Some(Stage::Generalization)),
            state(Reversed, None),
        ]
    };

    pub(super) fn prior_of_growth(self) -> f64 {
        match self.growth {
            GrowthState::Directed => 0.97,
            GrowthState::Undirected => 0.03,
            GrowthState::Reversed => 0.003,
        }
    }

    pub(super) fn prior(self) -> f64 {
        self.prior_of_growth() * stages::prior(self.stage)
    }
}

/// What the cost of one edge is made of, but for what is known beside the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeTerms {
    /// c ln D² + c f, and what the detour costs.
    pub(super) structure: f64,
    /// b from the parent to the child.
    pub(super) growth: f64,
    /// v from the parent to the child.
    pub(super) vote: f64,
}

impl EdgeTerms {
    pub(super) fn cost(self, growth: GrowthState, stage: Option<Stage>) -> f64 {
        let against_growth = match growth {
            GrowthState::Directed => SHARPNESS * (1.0 - self.growth) / 2.0,
            GrowthState::Undirected => SHARPNESS * (1.0 - UNDIRECTED * self.growth.abs()) / 2.0,
            GrowthState::Reversed => SHARPNESS * (1.0 + self.growth) / 2.0 + SHORTENING,
        };
        let risen = match stage {
            Some(Stage::Specialization) => self.vote,
            Some(Stage::Generalization) => -self.vote,
            None => 0.0,
        };
        self.structure + against_growth + Float::ln((1.0 + Float::exp(2.0 * risen)) / 2.0)
    }
}

/// c ln D² + c f.
pub(super) fn structure(log_squared: f64, saving: f64) -> f64 {
    SHARPNESS * (log_squared + saving)
}

/// ln D², for a distance as a share of the largest.
pub(super) fn log_squared(distance: f64) -> f64 {
    2.0 * Float::ln(distance.max(SMALLEST_DISTANCE))
}

/// b: growth, shrunk by its errors.
pub(super) fn shrunk_growth(coefficient: f64, layer_error: f64, model_error: f64) -> f64 {
    let variance = layer_error * layer_error + SHARPNESS * model_error * model_error;
    (coefficient / (1.0 + variance)).clamp(-1.0, 1.0)
}

/// At which share of the squared way between two models a third branches off, from the nearer end; all
/// three distances are squared.
pub(super) fn branch(whole: f64, to_first: f64, to_second: f64) -> f64 {
    let from_first = whole + to_first - to_second;
    let from_second = whole + to_second - to_first;
    from_first.min(from_second) / (2.0 * whole)
}

/// f, from the least [`branch`] over all third models.
pub(super) fn saving(whole: f64, least_branch: f64) -> f64 {
    if whole > 0.0 && least_branch.is_finite() {
        least_branch.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// What a detour costs; `log_ratio` is ln of the squared distance over the largest one on the way in
/// the minimum spanning tree.
pub(super) fn detour(log_ratio: f64, sharpness: f64) -> f64 {
    let by_chance = Float::exp(-(sharpness - SHARPNESS) * log_ratio.max(0.0));
    -Float::ln(DETOURS + (1.0 - DETOURS) * by_chance)
}

/// How many times costs count for confidences, given how well distances add up.
pub(super) fn belief(sharpness: f64) -> f64 {
    Float::sqrt(sharpness / SHARPNESS).min(MOST_BELIEF)
}

/// A probability less what the evidence can't show.
///
/// Of the edges that were thought certain a few in a hundred were wrong, for reasons that no distance
/// shows; so that share is spread evenly over all parents.
pub(in crate::heritage) fn less_unforeseen(probability: f64, members: usize) -> f64 {
    let any = 1.0 / members.max(1) as f64;
    ((1.0 - UNFORESEEN) * probability + UNFORESEEN * any).clamp(0.0, 1.0)
}
