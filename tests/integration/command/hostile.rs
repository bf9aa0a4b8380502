//! Models that can't be read: each costs itself only, with a reason, unless `--strict` is given.

use super::*;
use crate::safetensors::file_with;

/// Recovers a good family beside one bad model; returns why that was skipped.
#[track_caller]
fn reason_beside_a_family(folder: &TempFolder, bad: &str) -> String {
    write_family(folder, "a", 1, 24);
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(run.parents(), family("a"));
    let skipped = run.json()["skipped"].as_array().unwrap().clone();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0]["id"], bad);
    let reason = skipped[0]["reason"].as_str().unwrap();
    assert_eq!(run.stderr, format!("skipped {bad}: {reason}\n"));

    let strict = recover_folder(folder.path(), &["--strict"]);
    strict.assert_failed(1, &["recover: ", bad, reason]);
    assert_eq!(strict.stderr.lines().count(), 1, "{}", strict.stderr);
    reason.to_string()
}

#[track_caller]
fn reason_of_bytes(bytes: impl AsRef<[u8]>) -> String {
    let folder = TempFolder::new();
    folder.write("bad.safetensors", bytes);
    let reason = reason_beside_a_family(&folder, "bad");
    assert!(reason.contains("bad.safetensors"), "{reason}");
    reason
}

#[test]
fn a_truncated_file() {
    let bytes = file_of(&foundation(1, 24));
    for length in [0, 5, 8, 100, bytes.len() - 1] {
        reason_of_bytes(&bytes[..length]);
    }
}

#[test]
fn a_header_of_impossible_length() {
    for length in [1_u64 << 63, u64::MAX, 1 << 40] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(b"{}");
        let reason = reason_of_bytes(bytes);
        assert!(reason.contains(&length.to_string()), "{reason}");
    }
}

#[test]
fn layers_that_overlap() {
    let header = r#"{"first":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},
                     "second":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]}}"#;
    let reason = reason_of_bytes(file_with(header, &[0; 24]));
    assert!(
        reason.contains("first") && reason.contains("second"),
        "{reason}"
    );
}

#[test]
fn a_text_file() {
    let reason = reason_of_bytes("just a text\n");
    assert!(reason.contains("just a text"), "{reason}");
    let reason = reason_of_bytes("version https://git-lfs.github.com/spec/v1\n");
    assert!(reason.contains("Git LFS pointer"), "{reason}");
}

#[test]
fn weights_that_are_not_finite() {
    for (value, name) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        let folder = TempFolder::new();
        let mut model = foundation(1, 24);
        model[1].2[77] = value;
        folder.write("bad.safetensors", file_of(&model));
        write_family(&folder, "a", 1, 24);
        // The default method leaves out the tensor.
        let run = recover_folder(folder.path(), &[]);
        assert_eq!(run.parents()[..3], family("a"));
        assert_eq!(run.parents()[3], ("bad".into(), Some("a0".into())));
        assert_eq!(
            run.stderr,
            format!("left out layer `second` of bad: contains {name} at index 77\n")
        );
        // The paper's needs all that models share, and leaves out the model.
        let run = recover_folder(folder.path(), &["--method=paper"]);
        assert_eq!(run.parents(), family("a"));
        assert_eq!(
            run.stderr,
            format!("skipped bad: layer `second` contains {name} at index 77\n")
        );
    }
}

#[test]
fn a_model_whose_weights_are_all_not_finite() {
    let folder = TempFolder::new();
    let mut model = foundation(1, 24);
    for layer in &mut model {
        layer.2[0] = f32::NAN;
    }
    folder.write("bad.safetensors", file_of(&model));
    let reason = reason_beside_a_family(&folder, "bad");
    assert_eq!(reason, "no usable weights");
}

#[test]
fn a_model_without_weight_matrices() {
    let folder = TempFolder::new();
    folder.write("bad.safetensors", file_of(&[]));
    reason_beside_a_family(&folder, "bad");
}

#[test]
fn a_folder_where_a_file_should_be() {
    let folder = TempFolder::new();
    fs::create_dir_all(folder.path().join("bad/model.safetensors")).unwrap();
    reason_beside_a_family(&folder, "bad");
}

#[test]
fn an_index_without_its_shards() {
    let folder = TempFolder::new();
    let index = r#"{"weight_map":{"first":"model-1.safetensors"}}"#;
    folder.write("bad/model.safetensors.index.json", index);
    let reason = reason_beside_a_family(&folder, "bad");
    assert!(reason.contains("model-1.safetensors"), "{reason}");
}

#[cfg(unix)]
#[test]
fn a_file_that_can_not_be_read() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = TempFolder::new();
    symlink("nowhere", folder.path().join("bad.safetensors")).unwrap();
    reason_beside_a_family(&folder, "bad");

    let folder = TempFolder::new();
    let file = folder.write("bad.safetensors", file_of(&foundation(1, 24)));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read it all the same.
    if fs::read(&file).is_err() {
        reason_beside_a_family(&folder, "bad");
    }
}

#[cfg(unix)]
#[test]
fn a_name_with_line_breaks_stays_on_one_line() {
    let folder = TempFolder::new();
    folder.write("bad\nname.safetensors", "text");
    write_family(&folder, "a", 1, 24);
    let run = recover_folder(folder.path(), &[]);
    assert_eq!(run.json()["skipped"][0]["id"], "bad\nname");
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(
        run.stderr.starts_with(r"skipped bad\nname: "),
        "{}",
        run.stderr
    );
}

#[test]
fn paths_without_models_are_an_error() {
    let folder = TempFolder::new();
    let path = folder.path().display().to_string();
    recover_folder(folder.path(), &[]).assert_failed(1, &["recover: no model found in ", &path]);
    // A folder of that name is no model, and neither is what is in it.
    fs::create_dir(folder.path().join("x.safetensors")).unwrap();
    recover_folder(folder.path(), &[]).assert_failed(1, &["recover: no model found in "]);
    folder.write("bad.safetensors", "text");
    recover_folder(folder.path(), &[]).assert_failed(1, &["recover: no models left"]);
}

#[test]
fn a_path_that_is_not_there() {
    let folder = TempFolder::new();
    let good = folder.write("good.safetensors", file_of(&foundation(1, 8)));
    let absent = folder.path().join("absent");
    recover([&good, &absent]).assert_failed(1, &["recover: ", "absent", "does not exist"]);
    let truth = format!("--truth={}", absent.display());
    recover([good.as_os_str(), truth.as_ref()]).assert_failed(1, &["recover: ", "absent"]);
}

#[test]
fn strictness_changes_nothing_where_all_models_are_good() {
    let folder = TempFolder::new();
    write_family(&folder, "a", 1, 24);
    let (lenient, strict) = (
        recover_folder(folder.path(), &[]),
        recover_folder(folder.path(), &["--strict"]),
    );
    assert_eq!(lenient.without_seconds(), strict.without_seconds());
}

#[test]
fn layers_that_can_not_be_decoded_are_noted_once_for_all_models() {
    let folder = TempFolder::new();
    let header = r#"{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},
                     "step":{"dtype":"C64","shape":[1],"data_offsets":[16,24]}}"#;
    let mut data = [1.0_f32, 2.0, 3.0, 5.0].map(f32::to_le_bytes).concat();
    data.extend([0; 8]);
    folder.write("x.safetensors", file_with(header, &data));
    folder.write("y.safetensors", file_with(header, &data));
    let run = recover_folder(folder.path(), &["--strict"]);
    assert_eq!(run.json()["skipped"], serde_json::json!([]));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(
        run.stderr
            .starts_with("left out layer `step` of x and 1 more model: ")
    );
}
