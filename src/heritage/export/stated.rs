//! What a bill of materials may state of a model's descent.

use alloc::vec::Vec;

use crate::heritage::{Descent, Model, ModelGraph};

/// What is as probable as this is stated.
const SURE: f64 = 0.9;

/// The models that one surely is related to, by position.
#[derive(Default)]
pub(super) struct Stated {
    /// It descends from each of these.
    pub(super) ancestors: Vec<usize>,
    /// It descends from one of these, or one of these from it.
    pub(super) variants: Vec<usize>,
}

impl Stated {
    /// What is sure of a model; an edge without a confidence is taken as it stands. Of a model that nobody has
    /// nothing is stated.
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
        if graph.models()[parent].is_hidden() {
            return stated;
        }
        if stated.ancestors.contains(&parent) {
            return stated;
        }
        if descent.confidence().is_none_or(|sure| sure >= SURE) {
            stated.ancestors.push(parent);
        } else if descent.joined().is_some_and(|sure| sure >= SURE) {
            stated.variants.push(parent);
        } else if let Some(alike) = descent.alike()
            && alike.confidence >= SURE
        {
            stated.variants.clone_from(&alike.models);
        }
        stated
    }

    /// How sure it is that a model's edge says what is stated of it.
    pub(super) fn confidence(&self, descent: &Descent) -> Option<f64> {
        match *self.variants.as_slice() {
            [] => descent.confidence(),
            [variant] if variant == descent.parent() => descent.joined(),
            _ => descent.alike().map(|alike| alike.confidence),
        }
    }
}
