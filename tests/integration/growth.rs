//! Growth through the public API: against a dense oracle, and on steps whose direction is known.

use mother::evidence::{Evidence, GrowthMeasure, Measurement};
use mother::growth::{PooledGrowth, RankGrowth, RankedRows, RowSums};
use mother::weights::InMemoryModel;
use proptest::prelude::*;

use crate::noise::Noise;

/// ‖u‖², ‖v‖² and ‖v − u‖² of a row.
type Row = (f64, f64, f64);

fn sums(width: usize, rows: &[Row]) -> RowSums {
    let mut sums = RowSums::new();
    for &(before, after, moved) in rows {
        sums.add(width, before, after, moved);
    }
    sums
}

fn pooled(width: usize, matrices: &[Vec<Row>]) -> PooledGrowth {
    let mut pooled = PooledGrowth::new();
    for rows in matrices {
        pooled.add(&sums(width, rows));
    }
    pooled
}

/// β, κ of the weighted least squares of the rows, from their residuals' definition.
fn least_squares(rows: &[(Row, f64)], width: usize) -> (f64, f64) {
    let (mut a, mut b, mut c, mut p, mut r) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &((before, after, q), weight) in rows {
        let (g, s) = (after - before, (before + after) / 2.0);
        let w = weight * width as f64 / (4.0 * s * q);
        a += w * q * q;
        b += w * q * s;
        c += w * s * s;
        p += w * q * g;
        r += w * s * g;
    }
    let determinant = a * c - b * b;
    ((p * c - r * b) / determinant, (r * a - p * b) / determinant)
}

/// The same as [`PooledGrowth`] by its definition: every matrix is fitted, its residuals are
/// squared one by one, and all rows are fitted again with its weight.
fn oracle(matrices: &[Vec<Row>], width: usize) -> f64 {
    let mut all = Vec::new();
    for rows in matrices {
        let weighted: Vec<(Row, f64)> = rows.iter().map(|&row| (row, 1.0)).collect();
        let (beta, kappa) = least_squares(&weighted, width);
        let squares = rows.iter().map(|&(before, after, q)| {
            let s = (before + after) / 2.0;
            let residual = after - before - beta * q - kappa * s;
            residual * residual * width as f64 / (4.0 * s * q)
        });
        let variance = squares.sum::<f64>() / (rows.len() - 2) as f64;
        all.extend(rows.iter().map(|&row| (row, 1.0 / variance)));
    }
    least_squares(&all, width).0
}

fn ranked(rows: &[Row]) -> RankedRows {
    let mut ranked = RankedRows::new();
    for &(before, after, moved) in rows {
        ranked.add(before, after, moved);
    }
    ranked
}

/// Spearman's coefficient by its definition: Pearson's of ranks that are counted one by one.
fn spearman(rows: &[Row]) -> f64 {
    let rank = |value: f64, values: &[f64]| {
        let below = values.iter().filter(|&&other| other < value).count();
        let equal = values.iter().filter(|&&other| other == value).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    let ranks = |of: &dyn Fn(&Row) -> f64| {
        let values: Vec<f64> = rows.iter().map(of).collect();
        let ranks: Vec<f64> = values.iter().map(|&value| rank(value, &values)).collect();
        let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
        ranks
            .into_iter()
            .map(|rank| rank - mean)
            .collect::<Vec<f64>>()
    };
    let moved = ranks(&|&(before, after, moved)| moved / (before.sqrt() * after.sqrt()));
    let lengthened = ranks(&|&(before, after, _)| after.ln() - before.ln());
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    product(&moved, &lengthened)
        / (product(&moved, &moved) * product(&lengthened, &lengthened)).sqrt()
}

/// Rows of few lengths, so that many ranks are tied.
fn tied_rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (1..4_u8, 1..4_u8, 1..4_u8)
        .prop_map(|(before, after, moved)| (before.into(), after.into(), moved.into()));
    prop::collection::vec(row, 2..20)
}

