//! The condensed matrix: the distances between all pairs of points, each stored once.

use alloc::vec::Vec;

use crate::Scalar;

/// A symmetric matrix with a zero diagonal, stored as its strict upper triangle, row by row: the
/// order of SciPy's `pdist`.
///
/// Values may be negative or infinite, but not NaN. Functions that can't use negative or infinite values say
/// so.
///
/// # Examples
///
/// ```
/// use mother::condensed::CondensedMatrix;
///
/// let distances = CondensedMatrix::new(3, vec![1.0, 2.0, 3.0])?;
/// assert_eq!(distances.distance(2, 1), Some(3.0));
/// assert_eq!(distances.distance(1, 1), Some(0.0));
/// assert_eq!(distances.distance(0, 3), None);
/// # Ok::<(), mother::condensed::CondensedError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(
        try_from = "Unchecked<T>",
        bound(deserialize = "T: Scalar + serde::Deserialize<'de>")
    )
)]
pub struct CondensedMatrix<T = f64> {
    size: usize,
    values: Vec<T>,
}

/// A matrix as it was stored, not yet checked.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Unchecked<T> {
    size: usize,
    values: Vec<T>,
}

#[cfg(feature = "serde")]
impl<T: Scalar> TryFrom<Unchecked<T>> for CondensedMatrix<T> {
    type Error = CondensedError;

    fn try_from(unchecked: Unchecked<T>) -> Result<Self, CondensedError> {
        Self::new(unchecked.size, unchecked.values)
    }
}

impl<T: Scalar> CondensedMatrix<T> {
    /// Creates a matrix of `size` points from the values of its strict upper triangle, row by row.
    ///
    /// # Errors
    ///
    /// [`CondensedError::Length`] if there aren't exactly `size * (size - 1) / 2` values,
    /// [`CondensedError::NotANumber`] with the first pair whose value is NaN.
    pub fn new(size: usize, values: Vec<T>) -> Result<Self, CondensedError> {
        let expected = (size as u128) * (size as u128).saturating_sub(1) / 2;
        if expected != values.len() as u128 {
            return Err(CondensedError::Length {
                size,
                values: values.len(),
            });
        }
        let matrix = Self { size, values };
        let not_a_number = matrix.pairs().find(|(_, _, value)| value.is_nan());
        if let Some((row, column, _)) = not_a_number {
            return Err(CondensedError::NotANumber { row, column });
        }
        Ok(matrix)
    }

    /// Creates a matrix of `size` points from the value of `distance(i, j)` for every i < j.
    ///
    /// # Errors
    ///
    /// [`CondensedError::NotANumber`] with the first pair whose value is NaN.
    pub fn from_fn(
        size: usize,
        mut distance: impl FnMut(usize, usize) -> T,
    ) -> Result<Self, CondensedError> {
        let mut values = Vec::new();
        for row in 0..size {
            for column in row + 1..size {
                values.push(distance(row, column));
            }
        }
        Self::new(size, values)
    }

    /// The number of points.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The values of the strict upper triangle, row by row.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The values of the strict upper triangle, row by row.
    #[must_use]
    pub fn into_values(self) -> Vec<T> {
        self.values
    }

    /// The distance between two points, in either order. Zero from a point to itself; `None` if a point
    /// doesn't exist.
    #[must_use]
    pub fn distance(&self, first: usize, second: usize) -> Option<T> {
        if first.max(second) >= self.size {
            None
        } else if first == second {
            Some(T::zero())
        } else {
            self.values
                .get(condensed_index(self.size, first, second))
                .copied()
        }
    }

    /// Every pair i < j and its value, row by row.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize, T)> + '_ {
        pairs_of(self.size)
            .zip(&self.values)
            .map(|((row, column), &value)| (row, column, value))
    }

    /// The matrix of the chosen points, in the order chosen; `None` if a point doesn't exist.
    ///
    /// A point chosen twice has distance zero from itself.
    #[must_use]
    pub fn select(&self, points: &[usize]) -> Option<Self> {
        let mut values = Vec::new();
        for (position, &first) in points.iter().enumerate() {
            for &second in points.get(position + 1..).unwrap_or_default() {
                values.push(self.distance(first, second)?);
            }
        }
        points
            .iter()
            .all(|&point| point < self.size)
            .then_some(Self {
                size: points.len(),
                values,
            })
    }
}

/// Every pair i < j of this many points, in condensed order.
pub(crate) fn pairs_of(points: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..points).flat_map(move |first| (first + 1..points).map(move |second| (first, second)))
}

/// The position of the pair in condensed order. The points must differ and exist.
pub(crate) const fn condensed_index(size: usize, first: usize, second: usize) -> usize {
    let (row, column) = if first < second {
        (first, second)
    } else {
        (second, first)
    };
    row * (2 * size - row - 1) / 2 + column - row - 1
}

crate::errors::errors! {
    /// Why values don't form a condensed matrix.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum CondensedError {
        /// The number of values doesn't match the number of pairs.
        Length {
            /// The number of points.
            size: usize,
            /// The number of values.
            values: usize,
        } => "{values} values do not match the pairs of {size} points",
        /// The value for a pair is NaN.
        NotANumber {
            /// The pair's first point.
            row: usize,
            /// The pair's second point.
            column: usize,
        } => "the distance between points {row} and {column} is NaN",
    }
}
