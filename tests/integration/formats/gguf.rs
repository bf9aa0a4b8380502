//! llama.cpp's files.

use std::fs;

use mother::gguf::GgufModel;
use mother::storage::{FileError, FileErrorKind};
use mother::weights::{ElementType, Layer, WeightSource};

use super::{
    assert_holds, assert_line, damage, expected, golden, golden_bytes, model_or_error, read_all,
    skipped,
};
use crate::safetensors::TempFolder;

fn error_of(bytes: &[u8]) -> FileError {
    let error = GgufModel::from_bytes("x", bytes).unwrap_err();
    assert_line(&error);
    error
}

/// A header of one F32 tensor `w` of these dimensions at this offset, before 64 bytes of data.
fn file_of(tensors: u64, dimensions: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = beginning(tensors, 0);
    tensor(&mut bytes, dimensions, kind, offset);
    bytes.resize(bytes.len().next_multiple_of(32) + 64, 0);
    bytes
}

pub(super) fn beginning(tensors: u64, keys: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([tensors, keys].iter().flat_map(|count| count.to_le_bytes()));
    bytes
}

fn tensor(bytes: &mut Vec<u8>, dimensions: &[u64], kind: u32, offset: u64) {
    bytes.extend(text("w"));
    bytes.extend((dimensions.len() as u32).to_le_bytes());
    bytes.extend(dimensions.iter().flat_map(|length| length.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
}

pub(super) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn every_type_is_decoded_as_the_gguf_package_does() {
    let model = GgufModel::open(golden("quantised.gguf")).unwrap();
    assert_eq!(model.name(), "quantised");
    assert_holds(&model, &expected("quantised.safetensors"));
    assert_eq!(skipped(&model), ["I32"]);
    let types: Vec<_> = (model.layers().map(Result::unwrap))
        .map(|layer| (layer.name().to_owned(), layer.element_type()))
        .filter(|(name, _)| ["Q8_0", "Q4_K", "F16", "F64"].contains(&name.as_str()))
        .map(|(_, element_type)| element_type)
        .collect();
    let expected = [
        ElementType::Q8,
        ElementType::Q4,
        ElementType::F16,
        ElementType::F64,
    ];
    assert_eq!(types, expected);
}

#[test]
fn codes_that_are_looked_up_are_decoded_as_the_gguf_package_does() {
    let model = GgufModel::open(golden("tables.gguf")).unwrap();
    assert_holds(&model, &expected("tables.safetensors"));
    let types: Vec<_> = (model.layers().map(Result::unwrap))
        .map(|layer| (layer.name().to_owned(), layer.element_type()))
        .collect();
    for (name, element_type) in types {
        let expected = match name.as_str() {
            "TQ1_0" | "TQ2_0" => ElementType::Q2,
            _ => ElementType::Q4,
        };
        assert_eq!(element_type, expected, "{name}");
    }
}

/// The beginning of a file of one Llama model whose queries have these dimensions, up to their place.
fn queries(dimensions: &[u64]) -> Vec<u8> {
    let mut bytes = beginning(1, 2);
    bytes.extend(text("general.architecture"));
    bytes.extend([8, 0, 0, 0]);
    bytes.extend(text("llama"));
    bytes.extend(text("llama.attention.head_count"));
    bytes.extend([4, 2].map(u32::to_le_bytes).concat());
    bytes.extend(text("blk.0.attn_q.weight"));
    bytes.extend((dimensions.len() as u32).to_le_bytes());
    bytes.extend(dimensions.iter().flat_map(|length| length.to_le_bytes()));
    bytes.extend([0; 12]);
    bytes
}

/// Rows that fit into the buffer of a read in threes, and ones that are longer than it.
#[test]
fn rows_of_heads_are_in_order_however_many_are_read_at_once() {
    for length in [5000, 20_000] {
        let mut bytes = queries(&[length, 16]);
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        let length = length as usize;
        // Of 16 rows, 8 a head, those of the two halves of a head alternate.
        for row in [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15] {
            let values = (0..length).map(|column| (row * length + column) as f32);
            bytes.extend(values.flat_map(f32::to_le_bytes));
        }
        let folder = TempFolder::new();
        let opened = GgufModel::open(folder.write("q.gguf", &bytes)).unwrap();
        for model in [&GgufModel::from_bytes("q", &bytes).unwrap(), &opened] {
            let layer = model.layers().next().unwrap().unwrap();
            assert_eq!(layer.preferred_length(), 8 * length);
            for chunk in [3333, length, 8 * length, 9 * length + 1, 16 * length] {
                for offset in (0..16 * length).step_by(chunk) {
                    let mut values = vec![0.0_f32; chunk.min(16 * length - offset)];
                    layer.read(offset, &mut values).unwrap();
                    let counted = (offset..).zip(&values);
                    assert!(counted.into_iter().all(|(at, &value)| value == at as f32));
                }
            }
        }
    }
}

#[test]
fn names_and_rows_are_those_of_hugging_face() {
    let expected = expected("llama.safetensors");
    for file in ["llama-F32.gguf", "llama-F16.gguf"] {
        assert_holds(&GgufModel::open(golden(file)).unwrap(), &expected);
    }
    let rounded = read_all(&GgufModel::open(golden("llama-Q8_0.gguf")).unwrap());
    assert_eq!(rounded.len(), expected.len());
    for ((name, shape, found), (_, expected_shape, values)) in rounded.iter().zip(&expected) {
        assert_eq!(shape, expected_shape, "{name}");
        for (found, value) in found.iter().zip(values) {
            assert!((found - value).abs() <= 4.0 / 127.0, "{name}");
        }
    }
}

#[test]
fn parts_are_one_model() {
    let folder = TempFolder::new();
    let part = |parts: u16, name: &str| {
        let mut bytes = beginning(1, 1);
        bytes.extend(text("split.count"));
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend(parts.to_le_bytes());
        let start = bytes.len() + 8;
        tensor(&mut bytes, &[4], 0, 0);
        bytes[start] = name.as_bytes()[0];
        bytes.resize(bytes.len().next_multiple_of(32) + 16, 0);
        bytes
    };
    let first = folder.write("m-00001-of-00002.gguf", part(2, "a"));
    let second = folder.write("m-00002-of-00002.gguf", part(2, "b"));
    let model = GgufModel::open(&first).unwrap();
    let zeros = |name: &str| (name.to_owned(), vec![4], vec![0.0; 4]);
    assert_holds(&model, &vec![zeros("a"), zeros("b")]);

    folder.write("m-00002-of-00002.gguf", part(3, "b"));
    let error = GgufModel::open(&first).unwrap_err();
    assert!(
        matches!(error.kind, FileErrorKind::BadPart { .. }),
        "{error}"
    );
    fs::remove_file(&second).unwrap();
    let error = GgufModel::open(&first).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("m-00002-of-00002.gguf` does not exist")
    );
    let alone = folder.write("alone.gguf", part(2, "a"));
    let error = GgufModel::open(alone).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the name of the first should end in `-00001-of-00002`")
    );
}

