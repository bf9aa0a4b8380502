//! The lineage of a model: JSON built from the catalogue and a snapshot.

use std::sync::Arc;

use mother::heritage::{Descent, DescentKind, ModelGraph};
use serde::Serialize;

use crate::catalogue::Known;
use crate::hub::Hub;
use crate::recovery::Snapshot;
use crate::stated::{self, Verdict};

/// The maximum number of children in a model's lineage; the tree has all of them.
const MOST_CHILDREN: usize = 1000;

/// Edges below this probability are uncertain.
const SURE: f64 = 0.9;

/// A model, its origin and the evidence.
#[derive(Serialize)]
pub(crate) struct Lineage {
    pub(crate) id: String,
    /// Its source: `zoo`, `folder` or `upload`.
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Milliseconds since 1970.
    added: i64,
    /// Whether the model was added after this information was computed.
    pub(crate) pending: bool,
    /// Why it can't be compared with other models.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The number of the graph used here.
    generation: u64,
    /// Whether no model was added or removed since that graph.
    current: bool,
    #[serde(flatten)]
    found: Option<Found>,
}

#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    node: Node,
    /// Its ancestors, parent first.
    ancestors: Vec<String>,
    children: Vec<Child>,
    /// The number of its children.
    child_count: usize,
    tree: Tree,
    stated: Option<Verdict>,
}

#[derive(Serialize)]
struct Child {
    id: String,
    probability: Option<f64>,
    kind: Option<&'static str>,
}

#[derive(Serialize)]
struct Tree {
    root: String,
    size: usize,
}

/// A model as a node of a tree.
#[derive(Serialize)]
pub(crate) struct Node {
    /// Whether anything is known about its place.
    placed: bool,
    parent: Option<String>,
    /// The probability that this is the parent, or that it has none here.
    probability: Option<f64>,
    /// The probability that an edge joins the two, in either direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    joined: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runner_up: Option<RunnerUp>,
    /// `trained`, `adapter`, `duplicate`, `cast`, `quantised` or `pruned`; `null` without a parent.
    kind: Option<&'static str>,
    /// The rank of an adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f64>,
    /// The share of its weights that was compared with the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<f64>,
    /// The number of its weight matrices that were compared, and the number that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    matrices: Option<[usize; 2]>,
    /// The rule that matched tensors: `names`, `prefix` or `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    matched_by: Option<&'static str>,
    /// log₁₀ of the p-value of the hypothesis that parent and child have no common ancestor.
    #[serde(skip_serializing_if = "Option::is_none")]
    kinship_log10_p: Option<f64>,
    /// Models that can't be distinguished from the parent, including the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    alike: Option<Alike>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    merged_from: Vec<Part>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct RunnerUp {
    parent: Option<String>,
    probability: f64,
}

#[derive(Serialize)]
struct Alike {
    parents: Vec<String>,
    probability: f64,
}

#[derive(Serialize)]
struct Part {
    parent: String,
    weight: f64,
}

/// A tree in the form that the page draws: parents come before their children.
#[derive(Serialize)]
pub(crate) struct TreeView {
    generation: u64,
    models: Vec<TreeNode>,
}

#[derive(Serialize)]
struct TreeNode {
    id: String,
    /// The position of the parent in the list.
    at: Option<usize>,
    #[serde(flatten)]
    node: Node,
}

/// The lineage of a model.
pub(crate) fn lineage(hub: &Hub, known: &Arc<Known>, snapshot: &Snapshot) -> Lineage {
    let row = &known.row;
    let is_known = snapshot.generation > 0 && snapshot.change >= known.change;
    let place = snapshot.graph.index(&row.id).filter(|_| is_known);
    Lineage {
        id: row.id.clone(),
        origin: row.origin.name(),
        path: row.path.clone(),
        added: row.added,
        pending: !is_known,
        problem: snapshot.problems.get(&row.id).filter(|_| is_known).cloned(),
        generation: snapshot.generation,
        current: snapshot.generation > 0 && snapshot.change >= hub.newest_change(),
        found: place.map(|place| found(hub, known, snapshot, place)),
    }
}

fn found(hub: &Hub, known: &Known, snapshot: &Snapshot, place: usize) -> Found {
    let graph = &snapshot.graph;
    let stated = stated::verdict(&known.row.stated, snapshot, place);
    let root = graph.ancestors(place).last().unwrap_or(place);
    let children = graph.children(place);
    let child = |&child: &usize| Child {
        id: name(graph, child),
        probability: graph.models()[child].confidence(),
        kind: kind(hub, graph, child).map(|(kind, _)| kind),
    };
    Found {
        node: node(hub, snapshot, place, stated.as_ref()),
        ancestors: graph.ancestors(place).map(|at| name(graph, at)).collect(),
        children: children.iter().take(MOST_CHILDREN).map(child).collect(),
        child_count: children.len(),
        tree: Tree {
            root: name(graph, root),
            size: graph.subtree(root).len(),
        },
        stated,
    }
}

