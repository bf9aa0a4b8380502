//! Strided elements: the values of views and of transposed arrays.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use std::io;

use super::Element;
use super::bytes::BUFFER;
use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::weights::element_count;

/// The largest gap in bytes between values that are read together rather than one by one.
const WORTHWHILE_GAP: u64 = 4096;

/// The number of values gathered at once, as a power of two: their places take 1 MiB.
const GATHERED: u32 = 17;

/// The number of values of a column that are read at once, if there is room.
const RUN: usize = 2048;

/// The number of columns written together, so that writes are close together, too.
const STRIP: usize = 128;

/// How many columns and rows are turned at once.
const TILE: usize = 16;

/// Runs lie this much farther apart than they are long: at distances of a power of two they would share
/// few places of the cache.
const PADDING: usize = 16;

/// How many times their bytes are read to have some columns at once.
const SPREAD: usize = 2;

/// The number of values that should be read at once.
const MOST_AT_ONCE: usize = 1 << 22;

/// In longer rows, each value is read by itself.
const LONGEST_ROW: usize = MOST_AT_ONCE / 32;

/// The positions of a tensor's values, counted in elements from the first.
#[derive(Clone, Debug)]
pub(crate) struct Strides(Vec<(usize, u64)>);

impl Strides {
    /// `None` if values are contiguous in row-major order, so that nothing needs to be gathered.
    pub(crate) fn new(shape: &[usize], strides: &[u64]) -> Option<Self> {
        let pairs = shape.iter().copied().zip(strides.iter().copied());
        let mut expected = 1_u64;
        let mut plain = true;
        for (length, stride) in pairs.clone().rev() {
            plain &= length == 1 || stride == expected;
            expected = expected.saturating_mul(length as u64);
        }
        (!plain && element_count(shape) != Some(0)).then(|| Self(pairs.collect()))
    }

    /// Fortran's order, in which the first index varies fastest.
    pub(crate) fn column_major(shape: &[usize]) -> Option<Self> {
        let strides: Vec<u64> = (shape.iter())
            .scan(1_u64, |stride, &length| {
                let this = *stride;
                *stride = stride.saturating_mul(length as u64);
                Some(this)
            })
            .collect();
        Self::new(shape, &strides)
    }

    /// The number of elements that a tensor of this shape spans; `None` if it overflows.
    pub(crate) fn span(shape: &[usize], strides: &[u64]) -> Option<u64> {
        if shape.contains(&0) {
            return Some(0);
        }
        let last = (shape.iter().zip(strides)).try_fold(0_u64, |last, (&length, &stride)| {
            last.checked_add((length as u64 - 1).checked_mul(stride)?)
        });
        last?.checked_add(1)
    }

    /// The positions of consecutive values, given the index of the first in row-major order.
    fn positions(&self, mut first: usize) -> impl Iterator<Item = u64> {
        let mut indices = vec![0; self.0.len()];
        // Wrapping, since the position after the last value may be anywhere.
        let mut position = 0_u64;
        for (index, &(length, stride)) in indices.iter_mut().zip(&self.0).rev() {
            *index = first % length;
            position = position.wrapping_add((*index as u64).wrapping_mul(stride));
            first /= length;
        }
        core::iter::from_fn(move || {
            let this = position;
            for (index, &(length, stride)) in indices.iter_mut().zip(&self.0).rev() {
                *index += 1;
                position = position.wrapping_add(stride);
                if *index < length {
                    break;
                }
                position = position.wrapping_sub((*index as u64).wrapping_mul(stride));
                *index = 0;
            }
            Some(this)
        })
    }

    /// The number of values in a row, if rows lie side by side, that is, if the first index varies fastest.
    fn row(&self) -> Option<usize> {
        let (&(rows, stride), trailing) = self.0.split_first()?;
        let mut lengths = trailing.iter().map(|&(length, _)| length);
        let row = lengths.try_fold(1_usize, usize::checked_mul)?;
        (stride == 1 && rows > 1 && (2..=LONGEST_ROW).contains(&row)).then_some(row)
    }

