//! Pictures, cards and bills of materials, read back by parsers of JSON and a small one of XML.

use core::time::Duration;

use mother::evidence::CopyKind;
use mother::heritage::{Descent, DescentKind, EquivalentParents, MergeParent, Model, ModelGraph};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::exports::{shown_name, unescaped};
use super::graph;

const NAMESPACE: &str = "https://example.org/\"family\"";

proptest! {
    #![proptest_config(crate::cases(300))]

    #[test]
    fn pictures_are_xml_with_every_name(graph in graph(8)) {
        let texts = texts(&graph.svg().to_string());
        let titles: Vec<_> = texts.iter().filter(|(tag, _)| tag == "title").collect();
        prop_assert_eq!(titles.len(), graph.len());
        for ((_, title), model) in titles.into_iter().zip(graph.models()) {
            let name = title.split('\n').next().unwrap();
            prop_assert_eq!(unescaped(name), shown_name(&graph, graph.index(model.name()).unwrap()));
            prop_assert_eq!(title.contains("\nparent: "), model.descent().is_some());
        }
    }

    #[test]
    fn boxes_do_not_meet(graph in graph(12)) {
        let boxes = boxes(&graph.svg().to_string());
        prop_assert_eq!(boxes.len(), graph.len());
        for (at, a) in boxes.iter().enumerate() {
            for b in &boxes[..at] {
                let apart = a.left >= b.left + b.width || b.left >= a.left + a.width;
                prop_assert!(apart || a.top.abs_diff(b.top) > 18, "{a:?} {b:?}");
            }
        }
        for (parent, child) in graph.edges() {
            prop_assert!(boxes[parent].left + boxes[parent].width < boxes[child].left);
        }
    }

    #[test]
    fn cards_name_the_parent_in_quotes(graph in graph(8)) {
        for (at, model) in graph.models().iter().enumerate() {
            let card = graph.card(at).unwrap().to_string();
            let lines: Vec<_> = card.split('\n').collect();
            let breaking = ['\r', '\u{2028}', '\0', '\u{85}', '\u{feff}'];
            prop_assert!(!card.contains(breaking), "{:?}", card);
            prop_assert_eq!((lines[0], lines[lines.len() - 1]), ("---", "---"));
            prop_assert!(lines[1].starts_with("# \""));
            let base = lines[2].strip_prefix("base_model: ");
            let base = base.map(|base| serde_json::from_str::<String>(base).unwrap());
            let parent = model.descent().and_then(|descent| graph.name(descent.parent()));
            prop_assert_eq!(base.as_deref(), parent);
        }
    }

    #[test]
    fn bills_of_materials_are_json_with_every_name(graph in graph(8)) {
        let bom = cyclonedx(&graph);
        let names: Vec<_> = graph.models().iter().map(Model::name).collect();
        let listed: Vec<_> = (bom["components"].as_array().unwrap().iter())
            .map(|component| component["name"].as_str().unwrap())
            .collect();
        prop_assert_eq!(&listed, &names);
        let document = spdx(&graph);
        let packages: Vec<_> = of_type(&document, "ai_AIPackage")
            .map(|package| package["name"].as_str().unwrap())
            .collect();
        prop_assert_eq!(&packages, &names);
        let descents = graph.models().iter().filter_map(Model::descent);
        let sure = descents.filter(|it| it.confidence().is_none_or(|sure| sure >= 0.9));
        prop_assert_eq!(of_type(&document, "Relationship").count(), sure.count());
    }
}

/// Edges of all sorts: sure, of unknown direction, among alike parents, unsure, copied, merged.
fn family() -> ModelGraph {
    let edge = |confidence, kind| Descent::new(0).with_confidence(confidence).with_kind(kind);
    let duplicate = DescentKind::Copy(CopyKind::Duplicate);
    let quantised = DescentKind::Copy(CopyKind::Quantised);
    let alike = EquivalentParents {
        models: vec![0, 1],
        confidence: 0.95,
    };
    let part = |parent, weight| MergeParent { parent, weight };
    ModelGraph::new(vec![
        Model::new("org/base"),
        Model::new("sure").with_descent(edge(0.97, DescentKind::Full).with_distance(0.0125)),
        Model::new("turned").with_descent(edge(0.6, quantised).with_joined(0.99)),
        Model::new("alike").with_descent(
            edge(0.5, DescentKind::LowRank { rank: 8 })
                .with_joined(0.5)
                .with_equivalent_parents(alike),
        ),
        Model::new("unsure")
            .with_descent(edge(0.6, DescentKind::Adapter { rank: 4 }).with_joined(0.7)),
        Model::new("copy").with_descent(edge(0.9, duplicate)),
        Model::new("merge").with_merged_from(vec![part(1, 0.25), part(2, 0.75)]),
    ])
    .unwrap()
}

