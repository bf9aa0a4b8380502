//! How well missing parents are found in trees from which some inner nodes were removed.

use mother::heritage::ModelGraph;
use serde::Serialize;

use super::truth::Share;

/// Edges with a higher confidence than this count as asserted.
const SAID: f64 = 0.7;

/// How well the missing parents of a forest were found.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct HiddenTally {
    /// Of the hidden models found, the share whose children do meet at a removed model.
    pub(crate) precision: Share,
    /// Of the removed models with children in two or more branches, the share that was found.
    pub(crate) recall: Share,
    /// Of the pairs below one hidden model, the share that are siblings with a missing parent.
    pub(crate) sibling_precision: Share,
    /// Of the pairs of siblings with a missing parent, the share that are below one hidden model.
    pub(crate) sibling_recall: Share,
    /// Of the pairs whose last common ancestor is missing, the share in which one model is asserted, with a
    /// confidence above 0.7, to be the other's parent.
    pub(crate) said: Share,
}

impl HiddenTally {
    /// Compares a graph of some of the models with the whole truth.
    ///
    /// `said` is measured on the graph without hidden parents.
    pub(crate) fn new(found: &ModelGraph, plain: &ModelGraph, whole: &ModelGraph) -> Self {
        let truth = Truth { found, whole };
        let without = Truth {
            found: plain,
            whole,
        };
        let mut tally = Self::default();
        let mut met = Vec::new();
        let hidden = (0..found.len()).filter(|&model| found.models()[model].is_hidden());
        for children in hidden.map(|model| truth.true_positions(found.children(model))) {
            let top = truth.top(&children).filter(|&top| truth.is_missing(top));
            tally.precision.count(top.is_some());
            met.extend(top);
            for (first, second) in pairs(&children) {
                tally
                    .sibling_precision
                    .count(truth.are_siblings(first, second));
            }
        }
        for missing in (0..whole.len()).filter(|&model| truth.is_missing(model)) {
            if truth.branches(missing) > 1 {
                tally.recall.count(met.contains(&missing));
            }
        }
        let present: Vec<usize> = (0..whole.len())
            .filter(|&model| !truth.is_missing(model))
            .collect();
        for (first, second) in pairs(&present) {
            let top = whole.lowest_common_ancestor(first, second);
            if top.is_some_and(|top| truth.is_missing(top)) {
                tally.said.count(without.is_said(first, second));
            }
            if truth.are_siblings(first, second) {
                let parents = [first, second].map(|model| truth.found_parent(model));
                let hidden = parents[0].is_some_and(|parent| found.models()[parent].is_hidden());
                tally
                    .sibling_recall
                    .count(hidden && parents[0] == parents[1]);
            }
        }
        tally
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.precision.add(other.precision);
        self.recall.add(other.recall);
        self.sibling_precision.add(other.sibling_precision);
        self.sibling_recall.add(other.sibling_recall);
        self.said.add(other.said);
    }
}

/// A forest with missing models, and the graph recovered from the others.
struct Truth<'a> {
    found: &'a ModelGraph,
    whole: &'a ModelGraph,
}

impl Truth<'_> {
    fn position(&self, model: usize) -> Option<usize> {
        self.found.index(self.whole.name(model)?)
    }

    fn is_missing(&self, model: usize) -> bool {
        self.position(model).is_none()
    }

    fn true_positions(&self, found: &[usize]) -> Vec<usize> {
        let names = found.iter().filter_map(|&model| self.found.name(model));
        names.filter_map(|name| self.whole.index(name)).collect()
    }

    /// The last common ancestor.
    fn top(&self, models: &[usize]) -> Option<usize> {
        let (first, others) = models.split_first()?;
        others.iter().try_fold(*first, |top, &other| {
            self.whole.lowest_common_ancestor(top, other)
        })
    }

    /// The missing model from which a present model descends through missing models only.
    fn missing_ancestors(&self, model: usize) -> impl Iterator<Item = usize> {
        let ancestors = self.whole.ancestors(model);
        ancestors.take_while(|&ancestor| self.is_missing(ancestor))
    }

    /// Whether the last common ancestor of two models is missing, together with everything between it and them.
    fn are_siblings(&self, first: usize, second: usize) -> bool {
        let top = self.whole.lowest_common_ancestor(first, second);
        top.is_some_and(|top| {
            [first, second].iter().all(|&model| {
                self.missing_ancestors(model)
                    .any(|ancestor| ancestor == top)
            })
        })
    }

    /// The number of children of a model that are present or have present descendants.
    fn branches(&self, model: usize) -> usize {
        let present = |&&child: &&usize| {
            let mut below = self.whole.subtree(child).iter();
            below.any(|&model| !self.is_missing(model))
        };
        self.whole.children(model).iter().filter(present).count()
    }

    fn found_parent(&self, model: usize) -> Option<usize> {
        self.found.parent(self.position(model)?)
    }

    /// Whether one of two models is asserted to be the other's parent.
    fn is_said(&self, first: usize, second: usize) -> bool {
        [(first, second), (second, first)]
            .iter()
            .any(|&(parent, child)| {
                let descent = self
                    .position(child)
                    .and_then(|child| self.found.models()[child].descent());
                descent.is_some_and(|descent| {
                    Some(descent.parent()) == self.position(parent)
                        && descent.confidence().is_some_and(|sure| sure > SAID)
                })
            })
    }
}

fn pairs(models: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let first = models.iter().enumerate();
    first.flat_map(|(at, &first)| models[at + 1..].iter().map(move |&second| (first, second)))
}
