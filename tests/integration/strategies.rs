//! The strategies that other crates import.

use mother::arborescence::{Root, minimum_arborescence};
use mother::clustering::{Linkage, linkage};
use mother::heritage::Recovery;
use mother::strategies::{
    Family, FamilyOptions, Shape, Step, Ties, condensed_matrices, digraphs, families,
};
use mother::weights::ElementType;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::signed;

fn recovered(family: &Family) -> Vec<Option<usize>> {
    let evidence = signed::evidence(&family.models);
    let graph = Recovery::new().recover(&evidence).unwrap();
    (0..graph.len()).map(|model| graph.parent(model)).collect()
}

proptest! {
    #![proptest_config(crate::cases(20))]

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
    #![proptest_config(crate::cases(1000))]

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

/// The options one by one, and what must still be recovered.
fn options() -> Vec<FamilyOptions> {
    let family = || FamilyOptions::new(3..=9);
    vec![
        family().with_trees(1..=3),
        family().with_shape(Shape::Branching(2)),
        family().with_layers(3).with_layer_shape(64, 48),
        family().with_element_type(ElementType::F64),
        family().with_noise(0.02),
        family().with_pruned(0.3),
        family().with_quantised(255),
        family().with_step_size(0.2),
        family().with_step(Step::LowRank(4)),
        #[cfg(feature = "half")]
        family().with_element_type(ElementType::Bf16),
        #[cfg(feature = "half")]
        family()
            .with_element_type(ElementType::F16)
            .with_trees(2..=2),
    ]
}

#[test]
fn families_of_any_make_are_recovered() {
    for options in options() {
        let config = ProptestConfig {
            failure_persistence: None,
            ..crate::cases(8)
        };
        let strategy = families(options.clone());
        let tested = TestRunner::new_with_rng(
            config,
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        )
        .run(&strategy, |family| {
            prop_assert_eq!(recovered(&family), family.parents);
            Ok(())
        });
        if let Err(error) = tested {
            panic!("{options:?}: {error}");
        }
    }
}

#[test]
fn shrinking_a_family_keeps_the_remaining_models() {
    let mut runner = TestRunner::deterministic();
    for shape in [
        Shape::Chain,
        Shape::Star,
        Shape::Random,
        Shape::Branching(3),
    ] {
        let options = FamilyOptions::new(2..=9)
            .with_shape(shape)
            .with_layer_shape(4, 3);
        let mut tree = families(options).new_tree(&mut runner).unwrap();
        let mut before = tree.current();
        while tree.simplify() {
            let after = tree.current();
            let kept = after.models.len();
            if after.trees == before.trees[..kept] {
                assert_eq!(after.models, before.models[..kept]);
                assert_eq!(after.parents, before.parents[..kept]);
            }
            before = after;
        }
        assert_eq!(before.models.len(), 2);
    }
}

#[test]
fn published_models_follow_the_options() {
    use mother::weights::{ElementType, Layer, WeightSource};
    let mut runner = TestRunner::deterministic();
    let options = FamilyOptions::new(2..=2)
        .with_layers(2)
        .with_pruned(0.25)
        .with_quantised(15);
    let family = families(options).new_tree(&mut runner).unwrap().current();
    for model in &family.models {
        for layer in model.layers() {
            let layer = layer.unwrap();
            assert_eq!(layer.element_type(), ElementType::F32);
            let mut values = vec![0.0_f32; 120 * 96];
            layer.read(0, &mut values).unwrap();
            let zeros = values.iter().filter(|&&value| value == 0.0).count();
            assert!(zeros >= 120 * 96 / 4);
            values.sort_by(f32::total_cmp);
            values.iter_mut().for_each(|value| *value += 0.0);
            values.dedup();
            assert!((3..=15).contains(&values.len()), "{}", values.len());
        }
    }
}
