//! What is printed, in each format.

use mother::heritage::ModelGraph;

use super::*;

#[test]
fn without_arguments_the_zoo_is_recovered() {
    let run = recover::<&str>([]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let roots = run
        .stdout
        .lines()
        .filter(|line| line.ends_with("  (7 models)"));
    assert_eq!(roots.count(), 3);
    assert_eq!(
        run.stdout
            .lines()
            .filter(|line| line.contains("─ "))
            .count(),
        18
    );
    assert!(run.stdout.contains("\nright edges:           "));
    assert!(
        run.stdout
            .ends_with("\nmodels in right tree:  21 of 21 (1.000)\n")
    );
    let json = recover(["--format", "json"]).json();
    assert_eq!(json["accuracy"]["clusters"], 1.0);
    assert!(json["accuracy"]["edges"].as_f64().unwrap() > 0.6);
}

#[test]
fn json_has_the_documented_keys() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    folder.write("bad.safetensors", "text");
    let run = recover_folder(folder.path(), &[]);
    let json = run.json();
    assert_eq!(run.stdout.lines().count(), 1);
    // The library reads the same.
    let graph: ModelGraph = serde_json::from_str(&run.stdout).unwrap();
    let stage = graph.models()[0].stage().unwrap();
    assert_eq!(
        json["trees"][0]["stage"]["specialization"],
        stage.specialization
    );
    assert_eq!(graph.parent_of("a1"), Some("a0"));
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    // The parser sorts keys.
    assert_eq!(
        keys(&json),
        [
            "models",
            "seconds",
            "signatures",
            "skipped",
            "trees",
            "version"
        ]
    );
    let root = [
        "confidence",
        "distance",
        "id",
        "parent",
        "placed",
        "runner_up",
        "score",
        "tree",
    ];
    assert_eq!(keys(&json["models"][0]), root);
    let mut child = [&root[..], &["kind", "compared", "joined", "matched"]].concat();
    child.sort_unstable();
    assert_eq!(keys(&json["models"][1]), child);
    assert_eq!(
        keys(&json["trees"][0]),
        ["confidence", "root", "size", "stage"]
    );
    assert_eq!(
        keys(&json["trees"][0]["stage"]),
        ["generalization", "name", "specialization"]
    );
    assert_eq!(keys(&json["skipped"][0]), ["id", "reason"]);
    let stages = ["cluster", "distance", "read", "score", "total", "tree"];
    assert_eq!(keys(&json["seconds"]), stages);
    let stage = |name: &str| json["seconds"][name].as_f64().unwrap();
    let sum: f64 = stages
        .iter()
        .filter(|&&s| s != "total")
        .map(|s| stage(s))
        .sum();
    assert!(sum > 0.0 && sum <= stage("total"));

    let child = &json["models"][1];
    assert_eq!(
        (&child["parent"], &child["tree"]),
        (&"a0".into(), &0.into())
    );
    assert!(child["distance"].as_f64().unwrap() > 0.0);
    assert!(child["score"].as_f64() < json["models"][0]["score"].as_f64());
    assert_eq!(child["kind"], "full");
    let runner_up = child["runner_up"]["confidence"].as_f64().unwrap();
    assert!(runner_up < child["confidence"].as_f64().unwrap());
    assert_eq!(
        (&json["trees"][0]["root"], &json["trees"][0]["size"]),
        (&"a0".into(), &3.into())
    );

    let paper = recover_folder(folder.path(), &["--method", "paper"]).json();
    let contract = [
        "compared",
        "confidence",
        "distance",
        "id",
        "parent",
        "placed",
        "score",
        "tree",
    ];
    assert_eq!(keys(&paper["models"][1]), contract);
    assert_eq!(keys(&paper["trees"][0]), ["root", "size"]);
}

/// The same model, as a wrapper names its layers.
fn wrapped(matrices: Vec<Matrix>) -> Vec<Matrix> {
    let names = ["wrapped.first", "wrapped.second"].into_iter();
    let named = matrices.into_iter().zip(names);
    named
        .map(|((_, sides, values), name)| (name, sides, values))
        .collect()
}

#[test]
fn how_tensors_were_matched_is_told_for_every_edge_and_listed_on_demand() {
    let folder = TempFolder::new();
    let [_, child, _] = write_family(&folder, "a", 1, 24);
    let renamed = wrapped(fine_tuned(&foundation(1, 24), 9));
    folder.write("wrapped.safetensors", file_of(&renamed));
    let id = child.file_stem().unwrap().to_str().unwrap();
    let matched = |more: &[&str], id: &str| {
        let json = recover_folder(folder.path(), more).json();
        let models = json["models"].as_array().unwrap().clone();
        let found = models.into_iter().find(|model| model["id"] == id);
        found.unwrap()["matched"].clone()
    };
    let count = renamed.len();
    let by_names = serde_json::json!({"rule": "names", "names": count});
    assert_eq!(matched(&[], id), by_names);
    let by_prefix = matched(&["--matches"], "wrapped");
    assert_eq!(
        (&by_prefix["rule"], &by_prefix["names"]),
        (&"prefix".into(), &count.into())
    );
    let tensors = by_prefix["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), count);
    for pair in tensors {
        assert_eq!(pair[1], format!("wrapped.{}", pair[0].as_str().unwrap()));
    }
}

#[test]
fn exact_distances_say_where_other_names_keep_them_from_being_measured() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    let run = recover_folder(folder.path(), &["--exact"]);
    assert_eq!(run.stderr, "");
    let renamed = wrapped(foundation(1, 24));
    folder.write("wrapped.safetensors", file_of(&renamed));
    let run = recover_folder(folder.path(), &["--exact"]);
    assert!(
        run.stderr.contains("distances come from signatures"),
        "{}",
        run.stderr
    );
}

