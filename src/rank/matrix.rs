//! A dense matrix borrowed from a slice.

use super::RankError;
use crate::Scalar;

/// A dense matrix in a borrowed slice, row after row.
///
/// The shape is checked when the view is created; the values aren't.
///
/// # Examples
///
/// ```
/// use mother::rank::{MatrixView, RankError};
///
/// let values = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let matrix = MatrixView::new(&values, 2, 3)?;
/// assert_eq!((matrix.rows(), matrix.columns()), (2, 3));
/// assert!(matches!(MatrixView::new(&values, 4, 2), Err(RankError::Shape { .. })));
/// # Ok::<(), RankError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatrixView<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
}

impl<'a, T: Scalar> MatrixView<'a, T> {
    /// Views `values` as a matrix of `rows` rows, each of `columns` values.
    ///
    /// A matrix may be empty, with no rows, no columns, or neither.
    ///
    /// # Errors
    ///
    /// [`RankError::Shape`] if rows times columns isn't the number of values.
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Result<Self, RankError> {
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(RankError::Shape {
                values: values.len(),
                rows,
                columns,
            });
        }
        Ok(Self {
            values,
            rows,
            columns,
        })
    }

    /// The values, row after row.
    #[must_use]
    pub fn values(self) -> &'a [T] {
        self.values
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub fn columns(self) -> usize {
        self.columns
    }
}
