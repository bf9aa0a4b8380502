//! The seven linkages and the three algorithms that compute them.

use core::error::Error;
use core::fmt;
use core::str::FromStr;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::Dendrogram;
use crate::Scalar;
use crate::condensed::{CondensedMatrix, condensed_index};

/// How the distance of two clusters follows from those of their points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Linkage {
    /// The smallest distance of a pair.
    #[default]
    Single,
    /// The largest distance of a pair.
    Complete,
    /// The mean distance of all pairs (UPGMA).
    Average,
    /// The mean of the distances to the two clusters merged last (WPGMA).
    Weighted,
    /// Ward's: the growth of the sum of squares, as a distance.
    Ward,
    /// The distance of the centroids (UPGMC); heights may fall.
    Centroid,
    /// The distance of the midpoints (WPGMC); heights may fall.
    Median,
}

impl Linkage {
    /// Every linkage.
    pub const ALL: [Self; 7] = [
        Self::Single,
        Self::Complete,
        Self::Average,
        Self::Weighted,
        Self::Ward,
        Self::Centroid,
        Self::Median,
    ];

    /// The name that scipy gives it too.
    const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Complete => "complete",
            Self::Average => "average",
            Self::Weighted => "weighted",
            Self::Ward => "ward",
            Self::Centroid => "centroid",
            Self::Median => "median",
        }
    }

    /// The formula of Lance and Williams: the distance from cluster k to the union of i and j.
    fn update(self, to_i: f64, to_j: f64, between: f64, sizes: [f64; 3]) -> f64 {
        let [i, j, k] = sizes;
        let squared = match self {
            Self::Single => return to_i.min(to_j),
            Self::Complete => return to_i.max(to_j),
            Self::Average => return (i * to_i + j * to_j) / (i + j),
            Self::Weighted => return 0.5 * (to_i + to_j),
            Self::Ward => {
                let t = 1.0 / (i + j + k);
                (i + k) * t * to_i * to_i + (j + k) * t * to_j * to_j - k * t * between * between
            }
            Self::Centroid => {
                (i * to_i * to_i + j * to_j * to_j - i * j * between * between / (i + j)) / (i + j)
            }
            Self::Median => 0.5 * (to_i * to_i + to_j * to_j) - 0.25 * between * between,
        };
        // Rounding may take a square of zero below it.
        num_traits::Float::sqrt(squared.max(0.0))
    }
}

impl fmt::Display for Linkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Linkage {
    type Err = UnknownLinkage;

    fn from_str(name: &str) -> Result<Self, UnknownLinkage> {
        Self::ALL
            .into_iter()
            .find(|linkage| linkage.name() == name)
            .ok_or_else(|| UnknownLinkage { name: name.into() })
    }
}

/// The name of no linkage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLinkage {
    /// The name that was to be read.
    pub name: String,
}

impl fmt::Display for UnknownLinkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no linkage", self.name)
    }
}

impl Error for UnknownLinkage {}

/// Why points can't be clustered, or a dendrogram not be cut so.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClusteringError {
    /// There is no point.
    Empty,
    /// A distance is negative or infinite.
    Distance {
        /// The pair's first point.
        row: usize,
        /// The pair's second point.
        column: usize,
        /// The distance.
        value: f64,
    },
    /// A step is none of a dendrogram.
    Step {
        /// Its number, from 0.
        step: usize,
    },
    /// So many points can't be in so many clusters, each with a point.
    Count {
        /// The number of clusters wanted.
        clusters: usize,
        /// The number of points.
        points: usize,
    },
}

impl fmt::Display for ClusteringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no point to cluster"),
            Self::Distance { row, column, value } => {
                write!(
                    f,
                    "the distance of points {row} and {column} can't be {value}"
                )
            }
            Self::Step { step } => write!(f, "step {step} is none of a dendrogram"),
            Self::Count { clusters, points } => {
                write!(f, "{points} points can't be in {clusters} clusters")
            }
        }
    }
}

impl Error for ClusteringError {}

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
/// negative or infinite.
///
/// # Complexity
///
/// O(n²) time for all but centroid and median, which take O(n²) on ordinary inputs and O(n³) at
/// worst; one copy of the distances in `f64`.
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
/// D. Müllner, "Modern hierarchical, agglomerative clustering algorithms", 2011, arXiv:1109.2378.
pub fn linkage<T: Scalar>(
    distances: &CondensedMatrix<T>,
    linkage: Linkage,
) -> Result<Dendrogram, ClusteringError> {
    let size = distances.size();
    if size == 0 {
        return Err(ClusteringError::Empty);
    }
    for (row, column, value) in distances.pairs() {
        if !(value.is_finite() && value >= T::zero()) {
            return Err(ClusteringError::Distance {
                row,
                column,
                value: value.widen(),
            });
        }
    }
    let scale = scale(distances);
    let mut clusters = Clusters {
        size,
        distances: distances
            .values()
            .iter()
            .map(|d| d.widen() * scale)
            .collect(),
        points: vec![1; size],
        linkage,
    };
    let (mut merges, monotone) = match linkage {
        Linkage::Single => (minimum_spanning_tree(&clusters), true),
        Linkage::Centroid | Linkage::Median => (nearest_neighbours(&mut clusters), false),
        _ => (nearest_neighbour_chain(&mut clusters), true),
    };
    for (_, _, height) in &mut merges {
        // A height that is larger than any distance may be larger than any number, too.
        *height = (*height / scale).min(f64::MAX);
    }
    Ok(Dendrogram::from_merges(size, merges, monotone))
}