    /// The smallest number of values worth reading at once: enough whole rows that columns give long runs.
    pub(crate) fn preferred_length(&self) -> usize {
        match (self.row(), self.0.first()) {
            (Some(row), Some(&(rows, _))) => {
                let most = (MOST_AT_ONCE / row).clamp(1, RUN);
                row.saturating_mul(most.min(rows))
            }
            _ => 1 << GATHERED,
        }
    }

    /// Fills `values` with those from flat index `offset` on. `fetch` gets their bytes in ascending order.
    pub(crate) fn gather<T: Scalar>(
        &self,
        element: Element,
        offset: usize,
        values: &mut [T],
        mut fetch: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let end = offset + values.len();
        let whole = self.row().map(|row| offset.div_ceil(row)..end / row);
        match (self.row(), whole) {
            (Some(row), Some(whole)) if whole.len() > 1 => {
                let (before, rest) = values.split_at_mut(whole.start * row - offset);
                let (within, after) = rest.split_at_mut(whole.len() * row);
                self.gather_few(element, offset, before, &mut fetch)?;
                self.gather_rows(element, whole.clone(), within, &mut fetch)?;
                self.gather_few(element, whole.end * row, after, &mut fetch)
            }
            _ => self.gather_few(element, offset, values, &mut fetch),
        }
    }

    /// Fills `values` with whole rows that lie side by side, column by column.
    fn gather_rows<T: Scalar>(
        &self,
        element: Element,
        rows: Range<usize>,
        values: &mut [T],
        fetch: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let row = values.len() / rows.len();
        let mut columns: Vec<Column> = self.positions(0).zip(0..row).collect();
        columns.sort_unstable();
        let most = (BUFFER / element.size()).clamp(1, RUN).min(rows.len());
        let mut bytes = vec![0; BUFFER];
        let mut runs = vec![T::zero(); (most + PADDING) * STRIP.min(row)];
        for first in rows.clone().step_by(most) {
            let length = most.min(rows.end - first);
            let start = (first - rows.start) * row;
            let band = &mut values[start..start + length * row];
            for columns in columns.chunks(STRIP) {
                let runs = &mut runs[..(length + PADDING) * columns.len()];
                fetch_runs(element, (first, columns), &mut bytes, runs, fetch)?;
                in_wide_registers(
                    #[inline(always)]
                    || turn(runs, columns, row, band),
                );
            }
        }
        Ok(())
    }

    /// Fills `values` with those from flat index `offset` on, wherever they are.
    fn gather_few<T: Scalar>(
        &self,
        element: Element,
        offset: usize,
        values: &mut [T],
        fetch: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let mut buffer = vec![0; BUFFER];
        let mut positions = self.positions(offset);
        for values in values.chunks_mut(1 << GATHERED) {
            let mut places: Vec<Place> = (positions.by_ref().zip(0..values.len()))
                .map(|(position, index)| Place::new(position, index))
                .collect::<io::Result<_>>()?;
            // A stable sort exploits existing order: each row of a matrix is already sorted.
            places.sort();
            for run in runs(&places, element.size() as u64) {
                read_run(run, element, values, &mut buffer, fetch)?;
            }
        }
        Ok(())
    }
}

/// Where the first value of a column lies, in elements, and the column's place in a row.
type Column = (u64, usize);

