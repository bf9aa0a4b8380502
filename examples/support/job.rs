//! The whole job: from models to the forest, with the time of each stage.

use core::iter::Sum;
use core::ops::ControlFlow;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stderr};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use mother::condensed::CondensedMatrix;
use mother::evidence::{Evidence, GroupEvidence, OnFailure, UpdateRank};
use mother::heritage::{DescentKind, Knowledge, ModelGraph, Trees};
use mother::progress::{Phase, Progress};
use mother::signature::{Signature, SkippedModel};
use mother::weights::WeightSource;
use rayon::prelude::*;
use serde::Serialize;

use super::adapters::{self, AdapterEdge, Unplaced};
use super::claims;
use super::matches::{MatchReport, Signed};
use super::models::{Models, Skipped, Source};
use super::settings::Settings;
use super::store::{Counts, Store};
use super::terminal::{Failure, note};

/// Whether models that can't be read may be left out.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Strictness {
    Lenient,
    Strict,
}

/// The outcome.
pub(crate) struct Outcome {
    pub(crate) graph: ModelGraph,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) signatures: Counts,
    /// How the tensors of models were matched with their parents', by the model's position.
    pub(crate) matches: BTreeMap<usize, MatchReport>,
    pub(crate) seconds: Seconds,
}

/// How long each stage took.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct Seconds {
    pub(crate) read: f64,
    pub(crate) score: f64,
    pub(crate) distance: f64,
    pub(crate) cluster: f64,
    pub(crate) tree: f64,
    pub(crate) total: f64,
}

impl Seconds {
    fn of(&mut self, phase: Phase) -> &mut f64 {
        match phase {
            Phase::Scoring => &mut self.score,
            Phase::Comparing => &mut self.distance,
            _ => &mut self.read,
        }
    }
}

impl Sum for Seconds {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            read: sum.read + one.read,
            score: sum.score + one.score,
            distance: sum.distance + one.distance,
            cluster: sum.cluster + one.cluster,
            tree: sum.tree + one.tree,
            total: sum.total + one.total,
        })
    }
}

/// Opens models, measures them and recovers their forest. What was left out is reported on stderr.
pub(crate) fn recover(
    open: impl FnOnce() -> Result<Models, Failure>,
    settings: &Settings,
    trees: Trees,
    strictness: Strictness,
) -> Result<Outcome, Failure> {
    let start = Instant::now();
    let mut seconds = Seconds::default();
    let models = timed(&mut seconds.read, open)?;
    if strictness == Strictness::Strict
        && let Some(model) = models.skipped.first()
    {
        let Skipped { id, reason } = model;
        return Err(Failure::Run(format!("model `{id}`: {reason}")));
    }
    let knowledge = knowledge_of(&models, settings);
    let (mut evidence, signed, signatures) = measure(&models, settings, strictness, &mut seconds)?;
    let Models {
        open,
        skipped,
        adapters,
        unplaced,
        claims,
        ..
    } = models;
    let groups = evidence.groups.into_iter();
    evidence.groups = groups
        .map(|group| prefer_adapters(group, &adapters))
        .collect();
    add_unplaced(&mut evidence, &unplaced)?;
    let skipped = all_skipped(skipped, &evidence);
    note_what_is_missing(&skipped, &evidence, trees);
    if settings.needs_scores() {
        note_missing_scores(&evidence);
    }
    if evidence.groups.is_empty() {
        return Err(Failure::Run("no models left to recover".into()));
    }
    let recovery = settings.recovery(trees, knowledge);
    let clusters =
        timed(&mut seconds.cluster, || recovery.clusters(&evidence)).map_err(Failure::run)?;
    let graph =
        timed(&mut seconds.tree, || recovery.graph(&evidence, &clusters)).map_err(Failure::run)?;
    let graph = if settings.needs_signatures() {
        timed(&mut seconds.distance, || {
            with_ranks(with_adapters(graph, &adapters), &open, &evidence, &signed)
        })
    } else {
        graph
    };
    let matches = signed.reports(&graph, settings.lists_matches());
    if settings.uses_cards() {
        claims::note_contradictions(&claims, &graph);
    }
    seconds.total = start.elapsed().as_secs_f64();
    Ok(Outcome {
        graph,
        skipped,
        signatures,
        matches,
        seconds,
    })
}

/// The facts that are known about models and adapters, and the claims of their cards.
fn knowledge_of(models: &Models, settings: &Settings) -> Knowledge {
    let knowledge = adapters::add(settings.knowledge(), &models.adapters);
    if settings.uses_cards() {
        claims::add(knowledge, &models.claims, &models.ids())
    } else {
        knowledge
    }
}

/// Reports every known id that no model has; with `--strict`, the first is an error.
pub(crate) fn check_ids(
    settings: &Settings,
    models: &Models,
    strictness: Strictness,
) -> Result<(), Failure> {
    for id in claims::unknown_ids(settings.knowledge(), &models.ids()) {
        let message = format!("--known names {id}, which is not among the models");
        match strictness {
            Strictness::Strict => return Err(Failure::Run(message)),
            Strictness::Lenient => note(message),
        }
    }
    Ok(())
}

fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *seconds += start.elapsed().as_secs_f64();
    result
}

/// Measures the models, with a progress bar if stderr is a terminal.
fn measure(
    models: &Models,
    settings: &Settings,
    strictness: Strictness,
    seconds: &mut Seconds,
) -> Result<(Evidence, Signed, Counts), Failure> {
    let bar = if stderr().is_terminal() {
        let style = ProgressStyle::with_template("measuring {bar:40} {percent}% {eta}");
        ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    } else {
        ProgressBar::hidden()
    };
    let (mut phase, mut since) = (Phase::Reading, Instant::now());
    let mut observer = |progress: Progress| {
        let now = Instant::now();
        *seconds.of(phase) += (now - since).as_secs_f64();
        (phase, since) = (progress.phase, now);
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        ControlFlow::Continue(())
    };
    let on_failure = match strictness {
        Strictness::Lenient => OnFailure::Skip,
        Strictness::Strict => OnFailure::Stop,
    };
    let measurement = settings.measurement(on_failure);
    let evidence = if settings.needs_signatures() {
        compare(models, settings, on_failure, &mut observer)
    } else {
        let evidence = measurement.measure_observed(&models.open, &mut observer);
        evidence
            .map(|evidence| (evidence, Signed::default(), Counts::default()))
            .map_err(Failure::run)
    };
    let evidence = match evidence {
        Ok((evidence, signed, counts)) if settings.needs_signatures() && settings.is_exact() => {
            let views: Vec<_> = models.open.iter().map(|model| signed.view(model)).collect();
            let exact = measurement.measure_observed(&views, &mut observer);
            let evidence = exact.and_then(|exact| {
                note_what_is_not_exact(&evidence, &exact);
                evidence.with_distances_of(&exact)
            });
            evidence
                .map(|evidence| (evidence, signed, counts))
                .map_err(Failure::run)
        }
        evidence => evidence,
    };
    *seconds.of(phase) += since.elapsed().as_secs_f64();
    bar.finish_and_clear();
    evidence
}

/// Makes the signature of every model, unless the store has it, and compares the signatures.
fn compare(
    models: &Models,
    settings: &Settings,
    on_failure: OnFailure,
    observer: &mut impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Evidence, Signed, Counts), Failure> {
    let options = settings.signatures();
    let store = settings.store().map(|folder| Store::open(folder, options));
    let store = store.transpose()?;
    let files = |model: usize| models.files.get(models.open[model].name());
    let kept = |model: usize| {
        store
            .as_ref()?
            .get(files(model)?, models.open[model].name())
    };
    let mut signatures: Vec<Option<Signature>> = (0..models.open.len()).map(kept).collect();
    let missing: Vec<usize> = (0..signatures.len())
        .filter(|&model| signatures[model].is_none())
        .collect();
    let sources: Vec<_> = missing.iter().map(|&model| &models.open[model]).collect();
    let signed = options
        .sign_all_observed(&sources, observer)
        .map_err(Failure::run)?;
    let counts = Counts {
        read: missing.len(),
        reused: signatures.len() - missing.len(),
    };
    let mut skipped = Vec::new();
    for (&model, signature) in missing.iter().zip(signed) {
        match signature {
            Ok(signature) => {
                if let (Some(store), Some(files)) = (&store, files(model)) {
                    store.put(files, &signature);
                }
                signatures[model] = Some(signature);
            }
            Err(failure) => skipped.push(SkippedModel {
                model: models.open[model].name().into(),
                failure,
            }),
        }
    }
    if let (OnFailure::Stop, Some(model)) = (on_failure, skipped.first()) {
        return Err(Failure::Run(model.to_string()));
    }
    let signatures: Vec<Signature> = signatures.into_iter().flatten().collect();
    let signed = Signed::align(signatures, &models.open, options, observer)?;
    let comparison = settings.comparison();
    let mut evidence =
        (comparison.compare_observed(&signed.signatures, observer)).map_err(Failure::run)?;
    evidence.skipped = skipped;
    Ok((evidence, signed, counts))
}

/// Marks the edges from bases to their adapters.
fn with_adapters(graph: ModelGraph, adapters: &[AdapterEdge]) -> ModelGraph {
    let ranks: BTreeMap<(usize, usize), usize> = (adapters.iter())
        .filter_map(|edge| {
            let ends = (graph.index(&edge.base)?, graph.index(&edge.adapter)?);
            Some((ends, edge.rank))
        })
        .collect();
    graph.with_kinds(|parent, child| {
        let rank = *ranks.get(&(parent, child))?;
        Some(DescentKind::Adapter { rank })
    })
}

