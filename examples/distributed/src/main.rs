//! Finds the family trees of a hub of models, in several threads, processes or machines: one dataflow on
//! `timely`, whose result is that of one `Index`, byte for byte.
//!
//! Every worker reads its share of the models, and keeps their signatures on disk as it goes. A process that
//! dies half-way can be started again with the same command, and reads only what is missing. The processes connect
//! once they have read their shares.

mod checkpoint;
mod dataflow;
mod hub;
mod reading;
mod settings;
#[path = "../../support/hub_simulation.rs"]
#[allow(dead_code, reason = "the truth is not used here")]
mod simulation;

use std::fs::File;
use std::io::{BufWriter, Write as _, stderr};
use std::process::ExitCode;
use std::time::Instant;

use mother::heritage::{Index, ModelGraph};

use crate::checkpoint::Checkpoints;
use crate::hub::Hub;
use crate::settings::{Engine, Settings};

/// Why the command failed, in one line.
struct Failure(String);

impl Failure {
    fn of(error: impl core::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            note(&format!("mother-distributed: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes one line to stderr. The engine reports its connections on stdout.
fn note(line: &str) {
    // If stderr is closed, there is nowhere to report it.
    writeln!(stderr(), "{line}").ok();
}

fn run() -> Result<(), Failure> {
    let Some(settings) = settings::parse(std::env::args().skip(1))? else {
        return Ok(());
    };
    let start = Instant::now();
    let hub = Hub::open(&settings.source)?;
    let shares = reading::read_all(&hub, &settings)?;
    let (read, kept, skipped) = shares
        .iter()
        .fold((0, 0, 0), |(read, kept, skipped), share| {
            (
                read + share.read,
                kept + share.kept,
                skipped + share.skipped,
            )
        });
    note(&format!(
        "process {}: read {read} models, {kept} were in the checkpoint, {skipped} cannot be read; {:.1} s",
        settings.process,
        start.elapsed().as_secs_f64()
    ));
    drop(hub);
    let start = Instant::now();
    let graph = match settings.engine {
        Engine::Index => Some(of_index(&settings.checkpoints)?),
        Engine::Timely(ref config) => dataflow::run(config.clone(), settings.checkpoints.clone())?,
    };
    let models = graph.as_ref().map(ModelGraph::len);
    if let Some(graph) = graph {
        write(&graph, &settings)?;
    }
    let of_graph = models.map(|models| format!("a graph of {models} models; "));
    note(&format!(
        "process {}: {}{:.1} s, {:.1} s of processor time including reading, {:.1} MB sent, {:.0} MB peak memory",
        settings.process,
        of_graph.unwrap_or_default(),
        start.elapsed().as_secs_f64(),
        processor_seconds(),
        dataflow::bytes_sent() as f64 / 1e6,
        peak() as f64 / 1e6,
    ));
    Ok(())
}

/// The graph that a single index finds for the same models, for comparison.
fn of_index(checkpoints: &Checkpoints) -> Result<ModelGraph, Failure> {
    let mut index = Index::new();
    for reader in 0..checkpoints.readers {
        checkpoints.open(reader, |_, signature| {
            index.insert(signature).map_err(Failure::of)
        })?;
    }
    index.graph().map_err(Failure::of)
}

/// Writes the graph as JSON, atomically.
fn write(graph: &ModelGraph, settings: &Settings) -> Result<(), Failure> {
    let failed =
        |error: &dyn core::fmt::Display| Failure(format!("{}: {error}", settings.out.display()));
    let temporary = settings.out.with_extension("tmp");
    let file = File::create(&temporary).map_err(|error| failed(&error))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer(&mut file, graph).map_err(|error| failed(&error))?;
    file.flush().map_err(|error| failed(&error))?;
    std::fs::rename(&temporary, &settings.out).map_err(|error| failed(&error))
}

/// The peak memory of this process in bytes; 0 if the system doesn't report it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    1024 * kilobytes.unwrap_or(0)
}

/// The processor time of this process in seconds; 0 if the system doesn't report it.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the command, in brackets, may contain anything.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
