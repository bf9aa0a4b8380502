//! Sources that fail, leave values out, change or dawdle: each model that is lost is named, and the
//! others are measured as if it had not been there.

mod signing;
mod source;

use core::ops::ControlFlow;

#[cfg(feature = "svd")]
use mother::evidence::Distance;
use mother::evidence::{Evidence, EvidenceError, Measurement, OnFailure, Score};
use mother::progress::{Phase, Progress};
use mother::signature::{ModelFailure, SkippedModel};
use mother::weights::InMemoryModel;

use self::source::{Fault, Faulty};
use crate::noise::noise;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const SHAPES: [(&str, [usize; 2]); 2] = [("first", [4, 61]), ("second", [5, 40])];

/// A root, its child, a copy of the child that was cut to 16 bits, and a stranger.
fn weights(model: usize, layer: usize) -> Vec<f32> {
    let [rows, columns] = SHAPES[layer].1;
    let own = |model: usize| noise((10 * model + layer) as u64 + 1, rows * columns);
    let child = || {
        let steps = own(1).into_iter().map(|step| 0.1 * step);
        own(0)
            .into_iter()
            .zip(steps)
            .map(|(weight, step)| weight + step)
    };
    match model {
        1 => child().collect(),
        2 => child()
            .map(|weight| f32::from_bits(weight.to_bits() & 0xFFFF_0000))
            .collect(),
        _ => own(model),
    }
}

fn model(index: usize) -> InMemoryModel<'static> {
    let mut model = InMemoryModel::new(NAMES[index]);
    for (layer, (name, shape)) in SHAPES.into_iter().enumerate() {
        model = model
            .with_layer(name, shape, weights(index, layer))
            .unwrap();
    }
    model
}

/// All the models, one of which has a fault.
fn models_with(faulty: usize, fault: Fault) -> Vec<Faulty> {
    (0..NAMES.len())
        .map(|index| {
            let fault = if index == faulty { fault } else { Fault::None };
            Faulty::new(model(index), fault)
        })
        .collect()
}

/// Measurements that read a layer once, and twice for a histogram or for ranks.
fn measurements() -> Vec<Measurement> {
    let small = Measurement::new().with_buffer_size(0);
    vec![
        small.clone(),
        small.clone().with_score(Score::Entropy),
        #[cfg(feature = "svd")]
        small.clone().with_distance(Distance::Rank {
            tolerance: None,
            over_layers: mother::evidence::RankOverLayers::Maximum,
        }),
        Measurement::new(),
    ]
}

/// Every bit of it, signs of zeros too.
fn bits(evidence: &Evidence) -> String {
    format!("{:?} {:?}", evidence.groups, evidence.skipped_layers)
}

fn without(measurement: &Measurement, left_out: &[usize]) -> String {
    let kept = (0..NAMES.len()).filter(|index| !left_out.contains(index));
    let models: Vec<InMemoryModel<'_>> = kept.map(model).collect();
    bits(&measurement.measure(&models).unwrap())
}

/// How often the model is read when nothing is wrong.
fn reads(measurement: &Measurement, model: usize) -> usize {
    let models = models_with(model, Fault::None);
    let evidence = measurement.measure(&models).unwrap();
    assert!(evidence.skipped.is_empty());
    models[model].log().len()
}

/// The model is named, with a layer whose reading failed: threads may read several at once.
fn assert_lost(lost: &SkippedModel, name: &str, read: usize, log: &[String]) {
    assert_eq!(lost.model, name);
    match &lost.failure {
        ModelFailure::Reading { layer, reason } => {
            assert!(log[read..].contains(layer), "{layer}: {log:?} from {read}");
            assert_eq!(reason.to_string(), format!("read {read} failed"));
            // The source's own error is kept.
            let source = core::error::Error::source(&lost.failure);
            assert!(source.is_some_and(|error| error.is::<self::source::Failure>()));
        }
        failure => panic!("{failure}"),
    }
}

