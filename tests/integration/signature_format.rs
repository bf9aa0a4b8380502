//! Signatures as bytes: what is written is read again, and whatever else is read is an error.

use mother::signature::{Signature, SignatureFormatError, SignatureOptions};
use mother::sketch::SketchKey;
use mother::weights::{InMemoryModel, WeightValues};

/// Values that look random, from -1 to 1.
fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn single(count: usize, seed: u64) -> Vec<f32> {
    noise(count, seed).iter().map(|&x| x as f32).collect()
}

/// A model with tensors of every kind.
fn model() -> InMemoryModel<'static> {
    let tiny: Vec<f64> = noise(36 * 3, 3).iter().map(|x| x * 1e-140).collect();
    let huge: Vec<f64> = noise(40 * 5, 4).iter().map(|x| x * 1e140).collect();
    let mut broken = single(20, 5);
    broken[7] = f32::NAN;
    let layers: Vec<(&str, Vec<usize>, WeightValues<'static>)> = vec![
        (
            "a \"quoted\"\n\u{1F333}",
            vec![70, 9],
            single(630, 1).into(),
        ),
        ("broken", vec![4, 5], broken.into()),
        ("constant", vec![2, 3], vec![0.25_f32; 6].into()),
        ("empty", vec![0, 5], Vec::<f32>::new().into()),
        ("flat", vec![2000], single(2000, 2).into()),
        ("huge", vec![40, 5], huge.into()),
        ("norm", vec![33], single(33, 6).into()),
        ("scalar", vec![], vec![3.5_f64].into()),
        ("tiny", vec![36, 3], tiny.into()),
        ("zeros", vec![3, 1, 3], vec![0.0_f32; 9].into()),
    ];
    let mut model = InMemoryModel::new("name\t\u{e9}");
    for (name, shape, values) in layers {
        model = model.with_layer(name, shape, values).unwrap();
    }
    #[cfg(feature = "half")]
    {
        let values = single(48 * 20, 8).into_iter().map(half::bf16::from_f32);
        let values = values.collect::<Vec<_>>();
        model = model.with_layer("bf16", [48, 20], values).unwrap();
    }
    model
}

fn signature() -> Signature {
    SignatureOptions::new()
        .with_buckets(16)
        .unwrap()
        .with_key(SketchKey::new(u64::MAX))
        .sign(&model())
        .unwrap()
}

/// The header's JSON and the data behind it.
fn parts(bytes: &[u8]) -> (String, &[u8]) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(length);
    (String::from_utf8(header.to_vec()).unwrap(), data)
}

