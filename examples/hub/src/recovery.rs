//! The graph of all models, recovered in the background.
//!
//! One thread owns the index. It applies additions and removals, recovers the graph of all models, and publishes it
//! as a [`Snapshot`]. Readers use the newest snapshot and never wait for the recovery.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use mother::evidence::{Matching, Relation};
use mother::heritage::{Index, IndexError, ModelGraph};
use mother::progress::Progress;
use mother::signature::Signature;
use rayon::prelude::*;
use tracing::{error, info, warn};

use crate::hub::Hub;

/// How often the thread checks whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);

/// The longest pause after a snapshot.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// A model that was added or removed.
pub(crate) enum Change {
    Insert(Box<Signature>),
    Remove(String),
}

/// The graph of the models at one moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// The number of snapshots so far; 0 before the first.
    pub(crate) generation: u64,
    /// The number of the newest change that it includes.
    pub(crate) change: u64,
    pub(crate) graph: ModelGraph,
    /// The evidence for the edge to each model, by position.
    pub(crate) edges: Vec<Option<Arc<Edge>>>,
    /// Models that can't be compared, with the reason.
    pub(crate) problems: BTreeMap<String, String>,
    pub(crate) seconds: f64,
    /// The positions of the models by the last part of their names.
    last_parts: HashMap<String, Vec<usize>>,
}

impl Snapshot {
    /// The models that the name of a base may refer to.
    pub(crate) fn called_like(&self, base: &str) -> &[usize] {
        self.last_parts
            .get(&last_part(base))
            .map_or(&[], Vec::as_slice)
    }
}

fn last_part(name: &str) -> String {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let name = name.trim_end_matches(['/', '\\']);
    let last = name.rsplit(['/', '\\']).next();
    last.unwrap_or(name).to_lowercase()
}

/// What is known about an edge in addition to what the graph contains.
#[derive(Debug)]
pub(crate) struct Edge {
    parent: String,
    /// log₁₀ of the p-value of the hypothesis that the two have no common ancestor.
    pub(crate) kinship_log10_p: Option<f64>,
    /// The rule that matched tensors.
    pub(crate) matched_by: &'static str,
    /// The numbers of weights compared and of weights in the child.
    pub(crate) weights: [usize; 2],
}

impl Edge {
    fn between(parent: &Signature, child: &Signature) -> Option<Self> {
        let matching = Matching::between(parent, child).ok()?;
        let relation = Relation::between(parent, child).ok()?;
        let all = child.tensors().iter().filter(|tensor| tensor.is_weight());
        let all = all.count();
        Some(Self {
            parent: parent.name().into(),
            kinship_log10_p: matching.kinship().log10_p(),
            matched_by: matching.rule().name(),
            weights: [relation.layers().min(all), all],
        })
    }
}

