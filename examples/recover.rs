//! Recovers the family trees of models from their weights; without arguments, those of an embedded zoo.
//!
//! `cargo run --release --example recover -- [OPTIONS] [MODEL]...`; `--help` lists the options.

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use mother::heritage::Trees;
use support::job::{self, Strictness};
use support::models::Models;
use support::report::Format;
use support::settings::{self, Argument, Settings};
use support::terminal::{Failure, finish, print};
use support::truth::Truth;
use support::zoo;

const USAGE: &str = "\
Recover the family trees of neural networks from their weights.

recover [OPTIONS] [MODEL]...

The result goes to stdout; warnings and progress go to stderr. The exit code is 0 on success, 2 if
the arguments are invalid, and 1 if recovery fails: a path does not exist, no model can be read, or
--strict forbids skipping one.

  MODEL                  a file (safetensors, PyTorch, GGUF, npz), an index, or a folder that is
                         searched to any depth: sharded models, hub caches, pipelines, checkpoints.
                         Skipped paths are listed. Without MODEL, the embedded zoo is recovered and
                         compared with its true tree
  --format NAME          text (the default) | json | dot | mermaid | newick | svg |
                         card | cyclonedx | spdx
  --truth FILE           a truth.json to measure the accuracy against
  --strict               fail if any model has to be skipped, or --known names a model that is absent
";

fn main() -> ExitCode {
    finish("recover", run())
}

fn run() -> Result<(), Failure> {
    let Some(options) = Options::parse(Parser::from_env())? else {
        return print(format_args!("{USAGE}{}", settings::HELP.trim_end()));
    };
    options.settings.start_threads()?;
    let paths = &options.models;
    let truth = match &options.truth {
        Some(path) => Some(Truth::read(path)?),
        None if paths.is_empty() => Some(Truth::parse(zoo::TRUTH).map_err(Failure::Run)?),
        None => None,
    };
    let open = || {
        let models = match paths.as_slice() {
            [] => Models::zoo(),
            paths => Models::open(paths),
        }?;
        job::check_ids(&options.settings, &models, options.strictness)?;
        Ok(models)
    };
    let trees = options.settings.trees_or(Trees::Inferred);
    let outcome = job::recover(open, &options.settings, trees, options.strictness)?;
    let accuracy = truth
        .map(|truth| truth.accuracy(&outcome.graph))
        .transpose()?;
    print(options.format.report(&outcome, accuracy.as_ref())?)
}

/// The parsed command line.
struct Options {
    models: Vec<PathBuf>,
    settings: Settings,
    format: Format,
    truth: Option<PathBuf>,
    strictness: Strictness,
}

impl Options {
    /// Reads the arguments, in any order; `None` if help was requested.
    fn parse(mut parser: Parser) -> Result<Option<Self>, Failure> {
        let mut options = Self {
            models: Vec::new(),
            settings: Settings::new(),
            format: Format::Text,
            truth: None,
            strictness: Strictness::Lenient,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(model) => options.models.push(model.into()),
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Long("strict") => options.strictness = Strictness::Strict,
                Arg::Long("truth") => options.truth = Some(parser.value()?.into()),
                Arg::Long("format") => {
                    let mut argument = Argument {
                        option: "format",
                        parser: &mut parser,
                    };
                    options.format = argument.one_of(&Format::NAMES)?;
                }
                Arg::Long(option) => {
                    let option = option.to_string();
                    options.settings.take(&option, &mut parser)?;
                }
                Arg::Short(_) => return Err(argument.unexpected().into()),
            }
        }
        options.settings.check()?;
        Ok(Some(options))
    }
}
