//! Detects whether a group of values was rounded together, and how finely.

use alloc::vec::Vec;

use num_traits::Float;

/// The most levels that a group of values can have.
const LEVELS: u32 = 256;

/// How far a number may be off because of its stored type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Precision {
    /// As a share of the number.
    pub(super) relative: f64,
    /// In addition to that share.
    pub(super) absolute: f64,
}

/// How well a kind of rounding explains some values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fit {
    /// The logarithm of the probability that values which weren't rounded look rounded; 0 if there are too
    /// few values to decide.
    pub(super) log_chance: f64,
    /// The total squared change from rounding, if values were spread evenly between levels.
    pub(super) moved: f64,
}

/// Kinds of levels to which values are rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Levels {
    /// At most 256, evenly spaced.
    Even,
    /// Evenly spaced, with this many steps from zero to the largest magnitude, which is kept exactly.
    Symmetric(u32),
    /// Floats with this many significant bits, times some scale.
    Floats(u32),
    /// At most sixteen, whatever their spacing.
    Few,
}

impl Levels {
    /// How well values fit these levels; `None` if they don't.
    pub(super) fn fit(self, values: &[f64], precision: Precision) -> Option<Fit> {
        let mut distinct: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let (&[low, ..], &[.., high]) = (&distinct[..], &distinct[..]) else {
            return Some(Fit::default());
        };
        if low == high {
            return Some(Fit::default());
        }
        let top = low.abs().max(high.abs());
        let count = values.len() as f64;
        match self {
            Self::Even => {
                let fit = |levels: u32| {
                    let gap = (high - low) / f64::from(levels);
                    Line {
                        start: low,
                        end: high,
                        gap,
                    }
                    .fit(&distinct, precision, count)
                };
                let fit = (1..LEVELS).find_map(fit)?;
                Some(fit.of_many(LEVELS))
            }
            Self::Symmetric(levels) => {
                let end = if top == high { high } else { low };
                let gap = top / f64::from(levels);
                Line {
                    start: 0.0,
                    end,
                    gap,
                }
                .fit(&distinct, precision, count - 1.0)
            }
            Self::Floats(bits) => {
                let candidates = 1 << (bits - 1);
                let fit = |first: u32| {
                    let unit = top / f64::from(first);
                    floats(values, &distinct, unit, bits, precision)
                };
                let fit = (candidates..2 * candidates).find_map(fit)?;
                Some(fit.of_many(candidates))
            }
            Self::Few => few(values, &distinct),
        }
    }
}

impl Fit {
    /// Adjusts for being the best of this many tries.
    fn of_many(self, tries: u32) -> Self {
        Self {
            log_chance: (self.log_chance + Float::ln(f64::from(tries))).min(0.0),
            ..self
        }
    }
}

/// The logarithm of the probability that a number is this close to an integer.
fn log_chance(tolerance: f64) -> f64 {
    Float::ln((2.0 * tolerance).min(1.0))
}

/// Evenly spaced levels, two of which are known.
struct Line {
    start: f64,
    end: f64,
    gap: f64,
}

impl Line {
    fn fit(&self, distinct: &[f64], precision: Precision, count: f64) -> Option<Fit> {
        let Self { start, end, gap } = *self;
        let tolerance = |value: f64| {
            let share = ((value - start) / (end - start)).abs();
            let size = value.abs() + start.abs() + share * (end.abs() + start.abs());
            (size * precision.relative + 4.0 * precision.absolute) / gap
        };
        let is_level = |&value: &f64| {
            let place = (value - start) / gap;
            (place - Float::round(place)).abs() <= tolerance(value)
        };
        if !distinct.iter().all(is_level) {
            return None;
        }
        let between = distinct
            .iter()
            .filter(|&&value| value != start && value != end);
        Some(Fit {
            log_chance: between.map(|&value| log_chance(tolerance(value))).sum(),
            moved: count * gap * gap / 12.0,
        })
    }
}

/// Fits magnitudes as floats of few bits in this unit, in which the largest is an integer of that many bits.
fn floats(
    values: &[f64],
    distinct: &[f64],
    unit: f64,
    bits: u32,
    precision: Precision,
) -> Option<Fit> {
    /// Numbers smaller than the largest by more powers of two may be subnormal.
    const RANGE: i32 = 15;
    let first = f64::from(1_u32 << (bits - 1));
    // The exponent that scales a magnitude to the range of integers with that many bits.
    let exponent = |value: f64| {
        let place = Float::log2(value.abs() / unit / first * (1.0 + 2.0 * precision.relative));
        Float::floor(place) as i32
    };
    let is_normal = |value: f64| value != 0.0 && exponent(value) > -RANGE;
    let (mut sum, mut least) = (0.0, i32::MAX);
    for &value in distinct.iter().filter(|&&value| is_normal(value)) {
        let power = exponent(value);
        let gap = unit * Float::powi(2.0, power);
        let whole = Float::round(value.abs() / gap);
        let size = 2.0 * value.abs() * precision.relative + 4.0 * precision.absolute;
        let tolerance = size / gap;
        if (value.abs() / gap - whole).abs() > tolerance {
            return None;
        }
        sum += log_chance(tolerance);
        least = least.min(power + (whole as u32).trailing_zeros() as i32);
    }
    let moved = values.iter().map(|&value| {
        // Subnormal numbers are evenly spaced, like the last digits of all.
        let power = if is_normal(value) {
            exponent(value)
        } else {
            -RANGE
        };
        let gap = unit * Float::powi(2.0, power.max(least));
        // Below a power of two, levels are half as far apart.
        let is_power = Float::round(value.abs() / gap) == first && power > least;
        gap * gap / if is_power { 16.0 } else { 12.0 }
    });
    Some(Fit {
        log_chance: sum,
        // Two-bit floats have scales for few values, the largest of which is kept exactly.
        moved: moved.sum::<f64>() - if bits == 2 { unit * unit / 12.0 } else { 0.0 },
    })
}

/// At most sixteen levels of any spacing; a value came from at most halfway to the neighbouring levels.
fn few(values: &[f64], distinct: &[f64]) -> Option<Fit> {
    const MOST: usize = 16;
    /// The probability that a value occurs again.
    const AGAIN: f64 = 1.0 / 8.0;
    let nonzero = values.iter().filter(|value| **value != 0.0).count();
    // Pruned values carry no information.
    if nonzero < MOST + MOST / 2 {
        return Some(Fit::default());
    }
    if distinct.len() > MOST {
        return None;
    }
    let moved = values.iter().map(|&value| {
        let at = distinct.partition_point(|&level| level < value);
        let below = at.checked_sub(1).map_or(0.0, |at| value - distinct[at]) / 2.0;
        let above = distinct.get(at + 1).map_or(0.0, |next| next - value) / 2.0;
        (Float::powi(below, 3) + Float::powi(above, 3)) / (3.0 * (below + above))
    });
    Some(Fit {
        log_chance: nonzero.saturating_sub(distinct.len()) as f64 * Float::ln(AGAIN),
        moved: moved.sum(),
    })
}
