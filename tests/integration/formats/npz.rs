//! Archives of NumPy's arrays.

use mother::npz::NpzModel;
use mother::storage::{FileError, FileErrorKind};
use mother::weights::{Layer, WeightSource};

use super::zip::{Entry, archive, archive_of};
use super::{
    assert_holds, assert_line, damage, expected, golden, golden_bytes, model_or_error, skipped,
};

fn error_of(bytes: &[u8]) -> FileError {
    let error = NpzModel::from_bytes("x", bytes).unwrap_err();
    assert_line(&error);
    error
}

/// The file of an array with this header and this data.
fn array(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

fn header(shape: &str) -> String {
    format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}")
}

/// Why an array `w` is refused.
fn reason(array: &[u8]) -> String {
    match error_of(&archive(&[("w.npy", array)])) {
        FileError {
            kind: FileErrorKind::BadLayer { reason },
            layer: Some(layer),
            ..
        } if layer == "w" => reason,
        error => panic!("{error}"),
    }
}

#[test]
fn arrays_are_read_as_numpy_has_them() {
    let expected = expected("npz.safetensors");
    for file in ["plain.npz", "compressed.npz"] {
        let model = NpzModel::open(golden(file)).unwrap();
        assert_eq!(Some(model.name()), file.strip_suffix(".npz"));
        assert_holds(&model, &expected);
        assert_eq!(skipped(&model), ["name", "steps"]);
        let bytes = golden_bytes(file);
        assert_holds(&NpzModel::from_bytes("x", &bytes).unwrap(), &expected);
    }
}

#[test]
fn compressed_arrays_can_be_read_backwards() {
    let model = NpzModel::open(golden("compressed.npz")).unwrap();
    let layers: Vec<_> = model.layers().map(Result::unwrap).collect();
    let long = layers.iter().find(|layer| layer.name() == "long").unwrap();
    let mut whole = vec![0.0_f32; 20 * 64];
    long.read(0, &mut whole).unwrap();
    for offset in (0..whole.len() - 3).rev().step_by(7) {
        let mut values = [0.0_f32; 3];
        long.read(offset, &mut values).unwrap();
        assert_eq!(values, whole[offset..offset + 3]);
    }
}

#[test]
fn compressed_arrays_that_would_be_inflated_too_often_are_skipped() {
    let model = |shape: &str, values: u32| {
        let header = header(shape).replace("False", "True");
        let file = array(&header, &[]);
        // The header in a block of its own; before the values, which aren't read here, as many empty ones.
        let length = (file.len() as u16).to_le_bytes();
        let inverted = (!(file.len() as u16)).to_le_bytes();
        let mut bytes = [&[0], &length[..], &inverted, &file].concat();
        let length = file.len() as u32 + 4 * values;
        while bytes.len() < length as usize / 1000 {
            bytes.extend([0, 0, 0, 255, 255]);
        }
        let entry = Entry {
            name: "w.npy",
            method: 8,
            bytes: &bytes,
            length,
        };
        let bytes = archive_of(&[entry]);
        let model = NpzModel::from_bytes("x", &bytes).unwrap();
        let reasons = model.skipped_layers().iter();
        reasons
            .map(|skipped| skipped.reason.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(model("(8192, 8192)", 1 << 26), [""; 0]);
    assert_eq!(
        model("(8192, 16384)", 1 << 27),
        ["compressed in Fortran order: reading its 134217728 values would inflate them 32 times"]
    );
    assert_eq!(model("(3000000, 2)", 6_000_000).len(), 1);
}

#[test]
fn shapes_must_fit_what_is_there() {
    let good = array(&header("(2, 2)"), &[0; 16]);
    let bytes = archive(&[("w.npy", &good)]);
    assert_eq!(
        NpzModel::from_bytes("x", &bytes).unwrap().layers().count(),
        1
    );
    assert_eq!(
        reason(&array(&header("(2, 3)"), &[0; 16])),
        "its shape [2, 3] needs 24 bytes, but it has 16"
    );
    assert_eq!(
        reason(&array(&header("(9223372036854775808,)"), &[0; 16])),
        "its shape [9223372036854775808] needs more than 2^64 bytes, but it has 16"
    );
    assert_eq!(
        reason(&array(&header("(9223372036854775808, 2)"), &[])),
        "too many elements"
    );
    assert_eq!(
        reason(b"\x93NUMPY\x02\0\xff\xff\xff\xff"),
        "header too long: 4294967295 bytes"
    );
    assert_eq!(reason(b"\x93NUMPY\x01\0\x80\0"), "the header is truncated");
    assert_eq!(reason(b"\x93NUMPY\x09\0\x80\0"), "unknown format version 9");
    assert_eq!(reason(b"text"), "does not begin like a NumPy array");
}

#[test]
fn bombs_are_errors() {
    // 1,000 bytes can't hold a gigabyte.
    let bomb = Entry {
        name: "w.npy",
        method: 8,
        bytes: &[0; 1000],
        length: 1 << 30,
    };
    assert_eq!(
        error_of(&archive_of(&[bomb])).to_string(),
        "`x` is not a NumPy file, or is truncated: \
         entry `w.npy` claims to hold 1073741824 bytes in 1000"
    );
    // Many entries of the same bytes.
    let good = array(&header("(2, 2)"), &[0; 16]);
    let mut shared = archive(&[("a.npy", &good), ("b.npy", &good)]);
    let entry = shared
        .windows(4)
        .rposition(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    shared[entry + 42..entry + 46].copy_from_slice(&[0; 4]);
    assert!(error_of(&shared).to_string().contains("overlap"));
    // Names that are given twice.
    let twice = archive(&[("a.npy", &good), ("a.npy", &good)]);
    assert!(matches!(
        error_of(&twice).kind,
        FileErrorKind::DuplicateLayer
    ));
}

#[test]
fn damaged_files_give_a_model_or_an_error() {
    for file in ["plain.npz", "compressed.npz"] {
        damage(&golden_bytes(file), |bytes| {
            model_or_error(NpzModel::from_bytes("x", bytes));
        });
    }
}
