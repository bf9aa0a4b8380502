//! Views of a layer: a part of it, or its transpose.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::{ElementType, Layer, WeightSlice, element_count};
use crate::Scalar;

/// How many values of a stored row are read at once to transpose a matrix, if memory allows.
const RUN: usize = 2048;

/// How many stored rows are written to their places together.
const STRIP: usize = 64;

/// Runs lie this much farther apart than they are long: at distances of a power of two they would share few places of
/// the cache.
const PADDING: usize = 16;

/// How many values of a transposed matrix are read at once, unless a row is longer.
const MOST_AT_ONCE: usize = 1 << 22;

/// A whole layer of a source or a part of one, as listed by [`Unfused`](super::Unfused) and
/// [`Transposed`](super::Transposed). Its values are read from the source.
#[derive(Debug)]
pub struct LayerView<L> {
    layer: Arc<L>,
    /// `None` for the whole layer.
    part: Option<Part>,
}

/// The visible part of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) block: Block,
    pub(super) is_transposed: bool,
    /// The number of places in a convolution's kernel, if they are stored before the inputs. They are listed
    /// after them. Otherwise 1.
    pub(super) places: usize,
    /// Whether the layer also holds other projections.
    pub(super) is_cut: bool,
}

/// Neighbouring rows and columns of a matrix in row-major order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The flat index of its first value.
    pub(super) start: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// The number of values from one row to the next.
    pub(super) stride: usize,
}

impl Block {
    /// A whole tensor as a matrix whose rows are counted by the first dimension.
    pub(super) fn whole(shape: &[usize]) -> Self {
        let columns = element_count(shape.get(1..).unwrap_or_default()).unwrap_or(0);
        Self {
            start: 0,
            rows: shape.first().copied().unwrap_or(1),
            columns,
            stride: columns,
        }
    }

    pub(super) const fn with_rows(self, rows: &Range<usize>) -> Self {
        Self {
            start: self.start + rows.start * self.stride,
            rows: rows.end - rows.start,
            ..self
        }
    }

    /// These rows of each of `groups` groups of rows. Rows of one group count as one row of the block.
    pub(super) const fn with_rows_of_groups(self, rows: &Range<usize>, groups: usize) -> Self {
        let stride = self.rows / groups * self.stride;
        Self {
            start: self.start + rows.start * self.stride,
            rows: groups,
            columns: (rows.end - rows.start) * self.stride,
            stride,
        }
    }

    pub(super) const fn with_columns(self, columns: &Range<usize>) -> Self {
        Self {
            start: self.start + columns.start,
            columns: columns.end - columns.start,
            ..self
        }
    }

    /// The flat indices of the whole block, if it is contiguous.
    const fn as_range(&self) -> Option<Range<usize>> {
        if self.columns == self.stride || self.rows <= 1 {
            Some(self.start..self.start + self.rows * self.columns)
        } else {
            None
        }
    }
}

impl<L> LayerView<L> {
    /// The whole layer.
    pub(super) fn whole(layer: L) -> Self {
        Self {
            layer: Arc::new(layer),
            part: None,
        }
    }

    /// One part of a layer.
    pub(super) fn part(layer: L, part: Part) -> Self {
        Self {
            layer: Arc::new(layer),
            part: Some(part),
        }
    }

    /// Some parts of a layer.
    pub(super) fn parts(layer: L, parts: Vec<Part>) -> impl Iterator<Item = Self> {
        let layer = Arc::new(layer);
        parts.into_iter().map(move |part| Self {
            layer: Arc::clone(&layer),
            part: Some(part),
        })
    }
}

impl<L: Layer> Layer for LayerView<L> {
    type Error = L::Error;

    fn name(&self) -> &str {
        self.part
            .as_ref()
            .map_or(self.layer.name(), |part| &part.name)
    }

    fn shape(&self) -> &[usize] {
        self.part
            .as_ref()
            .map_or(self.layer.shape(), |part| &part.shape)
    }

    fn element_type(&self) -> ElementType {
        self.layer.element_type()
    }

    fn read<T: Scalar>(&self, offset: usize, values: &mut [T]) -> Result<(), L::Error> {
        match &self.part {
            None => self.layer.read(offset, values),
            Some(part) if part.is_transposed => {
                let Part { block, places, .. } = *part;
                Turned { block, places }.read(&*self.layer, offset, values)
            }
            Some(part) if part.places > 1 => {
                read_kernels(&*self.layer, part.block, part.places, offset, values)
            }
            Some(part) => read_block(&*self.layer, part.block, offset, values),
        }
    }

    fn preferred_length(&self) -> usize {
        match &self.part {
            Some(part) if part.is_transposed => {
                // Reads a run of values from every stored row, within bounded memory.
                let most = MOST_AT_ONCE / part.block.rows.max(1);
                part.block.rows.saturating_mul(most.clamp(1, RUN))
            }
            _ => self.layer.preferred_length(),
        }
    }

