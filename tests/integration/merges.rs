//! Averages among trained models.

use mother::condensed::CondensedMatrix;
use mother::evidence::{EvidenceError, GroupEvidence, Merge};
use mother::heritage::{
    JointConstant, JointModel, Knowledge, Method, Recovery, Trees, find_merges,
};
use mother::weights::InMemoryModel;

use crate::{noise, signed};

fn noise(seed: u64) -> Vec<f32> {
    noise::noise(seed, 64 * 64)
}

fn add(first: &[f32], factor: f32, second: &[f32], other: f32) -> Vec<f32> {
    let pairs = first.iter().zip(second);
    pairs.map(|(a, b)| factor * a + other * b).collect()
}

/// The merges among models, by name, with the weights of the parents.
fn merges(models: &[(&str, Vec<f32>)]) -> Vec<(String, Vec<(String, f64)>)> {
    let models: Vec<_> = models
        .iter()
        .map(|(name, weights)| {
            let model = InMemoryModel::new(*name);
            model.with_layer("w", [64, 64], weights.clone()).unwrap()
        })
        .collect();
    let evidence = signed::evidence(&models);
    let Some(group) = evidence.groups.first() else {
        return Vec::new();
    };
    let name = |position: usize| group.models()[position].clone();
    find_merges(group.geometry().unwrap())
        .iter()
        .map(|merge| {
            let sum: f64 = merge.parents().iter().map(|(_, weight)| weight).sum();
            assert!((sum - 1.0).abs() < 1e-12);
            // Distances are those of weights rounded to single precision.
            assert!(merge.residual() < 1e-6, "{}", merge.residual());
            let parents = merge.parents().iter();
            let parents = parents.map(|&(parent, weight)| (name(parent), weight));
            (name(merge.model()), parents.collect())
        })
        .collect()
}

#[test]
fn averages_are_found_with_their_weights_and_nothing_else_is() {
    let (a, b, c) = (noise(1), noise(2), noise(3));
    let ab = add(&a, 0.5, &b, 0.5);
    // Far enough from what signatures of 512 numbers take for unrelated, three quarters.
    let bc = add(&b, 0.35, &c, 0.65);
    let models = [
        ("a", a.clone()),
        ("a-tuned", add(&a, 1.0, &noise(4), 0.2)),
        ("ab", ab.clone()),
        ("ab-tuned", add(&ab, 1.0, &noise(5), 0.2)),
        ("b", b.clone()),
        ("bc", bc),
        ("c", c),
    ];
    assert_merges(
        &models,
        &[
            ("ab", &[("a", 0.5), ("b", 0.5)]),
            ("bc", &[("b", 0.35), ("c", 0.65)]),
        ],
    );
}

fn assert_merges(models: &[(&str, Vec<f32>)], expected: &[(&str, &[(&str, f64)])]) {
    let found = merges(models);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((model, parents), (expected, weights)) in found.iter().zip(expected) {
        assert_eq!(model, expected);
        assert_eq!(parents.len(), weights.len(), "{model}: {parents:?}");
        for ((parent, weight), (name, expected)) in parents.iter().zip(*weights) {
            assert_eq!(parent, name);
            assert!((weight - expected).abs() < 1e-5, "{model}: {parents:?}");
        }
    }
}

fn average(models: &[(&[f32], f32)]) -> Vec<f32> {
    let zero = vec![0.0; models[0].0.len()];
    let sum = |sum: Vec<f32>, &(model, weight): &(&[f32], f32)| add(&sum, 1.0, model, weight);
    models.iter().fold(zero, sum)
}

