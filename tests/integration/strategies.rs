//! The strategies that other crates import.

use mother::arborescence::{Root, minimum_arborescence};
use mother::clustering::{Linkage, linkage};
use mother::evidence::Measurement;
use mother::heritage::Recovery;
use mother::strategies::{
    Family, FamilyOptions, Shape, Step, Ties, condensed_matrices, digraphs, families,
};
use proptest::prelude::*;

fn recovered(family: &Family) -> Vec<Option<usize>> {
    let evidence = Measurement::new().measure(&family.models).unwrap();
    let graph = Recovery::new().recover(&evidence).unwrap();
    (0..graph.len()).map(|model| graph.parent(model)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn chains_are_recovered(family in families(FamilyOptions::new(2..=8).with_shape(Shape::Chain).with_step(Step::Full))) {
        prop_assert_eq!(recovered(&family), family.parents);
    }

    #[test]
    fn stars_are_recovered(family in families(FamilyOptions::new(3..=8).with_shape(Shape::Star).with_step(Step::Full))) {
        prop_assert_eq!(recovered(&family), family.parents);
    }

    #[test]
    fn random_families_are_recovered(family in families(FamilyOptions::new(2..=8).with_shape(Shape::Random).with_step(Step::Full))) {
        prop_assert_eq!(recovered(&family), family.parents);
    }

    #[test]
    fn low_rank_steps_are_of_that_rank(family in families(FamilyOptions::new(2..=2).with_shape(Shape::Chain).with_step(Step::LowRank(3)))) {
        use mother::weights::{Layer, WeightSource};
        let read = |model: usize| {
            let layer = family.models[model].layers().next().unwrap().unwrap();
            let mut values = vec![0.0_f64; 120 * 96];
            layer.read(0, &mut values).unwrap();
            values
        };
        let view = |values| mother::rank::MatrixView::new(values, 120, 96).unwrap();
        let (parent, child) = (read(0), read(1));
        let tolerance = mother::rank::Tolerance::Absolute(1e-3);
        let rank = mother::rank::rank_of_difference(view(&child[..]), view(&parent[..]), tolerance);
        prop_assert_eq!(rank.unwrap().value(), 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn matrices_can_be_clustered(
        matrix in prop_oneof![
            condensed_matrices(1..=12, Ties::Unlikely),
            condensed_matrices(1..=12, Ties::Frequent),
        ],
    ) {
        for method in Linkage::ALL {
            let dendrogram = linkage(&matrix, method).unwrap();
            prop_assert_eq!(dendrogram.steps().len(), matrix.size() - 1);
        }
    }

    #[test]
    fn digraphs_have_an_arborescence_or_an_error(
        digraph in prop_oneof![
            digraphs(1..=8, Ties::Unlikely),
            digraphs(1..=8, Ties::Frequent),
        ],
    ) {
        if let Ok(tree) = minimum_arborescence(&digraph, Root::Any) {
            prop_assert_eq!(tree.edges().count(), digraph.size() - 1);
        }
    }
}
