//! Which number of a table belongs to a value: one for the tensor, one per row, or one per block.

use alloc::vec::Vec;
use core::ops::Range;

use crate::weights::{Layer, element_count};

/// How the values of a tensor share the numbers of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    /// The tensor's dimensions; neighbours with equivalent blocks are merged.
    dimensions: Vec<Dimension>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dimension {
    length: usize,
    /// The number of blocks.
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
    /// Matches a table's shape to a tensor's; `None` if it doesn't fit. If several block lengths fit, `usual`
    /// decides, and otherwise the roundest one is taken.
    pub(super) fn new(shape: &[usize], table: &[usize], usual: Option<Lengths>) -> Option<Self> {
        element_count(shape)?;
        let table = aligned(shape, table)?;
        let pairs = || shape.iter().copied().zip(table.iter().copied());
        // Most blocks are square.
        let square = lengths(shape, &table).and_then(|square| square.with_usual(usual));
        let mut dimensions: Vec<Dimension> = Vec::new();
        for (length, blocks) in pairs() {
            let own = Lengths::new(length, blocks)?;
            let found = own.and(square).or_else(|| own.with_usual(usual))?;
            // A length that no other dimension or layer confirms must be a likely one.
            let block = found.roundest();
            let is_usual = own.and(usual).is_some();
            if found == own && !is_usual && !own.is_likely(block, length, blocks) {
                return None;
            }
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

    /// The positions in the table of the numbers for a row's values.
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

/// Adds a dimension, or extends the last one if its blocks are equivalent.
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

/// The table's shape, extended to as many dimensions as the tensor's.
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

/// The possible lengths of a block, given the number of blocks; the last block may be incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lengths {
    least: usize,
    most: usize,
}

impl Lengths {
    pub(super) fn new(length: usize, blocks: usize) -> Option<Self> {
        let least = match blocks {
            1 => length.max(1),
            0 => return None,
            _ => length.div_ceil(blocks),
        };
        let most = match blocks {
            1 => least,
            _ => length.checked_sub(1)? / (blocks - 1),
        };
        (least <= most).then_some(Self { least, most })
    }

    /// The lengths allowed by both.
    fn and(self, other: Option<Self>) -> Option<Self> {
        let other = other?;
        let (least, most) = (self.least.max(other.least), self.most.min(other.most));
        (least <= most).then_some(Self { least, most })
    }

    fn with_usual(self, usual: Option<Self>) -> Option<Self> {
        self.and(usual).or(Some(self))
    }

    /// Whether this is the only length, is a power of two, or divides the whole into exactly this many
    /// blocks.
    const fn is_likely(self, block: usize, length: usize, blocks: usize) -> bool {
        self.least == self.most || block.is_power_of_two() || block * blocks == length
    }

    /// The length with the most factors of two; among ties, the least.
    pub(super) fn roundest(self) -> usize {
        let multiple = |power: u32| {
            let unit = 1_usize << power;
            let found = self.least.div_ceil(unit).checked_mul(unit);
            found.filter(|&found| found <= self.most)
        };
        let found = (0..usize::BITS).rev().find_map(multiple);
        found.unwrap_or(self.least)
    }
}

/// The possible lengths of blocks in all dimensions that are split into blocks, if any are.
fn lengths(shape: &[usize], table: &[usize]) -> Option<Lengths> {
    let pairs = shape.iter().zip(table);
    let cut = pairs.filter(|(length, blocks)| **blocks > 1 && blocks < length);
    let mut all = cut.map(|(&length, &blocks)| Lengths::new(length, blocks));
    let first = all.next()??;
    all.try_fold(first, |common, next| common.and(next))
}

/// The possible lengths of blocks in all these tensors and tables, if at least two dimensions restrict them.
pub(super) fn usual_lengths<'a>(
    tables: impl Iterator<Item = (&'a [usize], &'a [usize])>,
) -> Option<Lengths> {
    let mut cut: Vec<(usize, usize)> = Vec::new();
    for (shape, table) in tables {
        let Some(table) = aligned(shape, table) else {
            continue;
        };
        let pairs = shape.iter().copied().zip(table);
        cut.extend(pairs.filter(|&(length, blocks)| blocks > 1 && blocks < length));
    }
    cut.sort_unstable();
    cut.dedup();
    let mut all = cut
        .iter()
        .map(|&(length, blocks)| Lengths::new(length, blocks));
    let first = all.next()??;
    let common = all.try_fold(first, |common, next| common.and(next));
    common.filter(|_| cut.len() > 1)
}

/// The numbers of a table for one row, read when first needed.
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

    /// The numbers at these positions.
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

    /// The position in the table of each value's number.
    fn places(shape: &[usize], table: &[usize]) -> Option<Vec<usize>> {
        let blocks = Blocks::new(shape, table, None)?;
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
        // Rows of 6 in two blocks: of 3, or of 4 and 2; the other dimension decides.
        assert_eq!(places(&[6], &[2]), Some(vec![0, 0, 0, 0, 1, 1]));
        let blocks = Blocks::new(&[6, 9], &[2, 3], None).unwrap();
        assert_eq!(blocks.run(), 4);
        assert_eq!(Blocks::new(&[12, 6], &[4, 2], None).unwrap().run(), 3);
    }

    #[test]
    fn other_tensors_resolve_ambiguity() {
        let tables: [(&[usize], &[usize]); 3] = [
            (&[32, 32], &[2, 2]),
            (&[64, 32], &[3, 2]),
            (&[16, 32], &[1, 2]),
        ];
        let usual = usual_lengths(tables.into_iter());
        assert_eq!(usual.map(Lengths::roundest), Some(24));
        for (shape, table) in tables {
            assert_eq!(Blocks::new(shape, table, usual).unwrap().run(), 24);
        }
        // A tensor that can't have such blocks uses its own.
        assert_eq!(Blocks::new(&[32], &[8], usual).unwrap().run(), 4);
        let (first, second): (&[usize], &[usize]) = (&[32], &[8]);
        let tables = tables.into_iter().chain([(first, second)]);
        assert_eq!(usual_lengths(tables), None);
    }

    #[test]
    fn tables_that_fit_nowhere_are_refused() {
        assert_eq!(places(&[2, 3], &[4]), None);
        assert_eq!(places(&[2, 3], &[3, 3]), None);
        assert_eq!(places(&[2, 3], &[0, 3]), None);
        assert_eq!(places(&[2, 3], &[2, 3, 2]), None);
        assert_eq!(places(&[7], &[5]), None);
        assert_eq!(places(&[100], &[3]), None);
        assert_eq!(places(&[usize::MAX, 2], &[1]), None);
    }
}
