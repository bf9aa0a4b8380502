//! What an adapter's maker noted beside it: its base, and how its factors are scaled.

use alloc::collections::BTreeMap;
use alloc::string::String;

#[cfg(feature = "safetensors")]
use super::AdapterError;

/// What is known of an adapter beside its tensors, as PEFT keeps it in `adapter_config.json`.
///
/// Without a scale (`lora_alpha`) the product of the factors is taken as it is.
///
/// # Examples
///
/// ```
/// use mother::adapters::AdapterConfig;
///
/// let config = AdapterConfig::new().with_base("acme/base-7b").with_alpha(16.0);
/// assert_eq!(config.base(), Some("acme/base-7b"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdapterConfig {
    base: Option<String>,
    alpha: Option<f64>,
    alphas: BTreeMap<String, f64>,
    scaling: Scaling,
    orientation: Orientation,
}

/// By what alpha is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Scaling {
    #[default]
    Rank,
    /// rsLoRA's.
    RootOfRank,
}

/// How the base stores its matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Orientation {
    #[default]
    RowsAreOutputs,
    /// As GPT-2's `Conv1D` does.
    RowsAreInputs,
}

impl AdapterConfig {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the base: a repository or a path.
    #[must_use]
    pub fn with_base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// Sets the number that is divided by the rank to scale the product of the factors.
    #[must_use]
    pub const fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = Some(alpha);
        self
    }

    /// Sets this number for the weights whose names, or the parts of them after a dot, are this text; the
    /// longest of several such texts counts.
    #[must_use]
    pub fn with_alpha_of(mut self, ending: impl Into<String>, alpha: f64) -> Self {
        self.alphas.insert(ending.into(), alpha);
        self
    }

    /// Divides alpha by the square root of the rank (rsLoRA).
    #[must_use]
    pub const fn with_stabilised_rank(mut self) -> Self {
        self.scaling = Scaling::RootOfRank;
        self
    }

    /// Says that the rows of the base's matrices are inputs (`fan_in_fan_out`), which is seen by
    /// the shapes unless a matrix is square.
    #[must_use]
    pub const fn with_rows_as_inputs(mut self) -> Self {
        self.orientation = Orientation::RowsAreInputs;
        self
    }

    /// The name of the base.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    pub(super) fn has_rows_as_inputs(&self) -> bool {
        self.orientation == Orientation::RowsAreInputs
    }

    /// By what the product of factors of this rank is multiplied; `alpha` is the tensor's own.
    pub(super) fn scale(&self, module: &str, rank: usize, alpha: Option<f64>) -> f64 {
        let ends = |ending: &str| {
            module
                .strip_suffix(ending)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let of_module = self.alphas.iter().filter(|(ending, _)| ends(ending));
        let of_module = of_module.max_by_key(|(ending, _)| ending.len());
        let alpha = alpha.or(of_module.map(|(_, &alpha)| alpha)).or(self.alpha);
        let rank = rank as f64;
        match (alpha, self.scaling) {
            (None, _) => 1.0,
            (Some(alpha), Scaling::Rank) => alpha / rank,
            (Some(alpha), Scaling::RootOfRank) => alpha / num_traits::Float::sqrt(rank),
        }
    }

    /// Reads what PEFT writes to `adapter_config.json`; keys that aren't known are passed over.
    ///
    /// Of `alpha_pattern` names and their endings are understood, not regular expressions; ranks follow
    /// from the tensors, so that `rank_pattern` isn't needed.
    ///
    /// # Errors
    ///
    /// [`AdapterError::Config`] where it isn't JSON, a value is of the wrong kind, or a pattern is a
    /// regular expression; [`AdapterError::Method`] where it is for another method than LoRA.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::adapters::AdapterConfig;
    ///
    /// let json = r#"{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "base_model_name_or_path": "gpt2"}"#;
    /// let config = AdapterConfig::from_json(json)?;
    /// assert_eq!(config, AdapterConfig::new().with_base("gpt2").with_alpha(16.0));
    /// # Ok::<(), mother::adapters::AdapterError>(())
    /// ```
    #[cfg(feature = "safetensors")]
    pub fn from_json(json: &str) -> Result<Self, AdapterError> {
        let wrong = |message| AdapterError::Config { message };
        let written: Written = serde_json::from_str(json)
            .map_err(|error| wrong(alloc::string::ToString::to_string(&error)))?;
        let method = written.peft_type.unwrap_or_else(|| "LORA".into());
        if method != "LORA" {
            return Err(AdapterError::Method { method });
        }
        let mut config = Self {
            base: written
                .base_model_name_or_path
                .filter(|base| !base.is_empty()),
            alpha: written.lora_alpha,
            ..Self::default()
        };
        for (pattern, alpha) in written.alpha_pattern.unwrap_or_default() {
            let ending = pattern
                .trim_start_matches('^')
                .trim_end_matches('$')
                .replace("\\.", ".");
            if ending.contains(['\\', '*', '+', '?', '[', '(', '|', '{', '^', '$']) {
                return Err(wrong(alloc::format!(
                    "the pattern `{pattern}` of alpha_pattern is a regular expression"
                )));
            }
            config = config.with_alpha_of(ending, alpha);
        }
        if written.use_rslora == Some(true) {
            config = config.with_stabilised_rank();
        }
        if written.fan_in_fan_out == Some(true) {
            config = config.with_rows_as_inputs();
        }
        Ok(config)
    }
}

/// The keys of `adapter_config.json` that are used.
#[cfg(feature = "safetensors")]
#[derive(serde::Deserialize)]
struct Written {
    peft_type: Option<String>,
    base_model_name_or_path: Option<String>,
    lora_alpha: Option<f64>,
    alpha_pattern: Option<BTreeMap<String, f64>>,
    use_rslora: Option<bool>,
    fan_in_fan_out: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_follow_alpha_rank_and_patterns() {
        let config = AdapterConfig::new()
            .with_alpha(16.0)
            .with_alpha_of("q_proj", 4.0);
        assert_eq!(config.scale("layers.0.q_proj", 8, None), 0.5);
        assert_eq!(config.scale("layers.0.xq_proj", 8, None), 2.0);
        assert_eq!(config.scale("layers.0.q_proj", 8, Some(24.0)), 3.0);
        assert_eq!(config.with_stabilised_rank().scale("k", 64, None), 2.0);
        assert_eq!(AdapterConfig::new().scale("k", 64, None), 1.0);
    }
}
