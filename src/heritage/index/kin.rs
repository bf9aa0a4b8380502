//! One family: its distinct models, their duplicates, and the tree of all of them.

use alloc::vec::Vec;

use super::families::{self, LargeFamily};
use super::near::Compared;
use super::{Entry, IndexError, Settings};
use crate::evidence::CopyKind;
use crate::heritage::recovery::UnexplainedErrors;
use crate::heritage::{Descent, DescentKind, Model};
use crate::progress::ProgressReporter;
use crate::signature::Signature;

/// The models of one family. Positions are in the order of names.
pub(super) struct Kin<'a> {
    /// Models with distinct values, ascending.
    pub(super) members: Vec<(usize, &'a Entry)>,
    /// Models with the same values as a member, each with that member's position.
    pub(super) copies: Vec<(usize, &'a Entry, usize)>,
    /// The near pairs, by the members' places in the list.
    pub(super) near: Vec<Compared>,
}

impl Kin<'_> {
    /// Whether all pairs are compared, near or not.
    pub(super) fn is_small(&self, settings: &Settings) -> bool {
        self.members.len() + self.copies.len() <= settings.dense_limit
    }

    /// Places all models. Parents are also positions.
    pub(super) fn place(
        self,
        settings: &Settings,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<Vec<(usize, Model)>, IndexError> {
        if self.is_small(settings) {
            return self.place_densely(settings);
        }
        let models = self.members.len() + self.copies.len();
        let positions: Vec<usize> = self.members.iter().map(|&(at, _)| at).collect();
        let entries: Vec<&Entry> = self.members.iter().map(|&(_, entry)| entry).collect();
        let large = LargeFamily {
            settings,
            names: entries.iter().map(|entry| entry.signature.name()).collect(),
            entries,
            near: self.near,
        };
        let moved = |own: Model| own.moved(|other| positions.get(other).copied());
        let mut placed: Vec<(usize, Model)> = (positions.iter().copied())
            .zip(large.place(reporter)?.into_iter().map(moved))
            .collect();
        let sure = UnexplainedErrors::new(models, settings.recovery.model()).allow_for(1.0);
        let copies = self.copies.iter().filter_map(|&(copy, entry, original)| {
            let of = &placed[positions.binary_search(&original).ok()?].1;
            Some((copy, duplicate(entry, original, of, sure)))
        });
        let copies: Vec<(usize, Model)> = copies.collect();
        placed.extend(copies);
        Ok(placed)
    }

    fn place_densely(self, settings: &Settings) -> Result<Vec<(usize, Model)>, IndexError> {
        let copies = self.copies.iter().map(|&(copy, entry, _)| (copy, entry));
        let mut all: Vec<(usize, &Entry)> = self.members.iter().copied().chain(copies).collect();
        all.sort_unstable_by_key(|&(position, _)| position);
        let signatures: Vec<Signature> =
            (all.iter().map(|(_, entry)| entry.signature.clone())).collect();
        let graph = families::place_densely(settings, &signatures)?;
        let moved = |own: &Model| {
            (own.clone()).moved(|other| all.get(other).map(|&(position, _)| position))
        };
        let placed = graph.models().iter().map(moved);
        Ok((all.iter().map(|&(position, _)| position).zip(placed)).collect())
    }
}

/// A model with the same values as another, as a copy of it. `sure` is its confidence.
fn duplicate(copy: &Entry, original: usize, of: &Model, sure: f64) -> Model {
    let descent = Descent::new(original)
        .with_confidence(sure)
        .with_distance(0.0)
        .with_compared(1.0)
        .with_kind(DescentKind::Copy(CopyKind::Duplicate));
    let model = Model::new(copy.signature.name()).with_descent(descent);
    match of.score() {
        Some(score) => model.with_score(score),
        None => model,
    }
}
