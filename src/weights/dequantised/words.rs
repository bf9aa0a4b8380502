//! Codes of a few bits, packed into 32-bit words, with scales and zeros for groups of inputs: GPTQ, AWQ,
//! compressed-tensors and MLX.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::band::{Ahead, Matrix};
use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::weights::Layer;

/// The number of bits in a word.
pub(super) const WORD: usize = 32;

/// A weight with outputs and inputs as (code − zero) · scale, or as code · scale + offset.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) layout: Layout,
    pub(super) bits: usize,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) groups: Groups,
    pub(super) zeros: Zeros,
}

/// The layout of words and tables. The parts are the codes, the scales and, if they exist, the zeros and the
/// group of each input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// A word holds neighbouring inputs; words and tables have one row per input or group.
    Gptq,
    /// A word holds neighbouring outputs, in a special order.
    Awq,
    /// A word holds neighbouring inputs; words and scales have one row per output.
    ByOutputs,
    /// The same with words of zeros that hold neighbouring groups, and rows of tables that are filled up:
    /// AWQ for kernels of one vector.
    AwqByOutputs,
}

/// The group to which an input belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Groups {
    /// Groups of this many neighbours.
    Even(usize),
    /// A table gives the group of each input, out of this many.
    Listed(usize),
}

/// The source of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zeros {
    /// Always the middle of the range of codes.
    Middle,
    /// Packed like codes, with this number added to each.
    Packed(u32),
    /// No zeros; a table shaped like that of the scales holds offsets to add to the values.
    Offsets,
}

/// The position in a word of the code for each of eight neighbouring outputs, in AWQ's order.
const AWQ_ORDER: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// How many words the zeros of an output take where AWQ fills rows of tables up.
pub(super) const fn filled_up(inputs: usize, group: usize) -> usize {
    let multiple = match group {
        32 => 4,
        64 => 2,
        _ => 1,
    };
    inputs
        .div_ceil(group)
        .div_ceil(HELD)
        .next_multiple_of(multiple)
}

/// How many words of neighbouring rows are read at once.
const AT_ONCE: usize = 1 << 13;

/// How many codes of AWQ a word holds.
const HELD: usize = AWQ_ORDER.len();

/// Some rows and columns of the weight.
struct Rectangle {
    rows: Range<usize>,
    columns: Range<usize>,
}

/// Scales and zeros of some groups, for the rows of a rectangle.
struct Tables {
    first_group: usize,
    rows: usize,
    scales: Vec<f64>,
    zeros: Vec<f64>,
    /// Whether the zeros are offsets to add at the end.
    are_offsets: bool,
    /// The groups of the columns: each with how many neighbours it has.
    groups: Vec<(usize, usize)>,
}

impl Tables {
    /// Decodes a row's codes.
    fn decode<T: Scalar>(&self, row: usize, codes: &[u32], values: &mut [T]) {
        let (mut codes, mut values) = (codes, values);
        for &(group, length) in &self.groups {
            let (now, later) = values.split_at_mut(length.min(values.len()));
            let (here, rest) = codes.split_at(now.len());
            let place = group.wrapping_sub(self.first_group);
            let place = place.saturating_mul(self.rows).saturating_add(row);
            match (self.scales.get(place), self.zeros.get(place)) {
                (Some(&scale), Some(&offset)) if self.are_offsets => {
                    decode_each(here, now, |code| code * scale + offset);
                }
                (Some(&scale), Some(&zero)) => decode_each(here, now, |code| (code - zero) * scale),
                _ => now.fill(T::nan()),
            }
            (codes, values) = (rest, later);
        }
        values.fill(T::nan());
    }
}

fn decode_each<T: Scalar>(codes: &[u32], values: &mut [T], decode: impl Fn(f64) -> f64) {
    in_wide_registers(
        #[inline(always)]
        || {
            for (value, &code) in values.iter_mut().zip(codes) {
                *value = T::narrow(decode(code.into()));
            }
        },
    );
}

impl Words {
    pub(super) fn read<L: Layer, T: Scalar>(
        &self,
        codes: (&L, &Ahead),
        tables: &[L],
        offset: usize,
        values: &mut [T],
    ) -> Result<(), L::Error> {
        let (codes, ahead) = codes;
        let mut rest = values;
        for rectangle in rectangles(offset, rest.len(), self.inputs) {
            let length = rectangle.rows.len() * rectangle.columns.len();
            let (now, later) = rest.split_at_mut(length.min(rest.len()));
            let tables = self.tables(tables, &rectangle)?;
            match self.layout {
                Layout::ByOutputs | Layout::AwqByOutputs => {
                    self.read_rows(codes, &tables, &rectangle, now)?;
                }
                _ => self.read_lines((codes, ahead), &tables, &rectangle, now)?,
            }
            rest = later;
        }
        Ok(())
    }

