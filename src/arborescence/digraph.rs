//! Weighted digraphs: a full matrix stored by target, and single edges.

use alloc::vec::Vec;

use super::ArborescenceError;
use crate::Scalar;

/// An edge of a weighted digraph.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Edge<T = f64> {
    /// The node the edge leaves.
    pub from: usize,
    /// The node the edge enters.
    pub to: usize,
    /// The weight; +∞ means that the edge must not be used.
    pub weight: T,
}

/// A digraph with a weight for every ordered pair of its nodes.
///
/// A weight of +∞ marks an absent edge. There are no loops: the values given on the diagonal are ignored.
/// The matrix is stored by target, with the weights of all edges into one node next to each other, because
/// an arborescence is chosen from these.
///
/// # Examples
///
/// ```
/// use mother::arborescence::DenseDigraph;
///
/// const ABSENT: f64 = f64::INFINITY;
/// let digraph = DenseDigraph::new(2, vec![0.0, 1.5, ABSENT, 0.0])?;
/// assert_eq!(digraph.weight(0, 1), Some(1.5));
/// assert_eq!(digraph.weight(1, 0), None);
/// assert_eq!(digraph, DenseDigraph::from_fn(2, |from, _| if from == 0 { 1.5 } else { ABSENT })?);
/// # Ok::<(), mother::arborescence::ArborescenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DenseDigraph<T = f64> {
    size: usize,
    /// The weight of the edge `from -> to` at `to * size + from`; the diagonal is +∞.
    weights: Vec<T>,
    largest_magnitude: f64,
}

impl<T: Scalar> DenseDigraph<T> {
    /// Creates a digraph of `size` nodes. The weight of the edge `from -> to` is `weights[from * size + to]`.
    ///
    /// # Errors
    ///
    /// [`WeightCount`](ArborescenceError::WeightCount) if there are not `size * size` weights,
    /// [`NotANumber`](ArborescenceError::NotANumber) and
    /// [`NegativeInfinity`](ArborescenceError::NegativeInfinity) for a weight off the diagonal that
    /// is NaN or −∞.
    ///
    /// # Complexity
    ///
    /// O(n²) time, no extra space: the vector is transposed in place.
    pub fn new(size: usize, mut weights: Vec<T>) -> Result<Self, ArborescenceError> {
        if size.checked_mul(size) != Some(weights.len()) {
            return Err(ArborescenceError::WeightCount {
                size,
                weights: weights.len(),
            });
        }
        for node in 0..size {
            weights[node * size + node] = T::infinity();
        }
        let largest_magnitude = match largest_magnitude(&weights) {
            Ok(magnitude) => magnitude,
            Err(position) => {
                let (from, to) = (position / size, position % size);
                return Err(bad_weight(from, to, weights[position].widen()));
            }
        };
        transpose(&mut weights, size);
        Ok(Self {
            size,
            weights,
            largest_magnitude,
        })
    }

    /// Creates a digraph of `size` nodes. The weight of the edge `from -> to` is `weight(from, to)`.
    ///
    /// The function is called once for every ordered pair of different nodes, ordered by `to`,
    /// then `from`.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ArborescenceError::TooLarge) if there isn't enough memory for `size * size` weights,
    /// [`NotANumber`](ArborescenceError::NotANumber) and
    /// [`NegativeInfinity`](ArborescenceError::NegativeInfinity) for a weight that is NaN or −∞.
    ///
    /// # Complexity
    ///
    /// O(n²) time, no extra space.
    pub fn from_fn(
        size: usize,
        mut weight: impl FnMut(usize, usize) -> T,
    ) -> Result<Self, ArborescenceError> {
        let too_large = || ArborescenceError::TooLarge { size };
        let length = size.checked_mul(size).ok_or_else(too_large)?;
        let mut weights = Vec::new();
        weights.try_reserve_exact(length).map_err(|_| too_large())?;
        for to in 0..size {
            weights.extend((0..size).map(|from| {
                if from == to {
                    T::infinity()
                } else {
                    weight(from, to)
                }
            }));
        }
        match largest_magnitude(&weights) {
            Ok(largest_magnitude) => Ok(Self {
                size,
                weights,
                largest_magnitude,
            }),
            Err(position) => {
                let (to, from) = (position / size, position % size);
                Err(bad_weight(from, to, weights[position].widen()))
            }
        }
    }

    /// The number of nodes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The weight of the edge `from -> to`; `None` if there is no such edge or no such node.
    #[must_use]
    pub fn weight(&self, from: usize, to: usize) -> Option<T> {
        if from >= self.size || to >= self.size {
            return None;
        }
        let weight = self.entering(to)[from];
        weight.is_finite().then_some(weight)
    }

    /// All edges, in the order of `to`, then `from`, without absent ones.
    pub fn edges(&self) -> impl Iterator<Item = Edge<T>> + '_ {
        (0..self.size).flat_map(move |to| {
            let weights = self.entering(to).iter().enumerate();
            weights
                .filter(|(_, weight)| weight.is_finite())
                .map(move |(from, &weight)| Edge { from, to, weight })
        })
    }

    /// The weights of the edges into `to`, by the node they leave.
    pub(super) fn entering(&self, to: usize) -> &[T] {
        &self.weights[to * self.size..][..self.size]
    }

    pub(super) fn largest_magnitude(&self) -> f64 {
        self.largest_magnitude
    }
}

/// The error for a weight that is NaN or −∞.
pub(super) fn bad_weight(from: usize, to: usize, weight: f64) -> ArborescenceError {
    if weight.is_nan() {
        ArborescenceError::NotANumber { from, to }
    } else {
        ArborescenceError::NegativeInfinity { from, to }
    }
}

