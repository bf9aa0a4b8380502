//! How much rounding to a few levels moved the values of a tensor, if it was rounded.

use alloc::vec::Vec;

use super::PrecisionProfile;
use super::grid::{Fit, Levels, Precision};
use crate::Scalar;
use crate::sketch::RowGroups;

/// The numbers of rows and columns of a tile.
const ROWS: usize = 16;
const COLUMNS: usize = 64;

/// The largest number of tiles examined.
const TILES: usize = 16;

/// Tensors with fewer values are too small to decide.
const LEAST: usize = 1024;

/// Groups of values that share a scale: this many neighbours in a row or in a column.
#[derive(Clone, Copy)]
enum Window {
    Row(usize),
    Column,
}

/// Possible kinds of rounding, larger groups first.
const KINDS: [(Window, &[Levels]); 8] = [
    (Window::Row(64), &COMMON),
    (Window::Row(32), &COMMON),
    (Window::Row(16), &COMMON),
    (Window::Row(64), &[Levels::Few]),
    (Window::Row(32), &[Levels::Few]),
    (Window::Column, &COMMON),
    (
        Window::Row(8),
        &[Levels::Even, Levels::Floats(3), Levels::Floats(4)],
    ),
    (
        Window::Row(4),
        &[Levels::Symmetric(7), Levels::Symmetric(127)],
    ),
];

const COMMON: [Levels; 5] = [
    Levels::Even,
    Levels::Symmetric(127),
    Levels::Floats(2),
    Levels::Floats(3),
    Levels::Floats(4),
];

/// Keeps some tiles of a matrix, whose values are added in pieces.
#[derive(Clone, Debug)]
pub(super) struct RoundingSampler {
    /// Flat indices of parts of rows, in order.
    segments: Vec<Segment>,
    /// The first incomplete segment.
    next: usize,
    position: usize,
    /// The values of all segments, concatenated.
    values: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Segment {
    start: usize,
    end: usize,
    tile: usize,
}

impl RoundingSampler {
    pub(super) fn new(groups: RowGroups) -> Self {
        let mut segments = Vec::new();
        if groups.length() >= LEAST {
            let (rows, width) = (groups.rows(), groups.width());
            // A narrower tile at the end of the rows would show less of the rows that it is taken from.
            let (down, across) = (rows.div_ceil(ROWS), (width / COLUMNS).max(1));
            let place = |tile: usize| (spread(tile, down), spread(tile, across));
            let mut tiles: Vec<(usize, usize)> = (0..TILES).map(place).collect();
            tiles.dedup();
            for (tile, (row, column)) in tiles.into_iter().enumerate() {
                let rows = row * ROWS..rows.min((row + 1) * ROWS);
                segments.extend(rows.map(|row| Segment {
                    start: row * width + column * COLUMNS,
                    end: (row * width + width.min((column + 1) * COLUMNS)).min(groups.length()),
                    tile,
                }));
            }
            segments.sort_unstable();
        }
        Self {
            segments,
            next: 0,
            position: 0,
            values: Vec::new(),
        }
    }

    pub(super) fn extend<T: Scalar>(&mut self, values: &[T]) {
        let end = self.position + values.len();
        while let Some(segment) = self.segments.get(self.next) {
            let (first, last) = (segment.start.max(self.position), segment.end.min(end));
            if first < last {
                let values = &values[first - self.position..last - self.position];
                let single = |value: &T| value.widen() as f32;
                self.values.extend(values.iter().map(single));
            }
            if segment.end > end {
                break;
            }
            self.next += 1;
        }
        self.position = end;
    }

