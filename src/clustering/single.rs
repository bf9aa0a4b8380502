//! Single linkage: the minimum spanning tree of the distances, read in place.

use alloc::vec;
use alloc::vec::Vec;

use super::dendrogram::Merge;
use super::extremes::{LANES, by_halves};
use super::triangle::row_starts;
use crate::Scalar;
use crate::minimum::{first_minimum_of_many, greater, lesser};

/// A row is distributed over this many lanes, and the least distance of each lane is kept. More lanes give
/// higher bounds.
const SIFTED: usize = 2 * LANES;

/// Prim's algorithm from point 0; `None` if a distance is negative or infinite.
///
/// The distances from a new point to later ones form a row and are adjacent in memory. Those to earlier
/// points each lie in a different row, and reading them takes most of the time. So every row is first read
/// once. A few of its least distances are kept, with a lower bound on all the others. As long as the tree's
/// next merge is below an earlier point's bound, only new points that are kept for its row can bring the tree
/// nearer to it. Once the bound is reached, the row is read again, and from then on the distance of every new
/// point to this one is read.
///
/// A merge joins a point with the one added just before it, not with the one to which it is nearest. The
/// points of a cluster are added one after another, so both give the same clusters.
///
/// O(n²) time, O(n) space.
#[inline(always)]
pub(super) fn minimum_spanning_tree<T: Scalar>(points: usize, values: &[T]) -> Option<Vec<Merge>> {
    let starts = row_starts(points);
    let row = |point: usize| &values[starts[point]..starts[point + 1]];
    let mut near = NearPairs::new(points);
    for point in 0..points {
        near.sift(point, row(point))?;
    }
    let mut doubtful = near.by_bound();
    let mut tree = Tree::new(points);
    // In order, since reading the matrix column by column in random order is slower.
    let mut certain: Vec<usize> = Vec::new();
    let mut merges = Vec::with_capacity(points - 1);
    let mut current = 0;
    while merges.len() + 1 < points {
        tree.add(current);
        near.of_later(current, |earlier, distance| {
            tree.reach_at(earlier, distance);
        });
        let before = certain.partition_point(|&point| point < current);
        if certain.get(before) == Some(&current) {
            certain.remove(before);
        }
        for &earlier in &certain[..before] {
            let distance = values[starts[earlier] + current - earlier - 1];
            tree.reach_at(earlier, distance.widen());
        }
        lower(&mut tree.reach[current + 1..], row(current));
        let (mut nearest, mut distance) = tree.nearest()?;
        while let Some(&(bound, point)) = doubtful.last() {
            if tree.is_outside(point) {
                if bound > distance {
                    break;
                }
                tree.reach_along(point, row(point));
                if (tree.reach[point], point) < (distance, nearest) {
                    (distance, nearest) = (tree.reach[point], point);
                }
                certain.insert(certain.partition_point(|&other| other < point), point);
            }
            doubtful.pop();
        }
        merges.push(Merge::new(current, nearest, distance));
        current = nearest;
    }
    Some(merges)
}

/// The distance of each point from the tree.
struct Tree {
    /// The distance of each point to the nearest point of the tree. For points with a bound it may be too
    /// large, but not if it is below the bound. NaN, which nothing lowers, for points in the tree.
    reach: Vec<f64>,
}

impl Tree {
    fn new(points: usize) -> Self {
        Self {
            reach: vec![f64::INFINITY; points],
        }
    }

    fn add(&mut self, point: usize) {
        self.reach[point] = f64::NAN;
    }

    fn is_outside(&self, point: usize) -> bool {
        !self.reach[point].is_nan()
    }

    #[inline(always)]
    fn reach_at(&mut self, point: usize, distance: f64) {
        self.reach[point] = lesser(distance, self.reach[point]);
    }

