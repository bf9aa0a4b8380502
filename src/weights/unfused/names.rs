//! The names of fused projections, of those next to them, and of biases.

use alloc::format;
use alloc::string::String;

/// The names of fused query, key and value projections.
const QUERY_KEY_VALUE: [&str; 9] = [
    "Wqkv",
    "attn_qkv",
    "c_attn",
    "in_proj",
    "qkv",
    "qkv_proj",
    "query_key_value",
    "to_qkv",
    "wqkv",
];

/// Those of them whose rows may be interleaved by groups of heads. Image encoders in such models use
/// other names and don't interleave.
pub(super) const MAY_BE_INTERLEAVED: [&str; 3] = ["c_attn", "query_key_value", "wqkv"];

/// The names of the output projections of attention next to these.
pub(super) const OUTPUT: [&str; 8] = [
    "attn_output",
    "c_proj",
    "dense",
    "o_proj",
    "out_proj",
    "proj",
    "to_out.0",
    "wo",
];

/// Possible endings after the name of a projection.
pub(super) const ENDINGS: [&str; 4] =
    [".weight", ".bias", ".base_layer.weight", ".base_layer.bias"];

/// Splits a fused projection's name into the part before it, the projection, and the part after it.
pub(super) fn projection(name: &str) -> Option<(&str, &str, &str)> {
    // PyTorch's attention has `in_proj_weight`, without a module in between.
    for (whole, ending) in [("in_proj_weight", ".weight"), ("in_proj_bias", ".bias")] {
        if let Some(before) = name.strip_suffix(whole) {
            return is_module(before).then_some((before, "in_proj", ending));
        }
    }
    let ending = ENDINGS
        .iter()
        .rev()
        .find(|ending| name.ends_with(**ending))?;
    let stem = name.strip_suffix(ending)?;
    let fused = stem.rsplit('.').next().unwrap_or(stem);
    let before = stem.strip_suffix(fused)?;
    let is_known =
        (fused == "gate_up_proj") || (fused != "in_proj" && QUERY_KEY_VALUE.contains(&fused));
    is_known.then_some((before, fused, *ending))
}

/// The name of the bias that belongs to a weight, if the weight has a usual name.
pub(crate) fn bias_of(weight: &str) -> Option<String> {
    let names = [("weight", "bias"), ("kernel", "bias"), ("/w", "/b")];
    let mut found = (names.into_iter())
        .filter_map(|(weight_ending, bias)| Some((weight.strip_suffix(weight_ending)?, bias)));
    found.next().map(|(stem, bias)| format!("{stem}{bias}"))
}

/// Whether the beginning of a name ends at a boundary between parts.
pub(super) fn is_module(before: &str) -> bool {
    before.is_empty() || before.ends_with('.')
}