    /// The mean squared change from rounding to evenly spaced levels; all groups have the same size.
    pub(super) fn rounding<L: Layer>(&self, scales: &L) -> Result<Option<f64>, L::Error> {
        let (groups, stored) = (self.group_count(), self.row_of_scales());
        // What rows are filled up with is zero.
        let count = self.outputs.saturating_mul(stored);
        let (mut buffer, mut sum) = (vec![0.0_f64; AT_ONCE], 0.0);
        for first in (0..count).step_by(AT_ONCE) {
            let scales_here = &mut buffer[..AT_ONCE.min(count - first)];
            scales.read(first, scales_here)?;
            sum += scales_here.iter().map(|scale| scale * scale).sum::<f64>();
        }
        let mean = sum / (self.outputs.saturating_mul(groups)) as f64 / 12.0;
        Ok((mean > 0.0 && mean.is_finite()).then_some(mean))
    }

    /// The words that contain the codes of some neighbours.
    const fn span(&self, codes: &Range<usize>) -> Range<usize> {
        codes.start * self.bits / WORD..(codes.end * self.bits).div_ceil(WORD)
    }

    /// The number of words for this many codes.
    const fn words_of(&self, codes: usize) -> usize {
        (codes * self.bits).div_ceil(WORD)
    }

    /// The position of an output among the codes of its line, which AWQ reorders.
    const fn place_of_output(&self, output: usize) -> usize {
        match self.layout {
            Layout::Awq => output / HELD * HELD + AWQ_ORDER[output % HELD],
            _ => output,
        }
    }

    /// Reads words in lines of outputs: GPTQ's words hold neighbouring inputs, AWQ's hold neighbouring
    /// outputs.
    fn read_lines<L: Layer, T: Scalar>(
        &self,
        codes: (&L, &Ahead),
        tables: &Tables,
        rectangle: &Rectangle,
        values: &mut [T],
    ) -> Result<(), L::Error> {
        let (codes, ahead) = codes;
        let (rows, columns) = (&rectangle.rows, &rectangle.columns);
        let is_awq = self.layout == Layout::Awq;
        let (matrix, lines, across) = if is_awq {
            let matrix = Matrix {
                words: codes,
                lines: self.inputs,
                columns: self.words_of(self.outputs),
            };
            (matrix, columns.clone(), self.span(rows))
        } else {
            let matrix = Matrix {
                words: codes,
                lines: self.words_of(self.inputs),
                columns: self.outputs,
            };
            (matrix, self.span(columns), rows.clone())
        };
        ahead.with(matrix, lines, across, |band| {
            let mut codes = vec![0; columns.len()];
            let of_rows = values.chunks_mut(columns.len().max(1));
            for (row, (output, values)) in rows.clone().zip(of_rows).enumerate() {
                if is_awq {
                    let bit = self.place_of_output(output) * self.bits;
                    let words = band.column(bit / WORD);
                    for (code, &word) in codes.iter_mut().zip(words) {
                        *code = word >> (bit % WORD) & ((1 << self.bits) - 1);
                    }
                } else {
                    unpack(self.bits, columns.start, band.column(output), &mut codes);
                }
                tables.decode(row, &codes, values);
            }
        })
    }

    /// Reads words that hold neighbouring inputs, with one row per output.
    fn read_rows<L: Layer, T: Scalar>(
        &self,
        codes_of: &L,
        tables: &Tables,
        rectangle: &Rectangle,
        values: &mut [T],
    ) -> Result<(), L::Error> {
        let columns = &rectangle.columns;
        let across = self.span(columns);
        // Whole rows of words lie one behind another.
        let row = self.words_of(self.inputs);
        let fitting = (AT_ONCE / row.max(1)).clamp(1, rectangle.rows.len().max(1));
        let at_once = if across.len() == row { fitting } else { 1 };
        let mut words = vec![0.0; across.len() * at_once];
        let mut codes = vec![0; columns.len()];
        let bands = values.chunks_mut((columns.len() * at_once).max(1));
        for (first, band) in (0..).step_by(at_once).zip(bands) {
            let start = (rectangle.rows.start + first) * row + across.start;
            let outputs = band.chunks_mut(columns.len());
            let words = &mut words[..across.len() * outputs.len()];
            codes_of.read(start, words)?;
            let words: Vec<u32> = words.iter().copied().map(bits).collect();
            let lines = words.chunks(across.len().max(1));
            for (at, (values, words)) in (first..).zip(outputs.zip(lines)) {
                unpack(self.bits, columns.start, words, &mut codes);
                tables.decode(at, &codes, values);
            }
        }
        Ok(())
    }

