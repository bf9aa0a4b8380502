//! The formats in which a recovered forest is printed.

use std::time::{SystemTime, UNIX_EPOCH};

use mother::heritage::ModelGraph;
use serde::Serialize;

use super::job::{Outcome, Seconds};
use super::matches::MatchReport;
use super::models::Skipped;
use super::store::Counts;
use super::terminal::Failure;
use super::truth::{Accuracy, Share};

#[derive(Clone, Copy)]
pub(crate) enum Format {
    Text,
    Json,
    Dot,
    Mermaid,
    Newick,
    Svg,
    Card,
    CycloneDx,
    Spdx,
}

impl Format {
    /// Every format by its name.
    pub(crate) const NAMES: [(&str, Self); 9] = [
        ("text", Self::Text),
        ("json", Self::Json),
        ("dot", Self::Dot),
        ("mermaid", Self::Mermaid),
        ("newick", Self::Newick),
        ("svg", Self::Svg),
        ("card", Self::Card),
        ("cyclonedx", Self::CycloneDx),
        ("spdx", Self::Spdx),
    ];

    /// The outcome in this format, without a line break at the end.
    pub(crate) fn report(
        self,
        outcome: &Outcome,
        accuracy: Option<&Accuracy>,
    ) -> Result<String, Failure> {
        let graph = &outcome.graph;
        Ok(match self {
            Self::Text => text(graph, accuracy),
            Self::Json => serde_json::to_string(&json(outcome, accuracy)).map_err(Failure::run)?,
            Self::Dot => graph.dot().to_string(),
            Self::Mermaid => graph.mermaid().to_string(),
            Self::Newick => graph.newick().to_string(),
            Self::Svg => graph.svg().to_string(),
            Self::Card => cards(graph),
            Self::CycloneDx => graph.cyclonedx().to_string(),
            Self::Spdx => spdx(graph)?,
        })
    }
}

/// The front matter of every model's card, with a line between them.
fn cards(graph: &ModelGraph) -> String {
    let cards = (0..graph.len()).filter_map(|model| graph.card(model));
    let cards: Vec<_> = cards.map(|card| card.to_string()).collect();
    cards.join("\n\n")
}

/// The SPDX document of this moment, which also names it.
fn spdx(graph: &ModelGraph) -> Result<String, Failure> {
    let now = SystemTime::now();
    let now = now.duration_since(UNIX_EPOCH).map_err(Failure::run)?;
    let namespace = format!("https://spdx.org/spdxdocs/mother-{}", now.as_nanos());
    Ok(graph.spdx(&namespace, now).to_string())
}

fn text(graph: &ModelGraph, accuracy: Option<&Accuracy>) -> String {
    let mut text = graph.to_string();
    if let Some(Accuracy {
        edges, clusters, ..
    }) = accuracy
    {
        text += "\n";
        text += &format!("\nright edges:           {}", of_all(*edges));
        text += &format!("\nmodels in right tree:  {}", of_all(*clusters));
    }
    text
}

/// `13 of 18 (0.722)`.
fn of_all(share: Share) -> String {
    let Share { right, of } = share;
    match share.value() {
        Some(value) => format!("{right} of {of} ({value:.3})"),
        None => "there are none".into(),
    }
}

/// What the JSON holds, in this order.
#[derive(Serialize)]
struct Report<'a> {
    models: Vec<ModelReport<'a>>,
    trees: Vec<TreeReport<'a>>,
    skipped: &'a [Skipped],
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<AccuracyReport>,
    signatures: Counts,
    seconds: &'a Seconds,
}

