//! Selects the weights to which a setting of an adapter applies, by name or regular expression.

use alloc::string::String;

#[cfg(feature = "safetensors")]
use super::AdapterError;

/// A pattern for the names of weights.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// The whole name or the end of it after a dot.
    Ending(String),
    /// A regular expression for the same.
    #[cfg(feature = "safetensors")]
    Expression(regex_lite::Regex),
}

impl Pattern {
    /// Parses a key of `alpha_pattern` as PEFT does.
    #[cfg(feature = "safetensors")]
    pub(super) fn parse(pattern: &str) -> Result<Self, AdapterError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ['_', '-', '.'].contains(&c);
        if pattern.chars().all(is_plain) {
            return Ok(Self::Ending(pattern.into()));
        }
        let whole = alloc::format!(r"^(?:.*\.)?(?:{pattern})$");
        let expression = regex_lite::RegexBuilder::new(&whole)
            .size_limit(LARGEST)
            .build();
        let failed = |error: regex_lite::Error| AdapterError::Pattern {
            pattern: pattern.into(),
            reason: alloc::string::ToString::to_string(&error),
        };
        Ok(Self::Expression(expression.map_err(failed)?))
    }

    /// Whether the pattern matches a weight of this name.
    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Self::Ending(ending) => name
                .strip_suffix(&**ending)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            #[cfg(feature = "safetensors")]
            Self::Expression(expression) => expression.is_match(name),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Ending(ending) => ending,
            #[cfg(feature = "safetensors")]
            Self::Expression(expression) => expression.as_str(),
        }
    }
}

/// The largest size of a compiled expression in bytes.
#[cfg(feature = "safetensors")]
const LARGEST: usize = 1 << 20;

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

#[cfg(all(test, feature = "safetensors"))]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_names_endings_or_expressions() {
        let fits = |pattern: &str, name| Pattern::parse(pattern).unwrap().fits(name);
        let name = "model.layers.10.self_attn.q_proj";
        for pattern in [
            "q_proj",
            "self_attn.q_proj",
            name,
            "^model.layers.10.self_attn.q_proj$",
            r"model\.layers\.(1|10)\.self_attn\..*",
            r".*\.10\..*",
            "self_attn.[qk]_proj",
            r"layers\.\d+\.self_attn\.(?:q|v)_proj",
        ] {
            assert!(fits(pattern, name), "{pattern}");
        }
        for pattern in [
            "proj",
            "k_proj",
            "10",
            r"layers\.1\..*",
            "attn.q_proj|k_proj",
            "self_attn",
        ] {
            assert!(!fits(pattern, name), "{pattern}");
        }
    }

    #[test]
    fn unsupported_patterns_are_rejected() {
        for pattern in ["(q_proj", "q_proj(?=x)", r"(a)\1", "((x{999}){999}){999}"] {
            let refused = Pattern::parse(pattern);
            assert!(
                matches!(refused, Err(AdapterError::Pattern { .. })),
                "{pattern}"
            );
        }
    }
}
