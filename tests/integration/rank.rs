//! Singular values and ranks against NumPy, chosen spectra, rounded updates and a Jacobi oracle.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::LazyLock;

use mother::rank::{
    MatrixView, Method, NumericalRank, RankError, SingularValueSolver, SingularValues, Tolerance,
    rank, rank_of_difference, singular_values,
};
use mother::weights::ElementType;

use matrix::{Matrix, assert_close, generator, normal, with_spectrum};

mod differences;
mod matrix;
mod properties;

#[derive(serde::Deserialize)]
struct Golden {
    made_by: String,
    cases: Vec<GoldenCase>,
}

#[derive(serde::Deserialize)]
struct GoldenCase {
    kind: String,
    rows: usize,
    columns: usize,
    inner: usize,
    seed: u64,
    singular_values: Vec<f64>,
    rank_f64: usize,
    rank_f32: usize,
    rank_relative: usize,
    rank_absolute: usize,
}

static GOLDEN: LazyLock<Golden> =
    LazyLock::new(|| serde_json::from_str(include_str!("../golden/rank/numpy.json")).unwrap());

/// The two matrices whose difference the golden case is about; the second is zero for most.
fn golden_matrices(case: &GoldenCase) -> (Matrix, Matrix) {
    let mut source = generator(case.seed);
    let (rows, columns) = (case.rows, case.columns);
    let zero = Matrix::from_fn(rows, columns, |_, _| 0.0);
    if case.kind == "full" {
        return (Matrix::from_source(rows, columns, &mut source), zero);
    }
    let left = Matrix::from_source(rows, case.inner, &mut source);
    let right = Matrix::from_source(case.inner, columns, &mut source);
    let fine = Matrix::from_source(rows, case.inner, &mut source).map(|value| value / 2048.0);
    let product = left.plus(&fine).times(&right);
    let rounded = |matrix: Matrix| matrix.map(|value| f64::from(value as f32));
    match case.kind.as_str() {
        "product" => (product, zero),
        "rounded" => (rounded(product), zero),
        "update" => {
            let before = Matrix::from_source(rows, columns, &mut source);
            (rounded(before.plus(&product)), before)
        }
        kind => panic!("unknown kind {kind}"),
    }
}

#[test]
fn singular_values_and_ranks_equal_numpy() {
    assert_eq!(GOLDEN.made_by, "numpy 2.4.6");
    assert_eq!(GOLDEN.cases.len(), 19);
    let mut solver = SingularValueSolver::new();
    for case in &GOLDEN.cases {
        let (first, second) = golden_matrices(case);
        let values = solver
            .singular_values_of_difference(first.view(), second.view())
            .unwrap();
        assert_close(values, &case.singular_values);
        let rank = |tolerance| values.rank(tolerance).unwrap().value();
        assert_eq!(rank(Tolerance::numpy(ElementType::F64)), case.rank_f64);
        assert_eq!(rank(Tolerance::numpy(ElementType::F32)), case.rank_f32);
        assert_eq!(rank(Tolerance::Relative(0.1)), case.rank_relative);
        assert_eq!(rank(Tolerance::Absolute(1.0)), case.rank_absolute);
    }
}

