//! What is well formed is read as the reference implementation reads it.

use ::safetensors::tensor::{Dtype, TensorView};
use ::safetensors::{SafeTensors, serialize};
use mother::Scalar;
use mother::safetensors::SafetensorsModel;
use mother::storage::FileErrorKind;
use mother::weights::{ElementType, Layer, WeightSource};
use proptest::prelude::*;

use super::{TempFolder, file_of, file_with, read_all, skipped_names};

const TYPES: [Dtype; 22] = [
    Dtype::BOOL,
    Dtype::F4,
    Dtype::F6_E2M3,
    Dtype::F6_E3M2,
    Dtype::U8,
    Dtype::I8,
    Dtype::F8_E5M2,
    Dtype::F8_E4M3,
    Dtype::F8_E8M0,
    Dtype::F8_E4M3FNUZ,
    Dtype::F8_E5M2FNUZ,
    Dtype::I16,
    Dtype::U16,
    Dtype::F16,
    Dtype::BF16,
    Dtype::I32,
    Dtype::U32,
    Dtype::F32,
    Dtype::C64,
    Dtype::F64,
    Dtype::I64,
    Dtype::U64,
];

/// Bytes that repeat after 251 values, which no buffer's length divides.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn same_bits<T: Scalar>(first: &[T], second: &[T]) -> bool {
    let bits = |value: &T| value.widen().to_bits();
    first.iter().map(bits).eq(second.iter().map(bits))
}

/// The values that bytes of a type stand for.
fn decoded<T: Scalar>(element_type: ElementType, data: &[u8]) -> Vec<T> {
    const SMALL: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    if element_type == ElementType::F4E2M1 {
        let codes = data.iter().flat_map(|byte| [byte & 15, byte >> 4]);
        let small = |code: u8| {
            let value = SMALL[usize::from(code & 7)];
            T::from_single(if code < 8 { value } else { -value })
        };
        return codes.map(small).collect();
    }
    let mut values = vec![T::zero(); data.len() / element_type.size()];
    element_type.decode(data, &mut values).unwrap();
    values
}

/// Checks a model against the reference's reading of the same bytes.
fn assert_agrees(model: &SafetensorsModel<'_>, reference: &SafeTensors<'_>) {
    let mut read = 0;
    for layer in model.layers() {
        let layer = layer.unwrap();
        let view = reference.tensor(layer.name()).unwrap();
        assert_eq!(layer.shape(), view.shape());
        assert_eq!(layer.element_type().to_string(), view.dtype().to_string());
        let expected: Vec<f64> = decoded(layer.element_type(), view.data());
        let mut values = vec![0.0; expected.len()];
        layer.read(0, &mut values).unwrap();
        assert!(same_bits(&values, &expected), "{}", layer.name());
        read += 1;
    }
    for skipped in model.skipped_layers() {
        let stored_type = reference
            .tensor(&skipped.layer)
            .unwrap()
            .dtype()
            .to_string();
        assert!(stored_type.parse::<ElementType>().is_err());
        assert!(skipped.reason.contains(&stored_type), "{}", skipped.reason);
    }
    assert_eq!(read + model.skipped_layers().len(), reference.len());
}

#[test]
fn every_type_is_read_or_skipped_with_its_reason() {
    let data = bytes(8 * 24);
    let views = TYPES.map(|stored_type| {
        let length = 24 * stored_type.bitsize() / 8;
        let view = TensorView::new(stored_type, vec![2, 3, 4], &data[..length]).unwrap();
        (stored_type.to_string(), view)
    });
    let file = serialize(views, None).unwrap();
    let model = SafetensorsModel::from_bytes("all", &file).unwrap();
    assert_agrees(&model, &SafeTensors::deserialize(&file).unwrap());
    // And floats of four bits, which need more than their bytes.
    assert_eq!(model.layers().count(), ElementType::ALL.len() + 1);

    let folder = TempFolder::new();
    let model = SafetensorsModel::open(folder.write("all.safetensors", &file)).unwrap();
    assert_agrees(&model, &SafeTensors::deserialize(&file).unwrap());
}