    fn is_cut_from_fused(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.is_cut) || self.layer.is_cut_from_fused()
    }

    /// The value for the whole layer, which its parts share.
    fn rounding(&self) -> Result<Option<f64>, Self::Error> {
        self.layer.rounding()
    }

    fn as_slice(&self) -> Option<WeightSlice<'_>> {
        let slice = self.layer.as_slice()?;
        match &self.part {
            None => Some(slice),
            Some(part) if part.is_transposed || part.places > 1 => None,
            Some(part) => slice.range(part.block.as_range()?),
        }
    }
}

/// Reads a block's values, starting at a flat index of the block.
fn read_block<L: Layer, T: Scalar>(
    layer: &L,
    block: Block,
    offset: usize,
    mut values: &mut [T],
) -> Result<(), L::Error> {
    if block.as_range().is_some() {
        return layer.read(block.start + offset, values);
    }
    let (mut row, mut column) = (offset / block.columns, offset % block.columns);
    while !values.is_empty() {
        let (now, later) = values.split_at_mut((block.columns - column).min(values.len()));
        layer.read(block.start + row * block.stride + column, now)?;
        (row, column, values) = (row + 1, 0, later);
    }
    Ok(())
}

/// Reads a block whose rows are kernels with the inputs of each place in turn, as kernels with the places of each
/// input in turn.
fn read_kernels<L: Layer, T: Scalar>(
    layer: &L,
    block: Block,
    places: usize,
    mut offset: usize,
    mut values: &mut [T],
) -> Result<(), L::Error> {
    let inputs = block.columns / places;
    while !values.is_empty() {
        let (row, column) = (offset / block.columns, offset % block.columns);
        let (now, later) = values.split_at_mut((block.columns - column).min(values.len()));
        let kernel = Block {
            start: block.start + row * block.stride,
            rows: places,
            columns: inputs,
            stride: inputs,
        };
        let turned = Turned {
            block: kernel,
            places: 1,
        };
        turned.read(layer, column, now)?;
        (offset, values) = (offset + now.len(), later);
    }
    Ok(())
}

/// A block that is read transposed. Its rows, the inputs of each of `places` in turn, become the places of each input in
/// turn.
#[derive(Clone, Copy)]
struct Turned {
    block: Block,
    places: usize,
}

impl Turned {
    /// Reads the values of the transpose, starting at a flat index of it.
    ///
    /// Reads the values of neighbouring columns at once for each row, and writes several rows together, so that
    /// writes are also close together.
    fn read<L: Layer, T: Scalar>(
        self,
        layer: &L,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), L::Error> {
        let Some(last) = (offset + values.len())
            .checked_sub(1)
            .filter(|_| !values.is_empty())
        else {
            return Ok(());
        };
        let block = self.block;
        let (first_column, last_column) = (offset / block.rows, last / block.rows);
        let length = last_column - first_column + 1;
        let apart = length + PADDING;
        let height = STRIP.min(block.rows);
        let mut runs = vec![T::nan(); apart * height];
        let are_whole = length == block.stride && values.len() == length * block.rows;
        let mut whole = vec![T::nan(); if are_whole { length * height } else { 0 }];
        for strip in (0..block.rows).step_by(STRIP) {
            let rows = strip..block.rows.min(strip + STRIP);
            let read = runs.chunks_exact_mut(apart).map(|run| &mut run[..length]);
            if are_whole {
                // Whole rows lie one behind another.
                let whole = &mut whole[..rows.len() * length];
                layer.read(block.start + strip * block.stride, whole)?;
                let found = whole.chunks_exact(length).zip(read);
                found.for_each(|(from, to)| to.copy_from_slice(from));
            } else {
                self.read_runs(layer, [offset, last], rows.clone().zip(read))?;
            }
            for column in 0..length {
                let run = runs[column..].iter().step_by(apart).copied();
                let start = (first_column + column) * block.rows;
                self.write(start, rows.clone(), run, (offset, values));
            }
        }
        Ok(())
    }

    /// The place of a row among those that are listed.
    const fn listed(self, row: usize) -> usize {
        let inputs = self.block.rows / self.places;
        row % inputs * self.places + row / inputs
    }

    /// Reads those values of some rows that lie between two flat indices of the transpose.
    fn read_runs<'a, L: Layer, T: Scalar>(
        self,
        layer: &L,
        [first, last]: [usize; 2],
        rows: impl Iterator<Item = (usize, &'a mut [T])>,
    ) -> Result<(), L::Error> {
        let Block { rows: count, .. } = self.block;
        for (row, run) in rows {
            // The first and the last column may be incomplete.
            let start = usize::from(self.listed(row) < first % count);
            let end = run.len() - usize::from(self.listed(row) > last % count);
            if start < end {
                let column = first / count + start;
                let first = self.block.start + row * self.block.stride + column;
                layer.read(first, &mut run[start..end])?;
            }
        }
        Ok(())
    }

