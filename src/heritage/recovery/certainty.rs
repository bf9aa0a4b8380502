//! How certain a model's place in its tree is.

use alloc::vec::Vec;

use crate::heritage::{EquivalentParents, RunnerUp};

/// The confidence that a model's parent is right, or that the model is a root, with the alternatives. Models
/// are positions in their cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::heritage) struct Certainty {
    pub(in crate::heritage) confidence: f64,
    pub(in crate::heritage) runner_up: Option<RunnerUp>,
    /// The probability that an edge joins the model and its parent, in either direction.
    pub(in crate::heritage) joined: Option<f64>,
    /// The models that can't be distinguished from the parent.
    pub(in crate::heritage) alike: Option<EquivalentParents>,
}

impl Certainty {
    /// The certainty of a place, from the probability of any model's parent or, for `None`, that it is a root.
    ///
    /// The most probable of the other parents is the runner-up; of equally probable ones the first, with `None` last.
    /// The models `alike` have the same compared weights as the parent, which is one of them.
    pub(super) fn new(
        (model, parent): (usize, Option<usize>),
        probability: impl Fn(usize, Option<usize>) -> f64,
        others: impl Iterator<Item = RunnerUp>,
        alike: Vec<usize>,
    ) -> Self {
        let last = |other: &RunnerUp| other.parent.unwrap_or(usize::MAX);
        let of_alike = alike.iter().map(|&other| probability(model, Some(other)));
        let of_alike: f64 = of_alike.sum();
        Self {
            confidence: probability(model, parent),
            runner_up: others.min_by(|first, second| {
                let by_confidence = second.confidence.total_cmp(&first.confidence);
                by_confidence.then_with(|| last(first).cmp(&last(second)))
            }),
            joined: parent.map(|parent| {
                let reversed = probability(parent, Some(model));
                (probability(model, Some(parent)) + reversed).min(1.0)
            }),
            alike: (alike.len() > 1).then(|| EquivalentParents {
                confidence: of_alike.min(1.0),
                models: alike,
            }),
        }
    }

    /// The certainty of a known place.
    pub(super) fn certain(parent: Option<usize>) -> Self {
        Self {
            confidence: 1.0,
            joined: parent.map(|_| 1.0),
            ..Self::default()
        }
    }

    /// The same certainty, reduced by the probability that the true parent is missing.
    pub(super) fn unless_missing(self, missing: f64) -> Self {
        let present = 1.0 - missing;
        let runner_up = self.runner_up.map(|runner_up| RunnerUp {
            confidence: runner_up.confidence * present,
            ..runner_up
        });
        Self {
            runner_up,
            ..self.of_parent(present)
        }
    }

    /// The same certainty, if with this probability the model isn't a child of its parent but of its grandparent.
    pub(super) fn unless_sibling(self, sibling: f64, grandparent: usize) -> Self {
        let moved = self.confidence * sibling;
        let found = self.of_parent(1.0 - sibling);
        let runner_up = match found.runner_up {
            Some(other) if other.parent == Some(grandparent) => RunnerUp {
                confidence: other.confidence + moved,
                ..other
            },
            Some(other) if other.confidence >= moved => other,
            _ => RunnerUp {
                parent: Some(grandparent),
                confidence: moved,
            },
        };
        Self {
            runner_up: Some(runner_up),
            ..found
        }
    }

    /// The same certainty, with all that is said of the parent times a factor.
    fn of_parent(self, factor: f64) -> Self {
        Self {
            confidence: self.confidence * factor,
            joined: self.joined.map(|joined| joined * factor),
            alike: self.alike.map(|alike| EquivalentParents {
                confidence: alike.confidence * factor,
                ..alike
            }),
            ..self
        }
    }
}
