//! The trees of all clusters as one graph.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::RecoveryError;
use super::cluster::{Cluster, Tree};
use super::stages;
use crate::heritage::{AlikeParents, Descent, Merge, MergeParent, Model, ModelGraph, RunnerUp};

/// The models of all trees, sorted by name.
pub(super) struct Forest<'a> {
    models: Vec<Model>,
    positions: HashMap<&'a str, usize>,
}

impl<'a> Forest<'a> {
    pub(super) fn new(trees: &[(Cluster<'a>, Tree)]) -> Self {
        let members = |(cluster, _): &(Cluster<'a>, Tree)| -> Vec<&'a str> {
            (0..cluster.len())
                .map(|member| cluster.name(member))
                .collect()
        };
        let mut names: Vec<&str> = trees.iter().flat_map(members).collect();
        names.sort_unstable();
        let positions: HashMap<&str, usize> = (names.iter().enumerate())
            .map(|(position, &name)| (name, position))
            .collect();
        let mut forest = Self {
            models: names.into_iter().map(Model::new).collect(),
            positions,
        };
        for (cluster, tree) in trees {
            for member in 0..cluster.len() {
                forest.add(cluster, tree, member);
            }
        }
        forest.add_stages(trees);
        forest
    }

    fn add(&mut self, cluster: &Cluster<'a>, tree: &Tree, member: usize) {
        let position = |member: usize| self.positions[cluster.name(member)];
        let mut model = Model::new(cluster.name(member));
        if let Some(score) = cluster.score(member) {
            model = model.with_score(score);
        }
        // Of a model without relatives nothing can be said.
        let says = cluster.len() > 1 || cluster.constraints().is_placed(member);
        let beliefs = tree.beliefs.as_ref().filter(|_| says);
        let belief = beliefs.map(|beliefs| &beliefs[member]);
        if let Some(runner_up) = belief.and_then(|belief| belief.runner_up) {
            model = model.with_runner_up(RunnerUp {
                parent: runner_up.parent.map(position),
                ..runner_up
            });
        }
        let confidence = belief.map(|belief| belief.confidence);
        if let Some(parent) = tree.parents[member] {
            let distance = cluster.distance(parent, member);
            let mut descent = Descent::new(position(parent))
                .with_distance(distance)
                .with_compared(cluster.compared(member, parent));
            if let Some(confidence) = confidence {
                descent = descent.with_confidence(confidence);
            }
            if let Some(joined) = belief.and_then(|belief| belief.joined) {
                descent = descent.with_joined(joined);
            }
            if let Some(alike) = belief.and_then(|belief| belief.alike.as_ref()) {
                descent = descent.with_alike(AlikeParents {
                    models: alike.models.iter().copied().map(position).collect(),
                    confidence: alike.confidence,
                });
            }
            if let Some(kind) = cluster.kind(parent, member) {
                descent = descent.with_kind(kind);
            }
            model = model.with_descent(descent);
        } else if let Some(confidence) = confidence {
            model = model.with_root_confidence(confidence);
        }
        let at = position(member);
        self.models[at] = model;
    }

    /// Tells the root of each tree the stage of its tree.
    fn add_stages(&mut self, trees: &[(Cluster<'a>, Tree)]) {
        let (asked, weights): (Vec<_>, Vec<_>) = (trees.iter())
            .filter_map(|tree| Some((tree, tree.1.stages?)))
            .unzip();
        for ((cluster, tree), estimate) in asked.into_iter().zip(stages::estimate(&weights)) {
            let root = tree.parents.iter().position(Option::is_none);
            if let Some(root) = root.map(|root| self.positions[cluster.name(root)]) {
                self.models[root] = self.models[root].clone().with_stage(estimate);
            }
        }
    }

    /// Adds what a merged model is an average of; the models are those of its group.
    pub(super) fn add_merge(&mut self, models: &[alloc::string::String], merge: &Merge) {
        let position = |model: usize| self.positions[&*models[model]];
        let parents = merge.parents().iter().map(|&(parent, weight)| MergeParent {
            parent: position(parent),
            weight,
        });
        let parents = parents.collect();
        let merged = position(merge.model());
        self.models[merged] = self.models[merged].clone().with_merged_from(parents);
    }

    pub(super) fn into_graph(self) -> Result<ModelGraph, RecoveryError> {
        Ok(ModelGraph::new(self.models)?)
    }
}
