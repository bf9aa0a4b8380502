//! Missing parents: points without a model where the paths between models meet.
//!
//! Steps are nearly orthogonal, so squared distances add up along the tree: the squared distance between two
//! siblings is the sum of the squared lengths of their steps from the parent. If the parent is missing, the
//! recovered tree has one child, u, in its place, and the paths from u to the others share its own step:
//!
//! ```text
//!        (missing)                u
//!        /   |   \               / \        o(v, w) = (d²(u, v) + d²(u, w) − d²(v, w)) / 2
//!       u    v    w             v   w               = the squared length of the step to u
//! ```
//!
//! If u is the parent, o(v, w) has mean 0 and variance d²(u, v) d²(u, w) / N, where N is the effective
//! dimension of steps. All neighbours of u in the tree are considered, including its parent. Siblings trained
//! on the same data share part of their steps as well, and no distance can distinguish that from a missing
//! parent. The tree's typical value, the median of o(v, w) / (d(u, v) d(u, w)), is subtracted.

use alloc::vec;
use alloc::vec::Vec;

use num_traits::Float;

use super::costs::GrowthEvidence;
use super::model::{JointConstant, JointModel};
use crate::condensed::pairs_of;

/// The largest number of a model's nearest neighbours to consider.
const NEAREST: usize = 24;

/// The log odds that the tree is right about a model's own parent.
const DIRECTION: f64 = 3.0;

/// The number of pairs that the prior counts for. It says that neighbours usually share nothing.
const PRIOR_PAIRS: f64 = 5.0;

/// The largest cosine between steps that counts as typical. Pruning half of a tree's models gives 0.2.
const MOST_USUAL: f64 = 0.25;

/// Two points on the path between two models are the same if they differ by at most this share of it.
const SAME: f64 = 0.3;

/// A point without a model where the paths from a model to some of its neighbours diverge.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MissingParent {
    /// The model found in its place.
    pub(super) beside: usize,
    /// The neighbours of the model with paths to each other through the point.
    pub(super) neighbours: Vec<usize>,
    /// The squared distance from the model to the point.
    pub(super) squared_distance: f64,
    /// The probability that there is such a point.
    pub(super) probability: f64,
    /// The probability, if there is one, that the model descends from it and not the other way round.
    pub(super) above: f64,
}

impl MissingParent {
    /// Whether two points are the same place on the path between their two models. Each model must be a
    /// neighbour of the other's point.
    pub(super) fn is_the_same(&self, other: &Self, distance: impl Fn(usize, usize) -> f64) -> bool {
        let whole = distance(self.beside, other.beside);
        let beyond = self.squared_distance + other.squared_distance - whole * whole;
        self.neighbours.contains(&other.beside)
            && other.neighbours.contains(&self.beside)
            && beyond.abs() <= SAME * whole * whole
    }
}

/// A tree with the evidence about its models.
pub(super) struct FoundTree<'a> {
    pub(super) parents: &'a [Option<usize>],
    /// Whether a model was trained. Copies and averages have no steps of their own.
    pub(super) is_trained: &'a dyn Fn(usize) -> bool,
    /// The squared distance between two models, if they were compared.
    pub(super) squared_distance: &'a dyn Fn(usize, usize) -> Option<f64>,
    /// The growth from one model to another.
    pub(super) growth: &'a dyn Fn(usize, usize) -> GrowthEvidence,
    /// The mean growth of the tree's edges.
    pub(super) mean_growth: f64,
    pub(super) model: &'a JointModel,
}

/// The shared parts of the paths from a model to its neighbours.
struct Shares {
    neighbours: Vec<usize>,
    /// The neighbours' squared distances from the model.
    steps: Vec<f64>,
    /// o / (d d) and 1 / (d² d²) for every pair of neighbours; `None` if the two weren't compared.
    pairs: Vec<Option<(f64, f64)>>,
}

/// Neighbours that share the path to one point.
struct Meeting {
    /// By their place in the list of neighbours, ascending.
    members: Vec<usize>,
    /// The squared distance to the point, and the same without the typical share.
    squared_distance: f64,
    unusual: f64,
    /// L / c: the log-likelihood ratio, in units of c, that the neighbours meet at the point and not at the
    /// model.
    unlikelihood: f64,
}

