//! The formats in which a recovered forest is printed.

use std::time::{SystemTime, UNIX_EPOCH};

use mother::heritage::ModelGraph;
use serde_json::{Value, json};

use super::job::Outcome;
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
            Self::Json => {
                let report = json(outcome, accuracy).map_err(Failure::run)?;
                report.to_string()
            }
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

/// The front matter of every model's card, separated by empty lines.
fn cards(graph: &ModelGraph) -> String {
    let cards = (0..graph.len()).filter_map(|model| graph.card(model));
    let cards: Vec<_> = cards.map(|card| card.to_string()).collect();
    cards.join("\n\n")
}

/// The SPDX document with the current time, from which its namespace is made.
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
        None => "none".into(),
    }
}

/// The graph as the library serialises it, with details of the run and of its edges.
fn json(outcome: &Outcome, accuracy: Option<&Accuracy>) -> serde_json::Result<Value> {
    let mut report = serde_json::to_value(&outcome.graph)?;
    for (&model, edge) in &outcome.matches {
        let model = &mut report["models"][model];
        model["matched"] = serde_json::to_value(edge)?;
        if let Some(p) = edge.kinship_log10_p {
            model["kinship_log10_p"] = p.into();
        }
    }
    report["skipped"] = serde_json::to_value(&outcome.skipped)?;
    report["signatures"] = serde_json::to_value(outcome.signatures)?;
    report["seconds"] = serde_json::to_value(outcome.seconds)?;
    if let Some(accuracy) = accuracy {
        report["accuracy"] = json!({
            "edges": accuracy.edges.value(),
            "clusters": accuracy.clusters.value(),
        });
    }
    Ok(report)
}
