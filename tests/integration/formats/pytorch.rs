//! PyTorch's files.

use std::fs;

use mother::pytorch::PytorchModel;
use mother::safetensors::SafetensorsModel;
use mother::storage::{FileError, FileErrorKind};
use mother::weights::WeightSource;

use super::zip::{Entry, archive, archive_of};
use super::{
    assert_holds, assert_line, damage, expected, golden, golden_bytes, model_or_error, skipped,
};
use crate::safetensors::TempFolder;

fn open(file: &str) -> PytorchModel<'static> {
    PytorchModel::open(golden(file)).unwrap()
}

/// What a file of this pickle is, beside a storage `0` of 64 zeros.
fn of_pickle(pickle: &[u8]) -> Vec<u8> {
    archive(&[("a/data.pkl", pickle), ("a/data/0", &[0; 64])])
}

fn error_of(bytes: &[u8]) -> FileError {
    let error = PytorchModel::from_bytes("x", bytes).unwrap_err();
    assert_line(&error);
    error
}

/// A pickle that rebuilds a tensor of this storage's length, offset, shape and strides.
pub(super) fn tensor(storage: &str, offset: &str, shape: &str, strides: &str) -> String {
    format!(
        "ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n\
         {storage}tQ{offset}({shape}t({strides}tI00\nNtR"
    )
}

/// A dictionary with one item.
fn dictionary(name: &str, value: &str) -> Vec<u8> {
    format!("(dS'{name}'\n{value}s.").into_bytes()
}

#[test]
fn every_kind_of_tensor_is_read_as_pytorch_has_it() {
    let mut expected = expected("pytorch.safetensors");
    let reference = SafetensorsModel::open(golden("pytorch.safetensors")).unwrap();
    let model = open("pytorch.pt");
    assert_eq!(model.name(), "pytorch");
    assert_holds(&model, &expected);
    assert_eq!(skipped(&model), skipped(&reference));
    expected.retain(|(name, ..)| name != "f8");
    for file in ["legacy.bin", "protocol4.bin"] {
        let model = open(file);
        assert_holds(&model, &expected);
        assert_eq!(skipped(&model), skipped(&reference));
        let bytes = golden_bytes(file);
        assert_holds(&PytorchModel::from_bytes("x", &bytes).unwrap(), &expected);
    }
}

#[test]
fn the_model_is_found_among_what_programs_save_with_it() {
    let mut expected = expected("module.safetensors");
    assert_holds(&open("module.pt"), &expected);
    let wrapped = open("wrapped.ckpt");
    for (name, ..) in &mut expected {
        name.insert_str(0, "module.");
    }
    assert_holds(&wrapped, &expected);
    let skipped = skipped(&wrapped);
    assert!(
        ["optimizer_states", "rng"]
            .iter()
            .all(|name| skipped.contains(name))
    );
    let optimizer = PytorchModel::open(golden("optimizer.pt")).unwrap_err();
    assert!(matches!(optimizer.kind, FileErrorKind::NoWeights));
}

#[test]
fn shards_are_one_model_named_after_the_folder() {
    let folder = TempFolder::new();
    let tensor = tensor("I16\n", "I0\n", "I4\n", "I1\n");
    for (file, name) in [("a.bin", "w"), ("b.bin", "v")] {
        folder.write(file, of_pickle(&dictionary(name, &tensor)));
    }
    let index = r#"{"weight_map":{"w":"a.bin","v":"b.bin"}}"#;
    folder.write("pytorch_model.bin.index.json", index);
    let model = PytorchModel::open(folder.path()).unwrap();
    let zeros = |name: &str| (name.to_owned(), vec![4], vec![0.0; 4]);
    assert_holds(&model, &vec![zeros("v"), zeros("w")]);
    assert_eq!(
        Some(model.name()),
        folder.path().file_name().unwrap().to_str()
    );

    fs::remove_file(folder.path().join("b.bin")).unwrap();
    let error = PytorchModel::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("b.bin"), "{error}");
    fs::remove_file(folder.path().join("pytorch_model.bin.index.json")).unwrap();
    let error = PytorchModel::open(folder.path()).unwrap_err();
    assert!(matches!(error.kind, FileErrorKind::NoModel { .. }));
}

#[test]
fn pickles_are_never_executed() {
    let folder = TempFolder::new();
    let made = folder.path().join("made");
    let call = format!("cos\nsystem\n(S'touch {}'\ntR", made.display());
    let good = tensor("I16\n", "I0\n", "I4\n", "I1\n");
    let pickle = format!("(dS'evil'\n{call}sS'w'\n{good}s.");
    let bytes = of_pickle(pickle.as_bytes());
    let model = PytorchModel::from_bytes("x", &bytes).unwrap();
    assert_eq!(model.layers().count(), 1);
    assert!(matches!(
        error_of(&of_pickle(format!("{call}.").as_bytes())).kind,
        FileErrorKind::NoWeights
    ));
    assert!(!made.exists());
}

