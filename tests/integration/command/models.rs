//! Which models a command line stands for, and what becomes of them.

use super::*;

#[test]
fn a_family_is_recovered_from_a_folder() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(run.parents(), family("a"));
    assert_eq!(run.stderr, "");
}

#[test]
fn one_model_is_a_tree_of_one() {
    let folder = TempFolder::new();
    let file = folder.write("only.safetensors", file_of(&foundation(1, 8)));
    for path in [file.as_path(), folder.path()] {
        let json = recover_folder(path, &[]).json();
        assert_eq!(
            json["trees"],
            serde_json::json!([{"root": "only", "size": 1}])
        );
        assert_eq!(json["models"][0]["parent"], Value::Null);
        assert_eq!(json["models"][0]["distance"], Value::Null);
        assert_eq!(json["models"][0]["confidence"], Value::Null);
        assert_eq!(json["models"][0]["placed"], false);
    }
}

#[test]
fn equal_models_are_one_tree_at_distance_zero() {
    let folder = TempFolder::new();
    let bytes = file_of(&foundation(1, 8));
    folder.write("copy.safetensors", &bytes);
    folder.write("original.safetensors", &bytes);
    for distance in ["l2", "rank"] {
        let json = recover_folder(folder.path(), &["--distance", distance]).json();
        assert_eq!(json["trees"].as_array().unwrap().len(), 1);
        let models = json["models"].as_array().unwrap();
        let child = models
            .iter()
            .find(|model| !model["parent"].is_null())
            .unwrap();
        assert_eq!(child["distance"], 0.0);
    }
}

#[test]
fn models_of_different_architectures_are_never_in_one_tree() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    write_family(&folder, "b", 2, 16);
    for clusters in ["1", "2", "auto"] {
        let run = recover_folder(folder.path(), &["--clusters", clusters]);
        assert_eq!(run.parents(), [family("a"), family("b")].concat());
        assert_eq!(run.stderr.contains("architectures"), clusters == "1");
    }
    let distance = ["--threshold", "1e9"];
    assert_eq!(
        recover_folder(folder.path(), &distance).json()["trees"][1]["size"],
        3
    );
}

#[test]
fn clusters_and_thresholds_set_the_trees() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    write_family(&folder, "b", 2, 24);
    let trees = |arguments: &[&str]| {
        let json = recover_folder(folder.path(), arguments).json();
        json["trees"].as_array().unwrap().len()
    };
    assert_eq!(trees(&[]), 2);
    for (clusters, count) in [("1", 1), ("2", 2), ("6", 6), ("auto", 2)] {
        assert_eq!(trees(&["--clusters", clusters]), count);
    }
    for (threshold, count) in [("0", 6), ("3", 2), ("100", 1)] {
        assert_eq!(trees(&["--threshold", threshold]), count, "{threshold}");
    }
    let run = recover_folder(folder.path(), &["--clusters", "7"]);
    run.assert_failed(1, &["recover: 6 models cannot form 7 trees"]);
}

#[test]
fn folders_hold_files_single_models_and_sharded_ones() {
    let (files, folders) = (TempFolder::new(), TempFolder::new());
    write_family(&files, "a", 1, 24);
    let base = foundation(1, 24);
    let child = fine_tuned(&base, 101);
    folders.write("a0/model.safetensors", file_of(&base));
    folders.write("a1/model-1.safetensors", file_of(&child[..1]));
    folders.write("a1/model-2.safetensors", file_of(&child[1..]));
    folders.write(
        "a1/model.safetensors.index.json",
        r#"{"weight_map":{"first":"model-1.safetensors","second":"model-2.safetensors"}}"#,
    );
    folders.write("a2.safetensors", file_of(&fine_tuned(&child, 102)));
    folders.write("no-model/notes.txt", "skipped");
    let (files, folders) = (
        recover_folder(files.path(), &[]),
        recover_folder(folders.path(), &[]),
    );
    assert_eq!(files.without_seconds(), folders.without_seconds());
}

#[test]
fn equal_names_are_distinguished_and_one_model_given_twice_is_one() {
    let folder = TempFolder::new();
    let base = foundation(1, 24);
    let first = folder.write("x/model.safetensors", file_of(&base));
    let second = folder.write("y/model.safetensors", file_of(&fine_tuned(&base, 1)));
    let format = Path::new("--format=json");
    let run = recover([
        &first,
        &second,
        &first.with_file_name("../x/model.safetensors"),
        format,
    ]);
    // Which of the two was first is open: their rows all moved alike.
    let parents = run.parents();
    let ids: Vec<&str> = parents.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["x", "y"]);
    assert_eq!(
        parents
            .iter()
            .filter(|(_, parent)| parent.is_some())
            .count(),
        1
    );
}