#[derive(Serialize)]
struct ModelReport<'a> {
    id: &'a str,
    tree: Option<usize>,
    parent: Option<&'a str>,
    distance: Option<f64>,
    score: Option<f64>,
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runner_up: Option<RunnerUpReport<'a>>,
    /// The share of its weights that the edge to its parent rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<f64>,
    /// How sure it is that an edge joins the two, whichever was first.
    #[serde(skip_serializing_if = "Option::is_none")]
    joined: Option<f64>,
    /// The models that nothing compared tells from the parent, the parent included.
    #[serde(skip_serializing_if = "Option::is_none")]
    alike: Option<AlikeReport<'a>>,
    /// How its tensors were matched with those of its parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<&'a MatchReport>,
    /// log₁₀ of how probable it is, at most, that it and its parent look so much alike without an ancestor
    /// in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    kinship_log10_p: Option<f64>,
    /// Whether anything can be said of where it stands.
    placed: bool,
    /// Whether nobody has the model: it is only known by those that descend from it.
    #[serde(skip_serializing_if = "is_false")]
    hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    merged_from: Vec<MergeReport<'a>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Serialize)]
struct RunnerUpReport<'a> {
    parent: Option<&'a str>,
    confidence: f64,
}

#[derive(Serialize)]
struct AlikeReport<'a> {
    parents: Vec<&'a str>,
    confidence: f64,
}

#[derive(Serialize)]
struct MergeReport<'a> {
    parent: Option<&'a str>,
    weight: f64,
}

#[derive(Serialize)]
struct TreeReport<'a> {
    root: Option<&'a str>,
    size: usize,
    /// How sure the root is.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<StageReport>,
}

#[derive(Serialize)]
struct StageReport {
    /// `null` where it can't be told.
    name: Option<String>,
    specialization: f64,
    generalization: f64,
}

#[derive(Serialize)]
struct AccuracyReport {
    edges: Option<f64>,
    clusters: Option<f64>,
}

fn json<'a>(outcome: &'a Outcome, accuracy: Option<&Accuracy>) -> Report<'a> {
    let graph = &outcome.graph;
    let models = graph.models().iter().enumerate().map(|(at, model)| {
        let descent = model.descent();
        let kind = descent.and_then(|descent| descent.kind());
        let runner_up = model.runner_up();
        let merged_from = model.merged_from().iter();
        ModelReport {
            id: model.name(),
            tree: graph.tree(at),
            parent: graph.parent(at).and_then(|parent| graph.name(parent)),
            distance: descent.and_then(|descent| descent.distance()),
            score: model.score(),
            confidence: model.confidence(),
            runner_up: runner_up.map(|runner_up| RunnerUpReport {
                parent: runner_up.parent.and_then(|parent| graph.name(parent)),
                confidence: runner_up.confidence,
            }),
            compared: descent.and_then(|descent| descent.compared()),
            joined: descent.and_then(|descent| descent.joined()),
            alike: (descent.and_then(|descent| descent.alike())).map(|alike| AlikeReport {
                parents: (alike.models.iter())
                    .filter_map(|&parent| graph.name(parent))
                    .collect(),
                confidence: alike.confidence,
            }),
            matched: outcome.matches.get(&at),
            kinship_log10_p: (outcome.matches.get(&at)).and_then(|edge| edge.kinship_log10_p),
            placed: graph.is_placed(at),
            hidden: model.is_hidden(),
            kind: kind.map(|kind| kind.name()),
            rank: kind.and_then(|kind| kind.rank()),
            merged_from: merged_from
                .map(|parent| MergeReport {
                    parent: graph.name(parent.parent),
                    weight: parent.weight,
                })
                .collect(),
        }
    });
    let trees = graph.trees().map(|tree| {
        let root = &graph.models()[tree.root];
        TreeReport {
            root: Some(root.name()),
            size: tree.size,
            confidence: root.confidence(),
            stage: root.stage().map(|estimate| StageReport {
                name: estimate.stage().map(|stage| stage.to_string()),
                specialization: estimate.specialization,
                generalization: estimate.generalization,
            }),
        }
    });
    Report {
        models: models.collect(),
        trees: trees.collect(),
        skipped: &outcome.skipped,
        accuracy: accuracy.map(|accuracy| AccuracyReport {
            edges: accuracy.edges.value(),
            clusters: accuracy.clusters.value(),
        }),
        signatures: outcome.signatures,
        seconds: &outcome.seconds,
    }
}
