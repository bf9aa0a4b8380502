//! How much memory the tables of all pairs take, and whether there is so much.

use core::hint::black_box;

use alloc::vec::Vec;

use super::GrowthMeasure;
use crate::growth::{PooledGrowth, RowSums};

/// The bytes that all pairs of so many models take on so many layers; `None` where they overflow.
pub(super) fn of_pairs(models: usize, layers: usize, growth: GrowthMeasure) -> Option<usize> {
    let pairs = models.checked_mul(models.saturating_sub(1))? / 2;
    let grown = match growth {
        // A vector has room for four at first, and then doubles.
        GrowthMeasure::Measured => {
            let matrices = layers.clamp(4, PooledGrowth::GROUPS).next_power_of_two();
            size_of::<PooledGrowth>() + PooledGrowth::GROUP_SIZE * matrices + size_of::<RowSums>()
        }
        GrowthMeasure::LeftOut => 0,
    };
    // Distances, their squares, ranks, those of a layer, of a row and of a piece of it, and distances in
    // another order.
    let numbers = 7 * size_of::<f64>();
    pairs.checked_mul(numbers + grown)
}

/// Whether the system would give so many bytes at once.
pub(super) fn is_there(bytes: Option<usize>) -> bool {
    let Some(bytes) = bytes else {
        return false;
    };
    let mut memory: Vec<u8> = Vec::new();
    let reserved = memory.try_reserve_exact(bytes).is_ok();
    // An allocation that nothing looks at may be left out, as if it had been given.
    black_box(&memory);
    reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_few_models_fit_and_of_too_many_do_not() {
        for growth in [GrowthMeasure::Measured, GrowthMeasure::LeftOut] {
            assert_eq!(of_pairs(0, 1, growth), Some(0));
            assert_eq!(of_pairs(1, 1, growth), Some(0));
            assert!(is_there(of_pairs(100, 10, growth)));
            assert_eq!(of_pairs(usize::MAX, 1, growth), None);
            assert!(!is_there(of_pairs(usize::MAX >> 34, 1, growth)));
            assert!(!is_there(None));
        }
        let [few, many] = [1, 1000].map(|layers| of_pairs(2, layers, GrowthMeasure::Measured));
        assert!(few < many && many < Some(1600), "{many:?}");
    }
}
