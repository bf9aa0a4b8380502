//! Recovers the family trees of models from their weights; without arguments, of an embedded zoo.
//!
//! `cargo run --release --example recover -- [OPTIONS] [MODEL]...`; `--help` lists the options.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints"
)]

mod support;

use core::ops::ControlFlow;
use core::time::Duration;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use lexopt::{Arg, Parser, ValueExt};
use mother::evidence::{
    Distance, Evidence, Glob, LayerSelection, Measurement, OnFailure, Phase, Progress,
    RankOverLayers,
};
use mother::heritage::{ModelGraph, Recovery, Stage, Trees};
use mother::safetensors::{ModelPath, SafetensorsModel, find_models};
use serde_json::json;
use support::{Truth, zoo};

const HELP: &str = "\
recover [OPTIONS] [MODEL]...

  MODEL                  a .safetensors file, or a folder of models; none: the embedded zoo
  --method NAME          paper (the default)
  --distance NAME        l2 | rank | auto (which is l2)
  --clusters N|auto      how many trees there are (auto)
  --threshold D          join models up to this distance instead
  --linkage NAME         single (the default), complete, average, weighted, ward, centroid, median
  --stage NAME           specialization (the default) | generalization
  --lambda C             the direction penalty, times the mean distance (0.3)
  --layers GLOB          which shared layers to measure distances on (repeatable)
  --score-layers GLOB    which shared layers to sum the score over (repeatable)
  --threads N            how many threads to use
  --format NAME          text (the default) | json | dot | mermaid | newick
  --truth FILE           a truth.json to state the accuracy against
  --strict               fail when any model has to be skipped
";

#[derive(Clone, Copy)]
enum Format {
    Text,
    Json,
    Dot,
    Mermaid,
    Newick,
}

struct Options {
    models: Vec<PathBuf>,
    measurement: Measurement,
    recovery: Recovery,
    format: Format,
    truth: Option<PathBuf>,
    threads: Option<usize>,
    strict: bool,
}

/// Why the command ends without a result, which is also its exit code.
enum Failure {
    Usage(String),
    Run(String),
}

