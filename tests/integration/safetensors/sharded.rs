//! A model in several files is one model, and its index can't lead anywhere else.

use mother::safetensors::SafetensorsModel;
use mother::storage::{FileError, FileErrorKind};
use mother::weights::WeightSource;

use super::{TempFolder, error_of, file_of, file_with, read_all, skipped_names};

const INDEX: &str = "base/model.safetensors.index.json";

/// A folder `base` with two shards, `1` of layers a and b and `2` of layers c and d, and this index.
fn sharded(index: impl AsRef<[u8]>) -> TempFolder {
    let folder = TempFolder::new();
    folder.write("base/1", file_of(&[("a", &[1.0]), ("b", &[2.0, 3.0])]));
    let header = r#"{"__metadata__":{"format":"pt"},
        "c":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
        "d":{"dtype":"C64","shape":[1],"data_offsets":[4,12]}}"#;
    folder.write("base/2", file_with(header, &[0; 12]));
    folder.write(INDEX, index);
    folder
}

fn error_with(index: &str) -> FileError {
    let folder = sharded(index);
    let opened = SafetensorsModel::open(folder.path().join("base"));
    error_of(opened, "model.safetensors.index.json")
}

#[test]
fn shards_are_one_model_named_after_the_folder() {
    let folder = sharded(
        r#"{"metadata":{"total_size":28,"x":[1,{}]},
            "weight_map":{"a":"1","c":"2","b":"1","d":"2"},"more":null}"#,
    );
    let base = folder.path().join("base");
    for path in [base.clone(), base.join("model.safetensors.index.json")] {
        let model = SafetensorsModel::open(path).unwrap();
        assert_eq!(model.name(), "base");
        let expected = [("a", vec![1.0]), ("b", vec![2.0, 3.0]), ("c", vec![0.0])];
        let expected = expected.map(|(name, values)| (name.to_owned(), values));
        assert_eq!(read_all(&model).unwrap(), expected);
        assert_eq!(skipped_names(&model), ["d"]);
        assert_eq!(model.metadata().collect::<Vec<_>>(), [("format", "pt")]);
    }
}

#[test]
fn a_layer_that_the_index_does_not_list_is_skipped_with_the_reason() {
    // The index puts `b` elsewhere than where a copy of it is.
    let folder = sharded(r#"{"weight_map":{"a":"1","c":"2","b":"3"}}"#);
    folder.write("base/3", file_of(&[("b", &[5.0])]));
    let model = SafetensorsModel::open(folder.path().join("base")).unwrap();
    let names: Vec<_> = read_all(&model)
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["a", "c", "b"]);
    assert_eq!(skipped_names(&model), ["b", "d"]);
    let reasons: Vec<_> = model
        .skipped_layers()
        .iter()
        .map(|layer| &layer.reason)
        .collect();
    let expected = [
        "not listed by the index for `1`, which contains it",
        "C64 values cannot be decoded",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn an_empty_index_is_a_model_without_layers() {
    let folder = sharded(r#"{"weight_map":{}}"#);
    let model = SafetensorsModel::open(folder.path().join("base")).unwrap();
    assert_eq!(model.layers().count(), 0);
}

#[test]
fn a_single_file_comes_before_an_index() {
    let folder = sharded("not read");
    folder.write("base/model.safetensors", file_of(&[("whole", &[1.0])]));
    let model = SafetensorsModel::open(folder.path().join("base")).unwrap();
    assert_eq!(
        (model.name(), read_all(&model).unwrap()[0].0.as_str()),
        ("base", "whole")
    );
}

#[test]
fn a_missing_shard_or_layer_is_named() {
    let error = error_with(r#"{"weight_map":{"a":"1","z":"4"}}"#);
    assert!(matches!(&error.kind, FileErrorKind::MissingShard { shard } if shard == "4"));
    assert!(
        error
            .to_string()
            .ends_with("lists the shard `4`, which does not exist")
    );
    let error = error_with(r#"{"weight_map":{"a":"1","c":"1"}}"#);
    assert_eq!(error.layer.as_deref(), Some("c"));
    assert!(matches!(&error.kind, FileErrorKind::MissingLayer { shard } if shard == "1"));
    assert!(
        error
            .to_string()
            .ends_with("lists layer `c` in the shard `1`, which lacks it")
    );
}

#[test]
fn a_bad_shard_names_itself() {
    let folder = sharded(r#"{"weight_map":{"a":"1","c":"2"}}"#);
    let shard = folder.write("base/2", b"\0\0\0");
    let error = error_of(SafetensorsModel::open(folder.path().join("base")), "base/2");
    assert_eq!(error.file, shard.display().to_string());
    assert!(matches!(error.kind, FileErrorKind::OtherFormat { .. }));
}

#[test]
fn a_shard_is_never_looked_for_in_another_folder() {
    let evil = [
        "../evil",
        "..",
        ".",
        "",
        "/etc/passwd",
        "sub/1",
        "./1",
        "1/",
        "..\\\\evil",
        "C:\\\\evil",
        "a\\u0000",
    ];
    for name in evil {
        let error = error_with(&format!(r#"{{"weight_map":{{"c":"2","a":"{name}"}}}}"#));
        assert!(
            matches!(&error.kind, FileErrorKind::BadShardName { .. }),
            "{name}: {error:?}"
        );
        assert_eq!(error.layer.as_deref(), Some("a"));
    }
}

#[test]
fn invalid_indexes_are_errors() {
    for index in ["", "{", "{\"a\":[1,", "x", r#"{"weight_map":{}} 1"#] {
        let error = error_with(index);
        assert!(
            error.to_string().contains("invalid JSON"),
            "{index}: {error:?}"
        );
    }
    for index in [
        "5",
        "[]",
        "{}",
        r#"{"weight_map":["1"]}"#,
        r#"{"weight_map":{"a":1}}"#,
        r#"{"weight_map":{},"weight_map":{}}"#,
    ] {
        let error = error_with(index);
        assert!(
            matches!(error.kind, FileErrorKind::BadIndex { .. }),
            "{index}: {error:?}"
        );
    }
    let error = error_with(r#"{"weight_map":{"a":"1","a":"2"}}"#);
    assert_eq!(error.kind, FileErrorKind::DuplicateLayer);
    assert_eq!(error.layer.as_deref(), Some("a"));

    let folder = sharded(b"{\"weight_map\":{\"a\xFF\":\"1\"}}");
    let error = error_of(SafetensorsModel::open(folder.path().join("base")), INDEX);
    assert!(
        error
            .to_string()
            .ends_with("invalid UTF-8 in the JSON at byte 17")
    );

    let folder = sharded("{}");
    let index = std::fs::File::options()
        .write(true)
        .open(folder.path().join(INDEX))
        .unwrap();
    index.set_len(100_000_001).unwrap();
    let error = error_of(SafetensorsModel::open(folder.path().join("base")), INDEX);
    let text = error.to_string();
    assert!(
        text.ends_with("too long: 100000001 bytes, where the limit is 100000000"),
        "{text}"
    );
}
