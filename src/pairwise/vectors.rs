//! Vectors that have been checked and are ready to be compared.

use core::ops::Range;

use alloc::vec::Vec;

use super::PairwiseError;
use super::range::{Contents, contents};
#[cfg(feature = "simd")]
use super::simd::dispatch as run;
use super::tile::Job;
use crate::Scalar;
use crate::scalar::ScalarSlice;

/// Finite vectors of equal length, ready to be compared.
///
/// The requirements of all comparisons are checked only once. The pairs can then be split between threads,
/// and the sums of several pieces of the vectors added up. The [module](super) describes the guarantees.
///
/// # Examples
///
/// Long vectors in pieces, with the pairs of each piece computed on one thread per block of rows:
///
/// ```
/// use mother::pairwise::{VectorSet, squared_distances};
///
/// let vectors: Vec<Vec<f32>> = (0..40_u8)
///     .map(|i| (0..5000_u16).map(|k| f32::from(k % 97) * f32::from(i)).collect())
///     .collect();
/// let mut pieces = vec![0.0; 40 * 39 / 2];
/// for start in (0..5000).step_by(2 * VectorSet::SECTION) {
///     let end = 5000.min(start + 2 * VectorSet::SECTION);
///     let set = VectorSet::new(vectors.iter().map(|vector| &vector[start..end]))?;
///     let blocks = set.row_blocks(&mut pieces)?;
///     std::thread::scope(|scope| {
///         let set = &set;
///         let threads: Vec<_> = blocks
///             .into_iter()
///             .map(|(rows, output)| scope.spawn(|| set.add_squared_distances_of(rows, output)))
///             .collect();
///         threads.into_iter().try_for_each(|thread| thread.join().unwrap())
///     })?;
/// }
///
/// let whole: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
/// let mut at_once = vec![0.0; 40 * 39 / 2];
/// squared_distances(&whole, &mut at_once)?;
/// assert_eq!(pieces, at_once);
/// # Ok::<(), mother::pairwise::PairwiseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct VectorSet<'a> {
    vectors: Vectors<'a>,
    tiny: Vec<bool>,
}

#[derive(Clone, Debug)]
enum Vectors<'a> {
    Single(Vec<&'a [f32]>),
    Double(Vec<&'a [f64]>),
}

/// A range of rows, and the part of a condensed matrix that belongs to them.
pub type RowBlock<'c> = (Range<usize>, &'c mut [f64]);

/// The number of rows in one part of the work, at least as many as in any panel.
const BLOCK_ROWS: usize = 16;

impl<'a> VectorSet<'a> {
    /// The number of elements in a section. If vectors are compared in pieces whose lengths are multiples of
    /// this (the last piece may have any length), the sums have the same bits as those of the whole vectors.
    pub const SECTION: usize = super::tile::SECTION;

    /// Creates a set of vectors, in the order given; it may be empty.
    ///
    /// # Errors
    ///
    /// [`PairwiseError::Length`] and [`PairwiseError::NotFinite`] with the first vector at fault.
    ///
    /// # Complexity
    ///
    /// Reads every value once.
    pub fn new<T: Scalar>(
        vectors: impl IntoIterator<Item = &'a [T]>,
    ) -> Result<Self, PairwiseError> {
        let (mut singles, mut doubles) = (Vec::new(), Vec::new());
        let mut tiny = Vec::new();
        let mut expected = None;
        for (index, values) in vectors.into_iter().enumerate() {
            let expected = *expected.get_or_insert(values.len());
            if values.len() != expected {
                return Err(PairwiseError::Length {
                    vector: index,
                    length: values.len(),
                    expected,
                });
            }
            let slice = T::scalar_slice(values);
            tiny.push(match contents(slice) {
                Contents::Usual => false,
                Contents::Tiny => true,
                Contents::NotFinite => return Err(not_finite(index, values)),
            });
            match slice {
                ScalarSlice::Single(values) => singles.push(values),
                ScalarSlice::Double(values) => doubles.push(values),
            }
        }
        let vectors = if doubles.is_empty() {
            Vectors::Single(singles)
        } else {
            Vectors::Double(doubles)
        };
        Ok(Self { vectors, tiny })
    }

