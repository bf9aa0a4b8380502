//! One PyTorch file: a zip archive, or the older stream of pickles followed by the storages.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::io;

use hashbrown::HashMap;

use super::pickle::{Unpickled, unpickle};
use super::state::{State, state};
use super::tensor::{Kind, StorageKey, Tensor, storage_of};
use super::values::{Node, Value, Values};
use crate::Scalar;
use crate::storage::archive::{Entry, Packing, entries};
use crate::storage::input::{Input, Reading};
use crate::storage::part::{self, Part, StoredValues};
use crate::storage::{ByteOrder, Bytes, Element, FileError, FileErrorKind, Storage, Strides};
use crate::weights::SkippedLayer;

/// The first bytes of an archive.
const ARCHIVE: &[u8] = b"PK\x03\x04";

/// The first bytes of files from PyTorch before 1.6: a pickle of a magic number.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// A file whose pickle has been read and checked. Its layers are sorted by position in the file.
pub(super) type Shard<'a> = Part<'a, Elements>;

pub(super) type StoredLayer = part::StoredLayer<Elements>;

/// The elements of a tensor.
#[derive(Debug)]
pub(super) struct Elements {
    element: Element,
    /// The position of the first in the file.
    position: u64,
    strides: Option<Strides>,
}

/// The layers that can be read, and the skipped ones.
type Layers = (Vec<StoredLayer>, Vec<SkippedLayer>);

/// The position and the length of each storage in a file.
type Places = HashMap<String, (u64, u64)>;

/// The number of bytes that all tensors together may have for each byte of the file. Layers may share
/// their weights, but reading a small file shouldn't take days.
const MOST_SHARED: u64 = 64;

/// The number of bytes that the tensors of any file may have.
const ALWAYS_SHARED: u64 = 1 << 24;

