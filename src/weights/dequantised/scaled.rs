//! Codes in the weight's own shape, with a table of scales.

use core::ops::Range;

use super::blocks::{Blocks, RowOf};
use crate::Scalar;
use crate::weights::Layer;

/// A weight as (code − zero) · scale; parts are the codes, the scales and perhaps the zeros.
#[derive(Clone, Debug)]
pub(super) struct Scaled {
    pub(super) blocks: Blocks,
    pub(super) scales: Scales,
}

/// What the numbers in a table of scales mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scales {
    Factors,
    /// The largest magnitude, which the code 127 stands for.
    Largest,
    /// Exponents of two, 127 higher.
    Exponents,
}

impl Scales {
    fn apply(self, code: f64, scale: f64) -> f64 {
        match self {
            Self::Factors => code * scale,
            Self::Largest => code * scale / 127.0,
            Self::Exponents if scale == 255.0 => f64::NAN,
            Self::Exponents => code * num_traits::Float::exp2(scale - 127.0),
        }
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
        // Codes have at most 8 bits, so that every scalar holds them.
        codes.read(offset, values)?;
        let Some((scales, zeros)) = tables.split_first() else {
            return Ok(());
        };
        let (mut scales, mut zeros) = (RowOf::new(scales), zeros.first().map(RowOf::new));
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
                for value in now {
                    *value = T::narrow(self.scales.apply(value.widen() - zero, scale));
                }
                rest = later;
                column += length;
            }
        }
        Ok(())
    }
}

/// Values from an offset on, row by row: the row, its columns, and their values.
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
