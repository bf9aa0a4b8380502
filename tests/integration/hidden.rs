//! Parents that nobody has: what is said of their children, and where they are put in the graph.

use core::time::Duration;

#[cfg(feature = "serde")]
use mother::heritage::Model;
use mother::heritage::{ModelGraph, Recovery, Trees};
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

/// Adds a step, of which groups of rows take parts of different size.
fn trained(from: &Weights, seed: u64) -> Weights {
    let train = |(layer, weights): (usize, &Vec<f32>)| {
        let step = noise(1000 * seed + layer as u64, weights.len());
        let size = |at: usize| 0.02 * (1 + (at / (4 * SIDE) + layer) % 5) as f32;
        let weights = weights.iter().zip(step).enumerate();
        weights
            .map(|(at, (weight, step))| weight + size(at) * step)
            .collect()
    };
    from.iter().enumerate().map(train).collect()
}

fn model(name: &str, weights: &Weights) -> InMemoryModel<'static> {
    let layers = weights.iter().enumerate();
    layers.fold(InMemoryModel::new(name), |model, (layer, values)| {
        let layer = format!("layer{layer}.weight");
        model
            .with_layer(layer, [SIDE, SIDE], values.clone())
            .unwrap()
    })
}

/// The graph without and with hidden parents.
fn graphs(models: &[InMemoryModel<'_>]) -> [ModelGraph; 2] {
    let evidence = signed::evidence(models);
    let recovery = Recovery::new().with_trees(Trees::Count(1));
    let hidden = recovery.clone().with_hidden_parents();
    [recovery, hidden].map(|recovery| recovery.recover(&evidence).unwrap())
}

fn hidden(graph: &ModelGraph) -> Vec<usize> {
    let models = graph.models().iter().enumerate();
    let hidden = models.filter(|(_, model)| model.is_hidden());
    hidden.map(|(position, _)| position).collect()
}

fn parent<'a>(graph: &'a ModelGraph, name: &str) -> Option<&'a str> {
    let parent = graph.parent(graph.index(name).unwrap());
    parent.and_then(|parent| graph.name(parent))
}

#[test]
fn no_model_is_confidently_the_parent_of_its_siblings() {
    let base = base(1);
    let models: Vec<_> = (2..7)
        .map(|seed| model(&format!("m{seed}"), &trained(&base, seed)))
        .collect();
    let [plain, with_hidden] = graphs(&models);
    for model in plain.models() {
        let sure = model.descent().and_then(|descent| descent.confidence());
        assert!(sure.is_none_or(|sure| sure < 0.7), "{plain}");
    }
    let [top] = hidden(&with_hidden)[..] else {
        panic!("{with_hidden}");
    };
    assert_eq!(with_hidden.roots(), [top]);
    assert_eq!(with_hidden.children(top).len(), 5, "{with_hidden}");
    assert_eq!(with_hidden.name(top), Some("(parent of m2)"));
    for &child in with_hidden.children(top) {
        let distance = with_hidden.models()[child].descent().unwrap().distance();
        let between = plain.models().iter().filter_map(|model| model.descent());
        let between = between.filter_map(|descent| descent.distance()).next();
        let share = distance.unwrap() / between.unwrap();
        // Steps are equally long, so that the parent is half of the squared way.
        assert!((share - 0.5_f64.sqrt()).abs() < 0.1, "{share}");
    }
}

#[test]
fn a_model_that_is_missing_between_two_others_is_below_the_first() {
    let base = base(11);
    let missing = trained(&base, 12);
    let below: Vec<_> = (13..16).map(|seed| trained(&missing, seed)).collect();
    let beside: Vec<_> = (16..19).map(|seed| trained(&base, seed)).collect();
    let mut models = vec![model("base", &base)];
    models.extend((below.iter().enumerate()).map(|(at, to)| model(&format!("below{at}"), to)));
    models.extend((beside.iter().enumerate()).map(|(at, to)| model(&format!("beside{at}"), to)));
    let [_, graph] = graphs(&models);
    let [between] = hidden(&graph)[..] else {
        panic!("{graph}");
    };
    let name = graph.name(between);
    assert_eq!(parent(&graph, name.unwrap()), Some("base"), "{graph}");
    for at in 0..3 {
        assert_eq!(parent(&graph, &format!("below{at}")), name, "{graph}");
        assert_eq!(parent(&graph, &format!("beside{at}")), Some("base"));
    }
    assert!(graph.models()[between].confidence().unwrap() > 0.7);
}

#[test]
fn a_family_that_is_whole_has_no_hidden_parent() {
    let base = base(21);
    let children: Vec<_> = (22..26).map(|seed| trained(&base, seed)).collect();
    let grandchild = trained(&children[0], 26);
    let mut models = vec![model("base", &base), model("grandchild", &grandchild)];
    models.extend((children.iter().enumerate()).map(|(at, to)| model(&format!("child{at}"), to)));
    let [plain, with_hidden] = graphs(&models);
    assert_eq!(plain, with_hidden);
    let confidences = plain.models().iter().map(|model| model.confidence());
    assert!(confidences.flatten().all(|sure| sure > 0.9), "{plain}");
}

#[test]
fn a_hidden_parent_has_a_name_of_its_own() {
    let base = base(31);
    let mut models: Vec<_> = (32..36)
        .map(|seed| model(&format!("m{seed}"), &trained(&base, seed)))
        .collect();
    models.push(model("(parent of (parent of m32))", &trained(&base, 36)));
    let [_, graph] = graphs(&models);
    let names = hidden(&graph).into_iter().filter_map(|at| graph.name(at));
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        ["(parent of (parent of (parent of m32)))"],
        "{graph}"
    );
}

#[test]
fn documents_draw_hidden_parents_dashed_and_state_nothing_of_them() {
    let base = base(41);
    let models: Vec<_> = (42..47)
        .map(|seed| model(&format!("m{seed}"), &trained(&base, seed)))
        .collect();
    let [_, graph] = graphs(&models);
    let top = hidden(&graph)[0];
    assert!(graph.card(top).is_none());
    assert!(!graph.card(0).unwrap().to_string().contains("base_model"));
    let name = graph.name(top).unwrap();
    let bills = [
        graph.cyclonedx().to_string(),
        graph
            .spdx("https://example.org/", Duration::ZERO)
            .to_string(),
    ];
    for bill in bills {
        assert!(!bill.contains(&format!("\"name\":\"{name}\"")), "{bill}");
        assert!(!bill.contains("ancestor"), "{bill}");
    }
    assert!(graph.svg().to_string().contains("stroke-dasharray"));
    assert!(graph.dot().to_string().contains("style=dashed"));
    assert!(graph.mermaid().to_string().contains("stroke-dasharray"));
}

#[cfg(feature = "serde")]
#[test]
fn json_tells_who_is_hidden() {
    let graph = ModelGraph::new(vec![Model::hidden("top"), Model::new("model")]).unwrap();
    let json = serde_json::to_value(&graph).unwrap();
    assert_eq!(json["models"][0]["hidden"], true);
    assert!(json["models"][1].get("hidden").is_none());
    assert_eq!(serde_json::from_value::<ModelGraph>(json).unwrap(), graph);
}
