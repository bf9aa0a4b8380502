//! The types in which GGUF stores values.

use super::blocks::{self, Block};
use crate::weights::ElementType;

/// A type of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The number of values stored together, and the number of bytes that they take.
    pub(super) unit: (usize, usize),
    pub(super) coding: Coding,
}

/// How values of a type are decoded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Coding {
    Plain(ElementType),
    Blocks(&'static Block, ElementType),
    /// Values of this type can't be decoded.
    Unknown,
}

impl Kind {
    const fn plain(name: &'static str, element_type: ElementType) -> Self {
        Self {
            name,
            unit: (1, element_type.size()),
            coding: Coding::Plain(element_type),
        }
    }

    const fn blocks(name: &'static str, block: &'static Block, element_type: ElementType) -> Self {
        Self {
            name,
            unit: (block.values, block.bytes),
            coding: Coding::Blocks(block, element_type),
        }
    }

    const fn unknown(name: &'static str, values: usize, bytes: usize) -> Self {
        Self {
            name,
            unit: (values, bytes),
            coding: Coding::Unknown,
        }
    }

    /// The type with this number.
    pub(super) fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::plain("F32", ElementType::F32),
            1 => Self::plain("F16", ElementType::F16),
            28 => Self::plain("F64", ElementType::F64),
            30 => Self::plain("BF16", ElementType::Bf16),
            2 => Self::blocks("Q4_0", &blocks::Q4_0, ElementType::Q4),
            3 => Self::blocks("Q4_1", &blocks::Q4_1, ElementType::Q4),
            6 => Self::blocks("Q5_0", &blocks::Q5_0, ElementType::Q5),
            7 => Self::blocks("Q5_1", &blocks::Q5_1, ElementType::Q5),
            8 => Self::blocks("Q8_0", &blocks::Q8_0, ElementType::Q8),
            10 => Self::blocks("Q2_K", &blocks::Q2_K, ElementType::Q2),
            11 => Self::blocks("Q3_K", &blocks::Q3_K, ElementType::Q3),
            12 => Self::blocks("Q4_K", &blocks::Q4_K, ElementType::Q4),
            13 => Self::blocks("Q5_K", &blocks::Q5_K, ElementType::Q5),
            14 => Self::blocks("Q6_K", &blocks::Q6_K, ElementType::Q6),
            20 => Self::blocks("IQ4_NL", &blocks::IQ4_NL, ElementType::Q4),
            23 => Self::blocks("IQ4_XS", &blocks::IQ4_XS, ElementType::Q4),
            39 => Self::blocks("MXFP4", &blocks::MXFP4, ElementType::Q4),
            34 => Self::blocks("TQ1_0", &blocks::TQ1_0, ElementType::Q2),
            35 => Self::blocks("TQ2_0", &blocks::TQ2_0, ElementType::Q2),
            9 => Self::unknown("Q8_1", 32, 36),
            15 => Self::unknown("Q8_K", 256, 292),
            16 => Self::unknown("IQ2_XXS", 256, 66),
            17 => Self::unknown("IQ2_XS", 256, 74),
            18 => Self::unknown("IQ3_XXS", 256, 98),
            19 => Self::unknown("IQ1_S", 256, 50),
            21 => Self::unknown("IQ3_S", 256, 110),
            22 => Self::unknown("IQ2_S", 256, 82),
            24 => Self::unknown("I8", 1, 1),
            25 => Self::unknown("I16", 1, 2),
            26 => Self::unknown("I32", 1, 4),
            27 => Self::unknown("I64", 1, 8),
            29 => Self::unknown("IQ1_M", 256, 56),
            40 => Self::unknown("NVFP4", 64, 36),
            41 => Self::unknown("Q1_0", 128, 18),
            _ => return None,
        })
    }
}
