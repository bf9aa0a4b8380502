//! An index of signatures, for a hub that grows.

mod blocks;
mod entry;
mod error;
mod families;
mod kin;
mod links;
mod merges;
mod near;
mod nearest;
mod neighbourhood;
mod shard;
#[cfg(feature = "safetensors")]
mod stored;
mod summary;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

pub use self::error::IndexError;
pub use self::shard::{Shard, ShardMessage};
#[cfg(feature = "safetensors")]
pub use self::stored::IndexFileError;

use self::blocks::{Common, Layout};
use self::entry::{Entry, check_settings};
use self::nearest::{Scale, Targets};
use self::neighbourhood::{Neighbourhood, recover_small};
use self::summary::Summary;
use super::{Model, ModelGraph, Recovery};
use crate::evidence::{Relation, SignatureComparison};
use crate::progress::{Observer, Phase, ProgressReporter, unobserved};
use crate::signature::Signature;

/// How many small neighbourhoods are recovered between two calls of the observer.
const SMALL_AT_ONCE: usize = 256;

/// How many near models are compared with the requested one.
const RELATIVES: usize = 10;

/// A collection of signatures that finds near models and recovers the family tree of all of them.
///
/// It doesn't compare all pairs of signatures. Models whose weights have the same names and shapes form a
/// block. Within a block, and between blocks that share weights by name or at least by shape, short summaries
/// of the signatures find the candidates, and the signatures themselves decide between them. Families of up
/// to [`with_dense_limit`](Self::with_dense_limit) models are recovered over all their pairs, as in
/// [`Recovery::recover`]; larger ones use the same costs over near pairs only.
///
/// The answers depend only on the signatures in the index, not on the order in which they were inserted.
///
/// # Differences from recovery over all pairs
///
/// In families above the limit, a model counts as a merge only if it lies between two of the five models nearest to it, and
/// its parents must be near. Confidences don't allow for extrapolated children. A third model counts in the leaf gap of a
/// pair only if it is near to both models. The stage of each family is estimated from that family alone.
///
/// # Examples
///
/// ```
/// use mother::heritage::Index;
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let options = SignatureOptions::new();
/// let mut index = Index::new();
/// for (name, last) in [("base", 1.0), ("chat", 1.5), ("chat-2", 1.75)] {
///     let values = vec![9.0_f32, 1.0, 1.0, last];
///     index.insert(options.sign(&InMemoryModel::new(name).with_layer("w", [2, 2], values)?)?)?;
/// }
/// assert_eq!(index.relatives("chat")?.len(), 2);
/// let graph = index.graph()?;
/// assert_eq!(graph.len(), 3);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Index {
    settings: Settings,
    models: BTreeMap<String, Entry>,
    blocks: BTreeMap<Layout, BTreeSet<String>>,
    /// The recovered models of each neighbourhood, by the name of its first model.
    recovered: BTreeMap<String, Recovered>,
    /// For every recovered layout, the first model of its neighbourhood.
    recovered_with: BTreeMap<Layout, String>,
}

/// How families are recovered.
#[derive(Clone, Debug)]
struct Settings {
    recovery: Recovery,
    dense_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            recovery: Recovery::new(),
            dense_limit: 48,
        }
    }
}

/// The result for one neighbourhood.
#[derive(Clone, Debug)]
struct Recovered {
    layouts: Vec<Layout>,
    placed: Vec<Model>,
}

/// A model near to the one asked about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Relative {
    /// Its name.
    pub name: String,
    /// The relation between the two models; the one asked about is the first.
    pub relation: Relation,
}

/// The descent of one model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Lineage {
    /// Its parent; `None` for a root.
    pub parent: Option<String>,
    /// The probability that this is the parent, or that the model is a root, from 0 to 1; `None` for a model
    /// without relatives, about which nothing is known.
    pub confidence: Option<f64>,
    /// The second most probable parent and its probability; `Some((None, _))` if the alternative is a root.
    pub runner_up: Option<(Option<String>, f64)>,
    /// All ancestors, starting with the parent.
    pub ancestors: Vec<String>,
    /// The comparison that the edge from the parent is based on; the parent is the first of the two models.
    pub relation: Option<Relation>,
}