/// Reads `count` values from every offset in `offsets`, from file and memory, in both precisions.
fn assert_chunks_agree(
    stored_type: Dtype,
    elements: usize,
    chunks: impl Iterator<Item = (usize, usize)>,
) {
    let element_type: ElementType = stored_type.to_string().parse().unwrap();
    let data = bytes((elements * stored_type.bitsize()).div_ceil(8));
    let before = TensorView::new(Dtype::U8, vec![5], &[0, 1, 2, 3, 4]).unwrap();
    let view = TensorView::new(stored_type, vec![elements], &data).unwrap();
    let file = serialize([("before", before), ("w", view)], None).unwrap();
    let folder = TempFolder::new();
    let opened = SafetensorsModel::open(folder.write("m.safetensors", &file)).unwrap();
    let borrowed = SafetensorsModel::from_bytes("m", &file).unwrap();
    let expected: Vec<f64> = decoded(element_type, &data);
    let singles: Vec<f32> = decoded(element_type, &data);

    let chunks: Vec<_> = chunks.collect();
    for model in [&opened, &borrowed] {
        let mut layers = model.layers().map(Result::unwrap);
        let layer = layers.find(|layer| layer.name() == "w").unwrap();
        for &(offset, count) in &chunks {
            let mut values = vec![0.0; count];
            layer.read(offset, &mut values).unwrap();
            assert!(same_bits(&values, &expected[offset..offset + count]));
            let mut values = vec![0.0; count];
            layer.read(offset, &mut values).unwrap();
            assert!(same_bits(&values, &singles[offset..offset + count]));
        }
    }
}

#[test]
fn any_chunk_can_be_read_from_any_offset() {
    for element_type in ElementType::ALL {
        let stored_type = TYPES
            .into_iter()
            .find(|t| t.to_string() == element_type.to_string());
        let chunks = (0..=23).flat_map(|offset| (0..=23 - offset).map(move |n| (offset, n)));
        assert_chunks_agree(stored_type.unwrap(), 23, chunks);
    }
    let chunks = (0..=24).flat_map(|offset| (0..=24 - offset).map(move |n| (offset, n)));
    assert_chunks_agree(Dtype::F4, 24, chunks);
}

#[test]
fn chunks_longer_than_the_buffer_are_read_whole() {
    const BUFFER: usize = 64 * 1024;
    for (stored_type, size) in [(Dtype::U8, 1), (Dtype::F32, 4), (Dtype::F64, 8)] {
        let (batch, elements) = (BUFFER / size, 2 * BUFFER / size + 13);
        let chunks = [
            (0, elements),
            (0, batch),
            (1, batch),
            (7, batch + 1),
            (batch - 1, 2),
            (13, 2 * batch),
            (elements, 0),
        ];
        assert_chunks_agree(stored_type, elements, chunks.into_iter());
    }
    let elements = 4 * BUFFER + 14;
    let chunks = [(0, elements), (1, 2 * BUFFER), (3, 4 * BUFFER + 1)];
    assert_chunks_agree(Dtype::F4, elements, chunks.into_iter());
}

#[test]
fn more_values_than_there_are_is_an_error() {
    let file = file_of(&[("w", &[1.0, 2.0, 3.0])]);
    let folder = TempFolder::new();
    let opened = SafetensorsModel::open(folder.write("m.safetensors", &file)).unwrap();
    let borrowed = SafetensorsModel::from_bytes("m.safetensors", &file).unwrap();
    for model in [&opened, &borrowed] {
        let layer = model.layers().next().unwrap().unwrap();
        for (offset, count) in [(0, 4), (3, 1), (4, 0), (usize::MAX, 2)] {
            let error = layer.read(offset, &mut vec![0.0_f32; count]).unwrap_err();
            assert!(matches!(
                error.kind,
                FileErrorKind::OutOfRange { elements: 3, .. }
            ));
            assert_eq!(error.layer.as_deref(), Some("w"));
            assert!(error.to_string().contains("m.safetensors"));
        }
        assert_eq!(layer.read::<f64>(3, &mut []), Ok(()));
    }
}

