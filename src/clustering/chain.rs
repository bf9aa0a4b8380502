//! The nearest-neighbour chain, for linkages that never bring a union nearer than its parts.

use alloc::vec::Vec;

use super::dendrogram::Merge;
use super::formula::Formula;
use super::neighbours::Neighbours;
use super::triangle::{Nearest, Triangle};

/// Goes from cluster to nearest cluster until two are each other's, merges those, and goes on from
/// what is left of the way.
///
/// A union is never nearer to a third cluster than both its parts were, so a nearest neighbour stays
/// one for as long as it isn't merged itself; only after that is it looked for again.
#[inline(always)]
pub(super) fn chain<F: Formula>(mut triangle: Triangle) -> Vec<Merge> {
    let points = triangle.slots();
    let mut merges = Vec::with_capacity(points - 1);
    let mut neighbours = Neighbours::of_all(&triangle);
    let mut chain: Vec<usize> = Vec::new();
    let mut start = 0;
    while merges.len() + 1 < points {
        let Some(&tip) = chain.last() else {
            chain.push(start);
            continue;
        };
        let known = neighbours.get(tip, &triangle);
        let Some((nearest, distance)) = known.or_else(|| triangle.nearest(tip)) else {
            break;
        };
        neighbours.set(tip, Some((nearest, distance)));
        // Of equally near ones the last is taken, or the chain could run in circles.
        let last = chain.len().checked_sub(2).map(|position| chain[position]);
        let Some(last) = last.filter(|&last| neighbours.distances()[last] <= distance) else {
            chain.push(nearest);
            continue;
        };
        chain.truncate(chain.len() - 2);
        let (low, high) = (tip.min(last), tip.max(last));
        merges.push(Merge::new(
            triangle.point(low),
            triangle.point(high),
            distance,
        ));
        neighbours.renew(low);
        let mut nearest = Nearest::NONE;
        let later = triangle.merge::<F>(low, high, distance, |slot, distance| {
            nearest.offer(slot, distance);
        });
        neighbours.set(low, nearest.or_later(later));
        start = low;
        if let Some(numbers) = triangle.compact() {
            neighbours.renumber(&numbers);
            start = numbers[start];
            chain.iter_mut().for_each(|slot| *slot = numbers[*slot]);
        }
    }
    merges
}
