//! The order in which the squares of a pair are summed, for one panel of rows at a time.
//!
//! A panel holds as many rows as fit in a vector register or two, transposed: the values of all its rows at
//! one position lie side by side, so that each lane of a register belongs to one pair. No sum ever runs
//! across lanes, and the order of additions depends only on the position. The code is written once, over
//! [`Lanes`]. Arrays implement it everywhere, and vector registers where available. A lane subtracts and adds
//! the square as [`Square`] specifies, so all implementations give the same bits.

use core::ops::Range;

use alloc::vec::Vec;

use super::range::{corrected, is_usual};
use super::square::Square;
use crate::Scalar;

/// The number of squares summed in the vectors' own type before the sum is widened to `f64`.
pub(super) const BLOCK: usize = 32;
/// The number of squares added one after another, before the sums of such chains are added in pairs. This
/// shortens the longest chain of additions, and so reduces rounding errors.
const CHAIN: usize = 8;
/// The number of rows transposed at once.
const GROUP: usize = 4;
/// The number of positions packed at once: a panel of them fits in the second-level cache, and the
/// few vectors it is compared with at a time fit in the first-level cache.
pub(super) const SECTION: usize = 1024;

/// `W` lanes of type `T`, one per row of the panel.
pub(super) trait Lanes<T, const W: usize>: Copy {
    type Row: Copy;

    fn splat(self, value: T) -> Self::Row;
    fn load(self, line: &[T; W]) -> Self::Row;
    /// Adds each lane to its sum in `f64`.
    fn add_to(self, row: Self::Row, sums: &mut [f64; W]);
    fn add(self, a: Self::Row, b: Self::Row) -> Self::Row;
    /// sum + (a − b)², by [`Square::add_square`].
    fn add_squared_difference(self, sum: Self::Row, a: Self::Row, b: Self::Row) -> Self::Row;
}

/// The values of all rows of a panel at one position, in a cache line of their own, since a load that
/// crosses two takes twice as long.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line<T, const W: usize>([T; W]);

/// The pairs whose first vector is one of `rows`, and the output for their sums.
pub(super) struct Job<'a, T> {
    /// All of the same length.
    pub(super) vectors: &'a [&'a [T]],
    /// Whether each vector holds values so small that squares of their differences may underflow.
    pub(super) tiny: &'a [bool],
    pub(super) rows: Range<usize>,
    /// The sums of these pairs, in condensed order.
    pub(super) output: &'a mut [f64],
}

impl<T: Scalar> Job<'_, T> {
    /// Adds all sums to the output, comparing panels of `W` rows with `M` vectors at a time.
    #[inline(always)]
    pub(super) fn run<L: Lanes<T, W>, const W: usize, const M: usize>(&mut self, lanes: L) {
        let length = self.vectors.first().map_or(0, |vector| vector.len());
        let mut panel = Vec::new();
        for start in (0..length).step_by(SECTION) {
            let section = start..length.min(start + SECTION);
            for first in self.rows.clone().step_by(W) {
                let rows = first..self.rows.end.min(first + W);
                pack(&self.vectors[rows.clone()], &section, &mut panel);
                let mut column = first + 1;
                while column < self.vectors.len() {
                    column += match self.vectors.len() - column {
                        left if left >= M => {
                            self.compare::<L, W, M>(lanes, &panel, &rows, column, &section)
                        }
                        left if left >= 4 => {
                            self.compare::<L, W, 4>(lanes, &panel, &rows, column, &section)
                        }
                        left if left >= 2 => {
                            self.compare::<L, W, 2>(lanes, &panel, &rows, column, &section)
                        }
                        _ => self.compare::<L, W, 1>(lanes, &panel, &rows, column, &section),
                    };
                }
            }
        }
    }

    /// Compares the rows of a panel with `M` vectors starting at `column`, and returns `M`.
    #[inline(always)]
    fn compare<L: Lanes<T, W>, const W: usize, const M: usize>(
        &mut self,
        lanes: L,
        panel: &[[Line<T, W>; BLOCK]],
        rows: &Range<usize>,
        column: usize,
        section: &Range<usize>,
    ) -> usize {
        let columns: [&[T]; M] =
            core::array::from_fn(|index| &self.vectors[column + index][section.clone()]);
        let sums = tile(lanes, panel, columns);
        let all_usual = sums
            .iter()
            .flatten()
            .fold(true, |usual, &sum| usual & is_usual(sum));
        for (lane, row) in rows.clone().enumerate() {
            let first = column.max(row + 1);
            if first >= column + M {
                break;
            }
            let position = self.position(row, first);
            let totals = &mut self.output[position..];
            match totals.first_chunk_mut::<M>() {
                // Nearly always the case; faster because the compiler knows the length.
                Some(totals) if all_usual && first == column => {
                    for (total, sums) in totals.iter_mut().zip(&sums) {
                        *total += sums[lane];
                    }
                }
                _ => {
                    let u = &self.vectors[row][section.clone()];
                    for (index, total) in (first - column..M).zip(totals) {
                        let tiny = self.tiny[row] || self.tiny[column + index];
                        *total += corrected(sums[index][lane], tiny, u, columns[index]);
                    }
                }
            }
        }
        M
    }

    /// The position of a pair in the output. Can't overflow, because the output's length was checked.
    #[inline(always)]
    fn position(&self, row: usize, column: usize) -> usize {
        let start = self.rows.start;
        (row - start) * (2 * self.vectors.len() - start - row - 1) / 2 + column - row - 1
    }
}

