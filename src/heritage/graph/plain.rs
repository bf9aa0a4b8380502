//! The form in which a graph is written down: models by name, edges by the parent's name.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize, Serializer};

use super::{Descent, GraphError, Model, ModelGraph};

#[derive(Serialize, Deserialize)]
#[serde(rename = "ModelGraph")]
pub(super) struct PlainGraph<'a> {
    #[serde(alias = "nodes")]
    models: Vec<PlainModel<'a>>,
    #[serde(default)]
    trees: Vec<PlainTree<'a>>,
}

// The keys and their order are those of the command's JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Model")]
struct PlainModel<'a> {
    id: Cow<'a, str>,
    #[serde(default)]
    tree: usize,
    #[serde(default)]
    parent: Option<Cow<'a, str>>,
    #[serde(default)]
    distance: Option<f64>,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    confidence: Option<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "ModelTree")]
struct PlainTree<'a> {
    root: Cow<'a, str>,
    size: usize,
}

impl<'a> From<&'a ModelGraph> for PlainGraph<'a> {
    fn from(graph: &'a ModelGraph) -> Self {
        let name = |position: usize| Cow::Borrowed(graph.models[position].name());
        let plain = |(model, &tree): (&'a Model, &usize)| PlainModel {
            id: Cow::Borrowed(model.name()),
            tree,
            parent: model.parent().map(name),
            distance: model.descent().and_then(Descent::distance),
            score: model.score(),
            confidence: model.confidence(),
        };
        Self {
            models: graph
                .models
                .iter()
                .zip(&graph.layout.tree)
                .map(plain)
                .collect(),
            trees: graph
                .trees()
                .map(|tree| PlainTree {
                    root: name(tree.root),
                    size: tree.size,
                })
                .collect(),
        }
    }
}

impl TryFrom<PlainGraph<'_>> for ModelGraph {
    type Error = GraphError;

    fn try_from(plain: PlainGraph<'_>) -> Result<Self, GraphError> {
        Self::from_descents(plain.models.into_iter().map(|plain| {
            let model = Model {
                name: plain.id.into_owned(),
                score: plain.score,
                descent: None,
                root_confidence: if plain.parent.is_none() {
                    plain.confidence
                } else {
                    None
                },
            };
            let descent = Descent {
                parent: usize::MAX,
                distance: plain.distance,
                confidence: plain.confidence,
            };
            (model, plain.parent.map(|parent| (parent, descent)))
        }))
    }
}

impl Serialize for ModelGraph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PlainGraph::from(self).serialize(serializer)
    }
}