    /// The scales and zeros for the values of a rectangle.
    fn tables<L: Layer>(&self, tables: &[L], at: &Rectangle) -> Result<Tables, L::Error> {
        let (scales, more) = match tables.split_first() {
            Some((scales, more)) => (Some(scales), more),
            None => (None, tables),
        };
        let (zeros, more) = match self.zeros {
            Zeros::Packed(_) | Zeros::Offsets => (more.first(), more.get(1..).unwrap_or_default()),
            Zeros::Middle => (None, more),
        };
        let groups = self.groups_of(more.first(), &at.columns)?;
        let (count, first) = (self.group_count(), groups.iter().min().copied());
        let first = first.unwrap_or(0).min(count);
        let end = groups
            .iter()
            .max()
            .map_or(first, |last| last.saturating_add(1));
        let span = first..end.min(count).max(first);
        Ok(Tables {
            first_group: first,
            rows: at.rows.len(),
            scales: match scales {
                Some(scales) => self.scales(scales, &span, &at.rows)?,
                None => Vec::new(),
            },
            are_offsets: self.zeros == Zeros::Offsets,
            zeros: match zeros {
                Some(offsets) if self.zeros == Zeros::Offsets => {
                    self.scales(offsets, &span, &at.rows)?
                }
                Some(zeros) => self.zeros(zeros, &span, &at.rows)?,
                None => vec![f64::from(1 << (self.bits - 1)); span.len() * at.rows.len()],
            },
            groups: (groups.chunk_by(|group, next| group == next))
                .map(|same| (same[0], same.len()))
                .collect(),
        })
    }

    /// How many scales are stored for an output where they lie in a row.
    fn row_of_scales(&self) -> usize {
        match (self.layout, self.groups) {
            (Layout::AwqByOutputs, Groups::Even(size)) => HELD * filled_up(self.inputs, size),
            _ => self.group_count(),
        }
    }

    fn group_count(&self) -> usize {
        match self.groups {
            Groups::Even(size) => self.inputs.div_ceil(size.max(1)),
            Groups::Listed(count) => count,
        }
    }

    /// The groups of some inputs.
    fn groups_of<L: Layer>(
        &self,
        listed: Option<&L>,
        inputs: &Range<usize>,
    ) -> Result<Vec<usize>, L::Error> {
        match (self.groups, listed) {
            (Groups::Listed(_), Some(listed)) => {
                let mut groups = vec![0.0; inputs.len()];
                listed.read(inputs.start, &mut groups)?;
                Ok(groups.into_iter().map(|group| group as usize).collect())
            }
            (Groups::Listed(_), None) => Ok(Vec::new()),
            (Groups::Even(size), _) => {
                Ok(inputs.clone().map(|input| input / size.max(1)).collect())
            }
        }
    }

    /// Scales, group by group, with one number per row.
    fn scales<L: Layer>(
        &self,
        table: &L,
        groups: &Range<usize>,
        rows: &Range<usize>,
    ) -> Result<Vec<f64>, L::Error> {
        let mut scales = vec![f64::NAN; groups.len() * rows.len()];
        match self.layout {
            Layout::Gptq | Layout::Awq => {
                for (group, scales) in groups.clone().zip(scales.chunks_mut(rows.len().max(1))) {
                    table.read(group * self.outputs + rows.start, scales)?;
                }
            }
            Layout::ByOutputs | Layout::AwqByOutputs => {
                let row = self.row_of_scales();
                // Whole rows lie one behind another.
                let at_once = if groups.len() == row { rows.len() } else { 1 };
                let mut of_rows = vec![f64::NAN; groups.len() * at_once];
                for first in rows.clone().step_by(at_once.max(1)) {
                    table.read(first * row + groups.start, &mut of_rows)?;
                    let of_rows = of_rows.chunks(groups.len().max(1));
                    for (at, of_row) in (first - rows.start..).zip(of_rows) {
                        for (group, &scale) in of_row.iter().enumerate() {
                            scales[group * rows.len() + at] = scale;
                        }
                    }
                }
            }
        }
        Ok(scales)
    }

