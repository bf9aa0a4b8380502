//! What is written down is read back, and what isn't true is refused.

use mother::clustering::{Dendrogram, Linkage, Partition, linkage};
use mother::condensed::CondensedMatrix;
use mother::evidence::{Distance, Evidence, LayerSelection, Measurement, SignatureComparison};
use mother::heritage::{ModelGraph, Recovery, Stage, Trees};
use mother::signature::SignatureOptions;
use mother::weights::InMemoryModel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
}

fn evidence() -> Evidence {
    let model = |name: &str, last: f32| {
        let weights = vec![9.0, 1.0, 1.5, last];
        InMemoryModel::new(name)
            .with_layer("w", [2, 2], weights)
            .unwrap()
    };
    let broken = InMemoryModel::new("broken")
        .with_layer("w", [2, 2], vec![f32::NAN; 4])
        .unwrap();
    let models = [model("a", 1.0), model("b", 1.5), model("c", 1.75), broken];
    Measurement::new().measure(&models).unwrap()
}

#[test]
fn evidence_dendrograms_and_graphs_are_read_back() {
    let evidence = evidence();
    round_trip(&evidence);
    let distances = evidence.groups[0].distances();
    round_trip(distances);
    round_trip(&linkage(distances, Linkage::Ward).unwrap());
    round_trip(&Partition::from_labels(&[0, 1, 0]));
    let graph = Recovery::new().recover(&evidence).unwrap();
    assert!(
        graph
            .models()
            .iter()
            .all(|model| model.confidence().is_some())
    );
    round_trip::<ModelGraph>(&graph);
}

#[test]
fn settings_are_read_back() {
    let options = SignatureOptions::new().with_buckets(64).unwrap();
    round_trip(&options);
    let layers = LayerSelection::new().with_glob("*attn*");
    round_trip(&SignatureComparison::new().with_layers(layers));
    round_trip(&Measurement::new().with_distance(Distance::L2));
    round_trip(
        &Recovery::paper()
            .with_trees(Trees::Count(2))
            .with_stage_of("a", Stage::Specialization),
    );
    // What isn't given has its default, and what isn't known is refused.
    assert_eq!(
        serde_json::from_str::<Recovery>("{}").unwrap(),
        Recovery::new()
    );
    assert!(refused::<Recovery>(json!({"penalties": 1})).contains("penalties"));
    assert!(refused::<SignatureOptions>(json!({"buckets": 9, "key": 0})).contains('9'));
}

fn refused<T: DeserializeOwned>(value: serde_json::Value) -> String {
    match serde_json::from_value::<T>(value) {
        Ok(_) => panic!("it was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn inconsistent_values_are_not_deserialised() {
    let short = refused::<CondensedMatrix>(json!({"size": 3, "values": [1.0]}));
    assert!(
        short.contains("1 values do not match the pairs of 3 points"),
        "{short}"
    );
    let step = json!({"left": 0, "right": 7, "height": 1.0, "size": 2});
    let label = refused::<Dendrogram>(json!({"points": 2, "steps": [step]}));
    assert!(label.contains("step 0"), "{label}");
    let mut written = serde_json::to_value(evidence()).unwrap();
    written["groups"][0]["models"] = json!(["b", "a", "c"]);
    let order = refused::<Evidence>(written.clone());
    assert!(order.contains("model `a` is not sorted"), "{order}");
    written["groups"][0]["models"] = json!(["a", "b"]);
    let size = refused::<Evidence>(written);
    assert!(size.contains("instead of 2"), "{size}");
}
