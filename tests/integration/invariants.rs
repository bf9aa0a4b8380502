//! The invariants that other crates import, on what this one computes.

use mother::arborescence::{
    DenseDigraph, Root, minimum_arborescence, minimum_arborescence_certified,
};
use mother::clustering::{Linkage, linkage};
use mother::evidence::{Measurement, Score};
use mother::heritage::Recovery;
use mother::invariants::{
    Violation, arborescence, dendrogram, dual_certificate, monotone_heights, nested,
    recovered_forest, relabelled_distances, relabelled_parents, same_weights, scaled_distances,
    weight_source,
};
use mother::strategies::{
    Family, FamilyOptions, Ties, condensed_matrices, dendrograms, digraphs, families,
    in_memory_models, permutations, point_distances, scaled_model, translated_model,
    ultrametric_distances,
};
use mother::weights::InMemoryModel;
use proptest::prelude::*;

use crate::noise::noise;
use crate::signed;

fn distances() -> impl Strategy<Value = mother::condensed::CondensedMatrix> {
    prop_oneof![
        condensed_matrices(1..=12, Ties::Unlikely),
        condensed_matrices(1..=12, Ties::Frequent),
        point_distances(1..=12, Ties::Unlikely),
        point_distances(1..=12, Ties::Frequent),
    ]
}

fn renumbered_digraphs() -> impl Strategy<Value = (DenseDigraph, Vec<usize>)> {
    digraphs(1..=9, Ties::Unlikely).prop_flat_map(|digraph| {
        let order = permutations(digraph.size());
        (Just(digraph), order)
    })
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn linkages_give_dendrograms_and_nested_cuts(distances in distances()) {
        for method in Linkage::ALL {
            let found = linkage(&distances, method).unwrap();
            prop_assert_eq!(dendrogram(distances.size(), found.steps()), Ok(()));
            prop_assert_eq!(monotone_heights(method, found.steps()), Ok(()));
            for clusters in 2..=found.size() {
                let (finer, coarser) = (found.cut_into(clusters).unwrap(), found.cut_into(clusters - 1).unwrap());
                prop_assert_eq!(nested(finer.labels(), coarser.labels()), Ok(()));
            }
        }
    }

    #[test]
    fn ultrametric_distances_give_the_dendrogram_they_are_of(
        (distances, truth) in prop_oneof![
            ultrametric_distances(1..=12, Ties::Unlikely),
            ultrametric_distances(1..=12, Ties::Frequent),
        ],
    ) {
        for method in [Linkage::Single, Linkage::Complete, Linkage::Average, Linkage::Weighted] {
            let found = linkage(&distances, method).unwrap();
            for (found, truth) in found.steps().iter().zip(truth.steps()) {
                prop_assert!((found.height - truth.height).abs() <= 1e-12 * truth.height);
            }
            for step in truth.steps() {
                // Between the heights of the truth, where rounding can't matter.
                let height = step.height * (1.0 + 1e-9);
                prop_assert_eq!(found.cut_at(height), truth.cut_at(height));
            }
        }
    }

    #[test]
    fn stored_dendrograms_cut_alike_whatever_their_heights(found in dendrograms(1..=20, Ties::Frequent)) {
        for clusters in 1..=found.size() {
            prop_assert_eq!(found.cut_into(clusters).unwrap().count(), clusters);
        }
    }

    #[test]
    fn arborescences_are_proved_by_the_slow_check_too(
        digraph in prop_oneof![
            digraphs(1..=9, Ties::Unlikely),
            digraphs(1..=9, Ties::Frequent),
        ],
        root in 0..9_usize,
    ) {
        for root in [Root::Any, Root::At(root % digraph.size())] {
            let Ok((tree, certificate)) = minimum_arborescence_certified(&digraph, root) else {
                continue;
            };
            prop_assert_eq!(arborescence(&digraph, tree.parents()), Ok(()));
            let sets: Vec<_> = certificate.sets().collect();
            let proved = dual_certificate(&digraph, root, tree.parents(), &sets, 1e-13);
            prop_assert_eq!(proved, Ok(()));
        }
    }

    #[test]
    fn renumbered_nodes_have_the_renumbered_arborescence(
        (digraph, order) in renumbered_digraphs(),
    ) {
        let weight = |from: usize, to: usize| {
            digraph.weight(order[from], order[to]).unwrap_or(f64::INFINITY)
        };
        let renumbered = DenseDigraph::from_fn(digraph.size(), weight).unwrap();
        let found = minimum_arborescence(&digraph, Root::Any);
        let again = minimum_arborescence(&renumbered, Root::Any);
        if let (Ok(found), Ok(again)) = (&found, &again) {
            prop_assert_eq!(relabelled_parents(&order, found.parents(), again.parents()), Ok(()));
        }
        prop_assert_eq!(found.is_ok(), again.is_ok());
    }

    #[test]
    fn models_in_memory_keep_what_sources_promise(model in in_memory_models()) {
        prop_assert_eq!(weight_source(&model), Ok(()));
        prop_assert_eq!(same_weights(&model, &model.clone().with_name("other")), Ok(()));
        let shorter = InMemoryModel::new("none");
        let empty = mother::weights::WeightSource::layers(&model).next().is_none();
        prop_assert_eq!(same_weights(&model, &shorter).is_ok(), empty);
        prop_assert_eq!(same_weights(&shorter, &model).is_ok(), empty);
    }
}

