//! The library's exports against official schemas, also for graphs that were written and read back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mother::evidence::CopyKind;
use mother::heritage::{
    Descent, DescentKind, EquivalentParents, Index, MergeParent, Model, ModelGraph, RunnerUp,
};
use mother::safetensors::SafetensorsModel;
use mother::signature::SignatureOptions;
use serde_json::Value;

/// The graph of the zoo.
fn zoo() -> ModelGraph {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zoo");
    let mut index = Index::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|ending| ending == "safetensors")
        {
            let model = SafetensorsModel::open(&path).unwrap();
            index
                .insert(SignatureOptions::new().sign(&model).unwrap())
                .unwrap();
        }
    }
    index.graph().unwrap()
}

/// A graph with every kind of edge, and names that need escaping.
fn everything() -> ModelGraph {
    let kinds = [
        DescentKind::Full,
        DescentKind::LowRank { rank: 8 },
        DescentKind::Adapter { rank: 16 },
        DescentKind::Copy(CopyKind::Duplicate),
        DescentKind::Copy(CopyKind::Cast),
        DescentKind::Copy(CopyKind::Quantised),
        DescentKind::Copy(CopyKind::Pruned),
    ];
    let names = [
        "\"quoted\" \\ back",
        "<b>&amp;</b>",
        "línea\nnueva",
        "\u{202e}gnp",
        "日本語",
        "{json}",
        "a: b # c",
    ];
    let mut models = vec![
        Model::new("org/base")
            .with_score(231.5)
            .with_root_confidence(0.97),
    ];
    for (at, (kind, name)) in kinds.into_iter().zip(names).enumerate() {
        let sure = 0.4 + 0.1 * at as f64;
        let descent = Descent::new(at / 2)
            .with_kind(kind)
            .with_distance(1e-7 * 10_f64.powi(at as i32))
            .with_confidence(sure.min(1.0))
            .with_joined(0.95)
            .with_compared(0.125);
        let second = RunnerUp {
            parent: (at % 2 == 0).then_some(0),
            confidence: 0.02,
        };
        models.push(
            Model::new(name)
                .with_descent(descent)
                .with_runner_up(second),
        );
    }
    let parts = [(1, 0.25), (2, 0.75)].map(|(parent, weight)| MergeParent { parent, weight });
    models.push(Model::new("merged").with_merged_from(parts.to_vec()));
    let alike = EquivalentParents {
        models: vec![0, 1, 2],
        confidence: 0.99,
    };
    let unsure = Descent::new(1)
        .with_confidence(0.33)
        .with_joined(0.4)
        .with_equivalent_parents(alike);
    models.push(Model::new("frozen").with_descent(unsure));
    models.push(Model::new("stranger"));
    ModelGraph::new(models).unwrap()
}

/// A family of hundreds, in which every model but the first descends from an earlier one.
fn many() -> ModelGraph {
    let model = |at: usize| match at {
        0 => Model::new("base"),
        _ => {
            let parent = (at * 7919) % at;
            let sure = (at % 101) as f64 / 100.0;
            let descent = Descent::new(parent)
                .with_confidence(sure)
                .with_joined(sure.sqrt());
            Model::new(format!("org/model-{at}")).with_descent(descent)
        }
    };
    ModelGraph::new((0..500).map(model).collect()).unwrap()
}

fn graphs() -> Vec<(&'static str, ModelGraph)> {
    let empty = ModelGraph::default();
    vec![
        ("zoo", zoo()),
        ("everything", everything()),
        ("many", many()),
        ("empty", empty),
    ]
}

#[test]
fn bills_of_materials_are_valid_cyclonedx() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/cyclonedx");
    let schema = |name: &str| -> Value {
        let text = fs::read_to_string(folder.join(format!("{name}.SNAPSHOT.schema.json")));
        serde_json::from_str(&text.unwrap()).unwrap()
    };
    let mut registry = jsonschema::Registry::new();
    for name in ["cryptography-defs", "jsf-0.82", "spdx"] {
        let address = format!("http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json");
        // Registered under the name by which other schemas refer to it.
        let mut schema = schema(name);
        schema.as_object_mut().unwrap().remove("$id");
        registry = registry
            .add(address, jsonschema::Resource::from_contents(schema))
            .unwrap();
    }
    let registry = registry.prepare().unwrap();
    let validator = jsonschema::options()
        .with_registry(&registry)
        .should_validate_formats(true)
        .build(&schema("bom-1.7"))
        .unwrap();
    for (name, graph) in graphs() {
        let bom: Value = serde_json::from_str(&graph.cyclonedx().to_string()).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&bom)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        assert_eq!(bom["components"].as_array().unwrap().len(), graph.len());
    }
    // The schema doesn't accept just anything.
    let mut wrong: Value = serde_json::from_str(&everything().cyclonedx().to_string()).unwrap();
    wrong["components"][1]["pedigree"]["ancestor"] = Value::Null;
    assert!(!validator.is_valid(&wrong));
}

