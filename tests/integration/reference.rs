//! Whole tables of evidence against an independent implementation in NumPy and SciPy, on the embedded zoo of real
//! models.

use std::path::Path;

use mother::evidence::{Distance, Evidence, LayerSelection, Measurement, RankOverLayers};
use mother::files::find_models;
use mother::heritage::{Recovery, Trees};
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Reference {
    layers: Option<Vec<String>>,
    score_layers: Option<Vec<String>>,
    layers_used: Vec<String>,
    order: Vec<String>,
    kurtosis: HashMap<String, f64>,
    l2_condensed: Option<Vec<f64>>,
    rank_max_condensed: Option<Vec<f64>>,
    rank_sum_condensed: Option<Vec<f64>>,
    clusters: usize,
    clusters_found: HashMap<String, usize>,
}

fn selection(globs: Option<&Vec<String>>) -> LayerSelection {
    let globs = globs.into_iter().flatten();
    globs.fold(LayerSelection::new(), |selection, glob| {
        selection.with_glob(glob.as_str())
    })
}

fn measure(folder: &Path, reference: &Reference, distance: Distance) -> Evidence {
    let models: Vec<_> = find_models([folder])
        .unwrap()
        .models
        .iter()
        .map(|model| model.open().unwrap())
        .collect();
    Measurement::new()
        .with_distance(distance)
        .with_layers(selection(reference.layers.as_ref()))
        .with_score_layers(selection(reference.score_layers.as_ref()))
        .measure(&models)
        .unwrap()
}

/// Every pair's distance, in the reference's order.
fn check_distances(evidence: &Evidence, reference: &Reference, expected: &[f64], tolerance: f64) {
    let group = &evidence.groups[0];
    let position = |name: &String| group.position(name).unwrap();
    let order: Vec<usize> = reference.order.iter().map(position).collect();
    let found = group.distances().select(&order).unwrap();
    assert_eq!(found.values().len(), expected.len());
    for ((first, second, found), &expected) in found.pairs().zip(expected) {
        let names = (&reference.order[first], &reference.order[second]);
        assert!(
            (found - expected).abs() <= tolerance * expected,
            "{names:?}: {found}, expected {expected}"
        );
    }
}

fn check(folder: &Path) {
    let text = std::fs::read_to_string(folder.join("reference.json")).unwrap();
    let reference: Reference = serde_json::from_str(&text).unwrap();
    if let Some(expected) = &reference.l2_condensed {
        let evidence = measure(folder, &reference, Distance::L2);
        assert_eq!(evidence.groups[0].layers(), reference.layers_used);
        check_distances(&evidence, &reference, expected, 1e-6);
        check_scores(&evidence, &reference);
        check_clusters(&evidence, &reference);
    }
    let ranks = [
        (RankOverLayers::Maximum, &reference.rank_max_condensed),
        (RankOverLayers::Sum, &reference.rank_sum_condensed),
    ];
    for (over_layers, expected) in ranks {
        if let Some(expected) = expected {
            let distance = Distance::Rank {
                tolerance: None,
                over_layers,
            };
            let evidence = measure(folder, &reference, distance);
            check_distances(&evidence, &reference, expected, 0.0);
            check_scores(&evidence, &reference);
        }
    }
}

fn check_scores(evidence: &Evidence, reference: &Reference) {
    let group = &evidence.groups[0];
    for (name, &found) in group.models().iter().zip(group.scores().unwrap()) {
        let expected = reference.kurtosis[name];
        assert!(
            (found - expected).abs() <= 1e-9 * expected,
            "{name}: {found}, expected {expected}"
        );
    }
}

fn check_clusters(evidence: &Evidence, reference: &Reference) {
    let recovery = Recovery::paper().with_trees(Trees::Count(reference.clusters));
    let found = recovery.clusters(evidence).unwrap();
    let models = evidence.groups[0].models();
    for (first, &label) in models.iter().zip(found[0].labels()) {
        for (second, &other) in models.iter().zip(found[0].labels()) {
            let together = reference.clusters_found[first] == reference.clusters_found[second];
            assert_eq!(label == other, together, "{first} {second}");
        }
    }
}

#[test]
fn the_zoo_is_as_the_reference() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/zoo"));
}
