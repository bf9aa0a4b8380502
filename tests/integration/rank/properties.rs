//! What must hold for any matrix, any numbers and any chunks.

use mother::rank::{
    MatrixView, Method, RankError, RoundingNoise, SingularValueSolver, Tolerance, singular_values,
};
use mother::weights::ElementType;
use proptest::prelude::*;

use super::matrix::{Matrix, assert_close, jacobi};

/// Matrices of up to 8 by 8 of every character: integers with ties, wide ranges, low rank.
fn matrices() -> impl Strategy<Value = Matrix> {
    let entry = prop_oneof![
        4 => (-3_i32..=3).prop_map(f64::from),
        4 => -1.0..1.0_f64,
        1 => (-8.0..8.0_f64).prop_map(|exponent| 10.0_f64.powf(exponent)),
    ];
    (1_usize..=8, 1_usize..=8, any::<bool>()).prop_flat_map(move |(rows, columns, repeat)| {
        prop::collection::vec(entry.clone(), rows * columns).prop_map(move |mut values| {
            if repeat && rows > 1 {
                // The last row repeats the first.
                values.copy_within(..columns, (rows - 1) * columns);
            }
            Matrix {
                values,
                rows,
                columns,
            }
        })
    })
}

fn integers(rows: usize, columns: usize) -> impl Strategy<Value = Matrix> {
    prop::collection::vec(-9_i32..=9, rows * columns).prop_map(move |values| Matrix {
        values: values.into_iter().map(f64::from).collect(),
        rows,
        columns,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..crate::cases(1000) })]

    #[test]
    fn singular_values_equal_the_oracle(matrix in matrices()) {
        let found = matrix.singular_values();
        prop_assert_eq!(found.method(), Method::Svd);
        assert_close(&found, &jacobi(&matrix));
    }

    #[test]
    fn transposing_and_moving_rows_changes_nothing(matrix in matrices(), turn in 0_usize..8) {
        let found = matrix.singular_values();
        assert_close(&found, matrix.transpose().singular_values().values());
        let moved = Matrix::from_fn(matrix.rows, matrix.columns, |row, column| {
            matrix.at((row + turn) % matrix.rows, column)
        });
        assert_close(&found, moved.singular_values().values());
    }

    #[test]
    fn squares_sum_to_the_frobenius_norm(matrix in matrices()) {
        let sum: f64 = matrix.singular_values().values().iter().map(|value| value * value).sum();
        // Each value is right within about 8 eps of the largest, and there are at most 8.
        prop_assert!((sum - matrix.squares()).abs() <= 300.0 * f64::EPSILON * matrix.squares());
    }

    #[test]
    fn a_product_has_at_most_its_inner_rank(
        (left, right) in (1_usize..=8, 1_usize..=4, 1_usize..=8)
            .prop_flat_map(|(rows, inner, columns)| (integers(rows, inner), integers(inner, columns)))
    ) {
        let product = left.times(&right);
        // NumPy's rule leaves small matrices so little that rounding can exceed it.
        let tolerance = Tolerance::Relative(1e-12);
        let rank = product.rank(tolerance);
        prop_assert!(rank <= left.columns.min(left.rows).min(right.columns));
        // Sylvester's inequality, from below.
        let ranks = [&left, &right].map(|factor| factor.rank(tolerance));
        prop_assert!(rank + left.columns >= ranks[0] + ranks[1]);
    }

    #[test]
    fn a_difference_is_that_of_the_entries(
        (first, second) in (1_usize..=6, 1_usize..=6)
            .prop_flat_map(|(rows, columns)| (integers(rows, columns), integers(rows, columns)))
    ) {
        let mut solver = SingularValueSolver::new();
        let single: Vec<f32> = second.values.iter().map(|&value| value as f32).collect();
        let single = MatrixView::new(&single, second.rows, second.columns).unwrap();
        let found = solver.singular_values_of_difference(first.view(), single).unwrap();
        let direct = first.plus(&second.map(|value| -value)).singular_values();
        prop_assert_eq!(found, &direct);
    }

    #[test]
    fn hostile_numbers_never_break_the_result(
        bits in prop::collection::vec(any::<u64>(), 12),
        rows in prop::sample::select(vec![1_usize, 2, 3, 4, 6, 12]),
        finite in any::<bool>(),
    ) {
        let mut values: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
        if finite {
            values.iter_mut().for_each(|value| if !value.is_finite() { *value = 5e-324 });
        }
        let columns = 12 / rows;
        match singular_values(MatrixView::new(&values, rows, columns).unwrap()) {
            Ok(found) => {
                prop_assert!(values.iter().all(|value| value.is_finite()));
                prop_assert_eq!(found.values().len(), rows.min(columns));
                prop_assert!(found.values().is_sorted_by(|a, b| a >= b));
                prop_assert!(found.values().iter().all(|v| v.is_finite() && v.is_sign_positive()));
                let largest = values.iter().fold(0.0_f64, |largest, v| largest.max(v.abs()));
                prop_assert!(found.largest() >= largest * (1.0 - 1e-12));
            }
            Err(RankError::NonFinite { row, column, .. }) => {
                prop_assert!(!values[row * columns + column].is_finite());
            }
            Err(error) => prop_assert_eq!(error, RankError::Overflow),
        }
    }

    #[test]
    fn noise_does_not_depend_on_the_chunks(
        values in prop::collection::vec(prop_oneof![Just(0.0_f32), -1.0..1.0_f32, -1e-30..1e-30_f32], 0..12)
    ) {
        for format in [ElementType::F8E4M3, ElementType::F64, ElementType::F32] {
            let mut whole = RoundingNoise::new(format);
            whole.extend(&values).unwrap();
            for split in 0..=values.len() {
                let (start, end) = values.split_at(split);
                let mut chunked = RoundingNoise::new(format);
                chunked.extend(end).unwrap();
                let mut other = RoundingNoise::new(format);
                other.extend(start).unwrap();
                chunked.merge(&other).unwrap();
                prop_assert_eq!(&chunked, &whole);
            }
            prop_assert_eq!(whole.count(), values.len() as u64);
            prop_assert_eq!(whole.deviation().is_none(), values.is_empty());
        }
    }

    #[test]
    fn tolerances_print_and_parse(number in 0.0..f64::MAX, rule in 0_usize..5) {
        let tolerance = [
            Tolerance::Absolute(number),
            Tolerance::Relative(number),
            Tolerance::Numpy { epsilon: number },
            Tolerance::GavishDonoho,
            Tolerance::RoundingNoise { deviation: number },
        ][rule];
        prop_assert_eq!(tolerance.to_string().parse(), Ok(tolerance));
    }
}
