//! Which of a table's numbers belongs to a value: one, one a row, or one a block.

use alloc::vec::Vec;
use core::ops::Range;

use crate::weights::{Layer, element_count};

/// How the values of a tensor share the numbers of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    /// The tensor's dimensions, neighbours with alike blocks taken together.
    dimensions: Vec<Dimension>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dimension {
    length: usize,
    /// How many blocks there are.
    blocks: usize,
    /// The length of a block.
    block: usize,
}

impl Dimension {
    const fn is_whole(self) -> bool {
        self.blocks == 1
    }

    const fn is_single(self) -> bool {
        self.block == 1
    }
}

impl Blocks {
    /// `None` where a table of this shape doesn't fit.
    pub(super) fn new(shape: &[usize], table: &[usize]) -> Option<Self> {
        element_count(shape)?;
        let table = aligned(shape, table)?;
        let pairs = || shape.iter().copied().zip(table.iter().copied());
        let all = pairs().map(|(length, blocks)| sizes(length, blocks));
        let all: Vec<[Option<usize>; 2]> = all.collect();
        let partial = || {
            let pairs = pairs().zip(&all);
            pairs.filter(|((length, blocks), _)| *blocks > 1 && blocks < length)
        };
        // Blocks are mostly as high as wide.
        let common = |size: &usize| partial().all(|(_, sizes)| sizes.contains(&Some(*size)));
        let (_, first) = partial().next().unzip();
        let square = first.and_then(|sizes| sizes.iter().flatten().copied().find(common));
        let mut dimensions: Vec<Dimension> = Vec::new();
        for ((length, blocks), sizes) in pairs().zip(&all) {
            let block = match square {
                Some(square) if blocks > 1 && blocks < length => square,
                _ => sizes.iter().flatten().copied().next()?,
            };
            let next = Dimension {
                length,
                blocks,
                block,
            };
            push(&mut dimensions, next);
        }
        if dimensions.is_empty() {
            let (length, blocks, block) = (1, 1, 1);
            dimensions.push(Dimension {
                length,
                blocks,
                block,
            });
        }
        Some(Self { dimensions })
    }

    /// The length of a row.
    pub(super) fn width(&self) -> usize {
        self.dimensions.last().map_or(1, |last| last.length)
    }

    /// The length of a block within a row.
    pub(super) fn run(&self) -> usize {
        self.dimensions.last().map_or(1, |last| last.block)
    }

    /// The places of the numbers of a row's values in the table.
    pub(super) fn range(&self, row: usize, columns: Range<usize>) -> Range<usize> {
        let Some((last, leading)) = self.dimensions.split_last() else {
            return 0..1;
        };
        let (mut place, mut stride, mut rest) = (0, last.blocks, row);
        for dimension in leading.iter().rev() {
            let index = rest % dimension.length.max(1);
            rest /= dimension.length.max(1);
            place += index / dimension.block * stride;
            stride = dimension.blocks.saturating_mul(stride);
        }
        let end = columns
            .end
            .div_ceil(last.block)
            .max(columns.start / last.block);
        place + columns.start / last.block..place + end
    }
}

/// Adds a dimension, or makes the last one longer if its blocks are alike.
fn push(dimensions: &mut Vec<Dimension>, next: Dimension) {
    match dimensions.last_mut() {
        Some(last) if last.is_whole() && next.is_whole() => {
            last.length = last.length.saturating_mul(next.length);
            last.block = last.length.max(1);
        }
        Some(last) if last.is_single() && next.is_single() => {
            last.length = last.length.saturating_mul(next.length);
            last.blocks = last.length;
        }
        _ => dimensions.push(next),
    }
}

/// The table's shape with as many dimensions as the tensor's.
fn aligned(shape: &[usize], table: &[usize]) -> Option<Vec<usize>> {
    let (rank, missing) = (shape.len(), shape.len().checked_sub(table.len()));
    if element_count(table) == Some(1) {
        return Some(alloc::vec![1; rank]);
    }
    let missing = missing?;
    let fits = |lengths: &[usize]| {
        let pairs = lengths.iter().zip(table);
        pairs
            .clone()
            .all(|(length, blocks)| blocks == length || *blocks == 1)
    };
    let mut aligned = alloc::vec![1; rank];
    if missing == 0 || fits(&shape[..table.len()]) {
        aligned[..table.len()].copy_from_slice(table);
    } else if fits(&shape[missing..]) {
        aligned[missing..].copy_from_slice(table);
    } else {
        return None;
    }
    Some(aligned)
}

