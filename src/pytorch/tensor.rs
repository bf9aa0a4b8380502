//! Tensors among the values of a pickle, recognised by the PyTorch calls that would have created them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::values::{Node, Value, Values, natural};
use crate::storage::Strides;
use crate::weights::{ElementType, element_count};

/// The maximum nesting of rebuilding calls.
const DEEPEST: usize = 8;

/// A tensor as described by a pickle.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<u64>,
    /// The position of its first element, counted from the beginning of its storage.
    pub(super) offset: u64,
    pub(super) kind: Kind,
    pub(super) storage: StorageKey,
}

/// A storage, which several tensors may share.
#[derive(Clone, Debug)]
pub(super) struct StorageKey {
    pub(super) key: String,
    /// Its length in bytes.
    pub(super) bytes: u64,
}

/// The type of elements: its name in the safetensors format, and its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    name: &'static str,
    pub(super) size: u64,
}

/// PyTorch's storage classes and element types.
const KINDS: &[(&str, &str, Kind)] = &[
    ("DoubleStorage", "float64", Kind::new("F64", 8)),
    ("FloatStorage", "float32", Kind::new("F32", 4)),
    ("HalfStorage", "float16", Kind::new("F16", 2)),
    ("BFloat16Storage", "bfloat16", Kind::new("BF16", 2)),
    ("CharStorage", "int8", Kind::new("I8", 1)),
    ("ByteStorage", "uint8", Kind::new("U8", 1)),
    ("UntypedStorage", "", Kind::new("U8", 1)),
    ("ShortStorage", "int16", Kind::new("I16", 2)),
    ("IntStorage", "int32", Kind::new("I32", 4)),
    ("LongStorage", "int64", Kind::new("I64", 8)),
    ("BoolStorage", "bool", Kind::new("BOOL", 1)),
    ("", "uint16", Kind::new("U16", 2)),
    ("", "uint32", Kind::new("U32", 4)),
    ("", "uint64", Kind::new("U64", 8)),
    ("", "float8_e4m3fn", Kind::new("F8_E4M3", 1)),
    ("", "float8_e5m2", Kind::new("F8_E5M2", 1)),
    ("", "float8_e8m0fnu", Kind::new("F8_E8M0", 1)),
    ("", "float8_e4m3fnuz", Kind::new("F8_E4M3FNUZ", 1)),
    ("", "float8_e5m2fnuz", Kind::new("F8_E5M2FNUZ", 1)),
    ("ComplexFloatStorage", "complex64", Kind::new("C64", 8)),
    ("ComplexDoubleStorage", "complex128", Kind::new("C128", 16)),
    ("QInt8Storage", "qint8", Kind::new("QI8", 1)),
    ("QUInt8Storage", "quint8", Kind::new("QU8", 1)),
    ("QInt32Storage", "qint32", Kind::new("QI32", 4)),
];

impl Kind {
    const fn new(name: &'static str, size: u64) -> Self {
        Self { name, size }
    }

    fn of_storage(class: &str) -> Option<Self> {
        let found = KINDS.iter().find(|(storage, ..)| *storage == class);
        found.map(|&(.., kind)| kind).filter(|_| !class.is_empty())
    }

    fn of_elements(name: &str) -> Option<Self> {
        let found = KINDS.iter().find(|(_, elements, _)| *elements == name);
        found.map(|&(.., kind)| kind).filter(|_| !name.is_empty())
    }

    /// The type to decode, or why it can't be decoded.
    pub(super) fn element_type(self) -> Result<ElementType, String> {
        self.name.parse().map_err(|_| match self.name {
            "F16" | "BF16" => format!(
                "{} values cannot be decoded without the feature `half`",
                self.name
            ),
            name => format!("{name} values cannot be decoded"),
        })
    }

    /// Whether values of this type may be weights.
    pub(super) fn is_float(self) -> bool {
        self.name.starts_with('F') || self.name == "BF16"
    }
}

/// A value interpreted as a tensor.
pub(super) enum Found {
    Tensor(Tensor),
    /// A tensor that can't be read, and why.
    Unreadable(String),
    Nothing,
}

/// The tensor that a value represents.
pub(super) fn tensor(values: &Values, value: Value) -> Found {
    tensor_within(values, value, DEEPEST)
}

fn tensor_within(values: &Values, value: Value, deepest: usize) -> Found {
    match values.node(value) {
        Some(&Node::Object {
            callable,
            arguments,
            ..
        }) => match values.sequence(arguments) {
            Some(arguments) => rebuilt(values, callable, arguments, deepest),
            None => Found::Nothing,
        },
        _ => Found::Nothing,
    }
}

