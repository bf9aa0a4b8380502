//! Growth through the public API: against a dense oracle, and on steps whose direction is known.

use mother::growth::{MatrixGrowth, PooledGrowth, Step};
use mother::weights::InMemoryModel;
use proptest::prelude::*;

use crate::noise::Noise;
use crate::signed;

fn pooled(matrices: &[Vec<Step>]) -> PooledGrowth {
    let mut pooled = PooledGrowth::new();
    for steps in matrices {
        pooled.add(&MatrixGrowth::new(steps));
    }
    pooled
}

/// β, κ of the weighted least squares of the groups, from their residuals' definition.
fn least_squares(steps: &[(Step, f64)]) -> (f64, f64) {
    let (mut a, mut b, mut c, mut p, mut r) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &(step, weight) in steps {
        let (g, s) = (step.after - step.before, (step.before + step.after) / 2.0);
        let q = step.moved;
        let w = weight * step.values as f64 / (4.0 * s * q);
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
/// squared one by one, and all groups are fitted again with its weight.
fn oracle(matrices: &[Vec<Step>]) -> f64 {
    let mut all = Vec::new();
    for steps in matrices {
        let weighted: Vec<(Step, f64)> = steps.iter().map(|&step| (step, 1.0)).collect();
        let (beta, kappa) = least_squares(&weighted);
        let squares = steps.iter().map(|step| {
            let s = (step.before + step.after) / 2.0;
            let residual = step.after - step.before - beta * step.moved - kappa * s;
            residual * residual * step.values as f64 / (4.0 * s * step.moved)
        });
        let variance = squares.sum::<f64>() / (steps.len() - 2) as f64;
        all.extend(steps.iter().map(|&step| (step, 1.0 / variance)));
    }
    least_squares(&all).0
}

/// Matrices whose groups have different numbers of values, as the last one of a matrix has.
fn matrices() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = (1..100_usize, 1.0..10.0_f64, -0.9..3.0_f64, 0.1..2.0_f64);
    let step = step.prop_map(|(values, before, growth, moved)| Step {
        values,
        before,
        after: before + growth,
        moved,
    });
    prop::collection::vec(prop::collection::vec(step, 5..12), 1..6)
}

/// The same change to every step.
fn map(matrices: &[Vec<Step>], change: impl Fn(Step) -> Step) -> Vec<Vec<Step>> {
    let matrix = |steps: &Vec<Step>| steps.iter().map(|&step| change(step)).collect();
    matrices.iter().map(matrix).collect()
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn the_fit_is_that_of_least_squares(matrices in matrices()) {
        let expected = oracle(&matrices);
        let found = pooled(&matrices).coefficient().unwrap();
        // Both solve a two by two system whose determinant may cancel.
        prop_assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} {expected}");
    }

    #[test]
    fn exchanging_the_models_changes_the_sign_alone(matrices in matrices()) {
        let reverse = map(&matrices, |step| Step { before: step.after, after: step.before, ..step });
        let (there, back) = (pooled(&matrices), pooled(&reverse));
        prop_assert_eq!(there.coefficient().unwrap(), -back.coefficient().unwrap());
        prop_assert_eq!(there.model_error(), back.model_error());
        prop_assert_eq!(there.layer_error(), back.layer_error());
    }

    #[test]
    fn scaling_the_weights_changes_nothing(matrices in matrices(), exponent in -40..40_i32) {
        let factor = 2.0_f64.powi(exponent);
        let scaled = map(&matrices, |step| Step {
            before: factor * step.before,
            after: factor * step.after,
            moved: factor * step.moved,
            ..step
        });
        prop_assert_eq!(pooled(&matrices).coefficient(), pooled(&scaled).coefficient());
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
        let evidence = signed::evidence(&models);
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
fn between_siblings_growth_says_how_far_each_is_from_their_parent() {
    let mut noise = Noise::new(5);
    let base = random(&mut noise);
    let (near, far) = (
        step(&base, 0.05, 0.0, &mut noise),
        step(&base, 0.1, 0.0, &mut noise),
    );
    let evidence = signed::evidence(&[model("far", &far), model("near", &near)]);
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
    let evidence = signed::evidence(&[model("a", &base), model("b", &base)]);
    assert_eq!(
        evidence.groups[0].growth().unwrap().coefficient(0, 1),
        Some(0.0)
    );
    let alone = signed::evidence(&[model("a", &base)]);
    assert_eq!(alone.groups[0].growth(), None);
}