impl FoundTree<'_> {
    /// Finds possible missing parents, at most one next to every model with children.
    ///
    /// # Complexity
    ///
    /// O(k³) time for each model with k neighbours, of which at most 24 count.
    pub(super) fn missing_parents(&self) -> Vec<MissingParent> {
        let shares = self.shares();
        let usual = usual(&shares);
        let found = (shares.iter().enumerate()).filter_map(|(model, shares)| {
            let meeting = shares.meeting(usual)?;
            Some(self.missing_parent(model, shares, &meeting))
        });
        found.collect()
    }

    fn shares(&self) -> Vec<Shares> {
        let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); self.parents.len()];
        let trained = |&(child, &parent): &(usize, &Option<usize>)| {
            (self.is_trained)(child) && parent.is_some_and(|parent| (self.is_trained)(parent))
        };
        let mut has_children = vec![false; self.parents.len()];
        for (child, &parent) in self.parents.iter().enumerate().filter(trained) {
            if let Some(parent) = parent {
                neighbours[parent].push(child);
                neighbours[child].push(parent);
                has_children[parent] = true;
            }
        }
        let shares = |(model, neighbours): (usize, Vec<usize>)| {
            if has_children[model] {
                self.shares_beside(model, &neighbours)
            } else {
                self.shares_beside(model, &[])
            }
        };
        neighbours.into_iter().enumerate().map(shares).collect()
    }

    fn shares_beside(&self, model: usize, neighbours: &[usize]) -> Shares {
        let step = |&neighbour: &usize| {
            let step = (self.squared_distance)(model, neighbour)?;
            (step > 0.0).then_some((step, neighbour))
        };
        let mut steps: Vec<(f64, usize)> = neighbours.iter().filter_map(step).collect();
        steps.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        steps.truncate(NEAREST);
        let pair = |&(first, v): &(f64, usize), &(second, w): &(f64, usize)| {
            let between = (self.squared_distance)(v, w).filter(|_| v != w)?;
            let product = first * second;
            let cosine = (first + second - between) / 2.0 / Float::sqrt(product);
            Some((cosine, 1.0 / product))
        };
        let pairs = steps
            .iter()
            .flat_map(|v| steps.iter().map(move |w| pair(v, w)));
        Shares {
            pairs: pairs.collect(),
            neighbours: steps.iter().map(|&(_, neighbour)| neighbour).collect(),
            steps: steps.iter().map(|&(step, _)| step).collect(),
        }
    }

    fn missing_parent(&self, model: usize, shares: &Shares, meeting: &Meeting) -> MissingParent {
        let of_members = meeting.members.iter().map(|&at| shares.neighbours[at]);
        let mut neighbours: Vec<usize> = of_members.collect();
        neighbours.sort_unstable();
        let log_likelihood = self.model.get(JointConstant::HalfDimension) * meeting.unlikelihood;
        let log_odds = Float::ln(self.model.get(JointConstant::MissingOdds))
            + self.model.get(JointConstant::MissingPower) * Float::ln_1p(log_likelihood);
        let of_tree = match self.parents[model] {
            Some(parent) if neighbours.contains(&parent) => DIRECTION,
            Some(_) => -DIRECTION,
            None => 0.0,
        };
        let log_ratios = meeting.members.iter().filter_map(|&at| {
            let child = shares.neighbours[at];
            let share = meeting.unusual / shares.steps[at];
            let growth = (self.growth)(model, child);
            (self.parents[child] == Some(model))
                .then(|| growth.log_ratio_below(self.mean_growth, share, self.model))
        });
        let log_ratios: Vec<f64> = log_ratios.collect();
        // Growth to each child depends on the same model's lengths, so the ratios aren't independent.
        let of_growth =
            log_ratios.iter().sum::<f64>() / Float::sqrt(log_ratios.len().max(1) as f64);
        MissingParent {
            beside: model,
            neighbours,
            squared_distance: meeting.squared_distance,
            probability: logistic(log_odds),
            above: logistic(of_tree + of_growth),
        }
    }
}

impl Shares {
    fn pair(&self, first: usize, second: usize) -> Option<(f64, f64)> {
        self.pairs[first * self.neighbours.len() + second]
    }

    /// The set of neighbours that most probably shares a path, if any does. Each neighbour starts a set with
    /// the one it shares most with, and others are added as long as that makes the set more probable.
    fn meeting(&self, usual: f64) -> Option<Meeting> {
        let count = self.neighbours.len();
        let pair_of = |first: usize| {
            let others = (0..count).filter_map(|other| Some((other, self.pair(first, other)?.0)));
            let most = others.min_by(|first, second| second.1.total_cmp(&first.1));
            most.map(|(second, _)| [first, second])
        };
        let meetings = (0..count)
            .filter_map(pair_of)
            .map(|pair| self.grown(pair, usual));
        let best =
            meetings.min_by(|first, second| second.unlikelihood.total_cmp(&first.unlikelihood))?;
        (best.unlikelihood > 0.0).then_some(best)
    }

