//! Moments against exact arithmetic and SciPy, and the promise of the same bits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use mother::Scalar;
use mother::moments::{Moments, MomentsAccumulator, MomentsError};
use serde::Deserialize;

mod properties;

const BLOCK: usize = MomentsAccumulator::BLOCK;
pub(crate) const GOLDEN: &str = include_str!("../golden/moments/golden.json");

#[derive(Deserialize)]
struct Golden {
    lists: Vec<List>,
    sequences: Vec<Sequence>,
}

#[derive(Deserialize)]
struct List {
    values: Vec<f64>,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Deserialize)]
struct Sequence {
    name: String,
    count: usize,
    seed: u64,
    bits: u32,
    squared: bool,
    sorted: bool,
    offset: f64,
    scale: f64,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    mean: f64,
    variance: f64,
    skewness: Option<f64>,
    kurtosis: Option<f64>,
    minimum: f64,
    maximum: f64,
}

fn golden() -> Golden {
    serde_json::from_str(GOLDEN).unwrap()
}

/// The generator of `make.py`.
pub(crate) fn integers(count: usize, seed: u64, bits: u32) -> Vec<u64> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> (64 - bits)
        })
        .collect()
}

impl Sequence {
    fn values(&self) -> Vec<f64> {
        let mut integers = integers(self.count, self.seed, self.bits);
        if self.squared {
            integers.iter_mut().for_each(|k| *k *= *k);
        }
        if self.sorted {
            integers.sort_unstable();
        }
        integers
            .iter()
            .map(|&k| self.offset + self.scale * k as f64)
            .collect()
    }
}

/// Skewed values that an `f32` holds exactly.
fn skewed(count: usize, seed: u64) -> Vec<f32> {
    integers(count, seed, 12)
        .iter()
        .map(|&k| (k * k) as f32 * 2.0_f32.powi(-24) - 0.2)
        .collect()
}

#[track_caller]
fn assert_relative(name: &str, actual: Option<f64>, expected: Option<f64>, tolerance: f64) {
    match (actual, expected) {
        (Some(actual), Some(expected)) => assert!(
            (actual - expected).abs() <= tolerance * expected.abs(),
            "{name}: {actual} for {expected}, relative {:e}",
            (actual - expected).abs() / expected.abs()
        ),
        _ => assert_eq!(actual, expected, "{name}"),
    }
}

/// Skewness can be 0 by cancellation, so its error is absolute, in units of its natural scale.
#[track_caller]
fn assert_skewness(name: &str, actual: Option<f64>, expected: Option<f64>, tolerance: f64) {
    match (actual, expected) {
        (Some(actual), Some(expected)) => assert!(
            (actual - expected).abs() <= tolerance * (1.0 + expected.abs()),
            "{name}: {actual} for {expected}"
        ),
        _ => assert_eq!(actual, expected, "{name}"),
    }
}

#[track_caller]
fn assert_expected(name: &str, actual: &Moments, expected: &Expected, tolerance: f64) {
    let largest = expected.minimum.abs().max(expected.maximum.abs());
    let error = (actual.mean().unwrap() - expected.mean).abs();
    assert!(error <= 1e-15 * largest, "{name}: mean off by {error}");
    assert_relative(name, actual.variance(), Some(expected.variance), tolerance);
    assert_relative(
        name,
        actual.standard_deviation(),
        Some(expected.variance.sqrt()),
        tolerance,
    );
    assert_skewness(name, actual.skewness(), expected.skewness, tolerance);
    assert_relative(name, actual.kurtosis(), expected.kurtosis, tolerance);
    // Reading JSON may round differently in the last bit.
    assert_relative(name, actual.minimum(), Some(expected.minimum), 1e-15);
    assert_relative(name, actual.maximum(), Some(expected.maximum), 1e-15);
}

/// The shortest text that reads back as the same floats: equal if all bits are.
fn bits(moments: &Moments) -> String {
    format!("{moments:?}")
}