    /// Considers all points of the tree after this one; `row` holds their distances.
    #[inline(always)]
    fn reach_along<T: Scalar>(&mut self, point: usize, row: &[T]) {
        let (distances, last_distances) = row.as_chunks::<LANES>();
        let (reach, last_reach) = self.reach[point + 1..].as_chunks::<LANES>();
        let of_inside = |distance: T, reach: f64| {
            if reach.is_nan() {
                distance.widen()
            } else {
                f64::INFINITY
            }
        };
        let mut least = [f64::INFINITY; LANES];
        for (distances, reach) in distances.iter().zip(reach) {
            for lane in 0..LANES {
                least[lane] = lesser(of_inside(distances[lane], reach[lane]), least[lane]);
            }
        }
        let last = last_distances.iter().zip(last_reach);
        for (least, (&distance, &reach)) in least.iter_mut().zip(last) {
            *least = lesser(of_inside(distance, reach), *least);
        }
        self.reach_at(point, by_halves(least, lesser));
    }

    /// The nearest point outside the tree, the first of several, and its distance.
    #[inline(always)]
    fn nearest(&self) -> Option<(usize, f64)> {
        first_minimum_of_many(&self.reach)
    }
}

/// Pairs of near points, found from the earlier point.
struct NearPairs {
    pairs: Vec<NearPair>,
    /// For each point, the last pair in which it is the later point; beyond all pairs if there is none.
    last: Vec<usize>,
    /// For each point, a lower bound on its distances to later points, except for those kept as pairs.
    bounds: Vec<f64>,
}

struct NearPair {
    earlier: usize,
    distance: f64,
    /// Another pair with the same later point.
    previous: usize,
}

impl NearPairs {
    fn new(points: usize) -> Self {
        Self {
            pairs: Vec::new(),
            last: vec![usize::MAX; points],
            bounds: Vec::with_capacity(points),
        }
    }

    /// Keeps the least distances of the next point to later ones; `None` if a distance is negative or
    /// infinite.
    #[inline(always)]
    fn sift<T: Scalar>(&mut self, earlier: usize, row: &[T]) -> Option<()> {
        let sieve = Sieve::of(row);
        if sieve.refused {
            return None;
        }
        let bound = sieve.second.into_iter().fold(f64::INFINITY, lesser);
        for (lane, (&distance, &chunk)) in sieve.least.iter().zip(&sieve.chunks).enumerate() {
            if distance < bound {
                let last = &mut self.last[earlier + 1 + chunk as usize * SIFTED + lane];
                let pair = NearPair {
                    earlier,
                    distance,
                    previous: core::mem::replace(last, self.pairs.len()),
                };
                self.pairs.push(pair);
            }
        }
        self.bounds.push(bound);
        Some(())
    }

    /// Calls `call` for every pair in which this is the later point.
    #[inline(always)]
    fn of_later(&self, later: usize, mut call: impl FnMut(usize, f64)) {
        let mut next = self.last[later];
        while let Some(pair) = self.pairs.get(next) {
            call(pair.earlier, pair.distance);
            next = pair.previous;
        }
    }

    /// The points and their bounds, with the least bound last.
    fn by_bound(&self) -> Vec<(f64, usize)> {
        let bounds = self.bounds.iter().copied().zip(0..);
        let mut bounds: Vec<_> = bounds.filter(|(bound, _)| bound.is_finite()).collect();
        bounds.sort_unstable_by(|first, second| second.0.total_cmp(&first.0));
        bounds
    }
}

/// The least and the second-least distance in every lane of a row.
struct Sieve {
    least: [f64; SIFTED],
    /// The number of values before each least distance in its lane.
    chunks: [u64; SIFTED],
    second: [f64; SIFTED],
    /// Whether a distance is negative or infinite.
    refused: bool,
}

