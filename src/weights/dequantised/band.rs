//! The words of neighbouring outputs. If a word is a few bytes of a long line, words for more outputs than
//! requested are read and kept.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::words::bits;
use crate::weights::Layer;

/// How many words of a layer are kept, unless a line has more.
#[cfg(feature = "std")]
const KEPT: usize = 1 << 20;

/// How many lines are put in place together.
const STRIP: usize = 16;

/// Words of some lines and columns of a matrix of words.
#[derive(Clone, Debug)]
pub(super) struct Band {
    lines: Range<usize>,
    columns: Range<usize>,
    /// Column by column.
    words: Vec<u32>,
}

/// A matrix of words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a, L> {
    pub(super) words: &'a L,
    #[cfg_attr(
        not(feature = "std"),
        expect(dead_code, reason = "nothing is kept without locks")
    )]
    pub(super) lines: usize,
    pub(super) columns: usize,
}

/// The most recently read words of a layer.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    #[cfg(feature = "std")]
    band: std::sync::Mutex<Option<Band>>,
}

impl Band {
    fn read<L: Layer>(
        matrix: Matrix<'_, L>,
        lines: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Self, L::Error> {
        let mut words = vec![0; lines.len() * columns.len()];
        let mut strip = vec![0.0; STRIP * columns.len()];
        for (first, start) in lines.clone().enumerate().step_by(STRIP) {
            let count = STRIP.min(lines.end - start);
            for (line, read) in (start..start + count).zip(strip.chunks_mut(columns.len().max(1))) {
                matrix
                    .words
                    .read(line * matrix.columns + columns.start, read)?;
            }
            // Several lines are turned together, so that writes are close together, too.
            for (column, words) in words.chunks_mut(lines.len().max(1)).enumerate() {
                let values = strip[column..].iter().step_by(columns.len());
                for (word, &value) in words[first..first + count].iter_mut().zip(values) {
                    *word = bits(value);
                }
            }
        }
        Ok(Self {
            lines,
            columns,
            words,
        })
    }

    /// The words of a column within the band.
    pub(super) fn column(&self, column: usize) -> &[u32] {
        let start = (column - self.columns.start) * self.lines.len();
        &self.words[start..start + self.lines.len()]
    }

    #[cfg(feature = "std")]
    const fn has(&self, lines: &Range<usize>, columns: &Range<usize>) -> bool {
        self.lines.start <= lines.start
            && lines.end <= self.lines.end
            && self.columns.start <= columns.start
            && columns.end <= self.columns.end
    }
}

impl Ahead {
    /// Calls `take` with a band that contains these lines and columns.
    pub(super) fn with<L: Layer>(
        &self,
        matrix: Matrix<'_, L>,
        lines: Range<usize>,
        columns: Range<usize>,
        take: impl FnOnce(&Band),
    ) -> Result<(), L::Error> {
        #[cfg(feature = "std")]
        if lines.len() == matrix.lines {
            let kept = self.band.lock();
            let mut kept = kept.unwrap_or_else(std::sync::PoisonError::into_inner);
            let band = match kept.take().filter(|band| band.has(&lines, &columns)) {
                Some(band) => band,
                None => {
                    let wide = columns.start.saturating_add(KEPT / lines.len().max(1));
                    let end = wide.min(matrix.columns).max(columns.end);
                    Band::read(matrix, lines, columns.start..end)?
                }
            };
            take(&band);
            *kept = Some(band);
            return Ok(());
        }
        take(&Band::read(matrix, lines, columns)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{InMemoryModel, WeightSource};

    #[test]
    fn bands_have_the_words_that_are_asked_for() {
        let words: Vec<f64> = (0..60).map(f64::from).collect();
        let model = InMemoryModel::new("m").with_layer("w", [5, 12], words);
        let model = model.unwrap();
        let words = &model.layers().next().unwrap().unwrap();
        let matrix = Matrix {
            words,
            lines: 5,
            columns: 12,
        };
        let ahead = Ahead::default();
        for (lines, columns) in [(0..5, 3..4), (0..5, 7..12), (0..5, 0..2), (2..4, 5..9)] {
            let check = |band: &Band| {
                for line in lines.clone() {
                    for column in columns.clone() {
                        let word = band.column(column)[line - band.lines.start];
                        assert_eq!(word, (line * 12 + column) as u32);
                    }
                }
            };
            let read = ahead.with(matrix, lines.clone(), columns.clone(), check);
            assert!(read.is_ok());
        }
    }
}