    /// The mean squared change from rounding.
    pub(super) fn finish(self, profile: &PrecisionProfile) -> Option<f64> {
        let precision = precision(profile);
        let tiles = self.tiles();
        let moved = |&(window, kinds): &(Window, &[Levels])| {
            let moved = |levels, every| {
                let windows = tiles.iter().flat_map(|tile| windows(tile, window, every));
                moved(levels, windows, precision)
            };
            let found = (kinds.iter()).filter_map(|&levels| {
                // Some rows show whether values were rounded; how far depends on the scale of each.
                let sample = moved(levels, 4)?;
                Some(moved(levels, 1).unwrap_or(sample))
            });
            // Values that fit several kinds of levels were rounded to the coarsest.
            found.reduce(f64::max)
        };
        KINDS.iter().find_map(moved)
    }

    /// The rows of each tile.
    fn tiles(&self) -> Vec<Vec<&[f32]>> {
        let count = self.segments.iter().map(|segment| segment.tile + 1).max();
        let mut tiles = alloc::vec![Vec::new(); count.unwrap_or(0)];
        let mut rest = &self.values[..];
        for segment in &self.segments {
            let length = segment.end.saturating_sub(segment.start).min(rest.len());
            let (row, later) = rest.split_at(length);
            tiles[segment.tile].push(row);
            rest = later;
        }
        tiles
    }
}

/// The position of one of [`TILES`] tiles spread evenly over this many places.
const fn spread(tile: usize, places: usize) -> usize {
    // Avoids overflow, as there may be many places.
    places / TILES * tile + places % TILES * tile / TILES
}

fn precision(profile: &PrecisionProfile) -> Precision {
    // Twice half a unit in the last place, because scales and products are also rounded.
    let (relative, absolute) = if profile.fits_bf16() {
        (1.0 / 256.0, 0.0)
    } else if profile.fits_f16() {
        (1.0 / 2048.0, 1.0 / (1 << 24) as f64)
    } else {
        (1.0 / (1 << 22) as f64, 0.0)
    };
    Precision { relative, absolute }
}

/// The groups of a tile's values that may have their own scale. If they are parts of rows, only one row in `every` is
/// taken.
fn windows<'a>(
    tile: &'a [&'a [f32]],
    window: Window,
    every: usize,
) -> impl Iterator<Item = Vec<f64>> + 'a {
    let widened = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<f64>>();
    let (row_length, columns) = match window {
        Window::Row(length) => (Some(length), 0),
        Window::Column if tile.len() == ROWS => {
            (None, tile.iter().map(|row| row.len()).min().unwrap_or(0))
        }
        Window::Column => (None, 0),
    };
    let rows = row_length.into_iter().flat_map(move |length| {
        let rows = tile.iter().step_by(every);
        rows.flat_map(move |row| row.chunks_exact(length))
            .map(widened)
    });
    let column = |at: usize| tile.iter().map(move |row| f64::from(row[at])).collect();
    rows.chain((0..columns).map(column))
}

/// The mean squared change from rounding to these levels, if the groups agree that it happened.
fn moved(
    levels: Levels,
    windows: impl Iterator<Item = Vec<f64>>,
    precision: Precision,
) -> Option<f64> {
    /// Log-probabilities below which a single group counts as evidence, and all groups together as proof.
    const TELLING: f64 = -7.0;
    const CERTAIN: f64 = -40.0;
    /// If most of this many groups show nothing, the others won't either.
    const ENOUGH: usize = 8;
    let (mut log_chance, mut moved) = (0.0, 0.0);
    let (mut telling, mut all) = (0, 0);
    for window in windows {
        let fit: Fit = levels.fit(&window, precision)?;
        if fit.log_chance < TELLING {
            log_chance += fit.log_chance;
            moved += fit.moved;
            telling += window.len();
        }
        // Equal values are not informative.
        if fit.moved > 0.0 {
            all += window.len();
        }
        if all >= ENOUGH * window.len() && 2 * telling < all {
            return None;
        }
    }
    let mean = moved / telling.max(1) as f64;
    let is_certain = log_chance < CERTAIN && 2 * telling >= all;
    (is_certain && mean > 0.0 && mean.is_finite()).then_some(mean)
}
