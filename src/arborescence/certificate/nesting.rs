//! How the sets of a certificate are nested.

use alloc::vec;
use alloc::vec::Vec;

use super::DualCertificate;
use crate::arborescence::contraction::OUTERMOST;

/// How sets enclose each other, with the jump pointers of E. W. Myers, "An applicative random-access stack",
/// 1983.
pub(super) struct Nesting<'a> {
    enclosing: &'a [usize],
    depths: Vec<usize>,
    /// An enclosing set further up; following these reaches any enclosing set in O(log n) steps.
    leaps: Vec<usize>,
    /// The total cost of a set and of all sets that enclose it.
    sums: Vec<f64>,
}

impl<'a> Nesting<'a> {
    pub(super) fn new(certificate: &'a DualCertificate) -> Self {
        let enclosing = &certificate.enclosing[..];
        let depths = certificate.depths();
        let sets = enclosing.len();
        let (mut leaps, mut sums) = (vec![OUTERMOST; sets], certificate.costs.clone());
        for set in (0..sets).rev() {
            let outer = enclosing[set];
            if outer == OUTERMOST {
                continue;
            }
            sums[set] += sums[outer];
            let depth_of = |set: usize| depths.get(set).copied();
            let (leap, second) = match leaps[outer] {
                OUTERMOST => (OUTERMOST, OUTERMOST),
                leap => (leap, leaps[leap]),
            };
            // If the last two leaps have the same length, this one spans both.
            let height = |set: usize| depth_of(set).map_or(0, |depth| depth + 1);
            let equal = height(outer) - height(leap) == height(leap) - height(second);
            leaps[set] = if equal { second } else { outer };
        }
        Self {
            enclosing,
            depths,
            leaps,
            sums,
        }
    }

    /// The innermost set that holds both sets.
    pub(super) fn innermost(&self, first: usize, second: usize) -> usize {
        let (mut first, mut second) = (first, second);
        while first != second {
            if first == OUTERMOST || second == OUTERMOST {
                return OUTERMOST;
            }
            let (of_first, of_second) = (self.depths[first], self.depths[second]);
            if of_first > of_second {
                first = self.rise(first, of_second);
            } else if of_second > of_first {
                second = self.rise(second, of_first);
            } else if self.leaps[first] != self.leaps[second] {
                (first, second) = (self.leaps[first], self.leaps[second]);
            } else {
                (first, second) = (self.enclosing[first], self.enclosing[second]);
            }
        }
        first
    }

    /// One leap up, but not beyond this depth.
    fn rise(&self, set: usize, depth: usize) -> usize {
        let leap = self.leaps[set];
        if leap != OUTERMOST && self.depths[leap] >= depth {
            leap
        } else {
            self.enclosing[set]
        }
    }

    /// The total cost of the sets that hold a node, up to and without this set.
    pub(super) fn costs_below(&self, node: usize, set: usize) -> f64 {
        self.sums[node] - self.sums.get(set).copied().unwrap_or(0.0)
    }
}
