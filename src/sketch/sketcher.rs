//! Sketches a matrix in pieces of any length, with the same bits as a single pass.

use alloc::vec;
use alloc::vec::Vec;

use super::hash::RowHash;
use super::{MatrixSketch, RowGroups, SketchError, SketchKey};
use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::scalar::ScalarSlice;

/// The number of columns whose signs come from one word.
const BLOCK: usize = 64;

/// The number of partial sums of a squared norm.
const LANES: usize = 16;

/// Sketches a matrix from its values in row-major order, in pieces of any length.
///
/// [`finish`](Self::finish) returns the same bits for any division into pieces and any vector registers.
///
/// # Examples
///
/// ```
/// use mother::sketch::{MatrixSketcher, RowGroups, SketchKey};
///
/// let values: Vec<f32> = (0..64 * 48).map(|i| (i % 7) as f32 - 3.0).collect();
/// let mut sketcher = MatrixSketcher::new(RowGroups::new(values.len(), 48)?, 16, SketchKey::PUBLIC)?;
/// for piece in values.chunks(100) {
///     sketcher.extend_from_slice(piece)?;
/// }
/// let sketch = sketcher.finish()?;
/// let exact: f64 = values.iter().map(|&value| f64::from(value * value)).sum();
/// assert_eq!(sketch.squared_norms().iter().sum::<f64>(), exact);
/// # Ok::<(), mother::sketch::SketchError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MatrixSketcher {
    groups: RowGroups,
    key: SketchKey,
    /// How many values were added.
    position: usize,
    row: Row,
    /// The buckets of all groups started so far.
    buckets: Vec<f64>,
    squared_norms: Vec<f64>,
}

/// Sums over the incomplete row and group.
#[derive(Clone, Debug)]
struct Row {
    /// Sums by column modulo the number of buckets, not yet moved to the row's buckets.
    sums: Vec<f64>,
    /// Sums of squares over the group, by column modulo the number of lanes.
    squares: [f64; LANES],
}

impl MatrixSketcher {
    /// Creates a sketcher for a matrix with these groups and this many buckets per group.
    ///
    /// # Errors
    ///
    /// [`SketchError::Buckets`] unless the number is a power of two from 8 to 1024.
    pub fn new(groups: RowGroups, buckets: usize, key: SketchKey) -> Result<Self, SketchError> {
        if !(buckets.is_power_of_two() && (8..=1024).contains(&buckets)) {
            return Err(SketchError::Buckets { buckets });
        }
        let count = groups.count();
        Ok(Self {
            groups,
            key,
            position: 0,
            row: Row {
                sums: vec![0.0; buckets],
                squares: [0.0; LANES],
            },
            buckets: vec![0.0; count.saturating_mul(buckets)],
            squared_norms: vec![0.0; count],
        })
    }

    /// Adds the next values, which must be finite.
    ///
    /// # Errors
    ///
    /// [`SketchError::TooMany`] if that would be more than the matrix has; then nothing is added.
    ///
    /// # Complexity
    ///
    /// O(n + r k) time for n values in r rows and k buckets.
    pub fn extend_from_slice<T: Scalar>(&mut self, values: &[T]) -> Result<(), SketchError> {
        let length = self.groups.length();
        if values.len() > length - self.position {
            return Err(SketchError::TooMany { values: length });
        }
        match T::scalar_slice(values) {
            ScalarSlice::Single(values) => self.take(values),
            ScalarSlice::Double(values) => self.take(values),
        }
        Ok(())
    }

    fn take<T: Signed>(&mut self, values: &[T]) {
        match self.row.sums.len() {
            8 => self.take_at_once::<T, 8>(values),
            16 => self.take_at_once::<T, 16>(values),
            32 => self.take_at_once::<T, 32>(values),
            _ => self.take_at_once::<T, BLOCK>(values),
        }
    }

    /// Adds values, with K sums of a row at once.
    fn take_at_once<T: Signed, const K: usize>(&mut self, mut values: &[T]) {
        in_wide_registers(
            #[inline(always)]
            move || {
                let width = self.groups.width();
                while !values.is_empty() {
                    let (row, column) = (self.position / width, self.position % width);
                    let (now, later) = values.split_at(values.len().min(width - column));
                    let hash = self.key.row(row);
                    add_to_row::<T, K>(&mut self.row, hash, column, now);
                    self.position += now.len();
                    if column + now.len() == width || self.position == self.groups.length() {
                        self.end_row(row, hash);
                    }
                    values = later;
                }
            },
        );
    }