/// Fetches and decodes the values of some columns from row `first` on, those together that lie one behind
/// another.
fn fetch_runs<T: Scalar>(
    element: Element,
    (first, mut columns): (usize, &[Column]),
    buffer: &mut [u8],
    runs: &mut [T],
    fetch: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (apart, size) = (runs.len() / columns.len(), element.size());
    let length = apart - PADDING;
    let position = |column: &Column| (column.0 + first as u64).saturating_mul(size as u64);
    let mut runs = runs.chunks_exact_mut(apart);
    while let Some(start) = columns.first().map(position) {
        let end =
            |column: &Column| (position(column) - start).saturating_add((length * size) as u64);
        let together = columns.partition_point(|column| end(column) <= buffer.len() as u64);
        let (now, later) = columns.split_at(together.max(1));
        let worthwhile = now.last().map_or(0, end) <= (SPREAD * now.len() * length * size) as u64;
        let (now, later) = if worthwhile {
            (now, later)
        } else {
            columns.split_at(1)
        };
        let bytes = &mut buffer[..now.last().map_or(0, end) as usize];
        fetch(start, bytes)?;
        for (column, run) in now.iter().zip(&mut runs) {
            let begin = (position(column) - start) as usize;
            element.decode(&bytes[begin..begin + length * size], &mut run[..length])?;
        }
        columns = later;
    }
    Ok(())
}

/// Puts the runs of some columns, stored one after another with padding, into the rows of `band`. Each row has `width`
/// values.
#[inline(always)]
fn turn<T: Scalar>(runs: &[T], columns: &[Column], width: usize, band: &mut [T]) {
    let apart = runs.len() / columns.len();
    for (tile, rows) in band.chunks_mut(TILE * width).enumerate() {
        let columns = columns.chunks(TILE);
        for (columns, runs) in columns.zip(runs.chunks(TILE * apart)) {
            let runs = &runs[tile * TILE..];
            let first = columns[0].1;
            let are_neighbours =
                columns.len() == TILE && (first..).zip(columns).all(|(at, column)| at == column.1);
            for (at, row) in rows.chunks_exact_mut(width).enumerate() {
                let values = runs[at..].iter().step_by(apart);
                if are_neighbours {
                    let row = &mut row[first..first + TILE];
                    row.iter_mut()
                        .zip(values)
                        .for_each(|(to, &from)| *to = from);
                } else {
                    for (&(_, column), &value) in columns.iter().zip(values) {
                        row[column] = value;
                    }
                }
            }
        }
    }
}

/// The position of a value, in elements, and its index among the values gathered with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

impl Place {
    /// Fails for storages with more than 10¹⁴ elements.
    fn new(position: u64, index: usize) -> io::Result<Self> {
        if position.leading_zeros() < GATHERED {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self(position << GATHERED | index as u64))
    }

    const fn position(self) -> u64 {
        self.0 >> GATHERED
    }

    const fn index(self) -> usize {
        (self.0 & ((1 << GATHERED) - 1)) as usize
    }
}

/// Fetches the bytes of a run in one read, and decodes its values.
fn read_run<T: Scalar>(
    run: &[Place],
    element: Element,
    values: &mut [T],
    buffer: &mut [u8],
    fetch: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let position = |place: Option<&Place>| place.map_or(0, |place| place.position());
    let (first, last) = (position(run.first()), position(run.last()));
    let size = element.size();
    let bytes = &mut buffer[..(last + 1 - first) as usize * size];
    fetch(first * size as u64, bytes)?;
    // Often they are contiguous; otherwise some may repeat and others be missing.
    let follows = |pair: &[Place]| pair[0].position() + 1 == pair[1].position();
    if run.windows(2).all(follows) {
        let mut decoded = vec![T::zero(); run.len()];
        element.decode(bytes, &mut decoded)?;
        for (place, decoded) in run.iter().zip(decoded) {
            values[place.index()] = decoded;
        }
        return Ok(());
    }
    for place in run {
        let start = (place.position() - first) as usize * size;
        let value = &mut values[place.index()..=place.index()];
        element.decode(&bytes[start..start + size], value)?;
    }
    Ok(())
}

