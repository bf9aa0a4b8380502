//! Settings from environment variables.

use std::env;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mother::signature::SignatureOptions;
use mother::sketch::SketchKey;
use tracing::level_filters::LevelFilter;

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// All settings. README.md lists the variables.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) address: SocketAddr,
    pub(crate) database: PathBuf,
    /// The folder from which models can be added. Without it, the hub serves the embedded zoo.
    pub(crate) models: Option<PathBuf>,
    /// The settings of signatures.
    pub(crate) signatures: SignatureOptions,
    /// The maximum size of an uploaded signature, in bytes.
    pub(crate) signature_bytes: usize,
    /// The maximum size of a model's files, in bytes.
    pub(crate) model_bytes: u64,
    /// The maximum number of waiting jobs.
    pub(crate) queue: usize,
    /// The number of jobs that run at the same time.
    pub(crate) workers: usize,
    /// The time limit of a job.
    pub(crate) job_time: Duration,
    /// The maximum number of models.
    pub(crate) most_models: usize,
    /// The number of threads that compare models.
    pub(crate) threads: usize,
    pub(crate) log_level: LevelFilter,
    pub(crate) log_format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            database: PathBuf::from("hub.sqlite"),
            models: None,
            signatures: SignatureOptions::new(),
            signature_bytes: 16 << 20,
            model_bytes: 64 << 30,
            queue: 1000,
            workers: 1,
            job_time: Duration::from_secs(3600),
            most_models: 100_000,
            threads: processors.saturating_sub(1).max(1),
            log_level: LevelFilter::INFO,
            log_format: LogFormat::Text,
        }
    }
}

/// A variable with an invalid value.
#[derive(Debug)]
pub(crate) struct BadVariable {
    name: &'static str,
    value: String,
    wanted: &'static str,
}

impl fmt::Display for BadVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            wanted,
        } = self;
        write!(f, "invalid {name} {value:?}; expected {wanted}")
    }
}

impl Config {
    pub(crate) fn from_env() -> Result<Self, BadVariable> {
        let mut config = Self::default();
        set(
            "HUB_ADDRESS",
            "an address such as 127.0.0.1:8080",
            &mut config.address,
        )?;
        set("HUB_DATABASE", "a path", &mut config.database)?;
        config.models = env::var_os("HUB_MODELS")
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from);
        let mut key = SketchKey::PUBLIC.value();
        set("HUB_KEY", "a number below 2^64", &mut key)?;
        config.signatures = config.signatures.with_key(SketchKey::new(key));
        set("HUB_SIGNATURE_BYTES", A_NUMBER, &mut config.signature_bytes)?;
        set("HUB_MODEL_BYTES", A_NUMBER, &mut config.model_bytes)?;
        set("HUB_QUEUE", A_NUMBER, &mut config.queue)?;
        set("HUB_WORKERS", A_NUMBER, &mut config.workers)?;
        config.workers = config.workers.clamp(1, 64);
        let mut seconds = config.job_time.as_secs();
        set("HUB_JOB_SECONDS", "a number of seconds", &mut seconds)?;
        config.job_time = Duration::from_secs(seconds);
        set("HUB_MODEL_COUNT", A_NUMBER, &mut config.most_models)?;
        set("HUB_THREADS", A_NUMBER, &mut config.threads)?;
        set(
            "HUB_LOG",
            "off, error, warn, info, debug or trace",
            &mut config.log_level,
        )?;
        set("HUB_LOG_FORMAT", "text or json", &mut config.log_format)?;
        Ok(config)
    }
}

const A_NUMBER: &str = "a number";

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// Parses a variable, if it is set.
fn set<T: FromStr>(
    name: &'static str,
    wanted: &'static str,
    setting: &mut T,
) -> Result<(), BadVariable> {
    let Some(value) = env::var_os(name).filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    let value = value.to_string_lossy().into_owned();
    match value.parse() {
        Ok(parsed) => *setting = parsed,
        Err(_) => {
            return Err(BadVariable {
                name,
                value,
                wanted,
            });
        }
    }
    Ok(())
}
