//! The joint decision: the arborescence of the least cost over distances, growth and scores.
//!
//! The cost is derived at [`Recovery`](super::Recovery).

use alloc::vec::Vec;

use num_traits::Float;

use super::cluster::{Cluster, Tree, cheapest_tree};
use super::{RecoveryError, Stage};
use crate::condensed::CondensedMatrix;

/// How much a doubling of the squared distance counts, in units of log-probability.
const SHARPNESS: f64 = 18.0;

/// Distances below this share of the cluster's largest one count as that.
const SMALLEST_DISTANCE: f64 = 1e-15;

/// The share of growth's cost that is left where its direction means nothing.
const UNDIRECTED: f64 = 1.0 / 3.0;

/// Relative differences of layer scores below this are rounding.
const SCORE_ROUNDING: f64 = 1e-12;

/// Whether growth tells the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrowthState {
    Directed,
    Undirected,
}

/// What is the same for all edges of a tree, but unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    growth: GrowthState,
    /// `None` where the score says nothing.
    stage: Option<Stage>,
}

impl State {
    /// All of them; of equally good trees that of the first is taken.
    const ALL: [Self; 6] = {
        const fn state(growth: GrowthState, stage: Option<Stage>) -> State {
            State { growth, stage }
        }
        use GrowthState::{Directed, Undirected};
        [
            state(Directed, Some(Stage::Specialization)),
            state(Directed, Some(Stage::Generalization)),
            state(Directed, None),
            state(Undirected, Some(Stage::Specialization)),
            state(Undirected, Some(Stage::Generalization)),
            state(Undirected, None),
        ]
    };

    fn prior(self) -> f64 {
        let growth = match self.growth {
            GrowthState::Directed => 0.97,
            GrowthState::Undirected => 0.03,
        };
        growth * if self.stage.is_some() { 0.45 } else { 0.1 }
    }
}

/// The tree of a cluster; a stage given for all leaves no other state, one given for a member
/// holds for the edge into it whatever the state.
pub(super) fn tree(
    cluster: &Cluster<'_>,
    stage: Option<Stage>,
    stages: &[Option<Stage>],
) -> Result<Tree, RecoveryError> {
    let pairs = Pairs::new(cluster)?;
    let mut best: Option<(f64, Tree)> = None;
    for state in State::ALL {
        if stage.is_some() && state.stage != stage {
            continue;
        }
        let tree = cheapest_tree(cluster.len(), |parent, child| {
            let stage = stages[child].or(state.stage);
            pairs.cost(parent, child, state.growth, stage)
        })?;
        let cost = tree.cost - Float::ln(state.prior());
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, tree));
        }
    }
    match best {
        Some((_, tree)) => Ok(tree),
        // Every stage has its states.
        None => cheapest_tree(cluster.len(), |parent, child| {
            cluster.distance(parent, child)
        }),
    }
}

/// What the cost of an edge is made of, for every pair of a cluster.
struct Pairs {
    /// c (ln D² + f).
    structure: CondensedMatrix,
    /// b from the first to the second model.
    growth: CondensedMatrix,
    /// v from the first to the second model.
    votes: CondensedMatrix,
}

impl Pairs {
    fn new(cluster: &Cluster<'_>) -> Result<Self, RecoveryError> {
        let models = cluster.len();
        let largest = cluster
            .distances()
            .values()
            .iter()
            .copied()
            .fold(0.0, f64::max);
        let scores: Vec<Vec<f64>> = (0..models)
            .map(|model| cluster.layer_scores(model))
            .collect();
        Ok(Self {
            structure: CondensedMatrix::from_fn(models, |first, second| {
                if largest == 0.0 {
                    return 0.0;
                }
                let distance = cluster.distance(first, second) / largest;
                let log = 2.0 * Float::ln(distance.max(SMALLEST_DISTANCE));
                SHARPNESS * (log + saving(cluster, first, second))
            })?,
            growth: CondensedMatrix::from_fn(models, |first, second| {
                let (coefficient, layer_error, model_error) =
                    cluster.growth(first, second).unwrap_or_default();
                let variance = layer_error * layer_error + SHARPNESS * model_error * model_error;
                (coefficient / (1.0 + variance)).clamp(-1.0, 1.0)
            })?,
            votes: CondensedMatrix::from_fn(models, |first, second| {
                vote(&scores[first], &scores[second])
            })?,
        })
    }

    fn cost(&self, parent: usize, child: usize, growth: GrowthState, stage: Option<Stage>) -> f64 {
        let directed = |table: &CondensedMatrix| {
            let value = table.distance(parent, child).unwrap_or(0.0);
            if parent < child { value } else { -value }
        };
        let grown = directed(&self.growth);
        let grown = match growth {
            GrowthState::Directed => grown,
            GrowthState::Undirected => UNDIRECTED * grown.abs(),
        };
        let risen = match stage {
            Some(Stage::Specialization) => directed(&self.votes),
            Some(Stage::Generalization) => -directed(&self.votes),
            None => 0.0,
        };
        self.structure.distance(parent, child).unwrap_or(0.0)
            + SHARPNESS * (1.0 - grown) / 2.0
            + Float::ln((1.0 + Float::exp(2.0 * risen)) / 2.0)
    }
}

/// f: the least share of the squared way from one end at which a third model branches off, 0 where
/// it does so at the end itself.
fn saving(cluster: &Cluster<'_>, first: usize, second: usize) -> f64 {
    let squared = |u, v| cluster.squared_distance(u, v);
    let whole = squared(first, second);
    let others = (0..cluster.len()).filter(|&other| other != first && other != second);
    let branch = |other: usize| {
        let (to_first, to_second) = (squared(first, other), squared(second, other));
        let from_first = whole + to_first - to_second;
        let from_second = whole + to_second - to_first;
        from_first.min(from_second) / (2.0 * whole)
    };
    let least = others.map(branch).fold(f64::INFINITY, f64::min);
    if whole > 0.0 && least.is_finite() {
        least.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// v: the share of layers on which the score rises less that of those on which it falls, less
/// what chance gives.
fn vote(first: &[f64], second: &[f64]) -> f64 {
    let (mut balance, mut layers) = (0.0, 0.0_f64);
    for (first, second) in first.iter().zip(second) {
        let difference = second - first;
        if difference.abs() > SCORE_ROUNDING * first.abs().max(second.abs()) {
            layers += 1.0;
            balance += difference.signum();
        }
    }
    if layers == 0.0 {
        return 0.0;
    }
    let share: f64 = balance / layers;
    share.signum() * (share.abs() - 1.0 / Float::sqrt(layers + 1.0)).max(0.0)
}
