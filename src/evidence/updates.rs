//! The rank of the update that turns one model into another; both are read again to find it.

use alloc::string::String;
use alloc::vec::Vec;

use super::block::MatrixShape;
use crate::rank::{MatrixView, RankError, RoundingNoise, SingularValueSolver, Tolerance};
use crate::signature::{Cause, LayerShape, ModelFailure, OpenModel};
use crate::weights::{ElementType, Unfused, WeightSource};

/// The number of rows and columns examined in larger matrices.
const SIDE: usize = 128;

/// How many values are read at once.
const SEGMENT: usize = 64 * 1024;

/// If weights are trained in the precision in which they are stored, the arithmetic leaves errors as large as
/// rounding to storage does. Singular values of updates of known rank were below twice what storing explains;
/// this margin is twice that.
const ARITHMETIC: f64 = 4.0;

/// The bits of the significand of a half-precision number.
const HALF_PRECISION: u32 = 11;

/// The rank of the difference of two models.
///
/// Low-rank training such as LoRA adds a matrix of low rank to each layer it trains. Training all weights
/// changes them by matrices of full rank.
///
/// # Examples
///
/// ```
/// use mother::evidence::UpdateRank;
/// use mother::weights::InMemoryModel;
///
/// let model = |name, update: f32| {
///     let value = |i: usize| (i * i % 17) as f32 + update * ((i / 8) * (i % 8)) as f32;
///     InMemoryModel::new(name).with_layer("w", [8, 8], (0..64).map(value).collect::<Vec<_>>())
/// };
/// let rank = UpdateRank::between(&model("base", 0.0)?, &model("chat", 0.5)?, &["w".into()])?;
/// assert_eq!((rank.rank, rank.full_rank), (1, 8));
/// assert!(rank.is_low_rank());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UpdateRank {
    /// The largest rank of any layer's difference. Once a layer's rank exceeds half of the largest possible
    /// one, later layers aren't read.
    pub rank: usize,
    /// The largest rank that the difference of any layer could have.
    pub full_rank: usize,
}

impl UpdateRank {
    /// Reads some layers of two models and finds the ranks of their differences. Layers that one model lacks,
    /// or has in a different shape, are skipped. Names are those in signatures, where fused layers are split
    /// (see [`Unfused`]).
    ///
    /// If a matrix has more than 128 rows or columns, 128 evenly spaced ones are used. Almost every such part
    /// of a low-rank matrix has the rank of the whole. If the part has full rank, so does the matrix, or
    /// nearly.
    ///
    /// # Errors
    ///
    /// [`ModelFailure`] if a model can't be read, a value isn't finite, or singular values can't be computed.
    ///
    /// # Complexity
    ///
    /// At most O(values) time to read, and O(128³) for each layer.
    pub fn between<A: WeightSource, B: WeightSource>(
        first: &A,
        second: &B,
        layers: &[String],
    ) -> Result<Self, ModelFailure> {
        let pairs: Vec<(&str, &str)> = layers.iter().map(|name| (&**name, &**name)).collect();
        Self::between_matched(first, second, &pairs)
    }

    /// Like [`between`](Self::between), but for layers whose names may differ. Each is given by its name in
    /// the first and in the second model, as [`Matching`](super::Matching) finds them.
    ///
    /// # Errors
    ///
    /// The same as for [`between`](Self::between).
    ///
    /// # Complexity
    ///
    /// The same as for [`between`](Self::between).
    pub fn between_matched<A: WeightSource, B: WeightSource>(
        first: &A,
        second: &B,
        layers: &[(&str, &str)],
    ) -> Result<Self, ModelFailure> {
        let (first, second) = (Unfused::new(first), Unfused::new(second));
        let (first, second) = (OpenModel::open(&first)?, OpenModel::open(&second)?);
        let pair = |&(in_first, in_second): &(&str, &str)| {
            let (layer, other) = (first.layer_shape(in_first)?, second.layer_shape(in_second)?);
            (layer.shape == other.shape).then_some((layer, other))
        };
        let mut shared: Vec<(&LayerShape, &LayerShape)> = layers.iter().filter_map(pair).collect();
        // The layer with the largest possible rank is the first to distinguish full updates from others.
        shared.sort_by_key(|(layer, _)| core::cmp::Reverse(largest_rank(layer)));
        let mut update = Self {
            rank: 0,
            full_rank: shared.first().map_or(0, |(layer, _)| largest_rank(layer)),
        };
        let mut solver = SingularValueSolver::new();
        for (layer, other) in shared {
            if !update.is_low_rank() {
                break;
            }
            let parts = [read_part(&first, layer)?, read_part(&second, other)?];
            let stored = [first.element_type(layer), second.element_type(other)];
            let rank = rank_of_update(&mut solver, layer, &parts, stored);
            update.rank = update.rank.max(rank.map_err(|error| ModelFailure::Rank {
                layer: layer.name.clone(),
                reason: Cause::new(error),
            })?);
        }
        Ok(update)
    }