#[test]
fn every_format_tells_the_same_tree() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    let other = foundation(2, 24);
    folder.write("it's.safetensors", file_of(&other));
    let text = |format: &str| {
        let run = recover([
            folder.path().as_os_str(),
            OsStr::new("--format"),
            OsStr::new(format),
        ]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        assert!(run.stdout.ends_with('\n') && !run.stdout.ends_with("\n\n"));
        run.stdout
    };

    let tree = text("text");
    let starts = [
        "a0  (3 models)",
        "└─ a1  d=",
        "   └─ a2  d=",
        "it's  (1 model)",
    ];
    assert_eq!(tree.lines().count(), starts.len());
    for (line, start) in tree.lines().zip(starts) {
        assert!(line.starts_with(start), "{tree}");
    }

    let newick = text("newick");
    let (family, single) = newick.trim_end().split_once('\n').unwrap();
    let numbers = family
        .strip_prefix("((a2:")
        .unwrap()
        .strip_suffix(")a0;")
        .unwrap();
    let (first, second) = numbers.split_once(")a1:").unwrap();
    assert!(first.parse::<f64>().unwrap() > 0.0 && second.parse::<f64>().unwrap() > 0.0);
    assert_eq!(single, "'it''s';");

    let dot = text("dot");
    assert!(dot.starts_with("digraph heritage {\n") && dot.ends_with("\n}\n"));
    let lines = |text: &str, arrow: &str| text.lines().filter(|line| line.contains(arrow)).count();
    assert_eq!((lines(&dot, " -> "), lines(&dot, "[label=\"a")), (2, 3));
    assert!(dot.contains("  n0 -> n1 ") && dot.contains("  n1 -> n2 "));

    let mermaid = text("mermaid");
    assert!(mermaid.starts_with("flowchart TD\n"));
    assert_eq!((lines(&mermaid, "n0 --"), lines(&mermaid, "n1 --")), (1, 1));
    assert_eq!(lines(&mermaid, "[\""), 4);

    let svg = text("svg");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("\nparent: a").count(), 2);

    let cards = text("card");
    assert_eq!(cards.matches("base_model: \"a").count(), 2);
    assert!(cards.starts_with("---\n# \"a0\"") && cards.ends_with("# \"it's\"\n---\n"));

    let bom: serde_json::Value = serde_json::from_str(&text("cyclonedx")).unwrap();
    assert_eq!(bom["components"].as_array().unwrap().len(), 4);
    assert_eq!(bom["components"][3]["name"], "it's");

    let spdx: serde_json::Value = serde_json::from_str(&text("spdx")).unwrap();
    let elements = spdx["@graph"].as_array().unwrap();
    let packages = elements.iter().filter(|it| it["type"] == "ai_AIPackage");
    assert_eq!(packages.count(), 4);
}

#[test]
fn the_truth_gives_the_accuracy() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    write_family(&folder, "b", 2, 24);
    let accuracy = |nodes: &str| {
        let truth = format!(r#"{{"config":1,"nodes":[{nodes}]}}"#);
        let truth = folder.write("truth.json", truth).display().to_string();
        recover_folder(folder.path(), &["--truth", &truth]).json()["accuracy"].clone()
    };
    let family = |name: &str, tree| {
        format!(
            r#"{{"id":"{name}0","parent":null,"tree":{tree},"depth":0}},
               {{"id":"{name}1","parent":"{name}0","tree":{tree}}},
               {{"id":"{name}2","parent":"{name}1","tree":{tree}}}"#
        )
    };
    let (a, b) = (family("a", 7), family("b", 3));
    let expect =
        |edges: f64, clusters: f64| serde_json::json!({"edges": edges, "clusters": clusters});
    assert_eq!(accuracy(&format!("{a},{b}")), expect(1.0, 1.0));
    // Wrong where the truth has siblings, and where it has a model that isn't there.
    let siblings = b.replace(r#""b1","tree""#, r#""b0","tree""#);
    assert_eq!(accuracy(&format!("{a},{siblings}")), expect(0.75, 1.0));
    let absent = r#"{"id":"c","parent":"b0","tree":3}"#;
    assert_eq!(
        accuracy(&format!("{a},{b},{absent}")),
        expect(0.8, 6.0 / 7.0)
    );
    // A model that the truth doesn't know is no mistake.
    assert_eq!(accuracy(&a), expect(1.0, 1.0));

    let path = folder.write("truth.json", "{}").display().to_string();
    recover_folder(folder.path(), &["--truth", &path]).assert_failed(1, &["truth.json", "nodes"]);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = (Command::new(executable("recover")).arg("--format=json"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stderr, b"");
}
