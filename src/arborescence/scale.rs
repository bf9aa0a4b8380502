//! Keeps differences and sums of huge weights finite.

/// A power of two by which weights are multiplied before anything is added or subtracted.
///
/// It is 1 unless some weight exceeds 2⁹⁶⁰ (about 1e289). Above that, the difference of two weights, or the
/// sum of one weight per node, could overflow, and the infinity would be taken for an absent edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale(f64);

/// 2⁻⁶⁴: there can't be 2⁶² nodes, so no sum of twice that many scaled weights overflows.
const SHRINK: f64 = 1.0 / 18_446_744_073_709_551_616.0;

impl Scale {
    pub(super) fn for_magnitude(largest: f64) -> Self {
        Self(if largest > f64::MAX * SHRINK {
            SHRINK
        } else {
            1.0
        })
    }

    #[inline]
    pub(super) fn apply(self, weight: f64) -> f64 {
        weight * self.0
    }

    /// Infinite if the value is too large for an `f64`.
    pub(super) fn undo(self, scaled: f64) -> f64 {
        scaled / self.0
    }

    /// The sum of the weights, computed so that no intermediate value overflows.
    pub(super) fn sum(self, weights: impl Iterator<Item = f64>) -> f64 {
        self.undo(weights.map(|weight| self.apply(weight)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_huge_weights_are_scaled() {
        assert_eq!(Scale::for_magnitude(1e288), Scale(1.0));
        assert_eq!(Scale::for_magnitude(1e290), Scale(SHRINK));
        assert_eq!(Scale::for_magnitude(f64::MIN_POSITIVE), Scale(1.0));
    }

    #[test]
    fn a_sum_overflows_only_in_the_end() {
        let scale = Scale::for_magnitude(f64::MAX);
        let sum = |weights: &[f64]| scale.sum(weights.iter().copied());
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
    }
}