/// Splits sorted places into runs that are close enough to be read together and fit into the buffer.
fn runs(places: &[Place], size: u64) -> impl Iterator<Item = &[Place]> {
    let mut rest = places;
    core::iter::from_fn(move || {
        let first = rest.first()?.position();
        let mut last = first;
        let end = rest.iter().position(|place| {
            let near = (place.position() - last) * size <= WORTHWHILE_GAP;
            let fits = (place.position() - first + 1) * size <= BUFFER as u64;
            last = place.position();
            !near || !fits
        });
        let (run, left) = rest.split_at(end.unwrap_or(rest.len()));
        rest = left;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::ByteOrder;
    use crate::weights::ElementType;

    const SINGLES: Element = Element {
        element_type: ElementType::F32,
        order: ByteOrder::Big,
    };

    #[allow(clippy::unwrap_used, reason = "a helper of tests")]
    /// Reads a tensor whose storage counts up, in pieces of `chunk` values.
    fn gathered(shape: &[usize], strides: &[u64], chunk: usize) -> Vec<f32> {
        let strides = Strides::new(shape, strides).unwrap();
        let mut values = vec![0.0; element_count(shape).unwrap()];
        for (at, values) in values.chunks_mut(chunk).enumerate() {
            let fetch = |position: u64, bytes: &mut [u8]| {
                for (at, element) in bytes.chunks_exact_mut(4).enumerate() {
                    let value = (position / 4) as f32 + at as f32;
                    element.copy_from_slice(&value.to_be_bytes());
                }
                Ok(())
            };
            strides.gather(SINGLES, at * chunk, values, fetch).unwrap();
        }
        values
    }

    #[test]
    fn values_are_gathered_whatever_the_strides_and_the_chunks() {
        for chunk in [1, 3, 5, 7, 1000] {
            assert_eq!(
                gathered(&[2, 3], &[1, 2], chunk),
                [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]
            );
            assert_eq!(gathered(&[2, 2], &[0, 1], chunk), [0.0, 1.0, 0.0, 1.0]);
            assert_eq!(
                gathered(&[3, 2], &[2, 0], chunk),
                [0.0, 0.0, 2.0, 2.0, 4.0, 4.0]
            );
            // With a length of one, the stride has no meaning.
            assert_eq!(gathered(&[1, 2], &[u64::MAX, 2], chunk), [0.0, 2.0]);
            // Far apart, so that each value is a run of its own.
            let far = gathered(&[3, 2], &[3, 100_000], chunk);
            assert_eq!(far, [0.0, 100_000.0, 3.0, 100_003.0, 6.0, 100_006.0]);
        }
        for chunk in [699, 1400, 1401, 3333, 100_000, 300 * 700] {
            let transposed = gathered(&[300, 700], &[1, 300], chunk);
            for (index, &value) in transposed.iter().enumerate() {
                assert_eq!(value as usize, index % 700 * 300 + index / 700);
            }
        }
    }

    #[test]
    fn rows_side_by_side_are_read_column_by_column() {
        // Three dimensions, of which the last two aren't in order, and more rows than are read at once.
        let (rows, strides) = (RUN + 3, [1, 7 * (RUN as u64 + 3), RUN as u64 + 3]);
        for chunk in [13, 14, 29, 5 * 14 + 3, rows * 14] {
            let found = gathered(&[rows, 2, 7], &strides, chunk);
            for (index, &value) in found.iter().enumerate() {
                let (row, second, third) = (index / 14, index / 7 % 2, index % 7);
                assert_eq!(value as usize, row + (second * 7 + third) * rows);
            }
        }
        // The same column repeated.
        assert_eq!(
            gathered(&[3, 2], &[1, 0], 6),
            [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
        );
        let strides = Strides::new(&[4096, 1024], &[1, 4096]).unwrap();
        assert_eq!(strides.preferred_length(), 2048 * 1024);
        let wide = Strides::new(&[2, usize::MAX / 2], &[1, 2]).unwrap();
        assert_eq!(wide.preferred_length(), 1 << GATHERED);
    }

    #[test]
    fn contiguous_values_are_not_gathered() {
        assert!(Strides::new(&[2, 3], &[3, 1]).is_none());
        assert!(Strides::new(&[1, 3], &[77, 1]).is_none());
        assert!(Strides::new(&[0, 3], &[77, 9]).is_none());
        assert!(Strides::new(&[], &[]).is_none());
    }
}
