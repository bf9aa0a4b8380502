//! From distances to a dendrogram: checks, scaling, and the algorithm of each linkage.

use alloc::vec;
use alloc::vec::Vec;

use super::chain::chain;
use super::dendrogram::Merge;
use super::extremes::extremes;
use super::formula::{Average, Centroid, Complete, Formula, Median, Reducible, Ward, Weighted};
use super::generic::generic;
use super::neighbours::{Neighbours, Pair};
use super::rounds::Round;
use super::single::minimum_spanning_tree;
use super::triangle::{Triangle, row_starts};
use super::{ClusteringError, Dendrogram, Linkage};
use crate::Scalar;
use crate::condensed::CondensedMatrix;
use crate::minimum::greater;
use crate::powers::{exponent, power_of_two};
use crate::registers::in_wide_registers;

/// A pass over all distances pays off if at least one in this many clusters merges with its nearest.
const FEW: usize = 8;

/// Clusters points from the bottom up.
///
/// On inputs without ties, the steps are the same as those of SciPy's `linkage`, row for row. Among equally
/// near clusters, the one whose last point comes first counts as the nearest; in single linkage the partition
/// at any height doesn't depend on this. Distances may be of any magnitude, but in Ward, centroid and median
/// linkage, distances below 1e-150 times the largest of the input may count as zero.
///
/// # Errors
///
/// [`ClusteringError::Empty`] if there are no points, [`ClusteringError::Distance`] if a distance is
/// negative or infinite, [`ClusteringError::Memory`].
///
/// # Complexity
///
/// O(n²) time, except for centroid and median linkage, which take O(n²) on ordinary inputs and O(n³) in the
/// worst case. Single linkage needs O(n) space, the others at most a copy of the distances in `f64`.
/// If many clusters are each other's nearest, one pass over the distances merges them, and only
/// the distances left after the first such pass are copied.
///
/// # Examples
///
/// ```
/// use mother::clustering::{Linkage, linkage};
/// use mother::condensed::CondensedMatrix;
///
/// let points = [0.0_f64, 1.0, 10.0, 12.0];
/// let distances = CondensedMatrix::from_fn(4, |i, j| (points[i] - points[j]).abs())?;
/// let dendrogram = linkage(&distances, Linkage::Average)?;
/// assert_eq!(dendrogram.cut_into(2)?.labels(), [0, 0, 1, 1]);
/// assert_eq!(dendrogram.steps()[2].height, 10.5);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # References
///
/// D. Müllner, "Modern hierarchical, agglomerative clustering algorithms", 2011,
/// [arXiv:1109.2378](https://arxiv.org/abs/1109.2378).
pub fn linkage<T: Scalar>(
    distances: &CondensedMatrix<T>,
    linkage: Linkage,
) -> Result<Dendrogram, ClusteringError> {
    let points = distances.size();
    let merges = in_wide_registers(
        #[inline(always)]
        || match linkage {
            Linkage::Single => single(distances),
            Linkage::Complete => reducible::<Complete, T>(distances),
            Linkage::Average => reducible::<Average, T>(distances),
            Linkage::Weighted => reducible::<Weighted, T>(distances),
            Linkage::Ward => reducible::<Ward, T>(distances),
            Linkage::Centroid => any::<Centroid, T>(distances),
            Linkage::Median => any::<Median, T>(distances),
        },
    )?;
    let monotone = !matches!(linkage, Linkage::Centroid | Linkage::Median);
    Ok(Dendrogram::from_merges(points, merges, monotone))
}

#[inline(always)]
fn single<T: Scalar>(distances: &CondensedMatrix<T>) -> Result<Vec<Merge>, ClusteringError> {
    if distances.size() == 0 {
        return Err(ClusteringError::Empty);
    }
    minimum_spanning_tree(distances.size(), distances.values()).ok_or_else(|| refusal(distances))
}

/// Merges by a linkage whose nearest pairs may merge in any order.
///
/// As long as many clusters are each other's nearest, they all merge at once, in one pass over the
/// distances. Otherwise some merge one after another.
#[inline(always)]
fn reducible<F: Reducible, T: Scalar>(
    distances: &CondensedMatrix<T>,
) -> Result<Vec<Merge>, ClusteringError> {
    let Survey {
        largest,
        mut neighbours,
    } = Survey::of(distances)?;
    let points = distances.size();
    let scale = Scale::of::<F>(largest);
    neighbours.map_distances(|distance| scale.enter(distance));
    let mut merges = Vec::with_capacity(points - 1);
    let pairs = neighbours.reciprocal();
    let mut triangle;
    if are_many(&pairs, points) {
        merges.extend(
            pairs
                .iter()
                .map(|pair| Merge::new(pair.low, pair.high, pair.distance)),
        );
        let round = Round::<F>::new(&pairs, vec![1.0; points], &row_starts(points));
        // Only what is left after the round is copied.
        (triangle, neighbours) = round
            .of_points(distances.values(), |value| scale.enter(value.widen()))
            .ok_or(ClusteringError::Memory { points })?;
    } else {
        triangle = copy(distances, scale)?;
    }
    while triangle.live.len() > 1 {
        if let Some(numbers) = triangle.compact_if_sparse() {
            neighbours.renumber(&numbers);
        }
        let pairs = neighbours.reciprocal();
        let clusters = triangle.live.len();
        if are_many(&pairs, clusters) {
            let merge = |pair: &Pair| triangle.merge_of(pair.low, pair.high, pair.distance);
            merges.extend(pairs.iter().map(merge));
            let round = Round::<F>::new(&pairs, triangle.sizes.clone(), triangle.starts());
            neighbours = round.apply(&mut triangle);
        } else {
            let count = (clusters / FEW).max(1);
            chain::<F>(&mut triangle, neighbours, count, &mut merges);
            neighbours = Neighbours::of_all(&triangle);
        }
    }
    scale.leave(&mut merges);
    Ok(merges)
}