fn small_families() -> impl Strategy<Value = (Family, Vec<usize>)> {
    let options = FamilyOptions::new(2..=6)
        .with_layers(2)
        .with_layer_shape(16, 12);
    families(options).prop_flat_map(|family| {
        let order = permutations(family.models.len());
        (Just(family), order)
    })
}

fn parents(models: &[InMemoryModel<'_>]) -> Result<Vec<Option<usize>>, Violation> {
    let evidence = signed::evidence(models);
    let graph = Recovery::new().recover(&evidence).unwrap();
    recovered_forest(&evidence, &graph)?;
    Ok((0..graph.len()).map(|model| graph.parent(model)).collect())
}

/// Distances are brought to one unit there, which is a mean over all pairs.
#[test]
fn other_names_change_no_distance_where_models_differ_in_what_they_share() {
    let base = noise(1, 7 * 96);
    let models: Vec<_> = (0..7_usize)
        .map(|lacking| {
            let moved = noise(2 + lacking as u64, base.len());
            let layers = (0..7).filter(|&layer| layer != lacking);
            layers.fold(InMemoryModel::new(format!("{lacking}")), |model, layer| {
                let rows = 2 * layer + 2;
                let values = (0..8 * rows).map(|at| base[96 * layer % 560 + at] + 0.1 * moved[at]);
                let name = format!("layer.{layer}.weight");
                model
                    .with_layer(name, [rows, 8], values.collect::<Vec<f32>>())
                    .unwrap()
            })
        })
        .collect();
    let distances =
        |models: &[InMemoryModel<'_>]| signed::evidence(models).groups[0].distances().clone();
    let before = distances(&models);
    for step in 1..7 {
        let order: Vec<usize> = (0..7).map(|position| step * position % 7).collect();
        let renamed: Vec<_> = (order.iter().enumerate())
            .map(|(position, &model)| models[model].clone().with_name(format!("{position}")))
            .collect();
        assert_eq!(
            relabelled_distances(&order, &before, &distances(&renamed)),
            Ok(())
        );
    }
}

proptest! {
    #![proptest_config(crate::cases(60))]

    #[test]
    fn other_names_change_nothing_but_names((family, order) in small_families()) {
        // Models are in the order of their names, so other names are another order.
        let renamed: Vec<_> = (order.iter().enumerate())
            .map(|(position, &model)| family.models[model].clone().with_name(format!("{position}")))
            .collect();
        let (before, after) = (signed::evidence(&family.models), signed::evidence(&renamed));
        let distances = |evidence: &mother::evidence::Evidence| evidence.groups[0].distances().clone();
        prop_assert_eq!(relabelled_distances(&order, &distances(&before), &distances(&after)), Ok(()));
        let (before, after) = (parents(&family.models).unwrap(), parents(&renamed).unwrap());
        prop_assert_eq!(relabelled_parents(&order, &before, &after), Ok(()));
    }

    #[test]
    fn another_unit_scales_distances_and_changes_no_parent(
        (family, _) in small_families(),
        exponent in -40..40_i32,
    ) {
        let scaled: Vec<_> = family.models.iter().map(|model| scaled_model(model, exponent)).collect();
        let (before, after) = (signed::evidence(&family.models), signed::evidence(&scaled));
        let factor = 2.0_f64.powi(exponent);
        let distances = (before.groups[0].distances(), after.groups[0].distances());
        prop_assert_eq!(scaled_distances(factor, distances.0, distances.1, 1e-12), Ok(()));
        prop_assert_eq!(before.groups[0].scores(), after.groups[0].scores());
        prop_assert_eq!(parents(&family.models), parents(&scaled));
    }

    #[test]
    fn another_origin_changes_neither_distances_nor_scores((family, _) in small_families()) {
        let double: Vec<_> = (family.models.iter())
            .map(|model| translated_model(model, 0.0))
            .collect();
        let moved: Vec<_> = double.iter().map(|model| translated_model(model, 0.5)).collect();
        for score in [Score::Kurtosis, Score::Variance, Score::Skewness] {
            let measure = |models: &[InMemoryModel<'_>]| {
                Measurement::new().with_score(score).measure(models).unwrap()
            };
            let (before, after) = (measure(&double), measure(&moved));
            let distances = (before.groups[0].distances(), after.groups[0].distances());
            // Sums are rounded to single precision, and steps are a fifth of the weights.
            prop_assert_eq!(scaled_distances(1.0, distances.0, distances.1, 1e-5), Ok(()));
            let scores = [&before, &after].map(|evidence| evidence.groups[0].scores().unwrap());
            for (before, after) in scores[0].iter().zip(scores[1]) {
                prop_assert!((before - after).abs() < 1e-4, "{} {}", before, after);
            }
        }
    }
}
