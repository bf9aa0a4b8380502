//! The pass over models, which reads each value once and several tensors at a time.
//!
//! The tensors of all models are split into parts of about a million values. Each round advances sixteen
//! parts by some chunks, on all available threads; the observer is called between rounds. This bounds memory,
//! and one large model keeps all threads as busy as many small ones. Results depend only on the values.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use super::digest::Hasher;
use super::profile::Profiler;
use super::rounding::RoundingSampler;
use super::source::{Architecture, LayerShape, OpenModel};
use super::tied::mark_tied;
use super::{ModelFailure, Signature, SignatureOptions, TensorSignature, is_weight};
use crate::Scalar;
use crate::moments::{MomentsAccumulator, MomentsError};
use crate::parallel;
use crate::progress::{Cancelled, Observer, Phase, ProgressReporter};
use crate::sketch::{MatrixSketcher, RowGroups, RowSampler, SketchError, ValueSampler};
use crate::weights::{
    ElementType, Layer, SkippedLayer, Unfused, WeightSlice, WeightSource, element_count,
};

/// How many values are read at once.
const CHUNK: usize = 16 * MomentsAccumulator::BLOCK;

/// How many values are read at once from a layer that prefers long chunks.
const MOST_PREFERRED: usize = 1 << 22;

/// How many values a part advances in a round.
const ADVANCE: usize = 256 * 1024;

/// How many parts are processed at once.
const PARTS: usize = 16;

/// A part ends with the tensor that brings it up to this many values.
const PART: usize = 1 << 20;

/// A vector that is a weight is arranged in rows of this many values.
const ROW_OF_VECTOR: usize = 64;

/// The number of buckets for tensors that aren't weights.
const BUCKETS_OF_VECTOR: usize = 8;

/// The number of weights for which rows are kept.
const ROW_SAMPLES: usize = 8;

pub(super) fn sign_all<S: WeightSource>(
    options: SignatureOptions,
    models: &[S],
    observer: &mut dyn Observer,
) -> Result<Vec<Result<Signature, ModelFailure>>, Cancelled> {
    let mut reporter = ProgressReporter::new(observer);
    let models: Vec<Unfused<&S>> = models.iter().map(Unfused::new).collect();
    let opened: Vec<_> = models.iter().map(OpenModel::open).collect();
    let mut results: Vec<Result<Vec<Outcome>, ModelFailure>> = Vec::new();
    let (mut waiting, mut work) = (Vec::new(), 0_u64);
    for (number, model) in opened.iter().enumerate() {
        results.push(match model {
            Ok(model) => {
                let parts = parts_of(model);
                let values = parts.iter().map(|part| values_of(model, part.clone()));
                work = work.saturating_add(values.sum());
                waiting.extend(parts.into_iter().map(|part| (number, model, part)));
                Ok(Vec::new())
            }
            Err(failure) => Err(failure.clone()),
        });
    }
    reporter.begin(work);
    let mut waiting = waiting.into_iter();
    let mut active: Vec<Part<'_, '_, Unfused<&S>>> = Vec::new();
    loop {
        let room = PARTS - active.len();
        active.extend(
            (waiting.by_ref().take(room)).map(|(number, model, tensors)| {
                let sampled = sampled_tensors(&model.architecture);
                Part::new(options, number, model, tensors, sampled)
            }),
        );
        if active.is_empty() {
            break;
        }
        let advanced: Vec<u64> = parallel::map(&mut active, Part::advance);
        reporter.tick(Phase::Reading, advanced.iter().sum())?;
        for part in active.extract_if(.., |part| part.is_done()) {
            let result = &mut results[part.number];
            match (part.failure, &mut *result) {
                (Some(failure), Ok(_)) => *result = Err(failure),
                (None, Ok(outcomes)) => outcomes.extend(part.outcomes),
                (_, Err(_)) => {}
            }
        }
    }
    let signatures =
        (models.iter().zip(results)).map(|(model, outcomes)| signature(options, model, outcomes?));
    Ok(signatures.collect())
}

/// The signature of a model that was read, if any of its tensors is a weight.
fn signature<S: WeightSource>(
    options: SignatureOptions,
    model: &S,
    outcomes: Vec<Outcome>,
) -> Result<Signature, ModelFailure> {
    let mut skipped = model.skipped_layers().to_vec();
    let mut tensors = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Signed(tensor) => tensors.push(*tensor),
            Outcome::LeftOut(layer) => skipped.push(layer),
        }
    }
    if !tensors.iter().any(TensorSignature::is_weight) {
        return Err(ModelFailure::NoWeight);
    }
    tensors.sort_by(|first, second| first.name.cmp(&second.name));
    mark_tied(&mut tensors);
    skipped.sort_by(|first, second| first.layer.cmp(&second.layer));
    Ok(Signature {
        name: model.name().into(),
        key: options.key,
        buckets: options.buckets,
        tensors,
        skipped,
    })
}

