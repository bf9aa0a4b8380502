//! From distances to a dendrogram: checks, scaling, and the algorithm for each linkage.

use alloc::vec::Vec;

use super::chain::chain;
use super::formula::{Average, Centroid, Complete, Formula, Median, Ward, Weighted};
use super::generic::generic;
use super::single::minimum_spanning_tree;
use super::triangle::Triangle;
use super::{ClusteringError, Dendrogram, Linkage};
use crate::Scalar;
use crate::condensed::CondensedMatrix;

/// Clusters points bottom up.
///
/// On inputs without ties the steps are those of scipy's `linkage`, row for row. Among equal
/// distances the points that come first are merged first; in single linkage the partition at any
/// height doesn't depend on that. Distances may be of any magnitude; of those of one input, what is
/// 1e-150 times the largest may count as zero in Ward's, centroid and median linkage.
///
/// # Errors
///
/// [`ClusteringError::Empty`] without points, [`ClusteringError::Distance`] where a distance is
/// negative or infinite, [`ClusteringError::Memory`].
///
/// # Complexity
///
/// O(n²) time for all but centroid and median, which take O(n²) on ordinary inputs and O(n³) at
/// worst. Single linkage needs O(n) space, the others a copy of the distances in `f64`.
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
    let largest = check(distances)?;
    let points = distances.size();
    if linkage == Linkage::Single {
        return Ok(single(distances));
    }
    let mut values = Vec::new();
    values
        .try_reserve_exact(distances.values().len())
        .map_err(|_| ClusteringError::Memory { points })?;
    values.extend(distances.values().iter().map(|distance| distance.widen()));
    Ok(agglomerate(points, values, largest, linkage))
}

/// [`linkage`] in the memory of the distances, without a copy.
///
/// # Errors
///
/// Those of [`linkage`] but for the one about memory.
///
/// # Complexity
///
/// The time of [`linkage`], O(n) space beside the distances.
///
/// # Examples
///
/// ```
/// use mother::clustering::{Linkage, linkage, linkage_in_place};
/// use mother::condensed::CondensedMatrix;
///
/// let distances = CondensedMatrix::new(3, vec![1.0, 4.0, 3.0])?;
/// let expected = linkage(&distances, Linkage::Ward)?;
/// assert_eq!(linkage_in_place(distances, Linkage::Ward)?, expected);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn linkage_in_place(
    distances: CondensedMatrix,
    linkage: Linkage,
) -> Result<Dendrogram, ClusteringError> {
    let largest = check(&distances)?;
    if linkage == Linkage::Single {
        return Ok(single(&distances));
    }
    let points = distances.size();
    Ok(agglomerate(
        points,
        distances.into_values(),
        largest,
        linkage,
    ))
}

/// The largest distance.
fn check<T: Scalar>(distances: &CondensedMatrix<T>) -> Result<f64, ClusteringError> {
    if distances.size() == 0 {
        return Err(ClusteringError::Empty);
    }
    let mut largest = T::zero();
    let mut least = T::zero();
    for &value in distances.values() {
        largest = if value > largest { value } else { largest };
        least = if value < least { value } else { least };
    }
    if least < T::zero() || !largest.is_finite() {
        let refused = |&(_, _, value): &(usize, usize, T)| !value.is_finite() || value < T::zero();
        if let Some((row, column, value)) = distances.pairs().find(refused) {
            let value = value.widen();
            return Err(ClusteringError::Distance { row, column, value });
        }
    }
    Ok(largest.widen())
}

fn single<T: Scalar>(distances: &CondensedMatrix<T>) -> Dendrogram {
    let merges = minimum_spanning_tree(distances.size(), distances.values());
    Dendrogram::from_merges(distances.size(), merges, true)
}

/// All linkages but single.
fn agglomerate(points: usize, values: Vec<f64>, largest: f64, linkage: Linkage) -> Dendrogram {
    let run = match linkage {
        Linkage::Single | Linkage::Complete => run::<Complete>,
        Linkage::Average => run::<Average>,
        Linkage::Weighted => run::<Weighted>,
        Linkage::Ward => run::<Ward>,
        Linkage::Centroid => run::<Centroid>,
        Linkage::Median => run::<Median>,
    };
    run(points, values, largest)
}

fn run<F: Formula>(points: usize, mut values: Vec<f64>, largest: f64) -> Dendrogram {
    let scale = power_of_two(SCALED - exponent(largest));
    if F::SQUARED {
        for value in &mut values {
            let scaled = *value * scale;
            *value = scaled * scaled;
        }
    }
    let triangle = Triangle::new(points, values);
    let mut merges = if F::REDUCIBLE {
        chain::<F>(triangle)
    } else {
        generic::<F>(triangle)
    };
    if F::SQUARED {
        for merge in &mut merges {
            // A height may be larger than any distance, and so larger than any number.
            let height = num_traits::Float::sqrt(merge.height) / scale;
            merge.height = height.min(f64::MAX);
        }
    }
    Dendrogram::from_merges(points, merges, F::REDUCIBLE)
}

/// The exponent that the largest distance gets before distances are squared: high, so that the
/// squares of the least ones don't vanish, but not so high that sums of squares overflow.
const SCALED: i32 = 480;

/// The exponent of the power of two that is just not above the value.
fn exponent(value: f64) -> i32 {
    let (mantissa, exponent, _) = num_traits::Float::integer_decode(value);
    i32::from(exponent) + mantissa.checked_ilog2().map_or(0, u32::cast_signed)
}

/// The power of two; an exponent out of range counts as the last one in range.
const fn power_of_two(exponent: i32) -> f64 {
    let limited = if exponent < -1022 {
        -1022
    } else if exponent > 1023 {
        1023
    } else {
        exponent
    };
    f64::from_bits(((limited + 1023) as u64) << 52)
}
