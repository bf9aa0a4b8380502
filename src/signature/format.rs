//! Signatures as safetensors files: a JSON header followed by little-endian arrays of numbers.
//!
//! As the format requires, the header's `__metadata__` contains strings only:
//!
//! | key | value |
//! |---|---|
//! | `format` | `mother.signature` |
//! | `version` | [`Signature::VERSION`] |
//! | `name` | the model's name |
//! | `key` | the key of the random signs |
//! | `buckets` | the number of buckets per group |
//! | `tensors` | JSON: a list of `{"name", "shape", "dtype"}`, sorted by name |
//! | `skipped` | JSON: a list of `{"layer", "reason"}` |
//!
//! The arrays follow, for T tensors in the order of that list. A tensor's numbers of groups and buckets
//! follow from its shape:
//!
//! | array | type | shape | content |
//! |---|---|---|---|
//! | `digests` | U64 | T, 6 | digest; digests of the sample as it is, and in three precisions |
//! | `zeros` | U64 | T | the number of zeros |
//! | `level_gaps` | F64 | T | the smallest difference between two values; 0 if unknown |
//! | `roundings` | F64 | T | the mean squared change from rounding; 0 if unknown |
//! | `moments` | F64 | T, 7 | minimum, maximum, two parts of the mean, three central sums |
//! | `squared_norms` | F64 | all groups | |
//! | `buckets` | F32 | all buckets | group by group |
//! | `rows` | F32 | tensors with a sample, 32, 16 | |
//! | `values` | F32 | all sampled values | |
//! | `exponents` | I32 | T | the exponents of the units of the buckets |
//! | `level_counts` | U16 | T | the number of distinct values; 0 if unknown |
//! | `flags` | U8 | T | 1, 2, 4: f32, bf16, f16 hold all values; 8: levels are known; 16: has a sample of rows; 32: was cut from a fused tensor; 64: has sampled values |
//!
//! Moments are all zero if there are no values. The mean and the sums of powers of deviations from it are in
//! units of 2ᵘ. Here u is the multiple of 240 nearest to the exponent of half the range, so it is 0 except
//! for extreme ranges. `tests/golden/signature/make.py` writes such a file in another language.

mod arrays;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::arrays::arrays;
use super::parts::{Layout, SignatureParts, TensorParts, check_buckets};
use super::{Signature, SignatureFormatError};
use crate::sketch::{RowSample, SketchKey};
use crate::weights::ElementType;

/// What the metadata calls the format.
const FORMAT: &str = "mother.signature";

/// How many numbers the moments of a tensor take.
const MOMENTS: usize = 7;

/// How many words the digests of a tensor take.
const DIGESTS: usize = 6;

const HAS_LEVELS: u8 = 8;
const HAS_ROWS: u8 = 16;
const IS_CUT: u8 = 32;
const HAS_VALUES: u8 = 64;

