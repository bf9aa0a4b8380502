//! The generic algorithm, for linkages that may bring a union nearer than its parts.

use alloc::vec::Vec;

use super::dendrogram::Merge;
use super::formula::Formula;
use super::neighbours::Neighbours;
use super::triangle::Triangle;
use crate::minimum::first_minimum_of_many;

/// Merges the nearest two clusters, again and again; of several pairs equally near that whose clusters'
/// last points come first.
///
/// Every cluster knows its nearest one among those after it, or at least a distance below which
/// there is none: only when that is the least of all is the neighbour looked for again.
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
