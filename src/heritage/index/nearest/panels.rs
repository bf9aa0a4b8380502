//! Summaries side by side, and their distances from another one.

use alloc::vec::Vec;

use super::super::summary::{NUMBERS, Summary};
use super::Scale;

/// How many summaries are compared at once.
pub(super) const LANES: usize = 16;

/// How many numbers are compared before checking whether the distance is already too large.
const STRIDE: usize = 16;

/// Summaries side by side, one number at a time.
#[derive(Default)]
pub(super) struct Panels {
    pub(super) models: Vec<usize>,
    numbers: Vec<[f32; LANES]>,
}

impl Panels {
    pub(super) fn new<'a>(
        summaries: impl ExactSizeIterator<Item = (usize, &'a Summary)>,
        scale: Scale,
    ) -> Self {
        let mut panels = Self {
            models: Vec::with_capacity(summaries.len()),
            numbers: Vec::with_capacity(summaries.len().div_ceil(LANES) * NUMBERS),
        };
        for (model, summary) in summaries {
            panels.push(model, &summary.scaled(scale.exponent));
        }
        panels
    }

    pub(super) fn push(&mut self, model: usize, numbers: &[f32; NUMBERS]) {
        let (panel, lane) = (self.models.len() / LANES, self.models.len() % LANES);
        // Missing summaries are infinitely far away.
        self.numbers
            .resize((panel + 1) * NUMBERS, [f32::INFINITY; LANES]);
        for (lanes, &number) in self.numbers[panel * NUMBERS..].iter_mut().zip(numbers) {
            lanes[lane] = number;
        }
        self.models.push(model);
    }

    pub(super) fn count(&self) -> usize {
        self.models.len().div_ceil(LANES)
    }

    pub(super) fn panel(&self, panel: usize) -> &[[f32; LANES]] {
        &self.numbers[panel * NUMBERS..(panel + 1) * NUMBERS]
    }
}

/// The squared distances to the models of a panel; `None` as soon as all exceed `worst`.
#[inline(always)]
pub(super) fn distances(
    query: &[f32; NUMBERS],
    panel: &[[f32; LANES]],
    worst: f32,
) -> Option<[f32; LANES]> {
    let mut sums = [0.0_f32; LANES];
    for (query, rows) in query.chunks_exact(STRIDE).zip(panel.chunks_exact(STRIDE)) {
        for (number, row) in query.iter().zip(rows) {
            for (sum, other) in sums.iter_mut().zip(row) {
                let difference = number - other;
                *sum += difference * difference;
            }
        }
        if (sums.iter()).fold(f32::INFINITY, |least, &sum| least.min(sum)) > worst {
            return None;
        }
    }
    Some(sums)
}