fn main() -> ExitCode {
    let outcome = match options() {
        Ok(Some(options)) => run(&options),
        Ok(None) => {
            print!("{HELP}");
            Ok(())
        }
        Err(error) => Err(Failure::Usage(error.to_string())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("recover: {message}");
            ExitCode::from(2)
        }
        Err(Failure::Run(message)) => {
            eprintln!("recover: {message}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut parser = Parser::from_env();
    let mut models = Vec::new();
    let (mut layers, mut score_layers) = (LayerSelection::new(), LayerSelection::new());
    let mut recovery = Recovery::paper();
    let mut distance = Distance::L2;
    let mut format = Format::Text;
    let (mut truth, mut threads, mut strict) = (None, None, false);
    let (mut clusters_given, mut threshold_given) = (false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(model) => models.push(model.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("method") => parser.value()?.parse_with(|name| match name {
                "paper" => Ok(()),
                _ => Err("the methods are: paper"),
            })?,
            Arg::Long("distance") => {
                distance = parser.value()?.parse_with(|name| match name {
                    "l2" | "auto" => Ok(Distance::L2),
                    "rank" => Ok(Distance::Rank {
                        tolerance: None,
                        over_layers: RankOverLayers::Maximum,
                    }),
                    _ => Err("the distances are: l2, rank, auto"),
                })?;
            }
            Arg::Long("clusters") => {
                clusters_given = true;
                recovery = recovery.with_trees(parser.value()?.parse_with(|text| {
                    match text {
                        "auto" => Ok(Trees::Found),
                        count => count
                            .parse()
                            .ok()
                            .filter(|&count| count > 0)
                            .map(Trees::Count)
                            .ok_or("wanted: a number above 0, or auto"),
                    }
                })?);
            }
            Arg::Long("threshold") => {
                threshold_given = true;
                recovery = recovery.with_trees(parser.value()?.parse_with(|text| {
                    text.parse()
                        .ok()
                        .filter(|distance: &f64| distance.is_finite() && *distance >= 0.0)
                        .map(Trees::Threshold)
                        .ok_or("wanted: a distance")
                })?);
            }
            Arg::Long("linkage") => recovery = recovery.with_linkage(parser.value()?.parse()?),
            Arg::Long("stage") => {
                recovery = recovery.with_stage(parser.value()?.parse::<Stage>()?);
            }
            Arg::Long("lambda") => {
                recovery = recovery.with_penalty(parser.value()?.parse_with(|text| {
                    text.parse()
                        .ok()
                        .filter(|c: &f64| c.is_finite() && *c >= 0.0)
                        .ok_or("wanted: a number not below 0")
                })?);
            }
            Arg::Long("layers") => layers = layers.with_glob(parser.value()?.parse::<Glob>()?),
            Arg::Long("score-layers") => {
                score_layers = score_layers.with_glob(parser.value()?.parse::<Glob>()?);
            }
            Arg::Long("threads") => {
                threads = Some(parser.value()?.parse_with(|text| {
                    text.parse()
                        .ok()
                        .filter(|&threads| threads > 0)
                        .ok_or("wanted: a number above 0")
                })?);
            }
            Arg::Long("format") => {
                format = parser.value()?.parse_with(|name| match name {
                    "text" => Ok(Format::Text),
                    "json" => Ok(Format::Json),
                    "dot" => Ok(Format::Dot),
                    "mermaid" => Ok(Format::Mermaid),
                    "newick" => Ok(Format::Newick),
                    _ => Err("the formats are: text, json, dot, mermaid, newick"),
                })?;
            }
            Arg::Long("truth") => truth = Some(parser.value()?.into()),
            Arg::Long("strict") => strict = true,
            _ => return Err(argument.unexpected()),
        }
    }
    if clusters_given && threshold_given {
        return Err("--clusters and --threshold exclude each other".into());
    }
    Ok(Some(Options {
        models,
        measurement: Measurement::new()
            .with_distance(distance)
            .with_layers(layers)
            .with_score_layers(score_layers)
            .with_on_failure(OnFailure::Skip),
        recovery,
        format,
        truth,
        threads,
        strict,
    }))
}

/// A model that was left out, and why.
struct Skipped {
    id: String,
    reason: String,
}

fn run(options: &Options) -> Result<(), Failure> {
    let start = Instant::now();
    if let Some(threads) = options.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|error| Failure::Run(error.to_string()))?;
    }
    let truth = match &options.truth {
        Some(path) => Some(Truth::read(path).map_err(Failure::Run)?),
        None if options.models.is_empty() => Some(Truth::parse(zoo::TRUTH).map_err(Failure::Run)?),
        None => None,
    };
    let mut skipped = Vec::new();
    let models = open(&options.models, &mut skipped)?;
    let mut seconds = Seconds {
        read: start.elapsed(),
        ..Seconds::default()
    };
    let evidence = measure(options, &models, &mut seconds)?;
    skipped.extend(evidence.skipped.iter().map(|model| Skipped {
        id: model.model.clone(),
        reason: model.failure.to_string(),
    }));
    skipped.sort_by(|first, second| first.id.cmp(&second.id));
    for model in &skipped {
        eprintln!("skipped {}: {}", model.id, model.reason);
    }
    for layer in &evidence.skipped_layers {
        eprintln!(
            "{}: layer {} left out: {}",
            layer.model, layer.layer.layer, layer.layer.reason
        );
    }
    if options.strict && !skipped.is_empty() {
        return Err(Failure::Run(format!(
            "{} models had to be skipped",
            skipped.len()
        )));
    }
    if evidence.groups.is_empty() {
        return Err(Failure::Run("no model is left to recover".into()));
    }
    let failed = |error: mother::heritage::RecoveryError| Failure::Run(error.to_string());
    let clock = Instant::now();
    let clusters = options.recovery.clusters(&evidence).map_err(failed)?;
    seconds.cluster = clock.elapsed();
    let clock = Instant::now();
    let graph = options
        .recovery
        .graph(&evidence, &clusters)
        .map_err(failed)?;
    seconds.tree = clock.elapsed();
    let accuracy = match &truth {
        Some(truth) => Some(truth.accuracy(&graph).map_err(Failure::Run)?),
        None => None,
    };
    seconds.total = start.elapsed();
    match options.format {
        Format::Text => print_text(&graph, accuracy),
        Format::Json => print_json(&graph, &skipped, accuracy, &seconds),
        Format::Dot => println!("{}", graph.dot()),
        Format::Mermaid => println!("{}", graph.mermaid()),
        Format::Newick => println!("{}", graph.newick()),
    }
    Ok(())
}

/// Opens every model; those that can't be opened are skipped, but a path has to exist.
fn open(
    paths: &[PathBuf],
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<SafetensorsModel<'static>>, Failure> {
    let mut models = Vec::new();
    if paths.is_empty() {
        for &(name, bytes) in zoo::MODELS {
            let model = SafetensorsModel::from_bytes(name, bytes);
            models.push(model.map_err(|error| Failure::Run(error.to_string()))?);
        }
        return Ok(models);
    }
    let mut found: Vec<ModelPath> = Vec::new();
    for path in paths {
        found.extend(find_models(path).map_err(|error| Failure::Run(error.to_string()))?);
    }
    found.sort_by(|first, second| first.path().cmp(second.path()));
    found.dedup_by(|first, second| first.path() == second.path());
    for path in &found {
        // Two models of one name are told apart by their paths.
        let shared = found
            .iter()
            .filter(|other| other.name() == path.name())
            .count()
            > 1;
        let id = if shared {
            path.path().display().to_string()
        } else {
            path.name().to_string()
        };
        match path.open() {
            Ok(model) => models.push(model.with_name(id)),
            Err(error) => skipped.push(Skipped {
                id,
                reason: error.to_string(),
            }),
        }
    }
    Ok(models)
}

#[derive(Default)]
struct Seconds {
    read: Duration,
    score: Duration,
    distance: Duration,
    cluster: Duration,
    tree: Duration,
    total: Duration,
}

impl Seconds {
    fn of(&mut self, phase: Phase) -> &mut Duration {
        match phase {
            Phase::Scoring => &mut self.score,
            Phase::Comparing => &mut self.distance,
            _ => &mut self.read,
        }
    }
}

fn measure(
    options: &Options,
    models: &[SafetensorsModel<'static>],
    seconds: &mut Seconds,
) -> Result<Evidence, Failure> {
    let bar = if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("measuring {bar:40} {percent}% {eta}");
        ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    } else {
        ProgressBar::hidden()
    };
    let mut current = (Phase::Reading, Instant::now());
    let mut observer = |progress: Progress| {
        let now = Instant::now();
        *seconds.of(current.0) += now - current.1;
        current = (progress.phase, now);
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        ControlFlow::Continue(())
    };
    let evidence = options.measurement.measure_observed(models, &mut observer);
    *seconds.of(current.0) += current.1.elapsed();
    bar.finish_and_clear();
    evidence.map_err(|error| Failure::Run(error.to_string()))
}

type Accuracy = (Option<f64>, Option<f64>);

fn print_text(graph: &ModelGraph, accuracy: Option<Accuracy>) {
    println!("{graph}");
    if let Some((edges, clusters)) = accuracy {
        let share = |share: Option<f64>| share.map_or("-".into(), |share| format!("{share:.3}"));
        println!();
        println!(
            "edges right: {}, models in the right tree: {}",
            share(edges),
            share(clusters)
        );
    }
}

fn print_json(
    graph: &ModelGraph,
    skipped: &[Skipped],
    accuracy: Option<Accuracy>,
    seconds: &Seconds,
) {
    let models: Vec<_> = (graph.models().iter().enumerate())
        .map(|(index, model)| {
            let descent = model.descent();
            json!({
                "id": model.name(),
                "tree": graph.tree(index),
                "parent": graph.parent(index).and_then(|parent| graph.name(parent)),
                "distance": descent.and_then(|descent| descent.distance()),
                "score": model.score(),
                "confidence": descent.and_then(|descent| descent.confidence()),
            })
        })
        .collect();
    let trees: Vec<_> = graph
        .trees()
        .map(|tree| json!({"root": graph.name(tree.root), "size": tree.size}))
        .collect();
    let skipped: Vec<_> = skipped
        .iter()
        .map(|model| json!({"id": model.id, "reason": model.reason}))
        .collect();
    let mut report = json!({
        "models": models,
        "trees": trees,
        "skipped": skipped,
        "seconds": {
            "read": seconds.read.as_secs_f64(),
            "score": seconds.score.as_secs_f64(),
            "distance": seconds.distance.as_secs_f64(),
            "cluster": seconds.cluster.as_secs_f64(),
            "tree": seconds.tree.as_secs_f64(),
            "total": seconds.total.as_secs_f64(),
        },
    });
    if let Some((edges, clusters)) = accuracy {
        report["accuracy"] = json!({"edges": edges, "clusters": clusters});
    }
    println!("{report}");
}
