//! Layers in known formats that aren't decoded: the tensors that belong to them aren't weights either.

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::listing::Listing;
use crate::weights::{Layer, SkippedLayer};

/// A format that stores a layer as codes.
struct Format {
    name: &'static str,
    /// The name of its codes within their module.
    codes: &'static str,
    /// Names of tensors next to the codes, one of which must exist; empty if the name of the codes suffices.
    beside: &'static [&'static str],
}

const FORMATS: [Format; 7] = [
    Format {
        name: "EXL2",
        codes: "q_weight",
        beside: &["q_scale", "q_scale_max"],
    },
    Format {
        name: "EXL3 or QTIP",
        codes: "trellis",
        beside: &["suh", "svh", "su", "sv", "SU", "SV"],
    },
    Format {
        name: "AQLM",
        codes: "codes",
        beside: &["codebooks"],
    },
    Format {
        name: "QuIP#",
        codes: "Qidxs",
        beside: &[],
    },
    Format {
        name: "HQQ",
        codes: "W_q",
        beside: &[],
    },
    Format {
        name: "VPTQ",
        codes: "indices",
        beside: &["centroids", "centroids.weight"],
    },
    Format {
        name: "SpQR",
        codes: "dense_weights",
        beside: &[],
    },
];

/// Claims all tensors of modules whose codes aren't decoded, except biases, and returns a line for each.
pub(super) fn claim<L: Layer>(listing: &mut Listing<'_, L>) -> Vec<SkippedLayer> {
    let mut modules: HashMap<&str, &str> = HashMap::new();
    let mut left_out = Vec::new();
    for layer in listing.layers() {
        let Some((module, last)) = layer.name().rsplit_once('.') else {
            continue;
        };
        let is_there = |beside: &&str| listing.get(&alloc::format!("{module}.{beside}")).is_some();
        let is_stored = |format: &&Format| {
            format.codes == last && (format.beside.is_empty() || format.beside.iter().any(is_there))
        };
        if let Some(format) = FORMATS.iter().find(is_stored) {
            modules.insert(module, format.name);
            left_out.push(SkippedLayer {
                layer: layer.name().into(),
                reason: alloc::format!("unsupported {} codes", format.name),
            });
        }
    }
    if !modules.is_empty() {
        claim_modules(listing, &modules);
    }
    left_out
}

fn claim_modules<L: Layer>(listing: &mut Listing<'_, L>, modules: &HashMap<&str, &str>) {
    let is_part = |name: &&str| {
        let mut ends = name.match_indices('.').map(|(at, _)| at);
        !name.ends_with(".bias") && ends.any(|end| modules.contains_key(&name[..end]))
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
