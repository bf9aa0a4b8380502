//! Conversion to and from petgraph's graphs.

use alloc::borrow::ToOwned;
use alloc::string::String;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::{Descent, GraphError, Model, ModelGraph};

/// The nodes are names, in the order of positions. An edge leads from parent to child and has their distance
/// as its weight, if it is known.
impl From<&ModelGraph> for DiGraph<String, Option<f64>> {
    fn from(graph: &ModelGraph) -> Self {
        let mut found = Self::with_capacity(graph.len(), graph.len());
        for model in graph.models() {
            found.add_node(model.name().to_owned());
        }
        for (parent, child) in graph.edges() {
            let distance = graph.models()[child].descent().and_then(Descent::distance);
            found.add_edge(NodeIndex::new(parent), NodeIndex::new(child), distance);
        }
        found
    }
}

/// Reads back a graph made by `From<&ModelGraph>`.
impl TryFrom<&DiGraph<String, Option<f64>>> for ModelGraph {
    type Error = GraphError;

    fn try_from(graph: &DiGraph<String, Option<f64>>) -> Result<Self, GraphError> {
        let model = |node: NodeIndex| {
            let (name, mut edges) = (
                &graph[node],
                graph.edges_directed(node, Direction::Incoming),
            );
            let model = Model::new(&**name);
            let Some(edge) = edges.next() else {
                return Ok(model);
            };
            if edges.next().is_some() {
                let model = name.clone();
                return Err(GraphError::SeveralParents { model });
            }
            let descent = Descent::new(edge.source().index());
            Ok(model.with_descent(match edge.weight() {
                Some(distance) => descent.with_distance(*distance),
                None => descent,
            }))
        };
        Self::new(graph.node_indices().map(model).collect::<Result<_, _>>()?)
    }
}