#[test]
fn cards_have_the_relations_of_hubs() {
    let graph = family();
    let relation = |name| {
        let card = graph.card(graph.index(name).unwrap()).unwrap().to_string();
        let (_, relation) = card.split_once("base_model_relation: ")?;
        Some(relation.strip_suffix("\n---").unwrap().to_string())
    };
    for (name, expected) in [
        ("org/base", None),
        ("sure", Some("finetune")),
        ("turned", Some("quantized")),
        ("alike", Some("finetune")),
        ("unsure", Some("adapter")),
        ("copy", None),
        ("merge", Some("merge")),
    ] {
        assert_eq!(relation(name).as_deref(), expected, "{name}");
    }
    let merge = graph.card(6).unwrap().to_string();
    assert!(merge.contains("\nbase_model:\n- \"sure\"\n- \"turned\"\n"));
    assert!(graph.card(7).is_none());
}

#[test]
fn a_pedigree_states_what_is_sure() {
    let bom = cyclonedx(&family());
    let relatives = |position: usize, list: &str| -> Vec<Value> {
        let relatives = &bom["components"][position]["pedigree"][list];
        let name = |relative: &Value| relative["name"].clone();
        relatives
            .as_array()
            .into_iter()
            .flatten()
            .map(name)
            .collect()
    };
    let expected: [(&[&str], &[&str]); 7] = [
        (&[], &[]),
        (&["org/base"], &[]),
        (&[], &["org/base"]),
        (&[], &["org/base", "sure"]),
        (&[], &[]),
        (&["org/base"], &[]),
        (&["sure", "turned"], &[]),
    ];
    for (position, (ancestors, variants)) in expected.into_iter().enumerate() {
        assert_eq!(relatives(position, "ancestors"), ancestors, "{position}");
        assert_eq!(relatives(position, "variants"), variants, "{position}");
    }
    let confidence = |position: usize, list: &str| {
        let relative = &bom["components"][position]["pedigree"][list][0];
        relative["evidence"]["identity"][0]["confidence"].clone()
    };
    assert_eq!(confidence(1, "ancestors"), 0.97);
    assert_eq!(confidence(2, "variants"), 0.99);
    assert_eq!(confidence(3, "variants"), 0.95);
    let unsure = bom["components"][4]["properties"].as_array().unwrap();
    assert!(unsure.contains(&json!({"name": "mother:confidence", "value": "0.6"})));
    assert_eq!(bom["specVersion"], "1.7");
    assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");
    assert_eq!(bom["compositions"][0]["assemblies"][6], "model-6");
}

#[test]
fn relationships_state_what_is_sure() {
    let document = spdx(&family());
    let id = |name: &str| format!("{NAMESPACE}#{name}");
    let relationships: Vec<_> = of_type(&document, "Relationship")
        .map(|it| {
            (
                it["from"].clone(),
                it["relationshipType"].clone(),
                it["to"][0].clone(),
            )
        })
        .collect();
    let expected = [
        (0, "ancestorOf", 1),
        (0, "hasVariant", 2),
        (0, "hasVariant", 3),
        (1, "hasVariant", 3),
        (0, "copiedTo", 5),
        (1, "ancestorOf", 6),
        (2, "ancestorOf", 6),
    ];
    let model = |position: usize| json!(id(&format!("model-{position}")));
    let expected = expected.map(|(from, kind, to)| (model(from), json!(kind), model(to)));
    assert_eq!(relationships, expected);
    let comments = of_type(&document, "Relationship").map(|it| it["comment"].clone());
    assert_eq!(comments.take(1).collect::<Vec<_>>(), ["d=0.0125  p=0.97"]);
    let root = &of_type(&document, "SpdxDocument").next().unwrap()["rootElement"];
    assert_eq!(*root, json!([id("model-0"), id("model-6")]));
    let info = of_type(&document, "CreationInfo").next().unwrap();
    assert_eq!(info["created"], "2023-11-14T22:13:20Z");
    assert_eq!(info["createdBy"][0], id("tool"));
}

