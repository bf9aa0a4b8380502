//! Graphs through serde.

use mother::heritage::{Descent, Model, ModelGraph};
use proptest::prelude::*;

use super::graph;

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn json_reads_back(graph in graph(8)) {
        // Not as text: serde_json may read a decimal to a neighbour of the number it was.
        let value = serde_json::to_value(&graph).unwrap();
        prop_assert_eq!(serde_json::from_value::<ModelGraph>(value).unwrap(), graph);
    }
}

#[test]
fn json_has_the_documented_form() {
    let graph = ModelGraph::new(vec![
        Model::new("chat")
            .with_descent(Descent::new(1).with_distance(0.0125).with_confidence(0.98)),
        Model::new("base").with_score(231.5),
    ])
    .unwrap();
    let text = r#"{"version":1,"models":[{"id":"chat","tree":0,"parent":"base","distance":0.0125,"score":null,"confidence":0.98,"placed":true},{"id":"base","tree":0,"parent":null,"distance":null,"score":231.5,"confidence":null,"placed":true}],"trees":[{"root":"base","size":2}]}"#;
    assert_eq!(serde_json::to_string(&graph).unwrap(), text);
    assert_eq!(serde_json::from_str::<ModelGraph>(text).unwrap(), graph);
}

#[test]
fn a_list_of_true_parents_is_read_and_a_broken_one_refused() {
    let truth = r#"{"config": {"seed": 1}, "nodes": [
        {"id": "b", "parent": "a", "tree": 3, "stage": "specialization"},
        {"id": "a", "parent": null, "tree": 3}]}"#;
    let graph: ModelGraph = serde_json::from_str(truth).unwrap();
    assert_eq!(graph.edges().collect::<Vec<_>>(), [(1, 0)]);
    assert_eq!(graph.tree(0), Some(0));
    let refused = |text| {
        serde_json::from_str::<ModelGraph>(text)
            .unwrap_err()
            .to_string()
    };
    let cycle = r#"{"models": [{"id": "a", "parent": "a"}]}"#;
    assert_eq!(refused(cycle), "model \"a\" is its own ancestor");
    let later = r#"{"version": 2, "models": []}"#;
    assert!(refused(later).contains("version 2"), "{}", refused(later));
    let unknown = r#"{"models": [{"id": "a", "parent": "z"}]}"#;
    assert_eq!(refused(unknown), "model \"a\" has an unknown parent, \"z\"");
}
