//! Statements about models: ids in the file of known facts, and the bases named by model cards.

use std::collections::{BTreeMap, BTreeSet};

use mother::adapters::models_named;
use mother::files::ModelPath;
use mother::heritage::{Descent, DescentKind, Knowledge, ModelGraph};

use super::terminal::note;

/// A model, and the names of the models from which its card says it was made.
pub(crate) struct Claim {
    pub(crate) model: String,
    pub(crate) bases: Vec<String>,
    /// The stated relation to them.
    pub(crate) relation: Option<String>,
}

/// The claims of the cards next to models. A card in a folder of several models may be about any of them, so it is
/// ignored.
pub(crate) fn on_cards(models: &[ModelPath]) -> Vec<Claim> {
    let mut in_folder: BTreeMap<_, usize> = BTreeMap::new();
    for model in models {
        *in_folder.entry(model.folder()).or_default() += 1;
    }
    let alone = models.iter().filter(|model| in_folder[model.folder()] == 1);
    let claims = alone.filter_map(|model| {
        let card = model.card()?;
        let claim = Claim {
            model: model.name().into(),
            bases: card.bases().to_vec(),
            relation: card.relation().map(String::from),
        };
        (!claim.bases.is_empty()).then_some(claim)
    });
    claims.collect()
}

/// Adds the claims about present models to the known facts.
pub(crate) fn add(mut knowledge: Knowledge, claims: &[Claim], ids: &[&str]) -> Knowledge {
    for claim in claims {
        for base in present(claim, ids) {
            knowledge = knowledge.with_claim(&*claim.model, base);
        }
    }
    knowledge
}

/// The models that a claim may mean.
fn present<'a>(claim: &Claim, ids: &[&'a str]) -> Vec<&'a str> {
    let bases = claim.bases.iter();
    let named = bases.flat_map(|base| models_named(base, ids.iter().copied()));
    let named: BTreeSet<usize> = named.collect();
    named
        .into_iter()
        .map(|id| ids[id])
        .filter(|&id| id != claim.model)
        .collect()
}

/// Reports every claim that the graph contradicts: no claimed base that is present is an ancestor of the model or
/// one of the models averaged in it.
pub(crate) fn note_contradictions(claims: &[Claim], graph: &ModelGraph) {
    let ids: Vec<&str> = graph.models().iter().map(|model| model.name()).collect();
    for claim in claims {
        let Some(model) = graph
            .index(&claim.model)
            .filter(|&model| graph.is_placed(model))
        else {
            continue;
        };
        let bases = present(claim, &ids);
        let merged = graph.models()[model].merged_from();
        let is_above = |base: usize| {
            graph.is_ancestor(base, model) || merged.iter().any(|parent| parent.parent == base)
        };
        let mut above = bases.iter().filter_map(|base| graph.index(base));
        if bases.is_empty() || above.any(is_above) {
            note_wrong_relation(claim, &bases, graph);
            continue;
        }
        let parent = graph.parent(model).and_then(|parent| graph.name(parent));
        let parent = parent.map_or("that it has no parent here".into(), |parent| {
            format!("that it comes from {parent}")
        });
        note(format!(
            "the card of {} says that it comes from {}, but the weights say {parent}",
            claim.model,
            bases.join(" or ")
        ));
    }
}

/// Notes where a card names the right parent but the wrong way in which the model was made.
fn note_wrong_relation(claim: &Claim, bases: &[&str], graph: &ModelGraph) {
    let Some((model, parent)) = graph
        .index(&claim.model)
        .and_then(|model| Some((model, graph.name(graph.parent(model)?)?)))
    else {
        return;
    };
    let kind = graph.models()[model].descent().and_then(Descent::kind);
    let (Some(relation), Some(kind)) = (claim.relation.as_deref(), kind) else {
        return;
    };
    let is_copy = matches!(kind, DescentKind::Copy(_));
    let is_wrong = match relation {
        "quantized" => !is_copy,
        "finetune" | "adapter" => is_copy,
        _ => false,
    };
    if is_wrong && bases.contains(&parent) {
        let (model, kind) = (&claim.model, kind.name());
        note(format!(
            "the card of {model} gives its relation to {parent} as {relation}, but the weights say {kind}"
        ));
    }
}

/// The ids in `knowledge` that no model has.
pub(crate) fn unknown_ids(knowledge: &Knowledge, ids: &[&str]) -> Vec<String> {
    let there: BTreeSet<&str> = ids.iter().copied().collect();
    let named = knowledge.models().into_iter();
    named
        .filter(|id| !there.contains(id))
        .map(String::from)
        .collect()
}
