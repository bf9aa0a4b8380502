//! The true forest, as far as it is known, and how much of it was recovered.

use core::iter::Sum;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use mother::heritage::metrics::{clustering_accuracy, compare_edges_by_tree};
use mother::heritage::{GraphError, Model, ModelGraph};
use serde::{Deserialize, Serialize};

use super::random::Random;
use super::terminal::Failure;

/// The true forest.
pub(crate) struct Truth {
    graph: ModelGraph,
    /// The number of each model's tree. If the root isn't among the models, edges alone don't determine it.
    trees: HashMap<String, usize>,
}

/// `truth.json`; other keys are ignored.
#[derive(Deserialize)]
struct TruthFile {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    parent: Option<String>,
    tree: usize,
}

impl Truth {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: TruthFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let parents = file
            .nodes
            .iter()
            .map(|node| (&node.id, node.parent.as_ref()));
        let graph = ModelGraph::from_parents(parents);
        Ok(Self {
            graph: graph.map_err(|error: GraphError| error.to_string())?,
            trees: (file.nodes.into_iter())
                .map(|node| (node.id, node.tree))
                .collect(),
        })
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        text.and_then(|text| Self::parse(&text))
            .map_err(|error| Failure::Run(format!("{}: {error}", path.display())))
    }

    /// The truth about some of the models: each except the roots is left out with this probability.
    ///
    /// The parent of a model is then the nearest of its ancestors that is kept.
    pub(crate) fn with_models_left_out(
        &self,
        share: f64,
        random: &mut Random,
    ) -> Result<Self, Failure> {
        let kept: Vec<bool> = (0..self.graph.len())
            .map(|model| self.graph.parent(model).is_none() || random.uniform() > share)
            .collect();
        self.restricted(|model| kept[model])
    }

    /// The truth about some of the models: each one with children is left out with this probability.
    pub(crate) fn with_parents_left_out(
        &self,
        share: f64,
        random: &mut Random,
    ) -> Result<Self, Failure> {
        let kept: Vec<bool> = (0..self.graph.len())
            .map(|model| self.graph.children(model).is_empty() || random.uniform() > share)
            .collect();
        self.restricted(|model| kept[model])
    }

    /// The true forest.
    pub(crate) const fn graph(&self) -> &ModelGraph {
        &self.graph
    }

    /// The truths about every parent and child on their own.
    pub(crate) fn pairs(&self) -> Result<Vec<Self>, Failure> {
        let edges = self.graph.edges();
        edges
            .map(|(parent, child)| self.restricted(|model| model == parent || model == child))
            .collect()
    }

    /// The truth about the remaining models.
    fn restricted(&self, kept: impl Fn(usize) -> bool) -> Result<Self, Failure> {
        let name = |model| self.graph.name(model).unwrap_or_default();
        let models = (0..self.graph.len()).filter(|&model| kept(model));
        let parents = models.map(|model| {
            let ancestor = self.graph.ancestors(model).find(|&ancestor| kept(ancestor));
            (name(model), ancestor.map(name))
        });
        let graph = ModelGraph::from_parents(parents).map_err(Failure::run)?;
        let trees = self
            .trees
            .iter()
            .filter(|(model, _)| graph.index(model).is_some());
        Ok(Self {
            trees: trees.map(|(model, tree)| (model.clone(), *tree)).collect(),
            graph,
        })
    }

    /// Whether the truth about a model is known.
    pub(crate) fn knows(&self, model: &str) -> bool {
        self.graph.index(model).is_some()
    }

    /// The number of trees.
    pub(crate) fn tree_count(&self) -> usize {
        let mut trees: Vec<_> = self.trees.values().collect();
        trees.sort_unstable();
        trees.dedup();
        trees.len()
    }

    /// The accuracy of a recovered graph. Models of the truth that it lacks count as wrong, and models unknown to the
    /// truth don't count.
    pub(crate) fn accuracy(&self, found: &ModelGraph) -> Result<Accuracy, Failure> {
        let mut by_tree: BTreeMap<usize, Share> = BTreeMap::new();
        let counts = compare_edges_by_tree(found, &self.graph);
        for (&root, counts) in self.graph.roots().iter().zip(counts) {
            let share = Share {
                right: counts.right,
                of: counts.truth,
            };
            if let Some(tree) = self.graph.name(root).and_then(|name| self.trees.get(name)) {
                by_tree.entry(*tree).or_default().add(share);
            }
        }
        let edges_by_tree: Vec<Share> = by_tree.into_values().collect();
        Ok(Accuracy {
            edges: edges_by_tree.iter().copied().sum(),
            edges_by_tree,
            clusters: self.clusters(found)?,
        })
    }

    /// For every model whose true parent, or lack of one, is known: the confidence of recovery in its result, and
    /// whether the result is right.
    pub(crate) fn predictions(&self, found: &ModelGraph) -> Vec<(f64, bool)> {
        let prediction = |model: &Model| {
            let position = self.graph.index(model.name())?;
            let truth = self.graph.parent(position);
            // The parents of models whose tree has several roots are missing.
            let tree = self.trees.get(model.name());
            let roots = self.graph.roots().iter().filter(|&&root| {
                self.graph.name(root).and_then(|name| self.trees.get(name)) == tree
            });
            let known = truth.is_some() || roots.count() == 1;
            let parent = model
                .descent()
                .and_then(|descent| found.name(descent.parent()));
            let right = parent == truth.and_then(|parent| self.graph.name(parent));
            Some((model.confidence().filter(|_| known)?, right))
        };
        found.models().iter().filter_map(prediction).collect()
    }

    fn clusters(&self, found: &ModelGraph) -> Result<Share, Failure> {
        let labels = (found.models().iter().enumerate())
            .filter_map(|(at, model)| Some((found.tree(at)?, *self.trees.get(model.name())?)));
        let (labels, truth): (Vec<usize>, Vec<usize>) = labels.unzip();
        let accuracy = clustering_accuracy(&labels, &truth).map_err(Failure::run)?;
        Ok(Share {
            right: (accuracy.unwrap_or(0.0) * labels.len() as f64).round() as usize,
            of: self.trees.len(),
        })
    }
}

/// The accuracy of a recovered graph.
pub(crate) struct Accuracy {
    /// The share of true edges that were found in the right direction.
    pub(crate) edges: Share,
    /// The same for each true tree, in the order of their numbers.
    pub(crate) edges_by_tree: Vec<Share>,
    /// The share of models in the right cluster, under the best matching of found and true clusters.
    pub(crate) clusters: Share,
}

/// A count out of a total.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct Share {
    pub(crate) right: usize,
    pub(crate) of: usize,
}

impl Share {
    /// The share as a number; `None` if the total is 0.
    pub(crate) fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.right as f64 / self.of as f64)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.right += other.right;
        self.of += other.of;
    }

    pub(crate) const fn count(&mut self, right: bool) {
        self.right += right as usize;
        self.of += 1;
    }
}

impl Sum for Share {
    fn sum<I: Iterator<Item = Self>>(shares: I) -> Self {
        let mut sum = Self::default();
        shares.for_each(|share| sum.add(share));
        sum
    }
}
