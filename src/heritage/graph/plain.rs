//! The serialised form of a graph: models by name, edges by the parent's name.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize, Serializer};

use super::{
    Descent, DescentKind, EquivalentParents, GraphError, MergeParent, Model, ModelGraph, ModelTree,
    RunnerUp,
};
use crate::heritage::{Stage, StageEstimate};

/// The version of the format. Keys may be added without a new one.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename = "ModelGraph")]
pub(super) struct PlainGraph<'a> {
    #[serde(default = "first_version")]
    version: u32,
    #[serde(alias = "nodes")]
    models: Vec<PlainModel<'a>>,
    #[serde(default)]
    trees: Vec<PlainTree<'a>>,
}

const fn first_version() -> u32 {
    1
}

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runner_up: Option<PlainRunnerUp<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compared: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joined: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alike: Option<PlainAlike<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    merged_from: Vec<PlainMergeParent<'a>>,
    #[serde(default, skip_serializing_if = "is_false")]
    hidden: bool,
    #[serde(default)]
    placed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "RunnerUp")]
struct PlainRunnerUp<'a> {
    #[serde(default)]
    parent: Option<Cow<'a, str>>,
    confidence: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "EquivalentParents")]
struct PlainAlike<'a> {
    parents: Vec<Cow<'a, str>>,
    confidence: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "MergeParent")]
struct PlainMergeParent<'a> {
    parent: Cow<'a, str>,
    weight: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "ModelTree")]
struct PlainTree<'a> {
    root: Cow<'a, str>,
    #[serde(default)]
    size: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<PlainStage>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "StageEstimate")]
struct PlainStage {
    /// Follows from the others.
    #[serde(skip_deserializing)]
    name: Option<&'static str>,
    specialization: f64,
    generalization: f64,
}

impl<'a> From<&'a ModelGraph> for PlainGraph<'a> {
    fn from(graph: &'a ModelGraph) -> Self {
        let name = |position: usize| Cow::Borrowed(graph.models[position].name());
        let plain = |(at, model): (usize, &'a Model)| {
            let kind = model.descent().and_then(Descent::kind);
            PlainModel {
                id: Cow::Borrowed(model.name()),
                tree: graph.layout.tree[at],
                parent: model.parent().map(name),
                distance: model.descent().and_then(Descent::distance),
                score: model.score(),
                confidence: model.confidence(),
                runner_up: model.runner_up().map(|runner_up| PlainRunnerUp {
                    parent: runner_up.parent.map(name),
                    confidence: runner_up.confidence,
                }),
                compared: model.descent().and_then(Descent::compared),
                joined: model.descent().and_then(Descent::joined),
                alike: (model.descent().and_then(Descent::equivalent_parents)).map(|alike| {
                    PlainAlike {
                        parents: alike.models.iter().copied().map(name).collect(),
                        confidence: alike.confidence,
                    }
                }),
                kind: kind.map(|kind| Cow::Borrowed(kind.name())),
                rank: kind.and_then(DescentKind::rank),
                merged_from: (model.merged_from().iter())
                    .map(|parent| PlainMergeParent {
                        parent: name(parent.parent),
                        weight: parent.weight,
                    })
                    .collect(),
                hidden: model.is_hidden(),
                placed: graph.is_placed(at),
            }
        };
        let tree = |ModelTree { root, size, .. }| {
            let model = &graph.models[root];
            PlainTree {
                root: name(root),
                size,
                confidence: model.confidence(),
                stage: model.stage().map(PlainStage::new),
            }
        };
        Self {
            version: VERSION,
            models: graph.models.iter().enumerate().map(plain).collect(),
            trees: graph.trees().map(tree).collect(),
        }
    }
}

impl PlainStage {
    fn new(estimate: &StageEstimate) -> Self {
        Self {
            name: estimate.stage().map(Stage::name),
            specialization: estimate.specialization,
            generalization: estimate.generalization,
        }
    }
}

impl TryFrom<PlainGraph<'_>> for ModelGraph {
    type Error = GraphError;

    fn try_from(plain: PlainGraph<'_>) -> Result<Self, GraphError> {
        if plain.version > VERSION {
            let found = plain.version;
            return Err(GraphError::Version { found });
        }
        let ids = plain.models.iter().enumerate();
        let positions: HashMap<&str, usize> = ids.map(|(at, model)| (&*model.id, at)).collect();
        let models = plain.models.iter().map(|plain| plain.model(&positions));
        let mut models: Vec<Model> = models.collect::<Result<_, _>>()?;
        for tree in &plain.trees {
            let root = positions.get(&*tree.root).map(|&at| &mut models[at]);
            if let (Some(root), Some(stage)) = (root, &tree.stage) {
                root.stage = Some(StageEstimate {
                    specialization: stage.specialization,
                    generalization: stage.generalization,
                });
            }
        }
        Self::new(models)
    }
}

impl PlainModel<'_> {
    /// The model with its parents as positions. An unknown parent is an error.
    fn model(&self, positions: &HashMap<&str, usize>) -> Result<Model, GraphError> {
        let position = |parent: &Cow<'_, str>| {
            let position = positions.get(&**parent).copied();
            position.ok_or_else(|| GraphError::UnknownParent {
                model: self.id.clone().into_owned(),
                parent: parent.clone().into_owned(),
            })
        };
        let kind = self.kind.as_deref();
        let kind = kind.and_then(|kind| DescentKind::from_name(kind, self.rank));
        let alike = |plain: &PlainAlike<'_>| {
            Ok(EquivalentParents {
                models: plain
                    .parents
                    .iter()
                    .map(position)
                    .collect::<Result<_, _>>()?,
                confidence: plain.confidence,
            })
        };
        let descent = |parent| {
            Ok(Descent {
                parent: position(parent)?,
                distance: self.distance,
                confidence: self.confidence,
                kind,
                compared: self.compared,
                joined: self.joined,
                alike: self.alike.as_ref().map(alike).transpose()?,
            })
        };
        let runner_up = |plain: &PlainRunnerUp<'_>| {
            Ok(RunnerUp {
                parent: plain.parent.as_ref().map(position).transpose()?,
                confidence: plain.confidence,
            })
        };
        let merge_parent = |plain: &PlainMergeParent<'_>| {
            Ok(MergeParent {
                parent: position(&plain.parent)?,
                weight: plain.weight,
            })
        };
        Ok(Model {
            name: self.id.clone().into_owned(),
            score: self.score,
            descent: self.parent.as_ref().map(descent).transpose()?,
            root_confidence: match self.parent {
                Some(_) => None,
                None => self.confidence,
            },
            runner_up: self.runner_up.as_ref().map(runner_up).transpose()?,
            merged_from: (self.merged_from.iter())
                .map(merge_parent)
                .collect::<Result<_, _>>()?,
            stage: None,
            hidden: self.hidden,
        })
    }
}

impl Serialize for ModelGraph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PlainGraph::from(self).serialize(serializer)
    }
}
