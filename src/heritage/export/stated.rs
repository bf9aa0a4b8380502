//! What a bill of materials may state about a model's descent.

use alloc::vec::Vec;

use crate::heritage::{Descent, Model, ModelGraph};

/// Relations with at least this probability are stated.
const SURE: f64 = 0.9;

/// The models that aren't hidden, with their positions.
pub(super) fn present(graph: &ModelGraph) -> impl Iterator<Item = (usize, &Model)> {
    let models = graph.models().iter().enumerate();
    models.filter(|(_, model)| !model.is_hidden())
}

/// The models that a model is surely related to, by position.
#[derive(Default)]
pub(super) struct Stated {
    /// The model descends from each of these.
    pub(super) ancestors: Vec<usize>,
    /// The model descends from one of these, or one of these from the model.
    pub(super) variants: Vec<usize>,
}

impl Stated {
    /// The sure relations of a model. An edge without a confidence counts as sure. Nothing is stated about
    /// hidden models.
    pub(super) fn of(graph: &ModelGraph, model: &Model) -> Self {
        let merged = model.merged_from().iter().map(|part| part.parent);
        let mut stated = Self {
            ancestors: merged.collect(),
            variants: Vec::new(),
        };
        let Some(descent) = model.descent() else {
            return stated;
        };
        let parent = descent.parent();
        if graph.models()[parent].is_hidden() || stated.ancestors.contains(&parent) {
            return stated;
        }
        if descent.confidence().is_none_or(|sure| sure >= SURE) {
            stated.ancestors.push(parent);
        } else if descent.joined().is_some_and(|sure| sure >= SURE) {
            stated.variants.push(parent);
        } else if let Some(alike) = descent.equivalent_parents()
            && alike.confidence >= SURE
        {
            stated.variants.clone_from(&alike.models);
        }
        stated
    }

    /// The confidence of what is stated about the model's edge.
    pub(super) fn confidence(&self, descent: &Descent) -> Option<f64> {
        match *self.variants.as_slice() {
            [] => descent.confidence(),
            [variant] if variant == descent.parent() => descent.joined(),
            _ => descent.equivalent_parents().map(|alike| alike.confidence),
        }
    }
}
