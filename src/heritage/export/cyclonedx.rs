//! A graph as a CycloneDX bill of materials.

use core::fmt::{self, Display, Formatter, Write};

use super::stated::{Stated, present};
use super::{Number, Quoted, write_separator};
use crate::heritage::{Descent, DescentKind, Model, ModelGraph};

/// The adaptor behind [`ModelGraph::cyclonedx`].
pub(super) struct CycloneDx<'a>(pub(super) &'a ModelGraph);

impl Display for CycloneDx<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{\"$schema\":\"http://cyclonedx.org/schema/bom-1.7.schema.json\",\
             \"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.7\",\"version\":1,\n\
             \"metadata\":{{\"tools\":{{\"components\":[{{\"type\":\"library\",\
             \"name\":\"mother\",\"version\":\"{}\"}}]}}}},\n\"components\":[",
            env!("CARGO_PKG_VERSION")
        )?;
        let mut first = true;
        for (position, model) in present(self.0) {
            write_separator(f, &mut first, ',')?;
            self.write_component(f, position, model)?;
        }
        f.write_str("\n],\n\"compositions\":[{\"aggregate\":\"incomplete\",\"assemblies\":[")?;
        let mut first = true;
        for (position, _) in present(self.0) {
            write_separator(f, &mut first, ',')?;
            write!(f, "\"model-{position}\"")?;
        }
        f.write_str("]}]}")
    }
}

impl CycloneDx<'_> {
    fn write_component(
        &self,
        f: &mut Formatter<'_>,
        position: usize,
        model: &Model,
    ) -> fmt::Result {
        write!(
            f,
            "\n{{\"type\":\"machine-learning-model\",\"bom-ref\":\"model-{position}\",\"name\":{}",
            Quoted(model.name())
        )?;
        let stated = Stated::of(self.0, model);
        let lists = [
            ("ancestors", &stated.ancestors),
            ("variants", &stated.variants),
        ];
        let mut first = true;
        for (list, relatives) in lists {
            if relatives.is_empty() {
                continue;
            }
            let start = if first { ",\"pedigree\":{" } else { "," };
            first = false;
            write!(f, "{start}\"{list}\":[")?;
            self.write_relatives(f, model, &stated, relatives)?;
            f.write_char(']')?;
        }
        if !first {
            f.write_char('}')?;
        }
        if let Some(descent) = model.descent() {
            self.write_properties(f, descent)?;
        }
        f.write_char('}')
    }

    fn write_relatives(
        &self,
        f: &mut Formatter<'_>,
        model: &Model,
        stated: &Stated,
        relatives: &[usize],
    ) -> fmt::Result {
        let mut first = true;
        for &relative in relatives {
            write_separator(f, &mut first, ',')?;
            write!(
                f,
                "{{\"type\":\"machine-learning-model\",\"name\":{}",
                self.name(relative)
            )?;
            let mut merged = model.merged_from().iter();
            if let Some(part) = merged.find(|part| part.parent == relative) {
                let weight = Number(part.weight);
                write!(
                    f,
                    ",\"properties\":[{{\"name\":\"mother:weight\",\"value\":\"{weight}\"}}]"
                )?;
            } else if let Some(sure) =
                (model.descent()).and_then(|descent| stated.confidence(descent))
            {
                write!(
                    f,
                    ",\"evidence\":{{\"identity\":[{{\"field\":\"name\",\"confidence\":{0},\
                     \"methods\":[{{\"technique\":\"binary-analysis\",\"confidence\":{0},\
                     \"value\":\"comparison of weights\"}}]}}]}}",
                    Number(sure)
                )?;
            }
            f.write_char('}')?;
        }
        Ok(())
    }

    /// Writes everything known about an edge, however uncertain.
    fn write_properties(&self, f: &mut Formatter<'_>, descent: &Descent) -> fmt::Result {
        write!(
            f,
            ",\"properties\":[{{\"name\":\"mother:parent\",\"value\":{}}}",
            self.name(descent.parent())
        )?;
        if let Some(kind) = descent.kind() {
            let kind = kind.name();
            write!(f, ",{{\"name\":\"mother:kind\",\"value\":\"{kind}\"}}")?;
        }
        if let Some(rank) = descent.kind().and_then(DescentKind::rank) {
            write!(f, ",{{\"name\":\"mother:rank\",\"value\":\"{rank}\"}}")?;
        }
        let numbers = [
            ("distance", descent.distance()),
            ("confidence", descent.confidence()),
            ("joined", descent.joined()),
            ("compared", descent.compared()),
        ];
        for (name, value) in numbers {
            if let Some(value) = value.map(Number) {
                write!(f, ",{{\"name\":\"mother:{name}\",\"value\":\"{value}\"}}")?;
            }
        }
        f.write_char(']')
    }

    fn name(&self, model: usize) -> Quoted<'_> {
        Quoted(self.0.name(model).unwrap_or_default())
    }
}
