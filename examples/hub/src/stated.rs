//! The stated base of a model, and whether the weights agree.

use mother::adapters::models_named;
use mother::files::ModelCard;
use mother::heritage::ModelGraph;
use serde::{Deserialize, Serialize};

use crate::error::{Code, HubError};
use crate::recovery::Snapshot;

/// The maximum number of bases on a card, and the maximum length of a name.
const MOST_BASES: usize = 100;
const LONGEST_NAME: usize = 500;

/// An edge contradicts a card only if it is at least this probable.
const SURE: f64 = 0.9;

/// The claims of a model's card about its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stated {
    #[serde(default)]
    pub(crate) base_model: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base_model_relation: Option<String>,
    /// The base of the model, if it is stored as an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) adapter: Option<AdapterOf>,
}

/// The model that an adapter was applied to, and its rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AdapterOf {
    pub(crate) base: String,
    pub(crate) rank: usize,
}

impl Stated {
    pub(crate) fn to_json(&self) -> String {
        // Strings in lists always have a form in JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn from_json(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// Checks the statements of a client.
    pub(crate) fn checked(self) -> Result<Self, HubError> {
        let names = self.base_model.iter().chain(&self.base_model_relation);
        if self.base_model.len() > MOST_BASES || names.into_iter().any(|n| n.len() > LONGEST_NAME) {
            let message = "at most 100 bases can be stated, with names of at most 500 bytes";
            return Err(HubError::new(Code::BadRequest, message));
        }
        Ok(self)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.base_model.is_empty()
    }
}

impl From<ModelCard> for Stated {
    fn from(card: ModelCard) -> Self {
        let short = |name: &&String| name.len() <= LONGEST_NAME;
        let bases = card.bases().iter().filter(short).take(MOST_BASES);
        Self {
            base_model: bases.cloned().collect(),
            base_model_relation: card.relation().map(String::from),
            adapter: None,
        }
    }
}

/// The verdict of the weights on a statement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    #[serde(flatten)]
    pub(crate) stated: Stated,
    /// The models in this hub that the statement refers to.
    pub(crate) means: Vec<String>,
    /// Whether the weights agree; `None` if they can't decide.
    pub(crate) agrees: Option<bool>,
    pub(crate) says: String,
}

/// Compares the statements about a model with the graph; `None` if there are none.
pub(crate) fn verdict(stated: &Stated, snapshot: &Snapshot, model: usize) -> Option<Verdict> {
    if stated.is_empty() {
        return None;
    }
    let graph = &snapshot.graph;
    let mut means: Vec<usize> = Vec::new();
    for base in &stated.base_model {
        let candidates = snapshot.called_like(base);
        let names = candidates.iter().filter_map(|&at| graph.name(at));
        means.extend(models_named(base, names).iter().map(|&at| candidates[at]));
    }
    means.retain(|&base| base != model);
    means.sort_unstable();
    means.dedup();
    let (agrees, says) = judge(graph, model, &means);
    Some(Verdict {
        stated: stated.clone(),
        means: (means.iter())
            .filter_map(|&base| graph.name(base).map(String::from))
            .collect(),
        agrees,
        says,
    })
}

fn judge(graph: &ModelGraph, model: usize, means: &[usize]) -> (Option<bool>, String) {
    if means.is_empty() {
        return (None, "The stated base is not in this hub.".into());
    }
    if !graph.is_placed(model) {
        return (
            None,
            "The weights say nothing about where the model comes from.".into(),
        );
    }
    if means.iter().any(|&base| is_above(graph, base, model)) {
        return (Some(true), "The weights agree with the card.".into());
    }
    if means.iter().any(|&base| may_be_above(graph, base, model)) {
        let says = "The weights show that the two are related, but not clearly which came first.";
        return (None, says.into());
    }
    let parent = graph.parent(model).and_then(|parent| graph.name(parent));
    let says = match parent {
        Some(parent) => {
            format!("The card says otherwise: by its weights, the model comes from {parent}.")
        }
        None => "The card says otherwise: by its weights, the model has no parent here.".into(),
    };
    (Some(false), says)
}

/// Whether a model descends from another, is an average of it, or may equally well descend from it as from its
/// parent.
fn is_above(graph: &ModelGraph, base: usize, model: usize) -> bool {
    let found = &graph.models()[model];
    let alike = found
        .descent()
        .and_then(|descent| descent.equivalent_parents());
    graph.is_ancestor(base, model)
        || (found.merged_from().iter()).any(|part| part.parent == base)
        || alike.is_some_and(|alike| alike.models.contains(&base))
}

/// Whether an uncertain edge joins the two, or a base is the second most probable parent.
fn may_be_above(graph: &ModelGraph, base: usize, model: usize) -> bool {
    let unsure = |child: usize| {
        graph.models()[child]
            .confidence()
            .is_some_and(|sure| sure < SURE)
    };
    let second = graph.models()[model]
        .runner_up()
        .and_then(|second| second.parent);
    (graph.parent(base) == Some(model) && unsure(base)) || (second == Some(base) && unsure(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sure_edge_contradicts_a_card() {
        use mother::heritage::{Descent, Model};
        let graph = |sure| {
            let edge = Descent::new(0).with_confidence(sure);
            let other = Model::new("other").with_root_confidence(1.0);
            ModelGraph::new(vec![
                Model::new("a"),
                Model::new("b").with_descent(edge),
                other,
            ])
        };
        let (sure, unsure) = (graph(0.99).unwrap(), graph(0.6).unwrap());
        assert_eq!(judge(&sure, 1, &[0]).0, Some(true));
        assert_eq!(judge(&sure, 0, &[1]).0, Some(false));
        assert_eq!(judge(&unsure, 0, &[1]).0, None);
        assert_eq!(judge(&sure, 1, &[2]).0, Some(false));
        assert_eq!(judge(&sure, 1, &[]).0, None);
        assert_eq!(judge(&sure, 2, &[0, 1]).0, Some(false));
    }
}
