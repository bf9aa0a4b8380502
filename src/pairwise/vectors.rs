//! Vectors that were found fit to be compared.

use core::ops::Range;

use alloc::vec::Vec;

use super::PairwiseError;
use super::range::{Contents, contents};
use super::tile::Job;
use crate::Scalar;
use crate::scalar::ScalarSlice;

/// Vectors of one length and of finite values, ready to be compared.
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

impl<'a> VectorSet<'a> {
    /// todo
    ///
    /// # Errors
    ///
    /// todo
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

    /// todo
    ///
    /// # Errors
    ///
    /// todo
    pub fn add_squared_distances(&self, condensed: &mut [f64]) -> Result<(), PairwiseError> {
        self.add_squared_distances_of(0..self.count(), condensed)
    }

    /// todo
    ///
    /// # Errors
    ///
    /// todo
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
fn pairs_before(vectors: usize, row: usize) -> u128 {
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

#[cfg(feature = "std")]
use super::simd::dispatch as run;

#[cfg(not(feature = "std"))]
fn run<T: Scalar>(mut job: Job<'_, T>) {
    let rows = job.rows.clone();
    job.run::<_, 8, 4>(super::tile::Arrays, rows);
}
