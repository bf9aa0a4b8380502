//! Measuring: from weight sources to evidence, chunk by chunk.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use hashbrown::HashMap;
#[cfg(feature = "rayon")]
use rayon::prelude::*;

use super::architecture::{self, Architecture, LayerShape};
use super::table::SkippedLayerOf;
use super::{
    Evidence, EvidenceError, Geometry, GroupEvidence, LayerSelection, ModelFailure, Observer,
    Phase, Progress, SkippedModel,
};
use crate::condensed::CondensedMatrix;
use crate::entropy::Histogram;
use crate::moments::{Moments, MomentsAccumulator};
#[cfg(feature = "svd")]
use crate::rank::{MatrixView, SingularValueSolver, Tolerance};
#[cfg(feature = "svd")]
use crate::weights::ElementType;
use crate::weights::{Layer, WeightSource, element_count};

/// Elements of a layer that are read of every model before they are compared.
const CHUNK: usize = 16 * 1024;

/// How far apart two models are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Distance {
    /// Eq. 1: the mean over layers of the Frobenius norm of the difference.
    #[default]
    L2,
    /// Eq. 2: the rank of the difference, over all layers (feature `svd`).
    #[cfg(feature = "svd")]
    Rank {
        /// What singular values count; `None` is numpy's rule with the precision of the coarser
        /// stored type, and Gavish and Donoho's for types of 16 bits and less.
        tolerance: Option<Tolerance>,
        /// How the layers' ranks become one number.
        over_layers: RankOverLayers,
    },
}

/// How the ranks of a pair's layers become one distance.
#[cfg(feature = "svd")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RankOverLayers {
    /// The largest, as in Eq. 2.
    #[default]
    Maximum,
    /// The sum.
    Sum,
}

/// The directional score of a layer; a model's is the sum over its layers (section 6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Score {
    /// Eq. 3: raw kurtosis.
    #[default]
    Kurtosis,
    /// Population variance.
    Variance,
    /// Biased skewness.
    Skewness,
    /// Entropy in nats of a histogram of 256 equal bins from the least to the greatest weight.
    Entropy,
}

/// What happens when a model can't be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFailure {
    /// It is left out and named in [`Evidence::skipped`]; the others are measured as if it had
    /// not been given.
    #[default]
    Skip,
    /// The measurement ends with [`EvidenceError::Model`].
    Stop,
}

/// How to measure models; the defaults are Eq. 1 and 3 on every shared weight matrix.
///
/// # Examples
///
/// ```
/// use mother::evidence::Measurement;
/// use mother::weights::InMemoryModel;
///
/// let model = |name, last| {
///     InMemoryModel::new(name).with_layer("w", [2, 2], vec![1.0_f32, 2.0, 3.0, last])
/// };
/// let evidence = Measurement::new().measure(&[model("a", 4.0)?, model("b", 4.5)?])?;
/// assert_eq!(evidence.groups[0].distances().values(), [0.5]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    distance: Distance,
    score: Score,
    distance_layers: LayerSelection,
    score_layers: LayerSelection,
    on_failure: OnFailure,
}

/// A model that opened, with what comparing it needs.
struct Candidate<'a, S: WeightSource + 'a> {
    source: &'a S,
    layers: HashMap<String, S::Layer<'a>>,
    architecture: Architecture,
}

impl Measurement {
    /// Eq. 1 and 3 on every shared weight matrix; a model that fails is skipped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the distance.
    #[must_use]
    pub fn with_distance(mut self, distance: Distance) -> Self {
        self.distance = distance;
        self
    }

    /// Sets the directional score.
    #[must_use]
    pub fn with_score(mut self, score: Score) -> Self {
        self.score = score;
        self
    }

    /// Sets the layers that distances are measured on.
    #[must_use]
    pub fn with_layers(mut self, layers: LayerSelection) -> Self {
        self.distance_layers = layers;
        self
    }

    /// Sets the layers that scores are summed over.
    #[must_use]
    pub fn with_score_layers(mut self, layers: LayerSelection) -> Self {
        self.score_layers = layers;
        self
    }