#[test]
fn chosen_spectra_are_found() {
    let spectra: [&[f64]; 6] = [
        &[1.0],
        &[5.0, 5.0, 5.0, 1.0, 1.0],
        &[1e3, 1.0, 1e-3, 1e-6, 1e-9, 1e-12],
        &[2.0, 1.0, 0.0, 0.0],
        &[1.0, 1.0 - 1e-12, 1.0 - 2e-12],
        &[7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
    ];
    for (seed, spectrum) in (10..).step_by(2).zip(spectra) {
        for (rows, columns) in [(7, 7), (7, 20), (20, 7), (33, 9)] {
            let values = with_spectrum(spectrum, rows, columns, seed).singular_values();
            let mut expected = spectrum.to_vec();
            expected.resize(rows.min(columns), 0.0);
            assert_close(&values, &expected);
            assert_eq!(values.method(), Method::Svd);
        }
    }
}

#[test]
fn ranks_change_where_the_rules_say() {
    let spectrum = [100.0, 10.0, 1.0, 0.1];
    for (rows, columns) in [(6, 10), (10, 6), (4, 4)] {
        let matrix = with_spectrum(&spectrum, rows, columns, 77);
        for (expected, &edge) in spectrum.iter().enumerate() {
            // Far above the rounding of the matrix, far below the gaps.
            for (factor, expected) in [(1.0 + 1e-9, expected), (1.0 - 1e-9, expected + 1)] {
                let threshold = edge * factor;
                assert_eq!(matrix.rank(Tolerance::Absolute(threshold)), expected);
                assert_eq!(
                    matrix.rank(Tolerance::Relative(threshold / 100.0)),
                    expected
                );
                let epsilon = threshold / 100.0 / rows.max(columns) as f64;
                assert_eq!(matrix.rank(Tolerance::Numpy { epsilon }), expected);
                let roots = (rows as f64).sqrt() + (columns as f64).sqrt();
                let deviation = threshold / 1.05 / roots;
                assert_eq!(
                    matrix.rank(Tolerance::RoundingNoise { deviation }),
                    expected
                );
            }
        }
    }
    // ω(1) = 2.86, and the median is 1: the second value is just below or above the threshold.
    for (second, expected) in [(2.8599, 1), (2.8601, 2)] {
        let matrix = with_spectrum(&[9.0, second, 1.0, 0.5, 0.2], 5, 5, 5);
        assert_eq!(matrix.rank(Tolerance::GavishDonoho), expected);
    }
}

/// All rules, with ordinary parameters.
const RULES: [Tolerance; 5] = [
    Tolerance::Absolute(0.0),
    Tolerance::Relative(0.0),
    Tolerance::Numpy {
        epsilon: f64::EPSILON,
    },
    Tolerance::GavishDonoho,
    Tolerance::RoundingNoise { deviation: 0.0 },
];

#[test]
fn empty_and_zero_matrices_have_rank_0() {
    for (rows, columns) in [
        (0, 0),
        (0, 5),
        (5, 0),
        (0, usize::MAX),
        (1, 1),
        (3, 2),
        (1, 7),
    ] {
        let matrix = Matrix::from_fn(rows, columns, |_, _| -0.0);
        let values = matrix.singular_values();
        assert_eq!(values.values(), vec![0.0; rows.min(columns)]);
        assert_eq!((values.rows(), values.columns()), (rows, columns));
        for rule in RULES {
            let rank = values.rank(rule).unwrap();
            assert_eq!((rank.value(), rank.largest()), (0, 0.0));
            assert!(rank.threshold() >= 0.0);
        }
    }
}

#[test]
fn equal_matrices_differ_by_rank_0() {
    let matrix = with_spectrum(&[3.0, 2.0, 1.0], 5, 4, 3);
    for rule in RULES {
        let rank = rank_of_difference(matrix.view(), matrix.view(), rule).unwrap();
        assert_eq!(rank.value(), 0, "{rule}");
    }
}

#[test]
fn vectors_have_their_length_as_singular_value() {
    for (rows, columns) in [(1, 6), (6, 1)] {
        let matrix = Matrix::from_fn(rows, columns, |row, column| (row + column) as f64);
        assert_close(&matrix.singular_values(), &[55.0_f64.sqrt()]);
        assert_eq!(matrix.rank(Tolerance::numpy(ElementType::F64)), 1);
        // One value is its own median, and never above it.
        assert_eq!(matrix.rank(Tolerance::GavishDonoho), 0);
    }
}

#[test]
fn repeated_rows_and_columns_add_no_rank() {
    let base = Matrix::from_source(3, 5, &mut generator(8));
    let repeated = Matrix::from_fn(12, 20, |row, column| base.at(row % 3, column % 5));
    assert_eq!(repeated.rank(Tolerance::numpy(ElementType::F64)), 3);
}

/// Blocks of ones with the rows reversed: 43 singular values, of which 42 are equal. A
/// divide-and-conquer decomposition was seen to make up a 44th of 1e-4 of the largest.
#[test]
fn many_equal_singular_values_give_no_others() {
    let side = 128;
    let matrix = Matrix::from_fn(side, side, |row, column| {
        f64::from(u8::from((side - 1 - row) / 3 == column / 3))
    });
    let mut expected = vec![3.0; 42];
    expected.push(2.0);
    expected.resize(side, 0.0);
    assert_close(&matrix.singular_values(), &expected);
}

#[test]
fn extreme_scales_keep_their_digits() {
    let spectrum = [4.0, 2.0, 1.0];
    let matrix = with_spectrum(&spectrum, 5, 3, 21);
    let expected = matrix.singular_values();
    for exponent in [-1000, -500, 500, 1020] {
        let scale = 2.0_f64.powi(exponent);
        let found = matrix.map(|value| value * scale).singular_values();
        let scaled: Vec<f64> = expected
            .values()
            .iter()
            .map(|value| value * scale)
            .collect();
        assert_eq!(found.values(), scaled, "2^{exponent}");
        for rule in [Tolerance::Relative(0.3), Tolerance::numpy(ElementType::F32)] {
            assert_eq!(found.rank(rule), matrix_rank_scaled(&expected, rule, scale));
        }
    }
    let smallest = Matrix::from_fn(2, 2, |row, column| {
        if row == column {
            f64::from_bits(1)
        } else {
            0.0
        }
    });
    assert_eq!(smallest.singular_values().values(), [f64::from_bits(1); 2]);
    assert_eq!(smallest.rank(Tolerance::numpy(ElementType::F64)), 2);
}

/// The rank of `values` when all of them are multiplied by a power of two.
fn matrix_rank_scaled(
    values: &SingularValues,
    rule: Tolerance,
    scale: f64,
) -> Result<NumericalRank, RankError> {
    let matrix = Matrix::from_fn(values.rows(), values.columns(), |row, column| {
        if row == column {
            values.values()[row] * scale
        } else {
            0.0
        }
    });
    rank(matrix.view(), rule)
}

#[test]
fn values_beyond_f64_are_an_error() {
    let matrix = Matrix::from_fn(3, 3, |_, _| f64::MAX);
    assert_eq!(singular_values(matrix.view()), Err(RankError::Overflow));
    // One entry alone is its own singular value.
    let single = Matrix::from_fn(1, 1, |_, _| f64::MAX);
    assert_eq!(single.singular_values().values(), [f64::MAX]);
}

#[test]
fn bad_entries_are_named_by_row_and_column() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut matrix = Matrix::from_fn(3, 4, |row, column| (row * column) as f64);
        matrix.values[9] = bad;
        matrix.values[10] = f64::NAN;
        let Err(RankError::NonFinite { row, column, value }) = singular_values(matrix.view())
        else {
            panic!("accepted {bad}");
        };
        assert_eq!((row, column), (2, 1));
        assert_eq!(value.to_bits(), bad.to_bits());
    }
    let huge = Matrix::from_fn(1, 2, |_, _| 1.5e308);
    let opposite = huge.map(|value| -value);
    assert!(matches!(
        rank_of_difference(huge.view(), opposite.view(), Tolerance::GavishDonoho),
        Err(RankError::NonFinite {
            row: 0,
            column: 0,
            ..
        })
    ));
}

