//! Single values of a matrix, so that two matrices can be compared value by value.

use alloc::vec::Vec;

use super::{RowGroups, SketchKey};
use crate::Scalar;

/// How many values are kept from each group of rows.
const VALUES: usize = 2;

impl RowGroups {
    /// The positions of up to two values in each group, ascending.
    ///
    /// Value i of group g is at `signs(g, i)` modulo the number of values of a whole group, with the `signs` of the
    /// [hash](crate::sketch#hash). Positions beyond the end of the matrix are left out, and equal ones are counted once.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::sketch::{RowGroups, SketchKey};
    ///
    /// let groups = RowGroups::new(100 * 8, 8)?;
    /// let positions = groups.sampled_positions(SketchKey::PUBLIC);
    /// assert_eq!(positions.len(), 2 * groups.count());
    /// # Ok::<(), mother::sketch::SketchError>(())
    /// ```
    #[must_use]
    pub fn sampled_positions(&self, key: SketchKey) -> Vec<usize> {
        let size = self.height().saturating_mul(self.width()) as u64;
        let of_group = |group: usize| {
            let hash = key.row(group);
            let start = self.values(group).start;
            (0..VALUES).map(move |i| start.saturating_add((hash.signs(i) % size) as usize))
        };
        let positions = (0..self.count()).flat_map(of_group);
        let mut positions: Vec<usize> = positions.filter(|&at| at < self.length()).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

/// Collects the sampled values of a matrix, whose values are added in pieces.
#[derive(Clone, Debug)]
pub(crate) struct ValueSampler {
    positions: Vec<usize>,
    position: usize,
    values: Vec<f32>,
}

impl ValueSampler {
    pub(crate) fn new(groups: RowGroups, key: SketchKey) -> Self {
        Self {
            positions: groups.sampled_positions(key),
            position: 0,
            values: Vec::new(),
        }
    }

    pub(crate) fn extend<T: Scalar>(&mut self, values: &[T]) {
        let begin = self.position;
        self.position += values.len();
        let later = &self.positions[self.values.len()..];
        let now = later.iter().take_while(|&&at| at < self.position);
        self.values.extend(now.map(|&at| {
            let single = values[at - begin].widen() as f32;
            single.clamp(f32::MIN, f32::MAX)
        }));
    }

    pub(crate) fn finish(self) -> Vec<f32> {
        self.values
    }
}
