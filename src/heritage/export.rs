//! Exports of graphs, for people and for other programs.
//!
//! All formats are written directly to the formatter, node by node and without recursion.

use core::fmt::{self, Display, Formatter, Write};
use core::time::Duration;

use alloc::format;

use super::{Descent, ModelGraph};

mod card;
mod cyclonedx;
mod dot;
mod mermaid;
mod newick;
mod spdx;
mod stated;
mod svg;
mod text;

impl ModelGraph {
    /// The graph in Graphviz's DOT language.
    ///
    /// Nodes are `n0`, `n1`, … by position, with the name as `label` and the exact `score`. Edges have the
    /// label of the text tree, with as many digits as the precision gives (`{:.2}`), and the exact `distance`
    /// and `confidence`. Names are escaped as in the text tree.
    ///
    /// # Complexity
    ///
    /// O(n) time, no space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::{Descent, Model, ModelGraph};
    ///
    /// let graph = ModelGraph::new(vec![
    ///     Model::new("base").with_score(231.5),
    ///     Model::new("chat").with_descent(Descent::new(0).with_distance(0.012345)),
    /// ])?;
    /// assert_eq!(graph.dot().to_string(), r#"digraph heritage {
    ///   n0 [label="base", score="231.5"];
    ///   n1 [label="chat"];
    ///   n0 -> n1 [label="d=0.01235", distance="0.012345"];
    /// }"#);
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    #[must_use]
    pub fn dot(&self) -> impl Display + '_ {
        dot::Dot(self)
    }

    /// The graph as a Mermaid flowchart.
    ///
    /// Nodes are `n0`, `n1`, … by position. Edges have the label of the text tree, with as many digits as the
    /// precision gives (`{:.2}`). Names are escaped as in the text tree, and every character that Mermaid or
    /// Markdown could interpret as markup is written as a code (`#42;`).
    ///
    /// # Complexity
    ///
    /// O(n) time, no space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::ModelGraph;
    ///
    /// let graph = ModelGraph::from_parents([("base", None), ("\"chat\"", Some("base"))])?;
    /// assert_eq!(graph.mermaid().to_string(), r##"flowchart TD
    ///   n0["base"]
    ///   n1["#34;chat#34;"]
    ///   n0 --> n1"##);
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    #[must_use]
    pub fn mermaid(&self) -> impl Display + '_ {
        mermaid::Mermaid(self)
    }

    /// The trees in Newick format, one per line, with the exact distances as branch lengths.
    ///
    /// Inner nodes have names too. A name is quoted unless it consists of ASCII letters, digits, `-` and `.`;
    /// quotes in it are doubled. The format has no escapes, so control characters are written as in the text
    /// tree, with backslashes doubled. It can't hold confidences or scores.
    ///
    /// # Complexity
    ///
    /// O(n) time, O(depth) space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::{Descent, Model, ModelGraph};
    ///
    /// let graph = ModelGraph::new(vec![
    ///     Model::new("base"),
    ///     Model::new("chat").with_descent(Descent::new(0).with_distance(0.0125)),
    ///     Model::new("bob's").with_descent(Descent::new(0)),
    ///     Model::new("stranger"),
    /// ])?;
    /// assert_eq!(graph.newick().to_string(), "(chat:0.0125,'bob''s')base;\nstranger;");
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    ///
    /// # References
    ///
    /// Joseph Felsenstein, "The Newick tree format" (1986), and Gary Olsen's interpretation of it
    /// (1990), which has the rules for quotes.
    #[must_use]
    pub fn newick(&self) -> impl Display + '_ {
        newick::Newick(self)
    }

    /// The trees as an SVG image without scripts, styles or embedded fonts.
    ///
    /// Trees are stacked, with their roots on the left. The colour of an edge shows its kind, and less
    /// probable edges are fainter. Dashed curves lead to a merged model from the models it is an average of.
    /// Long names are shortened in the middle. Tooltips (`<title>`) show the full name and the evidence for
    /// the edge, with as many digits as the precision gives (`{:.2}`). Names are escaped as in the text tree.
    ///
    /// # Complexity
    ///
    /// O(n) time and space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::ModelGraph;
    ///
    /// let graph = ModelGraph::from_parents([("base", None), ("R&D", Some("base"))])?;
    /// let svg = graph.svg().to_string();
    /// assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>"));
    /// assert!(svg.contains("<title>R&amp;D\nparent: base</title>"));
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    ///
    /// # References
    ///
    /// W3C, "Scalable Vector Graphics (SVG) 1.1 (Second Edition)" (2011).
    #[must_use]
    pub fn svg(&self) -> impl Display + '_ {
        svg::Svg(self)
    }

    /// The YAML front matter for a model's card, with `base_model` and `base_model_relation`.
    ///
    /// The relation is `finetune`, `adapter`, `quantized`, or `merge` with a list of bases. It is omitted if
    /// the kind of the edge is unknown, or if hubs have no word for it, as for a pruned copy. A root has
    /// neither field. A comment shows the model's name and the evidence for the edge, with as many digits as
    /// the precision gives (`{:.2}`). The base is the most probable parent, even if its probability is low.
    /// Names are quoted, and everything that could break a line is escaped. `None` if there is no such model
    /// or it is hidden.
    ///
    /// # Complexity
    ///
    /// O(1) time for a model that isn't a merge, no space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::{Descent, DescentKind, Model, ModelGraph};
    ///
    /// let descent = Descent::new(0).with_confidence(0.98).with_kind(DescentKind::Full);
    /// let graph = ModelGraph::new(vec![
    ///     Model::new("org/base"),
    ///     Model::new("org/chat").with_descent(descent),
    /// ])?;
    /// assert_eq!(graph.card(1).unwrap().to_string(), r#"---
    /// ## "org/chat": p=0.98
    /// base_model: "org/base"
    /// base_model_relation: finetune
    /// ---"#);
    /// assert!(graph.card(2).is_none());
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    ///
    /// # References
    ///
    /// Hugging Face, "Model Cards", section "Specifying a base model" (2025).
    #[must_use]
    pub fn card(&self, model: usize) -> Option<impl Display + '_> {
        let model = self
            .models()
            .get(model)
            .filter(|model| !model.is_hidden())?;
        Some(card::Card { graph: self, model })
    }

    /// The graph as a CycloneDX 1.7 bill of materials in JSON, with a component for each model.
    ///
    /// In a component's `pedigree`, `ancestors` are all models that it is an average of, and the parent if
    /// its confidence is at least 0.9 or unknown. `variants` are models that are related with the same
    /// certainty, but in an unknown direction: the parent, or all models that can't be distinguished from the
    /// parent. The `properties` hold the evidence for the edge, even if it is too uncertain for a pedigree.
    /// The composition is `incomplete`, since ancestors may be missing from the graph.
    ///
    /// The document has no serial number or timestamp, so the same graph always gives the same document.
    ///
    /// # Complexity
    ///
    /// O(n) time, no space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::heritage::ModelGraph;
    ///
    /// let graph = ModelGraph::from_parents([("base", None), ("chat", Some("base"))])?;
    /// let bom = graph.cyclonedx().to_string();
    /// assert!(bom.contains(r#""name":"chat","pedigree":{"ancestors":["#));
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    ///
    /// # References
    ///
    /// Ecma International, "CycloneDX Bill of Materials specification", ECMA-424 (2025).
    #[must_use]
    pub fn cyclonedx(&self) -> impl Display + '_ {
        cyclonedx::CycloneDx(self)
    }

    /// The graph as an SPDX 3.0.1 document in JSON-LD, with an AI package for each model.
    ///
    /// Relationships express the pedigrees of [`cyclonedx`](Self::cyclonedx): `ancestorOf` from a parent to
    /// its child, `copiedTo` if the child is a duplicate, and `hasVariant` if it is unknown which came first.
    /// A comment has the distance and the confidence, with as many digits as the precision gives (`{:.2}`).
    ///
    /// The identifiers of elements start with `namespace`, a URI without a fragment that no other document
    /// uses. `created` is the time since the beginning of 1970. The document claims conformance only to the
    /// core profile: the AI profile also requires a supplier, a version and other facts that weights don't
    /// reveal.
    ///
    /// # Complexity
    ///
    /// O(n) time, no space.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use mother::heritage::ModelGraph;
    ///
    /// let graph = ModelGraph::from_parents([("base", None), ("chat", Some("base"))])?;
    /// let document = graph.spdx("https://example.org/family", Duration::from_secs(1_700_000_000));
    /// let document = document.to_string();
    /// assert!(document.contains(r#""created":"2023-11-14T22:13:20Z""#));
    /// assert!(document.contains(r#""relationshipType":"ancestorOf""#));
    /// # Ok::<(), mother::heritage::GraphError>(())
    /// ```
    ///
    /// # References
    ///
    /// The Linux Foundation, "The System Package Data Exchange (SPDX) Specification", version 3.0.1 (2024).
    #[must_use]
    pub fn spdx<'a>(&'a self, namespace: &'a str, created: Duration) -> impl Display + 'a {
        spdx::Spdx {
            graph: self,
            namespace,
            created,
        }
    }
}

