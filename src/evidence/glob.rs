//! Patterns for layer names.

use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;

use alloc::string::String;

/// A pattern for layer names: `*` matches any characters, including dots and slashes, `?` matches one
/// character, and every other character matches itself.
///
/// The whole name must match, and case matters.
///
/// # Examples
///
/// ```
/// use mother::evidence::Glob;
///
/// let dense = Glob::new("*.mlp.*.weight");
/// assert!(dense.matches("model.layers.0.mlp.up_proj.weight"));
/// assert!(!dense.matches("model.layers.0.self_attn.q_proj.weight"));
/// ```
///
/// # Complexity
///
/// Matching a name of m bytes against a pattern of n bytes takes at most O(m n) time and no extra memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Glob(String);

impl Glob {
    /// Creates a pattern. Every string is a valid one.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Where to resume if the characters after the last star don't match: the rest of the pattern after
        // it, and the name with one more character given to the star.
        let mut resume = None;
        loop {
            let (before, after_one) = (rest.clone(), {
                let mut next = rest.clone();
                next.next().map(|character| (character, next))
            });
            match (pattern.next(), after_one) {
                (Some('*'), _) => {
                    resume = Some((pattern.clone(), before));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some((character, next))) if wanted == '?' || wanted == character => {
                    rest = next;
                    continue;
                }
                _ => {}
            }
            let Some((after_star, name_at_star)) = &mut resume else {
                return false;
            };
            if name_at_star.next().is_none() {
                return false;
            }
            pattern = after_star.clone();
            rest = name_at_star.clone();
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Glob {
    fn from(pattern: &str) -> Self {
        Self::new(pattern)
    }
}

impl FromStr for Glob {
    type Err = Infallible;

    fn from_str(pattern: &str) -> Result<Self, Infallible> {
        Ok(Self::new(pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, by recursion over both strings.
    fn matches_by_definition(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                (0..=name.len()).any(|taken| matches_by_definition(rest, &name[taken..]))
            }
            (Some((wanted, pattern)), Some((character, name))) => {
                (*wanted == '?' || wanted == character) && matches_by_definition(pattern, name)
            }
            _ => false,
        }
    }

    #[test]
    fn known_answers() {
        for (pattern, name, matches) in [
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("*dense.weight", "a.dense.weight", true),
            ("*dense.weight", "a.dense.weight_norm", false),
            ("a*b*c", "aXbYbc", true),
            ("ü?", "üé", true),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(name),
                matches,
                "{pattern} {name}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,7}", name in "[ab]{0,8}") {
            let characters = |text: &str| text.chars().collect::<alloc::vec::Vec<_>>();
            prop_assert_eq!(
                Glob::new(pattern.as_str()).matches(&name),
                matches_by_definition(&characters(&pattern), &characters(&name))
            );
        }
    }
}
