//! Recovers simulated families of models of many shapes, with signals of chosen strength, and prints
//! how accurate each method is, as a Markdown table.
//!
//! `cargo run --release --example simulate -- [OPTIONS]`; `--help` lists the options.

mod support;

use std::process::ExitCode;

use lexopt::{Arg, Parser};
use mother::arborescence::{DenseDigraph, Root, minimum_arborescence};
use mother::evidence::{GroupEvidence, SignatureComparison};
use mother::heritage::metrics::{compare_edges, edge_accuracy};
use mother::heritage::{ModelGraph, Recovery, Stage, Trees};
use mother::signature::{Signature, SignatureOptions};
use rayon::prelude::*;
use support::settings::Argument;
use support::synthetic::{Family, Growth, Kurtosis, Shape};
use support::table;
use support::terminal::{Failure, finish, note, print};

const HELP: &str = "\
Recover simulated families of models, and compare the results with the truth.

simulate [OPTIONS]

  --rows NAME            shapes (the default): one line for each kind of family and each shape;
                         kinds: one line for each kind, over all shapes
  --models N             number of models in a family (15)
  --draws N              number of families for each line of the table (20)
  --seed N               seed; other seeds give other families (0)

Each line gives the mean share of correct edges over the families of one kind and one shape, for:
the paper's method, given the stage; the shortest spanning tree of the distances, ignoring
directions; the same tree with the root chosen by kurtosis; distances and growth alone; the default
method, given the stage; and the default method on its own. The last two columns are its mean
confidence in parents and roots, and the mean squared error of that confidence (Brier score).
";

/// What distinguishes a family, apart from its shape and size.
struct Condition {
    name: &'static str,
    change: fn(Family) -> Family,
    /// The stage that is given to the paper's method.
    stage: Stage,
}

const fn condition(name: &'static str, change: fn(Family) -> Family) -> Condition {
    Condition {
        name,
        change,
        stage: Stage::Specialization,
    }
}

const CONDITIONS: [Condition; 17] = [
    condition("good signals", |family| family),
    condition("very unequal steps", |family| Family {
        unequal: 1.2,
        ..family
    }),
    condition("small steps (0.01)", |family| Family {
        step: 0.01,
        ..family
    }),
    condition("siblings correlated 0.2", |family| Family {
        correlation: 0.2,
        ..family
    }),
    condition("siblings correlated 0.4", |family| Family {
        correlation: 0.4,
        ..family
    }),
    condition("weight decay 0.05", |family| Family {
        decay: 0.05,
        ..family
    }),
    condition("a third copies", |family| Family {
        copies: 1.0 / 3.0,
        ..family
    }),
    condition("a third of parents missing", |family| Family {
        missing: 1.0 / 3.0,
        ..family
    }),
    condition("lengths apart (DoRA)", |family| Family {
        growth: Growth::Apart,
        ..family
    }),
    condition("growth noisy", |family| Family {
        growth: Growth::Noisy,
        ..family
    }),
    condition("growth worthless", |family| Family {
        growth: Growth::None,
        ..family
    }),
    condition("growth reversed", |family| Family {
        growth: Growth::Reversed,
        ..family
    }),
    condition("kurtosis worthless", |family| Family {
        kurtosis: Kurtosis::Stays,
        ..family
    }),
    Condition {
        stage: Stage::Generalization,
        ..condition("kurtosis rises", |family| Family {
            kurtosis: Kurtosis::Rises,
            ..family
        })
    },
    condition("kurtosis reversed", |family| Family {
        kurtosis: Kurtosis::Rises,
        ..family
    }),
    condition("growth noisy, kurtosis reversed", |family| Family {
        growth: Growth::Noisy,
        kurtosis: Kurtosis::Rises,
        ..family
    }),
    condition("both worthless", |family| Family {
        growth: Growth::None,
        kurtosis: Kurtosis::Stays,
        ..family
    }),
];

fn main() -> ExitCode {
    finish("simulate", run())
}