#[test]
fn each_skipped_path_is_reported_on_one_line() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    let base = file_of(&foundation(2, 24));
    folder.write("b/model.safetensors", &base);
    folder.write("b/model.fp16.safetensors", &base);
    folder.write("texts/notes.txt", "no weights");
    let run = recover_folder(folder.path(), &["--strict"]);
    assert_eq!(run.json()["skipped"], serde_json::json!([]));
    assert_eq!(
        run.stderr,
        "skipped b/model.fp16.safetensors: `model.fp16.safetensors` is the same model as \
         `model.safetensors`, which is used instead\nskipped texts: no weights found\n"
    );
    folder.write("c/model.onnx", "");
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(run.json()["skipped"][0]["id"], "c");
    assert!(
        run.stderr.contains("skipped c: `model.onnx`"),
        "{}",
        run.stderr
    );
    let strict = recover_folder(folder.path(), &["--strict"]);
    strict.assert_failed(1, &["recover: model `c`: `model.onnx`"]);
}

#[test]
fn order_and_threads_change_nothing() {
    let folder = TempFolder::new();
    let mut files = [
        write_family(&folder, "a", 1, 40),
        write_family(&folder, "b", 2, 40),
    ]
    .concat();
    files.push(folder.write("bad.safetensors", "no model"));
    for distance in ["--distance=l2", "--distance=rank"] {
        let run = |arguments: &mut Vec<&OsStr>| {
            let json = ["--format=json", distance].map(OsStr::new);
            arguments.extend(json);
            recover(arguments.iter().copied())
        };
        let expected = run(&mut vec![folder.path().as_os_str()]);
        assert_eq!(expected.parents().len(), 6);
        for (threads, rotation) in [("--threads=1", 2), ("--threads=2", 3), ("--threads=7", 5)] {
            files.rotate_left(rotation);
            files.swap(0, 4);
            let mut arguments: Vec<_> = files.iter().map(|file| file.as_os_str()).collect();
            arguments.insert(rotation, OsStr::new(threads));
            let found = run(&mut arguments);
            assert_eq!(found.without_seconds(), expected.without_seconds());
        }
    }
}

#[test]
fn options_reach_the_method() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    let expected = family("a");
    for same in [
        ["--method", "paper"],
        ["--method", "joint"],
        ["--distance", "auto"],
        ["--stage", "auto"],
        ["--stage", "specialization"],
        ["--linkage", "average"],
        ["--layers", "*"],
        ["--lambda", "0.5"],
    ] {
        assert_eq!(recover_folder(folder.path(), &same).parents(), expected);
    }
    // The other stage turns the paper's chain around; growth knows better.
    let other = ["--stage", "generalization", "--method", "paper"];
    let turned = recover_folder(folder.path(), &other).parents();
    assert_eq!(turned[2], ("a2".into(), None));
    assert_eq!(turned[0].1.as_deref(), Some("a1"));

    let score = |more: &[&str]| {
        let json = recover_folder(folder.path(), more).json();
        json["models"][0]["score"].as_f64().unwrap()
    };
    let both = score(&[]);
    let (first, second) = (
        score(&["--score-layers", "fir*"]),
        score(&["--score-layers=second"]),
    );
    assert!((both - first - second).abs() < 1e-9 * both);
    assert_eq!(
        both,
        score(&["--score-layers=first", "--score-layers=second"])
    );
    // Entropy needs the weights themselves, which the paper's method reads.
    let paper = |name: &str| score(&["--method=paper", "--score", name]);
    assert!((both - paper("kurtosis")).abs() < 1e-12 * both);
    assert_ne!(both, paper("entropy"));

    // The paper's tree is the same for all of these distances.
    let distance = |more: &[&str]| {
        let more = [&["--method=paper"], more].concat();
        let json = recover_folder(folder.path(), &more).json();
        json["models"][1]["distance"].as_f64().unwrap()
    };
    let mean = (distance(&["--layers=first"]) + distance(&["--layers=second"])) / 2.0;
    assert!((distance(&[]) - mean).abs() < 1e-9 * mean);
    let rank = ["--distance=rank"];
    assert_eq!(distance(&rank), 24.0);
    assert_eq!(distance(&[rank[0], "--ranks=sum"]), 48.0);
    assert_eq!(distance(&[rank[0], "--ranks=sum", "--layers=first"]), 24.0);
    assert_eq!(distance(&[rank[0], "--tolerance=absolute:1e9"]), 0.0);
}

#[test]
fn without_a_scored_layer_a_note_says_that_directions_are_unknown() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    let run = recover_folder(folder.path(), &["--method=paper", "--score-layers=nothing"]);
    assert_eq!(run.json()["models"][0]["score"], Value::Null);
    assert!(
        run.stderr
            .contains("a0 and 2 more models: no layer to score"),
        "{}",
        run.stderr
    );
}