#[test]
fn wrong_shapes_and_tolerances_are_errors() {
    let values = [0.0_f32; 6];
    for (rows, columns) in [
        (2, 2),
        (7, 1),
        (0, 6),
        (usize::MAX, usize::MAX),
        (usize::MAX, 2),
    ] {
        let expected = RankError::Shape {
            values: 6,
            rows,
            columns,
        };
        assert_eq!(MatrixView::new(&values, rows, columns), Err(expected));
    }
    let wide = MatrixView::new(&values, 2, 3).unwrap();
    let tall = MatrixView::new(&values, 3, 2).unwrap();
    let error = rank_of_difference(wide, tall, Tolerance::GavishDonoho).unwrap_err();
    assert_eq!(error.to_string(), "cannot subtract matrices of 2x3 and 3x2");
    // Even where no entry is looked at.
    let error = rank(wide, Tolerance::Absolute(-1.0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid parameter -1 of tolerance absolute; expected a finite number of at least 0"
    );
}

#[test]
fn a_solver_survives_errors_and_changes_of_size() {
    let mut solver = SingularValueSolver::new();
    let matrices = [(4, 4), (9, 2), (0, 3), (1, 1), (12, 12), (2, 9)];
    for (seed, (rows, columns)) in (1..).zip(matrices) {
        let matrix = Matrix::from_source(rows, columns, &mut generator(seed));
        let found = solver.singular_values(matrix.view()).unwrap().clone();
        assert_eq!(found, matrix.singular_values());
        let broken = Matrix::from_fn(2, 2, |_, _| f64::NAN);
        assert!(solver.singular_values(broken.view()).is_err());
    }
    assert_eq!(solver.into_singular_values().values(), [0.0_f64; 0]);
}

/// A rank-8 update of a 96x96 matrix; `size` is the standard deviation of the update's entries
/// against that of the matrix.
fn update(size: f64, seed: u64) -> (Matrix, Matrix) {
    let side = 96;
    let before = Matrix::from_source(side, side, &mut normal(seed)).map(|value| 0.02 * value);
    let left = Matrix::from_source(side, 8, &mut normal(seed + 1));
    let right = Matrix::from_source(8, side, &mut normal(seed + 2));
    let change = left
        .times(&right)
        .map(|value| 0.02 * size * value / 8.0_f64.sqrt());
    (before, change)
}

#[cfg(feature = "half")]
fn noise_of(matrix: &Matrix, format: ElementType) -> mother::rank::RoundingNoise {
    let mut noise = mother::rank::RoundingNoise::new(format);
    noise.extend(&matrix.values).unwrap();
    noise
}

/// Both noise rules find the rank of an update after 16-bit storage, where NumPy's rule doesn't.
#[cfg(feature = "half")]
#[test]
fn low_rank_updates_are_seen_through_rounding() {
    type Round = fn(f64) -> f64;
    let formats: [(ElementType, f64, Round); 2] = [
        (ElementType::Bf16, 0.02, |value| {
            half::bf16::from_f64(value).to_f64()
        }),
        (ElementType::F16, 0.005, |value| {
            half::f16::from_f64(value).to_f64()
        }),
    ];
    for (seed, (format, size, round)) in (100..).step_by(10).zip(formats) {
        let (before, change) = update(size, seed);
        let stored = before.map(round);

        // Fine-tuned from the stored file: only the child was rounded afterwards.
        let child = stored.plus(&change).map(round);
        let single = noise_of(&child, format).deviation().unwrap();
        assert_low_rank(&child, &stored, single);

        // Both rounded on their own: two deviations are due, and one is too few.
        let sibling = before.plus(&change).map(round);
        let noise = noise_of(&sibling, format);
        let both = noise
            .deviation_of_difference(&noise_of(&stored, format))
            .unwrap();
        assert!((both / single / 2.0_f64.sqrt() - 1.0).abs() < 0.01);
        let counted = assert_low_rank(&sibling, &stored, both);
        let deviation = noise.deviation().unwrap();
        let wrong = counted
            .rank(Tolerance::RoundingNoise { deviation })
            .unwrap();
        assert!(wrong.value() > 8);
    }
}

#[cfg(feature = "half")]
fn assert_low_rank(child: &Matrix, parent: &Matrix, deviation: f64) -> SingularValues {
    let mut solver = SingularValueSolver::new();
    let values = solver
        .singular_values_of_difference(child.view(), parent.view())
        .unwrap();
    let rank = |tolerance| values.rank(tolerance).unwrap().value();
    assert_eq!(rank(Tolerance::RoundingNoise { deviation }), 8);
    assert_eq!(rank(Tolerance::GavishDonoho), 8);
    assert!(rank(Tolerance::numpy(ElementType::F32)) > 90);
    solver.into_singular_values()
}

/// With 32-bit storage NumPy's rule with the eps of f32 is enough.
#[test]
fn low_rank_updates_in_single_precision() {
    let (before, change) = update(0.05, 500);
    let store =
        |matrix: &Matrix| -> Vec<f32> { matrix.values.iter().map(|&value| value as f32).collect() };
    let parent = store(&before);
    let child = store(&before.plus(&change));
    let rank = rank_of_difference(
        MatrixView::new(&child, 96, 96).unwrap(),
        MatrixView::new(&parent, 96, 96).unwrap(),
        Tolerance::numpy(ElementType::F32),
    )
    .unwrap();
    assert_eq!((rank.value(), rank.method()), (8, Method::Svd));
}
