//! Recovers a simulated hub from simulated signatures, and reports accuracy and speed.
//!
//! `cargo run --release --example hub_scale -- [OPTIONS]`; `--help` lists the options.
#![allow(
    clippy::std_instead_of_alloc,
    reason = "a command has the standard library"
)]

#[path = "support/hub_sample.rs"]
mod sample;
#[path = "support/hub_simulation.rs"]
mod simulation;
#[path = "support/terminal.rs"]
#[allow(dead_code, reason = "shared with other commands")]
mod terminal;

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::Instant;

use lexopt::{Arg, Parser, ValueExt as _};
use mother::evidence::SignatureComparison;
use mother::heritage::{Index, ModelGraph, Recovery};
use mother::signature::Signature;
use sample::{Found, Sample};
use simulation::{Hub, Plan};
use terminal::{Failure, finish, print};

const HELP: &str = "\
Simulate the signatures of a hub, recover the family trees of its models, and compare with the truth.

hub_scale [OPTIONS]

  --models N             number of models (2000)
  --seed S               seed; other seeds give other hubs (0)
  --threads T            number of threads (one per processor)
  --numbers K            numbers in the sketches of a signature: a power of two from 512 to 65536
                         (8192 for up to 10000 models, otherwise 1024)
  --steps A:B            smallest and largest step, as shares of the norm (0.003:0.1)
  --dense                compare all pairs instead of using an index
  --sample K             also compare K models with all others, and recover each from its nearest
                         ones alone, to show what the index misses (0)
  --format NAME          text (the default) | json

Family sizes are as on real hubs: the largest has a tenth of all models, the second half as many as the
largest, the third a third. The parent of every model is chosen with a probability proportional to its
number of children plus one. Steps are log-uniform, a third of them of low rank. 12 % of the models are
duplicates or casts; 3 % keep half of their layers and get new ones. Equal copies count as one model.
";

/// The number of models inserted one by one at the end.
const INSERTED: usize = 200;

struct Options {
    plan: Plan,
    threads: usize,
    dense: bool,
    sample: usize,
    json: bool,
}

fn main() -> ExitCode {
    finish("hub_scale", run())
}

fn run() -> Result<(), Failure> {
    let Some(options) = parse(Parser::from_env())? else {
        return print(HELP.trim_end());
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads);
    let pool = pool.build().map_err(Failure::run)?;
    let report = pool.install(|| measure(&options))?;
    print(if options.json {
        report.json()
    } else {
        report.text()
    })
}

