//! Writes the arrays of a signature.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::parts::TensorParts;
use super::{DIGESTS, HAS_LEVELS, HAS_ROWS, HAS_VALUES, IS_CUT, MOMENTS, json};
use crate::sketch::RowSample;

/// All arrays, with their entries in the header.
pub(super) fn arrays(tensors: &[TensorParts]) -> (String, Vec<u8>) {
    let count = tensors.len();
    let samples = tensors.iter().filter_map(|tensor| tensor.rows.as_ref());
    let groups = tensors.iter().map(|tensor| tensor.squared_norms.len());
    let buckets = tensors.iter().map(|tensor| tensor.buckets.len());
    let rows = [
        samples.clone().count(),
        RowSample::ROWS,
        RowSample::DIMENSIONS,
    ];
    let mut written = Written::default();
    written.begin("digests", "U64", &[count, DIGESTS]);
    for tensor in tensors {
        written.put(tensor.digest.iter().map(|word| word.to_le_bytes()));
        written.put(tensor.samples.iter().map(|word| word.to_le_bytes()));
    }
    written.begin("zeros", "U64", &[count]);
    written.put(tensors.iter().map(|tensor| tensor.zeros.to_le_bytes()));
    written.begin("level_gaps", "F64", &[count]);
    let levels = tensors
        .iter()
        .map(|tensor| tensor.levels.unwrap_or_default());
    written.put(levels.clone().map(|(_, gap)| gap.to_le_bytes()));
    written.begin("roundings", "F64", &[count]);
    let roundings = tensors.iter().map(|tensor| tensor.rounding);
    written.put(roundings.map(|moved| moved.unwrap_or_default().to_le_bytes()));
    written.begin("moments", "F64", &[count, MOMENTS]);
    let moments = tensors.iter().flat_map(|tensor| &tensor.moments);
    written.put(moments.map(|number| number.to_le_bytes()));
    written.begin("squared_norms", "F64", &[groups.sum()]);
    let norms = tensors.iter().flat_map(|tensor| &tensor.squared_norms);
    written.put(norms.map(|number| number.to_le_bytes()));
    written.begin("buckets", "F32", &[buckets.sum()]);
    let buckets = tensors.iter().flat_map(|tensor| &tensor.buckets);
    written.put(buckets.map(|number| number.to_le_bytes()));
    written.begin("rows", "F32", &rows);
    written.put(samples.flatten().map(|number| number.to_le_bytes()));
    let values = tensors.iter().flat_map(|tensor| &tensor.values);
    written.begin("values", "F32", &[values.clone().count()]);
    written.put(values.map(|number| number.to_le_bytes()));
    written.begin("exponents", "I32", &[count]);
    written.put(tensors.iter().map(|tensor| tensor.exponent.to_le_bytes()));
    written.begin("level_counts", "U16", &[count]);
    written.put(levels.map(|(count, _)| (count as u16).to_le_bytes()));
    written.begin("flags", "U8", &[count]);
    written.put(tensors.iter().map(|tensor| [flags(tensor)]));
    written.end();
    (written.entries, written.data)
}

fn flags(tensor: &TensorParts) -> u8 {
    let [single, bfloat, half] = tensor.fits.map(u8::from);
    let levels = if tensor.levels.is_some() {
        HAS_LEVELS
    } else {
        0
    };
    let rows = if tensor.rows.is_some() { HAS_ROWS } else { 0 };
    let cut = if tensor.is_cut { IS_CUT } else { 0 };
    let values = if tensor.values.is_empty() {
        0
    } else {
        HAS_VALUES
    };
    single | bfloat << 1 | half << 2 | levels | rows | cut | values
}

/// The arrays written so far.
#[derive(Default)]
struct Written {
    entries: String,
    data: Vec<u8>,
}

impl Written {
    fn begin(&mut self, name: &str, dtype: &str, shape: &[usize]) {
        self.end();
        let shape = json(&shape);
        let start = self.data.len();
        self.entries += &format!(
            ",\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{start},"
        );
    }

    fn put<const SIZE: usize>(&mut self, numbers: impl Iterator<Item = [u8; SIZE]>) {
        self.data.extend(numbers.flatten());
    }

    fn end(&mut self) {
        if !self.entries.is_empty() {
            self.entries += &format!("{}]}}", self.data.len());
        }
    }
}
