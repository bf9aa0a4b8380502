//! Single linkage: the minimum spanning tree of the distances, read where they are.

use alloc::vec;
use alloc::vec::Vec;

use super::dendrogram::Merge;
use super::formula::{greater, lesser};
use super::minimum::{LANES, first_minimum};
use super::triangle::row_starts;
use crate::Scalar;

/// Prim's algorithm from point 0; none if a distance is negative or infinite.
///
/// A merge joins a point with the one before it in the order of their coming, not with that which it
/// is nearest to: the points of a cluster come one after another, so both give the same clusters.
#[inline(always)]
pub(super) fn minimum_spanning_tree<T: Scalar>(points: usize, values: &[T]) -> Option<Vec<Merge>> {
    let starts = row_starts(points);
    let mut reach = vec![f64::INFINITY; points];
    let mut outside = vec![1.0; points];
    let mut ascending: Vec<usize> = (0..points).collect();
    let mut merges = Vec::with_capacity(points - 1);
    let mut current = 0;
    // Every pair is looked at, when the first of its points comes.
    let mut infinite = false;
    while merges.len() + 1 < points {
        outside[current] = 0.0;
        let position = ascending.partition_point(|&point| point < current);
        ascending.remove(position);
        for &point in &ascending[..position] {
            let distance = values[starts[point] + current - point - 1].widen();
            infinite |= distance == f64::INFINITY;
            reach[point] = lesser(distance, reach[point]);
        }
        let row = &values[starts[current]..starts[current + 1]];
        infinite |= lower(&mut reach[current + 1..], row) == f64::INFINITY;
        let (nearest, distance) = first_minimum(&reach, &outside)?;
        merges.push(Merge::new(current, nearest, distance));
        current = nearest;
    }
    let refused = infinite || merges.iter().any(|merge| merge.height < 0.0);
    (!refused).then_some(merges)
}

/// Lowers what is above the distances to these; returns the largest of them.
#[inline(always)]
fn lower<T: Scalar>(reach: &mut [f64], distances: &[T]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (reach, reach_rest) = reach.as_chunks_mut::<LANES>();
    let (distances, distances_rest) = distances.as_chunks::<LANES>();
    for (reach, distances) in reach.iter_mut().zip(distances) {
        for lane in 0..LANES {
            let distance = distances[lane].widen();
            lanes[lane] = greater(distance, lanes[lane]);
            reach[lane] = lesser(distance, reach[lane]);
        }
    }
    let mut largest = lanes.into_iter().fold(0.0, greater);
    for (reach, distance) in reach_rest.iter_mut().zip(distances_rest) {
        largest = greater(distance.widen(), largest);
        *reach = lesser(distance.widen(), *reach);
    }
    largest
}
