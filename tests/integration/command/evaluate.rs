//! The table over several splits.

use super::*;

const TRUTH: &str = r#"{"nodes":[
    {"id":"a0","parent":null,"tree":0},{"id":"a1","parent":"a0","tree":0},
    {"id":"a2","parent":"a0","tree":0},
    {"id":"b0","parent":null,"tree":1},{"id":"b1","parent":"b0","tree":1},
    {"id":"b2","parent":"b1","tree":1}]}"#;

#[test]
fn every_split_is_a_row() {
    let folder = TempFolder::new();
    for split in ["one", "two"] {
        write_family(&folder, &format!("{split}/a"), 1, 24);
        write_family(&folder, &format!("{split}/b"), 2, 24);
        folder.write(&format!("{split}/truth.json"), TRUTH);
    }
    write_family(&folder, "no-split/a", 1, 24);
    let run = run("evaluate", [folder.path()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let rows: Vec<Vec<&str>> = (run.stdout.lines())
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let split = |name| [name, "6", "2 of 2", "1.000", "0.750", "0.500 1.000"];
    assert_eq!(
        rows[0][..6],
        ["split", "models", "trees", "clusters", "edges", "by tree"]
    );
    assert_eq!(rows[2][..6], split("one"));
    assert_eq!(rows[3][..6], split("two"));
    assert_eq!(rows[4][..6], ["all", "12", "4 of 4", "1.000", "0.750", ""]);
    let width = |line: &str| line.chars().count();
    let table = run.stdout.lines().take(5);
    assert!(
        table
            .clone()
            .all(|line| width(line) == width(table.clone().next().unwrap()))
    );
    // Under it, how sure recovery was of the parents and roots of both splits, and how right.
    assert_eq!(rows[5], [""]);
    assert_eq!(
        rows[6],
        ["confidence from", "statements", "mean confidence", "right"]
    );
    let statements = |row: &Vec<&str>| row[1].parse::<usize>().unwrap();
    assert_eq!(rows[8..14].iter().map(statements).sum::<usize>(), 12);
    assert!(rows[15][0].starts_with("10 of 12 parents and roots are right, Brier score 0."));

    let json = super::run("evaluate", [folder.path(), "--format=json".as_ref()]).json();
    assert_eq!(json["splits"][1]["split"], "two");
    let reliability = &json["reliability"];
    assert_eq!(
        (&reliability["statements"], &reliability["right"]),
        (&12.into(), &10.into())
    );
    assert!(reliability["brier"].as_f64().unwrap() < 0.25);
    assert_eq!(
        json["splits"][1]["edges"],
        serde_json::json!({"right": 3, "of": 4})
    );
    let json = super::run(
        "evaluate",
        [
            folder.path(),
            "--format=json".as_ref(),
            "--clusters=1".as_ref(),
        ],
    );
    assert_eq!(json.json()["splits"][0]["trees"], 1);
}

#[test]
fn models_are_left_out_but_for_roots() {
    let folder = TempFolder::new();
    write_family(&folder, "one/a", 1, 24);
    write_family(&folder, "one/b", 2, 24);
    folder.write("one/truth.json", TRUTH);
    let split = |left_out: &str| {
        let options = ["--format=json", "--draws=2", left_out].map(AsRef::as_ref);
        let json = run("evaluate", [folder.path()].into_iter().chain(options)).json();
        json["splits"][0].clone()
    };
    let all = split("--left-out=0");
    assert_eq!(
        (&all["models"], &all["edges"]["of"]),
        (&12.into(), &8.into())
    );
    let roots = split("--left-out=0.999999999");
    assert_eq!(
        (&roots["models"], &roots["edges"]["of"]),
        (&4.into(), &0.into())
    );
    assert_eq!(roots["clusters"], serde_json::json!({"right": 4, "of": 4}));
    // Of every model that is left, the parent is known.
    let some = split("--left-out=0.5");
    let count = |value: &serde_json::Value| value.as_u64().unwrap();
    assert_eq!(count(&some["models"]), count(&some["edges"]["of"]) + 4);
}

#[test]
fn failures_have_their_codes() {
    run::<&str>("evaluate", []).assert_failed(2, &["evaluate: ", "folder"]);
    run("evaluate", ["x", "y"]).assert_failed(2, &["evaluate: ", "y"]);
    run("evaluate", ["x", "--strict"]).assert_failed(2, &["evaluate: ", "--strict"]);
    run("evaluate", ["x", "--left-out=1"]).assert_failed(2, &["evaluate: ", "--left-out"]);
    run("evaluate", ["x", "--draws=0"]).assert_failed(2, &["evaluate: ", "--draws"]);
    let folder = TempFolder::new();
    run("evaluate", [folder.path()]).assert_failed(1, &["no split"]);
    run("evaluate", [folder.path().join("absent")]).assert_failed(1, &["absent"]);
    folder.write("split/truth.json", TRUTH);
    run("evaluate", [folder.path()]).assert_failed(1, &["split split: no model found in "]);
}
