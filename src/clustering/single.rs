//! Single linkage: the minimum spanning tree of the distances, read where they are.

use alloc::vec;
use alloc::vec::Vec;

use super::dendrogram::Merge;
use super::formula::lesser;
use super::minimum::first_minimum;
use super::triangle::row_starts;
use crate::Scalar;

/// Prim's algorithm from point 0.
///
/// A merge joins a point with the one before it in the order of their coming, not with that which it
/// is nearest to: the points of a cluster come one after another, so both give the same clusters.
#[inline(always)]
pub(super) fn minimum_spanning_tree<T: Scalar>(points: usize, values: &[T]) -> Vec<Merge> {
    let starts = row_starts(points);
    let mut reach = vec![f64::INFINITY; points];
    let mut outside = vec![1.0; points];
    let mut ascending: Vec<usize> = (0..points).collect();
    let mut merges = Vec::with_capacity(points - 1);
    let mut current = 0;
    while merges.len() + 1 < points {
        outside[current] = 0.0;
        let position = ascending.partition_point(|&point| point < current);
        ascending.remove(position);
        for &point in &ascending[..position] {
            let distance = values[starts[point] + current - point - 1].widen();
            reach[point] = lesser(distance, reach[point]);
        }
        let row = &values[starts[current]..starts[current + 1]];
        for (reach, distance) in reach[current + 1..].iter_mut().zip(row) {
            *reach = lesser(distance.widen(), *reach);
        }
        let Some((nearest, distance)) = first_minimum(&reach, &outside) else {
            break;
        };
        merges.push(Merge::new(current, nearest, distance));
        current = nearest;
    }
    merges
}