#[test]
fn notes_are_kept_and_unknown_keys_ignored() {
    let header = r#" {"a":{"dtype":"U8","note":[[{"x":null}],1e300],"shape":[2],"data_offsets":[1,3]},
        "__metadata__":{"format":"pt","tab\t":"\u00e9\ud83d\ude00"},
        "\u0062\n":{"shape":[0,18446744073709551615],"data_offsets":[3,3],"dtype":"F32"},
        "c":{"dtype":"Q4_\u001b","shape":[7],"data_offsets":[4,5]}}   "#;
    let file = file_with(header, &[9, 1, 2, 9, 3]);
    let model = SafetensorsModel::from_bytes("m", &file)
        .unwrap()
        .with_name("other");
    assert_eq!(model.name(), "other");
    let metadata: Vec<_> = model.metadata().collect();
    assert_eq!(metadata, [("format", "pt"), ("tab\t", "é😀")]);
    let expected = vec![("a".to_owned(), vec![1.0, 2.0]), ("b\n".to_owned(), vec![])];
    assert_eq!(read_all(&model), Ok(expected));
    assert_eq!(skipped_names(&model), ["c"]);
    assert_eq!(
        model.skipped_layers()[0].reason,
        "unknown data type `Q4_\\u{1b}`"
    );

    let no_notes = file_with(r#"{"__metadata__":null}"#, &[]);
    let model = SafetensorsModel::from_bytes("m", &no_notes).unwrap();
    assert_eq!((model.metadata().count(), model.layers().count()), (0, 0));
}

#[test]
fn layers_are_listed_as_they_lie_in_the_file() {
    let header = r#"{"z":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},
        "a":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},
        "m":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}"#;
    let file = file_with(header, &[0xFF, 1, 2]);
    let model = SafetensorsModel::from_bytes("m", &file).unwrap();
    let values = read_all(&model).unwrap();
    let expected = [("m", -1.0), ("z", 1.0), ("a", 2.0)];
    assert_eq!(
        values,
        expected.map(|(name, value)| (name.to_owned(), vec![value]))
    );
}

/// A tensor's type and shape, and a name that needs escapes.
fn tensor() -> impl Strategy<Value = (String, Dtype, Vec<usize>)> {
    let shape = prop::collection::vec(0_usize..5, 0..4);
    ("[a-c\"\\\\é.\n]{0,3}", 0..TYPES.len(), shape).prop_map(|(name, index, mut shape)| {
        // Types narrower than a byte must fill their last one.
        shape.push(4);
        (name, TYPES[index], shape)
    })
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn files_of_the_reference_are_read_as_the_reference_reads_them(
        tensors in prop::collection::vec(tensor(), 0..6),
        notes in prop::collection::hash_map("[a-c\"\n]{0,3}", ".{0,4}", 0..3),
    ) {
        let data = bytes(8 * 4 * 4 * 4 * 4);
        let mut tensors = tensors;
        tensors.sort_by(|(first, ..), (second, ..)| first.cmp(second));
        tensors.dedup_by(|(first, ..), (second, ..)| first == second);
        let views = tensors.iter().map(|(name, stored_type, shape)| {
            let length = shape.iter().product::<usize>() * stored_type.bitsize() / 8;
            (name, TensorView::new(*stored_type, shape.clone(), &data[..length]).unwrap())
        });
        // Given neither tensors nor notes but `Some`, version 0.8 writes what it can't read.
        let some_notes = (!notes.is_empty()).then(|| notes.clone());
        let file = serialize(views, some_notes.map(|notes| notes.into_iter().collect())).unwrap();
        let model = SafetensorsModel::from_bytes("m", &file).unwrap();
        assert_agrees(&model, &SafeTensors::deserialize(&file).unwrap());
        let found = model.metadata().map(|(key, value)| (key.to_owned(), value.to_owned()));
        prop_assert_eq!(found.collect::<std::collections::HashMap<_, _>>(), notes);
    }
}
