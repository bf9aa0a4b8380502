//! A graph as a tree of lines.

use core::fmt::{self, Display, Formatter, Write};

use alloc::vec::Vec;

use super::{has_evidence, write_evidence, write_label, write_separator};
use crate::heritage::ModelGraph;

impl Display for ModelGraph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // For each ancestor below the root, whether siblings of it follow further down.
        let mut continues = Vec::new();
        let mut first = true;
        for &node in self.preorder() {
            write_separator(f, &mut first, '\n')?;
            continues.truncate(self.depth(node).unwrap_or(0).saturating_sub(1));
            write_branch(self, f, node, &mut continues)?;
            let Some(model) = self.models().get(node) else {
                continue;
            };
            write_label(f, model.name(), |f, character| f.write_char(character))?;
            match model.descent() {
                None => write_size(f, self.subtree(node).len())?,
                Some(descent) if has_evidence(descent) => {
                    f.write_str("  ")?;
                    write_evidence(f, descent)?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Draws the lines to the left of a node, and records whether its own line continues.
fn write_branch(
    graph: &ModelGraph,
    f: &mut Formatter<'_>,
    node: usize,
    continues: &mut Vec<bool>,
) -> fmt::Result {
    let Some(parent) = graph.parent(node) else {
        return Ok(());
    };
    for &goes_on in continues.iter() {
        f.write_str(if goes_on { "│  " } else { "   " })?;
    }
    let goes_on = graph.children(parent).last() != Some(&node);
    continues.push(goes_on);
    f.write_str(if goes_on { "├─ " } else { "└─ " })
}

fn write_size(f: &mut Formatter<'_>, size: usize) -> fmt::Result {
    let plural = if size == 1 { "" } else { "s" };
    write!(f, "  ({size} model{plural})")
}
