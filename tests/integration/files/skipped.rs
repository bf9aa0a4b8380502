//! Skipped paths, each with one line that says why.

use std::fs;

use super::*;

#[test]
fn the_full_file_is_used_among_files_of_one_model() {
    let folder = TempFolder::new();
    folder.write("a/model.safetensors", weights(1.0));
    folder.write("a/model.fp16.safetensors", weights(1.0));
    folder.write("a/pytorch_model.bin", "");
    folder.write("b/model.fp16.safetensors", weights(1.0));
    write_shards(&folder, "c/model", Some("c/model.safetensors.index.json"));
    folder.write("c/consolidated.safetensors", weights(1.0));
    folder.write("d/model.safetensors", weights(1.0));
    write_shards(&folder, "d/consolidated", None);
    folder.write("e/x.safetensors", weights(1.0));
    folder.write("e/x.ckpt", "");
    folder.write("e/x.fp16.safetensors", weights(1.0));
    folder.write("e/y.safetensors", weights(1.0));
    let found = find(&folder, &[""]);
    assert_eq!(names(&found), ["a", "b", "c", "d", "e/x", "e/y"]);
    assert_eq!(
        lines(&found),
        [
            "a/model.fp16.safetensors: `model.fp16.safetensors` and `pytorch_model.bin` are the \
             same model as `model.safetensors`, which is used instead",
            "c/consolidated.safetensors: `consolidated.safetensors` is the same model as \
             `model.safetensors.index.json`, which is used instead",
            "d/consolidated-00001-of-00002.safetensors: `consolidated-00001-of-00002.safetensors` \
             and `consolidated-00002-of-00002.safetensors` are the same model as \
             `model.safetensors`, which is used instead",
            "e/x.ckpt: `x.ckpt` and `x.fp16.safetensors` are the same model as `x.safetensors`, which is used instead",
        ]
    );
    assert!(
        found
            .skipped
            .iter()
            .all(|skipped| !skipped.reason().is_loss())
    );
}

#[test]
fn original_releases_are_the_model_of_the_parent_folder() {
    let folder = TempFolder::new();
    write_shards(&folder, "a/model", Some("a/model.safetensors.index.json"));
    folder.write("a/original/consolidated.safetensors", weights(1.0));
    folder.write("a/original/other.safetensors", weights(1.0));
    write_shards(&folder, "b/model", Some("b/model.safetensors.index.json"));
    for number in ["00", "01"] {
        let name = format!("original/consolidated.{number}.safetensors");
        folder.write(&format!("b/{name}"), weights(1.0));
        folder.write(&format!("c/{name}"), weights(1.0));
    }
    folder.write("d/original/consolidated.00.safetensors", weights(1.0));
    for rank in ["0", "1"] {
        folder.write(
            &format!("e/model-rank-{rank}-part-0.safetensors"),
            weights(1.0),
        );
        folder.write(
            &format!("f/mp_rank_0{rank}_model_states.safetensors"),
            weights(1.0),
        );
    }
    folder.write("g/mp_rank_00_model_states.safetensors", weights(1.0));
    let found = find(&folder, &[""]);
    assert_eq!(
        names(&found),
        [
            "a",
            "a/original/other",
            "b",
            "c/original",
            "d/original",
            "f",
            "g"
        ]
    );
    let of_above = |files: &str| {
        format!("{files} the same model as `model.safetensors.index.json`, which is used instead")
    };
    assert_eq!(
        lines(&found),
        [
            format!(
                "a/original/consolidated.safetensors: {}",
                of_above("`consolidated.safetensors` is")
            ),
            format!(
                "b/original/consolidated.00.safetensors: {}",
                of_above("`consolidated.00.safetensors` and `consolidated.01.safetensors` are")
            ),
            "e: `model-rank-0-part-0.safetensors` and `model-rank-1-part-0.safetensors` each contain a \
             slice of every tensor, which cannot be read separately"
                .to_owned(),
        ]
    );
    let losses = found
        .skipped
        .iter()
        .filter(|skipped| skipped.reason().is_loss());
    assert_eq!(losses.count(), 1);
}

#[test]
fn an_adapter_is_not_the_model_that_lies_beside_it() {
    let folder = TempFolder::new();
    folder.write("a/model.safetensors", weights(1.0));
    folder.write("a/adapter_model.safetensors", weights(2.0));
    folder.write("b/adapter_model.safetensors", weights(2.0));
    let found = find(&folder, &[""]);
    assert_eq!(names(&found), ["a", "a/adapter_model", "b"]);
}