/// Writes a name, or `""` if it is empty, passing each visible character to `write`.
fn write_label(
    f: &mut Formatter<'_>,
    name: &str,
    write: impl Fn(&mut Formatter<'_>, char) -> fmt::Result,
) -> fmt::Result {
    let name = if name.is_empty() { "\"\"" } else { name };
    write_visible(f, name, write)
}

/// Writes a name, escaping everything that would break a line or be invisible.
///
/// Backslashes are doubled so that different names stay different.
fn write_visible(
    f: &mut Formatter<'_>,
    name: &str,
    write: impl Fn(&mut Formatter<'_>, char) -> fmt::Result,
) -> fmt::Result {
    for character in name.chars() {
        if character == '\\' || is_invisible(character) {
            for part in character.escape_default() {
                write(f, part)?;
            }
        } else {
            write(f, character)?;
        }
    }
    Ok(())
}

/// Control characters, line separators, and marks that change the direction of text.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// Writes the known evidence for an edge, for people to read: `d=0.01235  p=0.98`.
fn write_evidence(f: &mut Formatter<'_>, descent: &Descent) -> fmt::Result {
    let digits = f.precision().unwrap_or(4);
    let distance = descent.distance();
    if let Some(distance) = distance {
        write!(f, "d={}", Number(rounded(distance, digits)))?;
    }
    if let Some(confidence) = descent.confidence() {
        let gap = if distance.is_some() { "  " } else { "" };
        write!(f, "{gap}p={}", Number(rounded(confidence, digits)))?;
    }
    Ok(())
}

/// Whether an edge has any evidence to write.
fn has_evidence(descent: &Descent) -> bool {
    descent.distance().is_some() || descent.confidence().is_some()
}

/// Rounds to this many significant digits, at least one.
fn rounded(value: f64, digits: usize) -> f64 {
    // 17 digits distinguish all numbers.
    let places = digits.clamp(1, 17) - 1;
    match format!("{value:.places$e}").parse::<f64>() {
        Ok(rounded) if rounded.is_finite() => rounded,
        // The largest numbers can round up to infinity.
        _ => value,
    }
}

/// A string in double quotes, with escapes that are valid in both JSON and YAML.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write_json_text(f, self.0)?;
        f.write_char('"')
    }
}