#[test]
fn a_picture_shows_kinds_probabilities_and_merges() {
    let svg = family().svg().to_string();
    assert_eq!(
        svg.matches("stroke-dasharray").count(),
        3,
        "two edges and the legend"
    );
    assert!(svg.contains("opacity=\"0.97\"") && svg.contains("opacity=\"0.68\""));
    let legend: Vec<_> = (texts(&svg).into_iter())
        .take_while(|(tag, _)| tag != "title")
        .map(|(_, text)| text)
        .collect();
    assert_eq!(
        legend,
        [
            "adapter",
            "duplicate",
            "full",
            "low-rank",
            "merged",
            "quantised"
        ]
    );
    assert!(svg.contains("\nmerged from: 0.75 × turned</title>"));
    let long = "org/".to_string() + &"x".repeat(1000);
    let graph = ModelGraph::new(vec![Model::new(long.as_str())]).unwrap();
    let svg = graph.svg().to_string();
    assert!(boxes(&svg)[0].width < 400 && svg.contains(&format!("<title>{long}</title>")));
}

#[test]
fn documents_of_no_models_are_whole() {
    let empty = ModelGraph::default();
    assert!(texts(&empty.svg().to_string()).is_empty());
    assert_eq!(cyclonedx(&empty)["components"], json!([]));
    assert_eq!(of_type(&spdx(&empty), "ai_AIPackage").count(), 0);
    assert!(empty.card(0).is_none());
}

#[test]
fn documents_of_deep_chains_need_no_stack() {
    let count = 20_000;
    let models = (0..count).map(|at: usize| match at.checked_sub(1) {
        Some(parent) => Model::new(at.to_string()).with_descent(Descent::new(parent)),
        None => Model::new("root"),
    });
    let graph = ModelGraph::new(models.collect()).unwrap();
    assert_eq!(boxes(&graph.svg().to_string()).len(), count);
    assert_eq!(
        cyclonedx(&graph)["components"].as_array().unwrap().len(),
        count
    );
}

fn cyclonedx(graph: &ModelGraph) -> Value {
    serde_json::from_str(&graph.cyclonedx().to_string()).unwrap()
}

fn spdx(graph: &ModelGraph) -> Value {
    let created = Duration::from_secs(1_700_000_000);
    serde_json::from_str(&graph.spdx(NAMESPACE, created).to_string()).unwrap()
}

fn of_type<'a>(document: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let elements = document["@graph"].as_array().unwrap().iter();
    elements.filter(move |element| element["type"] == kind)
}

/// The texts of an XML document with the elements that they are in; all elements have to be closed.
fn texts(xml: &str) -> Vec<(String, String)> {
    let (mut open, mut texts) = (Vec::<&str>::new(), Vec::new());
    assert!(!xml.contains(['\0', '\u{1b}', '\u{fffe}', '\u{ffff}']));
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
            if !text.trim_matches('\n').is_empty() {
                let unescaped = text.replace("&lt;", "<").replace("&gt;", ">");
                let entities = text.matches('&').count();
                let known = ["&lt;", "&gt;", "&amp;"].map(|it| text.matches(it).count());
                assert_eq!(entities, known.iter().sum::<usize>());
                let name = open[open.len() - 1].to_string();
                texts.push((name, unescaped.replace("&amp;", "&")));
            }
        }
    }
    assert!(open.is_empty());
    texts
}

#[derive(Debug)]
struct Place {
    left: usize,
    top: usize,
    width: usize,
}

/// Where the boxes of models are, in their order.
fn boxes(svg: &str) -> Vec<Place> {
    let number = |rect: &str, name: &str| -> usize {
        let (_, value) = rect.split_once(&format!(" {name}=\"")).unwrap();
        value.split('"').next().unwrap().parse().unwrap()
    };
    let rects = svg.split("<rect").skip(2);
    let place = |rect| Place {
        left: number(rect, "x"),
        top: number(rect, "y"),
        width: number(rect, "width"),
    };
    rects.map(place).collect()
}
