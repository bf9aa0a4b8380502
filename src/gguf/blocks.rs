//! What the blocks of GGUF's quantised types stand for.
//!
//! A block of 32 or 256 values has scales, and a code of a few bits for each value. Values are, bit for
//! bit, what the `gguf` package computes in single precision.

use crate::weights::binary16;

/// How a quantised type packs its values.
#[derive(Debug)]
pub(super) struct Block {
    /// How many values a block has.
    pub(super) values: usize,
    /// How many bytes it takes.
    pub(super) bytes: usize,
    /// Decodes one block; both slices are as long as it needs.
    pub(super) decode: fn(&[u8], &mut [f32]),
}

impl Block {
    const fn new(values: usize, bytes: usize, decode: fn(&[u8], &mut [f32])) -> Self {
        Self {
            values,
            bytes,
            decode,
        }
    }
}

/// The most values that a block has.
pub(super) const LARGEST: usize = 256;

pub(super) const Q8_0: Block = Block::new(32, 34, |block, values| {
    let (scale, codes) = scale(block);
    for (value, &code) in values.iter_mut().zip(codes) {
        *value = scale * f32::from(code.cast_signed());
    }
});

pub(super) const Q4_0: Block = Block::new(32, 18, |block, values| {
    let (scale, codes) = scale(block);
    halves(codes, values, |code| scale * (f32::from(code) - 8.0));
});

pub(super) const Q4_1: Block = Block::new(32, 20, |block, values| {
    let (scale, rest) = scale(block);
    let (least, codes) = self::scale(rest);
    halves(codes, values, |code| scale * f32::from(code) + least);
});

pub(super) const Q5_0: Block = Block::new(32, 22, |block, values| {
    let (scale, rest) = scale(block);
    fives(rest, values, |code| scale * (f32::from(code) - 16.0));
});

pub(super) const Q5_1: Block = Block::new(32, 24, |block, values| {
    let (scale, rest) = scale(block);
    let (least, rest) = self::scale(rest);
    fives(rest, values, |code| scale * f32::from(code) + least);
});

pub(super) const Q2_K: Block = Block::new(LARGEST, 84, |block, values| {
    let (scales, rest) = block.split_at(16);
    let (codes, rest) = rest.split_at(64);
    let (scale, rest) = scale(rest);
    let (least, _) = self::scale(rest);
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let packed = scales[group];
        let scale = scale * f32::from(packed & 15);
        let least = least * f32::from(packed >> 4);
        for (value, code) in values.iter_mut().zip(quarters(codes, group)) {
            *value = scale * f32::from(code) - least;
        }
    }
});

pub(super) const Q3_K: Block = Block::new(LARGEST, 110, |block, values| {
    let (high, rest) = block.split_at(32);
    let (codes, rest) = rest.split_at(64);
    let (scales, rest) = rest.split_at(12);
    let (scale, _) = scale(rest);
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let low = (scales[group % 8] >> (4 * (group / 8))) & 15;
        let top = (scales[8 + group % 4] >> (2 * (group / 4))) & 3;
        let scale = scale * (f32::from(low | top << 4) - 32.0);
        let high = &high[group % 2 * 16..];
        let codes = quarters(codes, group).zip(high);
        for (value, (code, &high)) in values.iter_mut().zip(codes) {
            // The third bit is stored upside down.
            let offset = 4.0 * f32::from(1 - (high >> (group / 2) & 1));
            *value = scale * (f32::from(code) - offset);
        }
    }
});

pub(super) const Q4_K: Block = Block::new(LARGEST, 144, |block, values| {
    let (scales, codes) = block.split_at(16);
    let pairs = values.chunks_exact_mut(64).zip(codes.chunks_exact(32));
    for (pair, (values, codes)) in pairs.enumerate() {
        let (scale, least) = scale_and_least(scales, 2 * pair);
        let (second_scale, second_least) = scale_and_least(scales, 2 * pair + 1);
        let (first, second) = values.split_at_mut(32);
        for ((first, second), &code) in first.iter_mut().zip(second).zip(codes) {
            *first = scale * f32::from(code & 15) - least;
            *second = second_scale * f32::from(code >> 4) - second_least;
        }
    }
});

