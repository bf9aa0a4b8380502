//! Measuring the rank of updates: of pairs between which no third model lies.

use alloc::string::ToString;
use alloc::vec::Vec;

#[cfg(feature = "rayon")]
use rayon::prelude::*;

use super::architecture::LayerShape;
use super::block::MatrixShape;
use super::candidate::Candidate;
use super::copies::SeenLayer;
use super::digest::Digest;
use super::group::Interruption;
use super::observer::{Clock, Phase};
use super::{Geometry, ModelCopy, ModelFailure, Update};
use crate::rank::{
    FloatFormat, MatrixView, RankError, RoundingNoise, SingularValueSolver, Tolerance,
};
use crate::weights::{ElementType, WeightSource};

/// Of larger matrices so many rows and columns are looked at.
const SIDE: usize = 128;

/// So many pairs are looked at before the observer is asked again.
const AT_ONCE: usize = 64;

/// A third model that is so much nearer to both than they are to each other lies between them.
const BETWEEN: f64 = 0.6;

/// Where weights are trained in the precision that they are stored in, the arithmetic of training
/// leaves errors of the size of those that storing leaves: singular values of updates of known rank
/// were below twice what storing explains. This margin is twice that.
const ARITHMETIC: f64 = 4.0;

/// The updates of all related pairs between which no third model lies, but for copies, which were
/// not trained.
///
/// Squared distances add up along a tree, so the edges of the tree are among them. The difference of
/// unrelated models is no update: it holds the weights of both.
///
/// # Errors
///
/// The models that couldn't be read again, and why; that the observer stops it.
pub(super) fn find_updates<S: WeightSource>(
    members: &[&Candidate<'_, S>],
    layers: &[SeenLayer<'_>],
    geometry: &Geometry,
    copies: &[ModelCopy],
    clock: &mut Clock<'_>,
) -> Result<Vec<Update>, Interruption> {
    let is_copy = |model: usize| copies.iter().any(|copy| copy.copy == model);
    let trained: Vec<usize> = (0..members.len())
        .filter(|&model| !is_copy(model))
        .collect();
    let pairs = relative_neighbours(geometry, &trained);
    let mut layers: Vec<&SeenLayer<'_>> = layers.iter().collect();
    // Where the largest rank can be is the first that tells full updates from others.
    layers.sort_by_key(|layer| core::cmp::Reverse(largest_rank(layer.shape)));
    let full_rank = layers.first().map_or(0, |layer| largest_rank(layer.shape));
    let update_of = |solver: &mut SingularValueSolver, &(first, second): &(usize, usize)| {
        let mut update = Update {
            first,
            second,
            rank: 0,
            full_rank,
        };
        for layer in &layers {
            if !update.is_low_rank() {
                break;
            }
            let pair = [(first, members[first]), (second, members[second])];
            update.rank = update.rank.max(rank_of_update(solver, layer, pair)?);
        }
        Ok(update)
    };
    let mut outcomes = Vec::with_capacity(pairs.len());
    for pairs in pairs.chunks(AT_ONCE) {
        clock.tick(Phase::Comparing, 0)?;
        outcomes.extend(for_each_pair(pairs, update_of));
    }
    let mut updates = Vec::new();
    let mut failures: Vec<(usize, ModelFailure)> = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(update) => updates.push(update),
            Err((model, _)) if failures.iter().any(|(failed, _)| *failed == model) => {}
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() {
        Ok(updates)
    } else {
        Err(Interruption::Failed(failures))
    }
}

/// The related pairs that have no third model much nearer to both than they are to each other.
fn relative_neighbours(geometry: &Geometry, models: &[usize]) -> Vec<(usize, usize)> {
    let distance = |u, v| geometry.squared_distances().distance(u, v).unwrap_or(0.0);
    let unrelatedness = |u, v| geometry.unrelatedness(u, v).unwrap_or(1.0);
    let mut pairs = Vec::new();
    for (at, &first) in models.iter().enumerate() {
        for &second in &models[at + 1..] {
            let between = distance(first, second);
            let nearer = |&third: &usize| {
                third != first
                    && third != second
                    && distance(first, third).max(distance(third, second)) < BETWEEN * between
            };
            let related = between > 0.0 && unrelatedness(first, second) <= Geometry::UNRELATED;
            if related && !models.iter().any(nearer) {
                pairs.push((first, second));
            }
        }
    }
    pairs
}

/// The largest rank that the difference of a layer can have.
fn largest_rank(layer: &LayerShape) -> usize {
    let shape = MatrixShape::of_matrix(layer);
    shape.rows.min(shape.width)
}

/// The rank of the difference of two models on one layer.
///
/// Of a large matrix it is that of rows and columns evenly spaced over it. Almost every such part of
/// a matrix of low rank has its rank; where the part has full rank, so has the matrix, or nearly.
fn rank_of_update<S: WeightSource>(
    solver: &mut SingularValueSolver,
    layer: &SeenLayer<'_>,
    pair: [(usize, &Candidate<'_, S>); 2],
) -> Result<usize, (usize, ModelFailure)> {
    let shape = MatrixShape::of_matrix(layer.shape);
    let mut parts = [Vec::new(), Vec::new()];
    for (part, (model, candidate)) in parts.iter_mut().zip(pair) {
        let read = read_part(candidate, layer.shape, &layer.digests[model]);
        *part = read.map_err(|failure| (model, failure))?;
    }
    if parts[0] == parts[1] {
        return Ok(0);
    }
    let stored = pair.map(|(_, candidate)| candidate.element_type(layer.shape));
    let (rows, columns) = (shape.rows.min(SIDE), shape.width.min(SIDE));
    let rank = rank_above_rounding(solver, &parts, (rows, columns), stored);
    let rank = rank.map_err(|error| {
        let failure = ModelFailure::Rank {
            layer: layer.shape.name.clone(),
            reason: error.to_string(),
        };
        (pair[0].0, failure)
    })?;
    Ok(if rank == rows.min(columns) {
        largest_rank(layer.shape)
    } else {
        rank
    })
}

/// At most [`SIDE`] rows and columns of a layer, evenly spaced.
fn read_part<S: WeightSource>(
    candidate: &Candidate<'_, S>,
    layer: &LayerShape,
    seen: &Digest,
) -> Result<Vec<f64>, ModelFailure> {
    let MatrixShape { rows, width } = MatrixShape::of_matrix(layer);
    let (chosen_rows, chosen_columns) = (rows.min(SIDE), width.min(SIDE));
    let mut part = Vec::with_capacity(chosen_rows * chosen_columns);
    let mut segment = Vec::new();
    let mut read = None;
    for row in (0..chosen_rows).map(|row| row * rows / chosen_rows) {
        for column in (0..chosen_columns).map(|column| column * width / chosen_columns) {
            let index = row * width + column;
            let start = index - index % Digest::SEGMENT;
            if read != Some(start) {
                segment.resize(Digest::SEGMENT.min(rows * width - start), 0.0_f64);
                candidate.read_segment_again(layer, start, &mut segment, seen)?;
                read = Some(start);
            }
            part.push(segment[index - start]);
        }
    }
    Ok(part)
}

/// The singular values of the difference that rounding of the stored values can't explain.
fn rank_above_rounding(
    solver: &mut SingularValueSolver,
    parts: &[Vec<f64>; 2],
    (rows, columns): (usize, usize),
    stored: [Option<ElementType>; 2],
) -> Result<usize, RankError> {
    let mut noises = [FloatFormat::F64; 2].map(RoundingNoise::new);
    for ((noise, part), stored) in noises.iter_mut().zip(parts).zip(stored) {
        *noise = RoundingNoise::new(format_of(stored));
        noise.extend(part)?;
    }
    let deviation = noises[0].deviation_of_difference(&noises[1]);
    let first = MatrixView::new(&parts[0], rows, columns)?;
    let second = MatrixView::new(&parts[1], rows, columns)?;
    let found = solver.singular_values_of_difference(first, second)?;
    let sixteen_bits = FloatFormat::F16.epsilon();
    let coarse = noises
        .iter()
        .any(|noise| noise.format().epsilon() >= sixteen_bits);
    let margin = if coarse { 1.0 } else { ARITHMETIC };
    let deviation = margin * deviation.unwrap_or(0.0);
    Ok(found.rank(Tolerance::RoundingNoise { deviation })?.value())
}

/// The format that rounded the stored values; what is stored as integers was rounded before.
fn format_of(stored: Option<ElementType>) -> FloatFormat {
    match stored {
        Some(ElementType::F64) => FloatFormat::F64,
        #[cfg(feature = "half")]
        Some(ElementType::F16) => FloatFormat::F16,
        #[cfg(feature = "half")]
        Some(ElementType::Bf16) => FloatFormat::BF16,
        Some(ElementType::F8E4M3) => FloatFormat::F8_E4M3,
        Some(ElementType::F8E5M2) => FloatFormat::F8_E5M2,
        _ => FloatFormat::F32,
    }
}

/// Applies `work` to every pair, with a solver for each thread.
fn for_each_pair<R: Send>(
    pairs: &[(usize, usize)],
    work: impl Fn(&mut SingularValueSolver, &(usize, usize)) -> R + Sync + Send,
) -> Vec<R> {
    #[cfg(feature = "rayon")]
    return pairs
        .par_iter()
        .map_init(SingularValueSolver::new, work)
        .collect();
    #[cfg(not(feature = "rayon"))]
    {
        let mut solver = SingularValueSolver::new();
        pairs.iter().map(|pair| work(&mut solver, pair)).collect()
    }
}
