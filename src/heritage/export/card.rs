//! The base model, as stated in a model card.

use core::fmt::{self, Display, Formatter};

use super::{Quoted, has_evidence, write_evidence};
use crate::evidence::CopyKind;
use crate::heritage::{DescentKind, Model, ModelGraph};

/// The adaptor behind [`ModelGraph::card`].
pub(super) struct Card<'a> {
    pub(super) graph: &'a ModelGraph,
    pub(super) model: &'a Model,
}

impl Display for Card<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "---\n# {}", Quoted(self.model.name()))?;
        match self.model.descent() {
            Some(descent) if has_evidence(descent) => {
                f.write_str(": ")?;
                write_evidence(f, descent)?;
            }
            _ => {}
        }
        self.write_base(f)?;
        f.write_str("\n---")
    }
}

impl Card<'_> {
    fn write_base(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.model.merged_from().is_empty() {
            f.write_str("\nbase_model:")?;
            for part in self.model.merged_from() {
                write!(f, "\n- {}", self.name(part.parent))?;
            }
            return f.write_str("\nbase_model_relation: merge");
        }
        let Some(descent) = self.model.descent() else {
            return Ok(());
        };
        if self.graph.models()[descent.parent()].is_hidden() {
            return Ok(());
        }
        write!(f, "\nbase_model: {}", self.name(descent.parent()))?;
        match descent.kind().and_then(relation) {
            Some(relation) => write!(f, "\nbase_model_relation: {relation}"),
            None => Ok(()),
        }
    }

    fn name(&self, model: usize) -> Quoted<'_> {
        Quoted(self.graph.name(model).unwrap_or_default())
    }
}

/// The hubs' word for a kind of edge; they have none for the other copies.
const fn relation(kind: DescentKind) -> Option<&'static str> {
    match kind {
        DescentKind::Full | DescentKind::LowRank { .. } => Some("finetune"),
        DescentKind::Adapter { .. } => Some("adapter"),
        DescentKind::Copy(CopyKind::Quantised) => Some("quantized"),
        DescentKind::Copy(_) => None,
    }
}
