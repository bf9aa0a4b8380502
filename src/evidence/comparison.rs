//! Comparing all models on one layer, row by row.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

#[cfg(feature = "rayon")]
use rayon::prelude::*;

use super::GrowthMeasure;
use super::block::{Block, Piece};
use crate::Scalar;
use crate::growth::RowSums;
use crate::pairwise::{PairwiseError, VectorSet};

/// What is read again for every tile should stay in the processor's cache: so many bytes of all models.
const CACHED: usize = 4 << 20;

/// Sums over the rows of one layer that were seen so far.
pub(super) struct Comparison {
    width: usize,
    /// ‖u‖² of every model.
    pub(super) squared_norms: Vec<f64>,
    /// ‖u − v‖² of every pair, in condensed order.
    pub(super) squared_distances: Vec<f64>,
    /// Of every pair, in condensed order; of none where growth isn't measured.
    pub(super) growth: Vec<RowSums>,
    /// ‖u‖² of every model over the row that isn't complete.
    row_norms: Vec<f64>,
    /// ‖u − v‖² of every pair over that row.
    row_distances: Vec<f64>,
}

/// A piece of a row of all models: their values, and their ‖u‖² over the row up to its end.
struct Compared<'a> {
    vectors: VectorSet<'a>,
    row_norms: Vec<f64>,
    ends_row: bool,
}

/// The pairs (first, second > first) of some first models, with their sums.
struct Tile<'a> {
    first: Range<usize>,
    width: usize,
    squared_distances: &'a mut [f64],
    growth: &'a mut [RowSums],
    row_distances: &'a mut [f64],
}

impl Comparison {
    /// For a layer whose rows have so many values.
    pub(super) fn new(models: usize, width: usize, growth: GrowthMeasure) -> Self {
        let pairs = models * models.saturating_sub(1) / 2;
        let grown = match growth {
            GrowthMeasure::Measured => pairs,
            GrowthMeasure::LeftOut => 0,
        };
        Self {
            width,
            squared_norms: vec![0.0; models],
            squared_distances: vec![0.0; pairs],
            growth: vec![RowSums::new(); grown],
            row_norms: vec![0.0; models],
            row_distances: vec![0.0; pairs],
        }
    }

    /// Takes the next block of the layer, of every model.
    ///
    /// Every pair's additions come in the order of the layer, whatever the tiles and threads.
    ///
    /// # Errors
    ///
    /// Those of [`VectorSet`], none of which is possible for finite values.
    pub(super) fn add<T: Scalar>(
        &mut self,
        block: Block,
        models: &[Vec<T>],
    ) -> Result<(), PairwiseError> {
        let pieces: Vec<Piece> = block.pieces().collect();
        let longest = self.width.min(Block::LONGEST_PIECE);
        let at_once = CACHED / (models.len() * longest * size_of::<T>()).max(1);
        for pieces in pieces.chunks(at_once.max(1)) {
            let mut compared = compare(pieces, models)?;
            for piece in &mut compared {
                self.take_norms(piece);
            }
            let add = |mut tile: Tile<'_>| compared.iter().try_for_each(|piece| tile.add(piece));
            #[cfg(feature = "rayon")]
            self.tiles()
                .into_par_iter()
                .with_max_len(1)
                .try_for_each(add)?;
            #[cfg(not(feature = "rayon"))]
            self.tiles().into_iter().try_for_each(add)?;
        }
        Ok(())
    }

    /// Takes the norms of a piece, and makes them those of its row.
    fn take_norms(&mut self, piece: &mut Compared<'_>) {
        for (norm, row) in piece.row_norms.iter_mut().zip(&mut self.row_norms) {
            *row += *norm;
            *norm = *row;
        }
        if piece.ends_row {
            for (norm, row) in self.squared_norms.iter_mut().zip(&mut self.row_norms) {
                *norm += *row;
                *row = 0.0;
            }
        }
    }

    /// All pairs, in tiles of a few first models.
    fn tiles(&mut self) -> Vec<Tile<'_>> {
        const FIRST_MODELS: usize = 16;
        let models = self.squared_norms.len();
        let mut tiles = Vec::new();
        let mut squared_distances = self.squared_distances.as_mut_slice();
        let mut growth = self.growth.as_mut_slice();
        let mut row_distances = self.row_distances.as_mut_slice();
        for start in (0..models).step_by(FIRST_MODELS) {
            let first = start..(start + FIRST_MODELS).min(models);
            let count = first.clone().map(|model| models - 1 - model).sum();
            tiles.push(Tile {
                first,
                width: self.width,
                squared_distances: split_off_front(&mut squared_distances, count),
                growth: split_off_front(&mut growth, count),
                row_distances: split_off_front(&mut row_distances, count),
            });
        }
        tiles
    }
}

/// The first values, as many as there are up to `count`, which are taken off the slice.
fn split_off_front<'a, T>(values: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let all = core::mem::take(values);
    let (front, rest) = all.split_at_mut(count.min(all.len()));
    *values = rest;
    front
}

/// The pieces of all models, each with its own norms.
fn compare<'a, T: Scalar>(
    pieces: &[Piece],
    models: &'a [Vec<T>],
) -> Result<Vec<Compared<'a>>, PairwiseError> {
    let compare = |piece: &Piece| {
        let values = |model: &'a Vec<T>| &model[piece.range.clone()];
        Ok(Compared {
            row_norms: models.iter().map(|m| squared_norm(values(m))).collect(),
            vectors: VectorSet::new(models.iter().map(values))?,
            ends_row: piece.ends_row,
        })
    };
    #[cfg(feature = "rayon")]
    return pieces.par_iter().map(compare).collect();
    #[cfg(not(feature = "rayon"))]
    return pieces.iter().map(compare).collect();
}

impl Tile<'_> {
    fn add(&mut self, piece: &Compared<'_>) -> Result<(), PairwiseError> {
        piece
            .vectors
            .add_squared_distances_of(self.first.clone(), self.row_distances)?;
        if piece.ends_row {
            self.end_row(&piece.row_norms);
        }
        Ok(())
    }

    fn end_row(&mut self, norms: &[f64]) {
        let mut grown = self.growth.iter_mut().zip(&*self.row_distances);
        for first in self.first.clone() {
            let before = norms[first];
            for (&after, (growth, &moved)) in norms[first + 1..].iter().zip(&mut grown) {
                growth.add(self.width, before, after, moved);
            }
        }
        let row = self.row_distances.iter_mut();
        for (sum, moved) in self.squared_distances.iter_mut().zip(row) {
            *sum += *moved;
            *moved = 0.0;
        }
    }
}

/// Compiled for the vector registers that the machine turns out to have.
fn squared_norm<T: Scalar>(values: &[T]) -> f64 {
    #[cfg(feature = "std")]
    return pulp::Arch::new().dispatch(|| sum_of_squares(values));
    #[cfg(not(feature = "std"))]
    sum_of_squares(values)
}

#[inline(always)]
fn sum_of_squares<T: Scalar>(values: &[T]) -> f64 {
    // Eight sums, which the compiler can keep in vector registers.
    let mut lanes = [0.0_f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value.widen() * value.widen();
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value.widen() * value.widen();
    }
    lanes.iter().sum()
}
