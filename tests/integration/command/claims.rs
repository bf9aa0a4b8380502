//! What is said of models: unknown ids, and model cards.

use super::*;

#[test]
fn a_known_id_that_no_model_has_is_reported() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    folder.write("bad.safetensors", "text");
    let known = r#"{"parents": {"a1": "a0", "ghost": "a0"}, "times": {"a2": 3, "gone": 4}, "leaves": ["bad"]}"#;
    let known = folder.write("known.json", known);
    let known = ["--known", known.to_str().unwrap()];
    let run = recover_folder(folder.path(), &known);
    assert_eq!(run.parents(), family("a"));
    let notes: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains("--known"))
        .collect();
    let expected =
        ["ghost", "gone"].map(|id| format!("--known names {id}, which is not among the models"));
    assert_eq!(notes, expected);
    fs::remove_file(folder.path().join("bad.safetensors")).unwrap();
    let strict = recover_folder(folder.path(), &[known[0], known[1], "--strict"]);
    strict.assert_failed(
        1,
        &["recover: --known names bad, which is not among the models"],
    );
}

/// Writes a family of three in folders, with a card that names the base of the last.
fn with_card(base: &str) -> TempFolder {
    let folder = TempFolder::new();
    let first = foundation(1, 24);
    let second = fine_tuned(&first, 101);
    for (name, model) in [
        ("m0", &first),
        ("m1", &second),
        ("m2", &fine_tuned(&second, 102)),
    ] {
        folder.write(&format!("{name}/model.safetensors"), file_of(model));
    }
    folder.write("other/model.safetensors", file_of(&foundation(7, 24)));
    let card = format!("---\nlicense: mit\nbase_model: {base}\n---\n# A model\n");
    folder.write("m2/README.md", card);
    folder
}

#[test]
fn a_card_that_contradicts_the_weights_is_reported() {
    let truth = || {
        let parents = [
            ("m0", None),
            ("m1", Some("m0")),
            ("m2", Some("m1")),
            ("other", None),
        ];
        parents
            .map(|(child, parent)| (child.to_owned(), parent.map(String::from)))
            .to_vec()
    };
    // An ancestor is no contradiction, and neither is a base that isn't there.
    for base in [
        "acme/m1",
        "acme/m0",
        "acme/elsewhere",
        "[acme/other, acme/m1]",
    ] {
        let folder = with_card(base);
        let run = recover_folder(folder.path(), &["--cards"]);
        assert_eq!((run.parents(), &*run.stderr), (truth(), ""), "{base}");
    }
    let folder = with_card("acme/other");
    let run = recover_folder(folder.path(), &["--cards"]);
    assert_eq!(run.parents(), truth());
    assert_eq!(
        run.stderr,
        "the card of m2 says that it comes from other, but the weights say that it comes from m1\n"
    );
    // Nobody asked.
    assert_eq!(recover_folder(folder.path(), &[]).stderr, "");
}

#[test]
fn a_card_with_the_right_base_and_the_wrong_relation_is_reported() {
    let folder = with_card("acme/m1");
    let says = |relation: &str| {
        let card =
            format!("---\nbase_model: acme/m1\nbase_model_relation: {relation}\n---\n# A model\n");
        folder.write("m2/README.md", card);
        recover_folder(folder.path(), &["--cards"]).stderr
    };
    assert_eq!(says("finetune"), "");
    assert_eq!(says("merge"), "");
    let expected =
        "the card of m2 gives its relation to m1 as quantized, but the weights say full\n";
    assert_eq!(says("quantized"), expected);
}
