//! Recovers every split of a folder and prints how right each result is, as a Markdown table.
//!
//! `cargo run --release --example evaluate -- [OPTIONS] FOLDER`; `--help` lists the options.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use mother::heritage::Trees;
use serde::Serialize;
use support::job::{self, Seconds, Strictness};
use support::models::Models;
use support::reliability::Reliability;
use support::settings::{self, Argument, Settings};
use support::table;
use support::terminal::{Failure, finish, note, print};
use support::truth::{Accuracy, Share, Truth};

const USAGE: &str = "\
Recover every split of a folder, and compare with the truth.

evaluate [OPTIONS] FOLDER

  FOLDER                 every sub-folder of it that has a truth.json is a split: models and the
                         truth about them. Recovery is told the number of trees, unless
                         --clusters or --threshold is given, and nothing else
  --format NAME          markdown (the default) | json
";

fn main() -> ExitCode {
    finish("evaluate", run())
}

fn run() -> Result<(), Failure> {
    let Some(options) = Options::parse(Parser::from_env())? else {
        return print(format_args!("{USAGE}{}", settings::HELP.trim_end()));
    };
    options.settings.start_threads()?;
    let splits = splits(&options.folder)
        .map_err(|error| Failure::Run(format!("{}: {error}", options.folder.display())))?;
    let mut results = Vec::new();
    for folder in &splits {
        let split = folder.file_name().unwrap_or_default().to_string_lossy();
        note(format!("{split} ..."));
        let result = evaluate(folder, split.clone().into(), &options.settings);
        results.push(result.map_err(|failure| match failure {
            Failure::Run(reason) => Failure::Run(format!("split {split}: {reason}")),
            usage => usage,
        })?);
    }
    if results.is_empty() {
        let folder = options.folder.display();
        return Err(Failure::Run(format!(
            "{folder}: no split with a truth.json"
        )));
    }
    let beliefs = results
        .iter()
        .flat_map(|result| result.beliefs.iter().copied());
    let reliability = Reliability::new(beliefs);
    match options.format {
        Format::Markdown => {
            let table = markdown(&results);
            match reliability {
                Some(reliability) => print(format_args!("{table}\n\n{}", reliability.markdown())),
                None => print(table),
            }
        }
        Format::Json => {
            let report = Report {
                splits: &results,
                reliability,
            };
            print(serde_json::to_string(&report).map_err(Failure::run)?)
        }
    }
}

#[derive(Clone, Copy)]
enum Format {
    Markdown,
    Json,
}

/// What the command line says.
struct Options {
    folder: PathBuf,
    settings: Settings,
    format: Format,
}

impl Options {
    /// Reads the arguments, in any order; `None` when only help was asked for.
    fn parse(mut parser: Parser) -> Result<Option<Self>, Failure> {
        let (mut folder, mut format) = (None, Format::Markdown);
        let mut settings = Settings::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(path) if folder.is_none() => folder = Some(PathBuf::from(path)),
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Long("format") => {
                    let mut argument = Argument {
                        option: "format",
                        parser: &mut parser,
                    };
                    format = argument
                        .one_of(&[("markdown", Format::Markdown), ("json", Format::Json)])?;
                }
                Arg::Long(option) => {
                    let option = option.to_string();
                    settings.take(&option, &mut parser)?;
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        settings.check()?;
        let folder = folder.ok_or_else(|| Failure::Usage("wanted is a folder of splits".into()))?;
        Ok(Some(Self {
            folder,
            settings,
            format,
        }))
    }
}

/// The sub-folders that have a truth, sorted by name.
fn splits(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut splits = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("truth.json").is_file() {
            splits.push(path);
        }
    }
    splits.sort();
    Ok(splits)
}

/// What the JSON holds.
#[derive(Serialize)]
struct Report<'a> {
    splits: &'a [Evaluation],
    reliability: Option<Reliability>,
}

/// One line of the table.
#[derive(Serialize)]
struct Evaluation {
    split: String,
    models: usize,
    /// How many trees were found.
    trees: usize,
    true_trees: usize,
    clusters: Share,
    edges_by_tree: Vec<Share>,
    edges: Share,
    seconds: Seconds,
    /// How sure recovery was of each parent or root, and whether that is right.
    #[serde(skip)]
    beliefs: Vec<(f64, bool)>,
}

fn evaluate(folder: &Path, split: String, settings: &Settings) -> Result<Evaluation, Failure> {
    let truth = Truth::read(&folder.join("truth.json"))?;
    let true_trees = truth.tree_count();
    let trees = settings.trees_or(Trees::Count(true_trees));
    let open = || Models::open(&[folder.into()]);
    let outcome = job::recover(open, settings, trees, Strictness::Lenient)?;
    let Accuracy {
        edges,
        edges_by_tree,
        clusters,
    } = truth.accuracy(&outcome.graph)?;
    Ok(Evaluation {
        split,
        models: outcome.graph.len(),
        trees: outcome.graph.roots().len(),
        true_trees,
        clusters,
        edges_by_tree,
        edges,
        seconds: outcome.seconds,
        beliefs: truth.beliefs(&outcome.graph),
    })
}

const HEAD: [&str; 12] = [
    "split", "models", "trees", "clusters", "edges", "by tree", "read", "score", "distance",
    "cluster", "tree", "total",
];

/// The table, its columns aligned, with a last line for all splits together.
fn markdown(results: &[Evaluation]) -> String {
    let mut rows = vec![HEAD.map(String::from).to_vec()];
    rows.extend(results.iter().map(|result| {
        let by_tree: Vec<_> = result.edges_by_tree.iter().copied().map(share).collect();
        let mut row = vec![
            result.split.clone(),
            result.models.to_string(),
            format!("{} of {}", result.trees, result.true_trees),
            share(result.clusters),
            share(result.edges),
            by_tree.join(" "),
        ];
        row.extend(times(result.seconds));
        row
    }));
    let sum = |of: fn(&Evaluation) -> Share| share(results.iter().map(of).sum());
    let count = |of: fn(&Evaluation) -> usize| results.iter().map(of).sum::<usize>();
    let mut all = vec![
        "all".into(),
        count(|result| result.models).to_string(),
        format!(
            "{} of {}",
            count(|result| result.trees),
            count(|result| result.true_trees)
        ),
        sum(|result| result.clusters),
        sum(|result| result.edges),
        String::new(),
    ];
    all.extend(times(results.iter().map(|result| result.seconds).sum()));
    rows.push(all);
    table::align(&rows)
}

/// `0.944`, or `-` where there is nothing to be right about.
fn share(share: Share) -> String {
    (share.value()).map_or_else(|| "-".into(), |value| format!("{value:.3}"))
}

fn times(seconds: Seconds) -> [String; 6] {
    let Seconds {
        read,
        score,
        distance,
        cluster,
        tree,
        total,
    } = seconds;
    [read, score, distance, cluster, tree, total].map(|seconds| format!("{seconds:.3}"))
}