impl Signature {
    /// Encodes the signature as a safetensors file, which any tool for such files can open.
    ///
    /// Equal signatures give equal bytes. The file is about as long as its [numbers](Self::numbers) and the
    /// names of its tensors require.
    ///
    /// # Complexity
    ///
    /// O(n) time and memory for n bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::signature::{Signature, SignatureOptions};
    /// use mother::weights::InMemoryModel;
    ///
    /// let model = InMemoryModel::new("m").with_layer("w", [2, 2], vec![1.0_f32, 2.0, 3.0, 4.0])?;
    /// let signature = SignatureOptions::new().sign(&model)?;
    /// assert_eq!(Signature::from_bytes(&signature.to_bytes())?, signature);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts = SignatureParts::from(self);
        let (entries, data) = arrays(&parts.tensors);
        let metadata = Metadata {
            buckets: Some(parts.buckets.to_string().into()),
            format: Some(FORMAT.into()),
            key: Some(parts.key.to_string().into()),
            name: Some(parts.name.into()),
            skipped: Some(json(&parts.skipped).into()),
            tensors: Some(json(&parts.tensors.iter().map(Listed::from).collect::<Vec<_>>()).into()),
            version: Some(parts.version.to_string().into()),
        };
        let mut header = format!("{{\"__metadata__\":{}{entries}}}", json(&metadata));
        while !header.len().is_multiple_of(size_of::<u64>()) {
            header.push(' ');
        }
        let mut bytes = Vec::with_capacity(size_of::<u64>() + header.len() + data.len());
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header.into_bytes());
        bytes.extend(data);
        bytes
    }

    /// Decodes a signature from the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`SignatureFormatError`] unless the bytes could have been written by [`to_bytes`](Self::to_bytes) in
    /// this version of the format. Arrays may be at other positions, and there may be further entries.
    ///
    /// # Complexity
    ///
    /// O(n) time and memory for n bytes, whatever their content.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::signature::Signature;
    ///
    /// let error = Signature::from_bytes(b"\x02\0\0\0\0\0\0\0{}").unwrap_err();
    /// assert_eq!(error.to_string(), "not a signature: no format in the metadata");
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureFormatError> {
        let (header, data) = split(bytes)?;
        let mut header: Header<'_> = serde_json::from_str(header).map_err(header_error)?;
        let metadata = header.metadata.take().unwrap_or_default();
        if metadata.format.as_deref() != Some(FORMAT) {
            let format = metadata.format.map(Cow::into_owned);
            return Err(SignatureFormatError::OtherFormat { format });
        }
        let version: u32 = number("version", metadata.version)?;
        if version != Self::VERSION {
            let found = version.to_string();
            return Err(SignatureFormatError::Version { found });
        }
        let buckets = number("buckets", metadata.buckets)?;
        check_buckets(buckets)?;
        let key = number("key", metadata.key)?;
        let name = text("name", metadata.name)?.into_owned();
        let skipped = list("skipped", &text("skipped", metadata.skipped)?)?;
        let listed = text("tensors", metadata.tensors)?;
        let listed = list("tensors", &listed)?;
        let tensors = header.read(data, listed, buckets, SketchKey::new(key))?;
        Self::try_from(SignatureParts {
            version,
            name,
            key,
            buckets,
            tensors,
            skipped,
        })
    }
}

/// Serialises values that always have a JSON form: strings, lists and objects with names as keys.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn header_error(error: impl ToString) -> SignatureFormatError {
    SignatureFormatError::Header {
        message: error.to_string(),
    }
}

/// Splits a file into the text of its header and the data after it.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), SignatureFormatError> {
    let Some((&length, rest)) = bytes.split_first_chunk() else {
        return Err(header_error("the file is shorter than a header's length"));
    };
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    let Some((header, data)) = rest.split_at_checked(length) else {
        return Err(header_error("the header would end beyond the file"));
    };
    Ok((core::str::from_utf8(header).map_err(header_error)?, data))
}

/// The strings of the metadata, in the order of writing.
#[derive(Default, Serialize, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    buckets: Option<Cow<'a, str>>,
    #[serde(borrow)]
    format: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    skipped: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tensors: Option<Cow<'a, str>>,
    #[serde(borrow)]
    version: Option<Cow<'a, str>>,
}

/// A tensor as listed in the metadata.
#[derive(Serialize, Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: Cow<'a, [usize]>,
    #[serde(borrow)]
    dtype: Cow<'a, str>,
}

impl<'a> From<&'a TensorParts> for Listed<'a> {
    fn from(tensor: &'a TensorParts) -> Self {
        Self {
            name: Cow::Borrowed(&tensor.name),
            shape: Cow::Borrowed(&tensor.shape),
            dtype: tensor.element_type.to_string().into(),
        }
    }
}

fn text<'a>(
    setting: &'static str,
    value: Option<Cow<'a, str>>,
) -> Result<Cow<'a, str>, SignatureFormatError> {
    value.ok_or_else(|| SignatureFormatError::Setting {
        setting,
        value: String::new(),
    })
}

fn number<T: core::str::FromStr>(
    setting: &'static str,
    value: Option<Cow<'_, str>>,
) -> Result<T, SignatureFormatError> {
    let value = text(setting, value)?;
    value.parse().map_err(|_| SignatureFormatError::Setting {
        setting,
        value: value.into_owned(),
    })
}

fn list<'a, T: Deserialize<'a>>(
    list: &'static str,
    json: &'a str,
) -> Result<Vec<T>, SignatureFormatError> {
    serde_json::from_str(json).map_err(|error| SignatureFormatError::List {
        list,
        message: error.to_string(),
    })
}

