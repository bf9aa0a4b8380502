//! Codes in the weight's own shape, with a table of scales.

use alloc::vec;
use core::ops::Range;

use super::blocks::{Blocks, RowOf};
use super::nibbles::{BYTES, pairs};
use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::weights::Layer;
use crate::weights::floats::F4_E2M1;

/// A weight as (code − zero) · scale. Its parts are the codes, the scales, and perhaps one more table.
#[derive(Clone, Debug)]
pub(super) struct Scaled {
    pub(super) codes: Codes,
    pub(super) blocks: Blocks,
    pub(super) scales: Scales,
    pub(super) more: More,
}

/// How codes are stored in their tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Codes {
    /// One code of at most 8 bits per value.
    Whole,
    /// Two 4-bit floats per byte, the first in the lower half.
    Pairs,
}

/// The meaning of the numbers in a table of scales.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scales {
    Factors,
    /// The largest magnitude, represented by the code 127.
    Largest,
    /// Exponents of two with a bias of 127.
    Exponents,
}

/// The additional table on which the weight depends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum More {
    Nothing,
    /// A zero point for each scale.
    Zeros,
    /// One factor for all values.
    Factor,
    /// One divisor for all values.
    Divisor,
}

impl Scales {
    /// The factor and the divisor for a code.
    fn fraction(self, scale: f64) -> (f64, f64) {
        match self {
            Self::Factors => (scale, 1.0),
            Self::Largest => (scale, 127.0),
            Self::Exponents if scale == 255.0 => (f64::NAN, 1.0),
            Self::Exponents => (num_traits::Float::powi(2.0, scale as i32 - 127), 1.0),
        }
    }
}

impl Codes {
    fn read<L: Layer, T: Scalar>(
        self,
        codes: &L,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), L::Error> {
        if self == Self::Whole {
            return codes.read(offset, values);
        }
        let mut bytes = vec![0.0_f32; BYTES.min(values.len() / 2 + 1)];
        let (mut at, mut rest) = (offset, values);
        while !rest.is_empty() {
            let length = (2 * BYTES - at % 2).min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            let first = at / 2;
            let bytes = &mut bytes[..(at + length).div_ceil(2) - first];
            codes.read(first, bytes)?;
            let codes = pairs(bytes, |byte| [byte & 15, byte >> 4]);
            for (value, &code) in now.iter_mut().zip(&codes.as_flattened()[at % 2..]) {
                *value = T::from_single(F4_E2M1[usize::from(code & 15)]);
            }
            rest = later;
            at += length;
        }
        Ok(())
    }
}

impl Scaled {
    pub(super) fn read<L: Layer, T: Scalar>(
        &self,
        codes: &L,
        tables: &[L],
        offset: usize,
        values: &mut [T],
    ) -> Result<(), L::Error> {
        self.codes.read(codes, offset, values)?;
        let Some((scales, more)) = tables.split_first() else {
            return Ok(());
        };
        let (of_all, zeros) = match self.more {
            More::Zeros => (None, more.first()),
            _ => (more.first(), None),
        };
        let (factor, divisor) = self.of_all(of_all)?;
        let (mut scales, mut zeros) = (RowOf::new(scales), zeros.map(RowOf::new));
        let (width, run) = (self.blocks.width().max(1), self.blocks.run());
        for (row, columns, values) in rows(offset, values, width) {
            let start = columns.start;
            let range = self.blocks.range(row, columns);
            let scales = scales.at(range.clone())?;
            let zeros = match &mut zeros {
                Some(zeros) => zeros.at(range)?,
                None => &[],
            };
            let first = start / run;
            let mut rest = values;
            let mut column = start;
            while !rest.is_empty() {
                let block = column / run;
                let length = (run - column % run).min(rest.len());
                let (now, later) = rest.split_at_mut(length);
                let scale = scales.get(block - first).copied().unwrap_or(f64::NAN);
                let zero = zeros.get(block - first).copied().unwrap_or(0.0);
                let (scale, largest) = self.scales.fraction(scale);
                multiply(now, zero, (scale * factor, largest * divisor));
                rest = later;
                column += length;
            }
        }
        Ok(())
    }

    /// The factor and the divisor for all values.
    fn of_all<L: Layer>(&self, table: Option<&L>) -> Result<(f64, f64), L::Error> {
        let mut number = [1.0_f64];
        if let Some(table) = table {
            table.read(0, &mut number)?;
        }
        let [number] = number;
        Ok(match self.more {
            More::Factor => (number, 1.0),
            More::Divisor => (1.0, number),
            _ => (1.0, 1.0),
        })
    }
}

/// Turns codes into values, with a factor and a divisor.
fn multiply<T: Scalar>(values: &mut [T], zero: f64, (factor, divisor): (f64, f64)) {
    in_wide_registers(
        #[inline(always)]
        || {
            if divisor == 1.0 {
                // Most have none, and dividing takes longer than all the rest.
                for value in values {
                    *value = T::narrow((value.widen() - zero) * factor);
                }
            } else {
                for value in values {
                    *value = T::narrow((value.widen() - zero) * factor / divisor);
                }
            }
        },
    );
}

/// Splits values, starting at an offset, into rows: the row, its columns, and their values.
fn rows<T>(
    offset: usize,
    values: &mut [T],
    width: usize,
) -> impl Iterator<Item = (usize, Range<usize>, &mut [T])> {
    let (mut at, mut rest) = (offset, values);
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (row, column) = (at / width, at % width);
        let length = (width - column).min(rest.len());
        let (now, later) = core::mem::take(&mut rest).split_at_mut(length);
        rest = later;
        at += length;
        Some((row, column..column + length, now))
    })
}
