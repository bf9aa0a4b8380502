//! Appendix E through the public API: which trees a merged model comes from.

use mother::clustering::Partition;
use mother::heritage::{MixedHeritageError, Recovery, Trees, cluster_similarities};
use mother::weights::InMemoryModel;

use crate::noise::noise;
use crate::signed;

fn add(first: &[f32], second: &[f32], factor: f32) -> Vec<f32> {
    let sums = first.iter().zip(second).map(|(a, b)| a + factor * b);
    sums.collect()
}

const LENGTH: usize = 64 * 64;

/// Fine-tunes of three bases, and of the averages of each two of them; no base itself.
fn models() -> Vec<InMemoryModel<'static>> {
    let bases: Vec<Vec<f32>> = (1..4).map(|seed| noise(seed, LENGTH)).collect();
    let average = |i: usize, j: usize| -> Vec<f32> {
        let sum = add(&bases[i], &bases[j], 1.0);
        sum.iter().map(|weight| weight / 2.0).collect()
    };
    let roots = [
        ("a", bases[0].clone()),
        ("b", bases[1].clone()),
        ("c", bases[2].clone()),
        ("ab", average(0, 1)),
        ("ac", average(0, 2)),
        ("bc", average(1, 2)),
    ];
    let mut models = Vec::new();
    for (root, (name, weights)) in roots.iter().enumerate() {
        for child in 0..3 {
            let step = noise(100 + 10 * root as u64 + child, LENGTH);
            let weights = add(weights, &step, 0.2);
            let model = InMemoryModel::new(format!("{name}-{child}"));
            models.push(model.with_layer("w", [64, 64], weights).unwrap());
        }
    }
    models
}

#[test]
fn a_tree_of_merged_models_comes_from_the_two_most_similar_trees() {
    let evidence = signed::evidence(&models());
    let group = &evidence.groups[0];
    let labels: Vec<usize> = group
        .models()
        .iter()
        .map(|name| {
            ["a-", "b-", "c-", "ab-", "ac-", "bc-"]
                .iter()
                .position(|p| name.starts_with(p))
                .unwrap()
        })
        .collect();
    let clusters = Partition::from_labels(&labels);
    let label = |tree: &str| clusters.labels()[group.position(&format!("{tree}-0")).unwrap()];
    for (merged, parents) in [("ab", ["a", "b"]), ("ac", ["a", "c"]), ("bc", ["b", "c"])] {
        let members = &clusters.members()[label(merged)];
        let others: Vec<usize> = ["a", "b", "c"].map(label).to_vec();
        let found: Vec<_> = cluster_similarities(group.geometry().unwrap(), &clusters, members)
            .unwrap()
            .into_iter()
            .filter(|similarity| others.contains(&similarity.cluster))
            .collect();
        let mut best: Vec<usize> = found[..2].iter().map(|s| s.cluster).collect();
        best.sort_unstable();
        let mut expected = parents.map(label);
        expected.sort_unstable();
        assert_eq!(best, expected, "{merged}");
        assert!(found[1].cosine > 0.6 && found[2].cosine < 0.1, "{found:?}");
    }
    let six = Recovery::paper().with_trees(Trees::Count(6));
    assert_eq!(six.clusters(&evidence).unwrap(), [clusters]);
}

#[test]
fn wrong_models_are_refused() {
    let evidence = signed::evidence(&models());
    let geometry = evidence.groups[0].geometry().unwrap();
    let all = Partition::from_labels(&[0; 18]);
    assert_eq!(cluster_similarities(geometry, &all, &[0]), Ok(vec![]));
    assert_eq!(
        cluster_similarities(geometry, &all, &[]),
        Err(MixedHeritageError::NoModel)
    );
    assert_eq!(
        cluster_similarities(geometry, &all, &[18]),
        Err(MixedHeritageError::Model {
            model: 18,
            models: 18
        })
    );
    assert_eq!(
        cluster_similarities(geometry, &Partition::from_labels(&[0]), &[0]),
        Err(MixedHeritageError::Models {
            geometry: 18,
            clusters: 1
        })
    );
}
