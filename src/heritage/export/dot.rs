//! A graph in Graphviz's DOT language.

use core::fmt::{self, Display, Formatter, Write};

use super::{Number, has_evidence, write_evidence, write_label};
use crate::heritage::{Descent, ModelGraph};

/// The adaptor behind [`ModelGraph::dot`].
pub(super) struct Dot<'a>(pub(super) &'a ModelGraph);

impl Display for Dot<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("digraph heritage {\n")?;
        for (node, model) in self.0.models().iter().enumerate() {
            write!(f, "  n{node} [label=\"")?;
            write_label(f, model.name(), write_escaped)?;
            f.write_char('"')?;
            write_attribute(f, "score", model.score())?;
            if model.is_hidden() {
                f.write_str(", style=dashed")?;
            }
            f.write_str("];\n")?;
        }
        for (child, model) in self.0.models().iter().enumerate() {
            if let Some(descent) = model.descent() {
                write_edge(f, child, descent)?;
            }
        }
        f.write_char('}')
    }
}

fn write_edge(f: &mut Formatter<'_>, child: usize, descent: &Descent) -> fmt::Result {
    write!(f, "  n{} -> n{child}", descent.parent())?;
    if has_evidence(descent) {
        f.write_str(" [label=\"")?;
        write_evidence(f, descent)?;
        f.write_char('"')?;
        write_attribute(f, "distance", descent.distance())?;
        write_attribute(f, "confidence", descent.confidence())?;
        f.write_char(']')?;
    }
    f.write_str(";\n")
}

/// Writes a number in quotes, because DOT numerals can't have an exponent.
fn write_attribute(f: &mut Formatter<'_>, name: &str, value: Option<f64>) -> fmt::Result {
    match value {
        Some(value) => write!(f, ", {name}=\"{}\"", Number(value)),
        None => Ok(()),
    }
}

/// Escapes a character, since Graphviz interprets escapes and HTML entities in labels.
fn write_escaped(f: &mut Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '"' => f.write_str("\\\""),
        '\\' => f.write_str("\\\\"),
        '&' => f.write_str("&amp;"),
        _ => f.write_char(character),
    }
}
