//! One pass over the models of one architecture, reading every layer of all of them in step.

use core::error::Error;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::block::MatrixShape;
use super::comparison::Comparison;
use super::digest::Digest;
#[cfg(feature = "svd")]
use super::digest::read_segment_again;
#[cfg(feature = "svd")]
use super::ranks::{WholeLayer, ranks};
use super::{Distance, EvidenceError, Geometry, GroupEvidence, Measurement};
use crate::Scalar;
#[cfg(feature = "svd")]
use crate::condensed::condensed_index;
use crate::condensed::{CondensedMatrix, pairs_of};
use crate::moments::MomentsAccumulator;
use crate::parallel;
use crate::progress::{Cancelled, Phase, ProgressReporter};
#[cfg(feature = "svd")]
use crate::rank::Tolerance;
use crate::signature::{Cause, LayerShape, ModelFailure, OpenModel};
use crate::weights::{ElementType, WeightSource, element_count};

/// The most values of a model to read at once; larger blocks aren't faster.
const LARGEST_BLOCK: usize = 256 * 1024;

/// Why a pass did not finish.
pub(super) enum Interruption {
    /// Some models failed: their positions, and why.
    Failed(Vec<(usize, ModelFailure)>),
    /// The whole measurement was stopped.
    Stopped(EvidenceError),
}

impl From<EvidenceError> for Interruption {
    fn from(error: EvidenceError) -> Self {
        Self::Stopped(error)
    }
}

impl From<Cancelled> for Interruption {
    fn from(_: Cancelled) -> Self {
        Self::Stopped(EvidenceError::Cancelled)
    }
}

/// The models of one architecture and what to measure.
pub(super) struct GroupPass<'a, 'b, S: WeightSource> {
    settings: &'a Measurement,
    members: Vec<&'a OpenModel<'b, S>>,
    layers: Vec<LayerShape>,
    tables: Tables,
}

/// Sums over the layers so far.
struct Tables {
    compared: Vec<String>,
    l2: Vec<f64>,
    squared_distances: Vec<f64>,
    squared_norms: Vec<f64>,
    #[cfg(feature = "svd")]
    ranks: Vec<f64>,
    layer_scores: Vec<Vec<f64>>,
}

impl<'a, 'b, S: WeightSource> GroupPass<'a, 'b, S> {
    /// Creates the pass. Members must be sorted by name, and all must have the layers.
    pub(super) fn new(
        settings: &'a Measurement,
        members: Vec<&'a OpenModel<'b, S>>,
        layers: Vec<LayerShape>,
    ) -> Self {
        let models = members.len();
        let pairs = models * models.saturating_sub(1) / 2;
        Self {
            settings,
            members,
            layers,
            tables: Tables {
                compared: Vec::new(),
                l2: vec![0.0; pairs],
                squared_distances: vec![0.0; pairs],
                squared_norms: vec![0.0; models],
                #[cfg(feature = "svd")]
                ranks: vec![0.0; pairs],
                layer_scores: vec![Vec::new(); models],
            },
        }
    }

    /// The number of values to read.
    pub(super) fn work(&self) -> u64 {
        let lengths = self
            .layers
            .iter()
            .filter_map(|layer| element_count(&layer.shape));
        let values: usize = lengths.fold(0, usize::saturating_add);
        (values as u64).saturating_mul(self.members.len() as u64)
    }