    /// Sets what happens when a model fails.
    #[must_use]
    pub fn with_on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Measures models, in any order.
    ///
    /// # Errors
    ///
    /// Those of [`measure_observed`](Self::measure_observed).
    pub fn measure<S: WeightSource>(&self, models: &[S]) -> Result<Evidence, EvidenceError> {
        self.measure_observed(models, &mut |_| ControlFlow::Continue(()))
    }

    /// Measures models, in any order, and tells `observer` how it goes.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::DuplicateModel`]; [`EvidenceError::Cancelled`] when the observer breaks;
    /// [`EvidenceError::Model`] with [`OnFailure::Stop`].
    ///
    /// # Complexity
    ///
    /// O(n² w) time for n models of w weights, and memory for a chunk of each model beside the
    /// tables; with ranks, O(n² w r) for matrices with shorter side r, and one layer of each model.
    pub fn measure_observed<S: WeightSource>(
        &self,
        models: &[S],
        observer: &mut dyn Observer,
    ) -> Result<Evidence, EvidenceError> {
        let mut evidence = Evidence::default();
        let mut sorted: Vec<&S> = models.iter().collect();
        sorted.sort_by(|first, second| first.name().cmp(second.name()));
        if let Some(pair) = sorted.windows(2).find(|p| p[0].name() == p[1].name()) {
            return Err(EvidenceError::DuplicateModel {
                model: pair[0].name().into(),
            });
        }
        let mut candidates = Vec::new();
        for source in sorted {
            evidence
                .skipped_layers
                .extend(source.skipped_layers().iter().map(|layer| SkippedLayerOf {
                    model: source.name().into(),
                    layer: layer.clone(),
                }));
            match open(source) {
                Ok(candidate) => candidates.push(candidate),
                Err(failure) => self.skip(&mut evidence, source.name(), failure)?,
            }
        }
        // A model that fails may have kept others from sharing a layer, so all that depend on it
        // are grouped and measured anew.
        while !candidates.is_empty() {
            match self.measure_groups(&candidates, observer)? {
                Ok(groups) => {
                    evidence.groups = groups;
                    break;
                }
                Err(failures) => {
                    let failed: HashMap<usize, ModelFailure> = failures.into_iter().collect();
                    let mut kept = Vec::new();
                    for (index, candidate) in candidates.into_iter().enumerate() {
                        match failed.get(&index) {
                            Some(failure) => {
                                let name = candidate.source.name();
                                self.skip(&mut evidence, name, failure.clone())?;
                            }
                            None => kept.push(candidate),
                        }
                    }
                    candidates = kept;
                }
            }
        }
        evidence
            .skipped
            .sort_by(|first, second| first.model.cmp(&second.model));
        Ok(evidence)
    }

    fn skip(
        &self,
        evidence: &mut Evidence,
        model: &str,
        failure: ModelFailure,
    ) -> Result<(), EvidenceError> {
        let skipped = SkippedModel {
            model: model.into(),
            failure,
        };
        match self.on_failure {
            OnFailure::Stop => Err(EvidenceError::Model(skipped)),
            OnFailure::Skip => {
                evidence.skipped.push(skipped);
                Ok(())
            }
        }
    }

