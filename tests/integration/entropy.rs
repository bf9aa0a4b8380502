//! Entropy of histograms against SciPy, and independence of order.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use mother::entropy::{Histogram, HistogramError};
use proptest::prelude::*;
use serde::Deserialize;

use crate::moments::{GOLDEN, integers};

#[derive(Deserialize)]
struct Golden {
    entropies: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    count: usize,
    seed: u64,
    bits: u32,
    squared: bool,
    bins: usize,
    entropy: f64,
}

fn over_own_range(values: &[f64], bins: usize) -> Histogram {
    let minimum = values.iter().copied().fold(f64::INFINITY, f64::min);
    let maximum = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut histogram = Histogram::new(minimum, maximum, bins).unwrap();
    histogram.extend_from_slice(values).unwrap();
    histogram
}

#[test]
fn agrees_with_scipy() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    for case in golden.entropies {
        let values: Vec<f64> = integers(case.count, case.seed, case.bits)
            .into_iter()
            .map(|k| if case.squared { k * k } else { k } as f64)
            .collect();
        let entropy = over_own_range(&values, case.bins).entropy().unwrap();
        let error = (entropy - case.entropy).abs();
        assert!(
            error <= 1e-12,
            "{} values: {entropy} for {}",
            case.count,
            case.entropy
        );
    }
}

#[test]
fn bounds_belong_to_the_outer_bins() {
    let mut histogram = Histogram::new(-1.0, 1.0, 4).unwrap();
    histogram
        .extend_from_slice(&[-1.0_f32, -0.5, 0.0, 0.5, 1.0, 1.0])
        .unwrap();
    assert_eq!(histogram.counts(), [1, 1, 1, 3]);
    assert_eq!(histogram.count(), 6);
    assert_eq!((histogram.minimum(), histogram.maximum()), (-1.0, 1.0));
}

#[test]
fn few_values() {
    let mut histogram = Histogram::new(0.0, 1.0, 8).unwrap();
    assert_eq!(histogram.entropy(), None);
    histogram.extend_from_slice(&[0.3]).unwrap();
    assert_eq!(histogram.entropy().map(f64::to_bits), Some(0));
    histogram.extend_from_slice(&[0.9]).unwrap();
    assert!((histogram.entropy().unwrap() - 2.0_f64.ln()).abs() < 1e-15);
}

#[test]
fn equal_values_have_no_entropy() {
    for value in [0.0, -3.5, 1e308, 5e-324] {
        let histogram = over_own_range(&[value; 100], Histogram::DEFAULT_BINS);
        assert_eq!(histogram.entropy(), Some(0.0));
        assert_eq!(histogram.counts()[0], 100);
    }
}

#[test]
fn extreme_ranges() {
    for unit in [f64::MAX / 4.0, 1e250, 1e-250, 5e-324] {
        let values = [-3.0 * unit, -unit, unit, 3.0 * unit];
        let histogram = over_own_range(&values, 3);
        assert_eq!(histogram.counts(), [1, 1, 2], "{unit:e}");
    }
}

#[test]
fn construction_is_checked() {
    for (minimum, maximum) in [
        (1.0, 0.0),
        (f64::NAN, 1.0),
        (0.0, f64::NAN),
        (0.0, f64::INFINITY),
        (f64::NEG_INFINITY, 0.0),
    ] {
        let error = Histogram::new(minimum, maximum, 3).unwrap_err();
        assert!(matches!(error, HistogramError::BadRange { .. }), "{error}");
    }
    for bins in [0, Histogram::MAXIMUM_BINS + 1, usize::MAX] {
        let error = Histogram::new(0.0, 1.0, bins).unwrap_err();
        assert_eq!(error, HistogramError::BadBinCount { bins });
    }
}

#[test]
fn values_outside_the_range_are_rejected() {
    for wrong in [-0.1_f32, 1.1, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut histogram = Histogram::new(0.0, 1.0, 4).unwrap();
        let error = histogram
            .extend_from_slice(&[0.1, 0.9, wrong, 0.5])
            .unwrap_err();
        assert!(error.to_string().contains("at position 2 "), "{error}");
        assert!(
            error.to_string().contains(&f64::from(wrong).to_string()),
            "{error}"
        );
        assert_eq!(histogram.counts(), [1, 0, 0, 1]);
    }
}

#[test]
fn different_bins_do_not_merge() {
    let mut first = Histogram::new(0.0, 1.0, 4).unwrap();
    for second in [
        Histogram::new(0.0, 1.0, 5).unwrap(),
        Histogram::new(0.0, 2.0, 4).unwrap(),
        Histogram::new(0.5, 1.0, 4).unwrap(),
    ] {
        let error = first.merge(&second).unwrap_err();
        assert!(
            matches!(error, HistogramError::DifferentBins { .. }),
            "{error}"
        );
    }
}

#[test]
fn counts_stop_at_the_largest() {
    let mut histogram = Histogram::new(0.0, 1.0, 2).unwrap();
    histogram.extend_from_slice(&[0.1, 0.2, 0.9]).unwrap();
    for _ in 0..64 {
        let copy = histogram.clone();
        histogram.merge(&copy).unwrap();
    }
    histogram.extend_from_slice(&[0.1, 0.9]).unwrap();
    assert_eq!(histogram.counts(), [u64::MAX, u64::MAX]);
    assert!(histogram.entropy().unwrap().is_finite());
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn equal_to_counting_edges(
        values in prop::collection::vec(-64_i32..=64, 1..60),
        exponent in 0_u32..8,
    ) {
        // Edges are exact in binary, so that a value's bin can be found by comparing.
        let bins = 1_usize << exponent;
        let floats: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        let mut histogram = Histogram::new(-64.0, 64.0, bins).unwrap();
        histogram.extend_from_slice(&floats).unwrap();
        let width = 128.0 / bins as f64;
        for (bin, &count) in histogram.counts().iter().enumerate() {
            let lower = -64.0 + width * bin as f64;
            let upper = lower + width;
            let inside = |&&value: &&f64| {
                lower <= value && (value < upper || (bin == bins - 1 && value == upper))
            };
            prop_assert_eq!(count, floats.iter().filter(inside).count() as u64);
        }
        let entropy = histogram.entropy().unwrap();
        prop_assert!((0.0..=(bins as f64).ln() + 1e-12).contains(&entropy));
    }

    #[test]
    fn order_and_splits_do_not_matter(
        mut values in prop::collection::vec(-1.0_f32..1.0, 0..60),
        cut: prop::sample::Index,
    ) {
        let count = |values: &[f32]| {
            let mut histogram = Histogram::new(-1.0, 1.0, 16).unwrap();
            histogram.extend_from_slice(values).unwrap();
            histogram
        };
        let whole = count(&values);
        let (left, right) = values.split_at(cut.index(values.len() + 1));
        let mut merged = count(right);
        merged.merge(&count(left)).unwrap();
        prop_assert_eq!(&merged, &whole);
        values.reverse();
        prop_assert_eq!(&count(&values), &whole);
    }

    #[test]
    fn shift_and_scale_do_not_matter(
        values in prop::collection::vec(-1000_i32..1000, 2..60),
        shift in -1000_i32..1000,
        exponent in -300_i32..300,
    ) {
        let plain: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        let unit = 2.0_f64.powi(exponent);
        let moved: Vec<f64> = values.iter().map(|&value| f64::from(value + shift) * unit).collect();
        let (plain, moved) = (over_own_range(&plain, 256), over_own_range(&moved, 256));
        prop_assert_eq!(plain.counts(), moved.counts());
    }
}
