//! The nearest-neighbour chain, for linkages in which a union is never nearer than its parts.

use alloc::vec::Vec;

use super::dendrogram::Merge;
use super::formula::Reducible;
use super::neighbours::Neighbours;
use super::triangle::{Nearest, Triangle};

/// Makes `count` merges. Goes from cluster to nearest cluster until two are each other's nearest, merges
/// these, and continues from the rest of the chain.
///
/// A union is never nearer to a third cluster than the nearer of its parts was. So a nearest neighbour
/// remains one until it is merged itself, and only then is it searched for again.
#[inline(always)]
pub(super) fn chain<F: Reducible>(
    triangle: &mut Triangle,
    mut neighbours: Neighbours,
    count: usize,
    merges: &mut Vec<Merge>,
) {
    let end = merges.len() + count;
    let mut chain: Vec<usize> = Vec::new();
    let Some(mut start) = triangle.live.first().copied() else {
        return;
    };
    while merges.len() < end {
        let Some(&tip) = chain.last() else {
            chain.push(start);
            continue;
        };
        let known = neighbours.get(tip, triangle);
        let Some((nearest, distance)) = known.or_else(|| triangle.nearest(tip)) else {
            break;
        };
        neighbours.set(tip, Some((nearest, distance)));
        // Among equally near clusters the previous one of the chain is taken, or the chain could run in
        // circles.
        let last = chain.len().checked_sub(2).map(|position| chain[position]);
        let Some(last) = last.filter(|&last| neighbours.distances()[last] <= distance) else {
            chain.push(nearest);
            continue;
        };
        chain.truncate(chain.len() - 2);
        let (low, high) = (tip.min(last), tip.max(last));
        merges.push(triangle.merge_of(low, high, distance));
        neighbours.renew(high);
        let mut before = Nearest::NONE;
        let after = triangle.merge::<F>(low, high, distance, |slot, distance| {
            before.offer(slot, distance);
        });
        neighbours.set(high, before.or_later(after));
        start = high;
    }
}
