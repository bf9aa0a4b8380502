//! Noise determined by a seed.

use crate::sketch::mix;

/// Approximately normal numbers of variance 1: sums of four uniform ones.
pub(super) struct Noise(u64);

impl Noise {
    /// The noise of one part of a family, independent of that of other parts.
    pub(super) fn new(seed: u64, part: u64) -> Self {
        let mut noise = Self(seed);
        noise.0 = noise.bits() ^ part.wrapping_mul(0xA076_1D64_78BD_642F);
        noise
    }

    /// The splitmix64 generator of Steele, Lea and Flood (2014).
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    pub(super) fn next(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xFFFF).sum();
        // The variance of each part is 65536² / 12.
        (sum as f64 / 65536.0 - 2.0) * 1.732_050_807_568_877_2
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.bits() % end.max(1) as u64) as usize
    }
}
