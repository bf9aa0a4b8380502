//! The JSON metadata that bitsandbytes stores next to 4-bit codes, in a tensor of bytes.

use alloc::vec::Vec;

use super::listing::Stop;
use crate::weights::Layer;

/// The metadata of a weight.
#[cfg_attr(feature = "safetensors", derive(serde::Deserialize))]
pub(super) struct State {
    /// Empty if unknown.
    #[cfg_attr(feature = "safetensors", serde(default))]
    pub(super) shape: Vec<usize>,
    /// The number of values in a block.
    #[cfg_attr(feature = "safetensors", serde(rename = "blocksize"))]
    pub(super) block: usize,
    #[cfg_attr(feature = "safetensors", serde(rename = "nested_blocksize"))]
    pub(super) nested_block: Option<usize>,
    pub(super) nested_offset: Option<f64>,
}

impl State {
    #[cfg(feature = "safetensors")]
    pub(super) fn read<L: Layer>(layer: &L) -> Result<Self, Stop<L::Error>> {
        /// The largest metadata in bytes.
        const LONGEST: usize = 1 << 16;
        let bytes = super::listing::read_all(layer, LONGEST)?;
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| byte as u8).collect();
        let state: Self = serde_json::from_slice(&bytes).map_err(|error| {
            let reason = alloc::format!("invalid quantisation state: {error}");
            Stop::because(&reason)
        })?;
        if state.shape.is_empty() {
            return Err(Stop::because("its shape is not stored"));
        }
        if state.block == 0 {
            return Err(Stop::because("the block size is 0"));
        }
        Ok(state)
    }

    #[cfg(not(feature = "safetensors"))]
    pub(super) fn read<L: Layer>(_: &L) -> Result<Self, Stop<L::Error>> {
        Err(Stop::because(
            "its quantisation state is JSON, which needs the feature `safetensors`",
        ))
    }
}