#[test]
fn counts_and_lengths_beyond_the_file_are_errors() {
    for huge in [1000, 1 << 32, 1 << 63, u64::MAX] {
        for bytes in [beginning(huge, 0), beginning(0, huge)] {
            assert!(matches!(
                error_of(&bytes).kind,
                FileErrorKind::Damaged { .. }
            ));
        }
        // A name, a string, an array of numbers and one of strings of that length.
        let length = huge.to_le_bytes();
        for value in [
            &b"\x08\0\0\0"[..],
            b"\x09\0\0\0\x06\0\0\0",
            b"\x09\0\0\0\x08\0\0\0",
        ] {
            let key = [&text("key"), value, &length].concat();
            let bytes = [beginning(0, 1), key].concat();
            assert!(matches!(
                error_of(&bytes).kind,
                FileErrorKind::Damaged { .. }
            ));
        }
        let name = [beginning(1, 0), length.to_vec()].concat();
        assert!(matches!(
            error_of(&name).kind,
            FileErrorKind::Damaged { .. }
        ));
        let heads = [
            &text("x.attention.head_count")[..],
            b"\x09\0\0\0\x05\0\0\0",
            &length,
        ];
        let bytes = [beginning(0, 1), heads.concat()].concat();
        assert!(matches!(
            error_of(&bytes).kind,
            FileErrorKind::Damaged { .. }
        ));
    }
    let nested = b"\x09\0\0\0\x01\0\0\0\0\0\0\0".repeat(100_000);
    let bytes = [beginning(0, 1), text("key"), b"\x09\0\0\0".to_vec(), nested].concat();
    assert!(
        error_of(&bytes)
            .to_string()
            .contains("arrays nested too deeply")
    );
}

