//! Fits the constants of the joint method to all families of networks except one, and reports the confidence and
//! accuracy of recovery on that one.
//!
//! `cargo run --release --example calibrate -- FOLDER`; every subfolder with a truth.json is a split, and splits
//! with related roots form one family.

extern crate alloc;

mod support;

use alloc::collections::BTreeMap;
use core::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mother::evidence::{Evidence, Relation, SignatureComparison};
use mother::heritage::{JointConstant, JointModel, Method, Recovery, Trees};
use mother::signature::{Signature, SignatureOptions};
use rayon::prelude::*;
use support::models::Models;
use support::random::Random;
use support::reliability::Reliability;
use support::table;
use support::terminal::{Failure, finish, note, print};
use support::truth::Truth;

/// The constants that are fitted, each with the factors by which it is varied.
const FITTED: [JointConstant; 9] = [
    JointConstant::HalfDimension,
    JointConstant::NonShortest,
    JointConstant::GrowthErrorShare,
    JointConstant::EdgeGrowthDeviation,
    JointConstant::NonEdgeGrowthDeviation,
    JointConstant::Erratic,
    JointConstant::MissingOdds,
    JointConstant::MissingPower,
    JointConstant::UnexplainedError,
];
const FACTORS: [f64; 4] = [0.5, 0.75, 1.3, 2.0];

/// The number of draws in which models are left out of each split, in each of two ways.
const DRAWS: u64 = 3;
const LEFT_OUT: f64 = 0.3;

fn main() -> ExitCode {
    finish("calibrate", run())
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        return Err(Failure::Usage("expected one folder of splits".into()));
    };
    let families = families(splits(&PathBuf::from(folder))?)?;
    let mut fits = Fits::new(&families);
    let usual = JointModel::new();
    let mut rows = vec![HEAD.map(String::from).to_vec()];
    let mut all = [Vec::new(), Vec::new()];
    for (left_out, family) in families.iter().enumerate() {
        note(format!("{} ...", family.name));
        let fitted = fits.best_without(left_out)?;
        let of_both = [
            fits.predictions(&usual)?[left_out].clone(),
            fits.predictions(&fitted)?[left_out].clone(),
        ];
        rows.push(row(&family.name, &of_both, &fitted));
        for (all, predictions) in all.iter_mut().zip(of_both) {
            all.extend(predictions);
        }
    }
    rows.push(row("all", &all, &usual));
    let [_, fitted] = all;
    let reliability = Reliability::new(fitted.into_iter());
    print(format_args!(
        "{}\n\nAll families, each with the constants fitted to the others:\n\n{}",
        table::align(&rows),
        reliability.map_or_else(String::new, |reliability| reliability.markdown())
    ))
}

const HEAD: [&str; 9] = [
    "left out",
    "statements",
    "right",
    "confidence",
    "Brier",
    "right, fitted",
    "confidence, fitted",
    "Brier, fitted",
    "constants that changed",
];

/// Statements, each with its confidence and whether it is right.
type Predictions = Vec<(f64, bool)>;

fn row(name: &str, of_both: &[Predictions; 2], fitted: &JointModel) -> Vec<String> {
    let mut row = vec![name.to_string(), of_both[0].len().to_string()];
    for predictions in of_both {
        let mean = |of: fn(&(f64, bool)) -> f64| {
            let sum: f64 = predictions.iter().map(of).sum();
            format!("{:.3}", sum / predictions.len().max(1) as f64)
        };
        row.push(mean(|prediction| f64::from(u8::from(prediction.1))));
        row.push(mean(|prediction| prediction.0));
        row.push(mean(|prediction| {
            (prediction.0 - f64::from(u8::from(prediction.1))).powi(2)
        }));
    }
    let changed = FITTED
        .into_iter()
        .filter(|&constant| fitted.get(constant) != constant.default_value());
    let changed = changed.map(|constant| format!("{constant} {:.3}", fitted.get(constant)));
    row.push(changed.collect::<Vec<_>>().join(", "));
    row
}

/// A folder of models with their true forest.
struct Split {
    name: String,
    truth: Truth,
    signatures: Vec<Signature>,
}

/// The splits of a folder, sorted by name.
fn splits(folder: &Path) -> Result<Vec<Split>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(Failure::run)?;
    let mut folders: Vec<PathBuf> = (entries.filter_map(Result::ok))
        .map(|entry| entry.path())
        .filter(|path| path.join("truth.json").is_file())
        .collect();
    folders.sort();
    folders.iter().map(|folder| split(folder)).collect()
}

fn split(folder: &Path) -> Result<Split, Failure> {
    let truth = Truth::read(&folder.join("truth.json"))?;
    let models = Models::open(&[folder.into()])?;
    let signed = SignatureOptions::new()
        .sign_all_observed(&models.open, &mut |_| ControlFlow::Continue(()))
        .map_err(Failure::run)?;
    Ok(Split {
        name: folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into(),
        truth,
        signatures: signed.into_iter().filter_map(Result::ok).collect(),
    })
}

/// Splits of related networks: cases of evidence with the true forest.
struct Family {
    name: String,
    cases: Vec<(Evidence, Truth)>,
}