pub(super) const Q5_K: Block = Block::new(LARGEST, 176, |block, values| {
    let (scales, rest) = block.split_at(16);
    let (high, codes) = rest.split_at(32);
    for (group, values) in values.chunks_mut(32).enumerate() {
        let (scale, least) = scale_and_least(scales, group);
        let codes = codes[group / 2 * 32..].iter().zip(high);
        for (value, (&code, &high)) in values.iter_mut().zip(codes) {
            let code = (code >> (4 * (group % 2))) & 15 | ((high >> group) & 1) << 4;
            *value = scale * f32::from(code) - least;
        }
    }
});

pub(super) const Q6_K: Block = Block::new(LARGEST, 210, |block, values| {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, rest) = rest.split_at(16);
    let (scale, _) = scale(rest);
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let scale = scale * f32::from(scales[group].cast_signed());
        let low = &low[group / 8 * 64 + group % 4 * 16..];
        let codes = low.iter().zip(quarters(high, group));
        let decode = |low: u8, high: u8| scale * (f32::from(low | high << 4) - 32.0);
        // Apart, since shifts of the same length run in wide registers.
        if group / 4 % 2 == 0 {
            for (value, (&low, high)) in values.iter_mut().zip(codes) {
                *value = decode(low & 15, high);
            }
        } else {
            for (value, (&low, high)) in values.iter_mut().zip(codes) {
                *value = decode(low >> 4, high);
            }
        }
    }
});

/// The half-precision number at the beginning, and what follows.
fn scale(bytes: &[u8]) -> (f32, &[u8]) {
    match bytes.split_first_chunk() {
        Some((&scale, rest)) => (binary16(u16::from_le_bytes(scale)), rest),
        None => (0.0, bytes),
    }
}

/// Codes of four bits: the lower ones are the first half of the values.
fn halves(codes: &[u8], values: &mut [f32], decode: impl Fn(u8) -> f32) {
    let (first, second) = values.split_at_mut(values.len() / 2);
    for ((first, second), code) in first.iter_mut().zip(second).zip(codes) {
        *first = decode(code & 15);
        *second = decode(code >> 4);
    }
}

/// Codes of four bits behind their fifth bits.
fn fives(bytes: &[u8], values: &mut [f32], decode: impl Fn(u8) -> f32) {
    let (high, codes) = bytes.split_at(4);
    for (at, value) in values.iter_mut().enumerate() {
        let low = codes[at % 16] >> (4 * (at / 16)) & 15;
        let fifth = high[at / 8] >> (at % 8) & 1;
        *value = decode(low | fifth << 4);
    }
}

/// The codes of two bits of a group of 16 values: four rows of 32 values share their bytes.
fn quarters(codes: &[u8], group: usize) -> impl Iterator<Item = u8> {
    let (row, half) = (group / 2, group % 2);
    let codes = &codes[row / 4 * 32 + half * 16..];
    // Taken apart by a multiplication, which runs in wide registers whatever the shift.
    let factor = 1_u16 << (8 - 2 * (row % 4));
    codes
        .iter()
        .map(move |&code| ((u16::from(code) * factor) >> 8) as u8 & 3)
}

/// The scale and the offset of a group of 32 values, of six bits each.
fn scale_and_least(bytes: &[u8], group: usize) -> (f32, f32) {
    let (scale, rest) = scale(bytes);
    let (least, packed) = self::scale(rest);
    let (first, second) = (packed[group % 4], packed[4 + group % 4]);
    let (a, b) = if group < 4 {
        (first & 63, second & 63)
    } else {
        let third = packed[4 + group];
        (
            third & 15 | (first >> 6) << 4,
            third >> 4 | (second >> 6) << 4,
        )
    };
    (scale * f32::from(a), least * f32::from(b))
}
