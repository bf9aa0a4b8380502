//! Decides which tensors are weights, how others are decoded, and what is left out.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::foreign;
use super::listing::Listing;
use super::nibbles::Nibbles;
use super::recognise::{Candidate, Found, Usual, recognise};
use super::scaled::Scaled;
use super::words::Words;
use crate::weights::{ElementType, Layer, SkippedLayer, element_count};

/// A layer to list.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) found: Found,
}

/// How a layer's values are computed from its parts.
#[derive(Clone, Debug)]
pub(super) enum Scheme {
    Stored,
    Scaled(Scaled),
    Nibbles(Nibbles),
    Words(Words),
}

/// Possible suffixes to a tensor's name for its tables.
const TABLES: [&str; 17] = [
    "_scale",
    "_scale_inv",
    "_scale_2",
    "_global_scale",
    "_zero_point",
    "_shape",
    "_g_idx",
    "_scales",
    "_zeros",
    ".scale",
    ".zero_point",
    ".absmax",
    ".quant_map",
    ".nested_absmax",
    ".nested_quant_map",
    ".quant_state.bitsandbytes__nf4",
    ".quant_state.bitsandbytes__fp4",
];

/// Possible names of the tables of a module's weight, in place of `weight`.
const TABLES_BESIDE: [&str; 17] = [
    "weight_scale",
    "weight_scale_inv",
    "weight_scale_2",
    "weight_global_scale",
    "weight_zero_point",
    "weight_shape",
    "weight_g_idx",
    "weight_format",
    "scale_weight",
    "qscale_weight",
    "SCB",
    "qzeros",
    "scales",
    "biases",
    "weight_scales",
    "g_idx",
    "_scale",
];

/// Tensors that belong to activations, by the last part of their name.
const OF_ACTIVATIONS: [&str; 14] = [
    "input_scale",
    "input_scale_inv",
    "input_zero_point",
    "input_global_scale",
    "scale_input",
    "output_scale",
    "output_zero_point",
    "activation_scale",
    "qscale_act",
    "q_scale",
    "k_scale",
    "v_scale",
    "kv_scale",
    "scaled_fp8",
];

/// A vector with more values than this may hold weights.
const FEW: usize = 1024;

/// The layers to list; then one skipped layer for everything that can't be decoded, and one for each reason
/// for which the source itself skipped layers.
pub(super) fn plan<L: Layer>(
    listing: &mut Listing<'_, L>,
    skipped: &[SkippedLayer],
) -> Result<(Vec<Planned>, Vec<SkippedLayer>), L::Error> {
    let (mut planned, mut left_out) = (Vec::new(), Vec::new());
    for layer in skipped {
        claim_tables(listing, &layer.layer);
    }
    let usual = Usual::of(listing);
    left_out.extend(foreign::claim(listing));
    for (at, layer) in listing.layers().iter().enumerate() {
        if listing.is_claimed(at) {
            continue;
        }
        let Some(candidate) = recognise(listing, layer, usual)? else {
            continue;
        };
        listing.claim(layer.name());
        claim_tables(listing, layer.name());
        match decided(listing, candidate) {
            Ok(layer) => {
                for part in &layer.found.parts {
                    listing.claim(part);
                }
                planned.push(layer);
            }
            Err(reason) => left_out.push(SkippedLayer {
                layer: layer.name().into(),
                reason,
            }),
        }
    }
    left_out.extend(unexplained(listing));
    if !(planned.is_empty() && left_out.is_empty()) {
        claim_activations(listing);
    }
    planned.extend(stored(listing));
    let mut left_out: Vec<SkippedLayer> = summed_up(left_out).into_iter().collect();
    left_out.extend(by_reason(skipped));
    Ok((planned, left_out))
}

/// The decodable layer, unless it also exists undecoded.
fn decided<L: Layer>(listing: &Listing<'_, L>, candidate: Candidate) -> Result<Planned, String> {
    let Candidate { name, found } = candidate;
    if listing.is_free(&name) {
        return Err(format!("`{name}` is also stored"));
    }
    found.map(|found| Planned { name, found })
}

/// Claims all tensors that may describe a tensor as part of it.
fn claim_tables<L: Layer>(listing: &mut Listing<'_, L>, name: &str) {
    let mut stems = ["._data", "_qdata", "_quantized"].iter();
    let stem = stems.find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    for table in TABLES {
        listing.claim(&format!("{stem}{table}"));
    }
    let module = name.rfind('.').map_or("", |dot| &name[..=dot]);
    let is_weight = ["weight", "qweight", "weight_packed", "qzeros"];
    if is_weight.contains(&&name[module.len()..]) {
        for table in TABLES_BESIDE {
            listing.claim(&format!("{module}{table}"));
        }
    }
}

fn claim_activations<L: Layer>(listing: &mut Listing<'_, L>) {
    for layer in listing.layers() {
        let last = layer.name().rsplit('.').next().unwrap_or_default();
        if OF_ACTIVATIONS.contains(&last) {
            listing.claim(layer.name());
        }
    }
}

/// Unexplained codes; they are claimed along with the tensors that may belong to them.
fn unexplained<L: Layer>(listing: &mut Listing<'_, L>) -> Vec<SkippedLayer> {
    let mut left_out = Vec::new();
    for (at, layer) in listing.layers().iter().enumerate() {
        let (name, stored) = (layer.name(), layer.element_type());
        let is_code = matches!(
            stored,
            ElementType::I8 | ElementType::U8 | ElementType::F8E8M0
        );
        if listing.is_claimed(at) || !(is_code || name.ends_with("qzeros")) {
            continue;
        }
        listing.claim(name);
        claim_tables(listing, name);
        let long = layer.shape().iter().filter(|&&length| length > 1).count();
        if long > 1 || element_count(layer.shape()).is_none_or(|count| count >= FEW) {
            left_out.push(SkippedLayer {
                layer: name.into(),
                reason: format!("the meaning of its {stored} codes is not stored"),
            });
        }
    }
    left_out
}

/// The layers that are stored as plain weights.
fn stored<L: Layer>(listing: &Listing<'_, L>) -> Vec<Planned> {
    let layers = listing.layers().iter().enumerate();
    let free = layers
        .filter(|(at, layer)| !listing.is_claimed(*at) && layer.element_type().may_be_weights());
    free.map(|(_, layer)| Planned {
        name: layer.name().into(),
        found: Found {
            shape: layer.shape().into(),
            element_type: layer.element_type(),
            scheme: Scheme::Stored,
            parts: alloc::vec![layer.name().into()],
        },
    })
    .collect()
}

/// The layers that the source skipped, one line per reason.
fn by_reason(skipped: &[SkippedLayer]) -> impl Iterator<Item = SkippedLayer> {
    let mut reasons: BTreeMap<&str, Vec<SkippedLayer>> = BTreeMap::new();
    for layer in skipped {
        let of_reason = reasons.entry(&layer.reason).or_default();
        of_reason.push(layer.clone());
    }
    reasons.into_values().filter_map(summed_up)
}

/// One line for all layers left out, as there may be hundreds.
fn summed_up(left_out: Vec<SkippedLayer>) -> Option<SkippedLayer> {
    let others = left_out.len().saturating_sub(1);
    let mut first = left_out.into_iter().next()?;
    match others {
        0 => {}
        1 => first.reason += "; 1 more layer cannot be decoded either",
        _ => first.reason += &format!("; {others} more layers cannot be decoded either"),
    }
    Some(first)
}
