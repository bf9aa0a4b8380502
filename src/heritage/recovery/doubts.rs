//! Reasons to doubt a parent that the distribution over trees is sure of: the true parent may be missing, or the
//! apparent one may be a sibling.
//!
//! If two siblings moved in similar directions, the one that moved less looks like the parent of the other. Let p be the
//! parent of u, and u the parent of v in a tree. The share of u's step that v also made,
//!
//! r = (d²(p, u) + d²(p, v) − d²(u, v)) / 2d²(p, u),
//!
//! is near 1 if v was trained from u. For random steps in 2c dimensions, its variance is d²(u, v) / (2c d²(p, u)); in
//! real training it is somewhat larger. If v is another child of p, r can be anything between 0 and 2, and u may still be
//! nearer to v than p is.

use alloc::vec::Vec;
use core::f64::consts::TAU;

use num_traits::Float;

use super::additivity::Additivity;
use super::certainty::Certainty;
use super::missing::{self, FoundTree, MissingParent, logistic};
use super::model::JointConstant;

/// The standard deviation of r among true grandparents, parents and children, apart from chance.
const DEVIATION: f64 = 0.05;

/// The density of r between siblings.
const DENSITY_OF_SIBLINGS: f64 = 0.5;

/// The largest −ln of the density of r, relative to its maximum. Training sometimes undoes a part of the step before it.
const LEAST_LIKELY: f64 = 3.0;

/// Why a model's parent may be wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// The probability that the true parent is missing.
    missing: f64,
    /// The model's grandparent, and the probability that it is the true parent.
    sibling: Option<(usize, f64)>,
}

impl Doubt {
    /// Reduces a certainty that doesn't allow for this yet.
    pub(super) fn reduce(self, certainty: Certainty) -> Certainty {
        let certainty = match self.sibling {
            Some((grandparent, sibling)) => certainty.unless_sibling(sibling, grandparent),
            None => certainty,
        };
        certainty.unless_missing(self.missing)
    }
}

impl FoundTree<'_> {
    /// The doubts about every model's parent.
    pub(super) fn doubts(&self, missing: &[MissingParent], additivity: Additivity) -> Vec<Doubt> {
        let missing = missing::probabilities(missing, self.parents);
        let doubt = |(model, missing): (usize, f64)| Doubt {
            missing: missing.max(self.sibling_of_root(model).unwrap_or(0.0)),
            sibling: self.sibling_of_parent(model, additivity),
        };
        missing.into_iter().enumerate().map(doubt).collect()
    }

    /// The probability that the only child of a root is its sibling. No third model's distances can show that, so
    /// growth decides.
    fn sibling_of_root(&self, model: usize) -> Option<f64> {
        let root = self.parents[model].filter(|&root| self.parents[root].is_none())?;
        let mut children =
            (0..self.parents.len()).filter(|&other| self.parents[other] == Some(root));
        // A root can have thousands of children, so the search stops at the second.
        if children.nth(1).is_some() || !self.are_trained(model, root) {
            return None;
        }
        (self.squared_distance)(root, model).filter(|step| *step > 0.0)?;
        let growth = (self.growth)(root, model);
        let log_ratio = growth.log_ratio_below(self.mean_growth, 0.5, self.model);
        let prior = self.model.get(JointConstant::OnlyChild);
        Some(logistic(Float::ln(prior) + log_ratio))
    }

    /// The grandparent of a model, and the probability that the model is its child rather than its grandchild.
    fn sibling_of_parent(&self, model: usize, additivity: Additivity) -> Option<(usize, f64)> {
        let parent = self.parents[model]?;
        let grandparent = self.parents[parent]?;
        if !self.are_trained(model, parent) {
            return None;
        }
        let of_parent = (self.squared_distance)(grandparent, parent).filter(|step| *step > 0.0)?;
        let step = (self.squared_distance)(parent, model)?;
        let both = (self.squared_distance)(grandparent, model)?;
        let share = (of_parent + both - step) / (2.0 * of_parent);
        let dimensions = 2.0 * self.model.get(JointConstant::HalfDimension);
        let variance = step / of_parent / dimensions + DEVIATION * DEVIATION;
        let unlikely = (share - 1.0) * (share - 1.0) / (2.0 * variance);
        let density = Float::exp(-unlikely.min(LEAST_LIKELY)) / Float::sqrt(TAU * variance);
        // Where unrelated steps are nearly orthogonal, siblings don't move in similar directions either.
        let orthogonal = additivity.dimensions / dimensions;
        let prior = self.model.get(JointConstant::SharedSteps) / (1.0 + orthogonal * orthogonal);
        let odds = prior * DENSITY_OF_SIBLINGS / density;
        Some((grandparent, odds / (1.0 + odds)))
    }

    fn are_trained(&self, first: usize, second: usize) -> bool {
        (self.is_trained)(first) && (self.is_trained)(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heritage::recovery::JointModel;
    use crate::heritage::recovery::costs::GrowthEvidence;

    fn doubts(
        points: &[[f64; 3]],
        parents: &[Option<usize>],
        beta: f64,
        dimensions: f64,
    ) -> Vec<Doubt> {
        let squared = |u: usize, v: usize| {
            let differences = points[u]
                .iter()
                .zip(points[v])
                .map(|(a, b)| (a - b) * (a - b));
            Some(differences.sum())
        };
        let tree = FoundTree {
            parents,
            is_trained: &|_| true,
            squared_distance: &squared,
            growth: &|u, v| GrowthEvidence::new(if u < v { beta } else { -beta }, 0.1, 0.1),
            mean_growth: 0.95,
            model: &JointModel::new(),
        };
        let additivity = Additivity {
            dimensions,
            half_dimension: 20.0,
        };
        tree.doubts(&[], additivity)
    }

    #[test]
    fn a_child_that_gave_up_half_of_its_parents_step_may_be_a_sibling() {
        let parents = [None, Some(0), Some(1)];
        let sibling = |share: f64, dimensions: f64| {
            let points = [[0.0; 3], [1.0, 0.0, 0.0], [share, 1.0, 0.0]];
            let [_, _, child] = doubts(&points, &parents, 0.95, dimensions)[..] else {
                return None;
            };
            child.sibling
        };
        let (grandparent, orthogonal) = sibling(1.0, 20.0).unwrap();
        assert_eq!(grandparent, 0);
        assert!(orthogonal < 0.05, "{orthogonal}");
        for share in [0.5, 1.5] {
            let (_, sibling) = sibling(share, 20.0).unwrap();
            assert!((0.1..0.5).contains(&sibling), "{sibling}");
        }
        // Where nothing else has steps in common.
        assert!(sibling(0.5, 400.0).unwrap().1 < 0.01);
    }

    #[test]
    fn an_only_child_that_did_not_grow_may_be_a_sibling() {
        let missing = |points: &[[f64; 3]], parents: &[Option<usize>], beta| {
            doubts(points, parents, beta, 40.0)[1].missing
        };
        let points = [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        let pair = [None, Some(0)];
        assert!(missing(&points[..2], &pair, 0.95) < 0.01);
        assert!(missing(&points[..2], &pair, 0.0) > 0.5);
        // The distances of three models are evidence of their own, and equal models have no step.
        assert_eq!(missing(&points, &[None, Some(0), Some(0)], 0.0), 0.0);
        assert_eq!(missing(&[[0.0; 3]; 2], &pair, 0.0), 0.0);
    }
}
