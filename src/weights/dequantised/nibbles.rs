//! Two codes per byte in the order of the values, with a code map and one scale per block: NF4 and FP4 of
//! bitsandbytes.

use alloc::vec;
use alloc::vec::Vec;

use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::weights::Layer;

/// How many bytes are read at once.
pub(super) const BYTES: usize = 1 << 14;

/// A weight as map\[code\] · absmax. Its parts are the codes, the absmax of blocks, and the absmax of that if
/// it is quantised, too.
#[derive(Clone, Debug)]
pub(super) struct Nibbles {
    pub(super) map: Vec<f64>,
    /// The number of values in a block.
    pub(super) block: usize,
    pub(super) nested: Option<Nested>,
}

/// An absmax as map\[code\] · absmax + offset.
#[derive(Clone, Debug)]
pub(super) struct Nested {
    pub(super) map: Vec<f64>,
    /// The number of codes in a block.
    pub(super) block: usize,
    pub(super) offset: f64,
}

impl Nibbles {
    pub(super) fn read<L: Layer, T: Scalar>(
        &self,
        codes: &L,
        tables: &[L],
        offset: usize,
        values: &mut [T],
    ) -> Result<(), L::Error> {
        let mut bytes = vec![0.0_f32; BYTES.min(values.len() / 2 + 1)];
        let (mut at, mut rest) = (offset, values);
        while !rest.is_empty() {
            // The first value may be in the second half of its byte.
            let length = (2 * BYTES - at % 2).min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            let (first_byte, last_byte) = (at / 2, (at + length - 1) / 2);
            let bytes = &mut bytes[..=last_byte - first_byte];
            codes.read(first_byte, bytes)?;
            let first_block = at / self.block;
            let blocks = (at + length - 1) / self.block - first_block + 1;
            let largest = self.largest(tables, first_block, blocks)?;
            let codes = pairs(bytes, |byte| [byte >> 4, byte & 15]);
            let mut codes = &codes.as_flattened()[at % 2..];
            let mut now = now;
            for (block, largest) in (first_block..).zip(largest) {
                let end = (block + 1).saturating_mul(self.block).min(at + length);
                let weights = self.weights(largest);
                let here = end - (at + length - now.len());
                let (values, rest) = now.split_at_mut(here);
                for (value, &code) in values.iter_mut().zip(codes) {
                    *value = weights[usize::from(code & 15)];
                }
                (codes, now) = (&codes[here..], rest);
            }
            rest = later;
            at += length;
        }
        Ok(())
    }

    /// The weight for each code in a block.
    fn weights<T: Scalar>(&self, largest: f64) -> [T; 16] {
        let mut weights = [T::nan(); 16];
        for (weight, level) in weights.iter_mut().zip(&self.map) {
            *weight = T::narrow(level * largest);
        }
        weights
    }

    /// The absmax of some blocks.
    fn largest<L: Layer>(
        &self,
        tables: &[L],
        first: usize,
        blocks: usize,
    ) -> Result<Vec<f64>, L::Error> {
        let mut largest = vec![f64::NAN; blocks];
        let Some(table) = tables.first() else {
            return Ok(largest);
        };
        table.read(first, &mut largest)?;
        let (Some(nested), Some(table)) = (&self.nested, tables.get(1)) else {
            return Ok(largest);
        };
        let first_outer = first / nested.block;
        let outer = (first + blocks - 1) / nested.block - first_outer + 1;
        let mut factors = vec![f64::NAN; outer];
        table.read(first_outer, &mut factors)?;
        for (index, code) in (first..).zip(&mut largest) {
            let level = nested.map.get(*code as usize).copied();
            let factor = factors[index / nested.block - first_outer];
            *code = level.unwrap_or(f64::NAN) * factor + nested.offset;
        }
        Ok(largest)
    }
}

/// The two codes in each byte.
pub(super) fn pairs(bytes: &[f32], split: impl Fn(u8) -> [u8; 2]) -> Vec<[u8; 2]> {
    let mut codes = vec![[0; 2]; bytes.len()];
    in_wide_registers(
        #[inline(always)]
        || {
            for (codes, &byte) in codes.iter_mut().zip(bytes) {
                *codes = split(byte as u8);
            }
        },
    );
    codes
}
