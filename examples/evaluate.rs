//! Recovers every split of a folder and prints the accuracy of each result, as a Markdown table.
//!
//! `cargo run --release --example evaluate -- [OPTIONS] FOLDER`; `--help` lists the options.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use mother::heritage::{JointConstant, Trees};
use mother::weights::WeightSource as _;
use serde::Serialize;
use support::hidden::HiddenTally;
use support::job::{self, Outcome, Seconds, Strictness};
use support::models::Models;
use support::random::Random;
use support::reliability::Reliability;
use support::settings::{self, Argument, Settings};
use support::table;
use support::terminal::{Failure, finish, note, print};
use support::truth::{Share, Truth};

const USAGE: &str = "\
Recover every split of a folder, and compare the results with the truth.

evaluate [OPTIONS] FOLDER

  FOLDER                 a folder whose subfolders with a truth.json are the splits: models and the
                         truth about them. Recovery is given the number of trees, unless
                         --clusters or --threshold is used, and nothing else
  --format NAME          markdown (the default) | json
  --left-out SHARE       leave out this share of the models that are not roots, at random (0); the
                         parent of a model is then its nearest remaining ancestor
  --draws N              repeat this N times and add up the results (1)
  --missing SHARE        leave out this share of the models that have children, including roots, and
                         report how many of them are found as hidden parents
  --without TERM         leave out a term of the joint method (repeatable):
                         dimension-factor-limit | leaf-gap-weight | non-shortest |
                         growth-weight | erratic | norm-preserving | shortening |
                         score-weight | shared-stage | missing-odds | unexplained-error |
                         shared-steps | only-child
  --pairs                recover every parent and child on their own, to see whether the direction
                         is right
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
        let result = evaluate(folder, &split, &options);
        results.push(result.map_err(|failure| match failure {
            Failure::Run(reason) => Failure::Run(format!("split {split}: {reason}")),
            usage => usage,
        })?);
    }
    if results.is_empty() {
        let folder = options.folder.display();
        return Err(Failure::Run(format!(
            "no split with a truth.json in {folder}"
        )));
    }
    let predictions = results
        .iter()
        .flat_map(|result| result.predictions.iter().copied());
    let reliability = Reliability::new(predictions);
    match options.format {
        Format::Markdown => {
            let mut table = markdown(&results);
            if let Some(hidden) = hidden_markdown(&results) {
                table = format!("{table}\n\n{hidden}");
            }
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

/// The parsed command line.
struct Options {
    folder: PathBuf,
    settings: Settings,
    format: Format,
    parts: Parts,
}

/// The parts of a split to recover.
#[derive(Clone, Copy)]
enum Parts {
    /// All models except a random share, in this many draws.
    LeftOut { share: f64, draws: u64 },
    /// All models except a random share of those with children, in this many draws.
    Missing { share: f64, draws: u64 },
    /// Every pair of a parent and a child on its own.
    Pairs,
}

impl Options {
    /// Reads the arguments, in any order; `None` if help was requested.
    fn parse(mut parser: Parser) -> Result<Option<Self>, Failure> {
        let (mut folder, mut format) = (None, Format::Markdown);
        let (mut share, mut draws, mut pairs) = (0.0, 1, false);
        let mut missing = None;
        let mut settings = Settings::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(path) if folder.is_none() => folder = Some(PathBuf::from(path)),
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Long(option) => {
                    let option = option.to_string();
                    let mut argument = Argument {
                        option: &option,
                        parser: &mut parser,
                    };
                    match &*option {
                        "format" => {
                            format = argument.one_of(&[
                                ("markdown", Format::Markdown),
                                ("json", Format::Json),
                            ])?;
                        }
                        "left-out" => share = argument.read(share_of_models)?,
                        "missing" => missing = Some(argument.read(share_of_models)?),
                        "pairs" => pairs = true,
                        "without" => settings.leave_out(argument.read(term)?),
                        "draws" => draws = argument.read(settings::positive)? as u64,
                        _ => settings.take(&option, &mut parser)?,
                    }
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        settings.check()?;
        let folder =
            folder.ok_or_else(|| Failure::Usage("expected one folder of splits".into()))?;
        Ok(Some(Self {
            folder,
            settings,
            format,
            parts: match missing {
                Some(share) => Parts::Missing { share, draws },
                None if pairs => Parts::Pairs,
                None => Parts::LeftOut { share, draws },
            },
        }))
    }
}

fn term(name: &str) -> Result<JointConstant, String> {
    let mut terms = (JointConstant::ALL.into_iter()).filter(|term| term.neutral().is_some());
    let term = terms.find(|term| term.name() == name);
    term.ok_or_else(|| format!("unknown term {name}"))
}

fn share_of_models(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to below 1".into())
}

/// The subfolders that have a truth, sorted by name.
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

/// The JSON output.
#[derive(Serialize)]
struct Report<'a> {
    splits: &'a [Evaluation],
    reliability: Option<Reliability>,
}

/// One line of the table.
#[derive(Default, Serialize)]
struct Evaluation {
    split: String,
    models: usize,
    /// The number of trees found.
    trees: usize,
    true_trees: usize,
    clusters: Share,
    edges_by_tree: Vec<Share>,
    edges: Share,
    seconds: Seconds,
    /// How well missing parents were found, if any were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<HiddenTally>,
    /// The confidence in each parent or root, and whether it is right.
    #[serde(skip)]
    predictions: Vec<(f64, bool)>,
}

/// Recovers the parts of a split.
fn evaluate(folder: &Path, split: &str, options: &Options) -> Result<Evaluation, Failure> {
    let whole = Truth::read(&folder.join("truth.json"))?;
    let mut sum = Evaluation {
        split: split.into(),
        ..Evaluation::default()
    };
    let recover = |truth: &Truth, settings: &Settings, strangers: bool| {
        let open = || {
            let mut models = Models::open(&[folder.into()])?;
            let kept = |model: &str| truth.knows(model) || (strangers && !whole.knows(model));
            models.open.retain(|model| kept(model.name()));
            Ok(models)
        };
        let trees = settings.trees_or(Trees::Count(truth.tree_count()));
        job::recover(open, settings, trees, Strictness::Lenient)
    };
    match options.parts {
        Parts::LeftOut { share, draws } => {
            for draw in 0..draws {
                let truth = whole.with_models_left_out(share, &mut Random::new(draw))?;
                sum.add(&recover(&truth, &options.settings, true)?, &truth)?;
            }
        }
        Parts::Missing { share, draws } => {
            for draw in 0..draws {
                let truth = whole.with_parents_left_out(share, &mut Random::new(draw))?;
                let outcome = recover(&truth, &options.settings, true)?;
                sum.add(&outcome, &truth)?;
                let settings = options.settings.clone().with_hidden_parents();
                let hidden = recover(&truth, &settings, true)?;
                let tally = HiddenTally::new(&hidden.graph, &outcome.graph, whole.graph());
                sum.hidden.get_or_insert_default().add(tally);
            }
        }
        Parts::Pairs => {
            for truth in whole.pairs()? {
                sum.add(&recover(&truth, &options.settings, false)?, &truth)?;
            }
        }
    }
    Ok(sum)
}

impl Evaluation {
    /// Adds the accuracy of an outcome.
    fn add(&mut self, outcome: &Outcome, truth: &Truth) -> Result<(), Failure> {
        let accuracy = truth.accuracy(&outcome.graph)?;
        self.models += outcome.graph.len();
        self.trees += outcome.graph.roots().len();
        self.true_trees += truth.tree_count();
        self.clusters.add(accuracy.clusters);
        self.edges.add(accuracy.edges);
        let of_trees = accuracy.edges_by_tree;
        self.edges_by_tree.resize(of_trees.len(), Share::default());
        for (sum, share) in self.edges_by_tree.iter_mut().zip(of_trees) {
            sum.add(share);
        }
        self.seconds = [self.seconds, outcome.seconds].into_iter().sum();
        self.predictions.extend(truth.predictions(&outcome.graph));
        Ok(())
    }
}

const HEAD: [&str; 12] = [
    "split", "models", "trees", "clusters", "edges", "by tree", "read", "score", "distance",
    "cluster", "tree", "total",
];

/// The table with aligned columns, and a last line for all splits together.
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

/// How well missing parents were found in all splits, if any were left out.
fn hidden_markdown(results: &[Evaluation]) -> Option<String> {
    let tallies = results.iter().filter_map(|result| result.hidden);
    let sum = tallies.reduce(|mut sum, tally| {
        sum.add(tally);
        sum
    })?;
    let row = |what: &str, of: Share| [what.into(), share(of), of.of.to_string()];
    Some(table::align(&[
        ["hidden parents", "share", "of"].map(String::from).to_vec(),
        row("found parents that are missing", sum.precision).to_vec(),
        row("missing parents that are found", sum.recall).to_vec(),
        row("found pairs that are siblings", sum.sibling_precision).to_vec(),
        row("siblings that are found", sum.sibling_recall).to_vec(),
        row("siblings asserted to be parent and child", sum.said).to_vec(),
    ]))
}

/// `0.944`, or `-` if there is nothing to count.
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