/// The moments of integers, exactly, until the last division.
fn exact(values: &[i64]) -> Expected {
    let n = values.len() as i128;
    let sum: i128 = values.iter().map(|&value| i128::from(value)).sum();
    let power = |k: u32| -> f64 {
        values
            .iter()
            .map(|&value| (n * i128::from(value) - sum).pow(k))
            .sum::<i128>() as f64
    };
    let n = n as f64;
    let (m2, m3, m4) = (power(2), power(3), power(4));
    let varies = m2 > 0.0;
    Expected {
        mean: sum as f64 / n,
        variance: m2 / (n * n * n),
        skewness: varies.then(|| m3 / m2 / (m2 / n).sqrt()),
        kurtosis: varies.then(|| n * m4 / (m2 * m2)),
        minimum: *values.iter().min().unwrap() as f64,
        maximum: *values.iter().max().unwrap() as f64,
    }
}

fn accumulate<T: Scalar>(pieces: &[&[T]]) -> MomentsAccumulator {
    let mut accumulator = MomentsAccumulator::new();
    for piece in pieces {
        accumulator.extend_from_slice(piece).unwrap();
    }
    accumulator
}

fn segment(values: &[f32], start: usize, end: usize) -> MomentsAccumulator {
    let mut accumulator = MomentsAccumulator::starting_at(start as u64).unwrap();
    accumulator.extend_from_slice(&values[start..end]).unwrap();
    accumulator
}

#[test]
fn lists_agree_with_exact_arithmetic() {
    for List { values, expected } in golden().lists {
        let moments = Moments::of(&values).unwrap();
        assert_eq!(moments.count(), values.len() as u64);
        assert_expected(&format!("{values:?}"), &moments, &expected, 1e-14);
    }
}

#[test]
fn sequences_agree_with_exact_arithmetic() {
    for sequence in golden().sequences {
        let moments = Moments::of(&sequence.values()).unwrap();
        assert_expected(&sequence.name, &moments, &sequence.expected, 1e-13);
    }
}

#[test]
fn single_and_double_precision_give_the_same_bits() {
    for count in [1, 7, 8, 130, BLOCK - 1, BLOCK, 2 * BLOCK + 77] {
        let single = skewed(count, 5);
        let double: Vec<f64> = single.iter().map(|&value| f64::from(value)).collect();
        let mixed = {
            let mut accumulator = MomentsAccumulator::new();
            let (left, right) = (&single[..count / 3], &double[count / 3..]);
            accumulator.extend_from_slice(left).unwrap();
            accumulator.extend_from_slice(right).unwrap();
            accumulator.moments()
        };
        let expected = bits(&Moments::of(&single).unwrap());
        assert_eq!(bits(&Moments::of(&double).unwrap()), expected);
        assert_eq!(bits(&mixed), expected);
    }
}

#[test]
fn moments_of_no_values_are_none() {
    let empty = Moments::of::<f32>(&[]).unwrap();
    assert_eq!(empty, Moments::new());
    assert_eq!(empty, Moments::default());
    assert_eq!(empty.count(), 0);
    for answer in [
        empty.mean(),
        empty.variance(),
        empty.standard_deviation(),
        empty.skewness(),
        empty.kurtosis(),
        empty.minimum(),
        empty.maximum(),
    ] {
        assert_eq!(answer, None);
    }
}

#[test]
fn constants_have_no_shape() {
    for value in [
        0.0,
        -0.0,
        0.1,
        -1e308,
        1.7e308,
        f64::MAX,
        5e-324,
        1e-200,
        3e7,
    ] {
        for count in [1, 2, 3, 127, 129, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let moments = Moments::of(&vec![value; count]).unwrap();
            assert_eq!(moments.mean(), Some(value));
            assert_eq!(moments.minimum(), Some(value));
            assert_eq!(moments.maximum(), Some(value));
            assert_eq!(moments.variance(), Some(0.0));
            assert_eq!(moments.standard_deviation(), Some(0.0));
            assert_eq!(moments.skewness(), None);
            assert_eq!(moments.kurtosis(), None);
        }
    }
}

