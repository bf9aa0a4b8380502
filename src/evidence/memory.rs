//! Estimates the memory for the tables of all pairs and checks that it is available.

use core::hint::black_box;

use alloc::vec::Vec;

/// The number of bytes for all pairs of this many models; `None` if it overflows.
pub(super) fn of_pairs(models: usize) -> Option<usize> {
    let pairs = models.checked_mul(models.saturating_sub(1))? / 2;
    // Distances, their squares, ranks; distances on one layer, one row and one piece of it; and distances in
    // another order.
    pairs.checked_mul(7 * size_of::<f64>())
}

/// Whether the system can allocate this many bytes at once.
pub(super) fn is_there(bytes: Option<usize>) -> bool {
    let Some(bytes) = bytes else {
        return false;
    };
    let mut memory: Vec<u8> = Vec::new();
    let reserved = memory.try_reserve_exact(bytes).is_ok();
    // The compiler may remove an unused allocation and assume that it succeeded.
    black_box(&memory);
    reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_few_models_fit_and_of_too_many_do_not() {
        assert_eq!(of_pairs(0), Some(0));
        assert_eq!(of_pairs(1), Some(0));
        assert!(is_there(of_pairs(100)));
        assert_eq!(of_pairs(usize::MAX), None);
        assert!(!is_there(of_pairs(usize::MAX >> 34)));
        assert!(!is_there(None));
    }
}
