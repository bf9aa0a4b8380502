//! An index of signatures: what it answers, whatever came first.

use core::ops::ControlFlow;

use mother::evidence::SignatureComparison;
#[cfg(feature = "safetensors")]
use mother::heritage::IndexFileError;
use mother::heritage::{Index, IndexError, ModelGraph, Recovery};
use mother::progress::Progress;
use mother::signature::{Signature, SignatureOptions};
use mother::weights::InMemoryModel;

/// Weights of two matrices.
pub(crate) type Weights = [Vec<f32>; 2];

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    pub(crate) fn weights(&mut self) -> Weights {
        [0, 1].map(|_| (0..64 * 32).map(|_| self.normal()).collect())
    }

    pub(crate) fn step(&mut self, from: &Weights, size: f32) -> Weights {
        from.each_ref().map(|values| {
            let moved = values.iter().map(|value| value + size * self.normal());
            moved.collect()
        })
    }
}

fn sign(name: &str, [first, second]: &Weights) -> Signature {
    let model = InMemoryModel::new(name)
        .with_layer("a", [64, 32], first.clone())
        .and_then(|model| model.with_layer("b", [32, 64], second.clone()))
        .unwrap();
    SignatureOptions::new().sign(&model).unwrap()
}

/// Families with steps of very different sizes, and what each model was made of.
pub(crate) fn hub(
    seed: u64,
    families: usize,
    models: usize,
) -> (Vec<Signature>, Vec<Option<usize>>) {
    let mut random = Random(seed);
    let (mut signatures, mut parents, mut all) = (Vec::new(), Vec::new(), Vec::<Weights>::new());
    let numbers = if models < 101 { 101 } else { 1009 };
    for family in 0..families {
        let start = all.len();
        for member in 0..models {
            let parent = (member > 0).then(|| start + random.next() as usize % member);
            let weights = match parent {
                None => random.weights(),
                Some(parent) => {
                    let size = 0.01 * 20.0_f32.powf(random.uniform());
                    let from = all[parent].clone();
                    random.step(&from, size)
                }
            };
            // Names in another order than models.
            let name = format!("{:03}-{family}", (member * 37 + 11) % numbers);
            signatures.push(sign(&name, &weights));
            parents.push(parent);
            all.push(weights);
        }
    }
    (signatures, parents)
}

fn index_of<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> Index {
    let mut index = Index::new();
    for signature in signatures {
        index.insert(signature.clone()).unwrap();
    }
    index
}

fn edges(graph: &ModelGraph) -> Vec<(String, String)> {
    let name = |model: usize| graph.name(model).unwrap().to_string();
    let mut edges: Vec<(String, String)> = graph
        .edges()
        .map(|(parent, child)| (name(parent), name(child)))
        .collect();
    edges.sort();
    edges
}

fn dense(signatures: &[Signature]) -> ModelGraph {
    let evidence = SignatureComparison::new().compare(signatures).unwrap();
    Recovery::new().recover(&evidence).unwrap()
}

#[test]
fn small_families_are_those_of_all_pairs() {
    let (signatures, _) = hub(1, 4, 12);
    let mut index = index_of(&signatures);
    let (own, all) = (index.graph().unwrap(), dense(&signatures));
    assert_eq!(edges(&own), edges(&all));
    for model in own.models() {
        let at = all.index(model.name()).unwrap();
        let (found, expected) = (model.confidence(), all.models()[at].confidence());
        assert!((found.unwrap() - expected.unwrap()).abs() < 1e-9);
    }
}

#[test]
fn sparse_recovery_finds_what_all_pairs_say() {
    let (mut same, mut count) = (0, 0);
    let (mut difference, mut models) = (0.0, 0.0);
    for seed in 0..4 {
        let (signatures, _) = hub(10 + seed, 1, 60);
        let mut index = index_of(&signatures).with_dense_limit(1);
        let (own, all) = (index.graph().unwrap(), dense(&signatures));
        let expected = edges(&all);
        count += expected.len();
        same += edges(&own)
            .iter()
            .filter(|edge| expected.contains(edge))
            .count();
        for model in own.models() {
            let at = all.index(model.name()).unwrap();
            let (found, expected) = (model.confidence(), all.models()[at].confidence());
            difference += (found.unwrap() - expected.unwrap()).abs();
            models += 1.0;
        }
    }
    assert!(100 * same >= 97 * count, "{same} of {count}");
    assert!(difference / models < 0.05, "{}", difference / models);
}