/// Adds the rank of the update to every edge that has no kind yet. An edge whose models can't be read again
/// gets none.
fn with_ranks(
    graph: ModelGraph,
    models: &[Source],
    evidence: &Evidence,
    signed: &Signed,
) -> ModelGraph {
    let by_name: BTreeMap<&str, _> = models.iter().map(|model| (model.name(), model)).collect();
    let source = |position: usize| by_name.get(graph.name(position)?).copied();
    let rank = |&(parent, child): &(usize, usize)| {
        let copied = graph.models()[child].descent()?.kind().is_some();
        let name = graph.name(child)?;
        let group = (evidence.groups.iter()).find(|group| group.position(name).is_some())?;
        if copied {
            return None;
        }
        let layers = signed.compared(graph.name(parent)?, name, group.layers());
        let (parent, child_view) = (signed.view(source(parent)?), signed.view(source(child)?));
        let rank = UpdateRank::between_matched(&parent, &child_view, &layers).ok()?;
        (rank.rank > 0).then_some((child, rank))
    };
    let edges: Vec<(usize, usize)> = graph.edges().collect();
    let ranks: BTreeMap<usize, UpdateRank> = edges.par_iter().filter_map(rank).collect();
    graph.with_kinds(|_, child| {
        let rank = ranks.get(&child)?;
        Some(if rank.is_low_rank() {
            DescentKind::LowRank { rank: rank.rank }
        } else {
            DescentKind::Full
        })
    })
}

/// Makes each adapter the original of its merged copies; one that changes nothing is a copy of its base.
fn prefer_adapters(group: GroupEvidence, adapters: &[AdapterEdge]) -> GroupEvidence {
    adapters.iter().fold(group, |group, edge| {
        let positions = (group.position(&edge.adapter), group.position(&edge.base));
        let (Some(adapter), Some(base)) = positions else {
            return group;
        };
        let mut copies = group.copies().iter();
        let is_base = copies.any(|copy| {
            [copy.copy, copy.original]
                .iter()
                .all(|m| [adapter, base].contains(m))
        });
        group.with_original(if is_base { base } else { adapter })
    })
}

/// Adds adapters without a base as unplaced models, and reports what they need.
fn add_unplaced(evidence: &mut Evidence, unplaced: &[Unplaced]) -> Result<(), Failure> {
    for Unplaced { id, note: needs } in unplaced {
        note(format!("{id} {needs}"));
        let alone = CondensedMatrix::new(1, Vec::new()).map_err(Failure::run)?;
        let group = GroupEvidence::new(vec![id.clone()], None, alone).map_err(Failure::run)?;
        evidence.groups.push(group);
    }
    Ok(())
}

/// The models that couldn't be opened and those that couldn't be measured, sorted by id.
fn all_skipped(mut skipped: Vec<Skipped>, evidence: &Evidence) -> Vec<Skipped> {
    skipped.extend(evidence.skipped.iter().map(|model| Skipped {
        id: model.model.clone(),
        reason: model.failure.to_string(),
    }));
    skipped.sort_by(|first, second| first.id.cmp(&second.id));
    skipped
}

fn note_missing_scores(evidence: &Evidence) {
    for group in &evidence.groups {
        if group.scores().is_none() && group.models().len() > 1 {
            let whose = several(group.models());
            note(format!(
                "{whose}: no layer to score, so parents and children cannot be distinguished"
            ));
        }
    }
}

fn note_what_is_missing(skipped: &[Skipped], evidence: &Evidence, trees: Trees) {
    for Skipped { id, reason } in skipped {
        note(format!("skipped {id}: {reason}"));
    }
    // Models of one kind lack the same layers, so there is one line for each layer.
    let mut layers: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for skipped in &evidence.skipped_layers {
        let layer = (&skipped.layer.layer, skipped.layer.reason.to_string());
        layers.entry(layer).or_default().push(&skipped.model);
    }
    for ((layer, reason), models) in layers {
        let whose = several(&models);
        note(format!("left out layer `{layer}` of {whose}: {reason}"));
    }
    if let Trees::Count(trees) = trees
        && trees < evidence.groups.len()
    {
        let groups = evidence.groups.len();
        note(format!(
            "found {groups} trees instead of {trees}, because the models have {groups} architectures"
        ));
    }
}

/// Raw weights are compared by name only, so models with other names keep the distances of their signatures.
fn note_what_is_not_exact(evidence: &Evidence, exact: &Evidence) {
    for group in evidence
        .groups
        .iter()
        .filter(|group| group.models().len() > 1)
    {
        let names = group.models();
        let has_all =
            |other: &GroupEvidence| names.iter().all(|name| other.position(name).is_some());
        if !exact.groups.iter().any(has_all) {
            let whose = several(names);
            note(format!(
                "{whose}: distances come from signatures, because tensors differ in name or shape"
            ));
        }
    }
}

/// Names the first of some models and counts the others.
fn several(models: &[impl AsRef<str>]) -> String {
    match models {
        [] => "no model".into(),
        [model] => model.as_ref().into(),
        [model, _] => format!("{} and 1 more model", model.as_ref()),
        [model, others @ ..] => format!("{} and {} more models", model.as_ref(), others.len()),
    }
}
