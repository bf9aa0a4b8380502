//! The stage that produced each tree, estimated from all trees of a recovery together.

use alloc::vec::Vec;

use num_traits::Float;

use super::model::{JointConstant, JointModel};
use crate::heritage::{Stage, StageEstimate};
use crate::logarithms::log_add;

/// The possible stages of a tree; `None` if the score carries no information.
pub(super) const STAGES: [Option<Stage>; 3] = [
    Some(Stage::Specialization),
    Some(Stage::Generalization),
    None,
];

/// The prior probability of a stage.
pub(super) fn prior(stage: Option<Stage>, model: &JointModel) -> f64 {
    let tells = model.get(JointConstant::InformativeScore).min(1.0);
    if stage.is_some() {
        tells / 2.0
    } else {
        1.0 - tells
    }
}

/// For each of [`STAGES`], the log-likelihood of a tree's evidence, up to a constant.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageWeights([f64; 3]);

impl StageWeights {
    /// Sums over any number of states, each given with its stage and log-likelihood.
    pub(super) fn new(states: impl Iterator<Item = (Option<Stage>, f64)>) -> Self {
        let mut weights = [f64::NEG_INFINITY; 3];
        for (stage, weight) in states {
            for (sum, of) in weights.iter_mut().zip(STAGES) {
                if of == stage {
                    *sum = log_add(*sum, weight);
                }
            }
        }
        Self(weights)
    }

    /// The likelihoods relative to the largest.
    fn shares(self) -> [f64; 3] {
        let greatest = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (self.0).map(|weight| {
            if weight == greatest {
                1.0
            } else {
                Float::exp(weight - greatest)
            }
        })
    }
}

/// The stage of every tree, given what all of them say.
///
/// Most trees share one stage: a tree belongs to it with the probability [`JointConstant::SharedStage`], and otherwise
/// to any stage with its prior probability.
///
/// O(trees) time.
pub(super) fn estimate(trees: &[StageWeights], model: &JointModel) -> Vec<StageEstimate> {
    let shared = model.get(JointConstant::SharedStage).min(1.0);
    let prior = |stage| prior(stage, model);
    let shares: Vec<[f64; 3]> = trees.iter().map(|tree| tree.shares()).collect();
    let chosen_freely = |tree: &[f64; 3]| -> f64 {
        let stages = tree.iter().zip(STAGES);
        stages.map(|(share, stage)| share * prior(stage)).sum()
    };
    // The log-likelihood of a tree, given the shared stage.
    let given = |tree: &[f64; 3]| {
        tree.map(|share| Float::ln(shared * share + (1.0 - shared) * chosen_freely(tree)))
    };
    let mut all = STAGES.map(|stage| Float::ln(prior(stage)));
    for tree in &shares {
        for (sum, likelihood) in all.iter_mut().zip(given(tree)) {
            *sum += likelihood;
        }
    }
    let of_tree = |tree: &[f64; 3]| {
        let own = given(tree);
        let others: Vec<f64> = all.iter().zip(own).map(|(all, own)| all - own).collect();
        let greatest = others.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let common: Vec<f64> = others
            .iter()
            .map(|log| Float::exp(log - greatest))
            .collect();
        let any: f64 = common.iter().sum();
        let mut probabilities = [0.0; 3];
        for (at, stage) in STAGES.into_iter().enumerate() {
            let made_in = shared * common[at] + (1.0 - shared) * prior(stage) * any;
            probabilities[at] = tree[at] * made_in;
        }
        let total: f64 = probabilities.iter().sum();
        StageEstimate {
            specialization: probabilities[0] / total,
            generalization: probabilities[1] / total,
        }
    };
    shares.iter().map(of_tree).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: f64 = JointConstant::SharedStage.default_value();

    fn prior(stage: Option<Stage>) -> f64 {
        super::prior(stage, &JointModel::new())
    }

    fn estimate(trees: &[StageWeights]) -> Vec<StageEstimate> {
        super::estimate(trees, &JointModel::new())
    }

    fn weights(specialization: f64, generalization: f64, none: f64) -> StageWeights {
        let states = STAGES
            .into_iter()
            .zip([specialization, generalization, none]);
        StageWeights::new(states)
    }

    #[test]
    fn one_tree_has_its_own_posterior() {
        // A single tree's shared stage has the same prior as its own stage.
        let [estimate] = estimate(&[weights(2.0, 0.0, 0.0)])[..] else {
            panic!("one tree");
        };
        let odds = 0.45 * 2.0_f64.exp();
        let expected = odds / (odds + 0.45 + 0.1);
        assert!((estimate.specialization - expected).abs() < 1e-12);
    }

    #[test]
    fn trees_help_each_other_and_a_clear_one_stands_alone() {
        let weak = weights(0.0, 1.0, 0.0);
        let alone = estimate(&[weak])[0].generalization;
        let together = estimate(&[weak; 3])[0].generalization;
        assert!(together > alone + 0.05, "{alone} {together}");
        let mixed = estimate(&[weak, weak, weights(20.0, 0.0, 0.0)]);
        assert_eq!(mixed[2].stage(), Some(Stage::Specialization));
        // The sum over all stages of all trees, by brute force.
        let trees = [
            weights(0.3, 1.0, 0.1),
            weights(-0.5, 0.7, 0.0),
            weights(0.9, 0.2, 0.4),
        ];
        let mut sums = [[0.0; 3]; 3];
        for (shared, most) in STAGES.into_iter().enumerate() {
            for code in 0..27 {
                let stages = [code % 3, code / 3 % 3, code / 9];
                let mut weight = prior(most);
                for (tree, &stage) in trees.iter().zip(&stages) {
                    let same = if stage == shared { SHARED } else { 0.0 };
                    weight *= (same + (1.0 - SHARED) * prior(STAGES[stage])) * tree.0[stage].exp();
                }
                for (sum, &stage) in sums.iter_mut().zip(&stages) {
                    sum[stage] += weight;
                }
            }
        }
        for (found, sum) in estimate(&trees).iter().zip(sums) {
            let total: f64 = sum.iter().sum();
            assert!((found.specialization - sum[0] / total).abs() < 1e-12);
            assert!((found.generalization - sum[1] / total).abs() < 1e-12);
        }
    }

    #[test]
    fn many_clear_trees_leave_numbers() {
        let trees = alloc::vec![weights(-900.0, 0.0, f64::NEG_INFINITY); 3000];
        let estimates = estimate(&trees);
        assert!(
            estimates
                .iter()
                .all(|e| e.generalization > 0.99 && e.specialization >= 0.0)
        );
    }
}