    /// Zeros, group by group, with one number per row.
    fn zeros<L: Layer>(
        &self,
        table: &L,
        groups: &Range<usize>,
        rows: &Range<usize>,
    ) -> Result<Vec<f64>, L::Error> {
        if self.layout == Layout::AwqByOutputs {
            return self.zeros_by_groups(table, groups, rows);
        }
        let across = self.span(rows);
        let mut zeros = Vec::with_capacity(groups.len() * rows.len());
        let mut words = vec![0.0; across.len()];
        for group in groups.clone() {
            match self.layout {
                Layout::Gptq | Layout::Awq => {
                    let start = group * self.words_of(self.outputs) + across.start;
                    table.read(start, &mut words)?;
                }
                Layout::ByOutputs | Layout::AwqByOutputs => {
                    for (word, at) in words.iter_mut().zip(across.clone()) {
                        let place = at * self.group_count() + group;
                        table.read(place, core::slice::from_mut(word))?;
                    }
                }
            }
            let added = match self.zeros {
                Zeros::Packed(added) => added,
                Zeros::Middle | Zeros::Offsets => 0,
            };
            zeros.extend(rows.clone().map(|row| {
                let word = |word: usize| bits(words[word - across.start]);
                f64::from(code(self.bits, self.place_of_output(row), word) + added)
            }));
        }
        Ok(zeros)
    }

    /// The same where words hold neighbouring groups, with a row for each output.
    fn zeros_by_groups<L: Layer>(
        &self,
        table: &L,
        groups: &Range<usize>,
        rows: &Range<usize>,
    ) -> Result<Vec<f64>, L::Error> {
        let across = self.span(groups);
        let mut words = vec![0.0; across.len()];
        let mut zeros = vec![f64::NAN; groups.len() * rows.len()];
        for (at, row) in rows.clone().enumerate() {
            table.read(row * self.row_of_scales() / HELD + across.start, &mut words)?;
            let word = |word: usize| bits(words[word - across.start]);
            let of_row = zeros.iter_mut().skip(at).step_by(rows.len());
            for (zero, group) in of_row.zip(groups.clone()) {
                *zero = code(self.bits, group, word).into();
            }
        }
        Ok(zeros)
    }
}

/// The code at a position in a line of words, where codes of this many bits follow each other starting at the
/// lowest bit.
pub(super) fn code(bits: usize, place: usize, word: impl Fn(usize) -> u32) -> u32 {
    let (first, shift) = (place * bits / WORD, place * bits % WORD);
    let mut both = u64::from(word(first));
    if shift + bits > WORD {
        both |= u64::from(word(first + 1)) << WORD;
    }
    (both >> shift) as u32 & ((1 << bits) - 1)
}

/// Unpacks the codes from position `first` of a line on, given the words that contain them.
fn unpack(bits: usize, first: usize, words: &[u32], codes: &mut [u32]) {
    match bits {
        2 => unpack_whole::<2>(first, words, codes),
        4 => unpack_whole::<4>(first, words, codes),
        8 => unpack_whole::<8>(first, words, codes),
        _ => {
            let start = first * bits / WORD;
            for (place, value) in (first..).zip(codes) {
                *value = code(bits, place, |word| words[word - start]);
            }
        }
    }
}

/// The same for codes none of which goes on in the next word.
fn unpack_whole<const BITS: usize>(first: usize, words: &[u32], codes: &mut [u32]) {
    let held = WORD / BITS;
    let code = |word: u32, at: usize| word >> (at * BITS) & ((1 << BITS) - 1);
    let before = (first.next_multiple_of(held) - first).min(codes.len());
    let (before, codes) = codes.split_at_mut(before);
    for (at, value) in before.iter_mut().enumerate() {
        *value = code(words[0], first % held + at);
    }
    let words = &words[usize::from(!before.is_empty())..];
    in_wide_registers(
        #[inline(always)]
        || {
            let mut words = words.iter();
            let mut whole = codes.chunks_exact_mut(WORD / BITS);
            for (values, &word) in whole.by_ref().zip(&mut words) {
                for (at, value) in values.iter_mut().enumerate() {
                    *value = code(word, at);
                }
            }
            for (at, value) in whole.into_remainder().iter_mut().enumerate() {
                *value = words.as_slice().first().map_or(0, |&word| code(word, at));
            }
        },
    );
}

/// The bits of a word that was read as a signed or unsigned number.
pub(super) fn bits(word: f64) -> u32 {
    word as i64 as u32
}

/// Splits values of a matrix, starting at an offset, into at most three rectangles: the end of a row, whole
/// rows, and the start of a row.
fn rectangles(offset: usize, length: usize, width: usize) -> impl Iterator<Item = Rectangle> {
    let (mut at, mut left, width) = (offset, length, width.max(1));
    core::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let (row, column) = (at / width, at % width);
        let (rows, columns) = if column > 0 || left < width {
            (1, (width - column).min(left))
        } else {
            (left / width, width)
        };
        at += rows * columns;
        left -= rows * columns;
        Some(Rectangle {
            rows: row..row + rows,
            columns: column..column + columns,
        })
    })
}