/// A power of two by which distances are multiplied, so that their squares and sums neither
/// overflow nor underflow: 1 for all but extreme ones.
fn scale<T: Scalar>(distances: &CondensedMatrix<T>) -> f64 {
    let values = distances.values().iter().map(|distance| distance.widen());
    let largest = values.fold(0.0, f64::max);
    if largest > 1e100 {
        num_traits::Float::powi(2.0, -700)
    } else if largest > 0.0 && largest < 1e-100 {
        num_traits::Float::powi(2.0, 700)
    } else {
        1.0
    }
}

/// Two points whose clusters merge, and at which height.
pub(super) type Merge = (usize, usize, f64);

/// Clusters that shrink in number: one lives on at the higher of the two merged slots, as in scipy.
struct Clusters {
    size: usize,
    distances: Vec<f64>,
    /// How many points each slot's cluster has; 0 once it was merged into another.
    points: Vec<usize>,
    linkage: Linkage,
}

impl Clusters {
    fn distance(&self, first: usize, second: usize) -> f64 {
        self.distances[condensed_index(self.size, first, second)]
    }

    fn is_alive(&self, slot: usize) -> bool {
        self.points[slot] > 0
    }

    /// Merges the cluster of slot `gone` into that of slot `kept`.
    fn merge(&mut self, gone: usize, kept: usize) {
        let between = self.distance(gone, kept);
        let (i, j) = (self.points[gone] as f64, self.points[kept] as f64);
        for other in 0..self.size {
            if other == gone || other == kept || !self.is_alive(other) {
                continue;
            }
            let target = condensed_index(self.size, other, kept);
            self.distances[target] = self.linkage.update(
                self.distance(other, gone),
                self.distances[target],
                between,
                [i, j, self.points[other] as f64],
            );
        }
        self.points[kept] += self.points[gone];
        self.points[gone] = 0;
    }

    /// The nearest living slot after `slot`, the first among equals.
    fn nearest_after(&self, slot: usize) -> Option<(usize, f64)> {
        let mut nearest: Option<(usize, f64)> = None;
        for other in slot + 1..self.size {
            if !self.is_alive(other) {
                continue;
            }
            let distance = self.distance(slot, other);
            if nearest.is_none_or(|(_, best)| distance < best) {
                nearest = Some((other, distance));
            }
        }
        nearest
    }
}

/// Prim's algorithm from point 0; its edges are the merges of single linkage.
fn minimum_spanning_tree(clusters: &Clusters) -> Vec<Merge> {
    let size = clusters.size;
    let mut merges = Vec::with_capacity(size - 1);
    let mut reach = vec![(f64::INFINITY, 0); size];
    let mut outside: Vec<usize> = (1..size).collect();
    let mut current = 0;
    while !outside.is_empty() {
        let mut nearest = 0;
        for (position, &point) in outside.iter().enumerate() {
            let distance = clusters.distance(current, point);
            if distance < reach[point].0 {
                reach[point] = (distance, current);
            }
            if reach[point].0 < reach[outside[nearest]].0 {
                nearest = position;
            }
        }
        let point = outside.remove(nearest);
        merges.push((current, point, reach[point].0));
        current = point;
    }
    merges
}

/// Follows nearest neighbours until two are each other's, and merges those.
fn nearest_neighbour_chain(clusters: &mut Clusters) -> Vec<Merge> {
    let size = clusters.size;
    let mut merges = Vec::with_capacity(size - 1);
    let mut chain: Vec<usize> = Vec::new();
    while merges.len() + 1 < size {
        if chain.is_empty() {
            chain.extend((0..size).find(|&slot| clusters.is_alive(slot)));
        }
        let Some(&tip) = chain.last() else { break };
        let before = chain.len().checked_sub(2).map(|position| chain[position]);
        // The chain's previous slot wins ties, or the chain could run in circles.
        let mut nearest = before.map(|slot| (slot, clusters.distance(tip, slot)));
        for slot in (0..size).filter(|&slot| slot != tip && clusters.is_alive(slot)) {
            let distance = clusters.distance(tip, slot);
            if nearest.is_none_or(|(_, best)| distance < best) {
                nearest = Some((slot, distance));
            }
        }
        let Some((slot, distance)) = nearest else {
            break;
        };
        if before == Some(slot) {
            chain.truncate(chain.len() - 2);
            merges.push((tip.min(slot), tip.max(slot), distance));
            clusters.merge(tip.min(slot), tip.max(slot));
        } else {
            chain.push(slot);
        }
    }
    merges
}

/// Merges the nearest pair each time, remembering every slot's nearest neighbour after it.
fn nearest_neighbours(clusters: &mut Clusters) -> Vec<Merge> {
    let size = clusters.size;
    let mut merges = Vec::with_capacity(size - 1);
    let mut nearest: Vec<_> = (0..size).map(|slot| clusters.nearest_after(slot)).collect();
    while merges.len() + 1 < size {
        let mut best: Option<(usize, usize, f64)> = None;
        for (slot, &neighbour) in nearest.iter().enumerate() {
            if let Some((other, distance)) = neighbour
                && best.is_none_or(|(_, _, least)| distance < least)
            {
                best = Some((slot, other, distance));
            }
        }
        let Some((gone, kept, distance)) = best else {
            break;
        };
        merges.push((gone, kept, distance));
        clusters.merge(gone, kept);
        nearest[gone] = None;
        for (slot, nearest) in nearest.iter_mut().enumerate() {
            let Some((neighbour, distance)) = *nearest else {
                continue;
            };
            if slot == kept || neighbour == gone || neighbour == kept {
                *nearest = clusters.nearest_after(slot);
            } else if slot < kept {
                let to_kept = clusters.distance(slot, kept);
                if to_kept < distance {
                    *nearest = Some((kept, to_kept));
                }
            }
        }
    }
    merges
}
