//! The configuration of an adapter: its base, and how its factors are scaled.

use alloc::string::String;
use alloc::vec::Vec;

#[cfg(feature = "safetensors")]
use super::AdapterError;
use super::pattern::Pattern;

/// The configuration of an adapter, which PEFT stores next to its tensors in `adapter_config.json`.
///
/// Without a scale (`lora_alpha`), the product of the factors is used unchanged.
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
    /// The method by PEFT's name, if it isn't supported.
    unsupported_method: Option<String>,
    rank: Option<usize>,
    initial_rank: Option<usize>,
    alpha: Option<f64>,
    alphas: Vec<(Pattern, f64)>,
    scaling: Scaling,
    orientation: Orientation,
}

/// The divisor of alpha.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Scaling {
    #[default]
    Rank,
    /// The square root of the rank, as in rsLoRA.
    RootOfRank,
}

/// How the base stores its matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Orientation {
    #[default]
    RowsAreOutputs,
    /// One row for each input, as in GPT-2's `Conv1D`.
    RowsAreInputs,
}

impl AdapterConfig {
    /// An empty configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the base, a repository or a path.
    #[must_use]
    pub fn with_base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// Sets alpha. The product of the factors is scaled by alpha divided by the rank.
    #[must_use]
    pub const fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = Some(alpha);
        self
    }

    /// Sets alpha for weights whose names equal this text or end with it after a dot. If several texts match,
    /// the first one is used.
    #[must_use]
    pub fn with_alpha_of(mut self, ending: impl Into<String>, alpha: f64) -> Self {
        self.alphas.push((Pattern::Ending(ending.into()), alpha));
        self
    }

    /// Sets the rank, which the tensors don't show if LoKr has no small factors.
    #[must_use]
    pub const fn with_rank(mut self, rank: usize) -> Self {
        self.rank = Some(rank);
        self
    }

    /// Sets the rank at which AdaLoRA began, by which it divides alpha.
    #[must_use]
    pub const fn with_initial_rank(mut self, rank: usize) -> Self {
        self.initial_rank = Some(rank);
        self
    }

    /// Divides alpha by the square root of the rank (rsLoRA).
    #[must_use]
    pub const fn with_stabilised_rank(mut self) -> Self {
        self.scaling = Scaling::RootOfRank;
        self
    }

    /// Declares that the rows of the base's matrices are inputs (`fan_in_fan_out`). This is evident from the
    /// shapes unless a matrix is square.
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

    /// The method by PEFT's name, if adapters of this method can't be read.
    pub(super) fn unsupported_method(&self) -> Option<&str> {
        self.unsupported_method.as_deref()
    }

    /// The rank at which AdaLoRA began.
    pub(super) const fn initial_rank(&self) -> Option<usize> {
        self.initial_rank
    }

    /// The rank, used if the tensors don't show it.
    pub(super) const fn rank(&self) -> Option<usize> {
        self.rank
    }

    pub(super) fn has_rows_as_inputs(&self) -> bool {
        self.orientation == Orientation::RowsAreInputs
    }

    /// The factor for a product of factors of this rank; `alpha` is the tensor's own.
    pub(super) fn scale(&self, module: &str, rank: f64, alpha: Option<f64>) -> f64 {
        let of_module = self.alphas.iter().find(|(pattern, _)| pattern.fits(module));
        let alpha = alpha.or(of_module.map(|&(_, alpha)| alpha)).or(self.alpha);
        match (alpha, self.scaling) {
            (None, _) => 1.0,
            (Some(alpha), Scaling::Rank) => alpha / rank,
            (Some(alpha), Scaling::RootOfRank) => alpha / num_traits::Float::sqrt(rank),
        }
    }

    /// Parses PEFT's `adapter_config.json`; unknown keys are ignored.
    ///
    /// For each weight, the first pattern of `alpha_pattern` is used that matches its name or the end of its name
    /// as a regular expression. Ranks follow from the tensors, so `rank_pattern` isn't needed.
    ///
    /// # Errors
    ///
    /// [`AdapterError::Config`] if the text isn't JSON or a value has the wrong type;
    /// [`AdapterError::Pattern`] if a pattern is invalid or unsupported. Whether the method is supported is
    /// checked by [`Adapter::read`](super::Adapter::read), so that the name of the base is known in any case.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::adapters::AdapterConfig;
    ///
    /// let json = r#"{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "base_model_name_or_path": "gpt2"}"#;
    /// let config = AdapterConfig::from_json(json)?;
    /// assert_eq!(config, AdapterConfig::new().with_base("gpt2").with_alpha(16.0).with_rank(8));
    /// # Ok::<(), mother::adapters::AdapterError>(())
    /// ```
    #[cfg(feature = "safetensors")]
    pub fn from_json(json: &str) -> Result<Self, AdapterError> {
        let wrong = |message| AdapterError::Config { message };
        let written: Written = serde_json::from_str(json)
            .map_err(|error| wrong(alloc::string::ToString::to_string(&error)))?;
        let method = written.peft_type.unwrap_or_else(|| "LORA".into());
        let mut config = Self {
            base: written
                .base_model_name_or_path
                .filter(|base| !base.is_empty()),
            unsupported_method: Some(method).filter(|method| !METHODS.contains(&&**method)),
            rank: written.r,
            initial_rank: written.init_r,
            alpha: written.lora_alpha.or(written.alpha),
            ..Self::default()
        };
        for (pattern, alpha) in written.alpha_pattern.0 {
            config.alphas.push((Pattern::parse(&pattern)?, alpha));
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

/// The supported methods, by PEFT's names.
#[cfg(feature = "safetensors")]
const METHODS: [&str; 5] = ["LORA", "ADALORA", "LOHA", "LOKR", "IA3"];

/// The keys of `adapter_config.json` that are used.
#[cfg(feature = "safetensors")]
#[derive(serde::Deserialize)]
struct Written {
    peft_type: Option<String>,
    base_model_name_or_path: Option<String>,
    r: Option<usize>,
    init_r: Option<usize>,
    lora_alpha: Option<f64>,
    /// The name of `lora_alpha` in other methods.
    alpha: Option<f64>,
    #[serde(default)]
    alpha_pattern: InOrder,
    use_rslora: Option<bool>,
    fan_in_fan_out: Option<bool>,
}

/// The items of an object in their original order.
#[cfg(feature = "safetensors")]
#[derive(Default)]
struct InOrder(Vec<(String, f64)>);

#[cfg(feature = "safetensors")]
impl<'de> serde::Deserialize<'de> for InOrder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> serde::de::Visitor<'de> for Items {
            type Value = InOrder;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object whose values are numbers")
            }

            fn visit_unit<E>(self) -> Result<InOrder, E> {
                Ok(InOrder::default())
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(
                self,
                mut map: M,
            ) -> Result<InOrder, M::Error> {
                let mut items = Vec::new();
                while let Some(item) = map.next_entry()? {
                    items.push(item);
                }
                Ok(InOrder(items))
            }
        }
        deserializer.deserialize_any(Items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_follow_alpha_rank_and_patterns() {
        let config = AdapterConfig::new()
            .with_alpha(16.0)
            .with_alpha_of("q_proj", 4.0);
        assert_eq!(config.scale("layers.0.q_proj", 8.0, None), 0.5);
        assert_eq!(config.scale("layers.0.xq_proj", 8.0, None), 2.0);
        assert_eq!(config.scale("layers.0.q_proj", 8.0, Some(24.0)), 3.0);
        assert_eq!(config.with_stabilised_rank().scale("k", 64.0, None), 2.0);
        assert_eq!(AdapterConfig::new().scale("k", 64.0, None), 1.0);
    }
}