    /// Writes one column of some rows, as far as it belongs to values from an offset on. The column starts at a flat index
    /// of the transpose.
    fn write<T: Scalar>(
        self,
        start: usize,
        rows: Range<usize>,
        run: impl Iterator<Item = T>,
        (offset, values): (usize, &mut [T]),
    ) {
        if self.places == 1 {
            let first = offset.max(start + rows.start);
            let end = (offset + values.len()).min(start + rows.end);
            if first < end {
                let values = values[first - offset..end - offset].iter_mut();
                let run = run.skip(first - start - rows.start);
                values.zip(run).for_each(|(to, value)| *to = value);
            }
            return;
        }
        for (row, value) in rows.zip(run) {
            let index = start + self.listed(row);
            if let Some(to) = index.checked_sub(offset).and_then(|at| values.get_mut(at)) {
                *to = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{InMemoryModel, WeightSource};
    use super::*;

    /// Rows 1 to 4 and columns 2 to 4 of a matrix of 5 rows and 6 columns.
    const BLOCK: Block = Block {
        start: 8,
        rows: 3,
        columns: 3,
        stride: 6,
    };

    fn read(is_transposed: bool, offset: usize, count: usize) -> Vec<f32> {
        let values: Vec<f32> = (0..30).map(|value| value as f32).collect();
        let model = InMemoryModel::new("m")
            .with_layer("w", [5, 6], values)
            .unwrap();
        let layer = model.layers().next().unwrap().unwrap();
        let part = Part {
            name: "part".into(),
            shape: vec![3, 3],
            block: BLOCK,
            is_transposed,
            places: 1,
            is_cut: false,
        };
        let view = LayerView::parts(layer, vec![part]).next().unwrap();
        let mut values = vec![0.0; count];
        view.read(offset, &mut values).unwrap();
        values
    }

    #[test]
    fn parts_and_transposes_are_read_from_any_offset_to_any_end() {
        let straight = [8.0, 9.0, 10.0, 14.0, 15.0, 16.0, 20.0, 21.0, 22.0];
        let transposed = [8.0, 14.0, 20.0, 9.0, 15.0, 21.0, 10.0, 16.0, 22.0];
        for offset in 0..=9 {
            for end in offset..=9 {
                let count = end - offset;
                assert_eq!(read(false, offset, count), straight[offset..end]);
                assert_eq!(read(true, offset, count), transposed[offset..end]);
            }
        }
    }

    #[test]
    fn kernels_are_listed_outputs_inputs_places_from_any_offset() {
        let (outputs, inputs, places) = (3, 5, 4);
        // The digits of each value are its output, input and place.
        let value = |o: usize, i: usize, p: usize| (100 * o + 10 * i + p) as f32;
        let all = outputs * inputs * places;
        let expected: Vec<f32> = (0..all)
            .map(|at| value(at / 20, at / places % inputs, at % places))
            .collect();
        let outputs_last = (0..all).map(|at| value(at % 3, at / 3 % inputs, at / 15));
        let inputs_last = (0..all).map(|at| value(at / 20, at % inputs, at / inputs % places));
        for (is_transposed, stored) in [
            (true, outputs_last.collect::<Vec<f32>>()),
            (false, inputs_last.collect()),
        ] {
            let model = InMemoryModel::new("m").with_layer("w", [all], stored);
            let model = model.unwrap();
            let shape = if is_transposed { [20, 3] } else { [3, 20] };
            let part = Part {
                name: "w".into(),
                shape: vec![outputs, inputs, 2, 2],
                block: Block::whole(&shape),
                is_transposed,
                places,
                is_cut: false,
            };
            let view = LayerView::part(model.layers().next().unwrap().unwrap(), part);
            for start in 0..all {
                for end in start..=all {
                    let mut values = vec![0.0_f32; end - start];
                    view.read(start, &mut values).unwrap();
                    assert_eq!(values, expected[start..end], "{is_transposed} {start}");
                }
            }
        }
    }

    #[test]
    fn more_rows_than_are_put_in_place_together_are_transposed() {
        let (rows, columns) = (2 * STRIP + 5, 7);
        let values: Vec<f32> = (0..rows * columns).map(|value| value as f32).collect();
        let model = InMemoryModel::new("m")
            .with_layer("w", [rows, columns], values)
            .unwrap();
        let layer = model.layers().next().unwrap().unwrap();
        let part = Part {
            name: "w".into(),
            shape: vec![columns, rows],
            block: Block::whole(&[rows, columns]),
            is_transposed: true,
            places: 1,
            is_cut: false,
        };
        let view = LayerView::part(layer, part);
        let expected: Vec<f32> = (0..rows * columns)
            .map(|at| (at % rows * columns + at / rows) as f32)
            .collect();
        for length in [1, 10, rows, rows + 1, 3 * rows - 1, rows * columns] {
            let mut read = vec![0.0_f32; rows * columns];
            for (chunk, values) in read.chunks_mut(length).enumerate() {
                view.read(chunk * length, values).unwrap();
            }
            assert_eq!(read, expected, "{length}");
        }
    }
}
