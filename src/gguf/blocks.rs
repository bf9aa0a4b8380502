//! Decodes the blocks of GGUF's quantised types.
//!
//! A block of 32 or 256 values has scales, and a code of a few bits for each value. The values are equal to
//! the bit to those that the `gguf` package computes in single precision.

use core::hint::black_box;

use crate::Scalar;
use crate::registers::in_wide_registers;
use crate::scalar::ScalarSliceMut;
use crate::weights::binary16;

/// How a quantised type packs its values.
#[derive(Debug)]
pub(super) struct Block {
    /// The number of values in a block.
    pub(super) values: usize,
    /// The number of bytes in a block.
    pub(super) bytes: usize,
    /// Decodes whole blocks; both slices are as long as these need.
    decode: fn(&[u8], &mut [f32]),
}

impl Block {
    /// Decodes whole blocks; both slices are as long as these need.
    pub(super) fn decode<T: Scalar>(&self, stored: &[u8], values: &mut [T]) {
        let values = match T::scalar_slice_mut(values) {
            ScalarSliceMut::Single(values) => return (self.decode)(stored, values),
            ScalarSliceMut::Double(values) => values,
        };
        let mut decoded = [0.0; LARGEST];
        let decoded = &mut decoded[..self.values];
        let blocks = stored.chunks_exact(self.bytes);
        for (stored, values) in blocks.zip(values.chunks_exact_mut(self.values)) {
            (self.decode)(stored, decoded);
            for (value, &decoded) in values.iter_mut().zip(&*decoded) {
                *value = decoded.into();
            }
        }
    }
}

/// The largest number of values in a block.
pub(super) const LARGEST: usize = 256;

/// A type by its name, the bytes and the values of a block, and how to decode one.
///
/// The code is put into a loop over blocks of a known size, so that it is compiled for wide registers.
macro_rules! block {
    ($name:ident, $bytes:literal, $values:literal, |$block:ident, $decoded:ident| $decode:block) => {
        pub(super) const $name: Block = Block {
            values: $values,
            bytes: $bytes,
            decode: |stored, values| {
                in_wide_registers(
                    #[inline(always)]
                    move || {
                        let (stored, _) = stored.as_chunks::<$bytes>();
                        let (values, _) = values.as_chunks_mut::<$values>();
                        for ($block, $decoded) in stored.iter().zip(values) $decode
                    },
                );
            },
        };
    };
}

block!(Q8_0, 34, 32, |block, values| {
    let scale = half(block, 0);
    let codes = part::<32>(block, 2);
    spread(codes, values, |code| scale * f32::from(code.cast_signed()));
});

block!(Q4_0, 18, 32, |block, values| {
    let scale = half(block, 0);
    nibbles(run::<16>(block, 2), values, |code| {
        scale * (code - 8) as f32
    });
});

block!(Q4_1, 20, 32, |block, values| {
    let (scale, least) = (half(block, 0), half(block, 2));
    nibbles(run::<16>(block, 4), values, |code| {
        scale * code as f32 + least
    });
});

block!(Q5_0, 22, 32, |block, values| {
    let scale = half(block, 0);
    fives(part(block, 2), bytes(block, 6), values, |code| {
        scale * (code - 16) as f32
    });
});

block!(Q5_1, 24, 32, |block, values| {
    let (scale, least) = (half(block, 0), half(block, 2));
    fives(part(block, 4), bytes(block, 8), values, |code| {
        scale * code as f32 + least
    });
});

block!(Q2_K, 84, 256, |block, values| {
    let (scale, least) = (half(block, 80), half(block, 82));
    let (groups, _) = values.as_chunks_mut::<16>();
    for (group, values) in groups.iter_mut().enumerate() {
        let packed = block[group];
        let scale = scale * f32::from(packed & 15);
        let least = least * f32::from(packed >> 4);
        let codes = run::<16>(block, 16 + of_quarters(group));
        let shift = group / 2 % 4 * 2;
        for (value, &code) in values.iter_mut().zip(codes) {
            *value = scale * (i32::from(code) >> shift & 3) as f32 - least;
        }
    }
});

block!(Q3_K, 110, 256, |block, values| {
    let scale = half(block, 108);
    let scales = part::<12>(block, 96);
    let high = part::<32>(block, 0);
    let mut codes = quarters(part(block, 32));
    for (row, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        for (code, high) in codes.iter_mut().zip(&high) {
            // The third bit is stored inverted.
            *code += (high >> row & 1).cast_signed() * 4 - 4;
        }
    }
    let (codes, _) = codes.as_chunks::<16>();
    let (groups, _) = values.as_chunks_mut::<16>();
    for (group, (values, &codes)) in groups.iter_mut().zip(codes).enumerate() {
        let low = (scales[group % 8] >> (4 * (group / 8))) & 15;
        let top = (scales[8 + group % 4] >> (2 * (group / 4))) & 3;
        let scale = scale * (f32::from(low | top << 4) - 32.0);
        spread(codes, values, |code| scale * f32::from(code));
    }
});