    /// All groups, or the candidates that failed.
    fn measure_groups<S: WeightSource>(
        &self,
        candidates: &[Candidate<'_, S>],
        observer: &mut dyn Observer,
    ) -> Result<Result<Vec<GroupEvidence>, Failures>, EvidenceError> {
        let architectures: Vec<Architecture> = candidates
            .iter()
            .map(|candidate| candidate.architecture.clone())
            .collect();
        let mut groups = Vec::new();
        let mut failures = Failures::new();
        let parts = architecture::groups(&architectures);
        let mut plans = Vec::new();
        for group in &parts {
            let shared = architecture::shared_layers(&architectures, group);
            let layers: Vec<LayerShape> = shared
                .into_iter()
                .filter(|l| {
                    self.distance_layers.selects_layer(l) || self.score_layers.selects_layer(l)
                })
                .collect();
            if !layers.iter().any(|l| self.distance_layers.selects_layer(l)) {
                failures.extend(group.iter().map(|&index| {
                    let models = group.len();
                    (index, ModelFailure::NoSharedLayer { models })
                }));
            } else {
                plans.push((group, layers));
            }
        }
        if !failures.is_empty() {
            return Ok(Err(failures));
        }
        let mut clock = Clock {
            observer,
            done: 0,
            total: plans
                .iter()
                .map(|(group, layers)| work(group, layers))
                .sum(),
        };
        for (group, layers) in plans {
            let members: Vec<&Candidate<'_, S>> = group.iter().map(|&i| &candidates[i]).collect();
            match self.measure_group(&members, &layers, &mut clock)? {
                Ok(evidence) => groups.push(evidence),
                Err(failed) => failures.extend(failed.into_iter().map(|(i, f)| (group[i], f))),
            }
        }
        Ok(if failures.is_empty() {
            Ok(groups)
        } else {
            Err(failures)
        })
    }

    fn measure_group<S: WeightSource>(
        &self,
        members: &[&Candidate<'_, S>],
        layers: &[LayerShape],
        clock: &mut Clock<'_>,
    ) -> Result<Result<GroupEvidence, Failures>, EvidenceError> {
        let count = members.len();
        let pairs = count * count.saturating_sub(1) / 2;
        let mut tables = Tables {
            l2: vec![0.0; pairs],
            #[cfg(feature = "svd")]
            ranks: vec![0.0; pairs],
            squared: vec![0.0; pairs],
            norms: vec![0.0; count],
            scores: vec![0.0; count],
            scored_layers: 0,
        };
        let mut used = Vec::new();
        for layer in layers {
            let compared = self.distance_layers.selects_layer(layer);
            if compared {
                used.push(layer.name.clone());
            }
            let failures = self.measure_layer(members, layer, compared, &mut tables, clock)?;
            if !failures.is_empty() {
                return Ok(Err(failures));
            }
        }
        let distances = match self.distance {
            Distance::L2 => {
                let layers = used.len() as f64;
                tables.l2.iter().map(|sum| sum / layers).collect()
            }
            #[cfg(feature = "svd")]
            Distance::Rank { .. } => tables.ranks,
        };
        let models: Vec<String> = members.iter().map(|m| m.source.name().into()).collect();
        let failed = |layer: &LayerShape| ModelFailure::TooLarge {
            layer: layer.name.clone(),
        };
        // Only overflow makes these not finite: the weights themselves were checked.
        let geometry = CondensedMatrix::new(count, tables.squared)
            .ok()
            .and_then(|squared| Geometry::new(tables.norms, squared).ok());
        let (Ok(distances), Some(geometry)) = (CondensedMatrix::new(count, distances), geometry)
        else {
            return Ok(Err((0..count).map(|i| (i, failed(&layers[0]))).collect()));
        };
        let scores = (tables.scored_layers > 0).then_some(tables.scores);
        let mut evidence = GroupEvidence::new(models, scores, distances)?;
        evidence.layers = used;
        evidence.geometry = Some(geometry);
        Ok(Ok(evidence))
    }

    /// Reads one layer of every member in step and takes it into the tables.
    fn measure_layer<S: WeightSource>(
        &self,
        members: &[&Candidate<'_, S>],
        layer: &LayerShape,
        compared: bool,
        tables: &mut Tables,
        clock: &mut Clock<'_>,
    ) -> Result<Failures, EvidenceError> {
        let count = members.len();
        let length = element_count(&layer.shape).unwrap_or(0);
        let scored = self.score_layers.selects_layer(layer);
        let ranked = compared && self.needs_whole_layers();
        let chunk = if ranked { length } else { CHUNK.min(length) };
        let mut rows = vec![vec![0.0_f64; chunk]; count];
        let mut accumulators = vec![MomentsAccumulator::new(); count];
        let mut sums = vec![0.0; tables.l2.len()];
        for offset in (0..length).step_by(chunk.max(1)) {
            let width = chunk.min(length - offset);
            clock.tick(Phase::Reading, 0)?;
            let read = |row: &mut Vec<f64>, member: &&Candidate<'_, S>| {
                read_row(member, layer, offset, &mut row[..width])
            };
            let failures = collect(each(&mut rows, members, read));
            if !failures.is_empty() {
                return Ok(failures);
            }
            if scored {
                clock.tick(Phase::Scoring, 0)?;
                let take = |accumulator: &mut MomentsAccumulator, row: &Vec<f64>| {
                    // Cannot fail: the values are finite and there are fewer than 2⁶⁴.
                    accumulator.extend_from_slice(&row[..width]).err().map(|e| {
                        ModelFailure::Reading {
                            layer: layer.name.clone(),
                            reason: e.to_string(),
                        }
                    })
                };
                let failures = collect(each(&mut accumulators, &rows, take));
                if !failures.is_empty() {
                    return Ok(failures);
                }
            }
            if compared {
                clock.tick(Phase::Comparing, 0)?;
                add_squares(&rows, width, &mut sums, &mut tables.norms);
            }
            clock.tick(Phase::Reading, (width * count) as u64)?;
        }
        for (sum, (l2, squared)) in sums
            .iter()
            .zip(tables.l2.iter_mut().zip(&mut tables.squared))
        {
            *l2 += num_traits::Float::sqrt(*sum);
            *squared += sum;
        }
        #[cfg(feature = "svd")]
        if ranked {
            clock.tick(Phase::Comparing, 0)?;
            let failures = self.add_ranks(members, layer, &rows, tables);
            if !failures.is_empty() {
                return Ok(failures);
            }
        }
        if scored {
            clock.tick(Phase::Scoring, 0)?;
            return Ok(self.add_scores(members, layer, &accumulators, tables));
        }
        Ok(Failures::new())
    }

    fn needs_whole_layers(&self) -> bool {
        !matches!(self.distance, Distance::L2)
    }

    /// Adds the layer's score to every model's, unless it is undefined for one of them.
    fn add_scores<S: WeightSource>(
        &self,
        members: &[&Candidate<'_, S>],
        layer: &LayerShape,
        accumulators: &[MomentsAccumulator],
        tables: &mut Tables,
    ) -> Failures {
        let mut scores = Vec::with_capacity(members.len());
        for (index, (member, accumulator)) in members.iter().zip(accumulators).enumerate() {
            let moments = accumulator.moments();
            let score = match self.score {
                Score::Kurtosis => moments.kurtosis(),
                Score::Variance => moments.variance(),
                Score::Skewness => moments.skewness(),
                Score::Entropy => match entropy(member, layer, &moments) {
                    Ok(entropy) => entropy,
                    Err(failure) => return vec![(index, failure)],
                },
            };
            scores.extend(score.filter(|score| score.is_finite()));
        }
        if scores.len() == members.len() {
            tables.scored_layers += 1;
            for (sum, score) in tables.scores.iter_mut().zip(scores) {
                *sum += score;
            }
        }
        Failures::new()
    }

    #[cfg(feature = "svd")]
    fn add_ranks<S: WeightSource>(
        &self,
        members: &[&Candidate<'_, S>],
        layer: &LayerShape,
        rows: &[Vec<f64>],
        tables: &mut Tables,
    ) -> Failures {
        let Distance::Rank {
            tolerance,
            over_layers,
        } = self.distance
        else {
            return Failures::new();
        };
        let count = members.len();
        let types: Vec<Option<ElementType>> = members
            .iter()
            .map(|m| m.layers.get(&layer.name).map(Layer::element_type))
            .collect();
        let height = layer.shape.iter().copied().find(|&n| n > 1).unwrap_or(1);
        let rank_of_row = |i: usize| -> Result<Vec<f64>, ModelFailure> {
            let mut solver = SingularValueSolver::new();
            let view = |row: usize| {
                let width = rows[row].len() / height.max(1);
                MatrixView::new(&rows[row], height, width)
            };
            (i + 1..count)
                .map(|j| {
                    let tolerance = tolerance.unwrap_or_else(|| stored_rule(types[i], types[j]));
                    solver
                        .singular_values_of_difference(view(i)?, view(j)?)?
                        .rank(tolerance)
                        .map(|rank| rank.value() as f64)
                })
                .collect::<Result<_, _>>()
                .map_err(|error| ModelFailure::Rank {
                    layer: layer.name.clone(),
                    reason: error.to_string(),
                })
        };
        #[cfg(feature = "rayon")]
        let found: Vec<_> = (0..count).into_par_iter().map(rank_of_row).collect();
        #[cfg(not(feature = "rayon"))]
        let found: Vec<_> = (0..count).map(rank_of_row).collect();
        let mut next = 0;
        for (index, ranks) in found.into_iter().enumerate() {
            match ranks {
                Err(failure) => return vec![(index, failure)],
                Ok(ranks) => {
                    for rank in ranks {
                        let sum = &mut tables.ranks[next];
                        *sum = match over_layers {
                            RankOverLayers::Maximum => sum.max(rank),
                            RankOverLayers::Sum => *sum + rank,
                        };
                        next += 1;
                    }
                }
            }
        }
        Failures::new()
    }
}

/// The rule that fits what two layers are stored in: the coarser of the two decides.
#[cfg(feature = "svd")]
fn stored_rule(first: Option<ElementType>, second: Option<ElementType>) -> Tolerance {
    let epsilon = |t: Option<ElementType>| t.and_then(ElementType::epsilon).unwrap_or(0.0);
    let epsilon = epsilon(first).max(epsilon(second)).max(f64::EPSILON);
    if epsilon > f64::from(f32::EPSILON) {
        Tolerance::GavishDonoho
    } else {
        Tolerance::Numpy { epsilon }
    }
}

/// Failed models by their index, and why.
type Failures = Vec<(usize, ModelFailure)>;

/// Sums over the layers so far.
struct Tables {
    l2: Vec<f64>,
    #[cfg(feature = "svd")]
    ranks: Vec<f64>,
    squared: Vec<f64>,
    norms: Vec<f64>,
    scores: Vec<f64>,
    scored_layers: usize,
}

/// Tells the observer how far the work is.
struct Clock<'a> {
    observer: &'a mut dyn Observer,
    done: u64,
    total: u64,
}

impl Clock<'_> {
    fn tick(&mut self, phase: Phase, done: u64) -> Result<(), EvidenceError> {
        self.done += done;
        let progress = Progress {
            phase,
            done: self.done,
            total: self.total,
        };
        match self.observer.observe(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EvidenceError::Cancelled),
        }
    }
}

/// The values to read of a group.
fn work(group: &[usize], layers: &[LayerShape]) -> u64 {
    let values: usize = layers
        .iter()
        .filter_map(|layer| element_count(&layer.shape))
        .sum();
    (values as u64).saturating_mul(group.len() as u64)
}

/// Applies `f` to both slices in step, on all threads there are.
fn each<A: Send, B: Sync>(
    first: &mut [A],
    second: &[B],
    f: impl Fn(&mut A, &B) -> Option<ModelFailure> + Sync,
) -> Vec<Option<ModelFailure>> {
    #[cfg(feature = "rayon")]
    return first
        .par_iter_mut()
        .zip(second)
        .map(|(a, b)| f(a, b))
        .collect();
    #[cfg(not(feature = "rayon"))]
    return first.iter_mut().zip(second).map(|(a, b)| f(a, b)).collect();
}

fn collect(outcomes: Vec<Option<ModelFailure>>) -> Failures {
    outcomes
        .into_iter()
        .enumerate()
        .filter_map(|(index, failure)| failure.map(|failure| (index, failure)))
        .collect()
}

/// Lists a model's layers.
fn open<S: WeightSource>(source: &S) -> Result<Candidate<'_, S>, ModelFailure> {
    let mut layers = HashMap::new();
    let mut architecture = Architecture::new();
    for layer in source.layers() {
        let layer = layer.map_err(|error| ModelFailure::Listing {
            reason: error.to_string(),
        })?;
        let name = String::from(layer.name());
        if element_count(layer.shape()).is_none() {
            return Err(ModelFailure::TooLarge { layer: name });
        }
        architecture.push(LayerShape {
            name: name.clone(),
            shape: layer.shape().into(),
        });
        if layers.insert(name.clone(), layer).is_some() {
            return Err(ModelFailure::DuplicateLayer { layer: name });
        }
    }
    architecture.sort();
    if architecture
        .iter()
        .any(|layer| architecture::is_weight_matrix(&layer.shape))
    {
        Ok(Candidate {
            source,
            layers,
            architecture,
        })
    } else {
        Err(ModelFailure::NoWeightMatrix)
    }
}