#[test]
fn shards_that_are_missing_are_named() {
    let folder = TempFolder::new();
    for shard in [1, 3, 4, 7] {
        let name = format!("m/model-{shard:05}-of-00007.safetensors");
        folder.write(&name, weights(1.0));
    }
    // A name that claims much costs nothing.
    folder.write("o/model-1-of-999999.safetensors", weights(1.0));
    write_shards(&folder, "n/model", None);
    fs::remove_file(folder.path().join("n/model-00002-of-00002.safetensors")).unwrap();
    let found = find(&folder, &[""]);
    assert!(found.models.is_empty());
    assert_eq!(
        lines(&found),
        [
            "m: 3 of 7 shards are missing: `model-00002-of-00007` and 2 more",
            "n: 1 of 2 shards is missing: `model-00002-of-00002`",
            "o: 999998 of 999999 shards are missing: `model-00002-of-999999` and 999997 more",
        ]
    );
    assert!(
        found
            .skipped
            .iter()
            .all(|skipped| skipped.reason().is_loss())
    );
}

#[test]
fn unsupported_formats_are_named() {
    let folder = TempFolder::new();
    folder.write("base/model.safetensors", weights(1.0));
    folder.write("base/base.onnx", "");
    folder.write("onnx/model.onnx", "");
    folder.write("keras/tf_model.h5", "");
    folder.write("empty/config.json", "{}");
    folder.write("empty/below/tokenizer.json", "{}");
    let found = find(&folder, &[""]);
    assert_eq!(names(&found), ["base"]);
    assert_eq!(
        lines(&found),
        [
            "base/base: `base.onnx` contains ONNX weights, which this build cannot read",
            "empty: no weights found",
            "keras: `tf_model.h5` contains Keras weights, which this build cannot read",
            "onnx: `model.onnx` contains ONNX weights, which this build cannot read",
        ]
    );
    let losses: Vec<bool> = found
        .skipped
        .iter()
        .map(|skipped| skipped.reason().is_loss())
        .collect();
    assert_eq!(losses, [true, false, true, true]);
}

#[test]
fn pointers_of_git_lfs_are_called_so() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4000000000\n";
    let folder = TempFolder::new();
    folder.write("a.safetensors", weights(1.0));
    folder.write("b.safetensors", pointer);
    write_shards(&folder, "c/model", Some("c/model.safetensors.index.json"));
    folder.write("c/model-00001-of-00002.safetensors", pointer);
    // What is there in another file isn't missing.
    folder.write("d/model.safetensors", pointer);
    folder.write("d/model.fp16.safetensors", weights(1.0));
    let found = find(&folder, &[""]);
    assert_eq!(names(&found), ["a", "d"]);
    assert_eq!(
        lines(&found)[..2],
        [
            "b: `b.safetensors` is a Git LFS pointer, not the weights: fetch them with `git lfs pull`",
            "c: `model-00001-of-00002.safetensors` is a Git LFS pointer, not the weights: fetch them with `git lfs pull`",
        ]
    );
}

#[test]
fn a_folder_without_weights_is_named_once() {
    let folder = TempFolder::new();
    folder.write("only/texts/a.txt", "");
    let found = find(&folder, &["only"]);
    assert_eq!(lines(&found), ["only: no weights found"]);
    fs::create_dir_all(folder.path().join("bad/model.safetensors")).unwrap();
    let found = find(&folder, &[""]);
    assert_eq!(
        lines(&found),
        [
            "bad: a folder named like a weight file, without weights",
            "only: no weights found"
        ]
    );
    assert!(found.skipped[0].reason().is_loss());
}

#[test]
fn a_line_stays_one_line() {
    let folder = TempFolder::new();
    if fs::create_dir(folder.path().join("a\nb")).is_ok() {
        folder.write("a\nb/c\n.gguf", "");
        folder.write("a\nb/d\n.onnx", "");
        for line in lines(&find(&folder, &[""])) {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_listed_is_named() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = TempFolder::new();
    folder.write("a/model.safetensors", weights(1.0));
    folder.write("b/model.safetensors", weights(1.0));
    let closed = folder.path().join("b");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read it all the same.
    if fs::read_dir(&closed).is_err() {
        let found = find(&folder, &[""]);
        assert_eq!(names(&found), ["a"]);
        assert!(
            lines(&found)[0].starts_with("b: it cannot be listed: "),
            "{found:?}"
        );
        assert!(found.skipped[0].reason().is_loss());
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn damage_is_reported_when_a_model_is_opened() {
    let folder = TempFolder::new();
    folder.write("cut.safetensors", &file_with("{}", &[])[..5]);
    folder.write(
        "index/model.safetensors.index.json",
        r#"{"weight_map":{"w":"lost"}}"#,
    );
    let found = find(&folder, &[""]);
    let reasons = found
        .models
        .iter()
        .map(|model| model.open().unwrap_err().to_string());
    let reasons: Vec<String> = reasons.collect();
    assert!(reasons[0].contains("cut.safetensors"), "{reasons:?}");
    assert!(reasons[1].contains("lost"), "{reasons:?}");
}
