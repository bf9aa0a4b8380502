//! Converts floats shorter than single precision from their bits.

/// Converts binary16 without branches, so that compilers decode many values at once. The conversion of the
/// `half` crate checks the processor's features for every four numbers.
#[cfg(feature = "half")]
#[inline(always)]
pub(crate) fn binary16(bits: u16) -> f32 {
    const INFINITY: u32 = 0x7C00;
    const LEAST_NORMAL: u32 = 0x0400;
    let (sign, magnitude) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7FFF));
    // The fraction is 13 bits shorter than that of f32, and the exponent's bias 112 less.
    let normal = (magnitude << 13) + (112 << 23);
    let special = (magnitude << 13) | f32::INFINITY.to_bits();
    let subnormal = (magnitude as f32 * f32::from_bits((127 - 24) << 23)).to_bits();
    let large = if magnitude < INFINITY {
        normal
    } else {
        special
    };
    let value = if magnitude < LEAST_NORMAL {
        subnormal
    } else {
        large
    };
    f32::from_bits(sign | value)
}

/// A bfloat16 is the upper half of the f32 of the same value.
#[cfg(feature = "half")]
#[inline(always)]
pub(crate) const fn bfloat16(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// E4M3 has a bias of 7 and no infinities; only all ones is NaN.
pub(super) fn f8_e4m3(byte: u8) -> f32 {
    let (exponent, fraction) = (u32::from(byte >> 3) & 0xF, u32::from(byte) & 0x7);
    if (exponent, fraction) == (0xF, 0x7) {
        return f32::NAN;
    }
    small_float(byte >> 7 == 1, exponent, fraction, 3, 7)
}

/// E5M2 has a bias of 15 and IEEE's infinities and NaNs.
pub(super) fn f8_e5m2(byte: u8) -> f32 {
    let (exponent, fraction) = (u32::from(byte >> 2) & 0x1F, u32::from(byte) & 0x3);
    match (exponent, fraction) {
        (0x1F, 0) if byte >> 7 == 1 => f32::NEG_INFINITY,
        (0x1F, 0) => f32::INFINITY,
        (0x1F, _) => f32::NAN,
        _ => small_float(byte >> 7 == 1, exponent, fraction, 2, 15),
    }
}

/// E8M0 is an exponent with a bias of 127, without a sign or zero; only all ones is NaN.
pub(super) const fn f8_e8m0(byte: u8) -> f32 {
    match byte {
        0xFF => f32::NAN,
        // 2⁻¹²⁷ is subnormal.
        0 => f32::from_bits(1 << 22),
        exponent => f32::from_bits((exponent as u32) << 23),
    }
}

/// The values of floats of four bits: E2M1, with a bias of 1 and neither infinities nor NaN.
pub(crate) const F4_E2M1: [f32; 16] = [
    0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0,
];

/// A finite float narrower than `f32`, assembled exactly from its fields.
fn small_float(negative: bool, exponent: u32, fraction: u32, digits: u32, bias: u32) -> f32 {
    let (hidden, exponent) = if exponent == 0 { (0, 1) } else { (1, exponent) };
    let significand = (hidden << digits | fraction) as f32;
    // 127 is the bias of f32; the sum is well inside its exponent's range.
    let power = f32::from_bits((127 + exponent - bias - digits) << 23);
    if negative {
        -significand * power
    } else {
        significand * power
    }
}
