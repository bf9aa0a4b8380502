//! The command's arguments: those of the engine, and its own.

use std::path::PathBuf;

use getopts::{Matches, Options};
use mother::signature::Signature;

use crate::checkpoint::Checkpoints;
use crate::simulation::Plan;
use crate::{Failure, note};

/// The parsed command line.
pub(crate) struct Settings {
    pub(crate) source: Source,
    pub(crate) engine: Engine,
    /// The number of this process, and of threads in each.
    pub(crate) process: usize,
    pub(crate) threads: usize,
    pub(crate) checkpoints: Checkpoints,
    /// The file of the graph.
    pub(crate) out: PathBuf,
    /// The maximum number of models each worker reads per second.
    pub(crate) rate: Option<f64>,
}

/// The source of the models.
pub(crate) enum Source {
    Simulated(Plan),
    Folder(PathBuf),
}

impl Source {
    /// A description that distinguishes the signatures of this source from others.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Simulated(plan) => format!(
                "{} simulated models, seed {}, {} numbers, steps {:?}",
                plan.models, plan.seed, plan.numbers, plan.steps
            ),
            Self::Folder(path) => format!("models in {}", path.display()),
        }
    }
}

/// The engine that finds the graph.
pub(crate) enum Engine {
    Timely(timely::Config),
    /// One index in this process.
    Index,
}

/// The steps of simulated models, as shares of the norm.
const STEPS: (f64, f64) = (0.003, 0.1);

const BRIEF: &str = "\
mother-distributed [OPTIONS]

Find the family trees of all models in a folder, or of a simulated hub, with several processes. Start every
process with the same options except -p.";

/// Parses the arguments. Returns `None` after printing help.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Settings>, Failure> {
    let mut options = Options::new();
    timely::Config::install_options(&mut options);
    options
        .optopt(
            "",
            "folder",
            "read the safetensors files in a folder",
            "PATH",
        )
        .optopt("", "models", "simulate a hub of N models (2000)", "N")
        .optopt("", "seed", "seed of the simulated hub (0)", "S")
        .optopt(
            "",
            "numbers",
            "numbers per simulated signature, a power of two (1024)",
            "K",
        )
        .optopt(
            "",
            "checkpoint",
            "folder for signatures (checkpoint)",
            "DIR",
        )
        .optopt(
            "",
            "out",
            "file for the graph, written by process 0 (graph.json in the checkpoint)",
            "FILE",
        )
        .optopt(
            "",
            "reads-per-second",
            "maximum number of models each worker reads per second",
            "R",
        )
        .optflag("", "index", "use a single index in one process instead")
        .optflag("", "help", "print this help");
    let found = options.parse(arguments).map_err(Failure::of)?;
    if found.opt_present("help") {
        note(&options.usage(BRIEF));
        return Ok(None);
    }
    if let Some(argument) = found.free.first() {
        return Err(Failure(format!("unexpected argument {argument}")));
    }
    settings(&found).map(Some)
}

fn settings(found: &Matches) -> Result<Settings, Failure> {
    let number = |name: &str, default: usize| {
        found
            .opt_get_default(name, default)
            .map_err(|error| Failure(format!("-{name}: {error}")))
    };
    let (threads, process, processes) = (number("w", 1)?, number("p", 0)?, number("n", 1)?);
    if threads == 0 || process >= processes {
        return Err(Failure(
            "-p must be from 0 to below -n, and -w at least 1".into(),
        ));
    }
    let config = timely::Config::from_matches(found).map_err(Failure)?;
    let engine = if !found.opt_present("index") {
        Engine::Timely(config)
    } else if processes == 1 {
        Engine::Index
    } else {
        return Err(Failure("--index needs one process".into()));
    };
    let checkpoint = PathBuf::from(found.opt_str("checkpoint").unwrap_or("checkpoint".into()));
    let source = source(found)?;
    let description = format!("{}, signatures {}", source.describe(), Signature::VERSION);
    let rate: Option<f64> = found.opt_get("reads-per-second").map_err(Failure::of)?;
    if rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(Failure("--reads-per-second must be above 0".into()));
    }
    Ok(Settings {
        source,
        engine,
        process,
        threads,
        out: found
            .opt_str("out")
            .map_or(checkpoint.join("graph.json"), PathBuf::from),
        checkpoints: Checkpoints {
            folder: checkpoint,
            description,
            readers: processes * threads,
        },
        rate,
    })
}

fn source(found: &Matches) -> Result<Source, Failure> {
    if let Some(folder) = found.opt_str("folder") {
        return Ok(Source::Folder(folder.into()));
    }
    let plan = Plan {
        models: found.opt_get_default("models", 2000).map_err(Failure::of)?,
        seed: found.opt_get_default("seed", 0).map_err(Failure::of)?,
        numbers: found
            .opt_get_default("numbers", 1024)
            .map_err(Failure::of)?,
        steps: STEPS,
    };
    if plan.models < 2 || plan.models > u32::MAX as usize {
        return Err(Failure("--models must be at least 2".into()));
    }
    if !(512..=65_536).contains(&plan.numbers) || !plan.numbers.is_power_of_two() {
        return Err(Failure(
            "--numbers must be a power of two from 512 to 65536".into(),
        ));
    }
    Ok(Source::Simulated(plan))
}