#[test]
fn averages_of_many_are_found_among_their_relatives() {
    let base = noise(1);
    let tuned: Vec<Vec<f32>> = (2..9)
        .map(|seed| add(&base, 1.0, &noise(seed), 0.3))
        .collect();
    let stranger = noise(20);
    let soup = average(&[
        (&tuned[0], 0.25),
        (&tuned[1], 0.25),
        (&tuned[2], 0.25),
        (&tuned[3], 0.25),
    ]);
    let three = average(&[(&tuned[4], 0.5), (&tuned[5], 0.3), (&stranger, 0.2)]);
    let mut models = vec![
        ("base", base.clone()),
        ("soup", soup.clone()),
        ("soup-tuned", add(&soup, 1.0, &noise(10), 0.2)),
        ("stranger", stranger),
        ("three", three),
    ];
    let names = ["t0", "t1", "t2", "t3", "t4", "t5", "t6"];
    models.extend(names.into_iter().zip(tuned));
    let soup: &[(&str, f64)] = &[("t0", 0.25), ("t1", 0.25), ("t2", 0.25), ("t3", 0.25)];
    let three: &[(&str, f64)] = &[("stranger", 0.2), ("t4", 0.5), ("t5", 0.3)];
    assert_merges(&models, &[("soup", soup), ("three", three)]);
}

#[test]
fn an_average_of_eight_unrelated_models_joins_no_trees() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut models: Vec<(&str, Vec<f32>)> = names.into_iter().zip((30..38).map(noise)).collect();
    let parents: Vec<(&[f32], f32)> = models.iter().map(|(_, model)| (&**model, 0.125)).collect();
    models.push(("mean", average(&parents)));
    assert_merges(&models, &[("mean", &names.map(|name| (name, 0.125)))]);
    let models: Vec<_> = (models.into_iter())
        .map(|(name, weights)| {
            let model = InMemoryModel::new(name);
            model.with_layer("w", [64, 64], weights).unwrap()
        })
        .collect();
    let graph = Recovery::new().recover(&signed::evidence(&models)).unwrap();
    for model in graph.models() {
        assert_eq!(graph.parent_of(model.name()), None, "{}", model.name());
    }
}

#[test]
fn an_average_of_unrelated_models_roots_a_tree_and_one_of_siblings_stays_in_theirs() {
    let (a, b) = (noise(1), noise(2));
    // Unequal steps for each group of four rows: growth is told from what all groups have in common.
    let child = |of: &[f32], seed| {
        let step = noise(seed).into_iter().enumerate();
        let step = step.map(|(index, step)| (index / (4 * 64) % 5 + 1) as f32 * step);
        add(of, 1.0, &step.collect::<Vec<_>>(), 0.1)
    };
    let ab = add(&a, 0.5, &b, 0.5);
    let (a1, a2) = (child(&a, 3), child(&a, 4));
    let between = add(&a1, 0.5, &a2, 0.5);
    let models = [
        ("a", a.clone()),
        ("a1", a1),
        ("a2", a2),
        ("ab", ab.clone()),
        ("ab1", child(&ab, 5)),
        ("b", b.clone()),
        ("b1", child(&b, 6)),
        ("between", between.clone()),
        ("between1", child(&between, 7)),
    ];
    let models: Vec<_> = (models.into_iter())
        .map(|(name, weights)| {
            let model = InMemoryModel::new(name);
            model.with_layer("w", [64, 64], weights).unwrap()
        })
        .collect();
    let evidence = signed::evidence(&models);
    for trees in [Trees::Inferred, Trees::Count(3)] {
        let graph = Recovery::new()
            .with_trees(trees)
            .recover(&evidence)
            .unwrap();
        let parent = |name| {
            let parent = graph.parent(graph.index(name).unwrap())?;
            graph.name(parent)
        };
        for (child, expected) in [
            ("a", None),
            ("a1", Some("a")),
            ("a2", Some("a")),
            ("ab", None),
            ("ab1", Some("ab")),
            ("b", None),
            ("b1", Some("b")),
            ("between1", Some("between")),
        ] {
            assert_eq!(parent(child), expected, "{child} {trees:?}");
        }
        assert!(matches!(parent("between"), Some("a1" | "a2")));
        let merged = |name| graph.models()[graph.index(name).unwrap()].merged_from();
        let parents: Vec<_> = merged("ab").iter().map(|p| graph.name(p.parent)).collect();
        assert_eq!(parents, [Some("a"), Some("b")]);
        assert_eq!(merged("between").len(), 2);
        assert!(merged("a").is_empty());
    }
}