/// The possible lengths of a block, the likelier first, where there are so many of them; the last one
/// may be incomplete.
fn sizes(length: usize, blocks: usize) -> [Option<usize>; 2] {
    if blocks == 1 {
        return [Some(length.max(1)), None];
    }
    if blocks == 0 || blocks > length {
        return [None, None];
    }
    let exact = length.is_multiple_of(blocks).then(|| length / blocks);
    let power = length.div_ceil(blocks).checked_next_power_of_two();
    let power = power.filter(|&size| length.div_ceil(size) == blocks);
    [power.or(exact), exact]
}

/// The length of a block where there are so many of them; `None` where that can't be.
pub(super) fn block_size(length: usize, blocks: usize) -> Option<usize> {
    sizes(length, blocks).into_iter().flatten().next()
}

/// A row's numbers of a table, read when they are first needed.
pub(super) struct RowOf<'a, L> {
    table: &'a L,
    range: Range<usize>,
    numbers: Vec<f64>,
}

impl<'a, L: Layer> RowOf<'a, L> {
    pub(super) const fn new(table: &'a L) -> Self {
        Self {
            table,
            range: 0..0,
            numbers: Vec::new(),
        }
    }

    /// The numbers at these places.
    pub(super) fn at(&mut self, range: Range<usize>) -> Result<&[f64], L::Error> {
        if self.range != range {
            self.numbers.resize(range.len(), 0.0);
            self.table.read(range.start, &mut self.numbers)?;
            self.range = range;
        }
        Ok(&self.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// The place of every value's number in the table.
    fn places(shape: &[usize], table: &[usize]) -> Option<Vec<usize>> {
        let blocks = Blocks::new(shape, table)?;
        let (width, run) = (blocks.width(), blocks.run());
        let place = |index: usize| {
            let (row, column) = (index / width, index % width);
            let range = blocks.range(row, 0..width);
            range.start + column / run
        };
        Some((0..element_count(shape)?).map(place).collect())
    }

    #[test]
    fn one_number_serves_all() {
        for table in [&[][..], &[1], &[1, 1]] {
            assert_eq!(places(&[2, 3], table), Some(vec![0; 6]));
        }
        assert_eq!(places(&[], &[]), Some(vec![0]));
    }

    #[test]
    fn rows_and_columns_have_their_own() {
        let rows = Some(vec![0, 0, 0, 1, 1, 1]);
        assert_eq!(places(&[2, 3], &[2]), rows);
        assert_eq!(places(&[2, 3], &[2, 1]), rows);
        assert_eq!(places(&[2, 3], &[1, 3]), Some(vec![0, 1, 2, 0, 1, 2]));
        assert_eq!(places(&[2, 3], &[3]), Some(vec![0, 1, 2, 0, 1, 2]));
        assert_eq!(places(&[2, 1, 2], &[2, 1, 1]), Some(vec![0, 0, 1, 1]));
        assert_eq!(
            places(&[2, 2, 2], &[1, 2, 1]),
            Some(vec![0, 0, 1, 1, 0, 0, 1, 1])
        );
    }

    #[test]
    fn last_blocks_may_be_incomplete() {
        assert_eq!(places(&[5], &[3]), Some(vec![0, 0, 1, 1, 2]));
        let two = places(&[3, 3], &[2, 2]);
        assert_eq!(two, Some(vec![0, 0, 1, 0, 0, 1, 2, 2, 3]));
        // Rows of 6 in two blocks: of 3, or of 4 and 2; what the other dimension allows decides.
        assert_eq!(places(&[6], &[2]), Some(vec![0, 0, 0, 0, 1, 1]));
        let blocks = Blocks::new(&[6, 9], &[2, 3]).unwrap();
        assert_eq!(blocks.run(), 4);
        assert_eq!(Blocks::new(&[12, 6], &[4, 2]).unwrap().run(), 3);
    }

    #[test]
    fn tables_that_fit_nowhere_are_refused() {
        assert_eq!(places(&[2, 3], &[4]), None);
        assert_eq!(places(&[2, 3], &[3, 3]), None);
        assert_eq!(places(&[2, 3], &[0, 3]), None);
        assert_eq!(places(&[2, 3], &[2, 3, 2]), None);
        assert_eq!(places(&[7], &[5]), None);
        assert_eq!(places(&[usize::MAX, 2], &[1]), None);
    }
}
