//! Loads a running hub: many readers while models come and go, and the hub's memory over time.
//!
//! `cargo run --release --manifest-path examples/hub/Cargo.toml --features load --bin load -- --help` lists the
//! options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

#[path = "../../../support/hub_simulation.rs"]
#[allow(dead_code, reason = "shared with other commands")]
mod simulation;

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mother::signature::Signature;
use simulation::{Hub, Plan};

const HELP: &str = "\
Fills a running hub with simulated models, then reads it with many clients while models are replaced.

load [OPTIONS]

  --hub ADDRESS          address of the hub (127.0.0.1:8080)
  --models N             number of models (1000)
  --replaced N           models removed and added again per second (2)
  --readers N            number of clients that read at the same time (50)
  --pause MS             pause of a client between two requests (0)
  --seconds S            duration (60)

Prints a table of latencies and the hub's memory. The exit code is 1 if a response was an error, or if
memory grew: if its peak in the last quarter of the run is more than 20 % and 16 MB above its peak in the
second quarter.";

/// The number of times that memory is sampled.
const SAMPLES: u32 = 40;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
struct Options {
    hub: String,
    models: usize,
    replaced: f64,
    readers: usize,
    pause: Duration,
    time: Duration,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("load: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, Failure> {
    let mut options = Options {
        hub: "127.0.0.1:8080".into(),
        models: 1000,
        replaced: 2.0,
        readers: 50,
        pause: Duration::ZERO,
        time: Duration::from_secs(60),
    };
    while let Some(option) = arguments.next() {
        if option == "--help" {
            return Ok(None);
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--hub" => options.hub = value,
            "--models" => options.models = value.parse()?,
            "--replaced" => options.replaced = value.parse()?,
            "--readers" => options.readers = value.parse()?,
            "--pause" => options.pause = Duration::from_millis(value.parse()?),
            "--seconds" => options.time = Duration::from_secs(value.parse()?),
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    if options.models < 2 {
        return Err("--models must be at least 2".into());
    }
    Ok(Some(options))
}

/// A client with a persistent connection.
struct Client {
    agent: ureq::Agent,
    hub: String,
}

impl Client {
    fn new(options: &Options) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        Self {
            agent: config.build().into(),
            hub: options.hub.clone(),
        }
    }

    /// The status and the body of a response.
    fn send(&self, method: &str, path: &str, body: &[u8]) -> Result<(u16, String), Failure> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.hub));
        let mut answer = match body {
            [] => self.agent.run(request.body(())?)?,
            body => self.agent.run(request.body(body)?)?,
        };
        let body = answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()?;
        Ok((answer.status().as_u16(), body))
    }

    /// Waits until the hub, which may just have been started, responds.
    fn wait_for_hub(&self) -> Result<(), Failure> {
        for _ in 0..100 {
            if self.send("GET", "/healthz", &[]).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(format!("no hub at {}", self.hub).into())
    }

    /// The hub's memory in bytes.
    fn memory(&self) -> Result<f64, Failure> {
        let (_, metrics) = self.send("GET", "/metrics", &[])?;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("hub_resident_bytes "));
        Ok(line.ok_or("the hub does not report its memory")?.parse()?)
    }
}

/// The simulated models, as they are added.
fn simulate(options: &Options) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let hub = Hub::new(Plan {
        models: options.models,
        seed: 0,
        numbers: 2048,
        steps: (0.003, 0.1),
    });
    let mut known: HashMap<String, Signature> = HashMap::new();
    let mut models = Vec::new();
    for model in 0..options.models {
        let signature = hub.signature(model, |name| known.get(name));
        let signature = signature.map_err(|error| error.to_string())?;
        models.push((format!("load/{}", hub.name(model)), signature.to_bytes()));
        known.insert(hub.name(model), signature);
    }
    Ok(models)
}

fn path(id: &str) -> String {
    format!("/models/{}", id.replace('/', "%2F"))
}

fn put(client: &Client, (id, bytes): &(String, Vec<u8>)) -> Result<(), Failure> {
    match client.send("PUT", &format!("{}/signature", path(id)), bytes)? {
        (200 | 201, _) => Ok(()),
        (status, body) => Err(format!("cannot add {id}: {status} {body}").into()),
    }
}

