//! The types weights are stored in, and how their bytes become numbers.

use core::error::Error;
use core::fmt;
use core::str::FromStr;

use alloc::string::{String, ToString};

use crate::Scalar;
use crate::registers::in_wide_registers;

/// The type a layer's values are stored in.
///
/// Integers stand for themselves: a quantised layer is measured on its stored codes unless its
/// source multiplies them by their scale. Names print as in the safetensors format.
///
/// # Examples
///
/// ```
/// use mother::weights::ElementType;
///
/// assert_eq!(ElementType::F32.size(), 4);
/// assert_eq!("F8_E5M2".parse(), Ok(ElementType::F8E5M2));
/// assert_eq!(ElementType::I8.epsilon(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ElementType {
    /// IEEE 754 double precision.
    F64,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision (feature `half`).
    #[cfg(feature = "half")]
    F16,
    /// The upper half of a single-precision number (feature `half`).
    #[cfg(feature = "half")]
    Bf16,
    /// 8-bit float with 4 exponent bits; no infinities (OCP 8-bit Floating Point Specification).
    F8E4M3,
    /// 8-bit float with 5 exponent bits (OCP 8-bit Floating Point Specification).
    F8E5M2,
    /// Signed byte.
    I8,
    /// Unsigned byte.
    U8,
    /// Codes of 8 bits with a scale for each block of values, which the source has decoded: the numbers
    /// of such a type are single-precision floats by the time they are read.
    Q8,
    /// The same with codes of 6 bits.
    Q6,
    /// The same with codes of 5 bits.
    Q5,
    /// The same with codes of 4 bits.
    Q4,
    /// The same with codes of 3 bits.
    Q3,
    /// The same with codes of 2 bits.
    Q2,
}

impl ElementType {
    /// Every element type of bytes that this build can decode; those of values that sources have decoded
    /// themselves, such as [`Q8`](Self::Q8), aren't among them.
    pub const ALL: &'static [Self] = &[
        Self::F64,
        Self::F32,
        #[cfg(feature = "half")]
        Self::F16,
        #[cfg(feature = "half")]
        Self::Bf16,
        Self::F8E4M3,
        Self::F8E5M2,
        Self::I8,
        Self::U8,
    ];

    /// The types of values that sources decode by themselves.
    const QUANTISED: &'static [Self] =
        &[Self::Q8, Self::Q6, Self::Q5, Self::Q4, Self::Q3, Self::Q2];

    /// The number of bytes of one element, a decoded one where it was quantised in blocks.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 | Self::Q8 | Self::Q6 | Self::Q5 | Self::Q4 | Self::Q3 | Self::Q2 => 4,
            #[cfg(feature = "half")]
            Self::F16 | Self::Bf16 => 2,
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 => 1,
        }
    }

    /// The bits of the significand, the hidden one included; `None` for integers.
    ///
    /// Values that were quantised in blocks resolve so many bits of their block's largest.
    #[must_use]
    pub const fn significand_bits(self) -> Option<u32> {
        match self {
            Self::F64 => Some(53),
            Self::F32 => Some(24),
            #[cfg(feature = "half")]
            Self::F16 => Some(11),
            #[cfg(feature = "half")]
            Self::Bf16 => Some(8),
            Self::F8E4M3 => Some(4),
            Self::F8E5M2 => Some(3),
            Self::I8 | Self::U8 => None,
            _ => self.code_bits(),
        }
    }

    /// The bits of a code where values were quantised in blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::weights::ElementType;
    ///
    /// assert_eq!(ElementType::Q4.code_bits(), Some(4));
    /// assert_eq!(ElementType::I8.code_bits(), None);
    /// ```
    #[must_use]
    pub const fn code_bits(self) -> Option<u32> {
        match self {
            Self::Q8 => Some(8),
            Self::Q6 => Some(6),
            Self::Q5 => Some(5),
            Self::Q4 => Some(4),
            Self::Q3 => Some(3),
            Self::Q2 => Some(2),
            _ => None,
        }
    }

    /// The distance from 1 to the next larger number; `None` for integers.
    #[must_use]
    pub fn epsilon(self) -> Option<f64> {
        let bits = self.significand_bits()?;
        Some(1.0 / (1_u64 << (bits - 1)) as f64)
    }

    /// Decodes little-endian `bytes` into `values`.
    ///
    /// Exact, except that F64 values are rounded to nearest where `T` is `f32`. NaN and infinities
    /// come through as they are.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when `bytes` isn't exactly as long as `values` needs.
    pub fn decode<T: Scalar>(self, bytes: &[u8], values: &mut [T]) -> Result<(), DecodeError> {
        if values.len().checked_mul(self.size()) != Some(bytes.len()) {
            return Err(DecodeError {
                element_type: self,
                bytes: bytes.len(),
                values: values.len(),
            });
        }
        match self {
            Self::F64 => decode_each(bytes, values, |b| T::narrow(f64::from_le_bytes(b))),
            Self::F32 | Self::Q8 | Self::Q6 | Self::Q5 | Self::Q4 | Self::Q3 | Self::Q2 => {
                decode_each(bytes, values, |b| T::from_single(f32::from_le_bytes(b)));
            }
            #[cfg(feature = "half")]
            Self::F16 => decode_each(bytes, values, |b| {
                T::from_single(binary16(u16::from_le_bytes(b)))
            }),
            #[cfg(feature = "half")]
            Self::Bf16 => decode_each(bytes, values, |b| {
                T::from_single(bfloat16(u16::from_le_bytes(b)))
            }),
            Self::F8E4M3 => decode_each(bytes, values, |[b]| T::from_single(f8_e4m3(b))),
            Self::F8E5M2 => decode_each(bytes, values, |[b]| T::from_single(f8_e5m2(b))),
            Self::I8 => decode_each(bytes, values, |b| {
                T::from_single(f32::from(i8::from_le_bytes(b)))
            }),
            Self::U8 => decode_each(bytes, values, |[b]| T::from_single(f32::from(b))),
        }
        Ok(())
    }
}