/// Transposes a section of at most `W` rows. Positions beyond its end are zero; the lanes of
/// missing rows hold arbitrary values.
///
/// Not inlined, so that it is not compiled for AVX-512, where the compiler would use slow
/// scatter stores.
#[inline(never)]
fn pack<T: Scalar, const W: usize>(
    rows: &[&[T]],
    section: &Range<usize>,
    panel: &mut Vec<[Line<T, W>; BLOCK]>,
) {
    panel.resize(section.len().div_ceil(BLOCK), [Line([T::zero(); W]); BLOCK]);
    let Some(last) = rows.len().checked_sub(1) else {
        return;
    };
    let rows: [_; W] =
        core::array::from_fn(|lane| rows[lane.min(last)][section.clone()].as_chunks::<BLOCK>());
    for (index, lines) in panel.iter_mut().enumerate() {
        for lane in (0..=last).step_by(GROUP) {
            let group: [_; GROUP] = core::array::from_fn(|row| rows[lane + row]);
            if group.iter().all(|(blocks, _)| index < blocks.len()) {
                transpose(group.map(|(blocks, _)| &blocks[index]), lines, lane);
            } else {
                let padded = group.map(|(_, rest)| padded(rest));
                transpose(padded.each_ref(), lines, lane);
            }
        }
    }
}

/// The rest after the last whole block, padded with zeros.
#[inline(always)]
fn padded<T: Scalar>(rest: &[T]) -> [T; BLOCK] {
    let mut block = [T::zero(); BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Transposes four positions of four rows at a time: values read before any write need not be read again.
#[inline(always)]
fn transpose<T: Scalar, const W: usize>(
    rows: [&[T; BLOCK]; GROUP],
    lines: &mut [Line<T, W>; BLOCK],
    lane: usize,
) {
    let quads = rows.map(|row| row.as_chunks::<GROUP>().0);
    for (index, lines) in lines.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let [a, b, c, d] = quads.map(|quads| quads[index]);
        for (position, line) in lines.iter_mut().enumerate() {
            line.0[lane..lane + GROUP].copy_from_slice(&[
                a[position],
                b[position],
                c[position],
                d[position],
            ]);
        }
    }
}

/// The sums of squared differences between every row of a panel and every column.
#[inline(always)]
fn tile<T: Scalar, L: Lanes<T, W>, const W: usize, const M: usize>(
    lanes: L,
    panel: &[[Line<T, W>; BLOCK]],
    columns: [&[T]; M],
) -> [[f64; W]; M] {
    let mut sums = [[0.0; W]; M];
    let columns = columns.map(<[T]>::as_chunks::<BLOCK>);
    for (index, lines) in panel.iter().enumerate() {
        if columns.iter().all(|(blocks, _)| index < blocks.len()) {
            add_block(
                lanes,
                lines,
                core::array::from_fn(|column| &columns[column].0[index]),
                &mut sums,
            );
        } else {
            // These zeros match those in the panel, so their differences add nothing to any sum.
            let last = columns.map(|(_, rest)| padded(rest));
            add_block(
                lanes,
                lines,
                core::array::from_fn(|column| &last[column]),
                &mut sums,
            );
        }
    }
    sums
}

#[inline(always)]
fn add_block<T: Scalar, L: Lanes<T, W>, const W: usize, const M: usize>(
    lanes: L,
    lines: &[Line<T, W>; BLOCK],
    columns: [&[T; BLOCK]; M],
    sums: &mut [[f64; W]; M],
) {
    let mut totals = [lanes.splat(T::zero()); M];
    let columns = columns.map(|column| column.as_chunks::<CHAIN>().0);
    let pairs = lines.as_chunks::<CHAIN>().0.as_chunks::<2>().0;
    for (index, [first, second]) in pairs.iter().enumerate() {
        let first = chain(lanes, first, columns.map(|chains| &chains[2 * index]));
        let second = chain(lanes, second, columns.map(|chains| &chains[2 * index + 1]));
        for (total, (first, second)) in totals.iter_mut().zip(first.into_iter().zip(second)) {
            *total = lanes.add(*total, lanes.add(first, second));
        }
    }
    for (sums, total) in sums.iter_mut().zip(totals) {
        lanes.add_to(total, sums);
    }
}

/// The sums of one chain of squares, added one after another.
#[inline(always)]
fn chain<T: Scalar, L: Lanes<T, W>, const W: usize, const M: usize>(
    lanes: L,
    lines: &[Line<T, W>; CHAIN],
    columns: [&[T; CHAIN]; M],
) -> [L::Row; M] {
    let mut sums = [lanes.splat(T::zero()); M];
    for (position, line) in lines.iter().enumerate() {
        let row = lanes.load(&line.0);
        for (sum, column) in sums.iter_mut().zip(columns) {
            *sum = lanes.add_squared_difference(*sum, row, lanes.splat(column[position]));
        }
    }
    sums
}

/// Lanes as plain arrays, for every processor.
#[derive(Clone, Copy)]
pub(super) struct Arrays;

impl<T: Square, const W: usize> Lanes<T, W> for Arrays {
    type Row = [T; W];

    #[inline(always)]
    fn splat(self, value: T) -> [T; W] {
        [value; W]
    }

    #[inline(always)]
    fn load(self, line: &[T; W]) -> [T; W] {
        *line
    }

    #[inline(always)]
    fn add_to(self, row: [T; W], sums: &mut [f64; W]) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value.widen();
        }
    }

    #[inline(always)]
    fn add(self, a: [T; W], b: [T; W]) -> [T; W] {
        core::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn add_squared_difference(self, sum: [T; W], a: [T; W], b: [T; W]) -> [T; W] {
        core::array::from_fn(|lane| (a[lane] - b[lane]).add_square(sum[lane]))
    }
}
