//! The types in which weights are stored, and how their bytes are decoded.

use core::error::Error;
use core::fmt;

#[cfg(feature = "half")]
use super::floats::{bfloat16, binary16};
use super::floats::{f8_e4m3, f8_e5m2, f8_e8m0};
use crate::Scalar;
use crate::errors::unknown;
use crate::registers::in_wide_registers;

/// The stored type of a layer's values.
///
/// Integers are taken at face value. A quantised layer is measured on its stored codes unless its source
/// multiplies them by their scale, as [`Dequantised`](super::Dequantised) does. Names are displayed as in the
/// safetensors format.
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
    /// bfloat16, the upper half of a single-precision number (feature `half`).
    #[cfg(feature = "half")]
    Bf16,
    /// 8-bit float with 4 exponent bits; no infinities (OCP 8-bit Floating Point Specification).
    F8E4M3,
    /// 8-bit float with 5 exponent bits (OCP 8-bit Floating Point Specification).
    F8E5M2,
    /// A power of two in a byte: the scale of a block of narrower floats (OCP Microscaling Formats
    /// Specification).
    F8E8M0,
    /// Signed byte.
    I8,
    /// Unsigned byte.
    U8,
    /// Signed integer of 16 bits.
    I16,
    /// Unsigned integer of 16 bits.
    U16,
    /// Signed integer of 32 bits.
    I32,
    /// Unsigned integer of 32 bits.
    U32,
    /// Signed integer of 64 bits; above 2⁵³ rounded to the nearest `f64`.
    I64,
    /// Unsigned integer of 64 bits; above 2⁵³ rounded to the nearest `f64`.
    U64,
    /// A byte that is 0 for false; all other values are true and read as 1.
    Bool,
    /// 4-bit float with 2 exponent bits, without infinities or NaN (OCP Microscaling Formats Specification). Two
    /// share a byte. The source unpacks them, so values are read as single-precision floats.
    F4E2M1,
    /// 8-bit codes with one scale per block of values. The source decodes them, so values are read as
    /// single-precision floats.
    Q8,
    /// Like [`Q8`](Self::Q8), with 6-bit codes.
    Q6,
    /// Like [`Q8`](Self::Q8), with 5-bit codes.
    Q5,
    /// Like [`Q8`](Self::Q8), with 4-bit codes.
    Q4,
    /// Like [`Q8`](Self::Q8), with 3-bit codes.
    Q3,
    /// Like [`Q8`](Self::Q8), with 2-bit codes.
    Q2,
}

impl ElementType {
    /// Every element type whose bytes this build can decode. Types that sources decode themselves, such as
    /// [`Q8`](Self::Q8), are not included.
    pub const ALL: &'static [Self] = &[
        Self::F64,
        Self::F32,
        #[cfg(feature = "half")]
        Self::F16,
        #[cfg(feature = "half")]
        Self::Bf16,
        Self::F8E4M3,
        Self::F8E5M2,
        Self::F8E8M0,
        Self::I8,
        Self::U8,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::I64,
        Self::U64,
        Self::Bool,
    ];

    /// The types that sources decode themselves.
    const BY_SOURCES: &'static [Self] = &[
        Self::F4E2M1,
        Self::Q8,
        Self::Q6,
        Self::Q5,
        Self::Q4,
        Self::Q3,
        Self::Q2,
    ];

    /// The number of bytes of one element; of a decoded one, if the source decodes the type itself.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 | Self::F4E2M1 => 4,
            Self::Q8 | Self::Q6 | Self::Q5 | Self::Q4 | Self::Q3 | Self::Q2 => 4,
            #[cfg(feature = "half")]
            Self::F16 | Self::Bf16 => 2,
            Self::I16 | Self::U16 => 2,
            Self::F8E4M3 | Self::F8E5M2 | Self::F8E8M0 | Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The number of bits of the significand, including the hidden one; `None` for integers.
    ///
    /// For values quantised in blocks, these bits resolve the largest value of a block.
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
            Self::F8E8M0 => Some(1),
            Self::F4E2M1 => Some(2),
            _ => self.code_bits(),
        }
    }

    /// The number of bits per code, if values were quantised in blocks.
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

    /// Whether a tensor of this type may hold plain weights: floats and single bytes.
    ///
    /// Booleans and longer integers are positions, masks, counts, or codes packed into words. Signatures and
    /// measurements leave them out.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::weights::ElementType;
    ///
    /// assert!(ElementType::I8.may_be_weights());
    /// assert!(!ElementType::I64.may_be_weights());
    /// ```
    #[must_use]
    pub const fn may_be_weights(self) -> bool {
        self.significand_bits().is_some() || matches!(self, Self::I8 | Self::U8)
    }

    /// The distance from 1 to the next larger value; `None` for integers.
    #[must_use]
    pub fn epsilon(self) -> Option<f64> {
        let bits = self.significand_bits()?;
        Some(1.0 / (1_u64 << (bits - 1)) as f64)
    }

    /// Decodes little-endian `bytes` into `values`.
    ///
    /// This is exact with two exceptions: F64 values and integers longer than 16 bits are rounded to nearest
    /// if `T` is `f32`, and 64-bit integers if it is `f64`. NaN and infinities are preserved.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if `bytes` doesn't have exactly the length that `values` needs.
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
            _ if self == Self::F32 || Self::BY_SOURCES.contains(&self) => {
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
            Self::F8E8M0 => decode_each(bytes, values, |[b]| T::from_single(f8_e8m0(b))),
            Self::I8 => decode_each(bytes, values, |b| {
                T::from_single(f32::from(i8::from_le_bytes(b)))
            }),
            Self::U8 => decode_each(bytes, values, |[b]| T::from_single(f32::from(b))),
            _ => self.decode_integers(bytes, values),
        }
        Ok(())
    }

    /// Decodes booleans and integers longer than a byte.
    fn decode_integers<T: Scalar>(self, bytes: &[u8], values: &mut [T]) {
        match self {
            Self::I16 => decode_each(bytes, values, |b| {
                T::from_single(f32::from(i16::from_le_bytes(b)))
            }),
            Self::U16 => decode_each(bytes, values, |b| {
                T::from_single(f32::from(u16::from_le_bytes(b)))
            }),
            Self::I32 => decode_each(bytes, values, |b| {
                T::narrow(f64::from(i32::from_le_bytes(b)))
            }),
            Self::U32 => decode_each(bytes, values, |b| {
                T::narrow(f64::from(u32::from_le_bytes(b)))
            }),
            Self::I64 => decode_each(bytes, values, |b| T::narrow(i64::from_le_bytes(b) as f64)),
            Self::U64 => decode_each(bytes, values, |b| T::narrow(u64::from_le_bytes(b) as f64)),
            _ => decode_each(bytes, values, |[b]| {
                T::from_single(f32::from(u8::from(b != 0)))
            }),
        }
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
            Self::F8E8M0 => "F8_E8M0",
            Self::F4E2M1 => "F4",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::I16 => "I16",
            Self::U16 => "U16",
            Self::I32 => "I32",
            Self::U32 => "U32",
            Self::I64 => "I64",
            Self::U64 => "U64",
            Self::Bool => "BOOL",
            Self::Q8 => "Q8",
            Self::Q6 => "Q6",
            Self::Q5 => "Q5",
            Self::Q4 => "Q4",
            Self::Q3 => "Q3",
            Self::Q2 => "Q2",
        })
    }
}

