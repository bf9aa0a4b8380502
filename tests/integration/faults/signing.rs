//! Faults while models are signed: each costs its own model, and never another one.

use core::ops::ControlFlow;

use mother::evidence::{EvidenceError, SignatureComparison};
use mother::progress::{Cancelled, Phase, Progress};
use mother::signature::{ModelFailure, Signature, SignatureOptions};
use mother::weights::InMemoryModel;

use super::source::{Fault, Faulty};
use super::{NAMES, SHAPES, model, models_with};
use crate::noise::noise;

fn expected() -> Vec<Signature> {
    let sign = |index| SignatureOptions::new().sign(&model(index)).unwrap();
    (0..NAMES.len()).map(sign).collect()
}

fn sign_all(models: &[Faulty]) -> Vec<Result<Signature, ModelFailure>> {
    SignatureOptions::new().sign_all(models)
}

/// Everyone else's signature is what it is without the fault.
fn assert_others(found: &[Result<Signature, ModelFailure>], faulty: usize) {
    for (index, (found, expected)) in found.iter().zip(expected()).enumerate() {
        if index != faulty {
            assert_eq!(found.as_ref(), Ok(&expected), "{}", NAMES[index]);
        }
    }
}

#[test]
fn every_value_is_read_once() {
    let models = models_with(0, Fault::None);
    let found = sign_all(&models);
    assert_others(&found, usize::MAX);
    for model in &models {
        assert_eq!(model.log(), SHAPES.map(|(name, _)| name));
    }
}

#[test]
fn a_model_that_fails_at_any_read_is_lost_alone() {
    for faulty in 0..NAMES.len() {
        for (read, (layer, _)) in SHAPES.into_iter().enumerate() {
            for fault in [Fault::FailsAt(read), Fault::FailsFrom(read)] {
                let found = sign_all(&models_with(faulty, fault));
                let expected = ModelFailure::Reading {
                    layer: layer.into(),
                    reason: format!("read {read} failed").into(),
                };
                assert_eq!(found[faulty], Err(expected));
                assert_others(&found, faulty);
            }
            let found = sign_all(&models_with(faulty, Fault::ListingFailsAt(read)));
            let reason = format!("layer {read} cannot be listed").into();
            assert_eq!(found[faulty], Err(ModelFailure::Listing { reason }));
            assert_others(&found, faulty);
        }
    }
}

#[test]
fn values_that_a_source_leaves_out_cost_their_tensor() {
    for faulty in 0..NAMES.len() {
        for (read, (name, [rows, columns])) in SHAPES.into_iter().enumerate() {
            let found = sign_all(&models_with(faulty, Fault::ShortAt(read)));
            let signature = found[faulty].as_ref().unwrap();
            let [left_out] = signature.skipped_layers() else {
                panic!("{:?}", signature.skipped_layers());
            };
            assert_eq!(left_out.layer, name);
            let last = rows * columns - 1;
            assert_eq!(left_out.reason, format!("contains NaN at index {last}"));
            // The other tensor is what it was.
            let kept = expected()[faulty].tensors()[1 - read].clone();
            assert_eq!(signature.tensors(), [kept]);
            assert_others(&found, faulty);
        }
    }
}

/// Nothing is left of a model whose tensors all hold something that isn't a number.
#[test]
fn a_model_without_a_whole_tensor_fails() {
    let mut models: Vec<InMemoryModel<'_>> = (0..NAMES.len()).map(model).collect();
    models[1] = InMemoryModel::new("b");
    for (name, shape) in SHAPES {
        let mut values = noise(1, shape[0] * shape[1]);
        values[5] = f32::INFINITY;
        models[1] = models[1].clone().with_layer(name, shape, values).unwrap();
    }
    let found = SignatureOptions::new().sign_all(&models);
    assert_eq!(found[1], Err(ModelFailure::NoWeight));
    assert_others(&found, 1);
}

#[test]
fn a_slow_source_changes_nothing() {
    assert_others(&sign_all(&models_with(2, Fault::Slow)), usize::MAX);
}

/// All that an observer sees until it stops the work.
fn watched(
    steps: usize,
    mut work: impl FnMut(&mut dyn FnMut(Progress) -> ControlFlow<()>),
) -> Vec<Progress> {
    let mut seen = Vec::new();
    work(&mut |progress| {
        seen.push(progress);
        if seen.len() > steps {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    seen
}

/// Models of several rounds of reading.
fn long_models() -> Vec<InMemoryModel<'static>> {
    let long = |index: u64| {
        let values = noise(index, 600 * 1000);
        let model = InMemoryModel::new(format!("long-{index}"));
        model.with_layer("w", [600, 1000], values).unwrap()
    };
    (1..3).map(long).collect()
}

fn assert_monotone(seen: &[Progress], phase: Phase) {
    assert!(seen.iter().all(|progress| progress.phase == phase));
    assert!(seen.iter().all(|progress| progress.done <= progress.total));
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done));
    let last = seen.last().unwrap();
    assert_eq!(last.done, last.total);
}

#[test]
fn signing_can_be_watched_and_cancelled_at_any_step() {
    let models = long_models();
    let options = SignatureOptions::new();
    let all = watched(usize::MAX, |mut observer| {
        options.sign_all_observed(&models, &mut observer).unwrap();
    });
    assert!(all.len() > 1, "{all:?}");
    assert_monotone(&all, Phase::Reading);
    for steps in 0..all.len() {
        let seen = watched(steps, |mut observer| {
            let stopped = options.sign_all_observed(&models, &mut observer);
            assert_eq!(stopped, Err(Cancelled));
        });
        assert_eq!(seen, all[..=steps]);
    }
}

#[test]
fn comparing_can_be_watched_and_cancelled() {
    let signatures = expected();
    let comparison = SignatureComparison::new();
    let all = watched(usize::MAX, |mut observer| {
        comparison
            .compare_observed(&signatures, &mut observer)
            .unwrap();
    });
    assert_monotone(&all, Phase::Comparing);
    assert_eq!(all.last().unwrap().total, 6);
    watched(0, |mut observer| {
        let stopped = comparison.compare_observed(&signatures, &mut observer);
        assert_eq!(stopped, Err(EvidenceError::Cancelled));
    });
}

/// Squares of these weights overflow, which is nobody else's fault.
#[test]
fn a_tensor_whose_squares_overflow_is_left_out() {
    let model = |name, value: f64| {
        InMemoryModel::new(name)
            .with_layer("w", [2, 2], vec![value, 1.0, 2.0, 3.0])
            .unwrap()
            .with_layer("x", [2, 2], vec![1.0, 1.0, 2.0, 3.0])
            .unwrap()
    };
    let options = SignatureOptions::new();
    let expected = options.sign(&model("small", 4.0)).unwrap();
    for value in [f64::MAX, -f64::MAX, 1e200] {
        let found = options.sign_all(&[model("huge", value), model("small", 4.0)]);
        let huge = found[0].as_ref().unwrap();
        assert_eq!(huge.skipped_layers().len(), 1, "{value}");
        assert_eq!(huge.skipped_layers()[0].layer, "w");
        assert_eq!(found[1].as_ref(), Ok(&expected));
        let evidence = SignatureComparison::new().compare(&[huge.clone(), expected.clone()]);
        assert_eq!(evidence.unwrap().skipped_layers.len(), 1);
    }
}