/// Decodes element by element; both slices hold the same number of elements.
fn decode_each<T, const SIZE: usize>(
    bytes: &[u8],
    values: &mut [T],
    decode: impl Fn([u8; SIZE]) -> T,
) {
    in_wide_registers(|| decode_in_turn(bytes, values, decode));
}

#[inline(always)]
fn decode_in_turn<T, const SIZE: usize>(
    bytes: &[u8],
    values: &mut [T],
    decode: impl Fn([u8; SIZE]) -> T,
) {
    let (elements, _) = bytes.as_chunks::<SIZE>();
    for (value, &element) in values.iter_mut().zip(elements) {
        *value = decode(element);
    }
}

/// Binary16, without branches, so that compilers decode many at once. The `half` crate's conversion asks
/// what the processor can do for every four numbers.
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

/// E4M3 has a bias of 7, no infinities, and NaN only as all ones.
fn f8_e4m3(byte: u8) -> f32 {
    let (exponent, fraction) = (u32::from(byte >> 3) & 0xF, u32::from(byte) & 0x7);
    if (exponent, fraction) == (0xF, 0x7) {
        return f32::NAN;
    }
    small_float(byte >> 7 == 1, exponent, fraction, 3, 7)
}

/// E5M2 has a bias of 15 and IEEE's infinities and NaNs.
fn f8_e5m2(byte: u8) -> f32 {
    let (exponent, fraction) = (u32::from(byte >> 2) & 0x1F, u32::from(byte) & 0x3);
    match (exponent, fraction) {
        (0x1F, 0) if byte >> 7 == 1 => f32::NEG_INFINITY,
        (0x1F, 0) => f32::INFINITY,
        (0x1F, _) => f32::NAN,
        _ => small_float(byte >> 7 == 1, exponent, fraction, 2, 15),
    }
}

/// A finite float narrower than `f32`, built from its fields; exact.
fn small_float(negative: bool, exponent: u32, fraction: u32, digits: u32, bias: u32) -> f32 {
    let (hidden, exponent) = if exponent == 0 { (0, 1) } else { (1, exponent) };
    let significand = (hidden << digits | fraction) as f32;
    // 127 is the bias of f32; the sum stays far inside its exponent's range.
    let power = f32::from_bits((127 + exponent - bias - digits) << 23);
    if negative {
        -significand * power
    } else {
        significand * power
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            #[cfg(feature = "half")]
            Self::F16 => "F16",
            #[cfg(feature = "half")]
            Self::Bf16 => "BF16",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::Q8 => "Q8",
            Self::Q6 => "Q6",
            Self::Q5 => "Q5",
            Self::Q4 => "Q4",
            Self::Q3 => "Q3",
            Self::Q2 => "Q2",
        })
    }
}

impl FromStr for ElementType {
    type Err = UnknownElementType;

    /// Reads the name that `Display` prints.
    fn from_str(name: &str) -> Result<Self, UnknownElementType> {
        (Self::ALL.iter().chain(Self::QUANTISED))
            .copied()
            .find(|element_type| element_type.to_string() == name)
            .ok_or_else(|| UnknownElementType { name: name.into() })
    }
}