block!(Q4_K, 144, 256, |block, values| {
    let (pairs, _) = values.as_chunks_mut::<64>();
    for (pair, values) in pairs.iter_mut().enumerate() {
        let (scale, least) = scale_and_least(block, 2 * pair);
        let (second_scale, second_least) = scale_and_least(block, 2 * pair + 1);
        let (first, second) = values.split_at_mut(32);
        let codes = part::<32>(block, 16 + 32 * pair);
        for ((first, second), &code) in first.iter_mut().zip(second).zip(&codes) {
            *first = scale * f32::from(code & 15) - least;
            *second = second_scale * f32::from(code >> 4) - second_least;
        }
    }
});

block!(Q5_K, 176, 256, |block, values| {
    let high = part::<32>(block, 16);
    let (groups, _) = values.as_chunks_mut::<32>();
    for (group, values) in groups.iter_mut().enumerate() {
        let (scale, least) = scale_and_least(block, group);
        let codes = part::<32>(block, 48 + group / 2 * 32);
        let shift = group % 2 * 4;
        let mut fives = [0; 32];
        for ((five, low), high) in fives.iter_mut().zip(&codes).zip(&high) {
            *five = low >> shift & 15 | (high >> group & 1) << 4;
        }
        spread(fives, values, |code| scale * f32::from(code) - least);
    }
});

block!(Q6_K, 210, 256, |block, values| {
    let scale = half(block, 208);
    let scales = part::<16>(block, 192);
    let mut codes = quarters(part(block, 128));
    for (row, codes) in codes.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let low = part::<64>(block, row / 2 * 64);
        for (code, &low) in codes.iter_mut().zip(&low) {
            *code = (*code << 4 | (low >> (row % 2 * 4) & 15).cast_signed()) - 32;
        }
    }
    let (codes, _) = codes.as_chunks::<16>();
    let (groups, _) = values.as_chunks_mut::<16>();
    for ((values, &codes), &group) in groups.iter_mut().zip(codes).zip(&scales) {
        let scale = scale * f32::from(group.cast_signed());
        spread(codes, values, |code| scale * f32::from(code));
    }
});

/// The levels of IQ4_NL and IQ4_XS.
const UNEVEN: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

block!(IQ4_NL, 18, 32, |block, values| {
    let scale = half(block, 0);
    nibbles(run::<16>(block, 2), values, |code| {
        scale * level(&UNEVEN, code)
    });
});

block!(IQ4_XS, 136, 256, |block, values| {
    let scale = half(block, 0);
    let high = u16::from_le_bytes(part(block, 2));
    let low = part::<4>(block, 4);
    let (groups, _) = values.as_chunks_mut::<32>();
    for (group, values) in groups.iter_mut().enumerate() {
        let low = (low[group / 2] >> (4 * (group % 2))) & 15;
        let high = (high >> (2 * group)) & 3;
        let scale = scale * (f32::from(low) + f32::from(16 * high) - 32.0);
        nibbles(run::<16>(block, 8 + 16 * group), values, |code| {
            scale * level(&UNEVEN, code)
        });
    }
});

/// Floats of four bits, doubled.
const SMALL_FLOATS: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

block!(MXFP4, 17, 32, |block, values| {
    // Half the power of two that the first byte stands for.
    let exponent = u32::from(block[0]);
    let scale = f32::from_bits(match exponent {
        0 | 1 => 0x0020_0000 << exponent,
        _ => (exponent - 1) << 23,
    });
    nibbles(run::<16>(block, 1), values, |code| {
        scale * level(&SMALL_FLOATS, code)
    });
});

block!(TQ1_0, 54, 256, |block, values| {
    let scale = half(block, 52);
    let (first, rest) = values.split_at_mut(160);
    let (second, third) = rest.split_at_mut(80);
    thirds(part::<32>(block, 0), first, scale);
    thirds(part::<16>(block, 32), second, scale);
    thirds(part::<4>(block, 48), third, scale);
});

block!(TQ2_0, 66, 256, |block, values| {
    let scale = half(block, 64);
    let (rows, _) = values.as_chunks_mut::<32>();
    for (row, values) in rows.iter_mut().enumerate() {
        let codes = part::<32>(block, row / 4 * 32);
        let shift = row % 4 * 2;
        for (value, &code) in values.iter_mut().zip(&codes) {
            *value = scale * ((i32::from(code) >> shift & 3) - 1) as f32;
        }
    }
});