#[test]
fn copies_and_few_models_are_no_merges() {
    let (a, b) = (noise(1), noise(2));
    assert_eq!(merges(&[]), []);
    assert_eq!(merges(&[("a", a.clone())]), []);
    assert_eq!(merges(&[("a", a.clone()), ("b", b.clone())]), []);
    let copies = [
        ("a", a.clone()),
        ("a-again", a.clone()),
        ("b", b),
        ("a-third", a),
    ];
    assert_eq!(merges(&copies), []);
}

/// Task arithmetic: what two models learnt is added to their base, with weights of more than 1 in all.
#[test]
fn sums_of_task_vectors_are_found_with_their_base() {
    let base = noise(20);
    let (a, b) = (
        add(&base, 1.0, &noise(21), 0.3),
        add(&base, 1.0, &noise(22), 0.25),
    );
    let sum = |of_a: f32, of_b: f32| {
        let tasks = add(&a, of_a, &b, of_b);
        add(&tasks, 1.0, &base, 1.0 - of_a - of_b)
    };
    for (of_a, of_b) in [(0.7, 0.6), (1.0, 1.0), (1.2, 0.9)] {
        let models = [
            ("a", a.clone()),
            ("b", b.clone()),
            ("base", base.clone()),
            ("other", add(&base, 1.0, &noise(23), 0.2)),
            ("sum", sum(of_a, of_b)),
            ("tuned", add(&a, 1.0, &noise(24), 0.2)),
        ];
        let found = merges(&models);
        assert_eq!(found.len(), 1, "{found:?}");
        let (model, parents) = &found[0];
        assert_eq!(model, "sum");
        let expected = [("a", of_a), ("b", of_b), ("base", 1.0 - of_a - of_b)];
        assert_eq!(parents.len(), 3);
        for ((parent, weight), (name, expected)) in parents.iter().zip(expected) {
            assert_eq!(parent, name);
            assert!((weight - f64::from(expected)).abs() < 1e-3, "{weight}");
        }
    }
}

/// Models whose parts were made anew are compared on what is left, each pair on other weights. Such distances
/// are those of no space, and say nothing of averages.
#[test]
fn distances_on_different_weights_make_no_averages() {
    let layer = |seed: u64| noise(100 + seed);
    let near = |of: &[f32], seed: u64| add(of, 1.0, &noise(200 + seed), 0.05);
    let (first, second, third) = (layer(1), layer(2), layer(3));
    // Each pair has two of three layers in common.
    let models = [
        ("a", [near(&first, 1), near(&second, 2), layer(4)]),
        ("b", [layer(5), near(&second, 3), near(&third, 4)]),
        ("c", [near(&first, 5), layer(6), near(&third, 6)]),
        ("d", [first.clone(), second.clone(), third.clone()]),
    ];
    let models: Vec<_> = models
        .into_iter()
        .map(|(name, layers)| {
            let model = InMemoryModel::new(name);
            layers
                .into_iter()
                .zip(["x", "y", "z"])
                .fold(model, |model, (values, layer)| {
                    model.with_layer(layer, [64, 64], values).unwrap()
                })
        })
        .collect();
    let graph = Recovery::new()
        .with_trees(Trees::Count(1))
        .recover(&signed::evidence(&models))
        .unwrap();
    for model in graph.models() {
        assert!(model.merged_from().is_empty(), "{}", model.name());
    }
}