    /// Moves the sums of a complete row to its buckets, and the squares of a complete group to its norm.
    #[inline(always)]
    fn end_row(&mut self, row: usize, hash: RowHash) {
        let group = row / self.groups.height();
        let count = self.row.sums.len();
        let buckets = &mut self.buckets[group * count..(group + 1) * count];
        let offset = hash.offset(count);
        let (front, back) = self.row.sums.split_at_mut(count - offset);
        for (bucket, sum) in buckets[offset..].iter_mut().zip(&mut *front) {
            *bucket += core::mem::take(sum);
        }
        for (bucket, sum) in buckets[..offset].iter_mut().zip(back) {
            *bucket += core::mem::take(sum);
        }
        let ends_group = (row + 1).is_multiple_of(self.groups.height());
        if ends_group || self.position == self.groups.length() {
            self.squared_norms[group] = self.row.squares.iter().sum();
            self.row.squares = [0.0; LANES];
        }
    }

    /// Returns the sketch of the whole matrix.
    ///
    /// # Errors
    ///
    /// [`SketchError::Incomplete`] if values are missing, [`SketchError::Overflow`] if a sum of
    /// squares isn't finite.
    pub fn finish(self) -> Result<MatrixSketch, SketchError> {
        let length = self.groups.length();
        if self.position < length {
            return Err(SketchError::Incomplete {
                found: self.position,
                values: length,
            });
        }
        if !self.squared_norms.iter().sum::<f64>().is_finite() {
            return Err(SketchError::Overflow);
        }
        MatrixSketch::from_sums(self.groups, self.squared_norms, &self.buckets)
    }
}

/// Adds values of one row, starting at `column`.
#[inline(always)]
fn add_to_row<T: Signed, const K: usize>(
    row: &mut Row,
    hash: RowHash,
    column: usize,
    values: &[T],
) {
    let head = (column.next_multiple_of(BLOCK) - column).min(values.len());
    let (head, rest) = values.split_at(head);
    add_part(row, hash, column, head);
    let (blocks, tail) = rest.as_chunks::<BLOCK>();
    let mut block = (column + head.len()) / BLOCK;
    for values in blocks {
        let first = (block * BLOCK) & (row.sums.len() - 1);
        if let Some(sums) = row.sums[first..].first_chunk_mut::<K>() {
            add_block::<T, K>(sums, &mut row.squares, values, hash.signs(block));
        }
        block += 1;
    }
    add_part(row, hash, block * BLOCK, tail);
}

/// Adds values of one row that lie in one block, one at a time.
#[inline(always)]
fn add_part<T: Signed>(row: &mut Row, hash: RowHash, column: usize, values: &[T]) {
    if values.is_empty() {
        return;
    }
    let signs = hash.signs(column / BLOCK);
    let mask = row.sums.len() - 1;
    for (column, value) in (column..).zip(values) {
        row.sums[column & mask] += value.signed(signs, (column % BLOCK) as u32);
        let value = value.widen();
        row.squares[column % LANES] += value * value;
    }
}

/// Adds a whole block; each sum takes its values in column order, as when adding one at a time.
#[inline(always)]
fn add_block<T: Signed, const K: usize>(
    sums: &mut [f64; K],
    squares: &mut [f64; LANES],
    values: &[T; BLOCK],
    signs: u64,
) {
    let mut kept = *sums;
    for (part, values) in values.as_chunks::<K>().0.iter().enumerate() {
        for (lane, value) in values.iter().enumerate() {
            kept[lane] += value.signed(signs, (part * K + lane) as u32);
        }
    }
    *sums = kept;
    let mut kept = *squares;
    for values in values.as_chunks::<LANES>().0 {
        for (sum, value) in kept.iter_mut().zip(values) {
            let value = value.widen();
            *sum += value * value;
        }
    }
    *squares = kept;
}

/// A scalar whose sign can be flipped.
trait Signed: Scalar {
    /// The value, negated if the bit is set.
    fn signed(self, signs: u64, bit: u32) -> f64;
}

impl Signed for f32 {
    #[inline(always)]
    fn signed(self, signs: u64, bit: u32) -> f64 {
        // Uses half of the word at a time, so that a vector holds as many signs as values.
        let half = (signs >> (bit & 32)) as u32;
        let sign = (half << (31 - (bit & 31))) & (1 << 31);
        f64::from(Self::from_bits(self.to_bits() ^ sign))
    }
}

impl Signed for f64 {
    #[inline(always)]
    fn signed(self, signs: u64, bit: u32) -> f64 {
        let sign = (signs << (63 - bit)) & (1 << 63);
        Self::from_bits(self.to_bits() ^ sign)
    }
}
