//! The options that every command takes: how to measure models, and how to recover their trees.

use core::fmt::Display;
use core::str::FromStr;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lexopt::Parser;
use mother::clustering::Linkage;
use mother::evidence::{
    Distance, Glob, LayerSelection, Measurement, OnFailure, RankOverLayers, Score,
    SignatureComparison,
};
use mother::heritage::{self, JointConstant, JointModel, Knowledge, Recovery, Stage, Trees};
use mother::rank::Tolerance;
use mother::signature::SignatureOptions;
use serde::Deserialize;

use super::terminal::Failure;

/// The help text for these options.
pub(crate) const HELP: &str = r#"  --method NAME          joint (the default): decides from distances, growth and scores together
                         paper: Eq. 1 to 6 of the paper
  --distance NAME        l2 | rank | auto (the default: l2, which also suits low-rank updates)
  --tolerance RULE       which singular values count towards the rank: absolute:E | relative:R |
                         numpy:E | gavish-donoho | rounding-noise:S (default: NumPy's rule at the
                         precision of the stored type; gavish-donoho for 16-bit types)
  --ranks NAME           how the ranks of layers become one distance: maximum (the default) | sum
  --clusters N|auto      number of trees; auto (the default) finds it
  --threshold D          use this distance instead of a number: models up to D apart join a tree
  --linkage NAME         single (the default) | complete | average | weighted | ward | centroid |
                         median
  --stage NAME           specialization | generalization | auto (the default: joint infers it for
                         each tree, paper assumes specialization)
  --score NAME           kurtosis (the default) | variance | skewness | entropy
  --lambda C             paper: penalty for a wrong direction, times the mean distance (0.3)
  --layers GLOB          shared layers to measure distances on (repeatable; all)
  --score-layers GLOB    shared layers to sum the score over (repeatable; all)
  --known FILE           JSON with facts you already know: {"parents": {"child": "parent"},
                         "not_parents": {"child": ["other"]}, "roots": ["id"], "leaves": ["id"],
                         "times": {"id": 1700000000}}, all optional
  --cards                joint: use the base that a model card (README.md next to the weights) names
                         as a weak hint, and report where the weights disagree
  --hidden               joint: show parents that are missing from the collection if they are more
                         probable than not
  --store DIR            keep signatures in this folder, and read only new or changed models
  --exact                joint: also measure the distances of Eq. 1 on all weights of models whose
                         tensors have the same names and shapes
  --matches              JSON: list which tensor of the parent was matched with which of the child
  --buckets K            numbers in a signature per group of rows: a power of two from 8 to 1024 (32)
  --threads N            number of threads (one per processor)
"#;

/// How a forest is recovered from evidence.
#[derive(Clone, Copy, PartialEq)]
enum Method {
    Joint,
    Paper,
}

/// The measure of distance between models.
#[derive(Clone, Copy, PartialEq)]
enum DistanceName {
    L2,
    Rank,
}

/// The requested settings; the method decides the rest.
#[derive(Clone)]
pub(crate) struct Settings {
    method: Method,
    distance: DistanceName,
    tolerance: Option<Tolerance>,
    ranks: Option<RankOverLayers>,
    clusters: Option<Trees>,
    threshold: Option<Trees>,
    linkage: Option<Linkage>,
    stage: Option<Stage>,
    score: Score,
    penalty: Option<f64>,
    layers: LayerSelection,
    score_layers: LayerSelection,
    knowledge: Knowledge,
    threads: Option<usize>,
    signatures: SignatureOptions,
    store: Option<PathBuf>,
    exact: bool,
    matches: bool,
    cards: Cards,
    hidden_parents: bool,
    model: JointModel,
}

/// The use of model cards.
#[derive(Clone, Copy, PartialEq)]
enum Cards {
    Ignored,
    Hints,
}

/// Known facts, as the file states them.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Known {
    parents: BTreeMap<String, String>,
    not_parents: BTreeMap<String, Vec<String>>,
    roots: Vec<String>,
    leaves: Vec<String>,
    times: BTreeMap<String, i64>,
}

