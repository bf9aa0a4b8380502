//! How a layer is cut into blocks, which are read at once, and pieces of rows, which are summed at once.

use core::ops::Range;

use crate::moments::MomentsAccumulator;
use crate::signature::{LayerShape, is_weight_matrix};
use crate::weights::element_count;

/// The longest run of values that is summed at once.
///
/// Pieces begin at multiples of this length in their row, whatever the blocks are, so results don't depend on
/// how much memory was available. Being a multiple of the accumulator's block also makes moments fastest.
const PIECE: usize = MomentsAccumulator::BLOCK;

/// A layer as a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MatrixShape {
    pub(super) rows: usize,
    pub(super) width: usize,
}

impl MatrixShape {
    /// One row for each output, holding all its inputs: the first dimension counts outputs. A vector is a
    /// single row.
    pub(super) fn of_outputs(layer: &LayerShape) -> Self {
        let outputs = layer
            .shape
            .first()
            .copied()
            .filter(|_| is_weight_matrix(&layer.shape));
        Self::with_rows(layer, outputs.unwrap_or(1))
    }

    /// Takes the first dimension longer than 1 as rows, so that the rank can be that of a matrix.
    #[cfg(feature = "svd")]
    pub(super) fn of_matrix(layer: &LayerShape) -> Self {
        let rows = layer.shape.iter().copied().find(|&dimension| dimension > 1);
        Self::with_rows(layer, rows.unwrap_or(1))
    }

    fn with_rows(layer: &LayerShape, rows: usize) -> Self {
        let length = element_count(&layer.shape).unwrap_or(0);
        Self {
            rows,
            width: length / rows,
        }
    }

    /// The blocks in the layer's order, each of at most `capacity` values, but at least one piece.
    pub(super) fn blocks(self, capacity: usize) -> impl Iterator<Item = Block> {
        let Self { rows, width } = self;
        let rows_at_once = (capacity / width.max(1)).clamp(1, rows.max(1));
        // A row that is too long is cut at the start of a piece.
        let part = if rows_at_once == 1 {
            (capacity / PIECE).max(1) * PIECE
        } else {
            rows_at_once * width
        };
        let span = rows_at_once * width;
        (0..rows * width)
            .step_by(span.max(1))
            .flat_map(move |start| {
                let end = (start + span).min(rows * width);
                (start..end).step_by(part).map(move |offset| Block {
                    offset,
                    length: part.min(end - offset),
                    width,
                })
            })
    }
}

/// Values of a layer that are read at once: whole rows or a part of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) offset: usize,
    pub(super) length: usize,
    width: usize,
}

/// Values that are summed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Their range in the block.
    pub(super) range: Range<usize>,
    /// Whether the piece ends its row.
    pub(super) ends_row: bool,
}

impl Block {
    pub(super) fn pieces(self) -> impl Iterator<Item = Piece> {
        let Self {
            offset,
            length,
            width,
        } = self;
        let mut start = 0;
        core::iter::from_fn(move || {
            if start >= length {
                return None;
            }
            let rest_of_row = width - (offset + start) % width;
            let end = start + PIECE.min(rest_of_row).min(length - start);
            let piece = Piece {
                range: start..end,
                ends_row: end - start == rest_of_row,
            };
            start = end;
            Some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Where pieces begin and end in the layer.
    fn pieces(shape: MatrixShape, capacity: usize) -> Vec<(Range<usize>, bool)> {
        shape
            .blocks(capacity)
            .flat_map(|block| {
                block.pieces().map(move |piece| {
                    let range = block.offset + piece.range.start..block.offset + piece.range.end;
                    (range, piece.ends_row)
                })
            })
            .collect()
    }

    #[test]
    fn pieces_are_the_same_whatever_the_capacity() {
        for (rows, width) in [
            (1, 1),
            (3, 5),
            (7, PIECE),
            (2, PIECE + 1),
            (3, 5 * PIECE - 1),
        ] {
            let shape = MatrixShape { rows, width };
            let expected = pieces(shape, usize::MAX);
            assert_eq!(
                expected.iter().filter(|(_, ends_row)| *ends_row).count(),
                rows
            );
            let covered = expected.iter().flat_map(|(range, _)| range.clone());
            assert!(covered.eq(0..rows * width));
            for capacity in [
                0,
                1,
                4,
                5,
                6,
                11,
                PIECE - 1,
                PIECE,
                2 * PIECE,
                9 * PIECE + 3,
            ] {
                assert_eq!(pieces(shape, capacity), expected, "{shape:?} {capacity}");
                let longest = shape.blocks(capacity).map(|block| block.length).max();
                assert!(longest <= Some(capacity.max(PIECE)), "{shape:?} {capacity}");
            }
        }
    }

    #[test]
    fn a_layer_without_values_has_no_blocks() {
        let shape = MatrixShape { rows: 1, width: 0 };
        assert_eq!(shape.blocks(10).count(), 0);
    }

    #[test]
    fn rows_are_outputs() {
        for (shape, rows, width) in [
            (&[8, 3, 5][..], 8, 15),
            (&[1, 4, 6], 1, 24),
            (&[7], 1, 7),
            (&[1, 7], 1, 7),
            (&[], 1, 1),
            (&[0, 2], 1, 0),
        ] {
            let layer = LayerShape {
                name: "w".into(),
                shape: shape.into(),
            };
            let found = MatrixShape::of_outputs(&layer);
            assert_eq!(found, MatrixShape { rows, width }, "{shape:?}");
        }
    }
}