#[test]
fn a_model_that_fails_at_any_read_is_named_and_the_rest_is_as_without_it() {
    let mut cases = 0;
    for measurement in measurements() {
        let stop = measurement.clone().with_on_failure(OnFailure::Stop);
        for (faulty, name) in NAMES.into_iter().enumerate() {
            let expected = without(&measurement, &[faulty]);
            let reads = reads(&measurement, faulty);
            assert!(reads >= SHAPES.len());
            for read in 0..reads {
                for fault in [Fault::FailsAt(read), Fault::FailsFrom(read)] {
                    let models = models_with(faulty, fault);
                    let evidence = measurement.measure(&models).unwrap();
                    let [lost] = &evidence.skipped[..] else {
                        panic!("{:?}", evidence.skipped);
                    };
                    assert_lost(lost, name, read, &models[faulty].log());
                    assert_eq!(bits(&evidence), expected, "{name} {read}");

                    let models = models_with(faulty, fault);
                    match stop.measure(&models).unwrap_err() {
                        EvidenceError::Model(lost) => {
                            assert_lost(&lost, name, read, &models[faulty].log());
                        }
                        error => panic!("{error}"),
                    }
                    cases += 1;
                }
            }
            let models = models_with(faulty, Fault::FailsFrom(reads));
            assert_eq!(
                bits(&measurement.measure(&models).unwrap()),
                without(&measurement, &[])
            );
        }
    }
    let reads_once = NAMES.len() * SHAPES.len() * measurements().len();
    assert!(cases >= 2 * reads_once, "{cases}");
}

#[test]
fn a_model_that_can_not_be_listed_is_named() {
    for measurement in measurements() {
        for (faulty, name) in NAMES.into_iter().enumerate() {
            for layer in 0..SHAPES.len() {
                let models = models_with(faulty, Fault::ListingFailsAt(layer));
                let evidence = measurement.measure(&models).unwrap();
                let failure = ModelFailure::Listing {
                    reason: format!("layer {layer} cannot be listed").into(),
                };
                let model = name.into();
                assert_eq!(evidence.skipped, [SkippedModel { model, failure }]);
                assert_eq!(bits(&evidence), without(&measurement, &[faulty]));
            }
        }
    }
}

#[test]
fn values_that_a_source_leaves_out_are_not_those_of_another_layer() {
    for measurement in measurements() {
        for (faulty, name) in NAMES.into_iter().enumerate() {
            for read in 0..reads(&measurement, faulty) {
                let models = models_with(faulty, Fault::ShortAt(read));
                let evidence = measurement.measure(&models).unwrap();
                let lost = &evidence.skipped;
                assert!(
                    matches!(
                        &lost[..],
                        [SkippedModel { model, failure: ModelFailure::NotFinite { layer, value, .. } }]
                            if model == name && *layer == models[faulty].log()[read] && value == "NaN"
                    ),
                    "{lost:?}"
                );
                assert_eq!(bits(&evidence), without(&measurement, &[faulty]));
            }
        }
    }
}

