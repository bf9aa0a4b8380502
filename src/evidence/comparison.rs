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

/// Sums over the rows of one layer that were seen so far.
pub(super) struct Comparison {
    width: usize,
    growth: GrowthMeasure,
    /// ‖u‖² of every model.
    pub(super) squared_norms: Vec<f64>,
    /// ‖u − v‖² and growth of every pair, in condensed order.
    pub(super) pairs: Vec<PairSums>,
    /// ‖u‖² of every model over the row that isn't complete.
    row_norms: Vec<f64>,
    /// ‖u − v‖² of every pair over that row.
    row_distances: Vec<f64>,
}

/// What is summed over the rows of a pair.
#[derive(Clone, Default)]
pub(super) struct PairSums {
    pub(super) squared_distance: f64,
    pub(super) growth: RowSums,
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
    growth: GrowthMeasure,
    pairs: &'a mut [PairSums],
    row_distances: &'a mut [f64],
}

impl Comparison {
    /// For a layer whose rows have so many values.
    pub(super) fn new(models: usize, width: usize, growth: GrowthMeasure) -> Self {
        let pairs = models * models.saturating_sub(1) / 2;
        Self {
            width,
            growth,
            squared_norms: vec![0.0; models],
            pairs: vec![PairSums::default(); pairs],
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
        let pieces = block
            .pieces()
            .map(|piece| self.compared(&piece, models))
            .collect::<Result<Vec<_>, _>>()?;
        let add = |mut tile: Tile<'_>| pieces.iter().try_for_each(|piece| tile.add(piece));
        #[cfg(feature = "rayon")]
        return self
            .tiles()
            .into_par_iter()
            .with_max_len(1)
            .try_for_each(add);
        #[cfg(not(feature = "rayon"))]
        return self.tiles().into_iter().try_for_each(add);
    }

    /// Takes the piece into the norms.
    fn compared<'a, T: Scalar>(
        &mut self,
        piece: &Piece,
        models: &'a [Vec<T>],
    ) -> Result<Compared<'a>, PairwiseError> {
        let values = |model: &'a Vec<T>| &model[piece.range.clone()];
        for (norm, model) in self.row_norms.iter_mut().zip(models) {
            *norm += squared_norm(values(model));
        }
        let compared = Compared {
            vectors: VectorSet::new(models.iter().map(values))?,
            row_norms: self.row_norms.clone(),
            ends_row: piece.ends_row,
        };
        if piece.ends_row {
            for (norm, row) in self.squared_norms.iter_mut().zip(&mut self.row_norms) {
                *norm += *row;
                *row = 0.0;
            }
        }
        Ok(compared)
    }

    /// All pairs, in tiles of a few first models.
    fn tiles(&mut self) -> Vec<Tile<'_>> {
        const FIRST_MODELS: usize = 16;
        let models = self.squared_norms.len();
        let mut tiles = Vec::new();
        let mut pairs = self.pairs.as_mut_slice();
        let mut row = self.row_distances.as_mut_slice();
        for start in (0..models).step_by(FIRST_MODELS) {
            let first = start..(start + FIRST_MODELS).min(models);
            let count = first.clone().map(|model| models - 1 - model).sum();
            let (of_tile, other_pairs) = pairs.split_at_mut(count);
            let (row_distances, rest_of_row) = row.split_at_mut(count);
            (pairs, row) = (other_pairs, rest_of_row);
            tiles.push(Tile {
                first,
                width: self.width,
                growth: self.growth,
                pairs: of_tile,
                row_distances,
            });
        }
        tiles
    }
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
        let mut sums = self.pairs.iter_mut().zip(&mut *self.row_distances);
        for first in self.first.clone() {
            let before = norms[first];
            for (&after, (pair, moved)) in norms[first + 1..].iter().zip(&mut sums) {
                pair.squared_distance += *moved;
                if self.growth == GrowthMeasure::Measured {
                    pair.growth.add(self.width, before, after, *moved);
                }
                *moved = 0.0;
            }
        }
    }
}

fn squared_norm<T: Scalar>(values: &[T]) -> f64 {
    // Eight sums, which the compiler can keep in vector registers.
    let mut lanes = [0.0_f64; 8];
    for (index, value) in values.iter().enumerate() {
        lanes[index % 8] += value.widen() * value.widen();
    }
    lanes.iter().sum()
}
