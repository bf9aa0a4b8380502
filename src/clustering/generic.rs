//! The generic algorithm, for linkages in which a union may be nearer than its parts.

use alloc::vec::Vec;

use super::dendrogram::Merge;
use super::formula::Formula;
use super::neighbours::Neighbours;
use super::triangle::Triangle;
use crate::minimum::first_minimum_of_many;

/// Repeatedly merges the nearest two clusters. Among equally near pairs it takes the one whose clusters'
/// last points come first.
///
/// Every cluster knows its nearest cluster among those after it, or at least a lower bound on the distance.
/// The neighbour is searched for again only when this bound is the least of all.
#[inline(always)]
pub(super) fn generic<F: Formula>(mut triangle: Triangle) -> Vec<Merge> {
    let points = triangle.slots();
    let mut merges = Vec::with_capacity(points - 1);
    let mut neighbours = Neighbours::new(points);
    for slot in 0..points {
        neighbours.set(slot, triangle.nearest_after(slot));
    }
    while merges.len() + 1 < points {
        let Some((low, _)) = first_minimum_of_many(neighbours.distances()) else {
            break;
        };
        let Some((high, distance)) = neighbours.get(low, &triangle) else {
            neighbours.set(low, triangle.nearest_after(low));
            continue;
        };
        merges.push(triangle.merge_of(low, high, distance));
        neighbours.renew(high);
        let later = triangle.merge::<F>(low, high, distance, neighbours.offering(high));
        neighbours.set(low, None);
        neighbours.set(high, later);
        if let Some(numbers) = triangle.compact_if_sparse() {
            neighbours.renumber(&numbers);
        }
    }
    merges
}