/// Reads values and checks that they are finite.
fn read_row<S: WeightSource>(
    member: &Candidate<'_, S>,
    layer: &LayerShape,
    offset: usize,
    row: &mut [f64],
) -> Option<ModelFailure> {
    let Some(handle) = member.layers.get(&layer.name) else {
        return Some(ModelFailure::Reading {
            layer: layer.name.clone(),
            reason: "it is no longer there".into(),
        });
    };
    if let Err(error) = handle.read(offset, row) {
        return Some(ModelFailure::Reading {
            layer: layer.name.clone(),
            reason: error.to_string(),
        });
    }
    let at = row.iter().position(|value| !value.is_finite())?;
    Some(ModelFailure::NotFinite {
        layer: layer.name.clone(),
        index: offset + at,
        value: format!("{}", row[at]),
    })
}

/// The entropy of a layer's histogram; `None` for constant values.
fn entropy<S: WeightSource>(
    member: &Candidate<'_, S>,
    layer: &LayerShape,
    moments: &Moments,
) -> Result<Option<f64>, ModelFailure> {
    let reading = |reason: String| ModelFailure::Reading {
        layer: layer.name.clone(),
        reason,
    };
    let (Some(minimum), Some(maximum)) = (moments.minimum(), moments.maximum()) else {
        return Ok(None);
    };
    if minimum >= maximum {
        return Ok(None);
    }
    let mut histogram = Histogram::new(minimum, maximum, Histogram::DEFAULT_BINS)
        .map_err(|error| reading(error.to_string()))?;
    let length = element_count(&layer.shape).unwrap_or(0);
    let mut row = vec![0.0_f64; CHUNK.min(length)];
    for offset in (0..length).step_by(CHUNK) {
        let row = &mut row[..CHUNK.min(length - offset)];
        if let Some(failure) = read_row(member, layer, offset, row) {
            return Err(failure);
        }
        histogram
            .extend_from_slice(row)
            .map_err(|error| reading(error.to_string()))?;
    }
    Ok(histogram.entropy())
}