fn run() -> Result<(), Failure> {
    let Some(options) = Options::parse(Parser::from_env())? else {
        return print(HELP.trim_end());
    };
    let head = [
        "family",
        "shape",
        "paper",
        "undirected",
        "kurtosis",
        "growth",
        "default, given",
        "default",
        "confidence",
        "Brier",
    ];
    let mut rows = vec![head.map(String::from).to_vec()];
    for condition in &CONDITIONS {
        note(format!("{} ...", condition.name));
        let mut of_all_shapes = Vec::new();
        for (name, shape) in Shape::ALL {
            let family = (condition.change)(Family::new(shape, options.models));
            let draws = (0..options.draws).into_par_iter();
            let results: Result<Vec<Marks>, Failure> = draws
                .map(|draw| Marks::of(&family, condition.stage, options.seed + draw))
                .collect();
            match options.rows {
                Rows::Shapes => rows.push(line(condition.name, name, &results?)),
                Rows::Kinds => of_all_shapes.extend(results?),
            }
        }
        if options.rows == Rows::Kinds {
            rows.push(line(condition.name, "all", &of_all_shapes));
        }
    }
    print(table::align(&rows))
}

fn line(condition: &str, shape: &str, results: &[Marks]) -> Vec<String> {
    let mean = |of: fn(&Marks) -> f64| {
        let sum: f64 = results.iter().map(of).sum();
        format!("{:.3}", sum / results.len() as f64)
    };
    let predictions: Vec<&Predictions> = results
        .iter()
        .filter_map(|m| m.predictions.as_ref())
        .collect();
    let average = |of: fn(&Predictions) -> f64| {
        let sum: f64 = predictions.iter().map(|prediction| of(prediction)).sum();
        match predictions.len() {
            0 => "-".into(),
            count => format!("{:.3}", sum / count as f64),
        }
    };
    vec![
        condition.into(),
        shape.into(),
        mean(|marks| marks.paper),
        mean(|marks| marks.undirected),
        mean(|marks| marks.kurtosis),
        mean(|marks| marks.growth),
        mean(|marks| marks.given),
        mean(|marks| marks.default),
        average(|prediction| prediction.confidence),
        average(|prediction| prediction.brier),
    ]
}

/// How accurate each method is on one family.
struct Marks {
    paper: f64,
    undirected: f64,
    kurtosis: f64,
    growth: f64,
    given: f64,
    default: f64,
    /// `None` for large families.
    predictions: Option<Predictions>,
}

/// The mean confidence of the default method in its parents and roots, and the mean squared error of it.
struct Predictions {
    confidence: f64,
    brier: f64,
}

impl Marks {
    fn of(family: &Family, stage: Stage, seed: u64) -> Result<Self, Failure> {
        let (models, truth) = family.make(seed).map_err(Failure::run)?;
        let signed = SignatureOptions::new().sign_all(&models).into_iter();
        let signatures: Vec<Signature> = signed.collect::<Result<_, _>>().map_err(Failure::run)?;
        let comparison = SignatureComparison::new();
        let evidence = comparison.compare(&signatures).map_err(Failure::run)?;
        let recover = |recovery: Recovery| {
            let recovery = recovery.with_trees(Trees::Count(1));
            recovery.recover(&evidence).map_err(Failure::run)
        };
        let right = |graph: &ModelGraph| edge_accuracy(graph, &truth).unwrap_or(1.0);
        let group =
            (evidence.groups.first()).ok_or_else(|| Failure::run("no models to compare"))?;
        let shortest = arborescence(group, |_, _| 0.0)?;
        let penalty = 0.3 * mean_distance(group);
        let by_growth = arborescence(group, |parent, child| {
            let growth = group
                .growth()
                .and_then(|growth| growth.coefficient(parent, child));
            penalty * (1.0 - growth.unwrap_or(0.0).clamp(-1.0, 1.0)) / 2.0
        })?;
        let default = recover(Recovery::new())?;
        let predictions: Vec<(f64, bool)> = (default.models().iter())
            .filter_map(|model| {
                let found = model
                    .descent()
                    .and_then(|descent| default.name(descent.parent()));
                let parent = truth.parent(truth.index(model.name())?);
                // The parents of several roots are missing.
                if parent.is_none() && truth.roots().len() > 1 {
                    return None;
                }
                let is_right = found == parent.and_then(|parent| truth.name(parent));
                Some((model.confidence()?, is_right))
            })
            .collect();
        let mean = |of: fn(&(f64, bool)) -> f64| {
            predictions.iter().map(of).sum::<f64>() / predictions.len() as f64
        };
        Ok(Self {
            paper: right(&recover(Recovery::paper().with_stage(stage))?),
            undirected: compare_edges(&shortest, &truth)
                .undirected_accuracy()
                .unwrap_or(1.0),
            kurtosis: right(&rooted_by_score(group, &shortest, stage)?),
            growth: right(&by_growth),
            given: right(&recover(Recovery::new().with_stage(stage))?),
            default: right(&default),
            predictions: (!predictions.is_empty()).then(|| Predictions {
                confidence: mean(|(confidence, _)| *confidence),
                brier: mean(|(confidence, right)| {
                    (confidence - f64::from(u8::from(*right))).powi(2)
                }),
            }),
        })
    }
}

