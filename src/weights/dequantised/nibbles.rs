//! Two codes per byte in the order of the values, with a code map and one scale per block: NF4 and FP4 of
//! bitsandbytes.

use alloc::vec;
use alloc::vec::Vec;

use crate::Scalar;
use crate::weights::Layer;

/// How many bytes are read at once.
const BYTES: usize = 4096;

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
        let mut bytes = [0.0_f32; BYTES];
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
            for (index, value) in (at..).zip(now) {
                let byte = bytes[index / 2 - first_byte] as u8;
                let code = if index % 2 == 0 { byte >> 4 } else { byte & 15 };
                let level = self.map.get(usize::from(code)).copied();
                let largest = largest[index / self.block - first_block];
                *value = T::narrow(level.unwrap_or(f64::NAN) * largest);
            }
            rest = later;
            at += length;
        }
        Ok(())
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