/// Reads and checks a file's pickle.
pub(super) fn shard(storage: Storage<'_>) -> Result<Shard<'_>, FileError> {
    let read = read_header(&storage);
    let (layers, skipped) = read.map_err(|error| error.or_in_file(storage.label()))?;
    Part::new(storage, layers, skipped)
}

fn read_header(storage: &Storage<'_>) -> Reading<Layers> {
    let length = storage.length().min(LEGACY.len() as u64);
    let beginning = storage.bytes(0, length)?;
    if beginning.starts_with(ARCHIVE) {
        archive(storage)
    } else if beginning == LEGACY {
        legacy(storage)
    } else {
        Err(not_pytorch(unlike(&beginning)))
    }
}

impl StoredValues for Elements {
    fn preferred_length(&self) -> usize {
        (self.strides.as_ref()).map_or(1, Strides::preferred_length)
    }

    fn read<T: Scalar>(&self, bytes: Bytes<'_>, offset: usize, values: &mut [T]) -> io::Result<()> {
        let (element, start) = (self.element, self.position);
        match &self.strides {
            None => element.read(bytes, start + offset as u64 * element.size() as u64, values),
            Some(strides) => strides.gather(element, offset, values, |position, buffer| {
                bytes.fill(start + position, buffer)
            }),
        }
    }
}

/// The error for a file that `torch.save` didn't write.
fn not_pytorch(reason: String) -> FileError {
    let format = "PyTorch";
    FileErrorKind::OtherFormat { format, reason }.in_file("")
}

/// Describes a file with this beginning.
fn unlike(beginning: &[u8]) -> String {
    if beginning.is_empty() {
        return "the file is empty".to_owned();
    }
    if beginning.first() == Some(&0x80) {
        return "the file is a pickle that `torch.save` did not write".to_owned();
    }
    format!(
        "the file begins with `{}`",
        String::from_utf8_lossy(beginning).escape_debug()
    )
}

/// The layers in a zip archive, the format since PyTorch 1.6.
fn archive(storage: &Storage<'_>) -> Reading<Layers> {
    let entries = entries(storage).map_err(not_pytorch)?;
    let pickle = (entries.iter())
        .filter(|entry| entry.name == "data.pkl" || entry.name.ends_with("/data.pkl"))
        .min_by_key(|entry| entry.name.len());
    let Some(pickle) = pickle else {
        let reason = "the archive has no entry `data.pkl`".to_owned();
        return Err(not_pytorch(reason));
    };
    let folder = pickle.name.strip_suffix("data.pkl").unwrap_or_default();
    let plain = |entry: &Entry| match entry.packing {
        Packing::Stored => Ok((entry.position, entry.length)),
        _ => Err(not_pytorch(format!(
            "entry `{}` is compressed, which `torch.save` never does",
            entry.name
        ))),
    };
    let (position, length) = plain(pickle)?;
    let mut input = Input::new(storage, position, position + length);
    let unpickled = unpickle(&mut input)?;
    let order = byte_order(storage, &entries, folder)?;
    let mut places = Places::new();
    for entry in &entries {
        let name = entry.name.strip_prefix(folder);
        if let Some(key) = name.and_then(|name| name.strip_prefix("data/")) {
            places.insert(key.to_owned(), plain(entry)?);
        }
    }
    layers(&unpickled, &places, order, storage.length())
}

fn byte_order(storage: &Storage<'_>, entries: &[Entry], folder: &str) -> Reading<ByteOrder> {
    let named = |entry: &&Entry| entry.name.strip_prefix(folder) == Some("byteorder");
    let Some(entry) = entries.iter().find(named) else {
        return Ok(ByteOrder::Little);
    };
    // Anything longer than either word is invalid.
    let order = storage.bytes(entry.position, entry.packed.min(16))?;
    match order.as_slice() {
        b"little" => Ok(ByteOrder::Little),
        b"big" => Ok(ByteOrder::Big),
        other => Err(not_pytorch(format!(
            "unknown byte order `{}`",
            String::from_utf8_lossy(other).escape_debug()
        ))),
    }
}

/// The layers in a stream of pickles: a magic number, a version, information about the machine, the model,
/// and the keys of the storages. These follow, each after its length.
fn legacy(storage: &Storage<'_>) -> Reading<Layers> {
    let mut input = Input::new(storage, 0, storage.length());
    input.skip(LEGACY.len() as u64)?;
    unpickle(&mut input)?;
    let machine = unpickle(&mut input)?;
    let model = unpickle(&mut input)?;
    let keys = unpickle(&mut input)?;
    let stored = storages(&model.values);
    let mut places = Places::new();
    let mut position = input.position();
    for &key in keys.values.sequence(keys.root).unwrap_or_default() {
        let key = keys.values.text(key).unwrap_or_default();
        let Some(&(kind, bytes)) = stored.get(key) else {
            return input.fault(format!("unknown type of storage `{key}`"));
        };
        // The number of elements precedes them.
        let begin = position.saturating_add(8);
        let end = begin.saturating_add(bytes);
        if end > storage.length() {
            return Err(not_pytorch(format!(
                "storage `{key}` ends at byte {end}, but the file has only {}",
                storage.length()
            )));
        }
        let mut length = [0; 8];
        storage.fill(position, &mut length)?;
        if u64::from_le_bytes(length).checked_mul(kind.size) != Some(bytes) {
            return input.fault(format!("two different lengths for storage `{key}`"));
        }
        places.insert(key.to_owned(), (begin, bytes));
        position = end;
    }
    layers(&model, &places, legacy_order(&machine), storage.length())
}

fn legacy_order(machine: &Unpickled) -> ByteOrder {
    let items = match machine.values.node(machine.root) {
        Some(Node::Dict(items)) => items.as_slice(),
        _ => &[],
    };
    let is_big = items.iter().any(|&(key, value)| {
        machine.values.text(key) == Some("little_endian") && matches!(value, Value::Bool(false))
    });
    if is_big {
        ByteOrder::Big
    } else {
        ByteOrder::Little
    }
}

/// The kind and the length of every storage to which a pickle refers.
fn storages(values: &Values) -> HashMap<String, (Kind, u64)> {
    let nodes = (0..values.nodes.len() as u32).map(Value::Node);
    nodes
        .filter_map(|node| storage_of(values, node).ok())
        .map(|(kind, StorageKey { key, bytes })| (key, (kind, bytes)))
        .collect()
}

/// Checks each tensor of a model in a file of `length` bytes, and locates it.
fn layers(
    unpickled: &Unpickled,
    places: &Places,
    order: ByteOrder,
    length: u64,
) -> Reading<Layers> {
    let State {
        tensors,
        mut skipped,
    } = state(&unpickled.values, unpickled.root)?;
    let mut layers = Vec::new();
    let mut left = length.saturating_mul(MOST_SHARED).max(ALWAYS_SHARED);
    for (name, tensor) in tensors {
        let placed = place(&tensor, places).and_then(|(position, elements)| {
            let bytes = (elements as u64).saturating_mul(tensor.kind.size);
            left = (left.checked_sub(bytes))
                .ok_or("the layers up to this one have far more values than the file")?;
            Ok((position, elements))
        });
        let (position, elements) = match placed {
            Ok(place) => place,
            Err(reason) => {
                return Err(FileErrorKind::BadLayer { reason }.of_layer(name));
            }
        };
        match tensor.kind.element_type() {
            Ok(element_type) => layers.push(StoredLayer {
                name,
                element_type,
                elements,
                values: Elements {
                    strides: Strides::new(&tensor.shape, &tensor.strides),
                    element: Element {
                        element_type,
                        order,
                    },
                    position,
                },
                shape: tensor.shape,
            }),
            Err(reason) => skipped.push(SkippedLayer {
                layer: name,
                reason,
            }),
        }
    }
    layers.sort_by(|first: &StoredLayer, second| {
        let key = |layer: &StoredLayer| layer.values.position;
        (key(first).cmp(&key(second))).then_with(|| first.name.cmp(&second.name))
    });
    Ok((layers, skipped))
}

/// The position of a tensor's first element in the file, and the number of its elements.
fn place(tensor: &Tensor, places: &Places) -> Result<(u64, usize), String> {
    let elements = tensor.elements()?;
    let StorageKey { key, bytes } = &tensor.storage;
    let &(position, length) =
        (places.get(key)).ok_or_else(|| format!("storage `{key}` is missing"))?;
    if length < *bytes {
        return Err(format!(
            "storage `{key}` has {length} bytes instead of {bytes}"
        ));
    }
    // The last element, if any, was checked to be inside.
    let offset = tensor.offset.saturating_mul(tensor.kind.size);
    Ok((position.saturating_add(offset), elements))
}