#[test]
fn values_that_contain_themselves_are_skipped() {
    let good = tensor("I16\n", "I0\n", "I4\n", "I1\n");
    let pickle = format!("(dp0\nS'self'\ng0\nsS'w'\n{good}s.");
    let bytes = of_pickle(pickle.as_bytes());
    let model = PytorchModel::from_bytes("x", &bytes).unwrap();
    assert_eq!(model.layers().count(), 1);
    assert_eq!(skipped(&model), ["self"]);
    // Each list holds the one before twice: 2^60 ways to one tensor.
    let mut pickle = format!("{good}p0\n").into_bytes();
    for _ in 0..60 {
        pickle.extend(b"(lp1\ng0\nag0\nag1\np0\n");
    }
    pickle.push(b'.');
    assert!(matches!(
        error_of(&of_pickle(&pickle)).kind,
        FileErrorKind::BadLayer { .. }
    ));
    // Deeper than any stack, were it to recurse.
    let deep = [
        b"(".repeat(1_000_000),
        b"t".repeat(1_000_000),
        b".".to_vec(),
    ]
    .concat();
    let error = error_of(&of_pickle(&deep));
    assert!(matches!(error.kind, FileErrorKind::NoWeights), "{error}");
}

#[test]
fn a_pickle_can_not_grow_without_bound() {
    for opcode in [&b"]"[..], b"}", b"N", b"(", b"]\x94"] {
        let error = error_of(&of_pickle(&opcode.repeat((1 << 22) + 100)));
        assert!(
            matches!(error.kind, FileErrorKind::Damaged { .. }),
            "{error}"
        );
    }
    // Lengths of 2^63, for each opcode that has one.
    for opcode in [0x8d, 0x8e, 0x96] {
        let pickle = [&[opcode][..], &(1_u64 << 63).to_le_bytes(), b"."].concat();
        let error = error_of(&of_pickle(&pickle));
        assert!(
            error
                .to_string()
                .contains("9223372036854775808 bytes expected"),
            "{error}"
        );
    }
}

#[test]
fn broken_pickles_say_where() {
    let message = |pickle: &[u8]| error_of(&of_pickle(pickle)).to_string();
    let at = |position: usize, reason: &str| format!("`x` is damaged at byte {position}: {reason}");
    // The archive's first header takes 40 bytes.
    assert_eq!(message(b"."), at(41, "the stack is empty"));
    assert_eq!(message(b"NR."), at(42, "the stack is empty"));
    assert_eq!(message(b"t."), at(41, "no mark on the stack"));
    assert_eq!(message(b"h\x07."), at(42, "no memo entry 7"));
    assert_eq!(message(b"(Nd."), at(43, "key without a value"));
    assert_eq!(message(b"\xff."), at(41, "unknown opcode 0xff"));
    assert_eq!(message(b"Ix\n."), at(43, "invalid number"));
    assert_eq!(message(b"N"), at(41, "1 bytes expected, 0 left"));
}

#[test]
fn tensors_must_lie_in_their_storages() {
    let error = |storage: &str, offset: &str, shape: &str, strides: &str| {
        let pickle = dictionary("w", &tensor(storage, offset, shape, strides));
        match error_of(&of_pickle(&pickle)) {
            FileError {
                kind: FileErrorKind::BadLayer { reason },
                layer: Some(layer),
                ..
            } if layer == "w" => reason,
            error => panic!("{error}"),
        }
    };
    assert_eq!(
        error("I16\n", "I1\n", "I16\n", "I1\n"),
        "ends at byte 68 of storage `0`, which has only 64"
    );
    assert_eq!(
        error("I17\n", "I0\n", "I16\n", "I1\n"),
        "storage `0` has 64 bytes instead of 68"
    );
    assert_eq!(
        error("I16\n", "I0\n", "I2\nI2\n", "I99\nI1\n"),
        "ends at byte 404 of storage `0`, which has only 64"
    );
    let half = "I9223372036854775807\n";
    let too_far = error("I16\n", half, "I2\nI2\n", &format!("{half}I1\n"));
    assert_eq!(too_far, "ends beyond 2^64 bytes");
    let too_many = error("I16\n", "I0\n", &format!("{half}{half}"), "I0\nI0\n");
    assert_eq!(too_many, "too many elements");
    // One value that is seen a million million times.
    let repeated = error("I16\n", "I0\n", "I1000000000000\n", "I0\n");
    assert_eq!(
        repeated,
        "the layers up to this one have far more values than the file"
    );
    let pickle = dictionary("w", &tensor("I16\n", "I0\n", "I4\n", "I1\n"));
    let missing = archive(&[("a/data.pkl", &pickle)]);
    assert_eq!(
        error_of(&missing).to_string(),
        "`x`: invalid layer `w`: storage `0` is missing"
    );
}

#[test]
fn other_files_say_what_they_are() {
    let message = |bytes: &[u8]| error_of(bytes).to_string();
    assert_eq!(
        message(b""),
        "`x` is not a PyTorch file, or is truncated: the file is empty"
    );
    assert!(message(b"version https://git-lfs").contains("begins with `version https:"));
    assert!(message(b"\x80\x04N.").contains("that `torch.save` did not write"));
    assert!(message(&archive(&[("notes.txt", b"text")])).contains("no entry `data.pkl`"));
    let compressed = archive_of(&[Entry {
        name: "a/data.pkl",
        method: 8,
        bytes: &[3, 0],
        length: 0,
    }]);
    assert!(message(&compressed).contains("entry `a/data.pkl` is compressed"));
}

#[test]
fn damaged_files_give_a_model_or_an_error() {
    for file in ["pytorch.pt", "legacy.bin"] {
        damage(&golden_bytes(file), |bytes| {
            model_or_error(PytorchModel::from_bytes("x", bytes));
        });
    }
}