/// The header entries that are read; others are ignored.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow, rename = "__metadata__")]
    metadata: Option<Metadata<'a>>,
    digests: Option<Entry>,
    zeros: Option<Entry>,
    level_gaps: Option<Entry>,
    roundings: Option<Entry>,
    moments: Option<Entry>,
    squared_norms: Option<Entry>,
    buckets: Option<Entry>,
    rows: Option<Entry>,
    values: Option<Entry>,
    exponents: Option<Entry>,
    level_counts: Option<Entry>,
    flags: Option<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Header<'_> {
    /// The parts of the listed tensors. Nothing is allocated before lengths have been checked.
    fn read(
        &self,
        data: &[u8],
        listed: Vec<Listed<'_>>,
        buckets: usize,
        key: SketchKey,
    ) -> Result<Vec<TensorParts>, SignatureFormatError> {
        let count = listed.len() as u64;
        let flags: &[[u8; 1]] = find(data, &self.flags, "flags", "U8", &[count])?;
        let samples = flags.iter().filter(|[flags]| flags & HAS_ROWS != 0).count();
        let mut layouts = Vec::with_capacity(listed.len());
        let (mut groups, mut numbers, mut values) = (0_u64, 0_u64, Vec::new());
        for (tensor, [flags]) in listed.iter().zip(flags) {
            let layout = Layout::of(&tensor.shape, buckets);
            let layout = layout.ok_or_else(|| SignatureFormatError::Tensor {
                tensor: tensor.name.clone().into_owned(),
                reason: "the shape is too large",
            })?;
            groups = groups.saturating_add(layout.groups.count() as u64);
            numbers = numbers.saturating_add(layout.numbers());
            let has_values = flags & HAS_VALUES != 0;
            let count = || layout.groups.sampled_positions(key).len();
            values.push(if has_values { count() } else { 0 });
            layouts.push(layout);
        }
        let rows = [samples, RowSample::ROWS, RowSample::DIMENSIONS].map(|length| length as u64);
        let of_moments = [count, MOMENTS as u64];
        let of_digests = [count, DIGESTS as u64];
        let (numbers, sampled) = ([numbers], [values.iter().sum::<usize>() as u64]);
        let mut columns = Columns {
            flags,
            digests: find(data, &self.digests, "digests", "U64", &of_digests)?,
            zeros: find(data, &self.zeros, "zeros", "U64", &[count])?,
            gaps: find(data, &self.level_gaps, "level_gaps", "F64", &[count])?,
            roundings: find(data, &self.roundings, "roundings", "F64", &[count])?,
            moments: find(data, &self.moments, "moments", "F64", &of_moments)?,
            norms: find(data, &self.squared_norms, "squared_norms", "F64", &[groups])?,
            buckets: find(data, &self.buckets, "buckets", "F32", &numbers)?,
            rows: find(data, &self.rows, "rows", "F32", &rows)?,
            values: find(data, &self.values, "values", "F32", &sampled)?,
            exponents: find(data, &self.exponents, "exponents", "I32", &[count])?,
            levels: find(data, &self.level_counts, "level_counts", "U16", &[count])?,
        };
        let tensors = listed.into_iter().zip(layouts.iter().zip(values));
        tensors
            .map(|(tensor, (layout, values))| columns.next(tensor, layout, values))
            .collect()
    }
}

/// The numbers of an array, after checking its type and shape.
fn find<'a, const SIZE: usize>(
    data: &'a [u8],
    entry: &Option<Entry>,
    array: &'static str,
    dtype: &str,
    shape: &[u64],
) -> Result<&'a [[u8; SIZE]], SignatureFormatError> {
    let wrong = |message: String| SignatureFormatError::Array { array, message };
    let Some(entry) = entry else {
        return Err(wrong("is missing".into()));
    };
    if entry.dtype != dtype {
        return Err(wrong(format!(
            "has the type {} instead of {dtype}",
            entry.dtype
        )));
    }
    if entry.shape != shape {
        let found: Vec<u64> = entry.shape.iter().copied().take(8).collect();
        return Err(wrong(format!(
            "has the shape {found:?} instead of {shape:?}"
        )));
    }
    let (begin, end) = entry.data_offsets;
    let range = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
    let Some(bytes) = range.and_then(|(begin, end)| data.get(begin..end)) else {
        return Err(wrong(format!(
            "covers bytes {begin} to {end}, which do not exist"
        )));
    };
    let (numbers, rest) = bytes.as_chunks();
    let length = (shape.iter()).try_fold(1_u64, |product, &length| product.checked_mul(length));
    if !rest.is_empty() || length != Some(numbers.len() as u64) {
        return Err(wrong(format!(
            "has {} bytes, which does not match its shape",
            bytes.len()
        )));
    }
    Ok(numbers)
}

