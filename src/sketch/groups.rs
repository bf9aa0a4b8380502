//! How a matrix is split into groups of rows.

use core::ops::Range;

use super::SketchError;

/// The least number of groups of a matrix, if it has enough rows.
const LEAST_GROUPS: usize = 16;

/// The groups of rows of a matrix. The last row may be incomplete, as in a vector arranged in rows.
///
/// # Examples
///
/// ```
/// use mother::sketch::RowGroups;
///
/// let groups = RowGroups::new(100 * 8, 8)?;
/// assert_eq!((groups.rows(), groups.height(), groups.count()), (100, 4, 25));
/// assert_eq!(groups.values(24), 96 * 8..100 * 8);
/// # Ok::<(), mother::sketch::SketchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowGroups {
    length: usize,
    width: usize,
    height: usize,
}

impl RowGroups {
    /// The largest number of groups of any matrix.
    pub const MAXIMUM: usize = 2 * LEAST_GROUPS;

    /// Divides a matrix of `length` values, in rows of `width`, into groups.
    ///
    /// # Errors
    ///
    /// [`SketchError::Width`] if rows have no values.
    pub const fn new(length: usize, width: usize) -> Result<Self, SketchError> {
        if width == 0 {
            return Err(SketchError::Width);
        }
        let most = length.div_ceil(width) / LEAST_GROUPS;
        let height = match most {
            0 => 1,
            most => 1 << most.ilog2(),
        };
        Ok(Self {
            length,
            width,
            height,
        })
    }

    /// The number of values.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The number of values in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The number of rows, including an incomplete one at the end.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.length.div_ceil(self.width)
    }

    /// The number of rows in a group; the last group may have fewer.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// The number of groups.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.rows().div_ceil(self.height)
    }

    /// The flat indices of a group's values; empty beyond the last group.
    #[must_use]
    pub fn values(&self, group: usize) -> Range<usize> {
        let size = self.height.saturating_mul(self.width);
        let begin = group.saturating_mul(size);
        let end = begin.saturating_add(size);
        begin.min(self.length)..end.min(self.length)
    }
}