fn joined(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

/// A small signature with some text of its header replaced.
fn replaced(from: &str, to: &str) -> Result<Signature, SignatureFormatError> {
    let bytes = small().to_bytes();
    let (header, data) = parts(&bytes);
    assert!(header.contains(from), "{header}");
    Signature::from_bytes(&joined(&header.replacen(from, to, 1), data))
}

fn small() -> Signature {
    let model = InMemoryModel::new("m")
        .with_layer("b", [3], single(3, 1))
        .and_then(|model| model.with_layer("w", [2, 2], vec![1.0_f32, 2.0, 3.0, 5.0]))
        .unwrap();
    SignatureOptions::new().sign(&model).unwrap()
}

#[test]
fn written_signatures_are_read_back() {
    let signature = signature();
    assert_eq!(signature.skipped_layers().len(), 1);
    let bytes = signature.to_bytes();
    assert_eq!(Signature::from_bytes(&bytes).as_ref(), Ok(&signature));
    assert_eq!(Signature::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    assert!(
        bytes.len() < 8 * signature.numbers() + 40_000,
        "{}",
        bytes.len()
    );
}

#[test]
fn any_reader_of_safetensors_opens_it() {
    let signature = signature();
    let bytes = signature.to_bytes();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let count = signature.tensors().len();
    assert_eq!(file.tensor("moments").unwrap().shape(), [count, 7]);
    assert_eq!(file.tensor("digests").unwrap().shape(), [count, 6]);
    let samples = signature.tensors().iter().filter(|t| t.rows().is_some());
    assert_eq!(
        file.tensor("rows").unwrap().shape(),
        [samples.count(), 32, 16]
    );
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = metadata.metadata().as_ref().unwrap();
    assert_eq!(metadata["name"], "name\t\u{e9}");
    assert_eq!(metadata["key"], u64::MAX.to_string());
    // The data begin where numbers of 64 bits may lie in memory.
    assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()) % 8, 0);
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = small().to_bytes();
    for length in 0..bytes.len() {
        assert!(Signature::from_bytes(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn changed_bytes_give_an_error_or_another_signature() {
    let mut bytes = small().to_bytes();
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xFF] {
            bytes[at] ^= change;
            if let Ok(other) = Signature::from_bytes(&bytes) {
                assert_eq!(Signature::from_bytes(&other.to_bytes()), Ok(other));
            }
            bytes[at] ^= change;
        }
    }
}

#[test]
fn other_files_are_named() {
    let format = |header: &str| Signature::from_bytes(&joined(header, &[])).unwrap_err();
    assert_eq!(
        format("{}").to_string(),
        "not a signature: no format in the metadata"
    );
    let other =
        r#"{"__metadata__":{"format":"pt"},"w":{"dtype":"F4","shape":[],"data_offsets":[0,0]}}"#;
    assert_eq!(
        format(other).to_string(),
        "not a signature: the format is `pt`"
    );
    let not_json = format("{").to_string();
    assert!(
        not_json.starts_with("not a safetensors file: EOF"),
        "{not_json}"
    );
    let beyond = Signature::from_bytes(&[255; 9]).unwrap_err();
    assert_eq!(
        beyond.to_string(),
        "not a safetensors file: the header would end beyond the file"
    );
    assert!(matches!(
        Signature::from_bytes(&[]),
        Err(SignatureFormatError::Header { .. })
    ));
    let bytes = joined("\u{e9}", &[]);
    assert!(Signature::from_bytes(&bytes[..9]).is_err());
}

#[test]
fn settings_are_checked() {
    let version = replaced(r#""version":"4""#, r#""version":"2""#).unwrap_err();
    assert_eq!(version, SignatureFormatError::Version { found: "2".into() });
    assert_eq!(
        version.to_string(),
        "unsupported format version `2`; expected version 4"
    );
    for (from, to, setting, value) in [
        (r#""buckets":"32""#, r#""buckets":"33""#, "buckets", "33"),
        (r#""buckets":"32""#, r#""buckets":"-1""#, "buckets", "-1"),
        (
            r#""key":"26"#,
            r#""key":"x26"#,
            "key",
            "x2611923443488327891",
        ),
        (r#""name":"m""#, r#""nome":"m""#, "name", ""),
    ] {
        let value = value.into();
        assert_eq!(
            replaced(from, to),
            Err(SignatureFormatError::Setting { setting, value })
        );
    }
    // Another number of buckets asks for other lengths.
    let error = replaced(r#""buckets":"32""#, r#""buckets":"64""#).unwrap_err();
    assert!(
        matches!(
            error,
            SignatureFormatError::Array {
                array: "buckets",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn lists_and_arrays_are_checked() {
    let list = replaced(r#"\"name\":\"w\""#, r#"\"nome\":\"w\""#).unwrap_err();
    assert!(
        matches!(
            list,
            SignatureFormatError::List {
                list: "tensors",
                ..
            }
        ),
        "{list}"
    );
    let unknown = replaced(r#"\"dtype\":\"F32\""#, r#"\"dtype\":\"F12\""#).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "tensor `b` was stored with the unknown type `F12`"
    );
    for (from, to, message) in [
        (
            r#""digests":"#,
            r#""digest":"#,
            "the array `digests` is missing",
        ),
        (
            r#""U16""#,
            r#""I16""#,
            "the array `level_counts` has the type I16 instead of U16",
        ),
        (
            r#""shape":[2,7]"#,
            r#""shape":[14]"#,
            "the array `moments` has the shape [14] instead of [2, 7]",
        ),
        (
            r#"[0,96]"#,
            r#"[0,88]"#,
            "the array `digests` has 88 bytes, which does not match its shape",
        ),
        (
            r#"[0,96]"#,
            r#"[9,8]"#,
            "the array `digests` covers bytes 9 to 8, which do not exist",
        ),
    ] {
        assert_eq!(replaced(from, to).unwrap_err().to_string(), message);
    }
    for (from, to) in [
        // Sizes that overflow, or that would take all memory.
        ("[2,2]", "[9223372036854775807,2]"),
        ("[2,2]", "[4611686018427387904,2]"),
        ("[2,2]", "[1099511627776,1099511627776]"),
        ("[2,2]", "[2,2,-1]"),
        ("[2,2]", "[20,2]"),
    ] {
        let from = format!("\\\"shape\\\":{from}");
        let to = format!("\\\"shape\\\":{to}");
        assert!(replaced(&from, &to).is_err(), "{to}");
    }
}

#[test]
fn tensors_are_sorted_and_one_is_a_weight() {
    let error = replaced(r#"\"name\":\"b\""#, r#"\"name\":\"w\""#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor `w`: tensors are not sorted by unique names"
    );
    assert_eq!(
        Signature::from_bytes(&without_tensors()),
        Err(SignatureFormatError::NoWeight)
    );
}

/// A file in which all is right but that it lists no tensor.
fn without_tensors() -> Vec<u8> {
    let arrays = [
        ("digests", "U64", "[0,6]"),
        ("zeros", "U64", "[0]"),
        ("level_gaps", "F64", "[0]"),
        ("roundings", "F64", "[0]"),
        ("moments", "F64", "[0,7]"),
        ("squared_norms", "F64", "[0]"),
        ("buckets", "F32", "[0]"),
        ("rows", "F32", "[0,32,16]"),
        ("values", "F32", "[0]"),
        ("exponents", "I32", "[0]"),
        ("level_counts", "U16", "[0]"),
        ("flags", "U8", "[0]"),
    ];
    let entries = arrays.map(|(name, dtype, shape)| {
        format!(r#","{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,0]}}"#)
    });
    let metadata = r#"{"format":"mother.signature","version":"4","name":"","key":"0","buckets":"8","tensors":"[]","skipped":"[]"}"#;
    joined(
        &format!("{{\"__metadata__\":{metadata}{}}}", entries.concat()),
        &[],
    )
}

/// Where an array lies among the data.
fn offset_of(header: &str, array: &str) -> usize {
    let entry = &header[header.find(&format!("\"{array}\":{{")).unwrap()..];
    let offsets = &entry[entry.find("offsets\":[").unwrap() + 10..];
    offsets[..offsets.find(',').unwrap()].parse().unwrap()
}

/// A small signature with some bytes of an array replaced, from its beginning on.
fn with_bytes(array: &str, at: usize, value: &[u8]) -> Result<Signature, SignatureFormatError> {
    let bytes = small().to_bytes();
    let (header, data) = parts(&bytes);
    let mut data = data.to_vec();
    let at = offset_of(&header, array) + at;
    data[at..at + value.len()].copy_from_slice(value);
    Signature::from_bytes(&joined(&header, &data))
}

#[test]
fn impossible_numbers_are_errors() {
    let double = |value: f64| value.to_le_bytes().to_vec();
    let cases: &[(&str, usize, Vec<u8>, &str)] = &[
        (
            "squared_norms",
            0,
            double(f64::NAN),
            "impossible values in the sketch",
        ),
        (
            "squared_norms",
            0,
            double(-1.0),
            "impossible values in the sketch",
        ),
        (
            "squared_norms",
            0,
            double(f64::INFINITY),
            "impossible values in the sketch",
        ),
        (
            "buckets",
            0,
            f32::NAN.to_le_bytes().into(),
            "impossible values in the sketch",
        ),
        (
            "buckets",
            0,
            f32::MAX.to_le_bytes().into(),
            "impossible values in the sketch",
        ),
        (
            "exponents",
            0,
            601_i32.to_le_bytes().into(),
            "impossible values in the sketch",
        ),
        ("moments", 0, double(f64::NAN), "impossible moments"),
        // The minimum above the maximum.
        ("moments", 0, double(9.0), "impossible moments"),
        // A mean beyond the extremes, a variance that is negative or too large.
        ("moments", 16, double(9.0), "impossible moments"),
        ("moments", 24, double(0.1), "impossible moments"),
        ("moments", 32, double(-1.0), "impossible moments"),
        ("moments", 32, double(100.0), "impossible moments"),
        ("moments", 40, double(f64::INFINITY), "impossible moments"),
        ("moments", 48, double(0.0), "impossible moments"),
        ("zeros", 0, 4_u64.to_le_bytes().into(), "impossible profile"),
        (
            "level_counts",
            0,
            4_u16.to_le_bytes().into(),
            "impossible profile",
        ),
        ("level_gaps", 0, double(f64::NAN), "impossible profile"),
        ("roundings", 0, double(-1.0), "impossible profile"),
        ("roundings", 0, double(f64::NAN), "impossible profile"),
        // bfloat16 holds all values and single precision doesn't.
        ("flags", 0, vec![8 + 2], "impossible profile"),
        ("flags", 0, vec![1], "contradictory rounding levels"),
        ("flags", 0, vec![128 + 9], "unknown flags"),
    ];
    for (array, at, value, reason) in cases {
        let error = with_bytes(array, *at, value).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("tensor `b`: {reason}"),
            "{array} {at}"
        );
    }
    for flag in [16, 64] {
        assert!(with_bytes("flags", 0, &[9 + flag]).is_err());
    }
    let not_a_value = with_bytes("values", 0, &f32::NAN.to_le_bytes()).unwrap_err();
    assert_eq!(
        not_a_value.to_string(),
        "tensor `w`: impossible sampled values"
    );
}

#[test]
fn messages_are_one_short_line() {
    let name = format!("\\\\n{}", "x".repeat(1000));
    let long = replaced(r#"\"dtype\":\"F32\""#, &format!(r#"\"dtype\":\"{name}\""#)).unwrap_err();
    let long = long.to_string();
    assert!(long.chars().count() < 300 && !long.contains('\n'), "{long}");
}

#[cfg(feature = "serde")]
mod through_serde {
    use super::*;

    #[test]
    fn serialised_signatures_are_deserialised() {
        let signature = signature();
        let json = serde_json::to_string(&signature).unwrap();
        assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), signature);
    }

    #[test]
    fn deserialised_signatures_are_checked() {
        let json = serde_json::to_string(&small()).unwrap();
        let replaced = |from: &str, to: &str| {
            assert!(json.contains(from), "{json}");
            let error = serde_json::from_str::<Signature>(&json.replacen(from, to, 1)).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            replaced("\"version\":4", "\"version\":7"),
            "unsupported format version `7`; expected version 4"
        );
        assert_eq!(
            replaced("\"buckets\":32", "\"buckets\":5"),
            "invalid value `5` of the setting `buckets`"
        );
        let length = "tensor `w`: the sketch's length does not match the shape";
        assert_eq!(replaced("[2,2]", "[3,2]"), length);
        let huge = "tensor `w`: the shape is too large";
        assert_eq!(replaced("[2,2]", "[9223372036854775807,2]"), huge);
        let order = "tensor `w`: tensors are not sorted by unique names";
        assert_eq!(replaced("\"name\":\"b\"", "\"name\":\"w\""), order);
    }
}

/// What another program wrote, from the documentation alone; see `tests/golden/signature/make.py`.
#[cfg(feature = "half")]
mod golden {
    use super::*;
    use mother::safetensors::SafetensorsModel;

    const MODEL: &[u8] = include_bytes!("../golden/signature/model.safetensors");
    const SIGNATURE: &[u8] = include_bytes!("../golden/signature/signature.safetensors");

    fn ours() -> Signature {
        let model = SafetensorsModel::from_bytes("golden", MODEL).unwrap();
        let options = SignatureOptions::new().with_buckets(16).unwrap();
        let key = SketchKey::new(0x0123_4567_89AB_CDEF);
        options.with_key(key).sign(&model).unwrap()
    }

    #[test]
    fn another_program_signs_alike() {
        let (ours, theirs) = (ours(), Signature::from_bytes(SIGNATURE).unwrap());
        assert_eq!(
            (ours.name(), ours.key(), ours.buckets()),
            (theirs.name(), theirs.key(), theirs.buckets())
        );
        assert_eq!(ours.skipped_layers(), theirs.skipped_layers());
        assert_eq!(ours.tensors().len(), theirs.tensors().len());
        for (ours, theirs) in ours.tensors().iter().zip(theirs.tensors()) {
            let name = ours.name();
            assert_eq!(name, theirs.name());
            assert_eq!(ours.shape(), theirs.shape(), "{name}");
            assert_eq!(ours.element_type(), theirs.element_type(), "{name}");
            assert_eq!(ours.digest(), theirs.digest(), "{name}");
            assert_eq!(ours.profile(), theirs.profile(), "{name}");
            assert_eq!(ours.sketch(), theirs.sketch(), "{name}");
            assert_eq!(ours.rows(), theirs.rows(), "{name}");
        }
    }

    /// All bytes are equal but those of means and central sums, which are rounded differently.
    #[test]
    fn another_program_writes_alike() {
        let bytes = ours().to_bytes();
        let (header, data) = parts(&bytes);
        let (expected, expected_data) = parts(SIGNATURE);
        assert_eq!(header, expected);
        let begin = offset_of(&header, "moments");
        let end = offset_of(&header, "squared_norms");
        assert_eq!(data[..begin], expected_data[..begin]);
        assert_eq!(data[end..], expected_data[end..]);
        let numbers = |data: &[u8]| -> Vec<f64> {
            let numbers = data[begin..end].as_chunks().0.iter().copied();
            numbers.map(f64::from_le_bytes).collect()
        };
        let pairs = numbers(data).into_iter().zip(numbers(expected_data));
        for (at, (ours, theirs)) in pairs.enumerate() {
            // The lower part of the mean is what rounding left.
            if at % 7 == 3 {
                assert!(
                    ours.abs() <= 1e-15 && theirs.abs() <= 1e-15 || (ours / theirs).abs() < 1e3,
                    "{at}"
                );
                continue;
            }
            let close = (ours - theirs).abs() <= 1e-9 * theirs.abs();
            assert!(close, "moment {at}: {ours} for {theirs}");
        }
    }
}

#[cfg(feature = "proptest")]
proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]

    #[test]
    fn any_signature_is_read_again(signature in mother::strategies::signatures(SignatureOptions::new())) {
        let read = Signature::from_bytes(&signature.to_bytes());
        proptest::prop_assert_eq!(read, Ok(signature));
    }
}