#[test]
fn the_order_of_insertion_changes_nothing() {
    let (signatures, _) = hub(2, 3, 20);
    for limit in [1, 48] {
        let mut forwards = index_of(&signatures).with_dense_limit(limit);
        let mut backwards = index_of(signatures.iter().rev()).with_dense_limit(limit);
        assert_eq!(forwards.graph().unwrap(), backwards.graph().unwrap());
        let (first, second) = signatures.split_at(25);
        let mut in_between = index_of(second).with_dense_limit(limit);
        in_between.graph().unwrap();
        for signature in first {
            in_between.insert(signature.clone()).unwrap();
        }
        assert_eq!(forwards.graph().unwrap(), in_between.graph().unwrap());
    }
}

#[test]
fn removed_models_leave_nothing_behind() {
    let (signatures, _) = hub(3, 2, 20);
    let mut index = index_of(&signatures);
    index.graph().unwrap();
    for signature in &signatures[30..] {
        assert_eq!(index.remove(signature.name()).as_ref(), Some(signature));
    }
    assert_eq!(index.remove("nobody"), None);
    assert_eq!(index.len(), 30);
    let mut fresh = index_of(&signatures[..30]);
    assert_eq!(index.graph().unwrap(), fresh.graph().unwrap());
}

#[test]
fn a_base_whose_children_barely_moved_is_their_parent() {
    let mut random = Random(4);
    let base = random.weights();
    let mut signatures = vec![sign("m-base", &base)];
    for child in 0..300 {
        let size = 0.002 * 30.0_f32.powf(random.uniform());
        let weights = random.step(&base, size);
        signatures.push(sign(&format!("{:03}", (child * 7) % 300), &weights));
    }
    // Models of a few thousand values don't tell all of them; an index does as well as all pairs.
    let right = |graph: &ModelGraph| {
        let base = graph.index("m-base").unwrap();
        let joined =
            |&model: &usize| graph.parent(model) == Some(base) || graph.parent(base) == Some(model);
        (0..graph.len()).filter(joined).count()
    };
    let own = right(&index_of(&signatures).graph().unwrap());
    let all = right(&dense(&signatures));
    assert!(own + 3 >= all && own > 200, "{own} {all}");
}

#[test]
fn equal_models_are_copies_of_the_first() {
    let (mut signatures, _) = hub(5, 1, 15);
    for copy in 0..60 {
        let name = format!("z-{copy:02}");
        signatures.push(signatures[0].clone().with_name(name));
    }
    let mut index = index_of(&signatures);
    let graph = index.graph().unwrap();
    let original = graph.index(signatures[0].name());
    for copy in 0..60 {
        let at = graph.index(&format!("z-{copy:02}")).unwrap();
        assert_eq!(graph.parent(at), original);
        assert!(graph.models()[at].confidence().unwrap() > 0.96);
    }
}

#[test]
fn relatives_lineage_and_tree_agree_with_the_graph() {
    let (signatures, _) = hub(6, 2, 20);
    let mut index = index_of(&signatures);
    let graph = index.graph().unwrap();
    for signature in &signatures {
        let name = signature.name();
        let at = graph.index(name).unwrap();
        let lineage = index.lineage(name).unwrap();
        let of_graph: Vec<&str> = graph.ancestors(at).filter_map(|a| graph.name(a)).collect();
        assert_eq!(lineage.ancestors, of_graph);
        assert_eq!(lineage.parent.as_deref(), of_graph.first().copied());
        assert_eq!(lineage.confidence, graph.models()[at].confidence());
        if let Some(parent) = &lineage.parent {
            assert!(lineage.relation.unwrap().is_related());
            let relatives = index.relatives(name).unwrap();
            assert!(relatives.iter().any(|relative| &relative.name == parent));
        }
        let tree = index.tree(name).unwrap();
        let root = graph.ancestors(at).last().unwrap_or(at);
        assert_eq!(tree.len(), graph.subtree(root).len());
        assert!(tree.index(name).is_some());
    }
}