/// The largest magnitude of a finite weight, or the position of the first weight that is NaN or −∞.
fn largest_magnitude<T: Scalar>(weights: &[T]) -> Result<f64, usize> {
    /// Separate running maxima, so that the loop isn't one long dependency chain.
    const LANES: usize = 16;

    // False for NaN as well as for −∞.
    let usable = |weight: T| weight > T::neg_infinity();
    let finite = |weight: T| {
        if weight < T::infinity() {
            weight.abs()
        } else {
            T::zero()
        }
    };
    let mut largest = [T::zero(); LANES];
    let mut all_usable = true;
    for chunk in weights.chunks(LANES) {
        for (largest, &weight) in largest.iter_mut().zip(chunk) {
            all_usable &= usable(weight);
            let magnitude = finite(weight);
            *largest = if magnitude > *largest {
                magnitude
            } else {
                *largest
            };
        }
    }
    if !all_usable && let Some(position) = weights.iter().position(|&weight| !usable(weight)) {
        return Err(position);
    }
    Ok(largest.iter().fold(0.0, |a, b| a.max(b.widen())))
}

/// The side of the tiles that [`transpose`] swaps; two tiles fit in the first-level cache.
const TILE: usize = 16;

/// Transposes a square matrix in place, tile by tile.
fn transpose<T: Scalar>(matrix: &mut [T], size: usize) {
    for top in (0..size).step_by(TILE) {
        let bottom = size.min(top + TILE);
        for row in top..bottom {
            for column in row + 1..bottom {
                matrix.swap(row * size + column, column * size + row);
            }
        }
        for left in (bottom..size).step_by(TILE) {
            swap_tiles(matrix, size, top..bottom, left..size.min(left + TILE));
        }
    }
}

/// Swaps the tile of these rows and columns with its mirror image.
fn swap_tiles<T: Scalar>(
    matrix: &mut [T],
    size: usize,
    rows: core::ops::Range<usize>,
    columns: core::ops::Range<usize>,
) {
    // Each row of either tile is accessed once and in one go, so that the rows of a tile don't evict each
    // other from the cache when the size is a power of two.
    let mut tile = [[T::zero(); TILE]; TILE];
    for (line, row) in tile.iter_mut().zip(rows.clone()) {
        line[..columns.len()].copy_from_slice(&matrix[row * size..][columns.clone()]);
    }
    for (j, column) in columns.clone().enumerate() {
        let mirrored = &mut matrix[column * size..][rows.clone()];
        for (line, weight) in tile.iter_mut().zip(mirrored) {
            core::mem::swap(&mut line[j], weight);
        }
    }
    for (line, row) in tile.iter().zip(rows) {
        matrix[row * size..][columns.clone()].copy_from_slice(&line[..columns.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn transposing_swaps_every_pair_at_sizes_around_the_tile() {
        for size in [0, 1, 2, 15, 16, 17, 31, 32, 33, 50] {
            let mut matrix: Vec<f64> = (0..size * size).map(|i| i as f64).collect();
            transpose(&mut matrix, size);
            for row in 0..size {
                for column in 0..size {
                    assert_eq!(matrix[row * size + column], (column * size + row) as f64);
                }
            }
        }
    }

    #[test]
    fn both_constructors_agree_and_ignore_the_diagonal() {
        let size = 37;
        let mut weights: Vec<f32> = (0..size * size).map(|i| (i * 7 % 31) as f32).collect();
        for node in 0..size {
            weights[node * size + node] = f32::NAN;
        }
        let by_fn = DenseDigraph::from_fn(size, |from, to| weights[from * size + to]);
        assert_eq!(DenseDigraph::new(size, weights.clone()), by_fn);
        let digraph = by_fn.unwrap();
        assert_eq!(digraph.weight(3, 9), Some(weights[3 * size + 9]));
        assert_eq!(digraph.weight(3, 3), None);
        assert_eq!(digraph.weight(3, size), None);
        assert_eq!(digraph.edges().count(), size * (size - 1));
    }

    #[test]
    fn faults_are_named() {
        use ArborescenceError as E;
        assert_eq!(
            DenseDigraph::new(2, vec![0.0; 3]),
            Err(E::WeightCount {
                size: 2,
                weights: 3
            })
        );
        assert_eq!(
            DenseDigraph::<f64>::new(usize::MAX, vec![]),
            Err(E::WeightCount {
                size: usize::MAX,
                weights: 0
            })
        );
        for size in [usize::MAX, 1 << 31] {
            assert_eq!(
                DenseDigraph::from_fn(size, |_, _| 0.0),
                Err(E::TooLarge { size })
            );
        }
        let with = |weight: f64| {
            let mut weights = vec![1.0; 9];
            weights[5] = weight;
            weights[7] = weight;
            weights
        };
        assert_eq!(
            DenseDigraph::new(3, with(f64::NAN)),
            Err(E::NotANumber { from: 1, to: 2 })
        );
        assert_eq!(
            DenseDigraph::from_fn(3, |from, to| with(f64::NEG_INFINITY)[from * 3 + to]),
            Err(E::NegativeInfinity { from: 2, to: 1 })
        );
        assert!(DenseDigraph::new(3, with(f64::INFINITY)).is_ok());
    }

    #[test]
    fn the_largest_magnitude_leaves_absent_edges_out() {
        assert_eq!(largest_magnitude(&[1.0, -7.0, f64::INFINITY]), Ok(7.0));
        assert_eq!(largest_magnitude::<f32>(&[]), Ok(0.0));
    }
}