/// A triangle of clusters of one point each.
#[inline(always)]
fn copy<T: Scalar>(
    distances: &CondensedMatrix<T>,
    scale: Scale,
) -> Result<Triangle, ClusteringError> {
    let points = distances.size();
    let mut values = Vec::new();
    values
        .try_reserve_exact(distances.values().len())
        .map_err(|_| ClusteringError::Memory { points })?;
    let distances = distances.values().iter();
    values.extend(distances.map(|distance| scale.enter(distance.widen())));
    Ok(Triangle::of_points(points, values))
}

/// Whether a pass over all distances pays off.
const fn are_many(pairs: &[Pair], clusters: usize) -> bool {
    pairs.len() * FEW >= clusters
}

/// Merges by a linkage whose nearest pair must merge first.
#[inline(always)]
fn any<F: Formula, T: Scalar>(
    distances: &CondensedMatrix<T>,
) -> Result<Vec<Merge>, ClusteringError> {
    let scale = Scale::of::<F>(largest(distances)?);
    let mut merges = generic::<F>(copy(distances, scale)?);
    scale.leave(&mut merges);
    Ok(merges)
}

/// The largest distance, or an error if some value can't be a distance.
#[inline(always)]
fn largest<T: Scalar>(distances: &CondensedMatrix<T>) -> Result<f64, ClusteringError> {
    if distances.size() == 0 {
        return Err(ClusteringError::Empty);
    }
    let (least, largest) = extremes(distances.values());
    if least < 0.0 || largest == f64::INFINITY {
        return Err(refusal(distances));
    }
    Ok(largest)
}

/// The results of one pass over the distances.
struct Survey {
    largest: f64,
    neighbours: Neighbours,
}

impl Survey {
    #[inline(always)]
    fn of<T: Scalar>(distances: &CondensedMatrix<T>) -> Result<Self, ClusteringError> {
        let points = distances.size();
        if points == 0 {
            return Err(ClusteringError::Empty);
        }
        let mut neighbours = Neighbours::new(points);
        let mut largest = 0.0;
        let mut rest = distances.values();
        for point in 0..points {
            let (values, others) = rest.split_at(points - point - 1);
            rest = others;
            largest = greater(neighbours.observe(point, values, Scalar::widen), largest);
        }
        let least = neighbours.distances().iter().copied().fold(0.0, f64::min);
        if least < 0.0 || largest == f64::INFINITY {
            return Err(refusal(distances));
        }
        Ok(Self {
            largest,
            neighbours,
        })
    }
}

/// Names the first value that can't be a distance.
fn refusal<T: Scalar>(distances: &CondensedMatrix<T>) -> ClusteringError {
    let refused = |&(_, _, value): &(usize, usize, T)| !value.is_finite() || value < T::zero();
    let (row, column, value) = distances.pairs().find(refused).unwrap_or_default();
    ClusteringError::Distance {
        row,
        column,
        value: value.widen(),
    }
}

/// How distances are represented during clustering.
#[derive(Clone, Copy)]
struct Scale {
    factor: f64,
    squared: bool,
}

impl Scale {
    /// The exponent to which the largest distance is scaled before distances are squared: high enough that
    /// the squares of the least ones don't vanish, but not so high that sums of squares overflow.
    const EXPONENT: i32 = 480;

    fn of<F: Formula>(largest: f64) -> Self {
        Self {
            factor: power_of_two((Self::EXPONENT - exponent(largest)).clamp(-1022, 1023)),
            squared: F::SQUARED,
        }
    }

    #[inline(always)]
    fn enter(self, distance: f64) -> f64 {
        if self.squared {
            let scaled = distance * self.factor;
            scaled * scaled
        } else {
            distance
        }
    }

    /// Converts heights back to distances.
    fn leave(self, merges: &mut [Merge]) {
        if self.squared {
            for merge in merges {
                // A height may exceed every distance, and so the range of `f64`.
                let height = num_traits::Float::sqrt(merge.height) / self.factor;
                merge.height = height.min(f64::MAX);
            }
        }
    }
}