fn parse(mut parser: Parser) -> Result<Option<Options>, Failure> {
    let usage = |message: &str| Failure::Usage(message.into());
    let (mut models, mut seed, mut threads, mut sample) = (2000, 0, 0, 0);
    let (mut numbers, mut steps, mut dense, mut json) = (None, (0.003, 0.1), false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("models") => models = parser.value()?.parse()?,
            Arg::Long("seed") => seed = parser.value()?.parse()?,
            Arg::Long("threads") => threads = parser.value()?.parse()?,
            Arg::Long("numbers") => numbers = Some(parser.value()?.parse()?),
            Arg::Long("dense") => dense = true,
            Arg::Long("sample") => sample = parser.value()?.parse()?,
            Arg::Long("steps") => {
                let value = parser.value()?.string()?;
                let ends = value.split_once(':').and_then(|(least, greatest)| {
                    Some((least.parse().ok()?, greatest.parse().ok()?))
                });
                steps = ends
                    .filter(|&(least, greatest): &(f64, f64)| 0.0 < least && least <= greatest)
                    .filter(|ends| ends.1 <= 1.0)
                    .ok_or_else(|| usage("--steps must be A:B with 0 < A ≤ B ≤ 1"))?;
            }
            Arg::Long("format") => {
                json = match parser.value()?.string()?.as_str() {
                    "json" => true,
                    "text" => false,
                    _ => return Err(usage("--format must be text or json")),
                };
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    let numbers: usize = numbers.unwrap_or(if models <= 10_000 { 8192 } else { 1024 });
    if models < 2 {
        return Err(usage("--models must be at least 2"));
    }
    if !(512..=65_536).contains(&numbers) || !numbers.is_power_of_two() {
        return Err(usage("--numbers must be a power of two from 512 to 65536"));
    }
    Ok(Some(Options {
        plan: Plan {
            models,
            seed,
            numbers,
            steps,
        },
        threads,
        dense,
        sample,
        json,
    }))
}

fn measure(options: &Options) -> Result<Report, Failure> {
    let mut hub = Hub::new(options.plan);
    let mut report = Report {
        models: options.plan.models,
        ..Report::default()
    };
    let mut index = Index::new();
    for model in 0..options.plan.models {
        let start = Instant::now();
        let signature = hub.signature(model, |name| index.signature(name));
        let signature = signature.map_err(Failure::run)?;
        let simulated = Instant::now();
        report.bytes += bytes_of(&signature);
        index.insert(signature).map_err(Failure::run)?;
        report.seconds.simulate += simulated - start;
        report.seconds.insert += simulated.elapsed();
    }
    report.bytes /= options.plan.models;
    let start = Instant::now();
    let graph = if options.dense {
        let signatures: Vec<Signature> = index.signatures().cloned().collect();
        let evidence = SignatureComparison::new().compare(&signatures);
        let evidence = evidence.map_err(Failure::run)?;
        Recovery::new().recover(&evidence).map_err(Failure::run)?
    } else {
        index.graph().map_err(Failure::run)?
    };
    report.seconds.recover = start.elapsed();
    report.compare(&hub, &graph);
    if options.sample > 0 {
        let found = Found::new(&hub, &index, &graph);
        report.sample = Some(found.sample(options.sample)?);
    }
    report.insert_one = insert_some(&mut hub, &mut index)?;
    report.peak = peak();
    Ok(report)
}

/// The times for inserting one more model and finding its relatives, ascending.
fn insert_some(hub: &mut Hub, index: &mut Index) -> Result<Vec<f64>, Failure> {
    let mut times = Vec::new();
    for _ in 0..INSERTED {
        let model = hub.add_model();
        let signature = hub.signature(model, |name| index.signature(name));
        let signature = signature.map_err(Failure::run)?;
        let start = Instant::now();
        index.insert(signature).map_err(Failure::run)?;
        index.relatives(&hub.name(model)).map_err(Failure::run)?;
        times.push(1e3 * start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The memory of a signature.
fn bytes_of(signature: &Signature) -> usize {
    let tensors = signature.tensors().iter().map(|tensor| {
        let sketch = tensor.sketch();
        let numbers = 4 * sketch.buckets().len() + 8 * sketch.squared_norms().len();
        size_of_val(tensor) + numbers + tensor.name().len() + size_of_val(tensor.shape())
    });
    size_of_val(signature) + signature.name().len() + tensors.sum::<usize>()
}

/// The peak memory of this process in bytes; 0 if the system doesn't report it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    1024 * kilobytes.unwrap_or(0)
}

#[derive(Default)]
struct Seconds {
    simulate: Duration,
    insert: Duration,
    recover: Duration,
}

#[derive(Default)]
struct Report {
    models: usize,
    families: usize,
    true_edges: usize,
    right_edges: usize,
    /// Right edges, ignoring direction.
    undirected: usize,
    /// The share of families that were found as one tree of exactly their models.
    clusters: f64,
    /// The mean confidence of all edges found.
    confidence: f64,
    right: f64,
    seconds: Seconds,
    insert_one: Vec<f64>,
    sample: Option<Sample>,
    bytes: usize,
    peak: u64,
    /// For confidences below each of these bounds: edges, right ones, the sum of confidences.
    calibration: Vec<(f64, usize, usize, f64)>,
}

impl Report {
    fn compare(&mut self, hub: &Hub, graph: &ModelGraph) {
        let position: HashMap<String, usize> = (0..hub.len())
            .map(|model| (hub.name(model), model))
            .collect();
        let model_at: Vec<usize> = graph.models().iter().map(|m| position[m.name()]).collect();
        let bounds = [0.5, 0.7, 0.85, 0.95, 0.969, 1.01];
        self.calibration = bounds.map(|bound| (bound, 0, 0, 0.0)).to_vec();
        let (mut found, mut right_found, mut confidence) = (0, 0, 0.0);
        for (at, &model) in model_at.iter().enumerate() {
            self.true_edges += usize::from(hub.parent(model).is_some());
            let Some(parent) = graph.parent(at).map(|parent| model_at[parent]) else {
                continue;
            };
            let right = hub.is_right(model, parent);
            let sure = graph.models()[at].confidence().unwrap_or(0.0);
            found += 1;
            right_found += usize::from(right);
            self.undirected += usize::from(right || hub.is_right(parent, model));
            confidence += sure;
            if let Some(bin) = self.calibration.iter_mut().find(|bin| sure < bin.0) {
                bin.1 += 1;
                bin.2 += usize::from(right);
                bin.3 += sure;
            }
        }
        // Among models with equal values any may be the original; its edge counts for all of them.
        self.right_edges = right_found.min(self.true_edges);
        self.confidence = confidence / f64::from(found.max(1));
        self.right = right_found as f64 / f64::from(found.max(1));
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        for model in 0..self.models {
            *sizes.entry(hub.family(model)).or_default() += 1;
        }
        self.families = sizes.len();
        let whole = graph.trees().filter(|tree| {
            let members = graph.subtree(tree.root);
            let family = hub.family(model_at[tree.root]);
            members.len() == sizes[&family]
                && members.iter().all(|&at| hub.family(model_at[at]) == family)
        });
        self.clusters = whole.count() as f64 / self.families.max(1) as f64;
    }

    /// The given quantile of the insertion times, in milliseconds.
    fn quantile(&self, share: f64) -> f64 {
        let last = self.insert_one.len().saturating_sub(1);
        let at = (share * last as f64).round() as usize;
        self.insert_one.get(at).copied().unwrap_or(0.0)
    }

    fn total(&self) -> f64 {
        let Seconds {
            simulate,
            insert,
            recover,
        } = self.seconds;
        (simulate + insert + recover).as_secs_f64()
    }

    fn json(&self) -> String {
        format!(
            concat!(
                r#"{{"models":{},"families":{},"edges":{{"true":{},"right":{}}},"clusters":{:.4},"#,
                r#""confidence":{{"mean":{:.4},"right":{:.4}}},"#,
                r#""seconds":{{"simulate":{:.3},"insert":{:.3},"recover":{:.3},"total":{:.3}}},"#,
                r#""insert_one_ms":{{"median":{:.3},"p99":{:.3}}},"#,
                r#""bytes_per_signature":{},"peak_bytes":{}{}}}"#
            ),
            self.models,
            self.families,
            self.true_edges,
            self.right_edges,
            self.clusters,
            self.confidence,
            self.right,
            self.seconds.simulate.as_secs_f64(),
            self.seconds.insert.as_secs_f64(),
            self.seconds.recover.as_secs_f64(),
            self.total(),
            self.quantile(0.5),
            self.quantile(0.99),
            self.bytes,
            self.peak,
            self.sample.as_ref().map_or_else(String::new, Sample::json),
        )
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} models in {} families, {:.3} of which were found complete\n\
             edges: {} of {} right ({:.4}), {:.4} ignoring direction\n\
             confidence: {:.4} on average, with {:.4} right\n",
            self.models,
            self.families,
            self.clusters,
            self.right_edges,
            self.true_edges,
            self.right_edges as f64 / self.true_edges.max(1) as f64,
            self.undirected as f64 / self.true_edges.max(1) as f64,
            self.confidence,
            self.right,
        );
        let mut least = 0.0;
        for &(bound, edges, right, sum) in &self.calibration {
            if edges > 0 {
                let edges_as_float = edges as f64;
                let (mean, right) = (sum / edges_as_float, right as f64 / edges_as_float);
                // Writing to a string never fails.
                let _ = writeln!(
                    text,
                    "  {least:.3} to {:.3}: {edges} edges, mean confidence {mean:.3}, {right:.3} right",
                    f64::min(bound, 1.0),
                );
            }
            least = bound;
        }
        let _ = write!(
            text,
            "seconds: {:.2} to simulate, {:.2} to insert, {:.2} to recover\n\
             inserting one model and finding its relatives: {:.2} ms (median), {:.2} ms (99 %)\n\
             {} bytes per signature, {} MB peak memory",
            self.seconds.simulate.as_secs_f64(),
            self.seconds.insert.as_secs_f64(),
            self.seconds.recover.as_secs_f64(),
            self.quantile(0.5),
            self.quantile(0.99),
            self.bytes,
            self.peak / 1_000_000,
        );
        if let Some(sample) = &self.sample {
            text.push_str(&sample.text());
        }
        text
    }
}
