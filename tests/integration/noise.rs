//! Weights that look as if they were trained: nearly normal, and the same in every run.

/// Numbers with mean 0 and variance 1, each the sum of six uniform ones.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Uniform from −0.5 to 0.5.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    pub(crate) fn next(&mut self) -> f64 {
        let sum: f64 = (0..6).map(|_| self.uniform()).sum();
        sum * core::f64::consts::SQRT_2
    }
}

/// So many numbers.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    (0..length).map(|_| noise.next() as f32).collect()
}