/// The name of no element type that this build decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownElementType {
    /// The name that was to be read.
    pub name: String,
}

impl fmt::Display for UnknownElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no element type that can be decoded", self.name)
    }
}

impl Error for UnknownElementType {}

/// The bytes of a chunk don't match the number of values asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The element type that was to be decoded.
    pub element_type: ElementType,
    /// How many bytes there were.
    pub bytes: usize,
    /// How many values were asked for.
    pub values: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes can't be decoded as {} values of type {}",
            self.bytes, self.values, self.element_type
        )
    }
}

impl Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "half")]
    use alloc::vec::Vec;

    fn decode_one(element_type: ElementType, bytes: &[u8]) -> f64 {
        let mut value = [0.0_f64];
        element_type.decode(bytes, &mut value).unwrap();
        value[0]
    }

    #[test]
    fn wide_types_decode_exactly() {
        for value in [0.1_f64, -0.0, f64::MIN_POSITIVE, f64::MAX] {
            assert_eq!(decode_one(ElementType::F64, &value.to_le_bytes()), value);
        }
        for value in [0.1_f32, -1e-45, f32::MAX] {
            let decoded = decode_one(ElementType::F32, &value.to_le_bytes());
            assert_eq!(decoded, f64::from(value));
        }
        assert_eq!(decode_one(ElementType::I8, &[0x80]), -128.0);
        assert_eq!(decode_one(ElementType::U8, &[0x80]), 128.0);
    }

    #[cfg(feature = "half")]
    #[test]
    fn every_sixteen_bit_pattern_decodes_as_the_half_crate_says() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let mut values = alloc::vec![0.0_f32; 1 << 16];
        ElementType::F16.decode(&bytes, &mut values).unwrap();
        for (bits, value) in (0..=u16::MAX).zip(&values) {
            let expected = half::f16::from_bits(bits).to_f32();
            assert!(expected == *value || expected.is_nan() && value.is_nan());
        }
        ElementType::Bf16.decode(&bytes, &mut values).unwrap();
        for (bits, value) in (0..=u16::MAX).zip(&values) {
            let expected = half::bf16::from_bits(bits).to_f32();
            assert!(expected == *value || expected.is_nan() && value.is_nan());
        }
    }

    /// The landmarks of the OCP 8-bit Floating Point Specification, revision 1.0, table 2.
    #[expect(clippy::unusual_byte_groupings, reason = "sign, exponent, fraction")]
    #[test]
    fn eight_bit_floats_have_their_published_landmarks() {
        let e4m3 = |byte| decode_one(ElementType::F8E4M3, &[byte]);
        assert_eq!(e4m3(0b0_1111_110), 448.0);
        assert_eq!(e4m3(0b0_0001_000), 2.0_f64.powi(-6));
        assert_eq!(e4m3(0b0_0000_001), 2.0_f64.powi(-9));
        assert_eq!(e4m3(0b1_0111_000), -1.0);
        assert!(e4m3(0b0_1111_111).is_nan());
        let e5m2 = |byte| decode_one(ElementType::F8E5M2, &[byte]);
        assert_eq!(e5m2(0b0_11110_11), 57344.0);
        assert_eq!(e5m2(0b0_00001_00), 2.0_f64.powi(-14));
        assert_eq!(e5m2(0b0_00000_01), 2.0_f64.powi(-16));
        assert_eq!(e5m2(0b1_11111_00), f64::NEG_INFINITY);
        assert!(e5m2(0b0_11111_01).is_nan());
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut values = [0.0_f32; 2];
        assert_eq!(
            ElementType::F32.decode(&[0; 7], &mut values),
            Err(DecodeError {
                element_type: ElementType::F32,
                bytes: 7,
                values: 2
            })
        );
    }

    #[test]
    fn names_round_trip() {
        for &element_type in ElementType::ALL.iter().chain(ElementType::QUANTISED) {
            assert_eq!(element_type.to_string().parse(), Ok(element_type));
        }
        let unknown = "I64".parse::<ElementType>().unwrap_err();
        assert_eq!(unknown.name, "I64");
    }

    #[test]
    fn epsilon_is_the_gap_above_one() {
        assert_eq!(ElementType::F64.epsilon(), Some(f64::EPSILON));
        assert_eq!(ElementType::F32.epsilon(), Some(f64::from(f32::EPSILON)));
        #[cfg(feature = "half")]
        assert_eq!(
            ElementType::Bf16.epsilon(),
            Some(half::bf16::EPSILON.to_f64())
        );
    }
}