    /// Measures all layers.
    pub(super) fn run(
        mut self,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<GroupEvidence, Interruption> {
        let layers = core::mem::take(&mut self.layers);
        for (index, layer) in layers.iter().enumerate() {
            let mut stored = self.members.iter().map(|member| member.element_type(layer));
            // All other types fit single precision without rounding.
            let measured = if stored.any(|element| element == Some(ElementType::F64)) {
                self.measure_layer::<f64>(layer, reporter)
            } else {
                self.measure_layer::<f32>(layer, reporter)
            };
            match measured {
                Ok(()) => {}
                Err(Interruption::Failed(failures)) => {
                    return Err(self.read_on(&layers[index..], failures, reporter));
                }
                Err(stopped) => return Err(stopped),
            }
        }
        self.into_evidence()
    }

    /// After some models have failed, reads the rest to find all others that will fail.
    ///
    /// Otherwise the models would be measured again after each failure.
    fn read_on(
        &self,
        layers: &[LayerShape],
        mut failures: Vec<(usize, ModelFailure)>,
        reporter: &mut ProgressReporter<'_>,
    ) -> Interruption {
        let has_failed = |failures: &[(usize, ModelFailure)], member| {
            failures.iter().any(|&(failed, _)| failed == member)
        };
        let mut kept: Vec<usize> = (0..self.members.len()).collect();
        kept.retain(|&member| !has_failed(&failures, member));
        let capacity = self.settings.buffer_size / (kept.len() * size_of::<f64>()).max(1);
        for layer in layers {
            let blocks = MatrixShape::of_outputs(layer).blocks(capacity.min(LARGEST_BLOCK));
            for block in blocks {
                if let Err(cancelled) = reporter.tick(Phase::Reading, 0) {
                    return cancelled.into();
                }
                let mut values = vec![vec![0.0_f64; block.length]; kept.len()];
                let read = on_each(&mut values, &kept, |values, &member| {
                    self.members[member].read(layer, block.offset, values)
                });
                if let Err(Interruption::Failed(more)) = read {
                    let more: Vec<_> = (more.into_iter())
                        .map(|(index, why)| (kept[index], why))
                        .collect();
                    kept.retain(|&member| !has_failed(&more, member));
                    failures.extend(more);
                }
            }
        }
        Interruption::Failed(failures)
    }

    fn measure_layer<T: Scalar>(
        &mut self,
        layer: &LayerShape,
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<(), Interruption> {
        let models = self.members.len();
        let (scored, compared) = (self.settings.scores(layer), self.settings.compares(layer));
        let shape = MatrixShape::of_outputs(layer);
        let mut accumulators = vec![MomentsAccumulator::new(); models];
        let mut comparison = Comparison::new(if compared { models } else { 0 });
        let length = element_count(&layer.shape).unwrap_or(0);
        let seen = self.reads_again(layer);
        let mut digests = vec![Digest::new(if seen { length } else { 0 }); models];
        let mut values: Vec<Vec<T>> = vec![Vec::new(); models];
        let capacity = self.settings.buffer_size / (models * size_of::<T>()).max(1);
        for block in shape.blocks(capacity.min(LARGEST_BLOCK)) {
            reporter.tick(Phase::Reading, 0)?;
            on_each(&mut values, &self.members, |values, member| {
                values.resize(block.length, T::zero());
                member.read(layer, block.offset, values)
            })?;
            if seen {
                on_each(&mut digests, &values, |digest, values| {
                    digest.add(block.offset, values);
                    Ok(())
                })?;
            }
            if scored {
                reporter.tick(Phase::Scoring, 0)?;
                on_each(&mut accumulators, &values, |accumulator, values| {
                    let taken = accumulator.extend_from_slice(values);
                    taken.map_err(|error| reading(layer, error))
                })?;
            }
            if compared {
                reporter.tick(Phase::Comparing, 0)?;
                let taken = comparison.add(block, &values);
                taken.map_err(|error| fail_all(models, &reading(layer, error)))?;
            }
            reporter.tick(Phase::Reading, (block.length * models) as u64)?;
        }
        drop(values);
        if scored {
            reporter.tick(Phase::Scoring, 0)?;
            self.add_scores::<T>(layer, &accumulators, &digests)?;
        }
        if compared {
            self.tables.add(layer, &comparison);
            #[cfg(feature = "svd")]
            if let Distance::Rank { tolerance, .. } = self.settings.distance {
                self.add_ranks::<T>(layer, tolerance, &digests, reporter)?;
            }
        }
        Ok(())
    }

    /// Whether anything needs a second read of this layer.
    fn reads_again(&self, layer: &LayerShape) -> bool {
        let compared = self.settings.compares(layer);
        #[cfg(feature = "svd")]
        let ranked = matches!(self.settings.distance, Distance::Rank { .. });
        #[cfg(not(feature = "svd"))]
        let ranked = false;
        (compared && ranked) || (self.settings.scores(layer) && self.settings.score.reads_again())
    }

    /// Adds the layer's score of every model, unless it is undefined for one of them.
    fn add_scores<T: Scalar>(
        &mut self,
        layer: &LayerShape,
        accumulators: &[MomentsAccumulator],
        digests: &[Digest],
    ) -> Result<(), Interruption> {
        let mut scores = vec![None; self.members.len()];
        let score = self.settings.score;
        let seen = accumulators.iter().zip(digests);
        let inputs: Vec<_> = self.members.iter().zip(seen).collect();
        on_each(
            &mut scores,
            &inputs,
            |found, (member, (moments, digest))| {
                *found = score.of_layer::<T, S>(member, layer, &moments.moments(), digest)?;
                Ok(())
            },
        )?;
        let scores: Vec<f64> = scores.into_iter().flatten().collect();
        if scores.len() == self.members.len() {
            for (of_model, score) in self.tables.layer_scores.iter_mut().zip(scores) {
                of_model.push(score);
            }
        }
        Ok(())
    }

    /// Adds the layer's ranks of all pairs, for as many models at a time as memory allows.
    #[cfg(feature = "svd")]
    fn add_ranks<T: Scalar>(
        &mut self,
        layer: &LayerShape,
        tolerance: Option<Tolerance>,
        digests: &[Digest],
        reporter: &mut ProgressReporter<'_>,
    ) -> Result<(), Interruption> {
        let models = self.members.len();
        let length = element_count(&layer.shape).unwrap_or(0);
        let held = self.settings.buffer_size / length.saturating_mul(size_of::<T>()).max(1);
        let at_once = (held / 2).clamp(1, models);
        for start in (0..models).step_by(at_once) {
            let first = self.whole_layers::<T>(layer, start, at_once, digests)?;
            for other in (start..models).step_by(at_once) {
                reporter.tick(Phase::Comparing, 0)?;
                let others = if other == start {
                    Vec::new()
                } else {
                    self.whole_layers::<T>(layer, other, at_once, digests)?
                };
                let loaded: Vec<_> = first.iter().chain(&others).collect();
                let seconds = if other == start { 0 } else { first.len() };
                let pairs: Vec<_> = (0..first.len())
                    .flat_map(|u| (seconds..loaded.len()).map(move |v| (u, v)))
                    .filter(|&(u, v)| loaded[u].model < loaded[v].model)
                    .collect();
                let found =
                    ranks(layer, &loaded, &pairs, tolerance).map_err(Interruption::Failed)?;
                for (&(u, v), rank) in pairs.iter().zip(found) {
                    let pair = condensed_index(models, loaded[u].model, loaded[v].model);
                    if let Distance::Rank { over_layers, .. } = self.settings.distance {
                        over_layers.take(&mut self.tables.ranks[pair], rank);
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the whole layer of several models.
    #[cfg(feature = "svd")]
    fn whole_layers<T: Scalar>(
        &self,
        layer: &LayerShape,
        start: usize,
        count: usize,
        digests: &[Digest],
    ) -> Result<Vec<WholeLayer<T>>, Interruption> {
        let length = element_count(&layer.shape).unwrap_or(0);
        let models: Vec<usize> = (start..self.members.len().min(start + count)).collect();
        let mut layers: Vec<WholeLayer<T>> = models
            .iter()
            .map(|&model| WholeLayer {
                model,
                values: Vec::new(),
                stored: self.members[model].element_type(layer),
            })
            .collect();
        on_each(&mut layers, &models, |whole, &model| {
            whole.values.resize(length, T::zero());
            let mut segments = whole.values.chunks_mut(Digest::SEGMENT).enumerate();
            segments.try_for_each(|(segment, values)| {
                let (offset, seen) = (segment * Digest::SEGMENT, &digests[model]);
                read_segment_again(self.members[model], layer, offset, values, seen)
            })
        })
        .map_err(|interruption| match interruption {
            Interruption::Failed(failures) => Interruption::Failed(
                failures
                    .into_iter()
                    .map(|(index, why)| (start + index, why))
                    .collect(),
            ),
            stopped @ Interruption::Stopped(_) => stopped,
        })?;
        Ok(layers)
    }

    fn into_evidence(self) -> Result<GroupEvidence, Interruption> {
        let names = self.members.iter().map(|member| member.name().into());
        // Weights are finite, so this happens only if sums of squares overflow `f64`.
        let overflowing = self.tables.overflowing();
        if !overflowing.is_empty() {
            let failed = overflowing.into_iter();
            return Err(Interruption::Failed(
                failed
                    .map(|model| (model, ModelFailure::Overflow))
                    .collect(),
            ));
        }
        (self.tables)
            .into_evidence(names.collect(), self.settings.distance)
            .map_err(Interruption::Stopped)
    }
}

impl Tables {
    /// Adds a completed layer to the tables.
    fn add(&mut self, layer: &LayerShape, comparison: &Comparison) {
        self.compared.push(layer.name.clone());
        for (sum, norm) in self.squared_norms.iter_mut().zip(&comparison.squared_norms) {
            *sum += norm;
        }
        let sums = self.l2.iter_mut().zip(&mut self.squared_distances);
        for ((l2, squared), &distance) in sums.zip(&comparison.squared_distances) {
            *l2 += num_traits::Float::sqrt(distance);
            *squared += distance;
        }
    }

    /// The models whose squares or scores overflow; where only squares of differences do, the larger ones.
    fn overflowing(&self) -> Vec<usize> {
        let norms = &self.squared_norms;
        let is_finite = |model: usize| {
            let score: f64 = self.layer_scores[model].iter().sum();
            norms[model].is_finite() && score.is_finite()
        };
        let mut models: Vec<usize> = (0..norms.len())
            .filter(|&model| !is_finite(model))
            .collect();
        if models.is_empty() {
            models = (pairs_of(norms.len()).zip(&self.squared_distances))
                .filter(|(_, distance)| !distance.is_finite())
                .map(|((first, second), _)| {
                    if norms[first] > norms[second] {
                        first
                    } else {
                        second
                    }
                })
                .collect();
            models.sort_unstable();
            models.dedup();
        }
        models
    }

    fn into_evidence(
        self,
        names: Vec<String>,
        distance: Distance,
    ) -> Result<GroupEvidence, EvidenceError> {
        let models = names.len();
        let distances = match distance {
            Distance::L2 => {
                let layers = self.compared.len() as f64;
                self.l2.iter().map(|sum| sum / layers).collect()
            }
            #[cfg(feature = "svd")]
            Distance::Rank { .. } => self.ranks,
        };
        let squared = CondensedMatrix::new(models, self.squared_distances)?;
        let geometry = Geometry::new(self.squared_norms, squared)?;
        let scored = self.layer_scores.iter().any(|scores| !scores.is_empty());
        let scores = self.layer_scores.iter().map(|scores| scores.iter().sum());
        let scores = scored.then(|| scores.collect());
        let distances = CondensedMatrix::new(models, distances)?;
        let mut evidence = GroupEvidence::new(names, scores, distances)?.with_geometry(geometry)?;
        evidence.layers = self.compared;
        Ok(evidence)
    }
}

fn reading(layer: &LayerShape, error: impl Error + Send + Sync + 'static) -> ModelFailure {
    ModelFailure::Reading {
        layer: layer.name.clone(),
        reason: Cause::new(error),
    }
}

fn fail_all(models: usize, failure: &ModelFailure) -> Interruption {
    Interruption::Failed((0..models).map(|model| (model, failure.clone())).collect())
}

/// Applies `f` to both slices in step, on all available threads, and collects the failures.
fn on_each<A: Send, B: Sync>(
    first: &mut [A],
    second: &[B],
    f: impl Fn(&mut A, &B) -> Result<(), ModelFailure> + Sync + Send,
) -> Result<(), Interruption> {
    let outcomes = parallel::map(first.iter_mut().zip(second), |(a, b)| f(a, b));
    let failures: Vec<(usize, ModelFailure)> = (outcomes.into_iter())
        .enumerate()
        .filter_map(|(index, outcome)| Some((index, outcome.err()?)))
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Interruption::Failed(failures))
    }
}