#[test]
fn shapes_types_and_places_must_fit_the_file() {
    let reason =
        |dimensions: &[u64], kind, offset| match error_of(&file_of(1, dimensions, kind, offset)) {
            FileError {
                kind: FileErrorKind::BadLayer { reason },
                layer: Some(layer),
                ..
            } if layer == "w" => reason,
            error => panic!("{error}"),
        };
    assert!(GgufModel::from_bytes("x", &file_of(1, &[4, 4], 0, 0)).is_ok());
    assert_eq!(
        reason(&[4, 4], 0, 1),
        "ends at byte 161, but the file has only 160"
    );
    assert_eq!(reason(&[1 << 63, 4], 0, 0), "too many elements");
    let too_far = "ends beyond 2^64 bytes";
    assert_eq!(reason(&[4, 4], 0, u64::MAX - 8), too_far);
    assert_eq!(reason(&[1 << 62], 0, 0), too_far);
    assert_eq!(
        reason(&[40], 8, 0),
        "has rows of 40 values, but Q8_0 stores blocks of 32"
    );
    let bytes = file_of(1, &[4], 99, 0);
    let model = GgufModel::from_bytes("x", &bytes).unwrap();
    assert_eq!(model.skipped_layers()[0].reason, "unknown data type 99");
    let mut twice = beginning(2, 0);
    tensor(&mut twice, &[4], 0, 0);
    let second = twice.len() + 8;
    tensor(&mut twice, &[4], 0, 8);
    twice.resize(200, 0);
    let error = error_of(&twice);
    assert_eq!(error.kind, FileErrorKind::DuplicateLayer);
    assert_eq!(error.layer.as_deref(), Some("w"));
    twice[second] = b'v';
    assert_eq!(
        error_of(&twice).to_string(),
        "`x`: invalid layer `v`: overlaps `w`"
    );
}

#[test]
fn heads_without_whole_rows_of_blocks_are_read_as_they_are() {
    let read = |dimensions: &[u64], kind: u32| {
        let mut bytes = queries(dimensions);
        let place = bytes.len() - 12;
        bytes[place..place + 4].copy_from_slice(&kind.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(32) + 64, 0);
        let model = GgufModel::from_bytes("x", &bytes).unwrap();
        let layer = model.layers().next().unwrap().unwrap();
        let count = mother::weights::element_count(layer.shape()).unwrap();
        layer.read(0, &mut vec![1.0_f32; count]).unwrap();
        layer.shape().to_vec()
    };
    let long = [0, 1 << 40, 1 << 40, 16];
    assert_eq!(read(&long, 0), [16, 1 << 40, 1 << 40, 0]);
    assert_eq!(read(&[0, 16], 0), [16, 0]);
    // A vector in blocks of 32 values (Q4_0).
    assert_eq!(read(&[32], 2), [32]);
}

#[test]
fn other_versions_are_errors() {
    let mut bytes = file_of(1, &[4], 0, 0);
    for version in [0_u32, 1, 4, 3 << 24] {
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        let text = error_of(&bytes).to_string();
        assert!(
            text.contains(&format!("unsupported version {version:#x}")),
            "{text}"
        );
    }
}

#[test]
fn damaged_files_give_a_model_or_an_error() {
    let bytes = golden_bytes("llama-Q8_0.gguf");
    // The header, and what of the data the first layers have.
    damage(&bytes[..2500.min(bytes.len())], |bytes| {
        model_or_error(GgufModel::from_bytes("x", bytes));
    });
    damage(&golden_bytes("quantised.gguf"), |bytes| {
        model_or_error(GgufModel::from_bytes("x", bytes));
    });
}