fn run(options: &Options) -> Result<bool, Failure> {
    let models = simulate(options)?;
    let client = Client::new(options);
    client.wait_for_hub()?;
    let start = Instant::now();
    for model in &models {
        put(&client, model)?;
    }
    let filled = start.elapsed();
    client.send(
        "GET",
        &format!("{}?wait=60", path(&models[models.len() - 1].0)),
        &[],
    )?;
    println!(
        "added {} models one after the other in {:.1} s; all were placed after {:.1} s",
        models.len(),
        filled.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    let stops = AtomicBool::new(false);
    let (times, replaced, memory) = thread::scope(|scope| {
        let readers: Vec<_> = (0..options.readers)
            .map(|reader| {
                let (models, stops) = (&models, &stops);
                scope.spawn(move || read(options, models, reader as u64, stops))
            })
            .collect();
        let writer = scope.spawn(|| replace(options, &models, &stops));
        let memory = watch_memory(&client, options.time);
        stops.store(true, Ordering::Relaxed);
        let mut times = Times::default();
        for reader in readers {
            times.add(reader.join().map_err(|_| "a reader panicked")??);
        }
        let replaced = writer.join().map_err(|_| "the writer panicked")??;
        Ok::<_, Failure>((times, replaced, memory?))
    })?;
    report(options, times, replaced, &memory);
    Ok(is_flat(&memory))
}

/// Response times in seconds, by kind of request.
#[derive(Default)]
struct Times(BTreeMap<&'static str, Vec<f32>>);

impl Times {
    fn add(&mut self, other: Self) {
        for (asked, mut times) in other.0 {
            self.0.entry(asked).or_default().append(&mut times);
        }
    }
}

/// Reads until `stops` is set.
fn read(
    options: &Options,
    models: &[(String, Vec<u8>)],
    reader: u64,
    stops: &AtomicBool,
) -> Result<Times, Failure> {
    let client = Client::new(options);
    let mut times = Times::default();
    let mut state = reader + 1;
    while !stops.load(Ordering::Relaxed) {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let id = &models[(state >> 8) as usize % models.len()].0;
        let (asked, path) = match state % 20 {
            0 => ("tree of a model", format!("{}/tree", path(id))),
            1..=2 => ("card", format!("{}/card", path(id))),
            3..=5 => (
                "search",
                format!("/models?query={}", id.trim_start_matches("load/")),
            ),
            _ => ("lineage", path(id)),
        };
        let start = Instant::now();
        let (status, body) = client.send("GET", &path, &[])?;
        let took = start.elapsed().as_secs_f32();
        // A model that is being replaced is briefly absent.
        if !matches!(status, 200 | 404 | 503) {
            return Err(format!("{path}: {status} {body}").into());
        }
        times.0.entry(asked).or_default().push(took);
        thread::sleep(options.pause);
    }
    Ok(times)
}

/// Removes models and adds them again. Returns the number of models replaced.
fn replace(
    options: &Options,
    models: &[(String, Vec<u8>)],
    stops: &AtomicBool,
) -> Result<usize, Failure> {
    let client = Client::new(options);
    let mut replaced = 0;
    for model in models.iter().cycle() {
        if stops.load(Ordering::Relaxed) || options.replaced <= 0.0 {
            break;
        }
        client.send("DELETE", &path(&model.0), &[])?;
        put(&client, model)?;
        replaced += 1;
        thread::sleep(Duration::from_secs_f64(1.0 / options.replaced));
    }
    Ok(replaced)
}

fn watch_memory(client: &Client, time: Duration) -> Result<Vec<f64>, Failure> {
    let mut memory = vec![client.memory()?];
    for _ in 0..SAMPLES {
        thread::sleep(time / SAMPLES);
        memory.push(client.memory()?);
    }
    Ok(memory)
}

fn report(options: &Options, times: Times, replaced: usize, memory: &[f64]) {
    let seconds = options.time.as_secs_f64();
    println!(
        "{} readers for {seconds:.0} s with pauses of {} ms, {replaced} models replaced\n",
        options.readers,
        options.pause.as_millis()
    );
    println!("| request | responses per second | p50, ms | p99, ms | longest, ms |");
    println!("|---|---|---|---|---|");
    let mut all = Vec::new();
    for (asked, times) in times.0 {
        all.extend_from_slice(&times);
        line(asked, times, seconds);
    }
    line("all", all, seconds);
    let megabytes = |bytes: f64| bytes / f64::from(1 << 20);
    let [start, end] = [memory.first(), memory.last()].map(|m| megabytes(*m.unwrap_or(&0.0)));
    let peak = megabytes(peak(memory));
    println!("\nmemory: {start:.0} MB at the start, {peak:.0} MB at most, {end:.0} MB at the end");
}

fn line(asked: &str, mut times: Vec<f32>, seconds: f64) {
    times.sort_by(f32::total_cmp);
    let quantile = |share: f64| {
        let at = (share * times.len().saturating_sub(1) as f64).round() as usize;
        1e3 * times.get(at).copied().unwrap_or(0.0)
    };
    println!(
        "| {asked} | {:.0} | {:.2} | {:.1} | {:.0} |",
        times.len() as f64 / seconds,
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
}

fn peak(memory: &[f64]) -> f64 {
    memory.iter().copied().fold(0.0, f64::max)
}

/// Whether memory stopped growing.
fn is_flat(memory: &[f64]) -> bool {
    let quarter = memory.len() / 4;
    let (second, last) = (
        peak(&memory[quarter..2 * quarter]),
        peak(&memory[memory.len() - quarter..]),
    );
    let is_flat = last <= (1.2 * second).max(second + f64::from(16 << 20));
    if !is_flat {
        println!(
            "memory grew: its peak was {second} bytes in the second quarter and {last} in the last"
        );
    }
    is_flat
}
