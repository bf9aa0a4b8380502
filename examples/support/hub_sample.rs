//! How an index compares with an exhaustive search, on a sample of a hub's models.

use std::collections::{BTreeSet, HashMap};

use mother::evidence::SignatureComparison;
use mother::heritage::{Index, ModelGraph, Recovery};
use mother::signature::Signature;
use rayon::prelude::*;

use crate::simulation::Hub;
use crate::terminal::Failure;

/// The number of nearest models that an exhaustive search keeps: the same as the number of possible parents that
/// the index keeps.
const NEAREST: usize = 48;

/// Shares of the sampled models for which the following holds.
#[derive(Default)]
pub(crate) struct Sample {
    models: usize,
    /// The nearest relative, or the true parent, is among the relatives that the index finds.
    nearest_found: f64,
    parent_found: f64,
    /// The true parent is among the nearest models that an exhaustive search finds.
    parent_near: f64,
    /// The edge is right in the graph of the index, and right if direction is ignored.
    of_index: [f64; 2],
    /// The same for recovery from the nearest models of the exhaustive search.
    exhaustive: [f64; 2],
}

impl Sample {
    pub(crate) fn text(&self) -> String {
        format!(
            "\nsample of {} models: the index finds the nearest relative of {:.3} and the parent of {:.3} of them; \
             an exhaustive search has the parent of {:.3} among the {NEAREST} nearest\n\
             edges of these models: {:.3} right, {:.3} ignoring direction; recovered from their \
             {NEAREST} nearest alone: {:.3}, {:.3}",
            self.models,
            self.nearest_found,
            self.parent_found,
            self.parent_near,
            self.of_index[0],
            self.of_index[1],
            self.exhaustive[0],
            self.exhaustive[1],
        )
    }

    pub(crate) fn json(&self) -> String {
        let pair = |[right, joined]: [f64; 2]| {
            format!(r#"{{"right":{right:.4},"undirected":{joined:.4}}}"#)
        };
        format!(
            concat!(
                r#","sample":{{"models":{},"nearest_found":{:.4},"parent_found":{:.4},"#,
                r#""parent_near":{:.4},"index":{},"exhaustive":{}}}"#
            ),
            self.models,
            self.nearest_found,
            self.parent_found,
            self.parent_near,
            pair(self.of_index),
            pair(self.exhaustive),
        )
    }
}

/// A hub with its recovered graph.
pub(crate) struct Found<'a> {
    hub: &'a Hub,
    index: &'a Index,
    graph: &'a ModelGraph,
    /// The models of the hub by name.
    models: HashMap<String, usize>,
}

impl<'a> Found<'a> {
    pub(crate) fn new(hub: &'a Hub, index: &'a Index, graph: &'a ModelGraph) -> Self {
        let models = (0..hub.len()).map(|model| (hub.name(model), model));
        Self {
            hub,
            index,
            graph,
            models: models.collect(),
        }
    }

    /// Compares every sampled model with all others, and recovers it from its nearest models alone.
    pub(crate) fn sample(&self, size: usize) -> Result<Sample, Failure> {
        let hub = self.hub;
        let drawn = (0..hub.len()).filter(|&model| hub.parent(model).is_some());
        let drawn: Vec<usize> = drawn.filter(|&model| hub.is_original(model)).collect();
        let stride = (drawn.len() / size.max(1)).max(1);
        let drawn: Vec<usize> = drawn.into_iter().step_by(stride).take(size).collect();
        let outcomes: Result<Vec<[bool; 7]>, Failure> =
            drawn.par_iter().map(|&model| self.outcome(model)).collect();
        let outcomes = outcomes?;
        let share = |at: usize| {
            let count = outcomes.iter().filter(|outcome| outcome[at]).count();
            count as f64 / outcomes.len().max(1) as f64
        };
        Ok(Sample {
            models: outcomes.len(),
            nearest_found: share(0),
            parent_found: share(1),
            parent_near: share(2),
            of_index: [share(3), share(4)],
            exhaustive: [share(5), share(6)],
        })
    }

    /// For each share of [`Sample`], in their order, whether it holds for the model.
    fn outcome(&self, model: usize) -> Result<[bool; 7], Failure> {
        let name = self.hub.name(model);
        let is_parent = |other: &usize| self.hub.is_right(model, *other);
        let relatives = self.index.relatives(&name).map_err(Failure::run)?;
        let relatives: BTreeSet<usize> =
            (relatives.iter().map(|relative| self.models[&relative.name]))
                .filter(|&relative| self.hub.is_original(relative))
                .collect();
        let near = self.nearest(model)?;
        let signatures = [model].into_iter().chain(near.iter().copied());
        let signatures = signatures.map(|model| self.signature(model).cloned());
        let signatures = signatures.collect::<Result<Vec<Signature>, Failure>>()?;
        let evidence = SignatureComparison::new().compare(&signatures);
        let evidence = evidence.map_err(Failure::run)?;
        let alone = Recovery::new().recover(&evidence).map_err(Failure::run)?;
        let [right, joined] = self.is_right(model, self.graph);
        let [right_alone, joined_alone] = self.is_right(model, &alone);
        Ok([
            near.first()
                .is_none_or(|nearest| relatives.contains(nearest)),
            relatives.iter().any(is_parent),
            near.iter().any(is_parent),
            right,
            joined,
            right_alone,
            joined_alone,
        ])
    }

    fn signature(&self, model: usize) -> Result<&Signature, Failure> {
        let name = self.hub.name(model);
        let missing = || Failure::Run(format!("{name} is not in the index"));
        self.index.signature(&name).ok_or_else(missing)
    }

    /// The models nearest to one, nearest first, found by comparing it with all models that have a weight of the
    /// same shape. Only the first of several equal models is included.
    fn nearest(&self, model: usize) -> Result<Vec<usize>, Failure> {
        let comparison = SignatureComparison::new();
        let own = self.signature(model)?;
        let mut near: Vec<(f64, usize)> = Vec::new();
        for other in self.index.signatures() {
            let shares_shapes = own.tensors()[0].shape() == other.tensors()[0].shape();
            let place = self.models[other.name()];
            if !shares_shapes || place == model || !self.hub.is_original(place) {
                continue;
            }
            let relation = comparison.relation(own, other).map_err(Failure::run)?;
            if relation.is_related() {
                near.push((relation.distance() / relation.size(), place));
            }
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.truncate(NEAREST);
        Ok(near.into_iter().map(|(_, model)| model).collect())
    }

    /// Whether a graph has the edge from a model's parent, and whether it has that edge in either direction.
    fn is_right(&self, model: usize, graph: &ModelGraph) -> [bool; 2] {
        let Some(at) = graph.index(&self.hub.name(model)) else {
            return [false; 2];
        };
        let is_parent = |other: usize| {
            let other = self.models[graph.models()[other].name()];
            self.hub.is_right(model, other)
        };
        let right = graph.parent(at).is_some_and(is_parent);
        [
            right,
            right || graph.children(at).iter().copied().any(is_parent),
        ]
    }
}
