//! Layers in known formats that aren't decoded: the tensors that belong to them aren't weights either.

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::listing::Listing;
use crate::weights::{Layer, SkippedLayer};

/// Formats that store a layer as codes: the format's name, the name of the codes within their module, and the
/// names of tensors next to them, one of which must exist unless the name of the codes suffices.
const FORMATS: [(&str, &str, &[&str]); 7] = [
    ("EXL2", "q_weight", &["q_scale", "q_scale_max"]),
    (
        "EXL3 or QTIP",
        "trellis",
        &["suh", "svh", "su", "sv", "SU", "SV"],
    ),
    ("AQLM", "codes", &["codebooks"]),
    ("QuIP#", "Qidxs", &[]),
    ("HQQ", "W_q", &[]),
    ("VPTQ", "indices", &["centroids", "centroids.weight"]),
    ("SpQR", "dense_weights", &[]),
];

/// Claims all tensors of modules whose codes aren't decoded, except biases, and returns a line for each.
pub(super) fn claim<L: Layer>(listing: &mut Listing<'_, L>) -> Vec<SkippedLayer> {
    let mut modules: HashSet<&str> = HashSet::new();
    let mut left_out = Vec::new();
    for layer in listing.layers() {
        let Some((module, last)) = layer.name().rsplit_once('.') else {
            continue;
        };
        let is_there = |beside: &&str| listing.get(&alloc::format!("{module}.{beside}")).is_some();
        let is_stored = |&&(_, codes, beside): &&(&str, &str, &[&str])| {
            codes == last && (beside.is_empty() || beside.iter().any(is_there))
        };
        if let Some((format, ..)) = FORMATS.iter().find(is_stored) {
            modules.insert(module);
            left_out.push(SkippedLayer {
                layer: layer.name().into(),
                reason: alloc::format!("unsupported {format} codes"),
            });
        }
    }
    if !modules.is_empty() {
        claim_modules(listing, &modules);
    }
    left_out
}

fn claim_modules<L: Layer>(listing: &mut Listing<'_, L>, modules: &HashSet<&str>) {
    let is_part = |name: &&str| {
        let mut ends = name.match_indices('.').map(|(at, _)| at);
        !name.ends_with(".bias") && ends.any(|end| modules.contains(&name[..end]))
    };
    let parts: Vec<String> = (listing.layers().iter())
        .map(Layer::name)
        .filter(is_part)
        .map(String::from)
        .collect();
    for part in parts {
        listing.claim(&part);
    }
}
