//! What the examples share: the truth of a set of models, and the embedded zoo.

#![allow(dead_code, reason = "not every example uses all of it")]

pub(crate) mod zoo;

use std::collections::HashMap;
use std::path::Path;

use mother::heritage::{GraphError, ModelGraph, metrics};
use serde::Deserialize;

/// `truth.json`: who was really trained from whom.
#[derive(Deserialize)]
pub(crate) struct Truth {
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
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        text.and_then(|text| Self::parse(&text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The number of trees.
    pub(crate) fn trees(&self) -> usize {
        let mut trees: Vec<usize> = self.nodes.iter().map(|node| node.tree).collect();
        trees.sort_unstable();
        trees.dedup();
        trees.len()
    }

    fn graph(&self) -> Result<ModelGraph, GraphError> {
        let parents = self
            .nodes
            .iter()
            .map(|n| (n.id.as_str(), n.parent.as_deref()));
        ModelGraph::from_parents(parents)
    }

    /// The shares of edges and of cluster labels that are right; `None` where there are none.
    pub(crate) fn accuracy(
        &self,
        found: &ModelGraph,
    ) -> Result<(Option<f64>, Option<f64>), String> {
        let truth = self.graph().map_err(|error| error.to_string())?;
        let edges = metrics::edge_accuracy(found, &truth);
        let tree: HashMap<&str, usize> =
            self.nodes.iter().map(|n| (n.id.as_str(), n.tree)).collect();
        let known =
            (0..found.len()).filter_map(|i| Some((found.tree(i)?, *tree.get(found.name(i)?)?)));
        let (found, truth): (Vec<usize>, Vec<usize>) = known.unzip();
        let clusters =
            metrics::clustering_accuracy(&found, &truth).map_err(|error| error.to_string())?;
        Ok((edges, clusters))
    }
}