#[test]
fn invalid_requests_are_rejected() {
    let (signatures, _) = hub(7, 1, 3);
    let mut index = index_of(&signatures);
    let name = signatures[0].name().to_string();
    assert_eq!(
        index.insert(signatures[0].clone()),
        Err(IndexError::DuplicateModel { model: name })
    );
    let nobody = || IndexError::NoSuchModel {
        model: "nobody".into(),
    };
    assert_eq!(index.relatives("nobody").unwrap_err(), nobody());
    assert_eq!(index.lineage("nobody").unwrap_err(), nobody());
    assert_eq!(index.tree("nobody").unwrap_err(), nobody());
    let model = InMemoryModel::new("other").with_layer("a", [2, 2], vec![1.0_f32; 4]);
    let options = SignatureOptions::new().with_buckets(64).unwrap();
    let other = options.sign(&model.unwrap()).unwrap();
    assert!(matches!(index.insert(other), Err(IndexError::Evidence(_))));
    assert!(Index::new().graph().unwrap().is_empty());
}

#[test]
fn an_observer_sees_progress_and_can_stop_it() {
    let (signatures, _) = hub(8, 2, 70);
    let mut index = index_of(&signatures);
    let mut calls = 0;
    let mut count = |_: Progress| {
        calls += 1;
        ControlFlow::Continue(())
    };
    index.graph_observed(&mut count).unwrap();
    assert!(calls > 0);
    for last in 1..=calls {
        let mut index = index_of(&signatures);
        let mut left = last;
        let mut stop = |_: Progress| {
            left -= 1;
            if left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        assert_eq!(index.graph_observed(&mut stop), Err(IndexError::Cancelled));
        let mut whole = index_of(&signatures);
        assert_eq!(index.graph().unwrap(), whole.graph().unwrap());
    }
}

#[cfg(feature = "safetensors")]
#[test]
fn a_saved_index_loads_unchanged() {
    let (signatures, _) = hub(3, 3, 8);
    let mut index = index_of(&signatures);
    let mut file = Vec::new();
    index.save(&mut file).unwrap();
    let mut backwards = Vec::new();
    index_of(signatures.iter().rev())
        .save(&mut backwards)
        .unwrap();
    assert_eq!(file, backwards);
    let mut loaded = Index::load(&file[..]).unwrap();
    assert_eq!(
        edges(&loaded.graph().unwrap()),
        edges(&index.graph().unwrap())
    );
    // Whatever is cut off or changed is an error or another index, never a panic.
    for length in (0..file.len()).step_by(97) {
        assert!(Index::load(&file[..length]).is_err(), "{length}");
    }
    for at in (0..file.len()).step_by(61) {
        let mut changed = file.clone();
        changed[at] ^= 0x55;
        let _ = Index::load(&changed[..]);
    }
    let mut long = file.clone();
    long[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Index::load(&long[..]).is_err());
    long[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Index::load(&long[..]).is_err());
    let twice = [&file[..16], &2_u64.to_le_bytes()].concat();
    let first = u64::from_le_bytes(file[24..32].try_into().unwrap()) as usize;
    let entry = &file[24..32 + first];
    let error = Index::load(&[&twice, entry, entry].concat()[..]).unwrap_err();
    let same = IndexError::DuplicateModel {
        model: signatures.iter().map(|s| s.name()).min().unwrap().into(),
    };
    assert_eq!(error, IndexFileError::Model(same));
}

/// Families above 300 models, too large for the dense distribution, from tables of all pairs.
#[test]
fn large_clusters_have_confidences_as_well() {
    let (signatures, parents) = hub(5, 1, 310);
    let graph = dense(&signatures);
    let name = |model: usize| signatures[model].name();
    let (mut right, mut sure, mut edges) = (0.0, 0.0, 0.0);
    for (child, parent) in parents.iter().enumerate() {
        let Some(parent) = *parent else { continue };
        let at = graph.index(name(child)).unwrap();
        let found = graph.parent(at).and_then(|parent| graph.name(parent));
        edges += 1.0;
        right += f64::from(u8::from(found == Some(name(parent))));
        let confidence = graph.models()[at].confidence().unwrap();
        let second = graph.models()[at].runner_up().unwrap().confidence;
        assert!(confidence + second <= 1.0 + 1e-9, "{confidence} {second}");
        sure += confidence;
    }
    let (right, sure) = (right / edges, sure / edges);
    assert!(
        right > 0.85 && (right - sure).abs() < 0.15,
        "{right} {sure}"
    );
}