/// The arrays, from which the tensors take their numbers in turn.
struct Columns<'a> {
    flags: &'a [[u8; 1]],
    digests: &'a [[u8; 8]],
    zeros: &'a [[u8; 8]],
    gaps: &'a [[u8; 8]],
    roundings: &'a [[u8; 8]],
    moments: &'a [[u8; 8]],
    norms: &'a [[u8; 8]],
    buckets: &'a [[u8; 4]],
    rows: &'a [[u8; 4]],
    values: &'a [[u8; 4]],
    exponents: &'a [[u8; 4]],
    levels: &'a [[u8; 2]],
}

impl Columns<'_> {
    fn next(
        &mut self,
        listed: Listed<'_>,
        layout: &Layout,
        values: usize,
    ) -> Result<TensorParts, SignatureFormatError> {
        let name = listed.name.into_owned();
        let refused = |reason| SignatureFormatError::Tensor {
            tensor: name.clone(),
            reason,
        };
        let [flags] = one(&mut self.flags);
        let levels = usize::from(u16::from_le_bytes(one(&mut self.levels)));
        let gap = f64::from_le_bytes(one(&mut self.gaps));
        let levels = if flags & HAS_LEVELS != 0 {
            Some((levels, gap))
        } else if (levels, gap) == (0, 0.0) {
            None
        } else {
            return Err(refused("contradictory rounding levels"));
        };
        let rounding = f64::from_le_bytes(one(&mut self.roundings));
        if flags >= 2 * HAS_VALUES {
            return Err(refused("unknown flags"));
        }
        let (groups, numbers) = (layout.groups.count(), layout.numbers() as usize);
        let rows = RowSample::ROWS * RowSample::DIMENSIONS;
        Ok(TensorParts {
            shape: listed.shape.into_owned(),
            element_type: element_type(&name, &listed.dtype)?,
            digest: core::array::from_fn(|_| u64::from_le_bytes(one(&mut self.digests))),
            samples: core::array::from_fn(|_| u64::from_le_bytes(one(&mut self.digests))),
            moments: core::array::from_fn(|_| f64::from_le_bytes(one(&mut self.moments))),
            fits: [1, 2, 4].map(|flag| flags & flag != 0),
            zeros: u64::from_le_bytes(one(&mut self.zeros)),
            levels,
            rounding: (rounding != 0.0).then_some(rounding),
            squared_norms: some(&mut self.norms, groups, f64::from_le_bytes),
            exponent: i32::from_le_bytes(one(&mut self.exponents)),
            buckets: some(&mut self.buckets, numbers, f32::from_le_bytes),
            is_cut: flags & IS_CUT != 0,
            rows: (flags & HAS_ROWS != 0).then(|| some(&mut self.rows, rows, f32::from_le_bytes)),
            values: some(&mut self.values, values, f32::from_le_bytes),
            name,
        })
    }
}

fn element_type(tensor: &str, name: &str) -> Result<ElementType, SignatureFormatError> {
    name.parse().map_err(|_| SignatureFormatError::ElementType {
        tensor: tensor.into(),
        element_type: name.into(),
    })
}

/// The next number of an array; zero beyond its end, which is never reached.
fn one<const SIZE: usize>(numbers: &mut &[[u8; SIZE]]) -> [u8; SIZE] {
    numbers.split_off_first().copied().unwrap_or([0; SIZE])
}

/// The next numbers of an array.
fn some<T, const SIZE: usize>(
    numbers: &mut &[[u8; SIZE]],
    count: usize,
    number: fn([u8; SIZE]) -> T,
) -> Vec<T> {
    let numbers = numbers.split_off(..count).unwrap_or_default();
    numbers.iter().copied().map(number).collect()
}
