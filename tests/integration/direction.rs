//! Which of two models was first: what weight decay must not turn round, and what nobody can know.

use mother::evidence::Relation;
use mother::heritage::{Index, JointConstant, JointModel, Method, ModelGraph, Recovery};
use mother::signature::SignatureOptions;
use mother::weights::InMemoryModel;

use crate::noise::noise;
use crate::signed;

const SIDE: usize = 64;
const LAYERS: u64 = 6;

/// The layers of one model.
type Weights = Vec<Vec<f32>>;

fn base(seed: u64) -> Weights {
    let layer = |layer| noise(100 * seed + layer, SIDE * SIDE);
    (0..LAYERS).map(layer).collect()
}

/// A step of which groups of rows take parts of different size, after all weights have shrunk.
fn trained(from: &Weights, seed: u64, kept: f32) -> Weights {
    let train = |(layer, weights): (usize, &Vec<f32>)| {
        let step = noise(1000 * seed + layer as u64, weights.len());
        let size = |at: usize| 0.02 * (1 + (at / (4 * SIDE) + layer) % 5) as f32;
        let weights = weights.iter().zip(step).enumerate();
        weights
            .map(|(at, (weight, step))| kept * weight + size(at) * step)
            .collect()
    };
    from.iter().enumerate().map(train).collect()
}

/// The same step, after which every row is brought to the norm that it had.
fn trained_at_constant_norm(from: &Weights, seed: u64) -> Weights {
    let mut to = trained(from, seed, 1.0);
    for (from, to) in from.iter().zip(&mut to) {
        for (from, to) in from.chunks(SIDE).zip(to.chunks_mut(SIDE)) {
            let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
            let factor = norm(from) / norm(to);
            to.iter_mut().for_each(|weight| *weight *= factor);
        }
    }
    to
}

fn model(name: &str, weights: &Weights) -> InMemoryModel<'static> {
    let named = InMemoryModel::new(name);
    weights
        .iter()
        .enumerate()
        .fold(named, |model, (layer, values)| {
            let layer = format!("layer{layer}.weight");
            model
                .with_layer(layer, [SIDE, SIDE], values.clone())
                .unwrap()
        })
}

