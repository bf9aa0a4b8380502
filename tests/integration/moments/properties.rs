//! Moments of random values, random pieces and random bits.

use mother::moments::{Moments, MomentsError};
use proptest::prelude::*;

use super::{BLOCK, accumulate, assert_relative, assert_skewness, bits, exact, skewed};

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn equal_to_exact_arithmetic(values in prop::collection::vec(-300_000_i64..300_000, 1..64)) {
        let floats: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let moments = Moments::of(&floats).unwrap();
        let expected = exact(&values);
        // The mean can be 0 by cancellation.
        let largest = expected.minimum.abs().max(expected.maximum.abs());
        prop_assert!((moments.mean().unwrap() - expected.mean).abs() <= 1e-15 * largest);
        assert_relative("variance", moments.variance(), Some(expected.variance), 1e-13);
        assert_skewness("skewness", moments.skewness(), expected.skewness, 1e-13);
        assert_relative("kurtosis", moments.kurtosis(), expected.kurtosis, 1e-13);
    }

    #[test]
    fn equal_to_exact_arithmetic_with_ties(values in prop::collection::vec(-2_i64..3, 1..20)) {
        let floats: Vec<f64> = values.iter().map(|&value| value as f64).collect();
        let moments = Moments::of(&floats).unwrap();
        let expected = exact(&values);
        assert_skewness("skewness", moments.skewness(), expected.skewness, 1e-13);
        assert_relative("kurtosis", moments.kurtosis(), expected.kurtosis, 1e-13);
    }

    #[test]
    fn chunks_do_not_change_a_bit(
        count in 0..3 * BLOCK,
        seed: u64,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let values = skewed(count, seed);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(count + 1)).collect();
        cuts.extend([0, count]);
        cuts.sort_unstable();
        let pieces: Vec<&[f32]> = cuts.windows(2).map(|cut| &values[cut[0]..cut[1]]).collect();
        let (cut, whole) = (accumulate(&pieces), accumulate(&[&values]));
        prop_assert_eq!(bits(&cut.moments()), bits(&whole.moments()));
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn merging_is_as_good_as_one_pass(
        values in prop::collection::vec(-300_000_i64..300_000, 2..64),
        cut: prop::sample::Index,
    ) {
        let floats: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let (left, right) = floats.split_at(cut.index(floats.len() + 1));
        let mut moments = Moments::of(left).unwrap();
        moments.merge(&Moments::of(right).unwrap());
        let expected = exact(&values);
        prop_assert_eq!(moments.count(), values.len() as u64);
        assert_relative("variance", moments.variance(), Some(expected.variance), 1e-12);
        assert_skewness("skewness", moments.skewness(), expected.skewness, 1e-12);
        assert_relative("kurtosis", moments.kurtosis(), expected.kurtosis, 1e-12);
        prop_assert_eq!(moments.minimum(), Some(expected.minimum));
        prop_assert_eq!(moments.maximum(), Some(expected.maximum));
    }

    #[test]
    fn shape_does_not_depend_on_the_unit(
        values in prop::collection::vec(-1000_i64..1000, 2..64),
        exponent in -1074_i32..1013,
    ) {
        let unit = if exponent < -1022 {
            f64::from_bits(1 << (exponent + 1074))
        } else {
            2.0_f64.powi(exponent)
        };
        let floats: Vec<f64> = values.iter().map(|&value| value as f64).collect();
        let scaled: Vec<f64> = floats.iter().map(|&value| value * unit).collect();
        let (plain, scaled) = (Moments::of(&floats).unwrap(), Moments::of(&scaled).unwrap());
        prop_assert_eq!(plain.skewness(), scaled.skewness());
        prop_assert_eq!(plain.kurtosis(), scaled.kurtosis());
        if exponent > -900 {
            let expected = plain.standard_deviation().unwrap() * unit;
            prop_assert_eq!(scaled.standard_deviation(), Some(expected));
        }
    }

    #[test]
    fn any_bits_give_numbers_or_an_error(
        patterns in prop::collection::vec(any::<u64>(), 0..40),
        // Half of the cases are finite whatever their length.
        finite: bool,
        shift in 0_u32..60,
    ) {
        let exponent_bit = if finite { !(1 << 62) } else { u64::MAX };
        let patterns = patterns.into_iter().map(|pattern| (pattern >> shift) & exponent_bit);
        let values: Vec<f64> = patterns.map(f64::from_bits).collect();
        match Moments::of(&values) {
            Err(error) => {
                let position = values.iter().position(|value| !value.is_finite()).unwrap();
                let named = matches!(
                    error,
                    MomentsError::NotFinite { position: at, .. } if at == position as u64
                );
                prop_assert!(named, "{}", error);
            }
            Ok(moments) => {
                prop_assert!(values.iter().all(|value| value.is_finite()));
                let mut merged = Moments::new();
                for &value in &values {
                    merged.merge(&Moments::of(&[value]).unwrap());
                }
                for moments in [&moments, &merged] {
                    for answer in [
                        moments.mean(),
                        moments.variance(),
                        moments.standard_deviation(),
                        moments.skewness(),
                        moments.kurtosis(),
                    ] {
                        prop_assert!(!answer.is_some_and(f64::is_nan));
                    }
                }
                assert_relative("kurtosis", merged.kurtosis(), moments.kurtosis(), 1e-12);
            }
        }
    }
}