/// The minimum arborescence of the distances and a penalty.
fn arborescence(
    group: &GroupEvidence,
    penalty: impl Fn(usize, usize) -> f64,
) -> Result<ModelGraph, Failure> {
    let distance = |parent, child| group.distances().distance(parent, child).unwrap_or(0.0);
    let costs = DenseDigraph::from_fn(group.models().len(), |parent, child| {
        distance(parent, child) + penalty(parent, child)
    });
    let tree = minimum_arborescence(&costs.map_err(Failure::run)?, Root::Any);
    graph(group, tree.map_err(Failure::run)?.parents())
}

fn graph(group: &GroupEvidence, parents: &[Option<usize>]) -> Result<ModelGraph, Failure> {
    let names = group.models();
    let parents = names
        .iter()
        .zip(parents)
        .map(|(name, p)| (name, p.map(|p| &names[p])));
    ModelGraph::from_parents(parents).map_err(Failure::run)
}

fn mean_distance(group: &GroupEvidence) -> f64 {
    let models = group.models().len() as f64;
    2.0 * group.distances().values().iter().sum::<f64>() / (models * models)
}

/// The same tree with the root for which the scores change most in the expected direction along all edges.
fn rooted_by_score(
    group: &GroupEvidence,
    tree: &ModelGraph,
    stage: Stage,
) -> Result<ModelGraph, Failure> {
    let scores = group.scores().unwrap_or_default();
    let sign = match stage {
        Stage::Specialization => 1.0,
        Stage::Generalization => -1.0,
    };
    let mut best: Option<(f64, Vec<Option<usize>>)> = None;
    for root in 0..tree.len() {
        let mut parents: Vec<Option<usize>> = (0..tree.len()).map(|m| tree.parent(m)).collect();
        // The edges above the new root turn round.
        let above: Vec<usize> = core::iter::once(root).chain(tree.ancestors(root)).collect();
        for edge in above.windows(2) {
            parents[edge[1]] = Some(edge[0]);
        }
        parents[root] = None;
        let falls = parents.iter().enumerate().filter_map(|(child, parent)| {
            Some(sign * (scores.get((*parent)?)? - scores.get(child)?))
        });
        let sum = falls.sum();
        if best.as_ref().is_none_or(|(most, _)| sum > *most) {
            best = Some((sum, parents));
        }
    }
    let (_, parents) = best.ok_or_else(|| Failure::run("a tree without models"))?;
    graph(group, &parents)
}

/// The rows of the table.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    Shapes,
    Kinds,
}

/// The parsed command line.
struct Options {
    rows: Rows,
    models: usize,
    draws: u64,
    seed: u64,
}

impl Options {
    /// Reads the arguments; `None` if help was requested.
    fn parse(mut parser: Parser) -> Result<Option<Self>, Failure> {
        let mut options = Self {
            rows: Rows::Shapes,
            models: 15,
            draws: 20,
            seed: 0,
        };
        while let Some(argument) = parser.next()? {
            let option = match argument {
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Long(option) => option.to_string(),
                _ => return Err(argument.unexpected().into()),
            };
            let mut argument = Argument {
                option: &option,
                parser: &mut parser,
            };
            if option == "rows" {
                options.rows =
                    argument.one_of(&[("shapes", Rows::Shapes), ("kinds", Rows::Kinds)])?;
                continue;
            }
            let number = argument.read(|text| {
                let number: Option<u64> = text.parse().ok();
                number.ok_or_else(|| "expected an integer".into())
            })?;
            match &*option {
                "models" if number > 1 => options.models = number as usize,
                "draws" if number > 0 => options.draws = number,
                "seed" => options.seed = number << 32,
                _ => return Err(Failure::Usage(format!("--{option} {number}: see --help"))),
            }
        }
        Ok(Some(options))
    }
}