/// Where a layer is read again, its values must be what they were when it was read first.
#[test]
fn a_layer_that_changes_between_two_reads_is_named() {
    let mut found = 0;
    for measurement in measurements() {
        let expected = without(&measurement, &[]);
        for (faulty, name) in NAMES.into_iter().enumerate() {
            for read in 0..reads(&measurement, faulty) {
                let models = models_with(faulty, Fault::ChangesAt(read));
                let evidence = measurement.measure(&models).unwrap();
                let log = models[faulty].log();
                if let [lost] = &evidence.skipped[..] {
                    assert_eq!(lost.model, name);
                    assert!(
                        matches!(lost.failure, ModelFailure::Changed { .. }),
                        "{lost}"
                    );
                    assert_eq!(bits(&evidence), without(&measurement, &[faulty]));
                    found += 1;
                    continue;
                }
                // Not seen: then no value that was read before the change was read after it.
                assert!(evidence.skipped.is_empty());
                let again = log[read..].iter().any(|layer| log[..read].contains(layer));
                let at_once = measurement == Measurement::new();
                assert!(!(again && at_once), "{name} {read}");
                assert_ne!(bits(&evidence), expected);
            }
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn several_models_that_fail_are_each_named_once() {
    for measurement in measurements() {
        let mut models = models_with(1, Fault::FailsAt(1));
        models[3] = Faulty::new(model(3), Fault::FailsAt(0));
        let evidence = measurement.measure(&models).unwrap();
        let names: Vec<&str> = (evidence.skipped.iter())
            .map(|skipped| skipped.model.as_str())
            .collect();
        assert_eq!(names, ["b", "d"]);
        assert_eq!(bits(&evidence), without(&measurement, &[1, 3]));

        let all = (0..4).map(|index| Faulty::new(model(index), Fault::FailsFrom(0)));
        let evidence = measurement.measure(&all.collect::<Vec<_>>()).unwrap();
        assert_eq!((evidence.groups.len(), evidence.skipped.len()), (0, 4));
    }
}

#[test]
fn a_slow_source_changes_nothing() {
    for measurement in measurements() {
        let models = models_with(2, Fault::Slow);
        let evidence = measurement.measure(&models).unwrap();
        assert_eq!(bits(&evidence), without(&measurement, &[]));
    }
}

/// All that an observer is told, until it stops the measurement.
fn watched(
    measurement: &Measurement,
    models: &[Faulty],
    steps: usize,
) -> (Result<Evidence, EvidenceError>, Vec<Progress>) {
    let mut seen = Vec::new();
    let mut observer = |progress: Progress| {
        seen.push(progress);
        if seen.len() > steps {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let measured = measurement.measure_observed(models, &mut observer);
    (measured, seen)
}

#[test]
fn a_measurement_cancelled_at_any_step_leaves_nothing_behind() {
    for measurement in measurements() {
        let expected = without(&measurement, &[1]);
        for fault in [Fault::FailsAt(0), Fault::FailsAt(1)] {
            let all = watched(&measurement, &models_with(1, fault), usize::MAX)
                .1
                .len();
            for steps in 0..all {
                let models = models_with(1, fault);
                let (stopped, seen) = watched(&measurement, &models, steps);
                assert_eq!(stopped.unwrap_err(), EvidenceError::Cancelled);
                assert_eq!(seen.len(), steps + 1);
                models.iter().for_each(Faulty::forget);
                let evidence = measurement.measure(&models).unwrap();
                assert_eq!(bits(&evidence), expected, "{steps}");
            }
        }
    }
}

#[test]
fn progress_never_goes_back_and_ends_at_its_total() {
    for measurement in measurements() {
        for fault in [Fault::None, Fault::FailsAt(0), Fault::FailsAt(1)] {
            let (_, seen) = watched(&measurement, &models_with(1, fault), usize::MAX);
            assert!(seen.iter().all(|progress| progress.done <= progress.total));
            assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done));
            let last = seen.last().unwrap();
            assert_eq!(last.done, last.total);
            assert!(
                seen.iter()
                    .any(|progress| progress.phase == Phase::Comparing)
            );
        }
    }
}

/// Squares of these weights overflow, which is nobody else's fault.
#[test]
fn a_model_whose_squares_overflow_does_not_cost_the_others() {
    let small =
        |name, value| InMemoryModel::new(name).with_layer("w", [2, 2], vec![value, 1.0, 2.0, 3.0]);
    let huge = |scale: f64| small("huge", scale).unwrap();
    let others = [small("x", 4.0_f64).unwrap(), small("y", 5.0).unwrap()];
    let expected = Measurement::new().measure(&others).unwrap();
    let limit = f64::MAX.sqrt();
    for scale in [f64::MAX, -f64::MAX, 1e200, 1.0001 * limit] {
        let models = [others[0].clone(), huge(scale), others[1].clone()];
        let evidence = Measurement::new().measure(&models).unwrap();
        let model = "huge".into();
        let failure = ModelFailure::Overflow;
        assert_eq!(
            evidence.skipped,
            [SkippedModel { model, failure }],
            "{scale}"
        );
        assert_eq!(evidence.groups, expected.groups);
    }
    // Here only the difference overflows: the larger of the two is left out.
    let models = [
        huge(-0.8 * limit),
        small("large", 0.9 * limit).unwrap(),
        others[0].clone(),
    ];
    let evidence = Measurement::new().measure(&models).unwrap();
    assert_eq!(evidence.skipped.len(), 1);
    assert_eq!(evidence.skipped[0].model, "large");
}

/// Otherwise strangers could make a measurement as long as they like.
#[test]
fn models_that_fail_one_after_the_other_are_found_in_one_pass() {
    let count = 30;
    let faulty = |index: usize| {
        let mut values = noise(index as u64, 40 * 8);
        if index < count {
            values[8 * index + 3] = f32::NAN;
        }
        let model = InMemoryModel::new(format!("{index:02}"));
        let model = model.with_layer("w", [40, 8], values).unwrap();
        Faulty::new(model, Fault::None)
    };
    let models: Vec<Faulty> = (0..count + 3).map(faulty).collect();
    let measurement = Measurement::new().with_buffer_size(0);
    let evidence = measurement.measure(&models).unwrap();
    assert_eq!(evidence.skipped.len(), count);
    let good: Vec<Faulty> = (count..count + 3).map(faulty).collect();
    assert_eq!(bits(&evidence), bits(&measurement.measure(&good).unwrap()));
    for (index, model) in models.iter().enumerate() {
        // Once until the first fails, once to the end, and once more without those that fail.
        let most = if index < count { 2 + index } else { 3 * 40 };
        assert!(model.log().len() <= most, "{index}: {}", model.log().len());
    }
}