impl Index {
    /// An index without models.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how trees are recovered, including knowledge and stages. The number of trees and the linkage
    /// apply only to families up to the dense limit, and hidden parents aren't added.
    #[must_use]
    pub fn with_recovery(mut self, recovery: Recovery) -> Self {
        self.settings.recovery = recovery.without_hidden_parents();
        self.recovered.clear();
        self.recovered_with.clear();
        self
    }

    /// Sets the size of the largest families in which all pairs are compared, 48 models by default.
    #[must_use]
    pub fn with_dense_limit(mut self, models: usize) -> Self {
        self.settings.dense_limit = models;
        self.recovered.clear();
        self.recovered_with.clear();
        self
    }

    /// The number of models.
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether there are no models.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The signatures, sorted by model name.
    pub fn signatures(&self) -> impl ExactSizeIterator<Item = &Signature> + '_ {
        self.models.values().map(|entry| &entry.signature)
    }

    /// The signature of a model, if the index has it.
    #[must_use]
    pub fn signature(&self, name: &str) -> Option<&Signature> {
        self.models.get(name).map(|entry| &entry.signature)
    }

    /// Adds a model.
    ///
    /// # Errors
    ///
    /// [`IndexError::DuplicateModel`] if the index already has a model of this name, and
    /// [`IndexError::Evidence`] if the signature was made with other settings than the existing ones.
    ///
    /// # Complexity
    ///
    /// O(k + log n) time for a signature of k numbers and n models, and a check of every layout (set of names and
    /// shapes) that has been recovered.
    pub fn insert(&mut self, signature: Signature) -> Result<(), IndexError> {
        let name = signature.name();
        if self.models.contains_key(name) {
            return Err(IndexError::DuplicateModel { model: name.into() });
        }
        if let Some(other) = self.signatures().next() {
            check_settings(other, &signature)?;
        }
        let layout = Layout::of(&signature);
        self.forget(&layout);
        let names = self.blocks.entry(layout).or_default();
        names.insert(name.into());
        self.models
            .insert(signature.name().into(), Entry::new(signature));
        Ok(())
    }

    /// Removes a model and returns its signature.
    ///
    /// # Complexity
    ///
    /// The same as for [`insert`](Self::insert).
    pub fn remove(&mut self, name: &str) -> Option<Signature> {
        let entry = self.models.remove(name)?;
        let layout = Layout::of(&entry.signature);
        self.forget(&layout);
        if let Some(names) = self.blocks.get_mut(&layout) {
            names.remove(name);
            if names.is_empty() {
                self.blocks.remove(&layout);
            }
        }
        Some(entry.signature)
    }

    /// Drops the results of neighbourhoods that a layout belongs to or may join.
    fn forget(&mut self, layout: &Layout) {
        if let Some(first) = self.recovered_with.get(layout) {
            self.recovered.remove(first);
        } else {
            (self.recovered).retain(|_, recovered| {
                let layouts = &recovered.layouts;
                layouts.iter().all(|other| !other.is_comparable(layout))
            });
        }
        let recovered = &self.recovered;
        self.recovered_with
            .retain(|_, first| recovered.contains_key(first));
    }

    /// The related models nearest to one, nearest first, with their relations.
    ///
    /// # Errors
    ///
    /// [`IndexError::NoSuchModel`], and [`IndexError::Evidence`] if signatures can't be compared.
    ///
    /// # Complexity
    ///
    /// A few operations for each model of the blocks that share weights with it.
    pub fn relatives(&self, name: &str) -> Result<Vec<Relative>, IndexError> {
        let entry = self.entry(name)?;
        let own = Layout::of(&entry.signature);
        let mut near: Vec<(f32, &str)> = Vec::new();
        for (layout, names) in &self.blocks {
            let Some(common) = own.common(layout).filter(|_| own.is_comparable(layout)) else {
                continue;
            };
            let others = names
                .iter()
                .filter_map(|name| self.models.get_key_value(name));
            let others: Vec<(&str, &Entry)> = others.map(|(name, e)| (&**name, e)).collect();
            let values = own.values_in(&common, layout);
            let common = (*layout != own).then_some(&common);
            near.extend(nearest_in(entry, name, &others, common, values));
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
        near.truncate(2 * RELATIVES);
        let mut relatives = Vec::new();
        for (_, other) in near {
            let relation = self.relation(name, other)?;
            if relation.is_related() {
                let name = other.into();
                relatives.push(Relative { name, relation });
            }
        }
        let distance = |relative: &Relative| {
            relative.relation.distance() / relative.relation.size().max(f64::MIN_POSITIVE)
        };
        relatives.sort_by(|a, b| {
            distance(a)
                .total_cmp(&distance(b))
                .then(a.name.cmp(&b.name))
        });
        Ok(relatives)
    }

    fn entry(&self, name: &str) -> Result<&Entry, IndexError> {
        let missing = || IndexError::NoSuchModel { model: name.into() };
        self.models.get(name).ok_or_else(missing)
    }

    fn relation(&self, first: &str, second: &str) -> Result<Relation, IndexError> {
        let (first, second) = (self.entry(first)?, self.entry(second)?);
        Ok(SignatureComparison::new().relation(&first.signature, &second.signature)?)
    }

    /// The descent of a model: its parent, its ancestors and the evidence.
    ///
    /// # Errors
    ///
    /// The same as for [`tree`](Self::tree).
    ///
    /// # Complexity
    ///
    /// The same as for [`tree`](Self::tree).
    pub fn lineage(&mut self, name: &str) -> Result<Lineage, IndexError> {
        let graph = self.neighbours_graph(name)?;
        let missing = || IndexError::NoSuchModel { model: name.into() };
        let at = graph.index(name).ok_or_else(missing)?;
        let name_of = |model: usize| graph.name(model).map(String::from);
        let model = &graph.models()[at];
        let parent = graph.parent(at).and_then(name_of);
        let relation = match &parent {
            Some(parent) => Some(self.relation(parent, name)?),
            None => None,
        };
        Ok(Lineage {
            parent,
            confidence: model.confidence(),
            runner_up: (model.runner_up())
                .map(|second| (second.parent.and_then(name_of), second.confidence)),
            ancestors: graph.ancestors(at).filter_map(name_of).collect(),
            relation,
        })
    }

    /// The tree that contains a model.
    ///
    /// # Errors
    ///
    /// [`IndexError::NoSuchModel`], and the errors of [`graph`](Self::graph).
    ///
    /// # Complexity
    ///
    /// That of [`graph`](Self::graph) for the models that may be related to this one. Fast if none of them
    /// was added or removed since they were last recovered.
    pub fn tree(&mut self, name: &str) -> Result<ModelGraph, IndexError> {
        let graph = self.neighbours_graph(name)?;
        let missing = || IndexError::NoSuchModel { model: name.into() };
        let at = graph.index(name).ok_or_else(missing)?;
        let root = graph.ancestors(at).last().unwrap_or(at);
        Ok(graph.subgraph(graph.subtree(root)))
    }

    /// The graph of all models that may be related to this one.
    fn neighbours_graph(&mut self, name: &str) -> Result<ModelGraph, IndexError> {
        let own = Layout::of(&self.entry(name)?.signature);
        unobserved(|reporter| self.recover(Some(&own), reporter))?;
        let mut recovered = self.recovered.values();
        let found = recovered.find(|recovered| recovered.layouts.contains(&own));
        families::graph(found.map(|recovered| &*recovered.placed).into_iter())
    }

    /// The graph of all models.
    ///
    /// # Errors
    ///
    /// The errors of [`graph_observed`](Self::graph_observed), except for cancellation.
    ///
    /// # Complexity
    ///
    /// The same as for [`graph_observed`](Self::graph_observed).
    pub fn graph(&mut self) -> Result<ModelGraph, IndexError> {
        self.graph_observed(&mut |_| ControlFlow::Continue(()))
    }

    /// The graph of all models. Reports progress to `observer`.
    ///
    /// Earlier results are reused for models if no model that shares weights with them was added or removed
    /// since.
    ///
    /// # Errors
    ///
    /// [`IndexError::Cancelled`] if the observer breaks, [`IndexError::Recovery`] if the known facts
    /// contradict each other or numbers overflow, and [`IndexError::Evidence`].
    ///
    /// # Complexity
    ///
    /// O(n k + n log n) time for n models of k numbers, plus very cheap comparisons of each model with all others of
    /// its family, and with one of each other family in its block; O(n) memory in addition to the signatures.
    pub fn graph_observed(
        &mut self,
        observer: &mut dyn Observer,
    ) -> Result<ModelGraph, IndexError> {
        let mut reporter = ProgressReporter::new(observer);
        reporter.begin(self.len() as u64);
        self.recover(None, &mut reporter)?;
        families::graph(self.recovered.values().map(|recovered| &*recovered.placed))
    }

    /// Recovers the neighbourhoods without a result: all of them, or only that of one layout.
    fn recover(
        &mut self,
        only: Option<&Layout>,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<(), IndexError> {
        let blocks: Vec<(&Layout, &BTreeSet<String>)> = self.blocks.iter().collect();
        let layouts: Vec<&Layout> = blocks.iter().map(|&(layout, _)| layout).collect();
        let mut small: Vec<Neighbourhood<'_>> = Vec::new();
        let mut found: Vec<(String, Recovered)> = Vec::new();
        for members in blocks::neighbourhoods(&layouts) {
            let neighbourhood =
                Neighbourhood::new(self, members.iter().map(|&at| blocks[at]).collect());
            let is_asked = only.is_none_or(|only| neighbourhood.layouts.contains(&only));
            if !is_asked || self.recovered.contains_key(neighbourhood.names[0]) {
                continue;
            }
            if neighbourhood.names.len() > SMALL_AT_ONCE {
                found.push(neighbourhood.recover(&self.settings, reporter)?);
                reporter.tick(Phase::Recovering, neighbourhood.names.len() as u64)?;
                continue;
            }
            small.push(neighbourhood);
            if small.len() == SMALL_AT_ONCE {
                found.extend(recover_small(&self.settings, &small, reporter)?);
                small.clear();
            }
        }
        found.extend(recover_small(&self.settings, &small, reporter)?);
        for (first, recovered) in &found {
            let layouts = recovered.layouts.iter();
            (self.recovered_with).extend(layouts.map(|layout| (layout.clone(), first.clone())));
        }
        self.recovered.extend(found);
        Ok(())
    }
}

/// The models of a block nearest to one model, compared on the weights they have in common, or on all weights
/// if `common` is `None`.
fn nearest_in<'a>(
    entry: &Entry,
    name: &str,
    others: &[(&'a str, &Entry)],
    common: Option<&Common<'_>>,
    values: f64,
) -> Vec<(f32, &'a str)> {
    let summary = entry.summary_of(common);
    let summaries: Vec<Cow<'_, Summary>> = others
        .iter()
        .map(|(_, other)| other.summary_of(common))
        .collect();
    let targets: Vec<(usize, &Summary)> = summaries
        .iter()
        .map(|summary| &**summary)
        .enumerate()
        .collect();
    let own = others.iter().position(|&(other, _)| other == name);
    let query = [(own.unwrap_or(usize::MAX), &*summary)];
    let exponents = others.iter().map(|(_, other)| &other.signature);
    let exponents = exponents.chain([&entry.signature]).map(summary::exponent);
    let scale = Scale {
        exponent: exponents.max().unwrap_or(0),
        values,
    };
    let found = Targets::new(&targets, query.len(), scale).nearest(&query, 2 * RELATIVES);
    let found = found.into_iter().flatten();
    found
        .map(|(distance, at)| (distance, others[at].0))
        .collect()
}
