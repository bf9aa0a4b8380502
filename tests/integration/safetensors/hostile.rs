//! Whatever the bytes are, there is a model or an error that says what is wrong, and no panic.

use ::safetensors::SafeTensors;
use mother::safetensors::SafetensorsModel;
use mother::storage::{FileError, FileErrorKind};
use proptest::prelude::*;

use super::{TempFolder, error_of, file_of, file_with, read_all, skipped_names};

fn error_in(file: &[u8]) -> FileError {
    error_of(SafetensorsModel::from_bytes("x", file), "`x`")
}

/// The error of a file with one layer `w` of this description and 16 bytes of data.
fn error_in_entry(entry: &str) -> FileError {
    error_in(&file_with(format!(r#"{{"w":{entry}}}"#), &[0; 16]))
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let file = file_of(&[("a", &[1.0, 2.0]), ("b", &[3.0])]);
    let folder = TempFolder::new();
    for length in 0..file.len() {
        error_in(&file[..length]);
        let path = folder.write("cut.safetensors", &file[..length]);
        error_of(SafetensorsModel::open(path), "cut.safetensors");
    }
    let last = error_in(&file[..file.len() - 1]);
    assert_eq!(
        last.to_string(),
        "`x`: invalid layer `b`: ends at byte 12 of the data, but the file has only 11"
    );
    assert_eq!(
        error_in(&[]).to_string(),
        "`x` is not a safetensors file, or is truncated: the file is empty"
    );
    assert_eq!(
        error_in(&file[..3]).to_string(),
        "`x` is not a safetensors file, or is truncated: the file is only 3 bytes long"
    );
}

#[test]
fn a_header_longer_than_the_file_is_an_error() {
    for header in [505, 1 << 32, 1 << 63, u64::MAX - 7, u64::MAX] {
        let mut file = vec![b' '; 512];
        file[..8].copy_from_slice(&u64::to_le_bytes(header));
        let error = error_in(&file);
        assert_eq!(
            error.to_string(),
            format!(
                "`x` is not a safetensors file, or is truncated: \
                 the header would be {header} bytes long in a file of 512"
            )
        );
    }
}

#[test]
fn a_header_longer_than_the_format_allows_is_not_read() {
    // A sparse file: it takes no room, and reading its header would take a second.
    let folder = TempFolder::new();
    let path = folder.write("big.safetensors", 100_000_001_u64.to_le_bytes());
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(200_000_000).unwrap();
    let error = error_of(SafetensorsModel::open(&path), "big.safetensors");
    let text = error.to_string();
    assert!(
        text.ends_with("header is 100000001 bytes long, where the format allows 100000000"),
        "{text}"
    );
}

#[test]
fn text_says_how_it_begins() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a";
    let text = |file: &[u8]| match error_in(file).kind {
        FileErrorKind::OtherFormat { reason, .. } => reason,
        kind => panic!("{kind:?}"),
    };
    let begins = |with: &str| format!("the file is text that begins with `{with}");
    let lfs = begins("version https://git-lfs.github.com/spec/v1");
    assert!(text(pointer.as_bytes()).starts_with(&lfs));
    assert_eq!(text(b"12345678"), begins("12345678`"));
    assert_eq!(text("un texte à peine".as_bytes()), begins("un texte `"));
    let program = text(b"\x7FELF\x02\x01\x01\0...");
    assert!(program.ends_with("bytes long in a file of 11"), "{program}");
}

#[test]
fn a_header_that_is_not_json_is_an_error() {
    let not_json: [&[u8]; 11] = [
        b"",
        b"[]",
        b"null",
        b"{",
        b"{}}",
        b"{} x",
        b"{'w':1}",
        b"{\"w\":NaN}",
        b"{\"w\":{\"dtype\":\"U8\",\"shape\":[1e999],\"data_offsets\":[0,1]}}",
        b"{\"w\":{\"dtype\":\"\\ud800\",\"shape\":[],\"data_offsets\":[0,1]}}",
        b"\xEF\xBB\xBF{}",
    ];
    for header in not_json {
        let error = error_in(&file_with(header, &[0; 16]));
        assert!(error.to_string().contains("invalid JSON"), "{error:?}");
    }
    let error = error_in(&file_with(b"{\"w\xFF\":{}}", &[]));
    assert_eq!(
        error.to_string(),
        "`x` is damaged: invalid UTF-8 in the JSON at byte 3"
    );
}

#[test]
fn a_bad_entry_names_its_layer_and_value() {
    let cases = [
        ("5", "integer `5`, expected an object"),
        ("null", "null, expected an object"),
        ("[]", "sequence, expected an object"),
        (r#"{}"#, "missing field `dtype`"),
        (
            r#"{"dtype":"U8","shape":[]}"#,
            "missing field `data_offsets`",
        ),
        (
            r#"{"dtype":"U8","data_offsets":[0,1]}"#,
            "missing field `shape`",
        ),
        (r#"{"dtype":5}"#, "integer `5`, expected a string"),
        (r#"{"dtype":"U8","dtype":"I8"}"#, "duplicate field `dtype`"),
        (r#"{"shape":[],"shape":[]}"#, "duplicate field `shape`"),
        (
            r#"{"data_offsets":[0,0],"data_offsets":[0,0]}"#,
            "duplicate field `data_offsets`",
        ),
        (r#"{"shape":{}}"#, "map, expected a sequence"),
        (r#"{"shape":[-1]}"#, "integer `-1`, expected usize"),
        (r#"{"shape":[1.5]}"#, "floating point `1.5`, expected usize"),
        (r#"{"shape":[1e30]}"#, "floating point `1e"),
        (r#"{"shape":[99999999999999999999]}"#, "floating point `1"),
        (r#"{"shape":["2"]}"#, "string \"2\", expected usize"),
        (r#"{"shape":[[2]]}"#, "sequence, expected usize"),
        (r#"{"shape":[null]}"#, "null, expected usize"),
        (r#"{"data_offsets":[-1,4]}"#, "integer `-1`, expected u64"),
        (
            r#"{"data_offsets":[]}"#,
            "invalid length 0, expected the begin and end positions",
        ),
        (
            r#"{"data_offsets":[0]}"#,
            "invalid length 1, expected the begin and end positions",
        ),
        (
            r#"{"data_offsets":[0,4,5]}"#,
            "invalid length 3, expected the begin and end positions",
        ),
        (r#"{"data_offsets":{"a":0}}"#, "map, expected a sequence"),
    ];
    for (entry, expected) in cases {
        let error = error_in_entry(entry);
        let is_named = error.layer.as_deref() == Some("w");
        assert!(
            is_named && error.to_string().contains(expected),
            "{entry}: {error}"
        );
    }
    for notes in ["5", "[]", r#"{"a":1}"#, r#"{"a":"1","b":"2","a":"3"}"#] {
        let header = format!(r#"{{"__metadata__":{notes}}}"#);
        let error = error_in(&file_with(header, &[]));
        assert!(matches!(error.kind, FileErrorKind::BadLayer { .. }));
        assert_eq!(error.layer.as_deref(), Some("__metadata__"));
    }
    let twice = file_with(r#"{"__metadata__":{},"__metadata__":{}}"#, &[]);
    assert!(error_in(&twice).to_string().contains("listed twice"));
}

#[test]
fn shapes_and_positions_must_agree() {
    let cases = [
        (
            r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#,
            "`x`: invalid layer `w`: begins at byte 8 but ends at byte 0",
        ),
        (
            r#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#,
            "`x`: invalid layer `w`: has 8 bytes, but its type and shape need 12",
        ),
        (
            r#"{"dtype":"I64","shape":[],"data_offsets":[0,4]}"#,
            "`x`: invalid layer `w`: has 4 bytes, but its type and shape need 8",
        ),
        (
            r#"{"dtype":"F4","shape":[3],"data_offsets":[0,1]}"#,
            "`x`: invalid layer `w`: has 1 bytes, but its type and shape need 2",
        ),
        (
            r#"{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}"#,
            "`x`: invalid layer `w`: too many elements: its shape is [4294967296, 4294967296]",
        ),
        (
            r#"{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}"#,
            "`x`: invalid layer `w`: has 0 bytes, but its type and shape need more than 2^64",
        ),
        (
            r#"{"dtype":"F32","shape":[4],"data_offsets":[4,20]}"#,
            "`x`: invalid layer `w`: ends at byte 20 of the data, but the file has only 16",
        ),
        (
            r#"{"dtype":"??","shape":[],"data_offsets":[0,18446744073709551615]}"#,
            "`x`: invalid layer `w`: ends at byte 18446744073709551615 of the data, but the file has only 16",
        ),
    ];
    for (entry, expected) in cases {
        assert_eq!(error_in_entry(entry).to_string(), expected);
    }
}

#[test]
fn layers_that_overlap_are_both_named() {
    let header = |ranges: [(usize, usize); 3]| {
        let entries = ["a", "b", "c"]
            .iter()
            .zip(ranges)
            .map(|(name, (begin, end))| {
                let length = end - begin;
                format!(
                    r#""{name}":{{"dtype":"U8","shape":[{length}],"data_offsets":[{begin},{end}]}}"#
                )
            });
        format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
    };
    let overlaps = [
        ([(0, 4), (4, 8), (7, 9)], "b", "c"),
        ([(2, 9), (0, 1), (3, 5)], "a", "c"),
        ([(0, 2), (5, 9), (5, 9)], "b", "c"),
        ([(4, 8), (9, 10), (0, 5)], "c", "a"),
    ];
    for (ranges, first, second) in overlaps {
        assert_eq!(
            error_in(&file_with(header(ranges), &[0; 16])).to_string(),
            format!("`x`: invalid layer `{second}`: overlaps `{first}`")
        );
    }
    for ranges in [
        [(0, 4), (2, 2), (4, 8)],
        [(0, 0), (0, 0), (0, 16)],
        [(9, 9), (3, 9), (1, 3)],
    ] {
        let end = ranges.map(|(_, end)| end).into_iter().max().unwrap();
        let file = file_with(header(ranges), &[0; 16][..end]);
        assert!(
            SafetensorsModel::from_bytes("x", &file).is_ok(),
            "{ranges:?}"
        );
    }
    // A layer that can't be decoded has bytes all the same.
    let file = file_with(
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
            "b":{"dtype":"Q2","shape":[9],"data_offsets":[3,5]}}"#,
        &[0; 16],
    );
    assert!(error_in(&file).to_string().contains("overlaps"));
}

#[test]
fn bytes_after_the_last_layer_are_an_error() {
    let file = file_with(
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
        &[0; 5],
    );
    assert_eq!(
        error_in(&file).to_string(),
        "`x` is damaged: the last layer ends at byte 4 of the data, but the file has 5"
    );
    error_in(&file_with("{}", &[0]));
    // Where layers have bytes between them, so may the last one and the end.
    let padded = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                     "b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}"#;
    assert!(SafetensorsModel::from_bytes("x", &file_with(padded, &[0; 8])).is_ok());
    error_in(&file_with(padded, &[0; 9]));
    // Unless these bytes may be what fills a header up whose length is wrong, or part of such a header.
    let begins_with_spaces = [[b' '; 8], [0; 8]].concat();
    let long = padded.replace("[4,6]", "[12,14]");
    error_in(&file_with(&long, &begins_with_spaces));
    assert!(SafetensorsModel::from_bytes("x", &file_with(long, &[0; 16])).is_ok());
    let filled_up = format!("{padded:<144}");
    assert!(SafetensorsModel::from_bytes("x", &file_with(&filled_up, &[0; 8])).is_ok());
    error_in(&file_with(filled_up + "\n", &[0; 8]));
}

#[test]
fn a_flipped_bit_in_the_headers_length_is_an_error() {
    // White space around the JSON and in the data leaves the header readable at other lengths.
    let header = r#"{"a":{"dtype":"U8","shape":[40],"data_offsets":[0,40]}}"#;
    let file = file_with([header, &" ".repeat(40)].concat(), &[b' '; 40]);
    assert!(SafetensorsModel::from_bytes("x", &file).is_ok());
    // Bytes between layers may be as many as a flipped bit leaves over.
    let gapped = r#"{"a":{"dtype":"U8","shape":[40],"data_offsets":[0,40]},
                     "b":{"dtype":"U8","shape":[40],"data_offsets":[104,144]}}"#;
    let gapped = file_with(format!("{gapped:<176}"), &[b' '; 144]);
    assert!(SafetensorsModel::from_bytes("x", &gapped).is_ok());
    for (bit, file) in (0..64).flat_map(|bit| [(bit, &file), (bit, &gapped)]) {
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        error_in(&file);
    }
}

#[test]
fn a_name_given_twice_is_an_error() {
    let file = file_with(
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
            "\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
        &[0; 2],
    );
    assert_eq!(error_in(&file).to_string(), "`x` lists layer `a` twice");
}

#[test]
fn nesting_a_hundred_thousand_deep_is_harmless() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    error_in_entry(&deep);
    error_in_entry(&format!(r#"{{"shape":{deep}}}"#));
    error_in_entry(&"[".repeat(100_000));
    error_in_entry(&format!(r#"{{"note":{}}}"#, r#"{"a":"#.repeat(100_000)));
    let unknown =
        format!(r#"{{"w":{{"note":{deep},"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
    let file = file_with(unknown, &[7]);
    let model = SafetensorsModel::from_bytes("x", &file).unwrap();
    assert_eq!(read_all(&model), Ok(vec![("w".to_owned(), vec![7.0])]));
}

#[test]
fn a_hostile_name_stays_on_one_short_line() {
    let name = "\\n\\u001b[2J".repeat(10_000);
    error_in(&file_with(format!(r#"{{"{name}":5}}"#), &[]));
    error_in(&file_with(format!(r#"{{"w":"{name}"}}"#), &[]));
    let shape = vec!["4294967296"; 10_000].join(",");
    let error = error_in_entry(&format!(
        r#"{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,0]}}"#
    ));
    assert!(
        error.to_string().ends_with("4294967296] and 9992 more"),
        "{error}"
    );
}

#[test]
fn a_hundred_thousand_tiny_layers_are_read() {
    let entries: Vec<_> = (0..100_000)
        .map(|index| format!(r#""{index}":{{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    let file = file_with(format!("{{{}}}", entries.join(",")), &[]);
    let model = SafetensorsModel::from_bytes("x", &file).unwrap();
    assert_eq!(read_all(&model).map(|layers| layers.len()), Ok(100_000));
}

/// A small file with something of everything.
fn valid_file() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},
        "first":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},
        "second.é":{"dtype":"U8","shape":[3],"data_offsets":[16,19]},
        "third":{"dtype":"I16","shape":[1,1],"data_offsets":[19,21]},
        "fourth":{"dtype":"F64","shape":[1],"data_offsets":[21,29]}}"#;
    file_with(header, &[0x3F; 29])
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn flipped_bytes_give_a_readable_model_or_an_error(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        printable in any::<bool>(),
    ) {
        let mut file = valid_file();
        for (index, byte) in flips {
            // Among printable bytes there are more that leave the header half right.
            let (length, byte) = if printable { (8, b'0' + byte % 10) } else { (0, byte) };
            let index = length + index.index(file.len() - length);
            file[index] = byte;
        }
        let reference = SafeTensors::deserialize(&file);
        match SafetensorsModel::from_bytes("x", &file) {
            Ok(model) => {
                let values = read_all(&model).unwrap();
                if let Ok(reference) = reference {
                    prop_assert_eq!(values.len() + skipped_names(&model).len(), reference.len());
                }
            }
            Err(error) => {
                error_of(Err(error), "`x`");
                prop_assert!(reference.is_err(), "only the reference reads it");
            }
        }
    }

    #[test]
    fn any_bytes_give_a_model_or_an_error(
        header in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            r#"\{("(w|__metadata__)":\{("(dtype|shape|data_offsets)":("U8"|\[[0-9,]{0,4}\]|-1),?){0,4}\},?){0,2}\}"#
                .prop_map(String::into_bytes),
        ],
        data in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        let file = file_with(header, &data);
        match SafetensorsModel::from_bytes("x", &file) {
            Ok(model) => prop_assert!(read_all(&model).is_ok()),
            Err(error) => drop(error_of(Err(error), "`x`")),
        }
    }
}