/// A parent, its child, their average and a copy of the child. Training moved one weight so far that parent and child
/// leave it out, but it doesn't look replaced to their average.
#[test]
fn a_replaced_weight_hides_no_average_and_turns_no_edge_round() {
    let train = |(layer, seed): (&Vec<f32>, u64)| {
        let sizes = (0..64 * 64).map(|index| 0.05 * (index / (4 * 64) % 5 + 1) as f32);
        let step = noise(seed).into_iter().zip(sizes);
        let step: Vec<f32> = step.map(|(step, size)| size * step).collect();
        add(layer, 1.0, &step, 1.0)
    };
    let base: Vec<Vec<f32>> = (0..12).map(|layer| noise(300 + layer)).collect();
    let mut child: Vec<Vec<f32>> = base.iter().zip(400..).map(train).collect();
    child[0] = noise(500);
    let mean = |(a, b): (&Vec<f32>, &Vec<f32>)| add(a, 0.5, b, 0.5);
    let average = base.iter().zip(&child).map(mean).collect();
    let bfloat = |value: &f32| f32::from_bits((value.to_bits() + 0x8000) & 0xffff_0000);
    let copy = child.iter().map(|layer| layer.iter().map(bfloat).collect());
    let copy: Vec<Vec<f32>> = copy.collect();
    let models = [
        ("average", average),
        ("base", base),
        ("child", child),
        ("copy", copy),
    ];
    let models = models.map(|(name, layers)| {
        let layers = layers.into_iter().enumerate();
        layers.fold(InMemoryModel::new(name), |model, (at, layer)| {
            model.with_layer(format!("{at}"), [64, 64], layer).unwrap()
        })
    });
    let graph = Recovery::new().recover(&signed::evidence(&models)).unwrap();
    let merged = graph.models()[graph.index("average").unwrap()].merged_from();
    let parents: Vec<_> = merged
        .iter()
        .map(|merge| graph.name(merge.parent))
        .collect();
    assert_eq!(parents, [Some("base"), Some("child")]);
    for (model, parent) in [
        ("base", None),
        ("child", Some("base")),
        ("copy", Some("child")),
    ] {
        assert_eq!(graph.parent_of(model), parent, "{model}");
    }
}

#[test]
fn a_model_between_parent_and_child_may_be_what_the_child_was_extrapolated_from() {
    let child = |of: &[f32], seed| {
        let sizes = (0..64 * 64).map(|index| 0.05 * (index / (4 * 64) % 5 + 1) as f32);
        let step = noise(seed).into_iter().zip(sizes);
        add(
            of,
            1.0,
            &step.map(|(step, size)| size * step).collect::<Vec<_>>(),
            1.0,
        )
    };
    let base = noise(1);
    let (tuned, other) = (child(&base, 2), child(&base, 3));
    let deeper = child(&other, 4);
    let models = [
        ("base", base.clone()),
        ("deeper", deeper.clone()),
        ("far", add(&base, -0.5, &tuned, 1.5)),
        ("further", add(&base, -0.5, &deeper, 1.5)),
        ("near", add(&base, 0.7, &other, 0.3)),
        ("other", other),
        ("tuned", tuned),
    ];
    let models = models.map(|(name, weights)| {
        let model = InMemoryModel::new(name);
        model.with_layer("w", [64, 64], weights).unwrap()
    });
    let evidence = signed::evidence(&models);
    let recover = |constants: JointModel, knowledge: Knowledge| {
        let recovery = Recovery::new().with_method(Method::Joint(constants));
        let graph = recovery.with_knowledge(knowledge).recover(&evidence);
        let graph = graph.unwrap();
        assert_eq!(graph.parent_of("tuned"), Some("far"));
        assert_eq!(graph.parent_of("deeper"), Some("further"));
        assert_eq!(graph.parent_of("further"), Some("other"));
        for child in ["far", "near", "other"] {
            assert_eq!(graph.parent_of(child), Some("base"), "{child}");
        }
        ["tuned", "far", "near", "deeper", "further"].map(|name| {
            let model = &graph.models()[graph.index(name).unwrap()];
            let runner_up = model.runner_up().and_then(|second| second.parent);
            let runner_up = runner_up
                .and_then(|parent| graph.name(parent))
                .map(String::from);
            (model.confidence().unwrap(), runner_up)
        })
    };
    let [tuned, far, near, deeper, further] = recover(JointModel::new(), Knowledge::new());
    assert!((0.7..0.8).contains(&tuned.0), "{tuned:?}");
    assert!((0.6..0.8).contains(&far.0), "{far:?}");
    // Its parent is the same whatever was extrapolated.
    assert!(near.0 > 0.9, "{near:?}");
    assert_eq!(tuned.1.as_deref(), Some("base"));
    assert_eq!(far.1.as_deref(), Some("tuned"));
    assert!(deeper.0.max(further.0) < 0.8, "{deeper:?} {further:?}");
    assert_eq!(deeper.1.as_deref(), Some("other"));
    // It went on in its parent's direction, so it may also be a sibling of its parent.
    assert_eq!(further.1.as_deref(), Some("base"));
    let never = JointModel::new().without(JointConstant::Extrapolated);
    let [tuned, far, ..] = recover(never, Knowledge::new());
    assert!(tuned.0 > 0.9 && far.0 > 0.8, "{tuned:?} {far:?}");
    let known = Knowledge::new().with_parent("far", "base");
    let [tuned, far, ..] = recover(JointModel::new(), known);
    assert!(tuned.0 > 0.9 && far.0 == 1.0, "{tuned:?} {far:?}");
}