/// Ranges of a model's tensors that are read one after the other.
fn parts_of<S: WeightSource>(model: &OpenModel<'_, S>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut values) = (0, 0_usize);
    for (at, layer) in model.architecture.iter().enumerate() {
        values = values.saturating_add(element_count(&layer.shape).unwrap_or(0));
        if values >= PART {
            parts.push(start..at + 1);
            (start, values) = (at + 1, 0);
        }
    }
    if start < model.architecture.len() {
        parts.push(start..model.architecture.len());
    }
    parts
}

fn values_of<S: WeightSource>(model: &OpenModel<'_, S>, tensors: Range<usize>) -> u64 {
    let layers = model.architecture[tensors].iter();
    let counts = layers.map(|layer| element_count(&layer.shape).unwrap_or(0) as u64);
    counts.fold(0, u64::saturating_add)
}

/// The largest weights with enough rows, whose rows are sampled; among equal ones, the first by name.
fn sampled_tensors(architecture: &Architecture) -> Vec<usize> {
    let has_enough =
        |&at: &usize| groups_of(&architecture[at].shape).is_some_and(RowSampler::has_enough);
    let mut weights: Vec<usize> = (0..architecture.len())
        .filter(|&at| is_weight(&architecture[at].shape))
        .filter(has_enough)
        .collect();
    weights.sort_by_key(|&at| core::cmp::Reverse(element_count(&architecture[at].shape)));
    weights.truncate(ROW_SAMPLES);
    weights
}

/// The number of buckets per group for a tensor of this shape, given that for weights.
pub(super) fn buckets_of(shape: &[usize], of_weights: usize) -> usize {
    if is_weight(shape) {
        of_weights
    } else {
        BUCKETS_OF_VECTOR
    }
}

/// The row groups of a tensor of this shape; `None` if it can't be split.
pub(super) fn groups_of(shape: &[usize]) -> Option<RowGroups> {
    let length = element_count(shape)?;
    let long = shape.iter().filter(|&&length| length > 1).count();
    let width = match shape.iter().find(|&&length| length > 1) {
        Some(rows) if long > 1 => length / rows,
        _ if is_weight(shape) => ROW_OF_VECTOR,
        _ => length,
    };
    RowGroups::new(length, width.max(1)).ok()
}

/// The result for one tensor.
enum Outcome {
    Signed(Box<TensorSignature>),
    LeftOut(SkippedLayer),
}

/// Some tensors of a model, read one after the other.
struct Part<'a, 'b, S: WeightSource> {
    options: SignatureOptions,
    number: usize,
    model: &'a OpenModel<'b, S>,
    /// The tensors not yet started.
    tensors: Range<usize>,
    /// The model's tensors whose rows are kept.
    sampled: Vec<usize>,
    current: Option<TensorPass<'a>>,
    buffer: Buffer,
    outcomes: Vec<Outcome>,
    failure: Option<ModelFailure>,
}

/// The buffer for values, in the precision in which they are stored.
#[derive(Default)]
struct Buffer {
    single: Vec<f32>,
    double: Vec<f64>,
}

impl<'a, 'b, S: WeightSource> Part<'a, 'b, S> {
    fn new(
        options: SignatureOptions,
        number: usize,
        model: &'a OpenModel<'b, S>,
        tensors: Range<usize>,
        sampled: Vec<usize>,
    ) -> Self {
        Self {
            options,
            number,
            model,
            tensors,
            sampled,
            current: None,
            buffer: Buffer::default(),
            outcomes: Vec::new(),
            failure: None,
        }
    }

    const fn is_done(&self) -> bool {
        self.failure.is_some() || (self.current.is_none() && self.tensors.start >= self.tensors.end)
    }

    /// Reads some values and returns their number.
    fn advance(&mut self) -> u64 {
        let mut advanced = 0;
        while advanced < ADVANCE && !self.is_done() {
            let pass = match self.current.take() {
                Some(pass) => pass,
                None => match self.next_pass() {
                    Ok(Some(pass)) => pass,
                    Ok(None) => continue,
                    Err(failure) => {
                        self.failure = Some(failure);
                        break;
                    }
                },
            };
            match self.read_chunk(pass) {
                Ok(read) => advanced += read,
                Err(failure) => self.failure = Some(failure),
            }
        }
        advanced as u64
    }

