//! Trees in the Newick format of phylogenetics.

use core::fmt::{self, Display, Formatter, Write};

use alloc::vec::Vec;

use super::{Number, write_separator, write_visible};
use crate::heritage::{Descent, ModelGraph};

/// The adaptor behind [`ModelGraph::newick`].
pub(super) struct Newick<'a>(pub(super) &'a ModelGraph);

impl Display for Newick<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for tree in self.0.trees() {
            write_separator(f, &mut first, '\n')?;
            self.write_tree(f, tree.root)?;
            f.write_char(';')?;
        }
        Ok(())
    }
}

impl Newick<'_> {
    /// Opens nodes in preorder, and closes each when the next node isn't below it.
    fn write_tree(&self, f: &mut Formatter<'_>, root: usize) -> fmt::Result {
        let mut open: Vec<usize> = Vec::new();
        let mut first_child = true;
        for &node in self.0.subtree(root) {
            while let Some(last) = open.pop_if(|last| self.0.parent(node) != Some(*last)) {
                self.close(f, last)?;
            }
            write_separator(f, &mut first_child, ',')?;
            if !self.0.children(node).is_empty() {
                f.write_char('(')?;
                first_child = true;
            }
            open.push(node);
        }
        while let Some(last) = open.pop() {
            self.close(f, last)?;
        }
        Ok(())
    }

    /// Closes the list of a node's children, if it has any, and writes what the format puts after it.
    fn close(&self, f: &mut Formatter<'_>, node: usize) -> fmt::Result {
        if !self.0.children(node).is_empty() {
            f.write_char(')')?;
        }
        let Some(model) = self.0.models().get(node) else {
            return Ok(());
        };
        write_name(f, model.name())?;
        match model.descent().and_then(Descent::distance) {
            Some(distance) => write!(f, ":{}", Number(distance)),
            None => Ok(()),
        }
    }
}

/// Quotes a name if necessary. Underscores require quotes, since an unquoted one means a blank.
fn write_name(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
    if !name.is_empty() && name.chars().all(plain) {
        return f.write_str(name);
    }
    f.write_char('\'')?;
    write_visible(f, name, |f, character| match character {
        '\'' => f.write_str("''"),
        _ => f.write_char(character),
    })?;
    f.write_char('\'')
}