fn matrices() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let row = (1.0..10.0_f64, -0.9..3.0_f64, 0.1..2.0_f64)
        .prop_map(|(before, growth, moved)| (before, before + growth, moved));
    prop::collection::vec(prop::collection::vec(row, 5..12), 1..6)
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn the_fit_is_that_of_least_squares(matrices in matrices(), width in 1..100_usize) {
        let expected = oracle(&matrices, width);
        let found = pooled(width, &matrices).coefficient().unwrap();
        // Both solve a two by two system whose determinant may cancel.
        prop_assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} {expected}");
    }

    #[test]
    fn exchanging_the_models_changes_the_sign_alone(matrices in matrices(), width in 1..100_usize) {
        let reverse: Vec<Vec<Row>> = matrices
            .iter()
            .map(|rows| rows.iter().map(|&(u, v, moved)| (v, u, moved)).collect())
            .collect();
        let (there, back) = (pooled(width, &matrices), pooled(width, &reverse));
        prop_assert_eq!(there.coefficient().unwrap(), -back.coefficient().unwrap());
        prop_assert_eq!(there.model_error(), back.model_error());
        prop_assert_eq!(there.layer_error(), back.layer_error());
    }

    #[test]
    fn the_rank_correlation_is_that_of_its_definition(
        rows in prop_oneof![matrices().prop_map(|matrices| matrices[0].clone()), tied_rows()],
    ) {
        let reverse: Vec<Row> = rows.iter().map(|&(u, v, moved)| (v, u, moved)).collect();
        match ranked(&rows).correlation() {
            None => prop_assert!(spearman(&rows).is_nan()),
            Some(found) => {
                // The oracle rounds the square root of a product of sums.
                prop_assert!((found - spearman(&rows)).abs() < 1e-12);
                prop_assert_eq!(ranked(&reverse).correlation(), Some(-found));
            }
        }
    }

    #[test]
    fn scaling_the_weights_changes_nothing(matrices in matrices(), exponent in -40..40_i32) {
        let factor = 2.0_f64.powi(exponent);
        let scaled: Vec<Vec<Row>> = matrices
            .iter()
            .map(|rows| rows.iter().map(|&(u, v, q)| (u * factor, v * factor, q * factor)).collect())
            .collect();
        prop_assert_eq!(pooled(7, &matrices).coefficient(), pooled(7, &scaled).coefficient());
    }
}

const LAYERS: usize = 4;
const ROWS: usize = 64;
const WIDTH: usize = 96;

type Weights = Vec<Vec<f32>>;

fn random(noise: &mut Noise) -> Weights {
    let layer = |noise: &mut Noise| (0..ROWS * WIDTH).map(|_| noise.next() as f32).collect();
    (0..LAYERS).map(|_| layer(noise)).collect()
}

/// A step of so much of the norm, of another length in every row, after decay.
fn step(from: &Weights, length: f64, decay: f64, noise: &mut Noise) -> Weights {
    let mut next = from.clone();
    for layer in &mut next {
        for row in layer.chunks_mut(WIDTH) {
            let length = length * noise.next().exp();
            for weight in row {
                *weight = (f64::from(*weight) * (1.0 - decay) + length * noise.next()) as f32;
            }
        }
    }
    next
}

fn model(name: &str, weights: &Weights) -> InMemoryModel<'static> {
    let mut model = InMemoryModel::new(name);
    for (layer, values) in weights.iter().enumerate() {
        let values = values.clone();
        model = model
            .with_layer(format!("layer.{layer}"), [ROWS, WIDTH], values)
            .unwrap();
    }
    model
}