fn spdx(graph: &ModelGraph) -> Value {
    let created = Duration::from_secs(1_700_000_000);
    let document = graph.spdx("https://example.org/hub", created);
    serde_json::from_str(&document.to_string()).unwrap()
}

fn spdx_schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/spdx/spdx-3.0.1.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn spdx_documents_are_valid() {
    let validator = spdx_schema();
    for (name, graph) in graphs() {
        let errors: Vec<String> = validator
            .iter_errors(&spdx(&graph))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn spdx_documents_with_a_fault_are_refused() {
    let validator = spdx_schema();
    let graph = everything();
    let whole = spdx(&graph);
    let elements = whole["@graph"].as_array().unwrap();
    let find = |kind: &str| elements.iter().position(|e| e["type"] == kind).unwrap();
    let (creation, package) = (find("CreationInfo"), find("ai_AIPackage"));
    let (document, relationship) = (find("SpdxDocument"), find("Relationship"));
    let missing = [
        (creation, "created"),
        (creation, "createdBy"),
        (creation, "specVersion"),
        (package, "spdxId"),
        (package, "creationInfo"),
        (document, "type"),
        (relationship, "from"),
        (relationship, "to"),
        (relationship, "relationshipType"),
    ];
    for (at, key) in missing {
        let mut wrong = whole.clone();
        wrong["@graph"][at].as_object_mut().unwrap().remove(key);
        assert!(!validator.is_valid(&wrong), "without {key}");
    }
    let of_another_kind = [
        (creation, "created", "yesterday"),
        (package, "software_primaryPurpose", "models"),
        (package, "sofware_primaryPurpose", "model"),
        (document, "profileConformance", "core"),
        (relationship, "relationshipType", "parentOf"),
        (relationship, "completeness", "some"),
        (relationship, "type", "Relation"),
    ];
    for (at, key, value) in of_another_kind {
        let mut wrong = whole.clone();
        wrong["@graph"][at][key] = value.into();
        assert!(!validator.is_valid(&wrong), "{key} is {value}");
    }
}

/// Checks what a schema can't express.
#[test]
fn spdx_documents_refer_to_elements_that_are_there() {
    for (name, graph) in graphs() {
        let document = spdx(&graph);
        let elements = document["@graph"].as_array().unwrap();
        let ids = elements
            .iter()
            .filter_map(|element| element["spdxId"].as_str());
        let unique: BTreeSet<&str> = ids.clone().collect();
        assert_eq!(unique.len(), ids.count(), "{name}");
        for element in elements {
            let to = element["to"].as_array().into_iter().flatten();
            let roots = element["rootElement"].as_array().into_iter().flatten();
            let from = element.get("from").into_iter();
            for id in from.chain(to).chain(roots) {
                assert!(unique.contains(id.as_str().unwrap()), "{name}: {id}");
            }
        }
        let packages = elements
            .iter()
            .filter(|element| element["type"] == "ai_AIPackage");
        assert_eq!(packages.count(), graph.len());
    }
}

#[test]
fn a_graph_that_was_read_back_gives_the_same_exports() {
    for (name, graph) in graphs() {
        let json = serde_json::to_string(&graph).unwrap();
        let read: ModelGraph = serde_json::from_str(&json).unwrap();
        assert_eq!(exports(&read), exports(&graph), "{name}");
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}

/// Every export of a graph.
fn exports(graph: &ModelGraph) -> Vec<String> {
    let created = Duration::from_secs(1_700_000_000);
    let mut exports = vec![
        graph.to_string(),
        graph.svg().to_string(),
        graph.cyclonedx().to_string(),
        graph.spdx("https://example.org/hub", created).to_string(),
        graph.dot().to_string(),
        graph.mermaid().to_string(),
        graph.newick().to_string(),
    ];
    let cards = (0..graph.len()).filter_map(|model| graph.card(model));
    exports.extend(cards.map(|card| card.to_string()));
    exports
}