/// Adds the squared differences of every pair of rows, and each row's squares.
///
/// Blocks begin at fixed positions of the layer, so the sums don't depend on the threads.
fn add_squares(rows: &[Vec<f64>], width: usize, sums: &mut [f64], norms: &mut [f64]) {
    for (norm, row) in norms.iter_mut().zip(rows) {
        *norm += sum_of_squares(row[..width].iter().copied());
    }
    let mut rest = sums;
    let mut jobs = Vec::with_capacity(rows.len());
    for (i, first) in rows.iter().enumerate() {
        let (row_sums, others) = rest.split_at_mut(rows.len() - 1 - i);
        jobs.push((first, &rows[i + 1..], row_sums));
        rest = others;
    }
    let add = |(first, others, sums): (&Vec<f64>, &[Vec<f64>], &mut [f64])| {
        for (sum, second) in sums.iter_mut().zip(others) {
            let differences = first[..width].iter().zip(&second[..width]);
            *sum += sum_of_squares(differences.map(|(u, v)| u - v));
        }
    };
    #[cfg(feature = "rayon")]
    jobs.into_par_iter().for_each(add);
    #[cfg(not(feature = "rayon"))]
    jobs.into_iter().for_each(add);
}

/// A sum over eight lanes, which the compiler can keep in vector registers.
fn sum_of_squares(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let mut lanes = [0.0_f64; 8];
    for (index, value) in values.enumerate() {
        lanes[index % 8] += value * value;
    }
    lanes.iter().sum()
}
