//! How well missing parents are found, on trees some of whose inner nodes were left out.

use mother::heritage::ModelGraph;
use serde::Serialize;

use super::truth::Share;

/// Edges that are surer than this are counted as said.
const SAID: f64 = 0.7;

/// What was found of the missing parents of a forest.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct HiddenTally {
    /// Hidden models whose children met at a model that was left out, of all found.
    pub(crate) precision: Share,
    /// Models left out that were found, of all with children in two or more branches.
    pub(crate) recall: Share,
    /// Pairs below one hidden model that are siblings of a missing parent, of all such pairs.
    pub(crate) sibling_precision: Share,
    /// Siblings of missing parents that are below one hidden model, of all of them.
    pub(crate) sibling_recall: Share,
    /// Pairs whose last common ancestor is missing, one of which is said with more than 0.7 to be the
    /// other's parent, of all such pairs.
    pub(crate) said: Share,
}

impl HiddenTally {
    /// Compares what was found of some models with the whole truth.
    ///
    /// `said` counts what is said without hidden parents.
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

/// A forest of which some models are missing, and what was found of the others.
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

    /// The missing model from which a model that is present was trained, by way of missing ones.
    fn missing_ancestors(&self, model: usize) -> impl Iterator<Item = usize> {
        let ancestors = self.whole.ancestors(model);
        ancestors.take_while(|&ancestor| self.is_missing(ancestor))
    }

    /// Whether the last common ancestor of two models is missing, and so is all between it and them.
    fn are_siblings(&self, first: usize, second: usize) -> bool {
        let top = self.whole.lowest_common_ancestor(first, second);
        top.is_some_and(|top| {
            [first, second].iter().all(|&model| {
                self.missing_ancestors(model)
                    .any(|ancestor| ancestor == top)
            })
        })
    }

    /// How many children of a model have descendants that are present, or are present themselves.
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

    /// Whether one of two models is surely said to be the other's parent.
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