fn rebuilt(values: &Values, function: Value, arguments: &[Value], deepest: usize) -> Found {
    let (Some((module, name)), Some(deepest)) = (values.global(function), deepest.checked_sub(1))
    else {
        return Found::Nothing;
    };
    match (module, name, arguments) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", arguments) => {
            plain(values, arguments, None)
        }
        ("torch._utils", "_rebuild_tensor_v3", arguments) => match arguments.get(6) {
            Some(&dtype) => plain(values, arguments, Some(dtype)),
            None => unreadable("missing arguments"),
        },
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state", &[data, ..]) => {
            tensor_within(values, data, deepest)
        }
        ("torch._tensor", "_rebuild_from_type_v2", &[function, _, arguments, ..]) => {
            match values.sequence(arguments) {
                Some(arguments) => rebuilt(values, function, arguments, deepest),
                None => Found::Nothing,
            }
        }
        ("torch._utils", name, _) if name.starts_with("_rebuild") => {
            unreadable(&format!("`{name}` does not build a plain tensor"))
        }
        _ => Found::Nothing,
    }
}

fn unreadable(reason: &str) -> Found {
    Found::Unreadable(reason.to_owned())
}

/// A tensor from its storage, offset, shape and strides; `dtype` is given if the storage doesn't have one.
fn plain(values: &Values, arguments: &[Value], dtype: Option<Value>) -> Found {
    let &[storage, offset, shape, strides, ..] = arguments else {
        return unreadable("missing arguments");
    };
    let lengths = |value| -> Option<Vec<u64>> {
        values
            .sequence(value)?
            .iter()
            .map(|&v| natural(v))
            .collect()
    };
    let (Some(offset), Some(shape), Some(strides)) =
        (natural(offset), lengths(shape), lengths(strides))
    else {
        return unreadable("offset, shape or strides are not natural numbers");
    };
    let shape: Result<Vec<_>, _> = shape.into_iter().map(usize::try_from).collect();
    let (mut kind, storage) = match storage_of(values, storage) {
        Ok(stored) => stored,
        Err(reason) => return Found::Unreadable(reason),
    };
    if let Some(dtype) = dtype {
        let name = values.global(dtype).map_or("", |(_, name)| name);
        match Kind::of_elements(name) {
            Some(known) => kind = known,
            None => return unreadable(&format!("unknown data type `{name}`")),
        }
    }
    match shape {
        Ok(shape) if shape.len() == strides.len() => Found::Tensor(Tensor {
            shape,
            strides,
            offset,
            kind,
            storage,
        }),
        _ => unreadable("shape and strides do not match"),
    }
}

/// The storage that a value represents, and the type of its elements.
pub(super) fn storage_of(values: &Values, value: Value) -> Result<(Kind, StorageKey), String> {
    let id = match values.node(value) {
        Some(&Node::Persistent(id)) => values.sequence(id),
        _ => None,
    };
    let Some(&[_, class, key, _, length, ref view @ ..]) = id else {
        return Err("no storage".to_owned());
    };
    if view.iter().any(|view| !matches!(view, Value::None)) {
        return Err("the storage is a view of another".to_owned());
    }
    let class = values.global(class).map_or("", |(_, name)| name);
    let kind = Kind::of_storage(class);
    let kind = kind.ok_or_else(|| format!("unknown type of storage `{class}`"))?;
    let bytes = natural(length).and_then(|length| length.checked_mul(kind.size));
    match (values.text(key), bytes) {
        (Some(key), Some(bytes)) => Ok((
            kind,
            StorageKey {
                key: key.to_owned(),
                bytes,
            },
        )),
        _ => Err("the storage lacks a key or a length".to_owned()),
    }
}

impl Tensor {
    /// The number of elements, if all of them are in the storage; otherwise a description of the misfit.
    pub(super) fn elements(&self) -> Result<usize, String> {
        let Some(elements) = element_count(&self.shape) else {
            return Err("too many elements".to_owned());
        };
        let end = Strides::span(&self.shape, &self.strides)
            .and_then(|span| span.checked_add(self.offset)?.checked_mul(self.kind.size));
        match end {
            Some(end) if elements == 0 || end <= self.storage.bytes => Ok(elements),
            Some(end) => Err(format!(
                "ends at byte {end} of storage `{}`, which has only {}",
                self.storage.key, self.storage.bytes
            )),
            None => Err("ends beyond 2^64 bytes".to_owned()),
        }
    }
}