/// The tree of a model; `None` if the snapshot doesn't have the model.
pub(crate) fn tree(hub: &Hub, snapshot: &Snapshot, id: &str) -> Option<TreeView> {
    let graph = &snapshot.graph;
    let model = graph.index(id)?;
    let root = graph.ancestors(model).last().unwrap_or(model);
    let members = graph.subtree(root);
    let mut place = std::collections::HashMap::with_capacity(members.len());
    let models = members.iter().enumerate().map(|(at, &member)| {
        place.insert(member, at);
        let id = name(graph, member);
        let known = hub.catalogue.get(&id);
        let stated = known.and_then(|known| stated::verdict(&known.row.stated, snapshot, member));
        TreeNode {
            at: graph
                .parent(member)
                .and_then(|parent| place.get(&parent).copied()),
            node: node(hub, snapshot, member, stated.as_ref()),
            id,
        }
    });
    Some(TreeView {
        generation: snapshot.generation,
        models: models.collect(),
    })
}

/// The models in the bill of materials of one model: itself, its ancestors, the models that it is an average of, and
/// those that can't be distinguished from its parent.
pub(crate) fn relevant(graph: &ModelGraph, model: usize) -> Vec<usize> {
    let mut models: Vec<usize> = graph.ancestors(model).chain([model]).collect();
    for at in models.clone() {
        let found = &graph.models()[at];
        models.extend(found.merged_from().iter().map(|part| part.parent));
        let alike = found.descent().and_then(Descent::equivalent_parents);
        models.extend(alike.iter().flat_map(|alike| &alike.models));
    }
    models
}

fn name(graph: &ModelGraph, model: usize) -> String {
    graph.name(model).unwrap_or_default().into()
}

/// How a model was made from its parent, as far as signatures show, and the rank of an adapter.
fn kind(hub: &Hub, graph: &ModelGraph, model: usize) -> Option<(&'static str, Option<usize>)> {
    let descent = graph.models()[model].descent()?;
    Some(match (descent.kind(), adapter_rank(hub, graph, model)) {
        (_, Some(rank)) => ("adapter", Some(rank)),
        (Some(DescentKind::Copy(copy)), None) => (copy.name(), None),
        _ => ("trained", None),
    })
}

/// The rank of a model that is stored as an adapter for its parent.
pub(crate) fn adapter_rank(hub: &Hub, graph: &ModelGraph, model: usize) -> Option<usize> {
    let parent = graph.name(graph.parent(model)?)?;
    let known = hub.catalogue.get(graph.name(model)?)?;
    let adapter = known.row.stated.adapter.as_ref()?;
    (adapter.base == parent).then_some(adapter.rank)
}

fn node(hub: &Hub, snapshot: &Snapshot, model: usize, stated: Option<&Verdict>) -> Node {
    let graph = &snapshot.graph;
    let found = &graph.models()[model];
    let descent = found.descent();
    let edge = snapshot.edges.get(model).and_then(Option::as_ref);
    let edge = edge.filter(|_| descent.is_some());
    let kind = kind(hub, graph, model);
    let mut node = Node {
        placed: graph.is_placed(model),
        parent: graph.parent(model).map(|parent| name(graph, parent)),
        probability: found.confidence(),
        joined: descent.and_then(Descent::joined),
        runner_up: found.runner_up().map(|second| RunnerUp {
            parent: second.parent.map(|parent| name(graph, parent)),
            probability: second.confidence,
        }),
        kind: kind.map(|(kind, _)| kind),
        rank: kind.and_then(|(_, rank)| rank),
        distance: descent.and_then(Descent::distance),
        compared: descent.and_then(Descent::compared),
        matrices: edge.map(|edge| edge.weights),
        matched_by: edge.map(|edge| edge.matched_by),
        kinship_log10_p: edge.and_then(|edge| edge.kinship_log10_p),
        alike: descent
            .and_then(Descent::equivalent_parents)
            .map(|alike| Alike {
                parents: alike
                    .models
                    .iter()
                    .map(|&model| name(graph, model))
                    .collect(),
                probability: alike.confidence,
            }),
        merged_from: (found.merged_from().iter())
            .map(|part| Part {
                parent: name(graph, part.parent),
                weight: part.weight,
            })
            .collect(),
        warnings: Vec::new(),
    };
    node.warnings = warnings(&node, stated);
    node
}

/// What a reader should know before trusting an edge.
fn warnings(node: &Node, stated: Option<&Verdict>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some([compared, of]) = node.matrices
        && 2 * compared < of
    {
        let matrices = if of == 1 { "matrix" } else { "matrices" };
        warnings.push(format!("compared on {compared} of {of} {matrices}"));
    } else if let Some(share) = node.compared.filter(|&share| share < 0.5) {
        warnings.push(format!("compared on {:.0} % of its weights", 100.0 * share));
    }
    if stated.is_some_and(|verdict| verdict.agrees == Some(false)) {
        warnings.push("card says otherwise".into());
    }
    if let Some(alike) = node.alike.as_ref().filter(|alike| alike.parents.len() > 1) {
        warnings.push(format!(
            "{} models are equally likely to be the parent",
            alike.parents.len()
        ));
    } else if let (Some(sure), Some(joined)) = (node.probability, node.joined)
        && sure < SURE
        && joined >= SURE
    {
        warnings.push("it is uncertain which came first".into());
    } else if node.parent.is_some() && node.probability.is_some_and(|sure| sure < 0.5) {
        warnings.push("the parent is uncertain".into());
    }
    warnings
}