/// Recovers graphs until the hub stops.
pub(crate) fn run(hub: &Hub, changes: &Receiver<(u64, Change)>) {
    let mut recoverer = Recoverer {
        hub,
        index: Index::new(),
        edges: HashMap::new(),
        problems: BTreeMap::new(),
        touched: BTreeSet::new(),
        fresh: BTreeSet::new(),
        generation: 0,
        change: 0,
    };
    recoverer.load();
    while !hub.shutdown.has_begun() {
        if !recoverer.touched.is_empty() || recoverer.generation == 0 {
            let start = Instant::now();
            recoverer.publish();
            // It rests as long as it worked, so that there is time for answers, and more changes at once.
            thread::sleep(start.elapsed().min(LONGEST_REST));
        }
        match changes.recv_timeout(PATIENCE) {
            Ok(change) => {
                recoverer.apply(change);
                changes
                    .try_iter()
                    .for_each(|change| recoverer.apply(change));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

/// The state of the recovery thread.
struct Recoverer<'h> {
    hub: &'h Hub,
    index: Index,
    /// The evidence by the child's name.
    edges: HashMap<String, Arc<Edge>>,
    problems: BTreeMap<String, String>,
    /// The models added or removed since the last snapshot.
    touched: BTreeSet<String>,
    /// The models added.
    fresh: BTreeSet<String>,
    generation: u64,
    change: u64,
}

impl Recoverer<'_> {
    /// Loads the models in the database.
    fn load(&mut self) {
        for id in self.hub.catalogue.ids() {
            if self.hub.shutdown.has_begun() {
                return;
            }
            let bytes = self.hub.database().signature(&id);
            let signature = match bytes {
                Ok(Some(bytes)) => Signature::from_bytes(&bytes).map_err(|error| error.to_string()),
                // It was removed meanwhile, which is a change that is yet to come.
                Ok(None) => continue,
                Err(error) => Err(error.to_string()),
            };
            match signature {
                Ok(signature) => self.insert(signature.with_name(id)),
                Err(problem) => self.give_up(id, problem),
            }
        }
    }

    fn apply(&mut self, (number, change): (u64, Change)) {
        self.change = number;
        match change {
            Change::Insert(signature) => self.insert(*signature),
            Change::Remove(id) => {
                self.index.remove(&id);
                self.problems.remove(&id);
                self.fresh.remove(&id);
                self.touched.insert(id);
            }
        }
    }

    fn insert(&mut self, signature: Signature) {
        let id = signature.name().to_owned();
        // Of a model that came while the others were loaded there are two.
        self.index.remove(&id);
        match self.index.insert(signature) {
            Ok(()) => {
                self.touched.insert(id.clone());
                self.fresh.insert(id);
            }
            Err(error) => self.give_up(id, error.to_string()),
        }
    }

    /// Leaves out a model that can't be compared. It stays in the database.
    fn give_up(&mut self, id: String, problem: String) {
        warn!(model = %id, problem, "cannot compare a model");
        self.touched.insert(id.clone());
        self.problems.insert(id, problem);
    }

    fn publish(&mut self) {
        let start = Instant::now();
        let Some(graph) = self.recover() else {
            return;
        };
        self.renew_edges(&graph);
        let names = graph.models().iter().map(|model| model.name());
        let edges = names.clone().map(|name| self.edges.get(name).cloned());
        let mut last_parts: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, name) in names.clone().enumerate() {
            last_parts.entry(last_part(name)).or_default().push(at);
        }
        self.generation += 1;
        let snapshot = Snapshot {
            generation: self.generation,
            change: self.change,
            edges: edges.collect(),
            problems: self.problems.clone(),
            seconds: start.elapsed().as_secs_f64(),
            last_parts,
            graph,
        };
        info!(
            generation = snapshot.generation,
            models = snapshot.graph.len(),
            changed = self.touched.len(),
            seconds = snapshot.seconds,
            "recovered"
        );
        self.touched.clear();
        self.fresh.clear();
        self.hub.snapshots.send_replace(Arc::new(snapshot));
    }

    /// The graph of all models; `None` if the hub stops or no graph can be recovered.
    fn recover(&mut self) -> Option<ModelGraph> {
        match self.graph() {
            Ok(graph) => Some(graph),
            Err(IndexError::Cancelled) => None,
            Err(problem) => {
                warn!(%problem, "adding the new models one by one");
                self.recover_one_by_one()
            }
        }
    }

    fn graph(&mut self) -> Result<ModelGraph, IndexError> {
        let hub = self.hub;
        self.index.graph_observed(&mut |_: Progress| {
            if hub.shutdown.has_begun() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    /// Finds the new models that prevent a graph, and leaves them out.
    fn recover_one_by_one(&mut self) -> Option<ModelGraph> {
        let fresh = std::mem::take(&mut self.fresh);
        let taken = fresh.iter().filter_map(|id| self.index.remove(id));
        for signature in taken.collect::<Vec<_>>() {
            let id = signature.name().to_owned();
            let added = self.index.insert(signature);
            match added.and_then(|()| self.graph()) {
                Ok(_) => {}
                Err(IndexError::Cancelled) => return None,
                Err(problem) => {
                    self.index.remove(&id);
                    self.give_up(id, problem.to_string());
                }
            }
        }
        match self.graph() {
            Ok(graph) => Some(graph),
            Err(problem) => {
                error!(%problem, "no graph could be recovered");
                self.touched.clear();
                None
            }
        }
    }

    /// Updates the evidence for edges that are new, or with ends that were added or removed.
    fn renew_edges(&mut self, graph: &ModelGraph) {
        let name = |model: usize| graph.name(model).unwrap_or_default();
        let is_kept = |parent: &str, child: &str| {
            let kept = self
                .edges
                .get(child)
                .is_some_and(|edge| edge.parent == parent);
            kept && !self.touched.contains(parent) && !self.touched.contains(child)
        };
        let edges: Vec<(&str, &str)> = (graph.edges())
            .map(|(parent, child)| (name(parent), name(child)))
            .filter(|(parent, child)| !is_kept(parent, child))
            .collect();
        let index = &self.index;
        let new: Vec<(String, Option<Edge>)> = (edges.par_iter())
            .map(|&(parent, child)| {
                let ends = index.signature(parent).zip(index.signature(child));
                (child.into(), ends.and_then(|(u, v)| Edge::between(u, v)))
            })
            .collect();
        let has_parent = |child: &str| {
            graph
                .index(child)
                .is_some_and(|model| graph.parent(model).is_some())
        };
        self.edges.retain(|child, _| has_parent(child));
        for (child, edge) in new {
            match edge {
                Some(edge) => self.edges.insert(child, Arc::new(edge)),
                None => self.edges.remove(&child),
            };
        }
    }
}