#[test]
fn checkpoints_in_one_line_have_no_certain_parents() {
    let base = noise(71);
    let direction = noise(72);
    let mut last = base.clone();
    let mut models = vec![("base".to_string(), base)];
    for at in 1..5 {
        let straight = add(&last, 1.0, &direction, 0.04);
        last = add(&straight, 1.0, &noise(72 + at), 0.008);
        models.push((format!("epoch{at}"), last.clone()));
    }
    let graph = Recovery::new()
        .recover(&signed::evidence(&of_one_layer(models)))
        .unwrap();
    for at in 1..4 {
        let name = format!("epoch{at}");
        let before = if at == 1 {
            "base".into()
        } else {
            format!("epoch{}", at - 1)
        };
        let descent = graph.models()[graph.index(&name).unwrap()].descent();
        let confidence = descent.and_then(|descent| descent.confidence()).unwrap();
        assert!(
            graph.parent_of(&name) == Some(&before) || confidence < 0.8,
            "{graph}"
        );
    }
}

/// Models with one weight each.
fn of_one_layer<N: Into<String>>(
    models: impl IntoIterator<Item = (N, Vec<f32>)>,
) -> Vec<InMemoryModel<'static>> {
    let model = |(name, weights): (N, Vec<f32>)| {
        let model = InMemoryModel::new(name);
        model.with_layer("w", [64, 64], weights).unwrap()
    };
    models.into_iter().map(model).collect()
}

/// The values of steps that are among the larger half of each and not outvoted in sign, as TIES merges them.
pub(crate) fn with_larger_values(base: &[f32], models: &[&[f32]]) -> Vec<f32> {
    let trimmed = |model: &&[f32]| -> Vec<f32> {
        let steps: Vec<f32> = model.iter().zip(base).map(|(m, b)| m - b).collect();
        let mut sizes: Vec<f32> = steps.iter().map(|step| step.abs()).collect();
        sizes.sort_by(f32::total_cmp);
        let median = sizes[sizes.len() / 2];
        let kept = |step: f32| if step.abs() >= median { step } else { 0.0 };
        steps.into_iter().map(kept).collect()
    };
    let steps: Vec<Vec<f32>> = models.iter().map(trimmed).collect();
    let merged = |(at, weight): (usize, &f32)| {
        let steps = || steps.iter().map(|step| step[at]);
        let sign = steps().sum::<f32>().signum();
        let kept: Vec<f32> = steps().filter(|step| step * sign > 0.0).collect();
        weight + kept.iter().sum::<f32>() / kept.len().max(1) as f32
    };
    base.iter().enumerate().map(merged).collect()
}