/// Some of a block's bytes, of which there are enough.
#[inline(always)]
fn bytes<const LENGTH: usize>(block: &[u8], start: usize) -> &[u8; LENGTH] {
    let bytes = block.get(start..).and_then(<[u8]>::first_chunk);
    bytes.unwrap_or(const { &[0; LENGTH] })
}

/// A copy of them. The compiler doesn't know that a block and its values don't overlap, so that all codes must be loaded
/// before the first value is written if it is to use wide registers.
#[inline(always)]
fn part<const LENGTH: usize>(block: &[u8], start: usize) -> [u8; LENGTH] {
    *bytes(block, start)
}

/// Like [`bytes`], for codes that a copy doesn't help. The length is hidden from the compiler, which would otherwise
/// unroll a short loop and handle one code after another.
#[inline(always)]
fn run<const LENGTH: usize>(block: &[u8], start: usize) -> &[u8] {
    let run = bytes::<LENGTH>(block, start);
    run.get(..black_box(LENGTH)).unwrap_or(run)
}

/// A number in half precision.
#[inline(always)]
fn half(block: &[u8], start: usize) -> f32 {
    binary16(u16::from_le_bytes(part(block, start)))
}

/// Decodes one code after another.
#[inline(always)]
fn spread<C: Copy, const LENGTH: usize>(
    codes: [C; LENGTH],
    values: &mut [f32; LENGTH],
    decode: impl Fn(C) -> f32,
) {
    for (value, &code) in values.iter_mut().zip(&codes) {
        *value = decode(code);
    }
}

/// The level that a code of four bits stands for. Each bit leaves half of the levels, since look-ups would be done one
/// after another.
#[inline(always)]
fn level(levels: &[i8; 16], code: i32) -> f32 {
    let mut levels = *levels;
    for half in [8, 4, 2, 1] {
        let (low, high) = levels.split_at_mut(half);
        for (low, &high) in low.iter_mut().zip(&*high) {
            *low = if code & half as i32 == 0 { *low } else { high };
        }
    }
    f32::from(levels[0])
}

/// Decodes four-bit codes: the lower bits belong to the first half of the values.
#[inline(always)]
fn nibbles(codes: &[u8], values: &mut [f32; 32], decode: impl Fn(i32) -> f32) {
    let (first, second) = values.split_at_mut(16);
    for ((first, second), &code) in first.iter_mut().zip(second).zip(codes) {
        *first = decode((code & 15).into());
        *second = decode((code >> 4).into());
    }
}

/// The same with fifth bits, which lie apart in the order of the values.
#[inline(always)]
fn fives(fifths: [u8; 4], codes: &[u8; 16], values: &mut [f32; 32], decode: impl Fn(i32) -> f32) {
    let fifths = u32::from_le_bytes(fifths);
    let (first, second) = values.split_at_mut(16);
    let pairs = first.iter_mut().zip(second).zip(codes);
    for (at, ((first, second), &code)) in (0_u32..16).zip(pairs) {
        let fifth = |place: u32| ((fifths >> place & 1) << 4).cast_signed();
        *first = decode(i32::from(code & 15) | fifth(at));
        *second = decode(i32::from(code >> 4) | fifth(at + 16));
    }
}

/// Where the codes of two bits of a group of 16 values begin: four rows of 32 values share their bytes.
#[inline(always)]
const fn of_quarters(group: usize) -> usize {
    group / 8 * 32 + group % 2 * 16
}

/// Codes of three levels, five a byte as the digits of a fraction: each row of values has the next digit.
#[inline(always)]
fn thirds<const LENGTH: usize>(codes: [u8; LENGTH], values: &mut [f32], scale: f32) {
    let (rows, _) = values.as_chunks_mut::<LENGTH>();
    let mut power = 1_u8;
    for values in rows {
        for (value, &code) in values.iter_mut().zip(&codes) {
            let digit = (u16::from(code.wrapping_mul(power)) * 3) >> 8;
            *value = scale * (f32::from(digit) - 1.0);
        }
        power = power.wrapping_mul(3);
    }
}

/// Codes of two bits: four rows of 32 values share their bytes.
#[inline(always)]
fn quarters(bytes: [u8; 64]) -> [i8; 256] {
    let mut codes = [0; 256];
    for (row, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let bytes = part::<32>(&bytes, row / 4 * 32);
        for (code, byte) in codes.iter_mut().zip(&bytes) {
            *code = (byte >> (row % 4 * 2) & 3).cast_signed();
        }
    }
    codes
}

/// The scale and the offset of a group of 32 values, six bits each.
#[inline(always)]
fn scale_and_least(block: &[u8], group: usize) -> (f32, f32) {
    let (scale, least) = (half(block, 0), half(block, 2));
    let packed = part::<12>(block, 4);
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
