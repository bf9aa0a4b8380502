//! How a model's weights are stored, according to the configuration file next to them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The file in which libraries keep a model's configuration.
const CONFIG: &str = "config.json";

/// The maximum number of bytes read from it.
const LONGEST: u64 = 1 << 20;

/// The keys of a configuration that determine how heads are stored. Some have several names.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Config {
    model_type: String,
    #[serde(alias = "n_head", alias = "n_heads", alias = "num_heads")]
    num_attention_heads: Option<usize>,
    #[serde(alias = "n_head_kv", alias = "num_kv_heads")]
    num_key_value_heads: Option<usize>,
    multi_query: Option<bool>,
    multi_query_attention: Option<bool>,
    new_decoder_architecture: Option<bool>,
    /// The language model within a model that also reads images.
    #[serde(alias = "llm_config", alias = "language_config")]
    text_config: Option<Box<Self>>,
}

impl Config {
    /// See [`WeightSource::interleaved_groups`](crate::weights::WeightSource::interleaved_groups).
    fn interleaved_groups(&self) -> Option<usize> {
        let by_heads = |is_interleaved: bool| self.num_attention_heads.filter(|_| is_interleaved);
        match &*self.model_type {
            "gpt_neox" | "gpt_neox_japanese" | "bloom" | "persimmon" => by_heads(true),
            // Only the first version interleaves heads.
            "chatglm" => by_heads(self.multi_query_attention.is_none()),
            "gpt_bigcode" => by_heads(self.multi_query == Some(false)),
            "falcon" | "RefinedWeb" | "RefinedWebModel" => {
                let is_grouped = self
                    .new_decoder_architecture
                    .unwrap_or(self.model_type == "RefinedWeb");
                if is_grouped {
                    self.num_key_value_heads.or(self.num_attention_heads)
                } else {
                    by_heads(self.multi_query == Some(false))
                }
            }
            "internlm2" => self.num_key_value_heads.or(self.num_attention_heads),
            _ => self.text_config.as_ref()?.interleaved_groups(),
        }
    }
}

/// The number of groups of heads by which models in a folder interleave their fused projections, according to its
/// configuration; `None` if they don't, or it isn't known.
pub(super) fn interleaved_groups(folder: &Path) -> Option<usize> {
    let file = File::open(folder.join(CONFIG)).ok()?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let config: Config = serde_json::from_slice(&bytes).ok()?;
    config.interleaved_groups()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_differ_in_what_they_interleave_by() {
        for (json, expected) in [
            (
                r#"{"model_type": "gpt_neox", "num_attention_heads": 8}"#,
                Some(8),
            ),
            (r#"{"model_type": "bloom", "n_head": 16}"#, Some(16)),
            (
                r#"{"model_type": "falcon", "num_attention_heads": 71, "multi_query": true}"#,
                None,
            ),
            (
                r#"{"model_type": "falcon", "n_head": 32, "multi_query": false}"#,
                Some(32),
            ),
            (
                r#"{"model_type": "falcon", "num_attention_heads": 128, "num_kv_heads": 8,
                    "new_decoder_architecture": true, "multi_query": true}"#,
                Some(8),
            ),
            (
                r#"{"model_type": "internlm2", "num_attention_heads": 32, "num_key_value_heads": 8}"#,
                Some(8),
            ),
            (
                r#"{"model_type": "chatglm", "num_attention_heads": 32}"#,
                Some(32),
            ),
            (
                r#"{"model_type": "chatglm", "num_attention_heads": 32, "multi_query_attention": true}"#,
                None,
            ),
            (
                r#"{"model_type": "gpt_bigcode", "n_head": 16, "multi_query": true}"#,
                None,
            ),
            (
                r#"{"model_type": "internvl_chat", "llm_config": {"model_type": "internlm2", "num_key_value_heads": 8}}"#,
                Some(8),
            ),
            (r#"{"model_type": "llama", "num_attention_heads": 8}"#, None),
            ("{}", None),
        ] {
            let config: Config = serde_json::from_str(json).unwrap();
            assert_eq!(config.interleaved_groups(), expected, "{json}");
        }
    }
}
