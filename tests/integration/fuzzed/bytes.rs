//! Numbers of every kind from the bytes that a fuzzer makes up.

/// Bytes that are used up; behind their end there are zeros.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Mostly small whole numbers, so that there are ties; else any bits or a number at an edge.
    pub(crate) fn number(&mut self) -> f64 {
        const EDGES: [f64; 16] = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            5e-324,
            f64::MIN_POSITIVE,
            f64::EPSILON,
            1e-300,
            1e-160,
            1e150,
            1e300,
            f64::MAX,
            -f64::MAX,
            -1e300,
            -1e-300,
            -1.0,
        ];
        match self.byte() {
            small @ 0..160 => f64::from(small % 16),
            fine @ 160..224 => {
                f64::from(fine)
                    + f64::from(u16::from_le_bytes([self.byte(), self.byte()])) / 65536.0
            }
            edge @ 224..240 => EDGES[usize::from(edge - 224)],
            _ => f64::from_le_bytes([0; 8].map(|_: u8| self.byte())),
        }
    }

    /// As [`number`](Self::number), but neither negative nor NaN nor infinite.
    #[allow(dead_code, reason = "each fuzz target uses some of this")]
    pub(crate) fn distance(&mut self) -> f64 {
        Some(self.number().abs())
            .filter(|number| number.is_finite())
            .unwrap_or(1.0)
    }
}