impl Sieve {
    #[inline(always)]
    fn of<T: Scalar>(row: &[T]) -> Self {
        let mut least = [f64::INFINITY; SIFTED];
        let mut second = [f64::INFINITY; SIFTED];
        let mut chunks = [0; SIFTED];
        let mut largest = [0.0; SIFTED];
        let (full, rest) = row.as_chunks::<SIFTED>();
        let mut number = 0;
        let mut sift = |number: u64, lane: usize, distance: f64| {
            largest[lane] = greater(distance, largest[lane]);
            second[lane] = lesser(greater(distance, least[lane]), second[lane]);
            chunks[lane] = if distance < least[lane] {
                number
            } else {
                chunks[lane]
            };
            least[lane] = lesser(distance, least[lane]);
        };
        for chunk in full {
            for (lane, distance) in chunk.iter().enumerate() {
                sift(number, lane, distance.widen());
            }
            number += 1;
        }
        for (lane, distance) in rest.iter().enumerate() {
            sift(number, lane, distance.widen());
        }
        let refused = largest.contains(&f64::INFINITY) || least.iter().any(|&least| least < 0.0);
        Self {
            least,
            chunks,
            second,
            refused,
        }
    }
}

/// Lowers every reach that exceeds the distance to that distance.
#[inline(always)]
fn lower<T: Scalar>(reach: &mut [f64], distances: &[T]) {
    for (reach, distance) in reach.iter_mut().zip(distances) {
        *reach = lesser(distance.widen(), *reach);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condensed::pairs_of;

    /// The heights of all merges, by the textbook form of Prim's algorithm.
    fn heights(points: usize, distance: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let mut reach = vec![f64::INFINITY; points];
        let mut outside: Vec<usize> = (1..points).collect();
        let mut heights = Vec::new();
        let mut current = 0;
        while !outside.is_empty() {
            for &point in &outside {
                reach[point] = reach[point].min(distance(point.min(current), point.max(current)));
            }
            let nearer = |a: &usize, b: &usize| reach[*a].total_cmp(&reach[*b]).then(a.cmp(b));
            current = outside.iter().copied().min_by(nearer).unwrap();
            outside.retain(|&point| point != current);
            heights.push(reach[current]);
        }
        heights
    }

    fn assert_right(points: usize, distance: impl Fn(usize, usize) -> f64) {
        let values: Vec<f64> = pairs_of(points).map(|(i, j)| distance(i, j)).collect();
        let found = minimum_spanning_tree(points, &values).unwrap();
        let found: Vec<f64> = found.iter().map(|merge| merge.height).collect();
        assert_eq!(found, heights(points, distance), "{points} points");
    }

    fn random(i: usize, j: usize) -> u64 {
        let seed = (i as u64) << 32 | j as u64;
        let mixed = (seed ^ seed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ mixed >> 32).wrapping_mul(0x94D0_49BB_1331_11EB) >> 40
    }

    #[test]
    fn rows_much_longer_than_a_sieve() {
        for points in [1, 2, 16, 17, 18, 33, 34, 35, 100, 257] {
            assert_right(points, |i, j| random(i, j) as f64);
        }
    }

    #[test]
    fn ties_beyond_what_is_kept() {
        for values in [1, 2, 5, 50] {
            assert_right(150, |i, j| (random(i, j) % values) as f64);
        }
    }

    #[test]
    fn groups_far_apart_read_rows_again() {
        for groups in [2, 7, 60] {
            assert_right(120, |i, j| {
                let far = if i % groups == j % groups { 0.0 } else { 1e9 };
                far + random(i, j) as f64
            });
        }
    }

    #[test]
    fn points_that_come_from_the_last_to_the_first() {
        assert_right(90, |i, j| {
            if i == 0 {
                1000.0 - j as f64
            } else {
                (j - i) as f64
            }
        });
    }

    #[test]
    fn invalid_distances_are_rejected_at_any_position() {
        let values = vec![1.0; 40 * 39 / 2];
        for refused in [-1.0, f64::INFINITY] {
            for position in 0..values.len() {
                let mut values = values.clone();
                values[position] = refused;
                assert!(minimum_spanning_tree(40, &values).is_none());
            }
        }
    }
}