    fn grown(&self, pair: [usize; 2], usual: f64) -> Meeting {
        let mut sums = Sums::NONE;
        let mut members: Vec<usize> = Vec::new();
        for member in pair {
            sums = self.with(sums, &members, member, usual);
            members.push(member);
        }
        loop {
            let mut best: Option<(Sums, usize)> = None;
            for other in (0..self.neighbours.len()).filter(|other| !members.contains(other)) {
                let with_other = self.with(sums, &members, other, usual);
                let least = best.as_ref().map_or(sums, |best| best.0).unlikelihood();
                if with_other.unlikelihood() > least {
                    best = Some((with_other, other));
                }
            }
            let Some((with_other, other)) = best else {
                break;
            };
            sums = with_other;
            members.push(other);
        }
        members.sort_unstable();
        Meeting {
            squared_distance: self.shared(&members),
            unusual: sums.shared(),
            members,
            unlikelihood: sums.unlikelihood(),
        }
    }

    /// The squared length of the path that some neighbours share, including the typical share.
    fn shared(&self, members: &[usize]) -> f64 {
        let mut sums = Sums::NONE;
        for (at, &member) in members.iter().enumerate() {
            sums = self.with(sums, &members[..at], member, 0.0);
        }
        sums.shared()
    }

    fn with(&self, sums: Sums, members: &[usize], other: usize, usual: f64) -> Sums {
        let pairs = members
            .iter()
            .filter_map(|&member| self.pair(member, other));
        let mut sums = pairs.fold(sums, |sums, (cosine, weight)| Sums {
            weights: sums.weights + weight,
            weighted: sums.weighted + (cosine - usual) * Float::sqrt(weight),
            ..sums
        });
        sums.least_step = sums.least_step.min(self.steps[other]);
        sums
    }
}

/// The sums over pairs that determine the likelihood of a meeting point.
#[derive(Clone, Copy)]
struct Sums {
    /// Σ 1 / (d² d²).
    weights: f64,
    /// Σ o / (d² d²), where o excludes the typical share.
    weighted: f64,
    least_step: f64,
}

impl Sums {
    const NONE: Self = Self {
        weights: 0.0,
        weighted: 0.0,
        least_step: f64::INFINITY,
    };

    /// s: the most probable squared length of the shared path.
    fn shared(self) -> f64 {
        if self.weights > 0.0 {
            (self.weighted / self.weights).clamp(0.0, self.least_step)
        } else {
            0.0
        }
    }

    /// Σ (o² − (o − s)²) / (d² d²).
    fn unlikelihood(self) -> f64 {
        let shared = self.shared();
        shared * (2.0 * self.weighted - shared * self.weights)
    }
}

/// The typical cosine of two steps: the median, shrunk towards 0 if there are few.
fn usual(shares: &[Shares]) -> f64 {
    let cosines = |shares: &Shares| -> Vec<f64> {
        let pairs = pairs_of(shares.neighbours.len());
        let cosines = pairs.filter_map(|(v, w)| shares.pair(v, w));
        cosines.map(|(cosine, _)| cosine).collect()
    };
    let mut cosines: Vec<f64> = shares.iter().flat_map(cosines).collect();
    if cosines.is_empty() {
        return 0.0;
    }
    cosines.sort_unstable_by(f64::total_cmp);
    let count = cosines.len();
    let median = (cosines[(count - 1) / 2] + cosines[count / 2]) / 2.0;
    (median * count as f64 / (count as f64 + PRIOR_PAIRS)).clamp(0.0, MOST_USUAL)
}

/// For every model, the probability that its true parent is missing.
pub(super) fn probabilities(missing: &[MissingParent], parents: &[Option<usize>]) -> Vec<f64> {
    let mut probabilities = vec![0.0; parents.len()];
    for point in missing {
        let children = point.neighbours.iter().copied();
        for child in children.filter(|&child| parents[child] == Some(point.beside)) {
            probabilities[child] = point.probability * point.above;
        }
    }
    probabilities
}

