//! Metrics for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::HubError;
use crate::hub::Hub;

/// The bounds of the buckets of the histogram of response times, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// The counters.
#[derive(Default)]
pub(crate) struct Metrics {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Responses by method and status.
    answers: BTreeMap<(&'static str, u16), u64>,
    buckets: [u64; BOUNDS.len() + 1],
    answer_seconds: f64,
    jobs: u64,
    job_seconds: f64,
}

impl Metrics {
    pub(crate) fn answered(&self, method: &'static str, status: u16, took: Duration) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.answers.entry((method, status)).or_default() += 1;
        let seconds = took.as_secs_f64();
        counts.answer_seconds += seconds;
        let bucket = BOUNDS.iter().position(|&bound| seconds <= bound);
        counts.buckets[bucket.unwrap_or(BOUNDS.len())] += 1;
    }

    pub(crate) fn job_took(&self, took: Duration) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.jobs += 1;
        counts.job_seconds += took.as_secs_f64();
    }
}

/// All metrics in Prometheus's text format.
pub(crate) fn text(hub: &Hub) -> Result<String, HubError> {
    let mut text = String::new();
    let jobs = hub.database().job_counts()?;
    let snapshot = hub.snapshot();
    let pending = hub.newest_change().saturating_sub(snapshot.change);
    for (name, help, value) in [
        (
            "hub_models",
            "Models in the hub.",
            hub.catalogue.len() as f64,
        ),
        (
            "hub_generation",
            "Graphs recovered since the start.",
            snapshot.generation as f64,
        ),
        (
            "hub_pending_changes",
            "Changes since the newest graph.",
            pending as f64,
        ),
        (
            "hub_problems",
            "Models that cannot be compared.",
            snapshot.problems.len() as f64,
        ),
        (
            "hub_recovery_seconds",
            "Time taken to recover the newest graph.",
            snapshot.seconds,
        ),
        (
            "hub_resident_bytes",
            "Resident memory of the process.",
            resident() as f64,
        ),
    ] {
        head(&mut text, name, help, "gauge");
        line(&mut text, format_args!("{name} {value}"));
    }
    head(&mut text, "hub_jobs", "Jobs by their state.", "gauge");
    for (state, count) in jobs {
        line(
            &mut text,
            format_args!("hub_jobs{{state=\"{}\"}} {count}", state.name()),
        );
    }
    write_counts(&mut text, &hub.metrics);
    Ok(text)
}

fn write_counts(text: &mut String, metrics: &Metrics) {
    let counts = metrics
        .counts
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    head(
        text,
        "hub_answers_total",
        "Responses by method and status.",
        "counter",
    );
    for ((method, status), count) in &counts.answers {
        let labels = format_args!("method=\"{method}\",status=\"{status}\"");
        line(text, format_args!("hub_answers_total{{{labels}}} {count}"));
    }
    head(
        text,
        "hub_answer_seconds",
        "Time until the response began.",
        "histogram",
    );
    let mut sum = 0;
    for (bound, count) in BOUNDS.iter().zip(counts.buckets) {
        sum += count;
        line(
            text,
            format_args!("hub_answer_seconds_bucket{{le=\"{bound}\"}} {sum}"),
        );
    }
    let all: u64 = counts.buckets.iter().sum();
    line(
        text,
        format_args!("hub_answer_seconds_bucket{{le=\"+Inf\"}} {all}"),
    );
    line(
        text,
        format_args!("hub_answer_seconds_sum {}", counts.answer_seconds),
    );
    line(text, format_args!("hub_answer_seconds_count {all}"));
    head(
        text,
        "hub_job_seconds",
        "Time taken by successful jobs.",
        "summary",
    );
    line(
        text,
        format_args!("hub_job_seconds_sum {}", counts.job_seconds),
    );
    line(text, format_args!("hub_job_seconds_count {}", counts.jobs));
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{line}");
}

/// The resident memory of this process in bytes; 0 if the system doesn't report it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    1024 * kilobytes.unwrap_or(0)
}
