//! A graph as an SPDX document.

use core::fmt::{self, Display, Formatter, Write};
use core::time::Duration;

use super::stated::{Stated, present};
use super::{Quoted, has_evidence, write_evidence, write_json_text, write_separator};
use crate::evidence::CopyKind;
use crate::heritage::{Descent, DescentKind, Model, ModelGraph};

/// The adaptor behind [`ModelGraph::spdx`].
pub(super) struct Spdx<'a> {
    pub(super) graph: &'a ModelGraph,
    pub(super) namespace: &'a str,
    pub(super) created: Duration,
}

/// The elements of the document.
#[derive(Clone, Copy)]
enum Element {
    Document,
    Tool,
    Model(usize),
    Relationship { from: usize, to: usize },
}

impl Display for Spdx<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(
            "{\"@context\":\"https://spdx.org/rdf/3.0.1/spdx-context.jsonld\",\"@graph\":[\n\
             {\"type\":\"CreationInfo\",\"@id\":\"_:creation\",\"specVersion\":\"3.0.1\",\"created\":\"",
        )?;
        write_time(f, self.created)?;
        writeln!(f, "\",\"createdBy\":[{}]}},", self.id(Element::Tool))?;
        self.write_start(f, "SoftwareAgent", Element::Tool)?;
        writeln!(f, ",\"name\":\"mother {}\"}},", env!("CARGO_PKG_VERSION"))?;
        self.write_document(f)?;
        for (position, model) in present(self.graph) {
            f.write_str(",\n")?;
            self.write_start(f, "ai_AIPackage", Element::Model(position))?;
            let name = Quoted(model.name());
            write!(
                f,
                ",\"name\":{name},\"software_primaryPurpose\":\"model\"}}"
            )?;
        }
        for (position, model) in present(self.graph) {
            self.write_relationships(f, position, model)?;
        }
        f.write_str("\n]}")
    }
}

impl<'a> Spdx<'a> {
    const fn id(&self, element: Element) -> Id<'a> {
        Id(self.namespace, element)
    }

    /// Starts an element. The caller writes its own properties and its closing brace.
    fn write_start(&self, f: &mut Formatter<'_>, kind: &str, element: Element) -> fmt::Result {
        let id = self.id(element);
        write!(
            f,
            "{{\"type\":\"{kind}\",\"spdxId\":{id},\"creationInfo\":\"_:creation\""
        )
    }

    fn write_document(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_start(f, "SpdxDocument", Element::Document)?;
        f.write_str(",\"profileConformance\":[\"core\"]")?;
        let mut first = true;
        for (root, _) in present(self.graph).filter(|(_, model)| self.is_first(model)) {
            f.write_str(if first { ",\"rootElement\":[" } else { "" })?;
            write_separator(f, &mut first, ',')?;
            write!(f, "{}", self.id(Element::Model(root)))?;
        }
        f.write_str(if first { "}" } else { "]}" })
    }

    /// Whether the model has no parent, or only a hidden one.
    fn is_first(&self, model: &Model) -> bool {
        let parent = model.descent().map(Descent::parent);
        parent.is_none_or(|parent| self.graph.models()[parent].is_hidden())
    }

    fn write_relationships(&self, f: &mut Formatter<'_>, to: usize, model: &Model) -> fmt::Result {
        let stated = Stated::of(self.graph, model);
        let kind = model.descent().and_then(Descent::kind);
        let merged = !model.merged_from().is_empty();
        for &from in &stated.ancestors {
            let relation = match kind {
                Some(DescentKind::Copy(CopyKind::Duplicate)) if !merged => "copiedTo",
                _ => "ancestorOf",
            };
            self.write_relationship(f, (from, to), relation, model)?;
        }
        for &from in &stated.variants {
            self.write_relationship(f, (from, to), "hasVariant", model)?;
        }
        Ok(())
    }

    fn write_relationship(
        &self,
        f: &mut Formatter<'_>,
        (from, to): (usize, usize),
        relation: &str,
        model: &Model,
    ) -> fmt::Result {
        f.write_str(",\n")?;
        self.write_start(f, "Relationship", Element::Relationship { from, to })?;
        let ids = [from, to].map(|end| self.id(Element::Model(end)));
        write!(
            f,
            ",\"relationshipType\":\"{relation}\",\"from\":{},\"to\":[{}],\
             \"completeness\":\"incomplete\"",
            ids[0], ids[1]
        )?;
        match model.descent() {
            Some(descent) if descent.parent() == from && has_evidence(descent) => {
                f.write_str(",\"comment\":\"")?;
                write_evidence(f, descent)?;
                f.write_char('"')?;
            }
            _ => {}
        }
        f.write_char('}')
    }
}

/// A quoted identifier of an element.
struct Id<'a>(&'a str, Element);

impl Display for Id<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(namespace, element) = *self;
        f.write_char('"')?;
        write_json_text(f, namespace)?;
        match element {
            Element::Document => f.write_str("#document\""),
            Element::Tool => f.write_str("#tool\""),
            Element::Model(position) => write!(f, "#model-{position}\""),
            Element::Relationship { from, to } => write!(f, "#model-{from}-to-{to}\""),
        }
    }
}

/// Writes a time since the beginning of 1970 as a UTC date and time.
fn write_time(f: &mut Formatter<'_>, since_1970: Duration) -> fmt::Result {
    // The format can't express the year 10,000.
    let seconds = since_1970.as_secs().min(253_402_300_799);
    let (mut year, mut day) = (1970, seconds / 86_400);
    // Any 400 consecutive years have the same number of days.
    year += day / 146_097 * 400;
    day %= 146_097;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    write!(
        f,
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{:02}Z",
        day + 1,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    struct Time(u64);

    impl Display for Time {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            write_time(f, Duration::from_secs(self.0))
        }
    }

    #[test]
    fn times_are_dates_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (978_307_199, "2000-12-31T23:59:59Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Time(seconds).to_string(), date);
        }
    }
}