    /// Whether every layer's rank is at most half of the largest possible one.
    #[must_use]
    pub const fn is_low_rank(&self) -> bool {
        self.rank <= self.full_rank / 2
    }
}

/// The largest possible rank of a layer's difference.
fn largest_rank(layer: &LayerShape) -> usize {
    let shape = MatrixShape::of_matrix(layer);
    shape.rows.min(shape.width)
}

/// At most [`SIDE`] rows and columns of a layer, evenly spaced.
fn read_part<S: WeightSource>(
    model: &OpenModel<'_, S>,
    layer: &LayerShape,
) -> Result<Vec<f64>, ModelFailure> {
    let MatrixShape { rows, width } = MatrixShape::of_matrix(layer);
    let (chosen_rows, chosen_columns) = (rows.min(SIDE), width.min(SIDE));
    let mut part = Vec::with_capacity(chosen_rows * chosen_columns);
    let mut segment = Vec::new();
    let mut read = None;
    for row in (0..chosen_rows).map(|row| row * rows / chosen_rows) {
        for column in (0..chosen_columns).map(|column| column * width / chosen_columns) {
            let index = row * width + column;
            let start = index - index % SEGMENT;
            if read != Some(start) {
                segment.resize(SEGMENT.min(rows * width - start), 0.0_f64);
                model.read(layer, start, &mut segment)?;
                read = Some(start);
            }
            part.push(segment[index - start]);
        }
    }
    Ok(part)
}

/// The rank of the difference of two parts of a layer.
fn rank_of_update(
    solver: &mut SingularValueSolver,
    layer: &LayerShape,
    parts: &[Vec<f64>; 2],
    stored: [Option<ElementType>; 2],
) -> Result<usize, RankError> {
    if parts[0] == parts[1] {
        return Ok(0);
    }
    let shape = MatrixShape::of_matrix(layer);
    let (rows, columns) = (shape.rows.min(SIDE), shape.width.min(SIDE));
    let rank = rank_above_rounding(solver, parts, (rows, columns), stored)?;
    Ok(if rank == rows.min(columns) {
        largest_rank(layer)
    } else {
        rank
    })
}

/// The number of singular values of the difference that rounding of the stored values can't explain.
fn rank_above_rounding(
    solver: &mut SingularValueSolver,
    parts: &[Vec<f64>; 2],
    (rows, columns): (usize, usize),
    stored: [Option<ElementType>; 2],
) -> Result<usize, RankError> {
    let mut noises = stored.map(|stored| RoundingNoise::new(stored.unwrap_or(ElementType::F32)));
    for (noise, part) in noises.iter_mut().zip(parts) {
        noise.extend(part)?;
    }
    let deviation = noises[0].deviation_of_difference(&noises[1]);
    let first = MatrixView::new(&parts[0], rows, columns)?;
    let second = MatrixView::new(&parts[1], rows, columns)?;
    let coarse = noises.iter().any(|noise| {
        let format = noise.format();
        let bits = format.significand_bits();
        format.code_bits().is_none() && bits.is_some_and(|bits| bits <= HALF_PRECISION)
    });
    let margin = if coarse { 1.0 } else { ARITHMETIC };
    let deviation = margin * deviation.unwrap_or(0.0);
    solver.rank_of_difference(first, second, Tolerance::RoundingNoise { deviation })
}