#[test]
fn merges_that_keep_the_larger_values_are_found_with_their_base() {
    let base = noise(51);
    let child = |seed, step| add(&base, 1.0, &noise(seed), step);
    let (first, second, third) = (child(52, 0.1), child(53, 0.12), child(55, 0.11));
    let of_three = with_larger_values(&base, &[&first, &second, &third]);
    let of_two = with_larger_values(&base, &[&first, &second]);
    // It took its steps by itself.
    let grandchild = add(&first, 1.0, &noise(54), 0.08);
    let models = [
        ("base", base),
        ("first", first),
        ("grandchild", grandchild),
        ("second", second),
        ("third", third),
    ];
    for (merged, parents) in [
        (of_two, &["base", "first", "second"][..]),
        (of_three, &["base", "first", "second", "third"]),
    ] {
        let models = of_one_layer(models.iter().cloned().chain([("merged", merged)]));
        let recovery = Recovery::new().with_trees(Trees::Count(1));
        let graph = recovery.recover(&signed::evidence(&models)).unwrap();
        for model in graph.models() {
            let found = model.merged_from().iter();
            let found: Vec<_> = found.filter_map(|part| graph.name(part.parent)).collect();
            let expected = if model.name() == "merged" {
                parents
            } else {
                &[]
            };
            assert_eq!(found, expected, "{graph}");
        }
    }
}