fn graph(models: &[InMemoryModel<'_>]) -> ModelGraph {
    Recovery::new().recover(&signed::evidence(models)).unwrap()
}

#[test]
fn weight_decay_is_no_growth_and_no_distance() {
    let base = base(1);
    let (plain, decayed) = (trained(&base, 2, 1.0), trained(&base, 2, 0.94));
    let models = [("base", base), ("plain", plain), ("decayed", decayed)];
    let models = models.map(|(name, weights)| model(name, &weights));
    let signatures = signed::signatures(&models);
    let to = |child: usize| Relation::between(&signatures[0], &signatures[child]).unwrap();
    let (plain, decayed) = (to(1), to(2));
    for relation in [&plain, &decayed] {
        let growth = relation.growth().unwrap();
        assert!((0.5..1.5).contains(&growth.coefficient), "{growth:?}");
    }
    let shrinkage = -decayed.growth().unwrap().decay / 2.0;
    assert!((shrinkage - 0.06).abs() < 0.01, "{shrinkage}");
    assert!(plain.share_without_decay() > 0.98);
    let without =
        |relation: &Relation| relation.share_without_decay() * relation.squared_distance();
    let ratio = without(&decayed) / without(&plain);
    assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
}

/// Frozen weights don't decay, so their size says nothing of how far decay moved the others.
#[test]
fn decay_is_not_removed_for_frozen_weights() {
    let (base, frozen) = (base(1), noise(9, SIDE * SIDE));
    let frozen: Vec<f32> = frozen.iter().map(|weight| 100.0 * weight).collect();
    let share = |with_frozen: bool| {
        let models = [("base", base.clone()), ("decayed", trained(&base, 2, 0.94))];
        let models = models.map(|(name, mut weights)| {
            weights.extend(with_frozen.then(|| frozen.clone()));
            model(name, &weights)
        });
        let [base, decayed] = &signed::signatures(&models)[..] else {
            panic!("two models");
        };
        let relation = Relation::between(base, decayed).unwrap();
        relation.share_without_decay()
    };
    assert!((0.3..0.9).contains(&share(false)), "{}", share(false));
    assert_eq!(share(true), share(false));
}

#[test]
fn families_trained_with_weight_decay_are_no_chains() {
    let base = base(3);
    let children = [4, 5, 6].map(|seed| trained(&base, seed, 0.93));
    let grandchild = trained(&children[0], 7, 0.93);
    let named = [("m2", &base), ("m4", &children[0]), ("m1", &children[1])];
    let more = [("m0", &children[2]), ("m3", &grandchild)];
    let models: Vec<_> = (named.into_iter().chain(more))
        .map(|(name, weights)| model(name, weights))
        .collect();
    let graph = graph(&models);
    let parent = |name: &str| {
        let parent = graph.parent(graph.index(name).unwrap());
        parent.and_then(|parent| graph.name(parent))
    };
    let expected = [
        ("m0", Some("m2")),
        ("m1", Some("m2")),
        ("m2", None),
        ("m3", Some("m4")),
        ("m4", Some("m2")),
    ];
    for (name, expected) in expected {
        assert_eq!(parent(name), expected, "{name}");
    }
}

/// Neither norms nor distances say which of two models came first, and so nobody is sure.
#[test]
fn direction_is_uncertain_if_training_preserves_norms() {
    for seed in 0..8 {
        let first = base(10 + seed);
        let second = trained_at_constant_norm(&first, 30 + seed);
        let graph = graph(&[model("a", &first), model("b", &second)]);
        for model in graph.models() {
            let confidence = model.confidence().unwrap();
            assert!(confidence < 0.75, "{seed}: {confidence}");
        }
    }
}

/// A base and its linear probes hold the same backbone: the parent of what was trained from it is one of
/// them, and no weight tells which.
#[test]
fn the_parent_is_one_of_the_models_with_the_same_backbone() {
    let backbone = base(50);
    let head = |name: &str, weights: &Weights, seed| {
        let values = noise(seed, 10 * SIDE);
        (model(name, weights).with_layer("head.weight", [10, SIDE], values)).unwrap()
    };
    let probes = ["base", "probe1", "probe2", "probe3"];
    let mut models: Vec<_> = (probes.iter().zip(900..))
        .map(|(name, seed)| head(name, &backbone, seed))
        .collect();
    for seed in [51, 52] {
        let tuned = trained(&backbone, seed, 1.0);
        models.push(head(&format!("tuned{seed}"), &tuned, seed));
    }
    let mut index = Index::new().with_dense_limit(1);
    for model in &models {
        let signature = SignatureOptions::new().sign(model).unwrap();
        index.insert(signature).unwrap();
    }
    for graph in [graph(&models), index.graph().unwrap()] {
        for name in ["tuned51", "tuned52"] {
            let tuned = &graph.models()[graph.index(name).unwrap()];
            let descent = tuned.descent().unwrap();
            let alike = descent.equivalent_parents().unwrap();
            let names: Vec<&str> = (alike.models.iter())
                .map(|&model| graph.name(model).unwrap())
                .collect();
            assert_eq!(names, probes);
            let (one, any) = (descent.confidence().unwrap(), alike.confidence);
            assert!(any > 0.8 && one < 0.5 && 3.0 * one < any, "{one} {any}");
        }
        for probe in probes {
            let kind = graph.models()[graph.index(probe).unwrap()]
                .descent()
                .and_then(|descent| descent.kind());
            assert_eq!(kind, None, "{probe}");
        }
    }
}

/// A step after which rows are pulled towards 0 by this many times what the step added to their squared norm.
fn unlearnt(from: &Weights, seed: u64, pull: f32) -> Weights {
    let mut to = trained(from, seed, 1.0);
    for (from, to) in from.iter().zip(&mut to) {
        for (from, to) in from.chunks(SIDE).zip(to.chunks_mut(SIDE)) {
            let size: f32 = from.iter().map(|weight| weight * weight).sum();
            let moved = from.iter().zip(&*to);
            let moved: f32 = moved.map(|(from, to)| (to - from) * (to - from)).sum();
            let kept = 1.0 - pull * moved / size;
            to.iter_mut().for_each(|weight| *weight *= kept);
        }
    }
    to
}

/// Children that lost norm look like parents, those that gained some like children. Where both are found in one
/// family, neither is believed.
#[test]
fn families_with_erratic_growth_are_not_certain_of_their_root() {
    let (mut usual, mut without) = (0.0, 0.0);
    for seed in 0..6 {
        let root = base(200 + seed);
        let mut models = vec![model("m3", &root)];
        for (at, pull) in [0.0, 2.0, 0.4, 1.7, 0.1, 2.3].into_iter().enumerate() {
            let name = format!("m{}", if at < 3 { at } else { at + 1 });
            let child = unlearnt(&root, 300 + 10 * seed + at as u64, pull);
            models.push(model(&name, &child));
        }
        let belief_in_wrong_root = |joint: JointModel| {
            let evidence = signed::evidence(&models);
            let recovery = Recovery::new().with_method(Method::Joint(joint));
            let graph = recovery.recover(&evidence).unwrap();
            let root = &graph.models()[graph.roots()[0]];
            let wrong = if root.name() == "m3" { 0.0 } else { 1.0 };
            wrong * root.confidence().unwrap()
        };
        usual += belief_in_wrong_root(JointModel::new()) / 6.0;
        without += belief_in_wrong_root(JointModel::new().without(JointConstant::Erratic)) / 6.0;
    }
    assert!(usual < 0.5 && without > 0.8, "{usual} {without}");
}

/// Without growth, they may also be children of a model that is missing, but then none of them is the other's child.
#[test]
fn an_edge_whose_direction_is_open_still_joins_its_ends() {
    let first = base(60);
    let second = trained_at_constant_norm(&first, 61);
    let graph = graph(&[model("a", &first), model("b", &second)]);
    let joined = |model: usize| graph.models()[model].descent()?.joined();
    let joined = joined(0).or_else(|| joined(1)).unwrap();
    assert!((0.6..0.8).contains(&joined), "{joined}");
    let never = Recovery::new().with_method(Method::Joint(
        JointModel::new().without(JointConstant::OnlyChild),
    ));
    let models = [model("a", &first), model("b", &second)];
    let graph = never.recover(&signed::evidence(&models)).unwrap();
    let joined = |model: usize| graph.models()[model].descent()?.joined();
    assert!(joined(0).or_else(|| joined(1)).unwrap() > 0.99);
}

/// Pruning and rounding make weights shorter without regard to training.
#[test]
fn copies_say_nothing_of_direction() {
    let base = base(70);
    let child = trained(&base, 71, 1.0);
    let pruned = |weights: &Weights, share: f32| -> Weights {
        let prune = |layer: &Vec<f32>| {
            let mut sizes: Vec<f32> = layer.iter().map(|weight| weight.abs()).collect();
            sizes.sort_by(f32::total_cmp);
            let limit = sizes[(share * sizes.len() as f32) as usize];
            let keep = |&weight: &f32| if weight.abs() < limit { 0.0 } else { weight };
            layer.iter().map(keep).collect()
        };
        weights.iter().map(prune).collect()
    };
    let (half, third, of_base) = (
        pruned(&child, 0.5),
        pruned(&child, 0.33),
        pruned(&base, 0.4),
    );
    let models = [
        model("m0", &child),
        model("m1", &half),
        model("m2", &base),
        model("m3", &third),
        model("m4", &of_base),
    ];
    let graph = graph(&models);
    let parents: Vec<_> = (0..5)
        .map(|model| graph.parent(model).and_then(|parent| graph.name(parent)))
        .collect();
    assert_eq!(
        parents,
        [Some("m2"), Some("m0"), None, Some("m0"), Some("m2")]
    );
}
