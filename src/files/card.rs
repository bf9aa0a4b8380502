//! Model cards: what a model's README says about its origin.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use std::fs::File;
use std::io::Read as _;

use super::ModelPath;

/// The file name of a card.
const CARD: &str = "README.md";

/// How many bytes of it are read at most; the relevant part is at the beginning.
const LONGEST: u64 = 1 << 16;

/// The claims of a model card: the models from which this one was made, and how.
///
/// Two keys are read from the YAML at the beginning of the card, `base_model` and `base_model_relation`.
///
/// # Examples
///
/// ```
/// use mother::files::ModelCard;
///
/// let card = ModelCard::parse("---\nbase_model: acme/base\nbase_model_relation: finetune\n---\n# Chat\n");
/// assert_eq!(card.bases(), ["acme/base"]);
/// assert_eq!(card.relation(), Some("finetune"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelCard {
    bases: Vec<String>,
    relation: Option<String>,
}

impl ModelCard {
    /// Parses the text of a card. The result is empty if the text doesn't begin with YAML between lines of
    /// `---`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut lines = text.trim_start_matches('\u{feff}').lines();
        let mut card = Self::default();
        if lines.next().map(str::trim_end) != Some("---") {
            return card;
        }
        let mut is_list = false;
        for line in lines.take_while(|line| line.trim_end() != "---") {
            let item = line.trim_start().strip_prefix("- ");
            if let (true, Some(item)) = (is_list, item) {
                card.bases.extend(scalar(item));
                continue;
            }
            // A key of a nested mapping is indented.
            is_list = is_list && line.trim().is_empty();
            match line.split_once(':') {
                Some(("base_model", value)) => {
                    card.bases.extend(flow(value));
                    is_list = scalar(value).is_none();
                }
                Some(("base_model_relation", value)) => card.relation = scalar(value),
                _ => {}
            }
        }
        card
    }

    /// The repository names of the models from which this one was made.
    #[must_use]
    pub fn bases(&self) -> &[String] {
        &self.bases
    }

    /// How this model was made: `finetune`, `adapter`, `merge` or `quantized`.
    #[must_use]
    pub fn relation(&self) -> Option<&str> {
        self.relation.as_deref()
    }
}

impl ModelPath {
    /// Reads the card in the model's folder; `None` if there is no readable one.
    ///
    /// If the folder contains several models, the card may be about any of them.
    #[must_use]
    pub fn card(&self) -> Option<ModelCard> {
        let file = File::open(self.folder().join(CARD)).ok()?;
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes).ok()?;
        Some(ModelCard::parse(&String::from_utf8_lossy(&bytes)))
    }
}

/// The values of `[a, b]`, or the one value.
fn flow(value: &str) -> Vec<String> {
    let value = value.trim();
    match value
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
    {
        Some(list) => list.split(',').filter_map(scalar).collect(),
        None => scalar(value).into_iter().collect(),
    }
}

/// A value without quotes and comments.
fn scalar(value: &str) -> Option<String> {
    let value = value.trim();
    let quoted = |quote| value.strip_prefix(quote)?.split(quote).next();
    let plain = || value.split(" #").next().unwrap_or(value).trim_end();
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or_else(plain);
    let is_nothing = ["", "null", "~"].contains(&value) || value.starts_with('#');
    (!is_nothing).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn the_two_keys_are_read_in_every_form() {
        let forms = [
            ("base_model: a/b", &["a/b"][..]),
            ("base_model: \"a/b\"  # the base", &["a/b"]),
            ("base_model: 'a/b'", &["a/b"]),
            ("base_model: [a/b, 'c/d']", &["a/b", "c/d"]),
            ("base_model:\n- a/b\n- c/d\ntags:\n- x", &["a/b", "c/d"]),
            ("base_model:\n  - a/b # comment\nlicense: mit", &["a/b"]),
            ("tags:\n- x\nbase_model:\r\n- a/b\r", &["a/b"]),
            ("model-index:\n  base_model: a/b", &[]),
            ("base_model: null", &[]),
            ("base_model:", &[]),
            ("base_model", &[]),
        ];
        for (yaml, expected) in forms {
            let card = ModelCard::parse(&format!("---\n{yaml}\n---\nbase_model: z\n"));
            assert_eq!(card.bases(), expected, "{yaml}");
        }
        let related = "---\nbase_model_relation: quantized\n---\n";
        assert_eq!(ModelCard::parse(related).relation(), Some("quantized"));
        for none in [
            "",
            "# Chat",
            "base_model: a/b",
            "---",
            "text\n---\nbase_model: a/b\n---",
        ] {
            assert_eq!(ModelCard::parse(none), ModelCard::default(), "{none}");
        }
    }
}