/// Joins splits whose roots are related.
fn families(splits: Vec<Split>) -> Result<Vec<Family>, Failure> {
    let mut labels: Vec<usize> = (0..splits.len()).collect();
    for second in 0..splits.len() {
        for first in 0..second {
            if labels[first] != labels[second] && are_related(&splits[first], &splits[second]) {
                let (kept, moved) = (labels[first], labels[second]);
                let joined = labels.iter_mut().filter(|label| **label == moved);
                joined.for_each(|label| *label = kept);
            }
        }
    }
    let mut families: BTreeMap<usize, Family> = BTreeMap::new();
    for (split, label) in splits.into_iter().zip(labels) {
        let family = families.entry(label).or_insert_with(|| Family {
            name: String::new(),
            cases: Vec::new(),
        });
        let separator = if family.name.is_empty() { "" } else { " " };
        family.name = format!("{}{separator}{}", family.name, split.name);
        family.cases.extend(cases(split)?);
    }
    Ok(families.into_values().collect())
}

fn are_related(first: &Split, second: &Split) -> bool {
    let roots = |split: &Split| -> Vec<Signature> {
        let is_root = |signature: &&Signature| {
            let graph = split.truth.graph();
            let position = graph.index(signature.name());
            position.is_some_and(|model| graph.parent(model).is_none())
        };
        split.signatures.iter().filter(is_root).cloned().collect()
    };
    let others = roots(second);
    let mut pairs = roots(first).into_iter().flat_map(|root| {
        let related = |other| Relation::between(&root, other).is_ok_and(|pair| pair.is_related());
        others.iter().map(related).collect::<Vec<bool>>()
    });
    pairs.any(|related| related)
}

/// A complete split, versions with models or parents left out, and each parent and child on their own.
fn cases(split: Split) -> Result<Vec<(Evidence, Truth)>, Failure> {
    let mut truths = Vec::new();
    for draw in 0..DRAWS {
        let random = || Random::new(draw);
        truths.push(split.truth.with_models_left_out(LEFT_OUT, &mut random())?);
        truths.push(split.truth.with_parents_left_out(LEFT_OUT, &mut random())?);
    }
    truths.extend(split.truth.pairs()?);
    truths.push(split.truth);
    let signatures = &split.signatures;
    let case = |truth: Truth| {
        let known = signatures
            .iter()
            .filter(|signature| truth.knows(signature.name()));
        let known: Vec<Signature> = known.cloned().collect();
        let evidence = SignatureComparison::new()
            .compare(&known)
            .map_err(Failure::run)?;
        Ok((evidence, truth))
    };
    truths.into_par_iter().map(case).collect()
}

/// The predictions for all families under every set of constants tried so far.
struct Fits<'a> {
    families: &'a [Family],
    known: BTreeMap<Vec<u64>, Vec<Predictions>>,
}

impl<'a> Fits<'a> {
    const fn new(families: &'a [Family]) -> Self {
        Self {
            families,
            known: BTreeMap::new(),
        }
    }

    /// The predictions of every family.
    fn predictions(&mut self, model: &JointModel) -> Result<&[Predictions], Failure> {
        let key = JointConstant::ALL.map(|constant| model.get(constant).to_bits());
        let key = key.to_vec();
        if !self.known.contains_key(&key) {
            let families = self.families.par_iter();
            let predictions = families.map(|family| family.predictions(model));
            let predictions = predictions.collect::<Result<_, Failure>>()?;
            self.known.insert(key.clone(), predictions);
        }
        Ok(&self.known[&key])
    }

    /// The constants under which the truth about all families except one is most probable. Each constant is varied
    /// in turn as long as that helps, twice.
    fn best_without(&mut self, left_out: usize) -> Result<JointModel, Failure> {
        let mut best = JointModel::new();
        let mut most = self.log_likelihood(&best, left_out)?;
        for constant in FITTED.into_iter().chain(FITTED) {
            let from = best.get(constant);
            for factor in FACTORS {
                let other = best.clone().with(constant, factor * from);
                let likelihood = self.log_likelihood(&other, left_out)?;
                if likelihood > most {
                    (best, most) = (other, likelihood);
                }
            }
        }
        Ok(best)
    }

    /// The mean over families, so that large ones count no more than small ones.
    fn log_likelihood(&mut self, model: &JointModel, left_out: usize) -> Result<f64, Failure> {
        let predictions = self.predictions(model)?.iter().enumerate();
        let counted = predictions
            .filter(|(family, predictions)| *family != left_out && !predictions.is_empty());
        Ok(counted
            .map(|(_, predictions)| mean_log_score(predictions))
            .sum())
    }
}

fn mean_log_score(predictions: &[(f64, bool)]) -> f64 {
    let scores = predictions.iter().map(|&(confidence, right)| {
        let of_truth = if right { confidence } else { 1.0 - confidence };
        of_truth.max(1e-6).ln()
    });
    scores.sum::<f64>() / predictions.len() as f64
}

impl Family {
    fn predictions(&self, model: &JointModel) -> Result<Predictions, Failure> {
        let mut predictions = Vec::new();
        for (evidence, truth) in &self.cases {
            let recovery = Recovery::new()
                .with_method(Method::Joint(model.clone()))
                .with_trees(Trees::Count(truth.tree_count()));
            let graph = recovery.recover(evidence).map_err(Failure::run)?;
            predictions.extend(truth.predictions(&graph));
        }
        Ok(predictions)
    }
}