    /// The number of vectors.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.tiny.len()
    }

    /// The number of elements of each vector; 0 if there are no vectors.
    #[must_use]
    pub fn dimension(&self) -> usize {
        match &self.vectors {
            Vectors::Single(vectors) => vectors.first().map_or(0, |vector| vector.len()),
            Vectors::Double(vectors) => vectors.first().map_or(0, |vector| vector.len()),
        }
    }

    /// Adds the squared distances of all pairs to `condensed`, which is in the order of
    /// [`CondensedMatrix`](crate::condensed::CondensedMatrix): (0, 1), (0, 2), …, (1, 2), ….
    ///
    /// # Errors
    ///
    /// [`PairwiseError::Output`] if `condensed` doesn't have one element per pair; then nothing is added.
    ///
    /// # Complexity
    ///
    /// O(n² d) for n vectors of d elements; less than 100 kB of extra memory.
    pub fn add_squared_distances(&self, condensed: &mut [f64]) -> Result<(), PairwiseError> {
        self.add_squared_distances_of(0..self.count(), condensed)
    }

    /// Adds the squared distances of the pairs (i, j) with i in `rows` and j > i to `output`, the
    /// part of the condensed order that belongs to these rows.
    ///
    /// # Errors
    ///
    /// [`PairwiseError::Rows`] if there are no such rows, [`PairwiseError::Output`] if `output` doesn't have
    /// one element per pair; then nothing is added.
    ///
    /// # Complexity
    ///
    /// The same as for [`add_squared_distances`](Self::add_squared_distances). Each range reads all vectors
    /// after its start, so ranges of fewer than 16 rows are wasteful.
    pub fn add_squared_distances_of(
        &self,
        rows: Range<usize>,
        output: &mut [f64],
    ) -> Result<(), PairwiseError> {
        self.check_output(&rows, output)?;
        match &self.vectors {
            Vectors::Single(vectors) => run(Job {
                vectors,
                tiny: &self.tiny,
                rows,
                output,
            }),
            Vectors::Double(vectors) => run(Job {
                vectors,
                tiny: &self.tiny,
                rows,
                output,
            }),
        }
        Ok(())
    }

    /// Splits `condensed` into parts of 16 rows each for
    /// [`add_squared_distances_of`](Self::add_squared_distances_of), which can be computed in any order or in
    /// parallel. The first parts have the most pairs, so threads are best kept busy by taking the next part
    /// whenever they finish one (rayon's `par_bridge`, not `into_par_iter`, which gives one thread the first
    /// half).
    ///
    /// # Errors
    ///
    /// [`PairwiseError::Output`] if `condensed` doesn't have one element per pair.
    pub fn row_blocks<'c>(
        &self,
        condensed: &'c mut [f64],
    ) -> Result<Vec<RowBlock<'c>>, PairwiseError> {
        let count = self.count();
        self.check_output(&(0..count), condensed)?;
        let mut blocks = Vec::with_capacity(count.div_ceil(BLOCK_ROWS));
        let mut rest = condensed;
        for start in (0..count).step_by(BLOCK_ROWS) {
            let rows = start..count.min(start + BLOCK_ROWS);
            let pairs = rows.clone().map(|row| count - row - 1).sum();
            let (block, others) = rest.split_at_mut(pairs);
            blocks.push((rows, block));
            rest = others;
        }
        Ok(blocks)
    }

    pub(super) fn check_output(
        &self,
        rows: &Range<usize>,
        output: &[f64],
    ) -> Result<(), PairwiseError> {
        let vectors = self.count();
        if rows.start > rows.end || rows.end > vectors {
            return Err(PairwiseError::Rows {
                start: rows.start,
                end: rows.end,
                vectors,
            });
        }
        let pairs = pairs_before(vectors, rows.end) - pairs_before(vectors, rows.start);
        if pairs == output.len() as u128 {
            Ok(())
        } else {
            Err(PairwiseError::Output {
                pairs,
                length: output.len(),
            })
        }
    }
}

/// The number of pairs whose first vector comes before `row`, which is at most `vectors`.
pub(super) fn pairs_before(vectors: usize, row: usize) -> u128 {
    let (vectors, row) = (vectors as u128, row as u128);
    row * (2 * vectors - row).saturating_sub(1) / 2
}

#[cold]
fn not_finite<T: Scalar>(vector: usize, values: &[T]) -> PairwiseError {
    let position = values.iter().take_while(|value| value.is_finite()).count();
    PairwiseError::NotFinite {
        vector,
        position,
        value: values.get(position).map_or(f64::NAN, |value| value.widen()),
    }
}

#[cfg(not(feature = "simd"))]
fn run<T: super::square::Square>(mut job: Job<'_, T>) {
    job.run::<_, 8, 4>(super::tile::Arrays);
}