/// Writes a string's content without its quotes.
fn write_json_text(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|character| match character {
        '"' | '\\' => write!(f, "\\{character}"),
        // YAML doesn't allow these unescaped.
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => write!(f, "\\u{:04x}", u32::from(character)),
        _ if is_invisible(character) => write!(f, "\\u{:04x}", u32::from(character)),
        _ => f.write_char(character),
    })
}

/// Prints the shortest decimal that reads back as the same number.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        // Without an exponent, extreme values would have 300 zeros.
        if *value == 0.0 || (1e-5..1e16).contains(&value.abs()) {
            write!(f, "{value}")
        } else {
            write!(f, "{value:e}")
        }
    }
}

/// Writes a separator before every item except the first.
fn write_separator(f: &mut Formatter<'_>, first: &mut bool, separator: char) -> fmt::Result {
    if core::mem::take(first) {
        Ok(())
    } else {
        f.write_char(separator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn numbers_are_the_shortest_that_read_back() {
        for (value, text) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (16.0, "16"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-5, "0.00001"),
            (-1.5e-7, "-1.5e-7"),
            (1e16, "1e16"),
            (f64::MAX, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(Number(value).to_string(), text);
            assert_eq!(text.parse::<f64>().unwrap(), value);
        }
    }

    #[test]
    fn rounding_keeps_significant_digits_of_any_number() {
        assert_eq!(rounded(0.0123456, 4), 0.01235);
        assert_eq!(rounded(-123_456.0, 2), -120_000.0);
        assert_eq!(rounded(0.1 + 0.2, 99), 0.1 + 0.2);
        assert_eq!(rounded(0.96, 0), 1.0);
        assert_eq!(rounded(f64::MAX, 2), f64::MAX);
    }
}
