//! Compares all models on one layer.

use alloc::vec;
use alloc::vec::Vec;

use super::block::{Block, Piece};
use crate::Scalar;
use crate::pairwise::{PairwiseError, VectorSet};
use crate::parallel;
use crate::registers::in_wide_registers;

/// Bytes for the sums of pieces. Any free thread computes these; afterwards they are added in the order of
/// the layer.
const SUMS: usize = 4 << 20;

/// Sums over the rows of one layer seen so far.
pub(super) struct Comparison {
    /// ‖u‖² of every model.
    pub(super) squared_norms: Vec<f64>,
    /// ‖u − v‖² of every pair, in condensed order.
    pub(super) squared_distances: Vec<f64>,
    /// ‖u‖² of every model over the current, incomplete row.
    row_norms: Vec<f64>,
    /// ‖u − v‖² of every pair over that row.
    row_distances: Vec<f64>,
}

/// The sums of all models over a piece of a row.
struct PieceSums {
    ends_row: bool,
    /// ‖u‖² of every model over the piece.
    norms: Vec<f64>,
    /// ‖u − v‖² of every pair over the piece alone, in condensed order.
    distances: Vec<f64>,
}

/// The pairs of one model with all models after it, and their sums.
struct Pairs<'a> {
    /// Where they begin in condensed order.
    start: usize,
    squared_distances: &'a mut [f64],
    row_distances: &'a mut [f64],
}

impl Comparison {
    pub(super) fn new(models: usize) -> Self {
        let pairs = models * models.saturating_sub(1) / 2;
        Self {
            squared_norms: vec![0.0; models],
            squared_distances: vec![0.0; pairs],
            row_norms: vec![0.0; models],
            row_distances: vec![0.0; pairs],
        }
    }

    /// Adds the next block of the layer, from every model.
    ///
    /// Each pair is summed in the order of the layer, however it is split into blocks and threads.
    ///
    /// # Errors
    ///
    /// The errors of [`VectorSet`], none of which can occur for finite values.
    pub(super) fn add<T: Scalar>(
        &mut self,
        block: Block,
        models: &[Vec<T>],
    ) -> Result<(), PairwiseError> {
        let pieces: Vec<Piece> = block.pieces().collect();
        let at_once = SUMS / size_of_val(self.squared_distances.as_slice()).max(1);
        for pieces in pieces.chunks(at_once.max(1)) {
            let sums = sums_of(pieces, models)?;
            for piece in &sums {
                self.take_norms(piece);
            }
            let take = |mut pairs: Pairs<'_>| sums.iter().for_each(|piece| pairs.take(piece));
            parallel::map(self.pairs(), take);
        }
        Ok(())
    }

    fn take_norms(&mut self, piece: &PieceSums) {
        for (norm, row) in piece.norms.iter().zip(&mut self.row_norms) {
            *row += norm;
        }
        if piece.ends_row {
            for (norm, row) in self.squared_norms.iter_mut().zip(&mut self.row_norms) {
                *norm += *row;
                *row = 0.0;
            }
        }
    }

    /// All pairs, grouped by their first model.
    fn pairs(&mut self) -> Vec<Pairs<'_>> {
        let models = self.squared_norms.len();
        let mut squared_distances = self.squared_distances.as_mut_slice();
        let mut row_distances = self.row_distances.as_mut_slice();
        let mut start = 0;
        let of_first = |first: usize| {
            let count = models - 1 - first;
            let pairs = Pairs {
                start,
                squared_distances: split_off_front(&mut squared_distances, count),
                row_distances: split_off_front(&mut row_distances, count),
            };
            start += count;
            pairs
        };
        (0..models).map(of_first).collect()
    }
}

/// Splits up to `count` values off the front of the slice and returns them.
fn split_off_front<'a, T>(values: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let all = core::mem::take(values);
    let (front, rest) = all.split_at_mut(count.min(all.len()));
    *values = rest;
    front
}

