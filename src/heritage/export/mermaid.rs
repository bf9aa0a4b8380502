//! A graph as a Mermaid flowchart.

use core::fmt::{self, Display, Formatter, Write};

use super::{has_evidence, write_evidence, write_label};
use crate::heritage::{Descent, ModelGraph};

/// The adaptor behind [`ModelGraph::mermaid`].
pub(super) struct Mermaid<'a>(pub(super) &'a ModelGraph);

impl Display for Mermaid<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("flowchart TD")?;
        for (node, model) in self.0.models().iter().enumerate() {
            write!(f, "\n  n{node}[\"")?;
            write_label(f, model.name(), write_escaped)?;
            f.write_str("\"]")?;
            if model.is_hidden() {
                write!(f, "\n  style n{node} stroke-dasharray: 5 3")?;
            }
        }
        for (child, model) in self.0.models().iter().enumerate() {
            if let Some(descent) = model.descent() {
                write_edge(f, child, descent)?;
            }
        }
        Ok(())
    }
}

fn write_edge(f: &mut Formatter<'_>, child: usize, descent: &Descent) -> fmt::Result {
    write!(f, "\n  n{} -->", descent.parent())?;
    if has_evidence(descent) {
        f.write_str("|\"")?;
        write_evidence(f, descent)?;
        f.write_str("\"|")?;
    }
    write!(f, " n{child}")
}

/// Escapes a character. Labels are parsed as Mermaid, Markdown and HTML, so only characters safe in all three
/// are kept.
fn write_escaped(f: &mut Formatter<'_>, character: char) -> fmt::Result {
    let safe = matches!(character, 'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '-' | '.' | '/');
    if safe || !character.is_ascii() {
        f.write_char(character)
    } else {
        write!(f, "#{};", u32::from(character))
    }
}
