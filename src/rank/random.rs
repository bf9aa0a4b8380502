//! Random numbers from a seed, the same on every machine.

use alloc::vec::Vec;

use num_traits::Float;

use super::RankError;
use super::solver::reserve;
use crate::sketch::mix;

/// The generator of Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators".
pub(super) struct SplitMix(u64);

impl SplitMix {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A uniform value in (0, 1), so that it has a logarithm.
    fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// `count` independent normal values of mean 0 and variance 1.
    pub(super) fn normal(&mut self, count: usize) -> Result<Vec<f64>, RankError> {
        let mut values = Vec::new();
        // Values are generated in pairs.
        reserve(&mut values, count.saturating_add(1))?;
        while values.len() < count {
            // Box and Muller (1958).
            let radius = Float::sqrt(-2.0 * Float::ln(self.uniform()));
            let (sine, cosine) = Float::sin_cos(core::f64::consts::TAU * self.uniform());
            values.push(radius * cosine);
            values.push(radius * sine);
        }
        values.truncate(count);
        Ok(values)
    }

    /// Shuffles values into random order.
    pub(super) fn shuffle<T>(&mut self, values: &mut [T]) {
        // Fisher and Yates. The bias of the remainder is far too small to matter.
        for index in (1..values.len()).rev() {
            values.swap(index, (self.bits() % (index as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_reference() {
        // From java.util.SplittableRandom's seed 0, as in Vigna's splitmix64.c.
        let mut random = SplitMix::new(0);
        assert_eq!(random.bits(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.bits(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn normal_values_have_the_moments_of_the_normal_distribution() {
        let values = SplitMix::new(7).normal(100_000).unwrap();
        let moment = |power| values.iter().map(|v| v.powi(power)).sum::<f64>() / 1e5;
        // Five standard deviations of these means: √((2k − 1)!!/10⁵) at most for the k-th moment.
        assert!(moment(1).abs() < 0.016);
        assert!((moment(2) - 1.0).abs() < 0.023);
        assert!(moment(3).abs() < 0.062);
        assert!((moment(4) - 3.0).abs() < 0.16);
        assert_ne!(values, SplitMix::new(8).normal(100_000).unwrap());
        assert_eq!(values[..3], SplitMix::new(7).normal(3).unwrap());
    }

    #[test]
    fn values_are_shuffled_evenly() {
        let mut random = SplitMix::new(1);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            let mut values = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
            random.shuffle(&mut values);
            counts[values[3]] += 1;
            values.sort_unstable();
            assert_eq!(values, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
        // Five standard deviations of 30.
        assert!(
            counts.iter().all(|count| (850..=1150).contains(count)),
            "{counts:?}"
        );
        random.shuffle::<u8>(&mut []);
    }
}