fn measure(models: &[InMemoryModel<'_>]) -> Evidence {
    Measurement::new().measure(models).unwrap()
}

#[test]
fn a_child_grew_out_of_its_parent_whatever_the_decay() {
    for (seed, length, decay) in [
        (1, 0.1, 0.0),
        (2, 0.1, 0.01),
        (3, 0.05, 0.002),
        (4, 0.2, 0.01),
    ] {
        let mut noise = Noise::new(seed);
        let base = random(&mut noise);
        let child = step(&base, length, decay, &mut noise);
        let grandchild = step(&child, length, decay, &mut noise);
        let models = [
            model("a", &grandchild),
            model("b", &base),
            model("c", &child),
        ];
        let evidence = measure(&models);
        let growth = evidence.groups[0].growth().unwrap();
        for (parent, descendant) in [(1, 2), (2, 0), (1, 0)] {
            let beta = growth.coefficient(parent, descendant).unwrap();
            let error = growth.model_error(parent, descendant).unwrap();
            assert!(
                (beta - 1.0).abs() < 5.0 * error.max(0.02),
                "{seed} {beta} ± {error}"
            );
            assert_eq!(growth.coefficient(descendant, parent), Some(-beta));
        }
    }
}

#[test]
fn ranks_tell_the_direction_of_noisy_rows_too() {
    let mut noise = Noise::new(8);
    let (base, mut growth) = (random(&mut noise), RankGrowth::new());
    let mut child = step(&base, 0.1, 0.01, &mut noise);
    for (before, after) in base.iter().zip(&mut child) {
        // One row of every matrix loses nearly all that it had.
        for weight in &mut after[..WIDTH] {
            *weight *= 0.01;
        }
        let mut rows = RankedRows::new();
        for (before, after) in before.chunks(WIDTH).zip(after.chunks(WIDTH)) {
            let squares = |values: &[f32]| values.iter().map(|&w| f64::from(w).powi(2)).sum();
            let moved: Vec<f32> = before.iter().zip(after).map(|(u, v)| v - u).collect();
            rows.add(squares(before), squares(after), squares(&moved));
        }
        assert_eq!(rows.rows(), ROWS);
        growth.add(&rows);
    }
    // By the size of the error, ranks alone would be as high as this once in a million times.
    assert!(
        growth.correlation().unwrap() > 5.0 * growth.standard_error(),
        "{growth:?}"
    );
}

#[test]
fn between_siblings_growth_says_how_far_each_is_from_their_parent() {
    let mut noise = Noise::new(5);
    let base = random(&mut noise);
    let (near, far) = (
        step(&base, 0.05, 0.0, &mut noise),
        step(&base, 0.1, 0.0, &mut noise),
    );
    let evidence = measure(&[model("far", &far), model("near", &near)]);
    let beta = evidence.groups[0]
        .growth()
        .unwrap()
        .coefficient(1, 0)
        .unwrap();
    // Rows of any length have the same expected ratio, (0.1² − 0.05²) / (0.1² + 0.05²) = 0.6.
    assert!(beta > 0.3 && beta < 0.9, "{beta}");
}

#[test]
fn copies_and_single_models_have_no_growth() {
    let mut noise = Noise::new(6);
    let base = random(&mut noise);
    let evidence = measure(&[model("a", &base), model("b", &base)]);
    assert_eq!(
        evidence.groups[0].growth().unwrap().coefficient(0, 1),
        Some(0.0)
    );
    let alone = measure(&[model("a", &base)]);
    assert_eq!(alone.groups[0].growth(), None);
    let left_out = Measurement::new().with_growth(GrowthMeasure::LeftOut);
    let evidence = left_out
        .measure(&[model("a", &base), model("b", &base)])
        .unwrap();
    assert_eq!(evidence.groups[0].growth(), None);
}

#[test]
fn nothing_depends_on_the_size_of_the_buffer() {
    let mut noise = Noise::new(7);
    let long = |noise: &mut Noise| {
        (0..2 * 9001)
            .map(|_| noise.next() as f32)
            .collect::<Vec<_>>()
    };
    let models: Vec<InMemoryModel<'_>> = (0..5)
        .map(|index| {
            let weights = random(&mut noise);
            let model = model(&format!("{index}"), &weights);
            model
                .with_layer("long", [2, 9001], long(&mut noise))
                .unwrap()
        })
        .collect();
    let expected = measure(&models);
    for bytes in [0, 100_000, 163_840, 999_999, usize::MAX] {
        let found = Measurement::new()
            .with_buffer_size(bytes)
            .measure(&models)
            .unwrap();
        assert_eq!(found, expected, "{bytes}");
    }
}