pub(super) fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + Float::exp(-log_odds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Squared distances between models, each given by the steps (as dimension numbers) on its path.
    fn squared(ways: &[&[(usize, f64)]]) -> impl Fn(usize, usize) -> Option<f64> {
        let ways: Vec<Vec<(usize, f64)>> = ways.iter().map(|way| way.to_vec()).collect();
        move |u, v| {
            let only = |of: &[(usize, f64)], other: &[(usize, f64)]| -> f64 {
                let own = of.iter().filter(|step| !other.contains(step));
                own.map(|step| step.1).sum()
            };
            Some(only(&ways[u], &ways[v]) + only(&ways[v], &ways[u]))
        }
    }

    fn found(
        parents: &[Option<usize>],
        squared_distance: &dyn Fn(usize, usize) -> Option<f64>,
        beta: f64,
    ) -> Vec<MissingParent> {
        FoundTree {
            parents,
            is_trained: &|_| true,
            squared_distance,
            growth: &|u, v| GrowthEvidence::new(if u < v { beta } else { -beta }, 0.1, 0.1),
            mean_growth: 0.95,
            model: &JointModel::new(),
        }
        .missing_parents()
    }

    #[test]
    fn a_present_parent_is_not_reported_missing() {
        let ways: [&[(usize, f64)]; 4] = [&[], &[(0, 1.0)], &[(1, 2.0)], &[(2, 1.5)]];
        let parents = [None, Some(0), Some(0), Some(0)];
        assert_eq!(found(&parents, &squared(&ways), 1.0), []);
    }

    #[test]
    fn siblings_of_a_missing_parent_share_the_way_to_it() {
        let ways: [&[(usize, f64)]; 4] = [&[(0, 1.0)], &[(1, 1.0)], &[(2, 2.0)], &[(3, 1.5)]];
        let parents = [None, Some(0), Some(0), Some(0)];
        let missing = found(&parents, &squared(&ways), 0.1);
        // With four models the median is the share itself, but 3 pairs are few.
        let [point] = &missing[..] else {
            panic!("{missing:?}");
        };
        assert_eq!((point.beside, &point.neighbours[..]), (0, &[1, 2, 3][..]));
        assert!((0.4..=1.0).contains(&point.squared_distance), "{point:?}");
        assert!(point.above > 0.9, "{point:?}");
        let of_children = probabilities(&missing, &parents);
        assert_eq!(of_children[0], 0.0);
        assert!(of_children[1] > 0.3, "{of_children:?}");
    }

    #[test]
    fn a_point_below_a_parent_leaves_its_edges_right() {
        // The paths to 1 and 2 share a step from 0, which is an ancestor of both.
        let shared = (9, 1.0);
        let ways: [&[(usize, f64)]; 5] = [
            &[],
            &[shared, (1, 1.0)],
            &[shared, (2, 1.0)],
            &[(3, 1.0)],
            &[(4, 1.0)],
        ];
        let parents = [None, Some(0), Some(0), Some(0), Some(0)];
        let missing = found(&parents, &squared(&ways), 0.95);
        assert_eq!(missing[0].neighbours, [1, 2]);
        assert!((missing[0].squared_distance - 1.0).abs() < 1e-9);
        assert!(
            missing[0].probability > 0.5 && missing[0].above < 0.2,
            "{missing:?}"
        );
    }

    #[test]
    fn a_model_off_the_path_from_a_parent_is_no_parent() {
        // 1 is in the place of the parent of 1 and 2, which descends from 0.
        let shared = (9, 2.0);
        let ways: [&[(usize, f64)]; 5] = [
            &[],
            &[shared, (1, 1.0)],
            &[shared, (2, 2.0)],
            &[(3, 1.0)],
            &[(4, 1.0)],
        ];
        let parents = [None, Some(0), Some(1), Some(0), Some(0)];
        let missing = found(&parents, &squared(&ways), 0.3);
        let [point] = &missing[..] else {
            panic!("{missing:?}");
        };
        assert_eq!((point.beside, &point.neighbours[..]), (1, &[0, 2][..]));
        assert!((point.squared_distance - 1.0).abs() < 1e-9, "{point:?}");
        assert!(point.above > 0.5, "{point:?}");
    }

    #[test]
    fn copies_have_no_steps() {
        let ways: [&[(usize, f64)]; 3] = [&[(0, 1.0)], &[(1, 1.0)], &[(2, 1.0)]];
        let tree = FoundTree {
            parents: &[None, Some(0), Some(0)],
            is_trained: &|model| model != 2,
            squared_distance: &squared(&ways),
            growth: &|_, _| GrowthEvidence::NONE,
            mean_growth: 0.0,
            model: &JointModel::new(),
        };
        assert_eq!(tree.missing_parents(), []);
    }
}