#[test]
fn the_sign_of_zero_is_forgotten() {
    let bits = |values: &[f64]| {
        let moments = Moments::of(values).unwrap();
        (
            moments.minimum().map(f64::to_bits),
            moments.maximum().map(f64::to_bits),
        )
    };
    assert_eq!(bits(&[0.0, -0.0]), (Some(0), Some(0)));
    assert_eq!(bits(&[-0.0, -0.0, 0.0]), (Some(0), Some(0)));
    assert_eq!(bits(&[-0.0; 40]), (Some(0), Some(0)));
}

#[test]
fn two_values_apart_by_one_rounding_step_vary() {
    for value in [1.0_f64, 0.1, 1e300, 1e-300, 5e-324, 1e15] {
        let next = f64::from_bits(value.to_bits() + 1);
        let moments = Moments::of(&[value, next]).unwrap();
        assert_relative("kurtosis", moments.kurtosis(), Some(1.0), 1e-15);
        assert_skewness("skewness", moments.skewness(), Some(0.0), 1e-15);

        let mut values = vec![value; 2 * BLOCK];
        values[BLOCK + 17] = next;
        let n = values.len() as f64;
        let moments = Moments::of(&values).unwrap();
        // One of n: kurtosis (n² − 3n + 3) / (n − 1).
        let expected = (n * n - 3.0 * n + 3.0) / (n - 1.0);
        assert_relative("one of many", moments.kurtosis(), Some(expected), 1e-13);
    }
}

#[test]
fn every_split_of_a_short_sequence_gives_the_same_bits() {
    let values = skewed(60, 1);
    let expected = bits(&Moments::of(&values).unwrap());
    for first in 0..=values.len() {
        for second in first..=values.len() {
            let pieces = [&values[..first], &values[first..second], &values[second..]];
            assert_eq!(bits(&accumulate(&pieces).moments()), expected);
        }
    }
}

#[test]
fn splits_around_block_edges_give_the_same_bits() {
    let values = skewed(3 * BLOCK + 11, 2);
    let expected = bits(&Moments::of(&values).unwrap());
    for edge in [BLOCK, 2 * BLOCK, 3 * BLOCK] {
        for split in edge - 3..=edge + 3 {
            let (left, right) = values.split_at(split);
            assert_eq!(bits(&accumulate(&[left, right]).moments()), expected);
        }
    }
}

#[test]
fn one_by_one_gives_the_same_bits() {
    let values = skewed(2 * BLOCK + 3, 3);
    let pieces: Vec<&[f32]> = values.chunks(1).collect();
    assert_eq!(
        bits(&accumulate(&pieces).moments()),
        bits(&Moments::of(&values).unwrap())
    );
}

#[test]
fn segments_joined_in_any_order_give_the_same_bits() {
    let values = skewed(11 * BLOCK + 100, 4);
    let whole = accumulate(&[&values]);
    for first in 0..=11 {
        for second in first..=11 {
            let (i, j) = (first * BLOCK, second * BLOCK);
            let parts = || {
                (
                    segment(&values, 0, i),
                    segment(&values, i, j),
                    segment(&values, j, values.len()),
                )
            };
            let (mut left_first, middle, right) = parts();
            left_first.append(&middle).unwrap();
            left_first.append(&right).unwrap();
            assert_eq!(left_first, whole);

            let (mut right_first, mut middle, right) = parts();
            middle.append(&right).unwrap();
            right_first.append(&middle).unwrap();
            assert_eq!(right_first, whole);
            assert_eq!(bits(&right_first.moments()), bits(&whole.moments()));
        }
    }
}

#[test]
fn a_segment_is_the_moments_of_its_own_part() {
    let values = skewed(7 * BLOCK + 9, 6);
    let part = segment(&values, 3 * BLOCK, values.len());
    assert_eq!(part.start(), 3 * BLOCK as u64);
    assert_eq!(part.end(), values.len() as u64);
    assert_eq!(part.count(), (4 * BLOCK + 9) as u64);
    let (actual, expected) = (part.moments(), Moments::of(&values[3 * BLOCK..]).unwrap());
    assert_eq!(actual.count(), expected.count());
    assert_relative("mean", actual.mean(), expected.mean(), 1e-15);
    assert_relative("kurtosis", actual.kurtosis(), expected.kurtosis(), 1e-14);
}