unknown! {
    /// The name doesn't belong to an element type that this build supports.
    pub struct UnknownElementType => "unknown element type `{}`";
    ElementType of Self::ALL.iter().chain(Self::BY_SOURCES).copied()
}

/// The number of bytes in a chunk doesn't match the number of values requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The element type to decode.
    pub element_type: ElementType,
    /// How many bytes there were.
    pub bytes: usize,
    /// How many values were requested.
    pub values: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes do not match {} values of type {}",
            self.bytes, self.values, self.element_type
        )
    }
}

impl Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
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

    #[test]
    fn integers_decode_exactly_as_far_as_doubles_hold_them() {
        let word = 0x8765_4321_u32;
        let decoded = decode_one(ElementType::I32, &word.to_le_bytes());
        assert_eq!(decoded as i64, i64::from(word.cast_signed()));
        assert_eq!(
            decode_one(ElementType::U32, &word.to_le_bytes()) as u32,
            word
        );
        assert_eq!(decode_one(ElementType::I16, &[0, 0x80]), -32768.0);
        assert_eq!(decode_one(ElementType::U16, &[0, 0x80]), 32768.0);
        let largest = (1_i64 << 53) - 1;
        let decoded = decode_one(ElementType::I64, &(-largest).to_le_bytes());
        assert_eq!(decoded as i64, -largest);
        let decoded = decode_one(ElementType::U64, &u64::MAX.to_le_bytes());
        assert_eq!(decoded, 2.0_f64.powi(64));
        assert_eq!(decode_one(ElementType::Bool, &[0]), 0.0);
        assert_eq!(decode_one(ElementType::Bool, &[2]), 1.0);
    }

    /// The landmarks of the OCP Microscaling Formats Specification, version 1.0, table 7.
    #[test]
    fn scales_of_microscaling_have_their_published_landmarks() {
        let e8m0 = |byte| decode_one(ElementType::F8E8M0, &[byte]);
        assert_eq!(e8m0(0), 2.0_f64.powi(-127));
        assert_eq!(e8m0(1), 2.0_f64.powi(-126));
        assert_eq!(e8m0(127), 1.0);
        assert_eq!(e8m0(254), 2.0_f64.powi(127));
        assert!(e8m0(255).is_nan());
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
        for &element_type in ElementType::ALL.iter().chain(ElementType::BY_SOURCES) {
            assert_eq!(element_type.to_string().parse(), Ok(element_type));
        }
        let unknown = "C64".parse::<ElementType>().unwrap_err();
        assert_eq!(unknown.name, "C64");
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