/// A model of which the smaller half of the weights is set to zero.
fn pruned(weights: &[f32]) -> Vec<f32> {
    let mut sizes: Vec<f32> = weights.iter().map(|weight| weight.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    let median = sizes[sizes.len() / 2];
    let kept = |&weight: &f32| if weight.abs() < median { 0.0 } else { weight };
    weights.iter().map(kept).collect()
}

#[test]
fn pruned_weights_are_no_step_of_a_merge() {
    let base = noise(61);
    let children = [62, 63, 64, 65].map(|seed| add(&base, 1.0, &noise(seed), 0.1));
    let mut models = vec![("base".to_string(), base.clone())];
    for (at, child) in children.iter().enumerate() {
        models.push((format!("child{at}"), child.clone()));
        models.push((format!("child{at}-pruned"), pruned(child)));
    }
    models.push(("base-pruned".into(), pruned(&base)));
    let models = of_one_layer(models);
    let recovery = Recovery::new().with_trees(Trees::Count(1));
    let graph = recovery.recover(&signed::evidence(&models)).unwrap();
    for model in graph.models() {
        assert!(model.merged_from().is_empty(), "{graph}");
        if let Some(original) = model.name().strip_suffix("-pruned") {
            let parent = model
                .descent()
                .and_then(|descent| graph.name(descent.parent()));
            assert_eq!(parent, Some(original), "{graph}");
        }
    }
}

/// A base plus the weighted steps of some models, of which a random share of the values is kept.
pub(crate) fn dropped(base: &[f32], parents: &[(&[f32], f32)], kept: f64, seed: u64) -> Vec<f32> {
    let mut random = noise::Noise::new(seed);
    let mut sum = base.to_vec();
    for &(parent, weight) in parents {
        for ((sum, base), parent) in sum.iter_mut().zip(base).zip(parent) {
            if random.uniform() + 0.5 < kept {
                *sum += weight * (parent - base) / kept as f32;
            }
        }
    }
    sum
}

#[test]
fn sums_of_which_values_were_dropped_are_found_with_their_base() {
    let sizes = |at: usize| 0.02 * (at / (4 * 64) % 5 + 1) as f32;
    let step = |of: &[f32], seed| {
        let steps = noise(seed).into_iter().enumerate();
        let step: Vec<f32> = steps.map(|(at, step)| sizes(at) * step).collect();
        add(of, 1.0, &step, 1.0)
    };
    let layers = 0..8_u64;
    let base: Vec<Vec<f32>> = layers.clone().map(noise).collect();
    let trained = |from: &[Vec<f32>], seed: u64| -> Vec<Vec<f32>> {
        let layers = from.iter().zip(layers.clone());
        layers
            .map(|(layer, at)| step(layer, 100 * seed + at))
            .collect()
    };
    let (first, second, other) = (trained(&base, 1), trained(&base, 2), trained(&base, 3));
    let deeper = trained(&first, 4);
    let sum = |parents: &[(&[Vec<f32>], f32)], kept, seed: u64| -> Vec<Vec<f32>> {
        let layers = layers.clone().map(|at| {
            let of = |&(layers, weight): &(&[Vec<f32>], f32)| (layers[at as usize].clone(), weight);
            let parents: Vec<(Vec<f32>, f32)> = parents.iter().map(of).collect();
            let parents: Vec<(&[f32], f32)> = parents.iter().map(|(l, w)| (&**l, *w)).collect();
            dropped(&base[at as usize], &parents, kept, 1000 * seed + at)
        });
        layers.collect()
    };
    let soup: Vec<Vec<f32>> = first
        .iter()
        .zip(&second)
        .map(|(u, v)| add(u, 0.5, v, 0.5))
        .collect();
    let models = [
        ("base", base.clone()),
        ("deeper", deeper.clone()),
        ("first", first.clone()),
        ("half", sum(&[(&deeper, 0.5), (&second, 0.5)], 0.5, 1)),
        ("other", other.clone()),
        ("third", sum(&[(&first, 0.6), (&other, 0.4)], 0.33, 2)),
        (
            "of_three",
            sum(&[(&first, 0.4), (&other, 0.25), (&second, 0.35)], 0.4, 3),
        ),
        ("second", second.clone()),
        // Its steps are of other sizes than those it goes on from.
        (
            "trained",
            soup.iter()
                .map(|layer| add(layer, 1.0, &noise(9), 0.05))
                .collect(),
        ),
    ];
    let models = models.map(|(name, layers)| {
        let layers = layers.into_iter().enumerate();
        layers.fold(InMemoryModel::new(name), |model, (at, layer)| {
            model.with_layer(format!("{at}"), [64, 64], layer).unwrap()
        })
    });
    let graph = Recovery::new().recover(&signed::evidence(&models)).unwrap();
    for (model, parents) in [
        (
            "half",
            &[("base", 0.0), ("deeper", 0.5), ("second", 0.5)][..],
        ),
        ("third", &[("base", 0.0), ("first", 0.6), ("other", 0.4)]),
        (
            "of_three",
            &[
                ("base", 0.0),
                ("first", 0.4),
                ("other", 0.25),
                ("second", 0.35),
            ],
        ),
        ("trained", &[]),
        ("deeper", &[]),
        ("first", &[]),
    ] {
        let merged = graph.models()[graph.index(model).unwrap()].merged_from();
        assert_eq!(merged.len(), parents.len(), "{model}: {merged:?}");
        // The errors of all weights add up in that of the base.
        let most = 0.02 * merged.len() as f64;
        for (merged, (parent, weight)) in merged.iter().zip(parents) {
            assert_eq!(graph.name(merged.parent), Some(*parent), "{model}");
            assert!((merged.weight - weight).abs() < most, "{model}: {merged:?}");
        }
    }
    for (child, parent) in [
        ("base", None),
        ("first", Some("base")),
        ("deeper", Some("first")),
        ("second", Some("base")),
        ("other", Some("base")),
    ] {
        assert_eq!(graph.parent_of(child), parent, "{child}");
    }
}

#[test]
fn merges_of_models_that_do_not_exist_are_refused() {
    let names = ["a", "b", "c"].map(String::from).to_vec();
    let distances = CondensedMatrix::new(3, vec![1.0; 3]).unwrap();
    let group = GroupEvidence::new(names, None, distances).unwrap();
    let merge = |model, parents| Merge::new(model, Vec::from(parents), 0.5);
    let refused = group
        .clone()
        .with_merges(vec![merge(2, [(0, 0.5), (3, 0.5)])]);
    assert!(
        matches!(
            refused,
            Err(EvidenceError::Size {
                found: 4,
                models: 3,
                ..
            })
        ),
        "{refused:?}"
    );
    let refused = (group.clone()).with_merges(vec![merge(usize::MAX, [(0, 0.5), (1, 0.5)])]);
    assert!(
        matches!(refused, Err(EvidenceError::Size { .. })),
        "{refused:?}"
    );
    let refused = group.with_merges(vec![merge(2, [(0, 0.5), (1, f64::NAN)])]);
    assert!(
        matches!(refused, Err(EvidenceError::Number { .. })),
        "{refused:?}"
    );
}