#[test]
fn segments_that_do_not_meet_are_refused() {
    let values = skewed(3 * BLOCK, 7);
    let mut left = segment(&values, 0, BLOCK);
    let before = left.clone();
    let right = segment(&values, 2 * BLOCK, 3 * BLOCK);
    let error = left.append(&right).unwrap_err();
    let (end, start) = (BLOCK as u64, 2 * BLOCK as u64);
    assert_eq!(error, MomentsError::NotAdjacent { end, start });
    assert!(error.to_string().contains("4096"), "{error}");
    assert_eq!(left, before);

    let mut unfinished = segment(&values, 0, BLOCK - 1);
    let next = segment(&values, BLOCK, 2 * BLOCK);
    assert!(unfinished.append(&next).is_err());
}

#[test]
fn positions_are_checked() {
    let position = BLOCK as u64 + 1;
    assert_eq!(
        MomentsAccumulator::starting_at(position),
        Err(MomentsError::Misaligned { position })
    );
    assert!(MomentsAccumulator::starting_at(u64::MAX).is_err());

    let last = u64::MAX - (BLOCK as u64 - 1);
    let mut accumulator = MomentsAccumulator::starting_at(last).unwrap();
    accumulator.extend_from_slice(&[1.0_f32; 100]).unwrap();
    accumulator
        .extend_from_slice(&[2.0_f32; BLOCK - 101])
        .unwrap();
    assert_eq!(accumulator.end(), u64::MAX);
    let error = accumulator.extend_from_slice(&[1.0_f32]).unwrap_err();
    let (end, additional) = (u64::MAX, 1);
    assert_eq!(error, MomentsError::TooLong { end, additional });
    assert_eq!(accumulator.count(), BLOCK as u64 - 1);
    assert_eq!(accumulator.moments().count(), BLOCK as u64 - 1);
}

fn assert_refused<T: Scalar>(values: &[T], position: usize, wrong: T) {
    let mut values = values.to_vec();
    values[position] = wrong;
    // A second one later must not be named.
    *values.last_mut().unwrap() = T::nan();

    for pieces in [1, 100, BLOCK, values.len()] {
        let mut accumulator = MomentsAccumulator::new();
        let error = values
            .chunks(pieces)
            .find_map(|piece| accumulator.extend_from_slice(piece).err())
            .unwrap();
        let MomentsError::NotFinite {
            position: at,
            value,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(at, position as u64);
        assert_eq!(value.to_bits(), wrong.widen().to_bits());
        assert_eq!(accumulator, accumulate(&[&values[..position]]));
    }
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let values = skewed(2 * BLOCK + 300, 8);
    let wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
    for position in [
        0,
        1,
        15,
        127,
        128,
        BLOCK - 1,
        BLOCK,
        2 * BLOCK - 1,
        2 * BLOCK + 150,
    ] {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_refused(&values, position, wrong);
            assert_refused(&wide, position, f64::from(wrong));
        }
    }
    let both = [f64::INFINITY, f64::NEG_INFINITY];
    let error = Moments::of(&both).unwrap_err();
    assert_eq!(error.to_string(), "value inf at position 0 is not finite");
}