    /// Starts the next tensor; `None` if its values can't be sketched.
    fn next_pass(&mut self) -> Result<Option<TensorPass<'a>>, ModelFailure> {
        let Some(at) = self.tensors.next() else {
            return Ok(None);
        };
        let model = self.model;
        let layer = &model.architecture[at];
        let too_large = || ModelFailure::TooLarge {
            layer: layer.name.clone(),
        };
        let groups = groups_of(&layer.shape).ok_or_else(too_large)?;
        let buckets = buckets_of(&layer.shape, self.options.buckets);
        let sketcher = MatrixSketcher::new(groups, buckets, self.options.key);
        Ok(Some(TensorPass {
            layer,
            stored: model.element_type(layer).unwrap_or(ElementType::F32),
            length: groups.length(),
            position: 0,
            rounding: model.rounding(layer)?,
            is_cut: model.layer(layer).is_some_and(Layer::is_cut_from_fused),
            sums: Sums {
                moments: MomentsAccumulator::new(),
                hasher: Hasher::new(),
                profiler: Profiler::new(),
                rounding: RoundingSampler::new(groups),
                sketcher: sketcher.map_err(|_| too_large())?,
                rows: (self.sampled.contains(&at))
                    .then(|| RowSampler::new(groups, self.options.key)),
                values: is_weight(&layer.shape)
                    .then(|| ValueSampler::new(groups, self.options.key)),
            },
        }))
    }

    /// Reads the next values of a tensor, and finishes it after the last.
    fn read_chunk(&mut self, mut pass: TensorPass<'a>) -> Result<usize, ModelFailure> {
        let preferred = (self.model.layer(pass.layer)).map_or(1, Layer::preferred_length);
        let length = CHUNK
            .max(preferred.min(MOST_PREFERRED))
            .min(pass.length - pass.position);
        match pass.read(self.model, length, &mut self.buffer)? {
            Err(reason) => self.outcomes.push(left_out(pass.layer, reason)),
            Ok(()) if pass.position < pass.length => self.current = Some(pass),
            Ok(()) => self.outcomes.push(pass.finish()),
        }
        Ok(length)
    }
}

/// A tensor that is being read.
struct TensorPass<'a> {
    layer: &'a LayerShape,
    stored: ElementType,
    length: usize,
    position: usize,
    /// The mean squared change from rounding, if the source knows it.
    rounding: Option<f64>,
    /// Whether it is a part of a stored tensor.
    is_cut: bool,
    sums: Sums,
}

/// The statistics accumulated for a tensor.
struct Sums {
    moments: MomentsAccumulator,
    hasher: Hasher,
    profiler: Profiler,
    rounding: RoundingSampler,
    sketcher: MatrixSketcher,
    rows: Option<RowSampler>,
    values: Option<ValueSampler>,
}

impl TensorPass<'_> {
    /// Reads the next values. The inner error says why the tensor must be left out.
    fn read<S: WeightSource>(
        &mut self,
        model: &OpenModel<'_, S>,
        length: usize,
        buffer: &mut Buffer,
    ) -> Result<Result<(), String>, ModelFailure> {
        let range = self.position..self.position + length;
        let taken = match model.layer(self.layer).and_then(Layer::as_slice) {
            Some(WeightSlice::F32(values)) if range.end <= values.len() => {
                self.sums.take(&values[range])
            }
            Some(WeightSlice::F64(values)) if range.end <= values.len() => {
                self.sums.take(&values[range])
            }
            _ if self.stored == ElementType::F64 => {
                self.read_and_take(model, length, &mut buffer.double)?
            }
            _ => self.read_and_take(model, length, &mut buffer.single)?,
        };
        self.position += length;
        Ok(taken)
    }

    fn read_and_take<S: WeightSource, T: Scalar>(
        &mut self,
        model: &OpenModel<'_, S>,
        length: usize,
        buffer: &mut Vec<T>,
    ) -> Result<Result<(), String>, ModelFailure> {
        buffer.resize(length.max(buffer.len()), T::zero());
        let values = &mut buffer[..length];
        model.read_unchecked(self.layer, self.position, values)?;
        Ok(self.sums.take(values))
    }

    fn finish(self) -> Outcome {
        let sketch = match self.sums.sketcher.finish() {
            Ok(sketch) => sketch,
            Err(error) => return left_out(self.layer, error.to_string()),
        };
        let (digest, samples) = self.sums.hasher.finish(self.length);
        let mut profile = self.sums.profiler.finish();
        profile.rounding = self.sums.rounding.finish(&profile).or(self.rounding);
        Outcome::Signed(Box::new(TensorSignature {
            name: self.layer.name.clone(),
            shape: self.layer.shape.clone(),
            element_type: self.stored,
            digest,
            samples,
            moments: self.sums.moments.moments(),
            profile,
            sketch,
            rows: self.sums.rows.map(RowSampler::finish),
            values: (self.sums.values).map_or_else(Vec::new, ValueSampler::finish),
            is_cut: self.is_cut,
            is_tied: false,
        }))
    }
}

fn left_out(layer: &LayerShape, reason: String) -> Outcome {
    Outcome::LeftOut(SkippedLayer {
        layer: layer.name.clone(),
        reason,
    })
}

impl Sums {
    fn take<T: Scalar>(&mut self, values: &[T]) -> Result<(), String> {
        self.moments
            .extend_from_slice(values)
            .map_err(|error| match error {
                MomentsError::NotFinite { position, value } => {
                    format!("contains {value} at index {position}")
                }
                error => error.to_string(),
            })?;
        let sketched = self.sketcher.extend_from_slice(values);
        sketched.map_err(|error: SketchError| error.to_string())?;
        self.hasher.extend(values);
        self.profiler.extend(values);
        self.rounding.extend(values);
        if let Some(rows) = &mut self.rows {
            rows.extend(values);
        }
        if let Some(sampler) = &mut self.values {
            sampler.extend(values);
        }
        Ok(())
    }
}