/// The sums of every piece.
fn sums_of<T: Scalar>(
    pieces: &[Piece],
    models: &[Vec<T>],
) -> Result<Vec<PieceSums>, PairwiseError> {
    let sums = |piece: &Piece| PieceSums::new(piece, models);
    parallel::map(pieces, sums).into_iter().collect()
}

impl PieceSums {
    fn new<T: Scalar>(piece: &Piece, models: &[Vec<T>]) -> Result<Self, PairwiseError> {
        let values = models.iter().map(|model| &model[piece.range.clone()]);
        let vectors = VectorSet::new(values.clone())?;
        let mut distances = vec![0.0; models.len() * models.len().saturating_sub(1) / 2];
        let blocks = vectors.row_blocks(&mut distances)?;
        let add = |(rows, output)| vectors.add_squared_distances_of(rows, output);
        (parallel::map(blocks, add).into_iter()).collect::<Result<(), _>>()?;
        Ok(Self {
            ends_row: piece.ends_row,
            norms: values.map(squared_norm).collect(),
            distances,
        })
    }
}

impl Pairs<'_> {
    /// Adds a piece, and the whole row once the piece ends it.
    fn take(&mut self, piece: &PieceSums) {
        let moved = &piece.distances[self.start..];
        for (row, moved) in self.row_distances.iter_mut().zip(moved) {
            *row += moved;
        }
        if piece.ends_row {
            self.end_row();
        }
    }

    fn end_row(&mut self) {
        let row = self.row_distances.iter_mut();
        for (sum, moved) in self.squared_distances.iter_mut().zip(row) {
            *sum += *moved;
            *moved = 0.0;
        }
    }
}

/// ‖u‖² of some values.
fn squared_norm<T: Scalar>(values: &[T]) -> f64 {
    in_wide_registers(
        #[inline(always)]
        || {
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
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::block::MatrixShape;
    use super::*;

    const MODELS: usize = 100;
    const SHAPE: MatrixShape = MatrixShape {
        rows: 260,
        width: 3,
    };

    fn compared(models: &[Vec<f32>], capacity: usize) -> Comparison {
        let mut comparison = Comparison::new(MODELS);
        for block in SHAPE.blocks(capacity) {
            let range = block.offset..block.offset + block.length;
            let values: Vec<Vec<f32>> = models.iter().map(|m| m[range.clone()].to_vec()).collect();
            comparison.add(block, &values).unwrap();
        }
        comparison
    }

    #[test]
    fn more_rows_than_are_worked_out_at_once_add_up() {
        let rows_at_once = SUMS / (8 * MODELS * (MODELS - 1) / 2);
        assert!(2 * rows_at_once < SHAPE.rows);
        let value = |model: usize, index: usize| {
            let bits = (model * 7919 + index) as u32;
            (bits.wrapping_mul(2_654_435_769) >> 8) as f32 / 16_777_216.0
        };
        let models: Vec<Vec<f32>> = (0..MODELS)
            .map(|model| {
                (0..SHAPE.rows * SHAPE.width)
                    .map(|i| value(model, i))
                    .collect()
            })
            .collect();
        let found = compared(&models, usize::MAX);
        let mut pair = 0;
        for (first, u) in models.iter().enumerate() {
            for v in &models[first + 1..] {
                let differences = u.iter().zip(v).map(|(&u, &v)| f64::from(u) - f64::from(v));
                let expected: f64 = differences.map(|d| d * d).sum();
                let distance = found.squared_distances[pair];
                // Differences and their squares are rounded to single precision.
                assert!((distance - expected).abs() < 1e-6 * expected, "{distance}");
                pair += 1;
            }
            let expected: f64 = u.iter().map(|&u| f64::from(u) * f64::from(u)).sum();
            let norm = found.squared_norms[first];
            assert!((norm - expected).abs() < 1e-12 * expected, "{norm}");
        }
        for capacity in [1, 500] {
            let cut = compared(&models, capacity);
            assert_eq!(cut.squared_distances, found.squared_distances);
            assert_eq!(cut.squared_norms, found.squared_norms);
        }
    }
}