#[test]
fn the_largest_and_smallest_numbers() {
    let moments = Moments::of(&[f64::MAX, f64::MIN]).unwrap();
    assert_eq!(moments.mean(), Some(0.0));
    assert_eq!(moments.variance(), Some(f64::INFINITY));
    assert_eq!(moments.standard_deviation(), Some(f64::MAX));
    assert_eq!(moments.skewness(), Some(0.0));
    assert_eq!(moments.kurtosis(), Some(1.0));

    let moments = Moments::of(&[5e-324, 0.0, 0.0, 0.0]).unwrap();
    assert_eq!(moments.variance(), Some(0.0));
    let (shape, expected) = (
        moments.kurtosis(),
        Moments::of(&[1.0, 0.0, 0.0, 0.0]).unwrap(),
    );
    assert_eq!(shape, expected.kurtosis());

    // f32 at both ends of its range.
    let moments = Moments::of(&[f32::MAX, -f32::MAX, f32::MAX, 0.0]).unwrap();
    let expected = exact(&[1, -1, 1, 0]);
    assert_relative("f32", moments.kurtosis(), expected.kurtosis, 1e-15);
    let moments = Moments::of(&[f32::from_bits(1), 0.0, 0.0, 0.0, 0.0]).unwrap();
    let expected = exact(&[1, 0, 0, 0, 0]);
    assert_relative("f32", moments.kurtosis(), expected.kurtosis, 1e-15);
    assert!(moments.variance() > Some(0.0));
}

#[test]
fn blocks_of_very_different_sizes() {
    // A block near 0, one of tiny numbers, and one that is huge: only the huge one counts.
    let mut values: Vec<f64> = skewed(BLOCK, 9).into_iter().map(f64::from).collect();
    values.extend(skewed(BLOCK, 10).into_iter().map(|v| f64::from(v) * 1e-250));
    let huge: Vec<f64> = skewed(BLOCK, 11)
        .into_iter()
        .map(|v| f64::from(v) * 1e300)
        .collect();
    values.extend(&huge);
    let mut reference = vec![0.0; 2 * BLOCK];
    reference.extend(skewed(BLOCK, 11).into_iter().map(f64::from));
    let (actual, expected) = (
        Moments::of(&values).unwrap(),
        Moments::of(&reference).unwrap(),
    );
    assert_relative("kurtosis", actual.kurtosis(), expected.kurtosis(), 1e-12);
    assert_skewness("skewness", actual.skewness(), expected.skewness(), 1e-12);
    assert!(actual.mean().unwrap().is_finite());
}

#[test]
fn a_block_that_starts_unlike_the_rest_costs_no_accuracy() {
    // The first values of a block are what its sums are first centred on.
    for (seed, different) in (0..12).zip([1, 8, 32, 33, 128, 2000].into_iter().cycle()) {
        let values: Vec<i64> = integers(2 * BLOCK, seed, 2)
            .iter()
            .enumerate()
            .map(|(index, &k)| {
                if index % BLOCK < different {
                    0
                } else {
                    30_000 - 1_500 * seed as i64 + k as i64
                }
            })
            .collect();
        let floats: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let moments = Moments::of(&floats).unwrap();
        assert_expected("unlike", &moments, &exact(&values), 5e-13);
    }
}

#[test]
fn counts_beyond_two_to_the_forty() {
    let values = [1.0, 2.0, 3.0, 4.0, 10.0];
    let once = Moments::of(&values).unwrap();
    let mut many = once;
    for doubling in 1..=63 {
        let copy = many;
        many.merge(&copy);
        if doubling <= 61 {
            assert_eq!(many.count(), 5 << doubling);
            assert_relative("mean", many.mean(), once.mean(), 1e-15);
            assert_relative("variance", many.variance(), once.variance(), 1e-13);
            assert_relative("kurtosis", many.kurtosis(), once.kurtosis(), 1e-13);
            assert_skewness("skewness", many.skewness(), once.skewness(), 1e-13);
        }
    }
    assert_eq!(many.count(), u64::MAX);
    assert!(many.kurtosis().unwrap().is_finite());
}

#[test]
fn a_few_values_merged_with_very_many() {
    // 2^40 zeros and one 1: kurtosis (n² − 3n + 3) / (n − 1).
    let mut zeros = Moments::of(&[0.0]).unwrap();
    for _ in 0..40 {
        let copy = zeros;
        zeros.merge(&copy);
    }
    zeros.merge(&Moments::of(&[1.0]).unwrap());
    let n = zeros.count() as f64;
    let expected = (n * n - 3.0 * n + 3.0) / (n - 1.0);
    assert_relative("kurtosis", zeros.kurtosis(), Some(expected), 1e-12);
    assert_relative("mean", zeros.mean(), Some(1.0 / n), 1e-15);
}