impl Known {
    fn read(path: &str) -> Result<Knowledge, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let known: Self = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let knowledge = known.into_knowledge();
        knowledge.check().map_err(|error| error.to_string())?;
        Ok(knowledge)
    }

    fn into_knowledge(self) -> Knowledge {
        let mut knowledge = Knowledge::new();
        for (child, parent) in self.parents {
            knowledge = knowledge.with_parent(child, parent);
        }
        for (child, others) in self.not_parents {
            let without = |knowledge: Knowledge, other| knowledge.without_parent(&child, other);
            knowledge = others.into_iter().fold(knowledge, without);
        }
        knowledge = self.roots.into_iter().fold(knowledge, Knowledge::with_root);
        knowledge = self
            .leaves
            .into_iter()
            .fold(knowledge, Knowledge::with_leaf);
        for (model, time) in self.times {
            knowledge = knowledge.with_time(model, time);
        }
        knowledge
    }
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            method: Method::Joint,
            distance: DistanceName::L2,
            tolerance: None,
            ranks: None,
            clusters: None,
            threshold: None,
            linkage: None,
            stage: None,
            score: Score::Kurtosis,
            penalty: None,
            layers: LayerSelection::new(),
            score_layers: LayerSelection::new(),
            knowledge: Knowledge::new(),
            threads: None,
            signatures: SignatureOptions::new(),
            store: None,
            exact: false,
            matches: false,
            cards: Cards::Ignored,
            hidden_parents: false,
            model: JointModel::new(),
        }
    }

    /// Reads one option with its value. Unknown options are a usage error.
    pub(crate) fn take(&mut self, option: &str, parser: &mut Parser) -> Result<(), Failure> {
        let mut argument = Argument { option, parser };
        match option {
            "method" => {
                self.method =
                    argument.one_of(&[("joint", Method::Joint), ("paper", Method::Paper)])?;
            }
            "distance" => {
                self.distance = argument.one_of(&[
                    ("l2", DistanceName::L2),
                    ("rank", DistanceName::Rank),
                    ("auto", DistanceName::L2),
                ])?;
            }
            "tolerance" => self.tolerance = Some(argument.parsed()?),
            "ranks" => {
                self.ranks = Some(argument.one_of(&[
                    ("maximum", RankOverLayers::Maximum),
                    ("sum", RankOverLayers::Sum),
                ])?);
            }
            "clusters" => {
                self.clusters = Some(argument.read(|text| match text {
                    "auto" => Ok(Trees::Inferred),
                    count => positive(count).map(Trees::Count),
                })?);
            }
            "threshold" => {
                self.threshold = Some(Trees::Threshold(argument.read(not_negative)?));
            }
            "linkage" => self.linkage = Some(argument.parsed()?),
            "stage" => {
                self.stage = argument.one_of(&[
                    ("specialization", Some(Stage::Specialization)),
                    ("generalization", Some(Stage::Generalization)),
                    ("auto", None),
                ])?;
            }
            "score" => {
                self.score = argument.one_of(&[
                    ("kurtosis", Score::Kurtosis),
                    ("variance", Score::Variance),
                    ("skewness", Score::Skewness),
                    ("entropy", Score::Entropy),
                ])?;
            }
            "lambda" => self.penalty = Some(argument.read(not_negative)?),
            "layers" => self.layers = self.layers.clone().with_glob(argument.parsed::<Glob>()?),
            "score-layers" => {
                let layers = self.score_layers.clone();
                self.score_layers = layers.with_glob(argument.parsed::<Glob>()?);
            }
            "known" => self.knowledge = argument.read(Known::read)?,
            "buckets" => {
                self.signatures = argument.read(|text| {
                    let buckets = text.parse().map_err(|_| "expected a number")?;
                    SignatureOptions::new()
                        .with_buckets(buckets)
                        .map_err(|error| error.to_string())
                })?;
            }
            "store" => self.store = Some(argument.parser.value()?.into()),
            "exact" => self.exact = true,
            "matches" => self.matches = true,
            "cards" => self.cards = Cards::Hints,
            "hidden" => self.hidden_parents = true,
            "threads" => self.threads = Some(argument.read(positive)?),
            _ => return Err(Failure::Usage(format!("unknown option --{option}"))),
        }
        Ok(())
    }

    /// Rejects options that exclude each other.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |message: &str| Err(Failure::Usage(message.into()));
        if self.clusters.is_some() && self.threshold.is_some() {
            return wrong("--clusters and --threshold cannot be used together");
        }
        if self.distance != DistanceName::Rank {
            if self.tolerance.is_some() {
                return wrong("--tolerance needs --distance rank");
            }
            if self.ranks.is_some() {
                return wrong("--ranks needs --distance rank");
            }
        }
        Ok(())
    }

    /// The requested trees, by number or threshold, or else these.
    pub(crate) fn trees_or(&self, trees: Trees) -> Trees {
        self.clusters.or(self.threshold).unwrap_or(trees)
    }

    /// Whether models are compared by their signatures.
    pub(crate) fn needs_signatures(&self) -> bool {
        self.method == Method::Joint
    }

    /// Whether directions depend on scores alone.
    pub(crate) fn needs_scores(&self) -> bool {
        self.method == Method::Paper
    }

    /// Whether distances are also measured on all weights.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact || self.distance == DistanceName::Rank
    }

    /// Whether matched tensors are listed.
    pub(crate) const fn lists_matches(&self) -> bool {
        self.matches
    }

    pub(crate) fn store(&self) -> Option<&Path> {
        self.store.as_deref()
    }

    pub(crate) const fn signatures(&self) -> SignatureOptions {
        self.signatures
    }

    pub(crate) fn comparison(&self) -> SignatureComparison {
        SignatureComparison::new()
            .with_score(self.score)
            .with_layers(self.layers.clone())
            .with_score_layers(self.score_layers.clone())
    }

    pub(crate) fn measurement(&self, on_failure: OnFailure) -> Measurement {
        let distance = match self.distance {
            DistanceName::L2 => Distance::L2,
            DistanceName::Rank => Distance::Rank {
                tolerance: self.tolerance,
                over_layers: self.ranks.unwrap_or_default(),
            },
        };
        Measurement::new()
            .with_distance(distance)
            .with_score(self.score)
            .with_layers(self.layers.clone())
            .with_score_layers(self.score_layers.clone())
            .with_on_failure(on_failure)
    }

    pub(crate) const fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Whether model cards count as hints.
    pub(crate) fn uses_cards(&self) -> bool {
        self.cards == Cards::Hints
    }

    /// How to recover, given this knowledge.
    pub(crate) fn recovery(&self, trees: Trees, knowledge: Knowledge) -> Recovery {
        let mut recovery = match self.method {
            Method::Joint => {
                let model = self.model.clone();
                Recovery::new().with_method(heritage::Method::Joint(model))
            }
            Method::Paper => match self.penalty {
                Some(penalty) => Recovery::paper().with_method(heritage::Method::Paper { penalty }),
                None => Recovery::paper(),
            },
        };
        if let Some(linkage) = self.linkage {
            recovery = recovery.with_linkage(linkage);
        }
        if let Some(stage) = self.stage {
            recovery = recovery.with_stage(stage);
        }
        if self.hidden_parents {
            recovery = recovery.with_hidden_parents();
        }
        recovery.with_trees(trees).with_knowledge(knowledge)
    }

    /// Leaves a term of the joint method out.
    pub(crate) fn leave_out(&mut self, term: JointConstant) {
        self.model = self.model.clone().without(term);
    }

    /// Also adds missing parents.
    pub(crate) const fn with_hidden_parents(mut self) -> Self {
        self.hidden_parents = true;
        self
    }

    /// Starts the threads. Call it once.
    pub(crate) fn start_threads(&self) -> Result<(), Failure> {
        let Some(threads) = self.threads else {
            return Ok(());
        };
        (rayon::ThreadPoolBuilder::new().num_threads(threads))
            .build_global()
            .map_err(Failure::run)
    }
}

/// An option whose value has not been read yet.
pub(crate) struct Argument<'a> {
    pub(crate) option: &'a str,
    pub(crate) parser: &'a mut Parser,
}

impl Argument<'_> {
    /// Reads the value with `read`, whose error says what it expected.
    pub(crate) fn read<T>(
        &mut self,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let value = self.parser.value()?;
        let text = value.to_string_lossy();
        read(&text)
            .map_err(|reason| Failure::Usage(format!("--{} {text:?}: {reason}", self.option)))
    }

    /// Reads the name of one of these values.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Result<T, Failure> {
        self.read(|text| {
            let chosen = choices.iter().find(|(name, _)| *name == text);
            chosen.map(|&(_, value)| value).ok_or_else(|| {
                let names: Vec<&str> = choices.iter().map(|&(name, _)| name).collect();
                format!("expected one of {}", names.join(", "))
            })
        })
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self) -> Result<T, Failure> {
        self.read(|text| text.parse().map_err(|error: T::Err| error.to_string()))
    }
}

pub(crate) fn positive(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| "expected an integer above 0".into())
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let number = number.filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected a number of at least 0".into())
}
