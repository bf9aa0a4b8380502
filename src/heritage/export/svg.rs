//! The trees as an SVG image.

use core::fmt::{self, Display, Formatter, Write};

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{Number, has_evidence, write_evidence, write_label};
use crate::evidence::CopyKind;
use crate::heritage::{Descent, DescentKind, Model, ModelGraph};

/// The width of a character; wider and narrower fonts are adjusted to it.
const CHARACTER: usize = 7;
/// The largest number of characters of a name that are shown, and how many of them come from its end.
const SHOWN: usize = 40;
const SHOWN_OF_END: usize = 14;
/// The height of a box, and the distance from one row to the next.
const BOX: usize = 18;
const ROW: usize = 24;
/// The space between a box and those of its children, between trees, and around everything.
const GAP: usize = 48;
const MARGIN: usize = 16;
/// The colour of edges without a kind.
const PLAIN: &str = "#57606a";

/// The adaptor behind [`ModelGraph::svg`].
pub(super) struct Svg<'a>(pub(super) &'a ModelGraph);

impl Display for Svg<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(graph) = *self;
        let legend = legend(graph);
        let (nodes, width, height) = arranged(graph, &legend);
        write!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Family trees of {} models\" \
             font-family=\"monospace\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            graph.len()
        )?;
        write_legend(f, &legend)?;
        f.write_str("<g fill=\"none\">\n")?;
        for (parent, &node) in nodes.iter().enumerate() {
            write_trunk(f, node, graph.children(parent), &nodes)?;
        }
        for (child, model) in graph.models().iter().enumerate() {
            write_merge(f, model, nodes[child], &nodes)?;
        }
        f.write_str("</g>\n")?;
        for (model, &node) in graph.models().iter().zip(&nodes) {
            write_node(f, graph, model, node)?;
        }
        f.write_str("</svg>")
    }
}

/// The place of a model in the image: the left edge, the vertical middle and the width of its box.
#[derive(Clone, Copy, Default)]
struct Node {
    left: usize,
    middle: usize,
    width: usize,
}

impl Node {
    const fn right(self) -> usize {
        self.left + self.width
    }
}

/// The places of all models, and the size of the image.
///
/// A leaf has its own row, and a parent is in the row of its first child, so boxes don't overlap and the root
/// is at the top even in the largest tree. Models of the same depth in a tree are in the same column.
fn arranged(graph: &ModelGraph, legend: &[(&str, &str)]) -> (Vec<Node>, usize, usize) {
    let mut nodes = vec![Node::default(); graph.len()];
    let mut top = MARGIN;
    let mut width: usize = legend.iter().map(|(name, _)| legend_width(name)).sum();
    if !legend.is_empty() {
        top += ROW + MARGIN / 2;
    }
    for tree in graph.trees() {
        let models = graph.subtree(tree.root);
        let mut columns = Vec::new();
        for &model in models {
            let depth = graph.depth(model).unwrap_or(0);
            let name = graph.name(model).unwrap_or_default();
            nodes[model].width = (cells(&shown(name)) + 2) * CHARACTER;
            if depth >= columns.len() {
                columns.resize(depth + 1, 0);
            }
            columns[depth] = nodes[model].width.max(columns[depth]);
        }
        let mut left = MARGIN;
        for column in &mut columns {
            left += core::mem::replace(column, left) + GAP;
        }
        width = width.max(left - GAP - MARGIN);
        for &model in models {
            nodes[model].left = columns[graph.depth(model).unwrap_or(0)];
            nodes[model].middle = top + BOX / 2;
            if graph.children(model).is_empty() {
                top += ROW;
            }
        }
        top += if models.len() > 1 { ROW / 2 } else { 0 };
    }
    (nodes, width + 2 * MARGIN, top + MARGIN)
}

/// The part of a name that is drawn: long names are shortened in the middle.
fn shown(name: &str) -> String {
    let name = Label(name).to_string();
    let count = name.chars().count();
    if count <= SHOWN {
        return name;
    }
    let start = name.chars().take(SHOWN - SHOWN_OF_END - 1);
    let end = name.chars().skip(count - SHOWN_OF_END);
    start.chain(['…']).chain(end).collect()
}

/// The width of a text, in Latin characters.
fn cells(text: &str) -> usize {
    let width = |character| match character {
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{fb00}' | '\u{ff00}'..='\u{ff60}' => 2,
        '\u{1f000}'.. => 2,
        _ => 1,
    };
    text.chars().map(width).sum()
}

/// A name with its invisible characters escaped.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_label(f, self.0, |f, character| match character {
            // XML can't express these.
            '\u{fffe}' | '\u{ffff}' => write!(f, "{}", character.escape_unicode()),
            _ => f.write_char(character),
        })
    }
}

/// A text, escaped for XML.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            _ => f.write_char(character),
        })
    }
}

/// The colours for kinds of edges, which colour-blind people can distinguish.
const fn colour(kind: DescentKind) -> &'static str {
    match kind {
        DescentKind::Full => "#0072b2",
        DescentKind::LowRank { .. } => "#009e73",
        DescentKind::Adapter { .. } => "#cc79a7",
        DescentKind::Copy(CopyKind::Quantised) => "#d55e00",
        DescentKind::Copy(CopyKind::Pruned) => "#8c564b",
        DescentKind::Copy(_) => "#b58900",
    }
}

const MERGED: (&str, &str) = ("merged", "#7b3fb5");

/// The names and colours of all kinds of edges in the image.
fn legend(graph: &ModelGraph) -> Vec<(&'static str, &'static str)> {
    let mut legend = Vec::new();
    for model in graph.models() {
        let kind = model.descent().and_then(Descent::kind);
        let kind = kind.map(|kind| (kind.name(), colour(kind)));
        let merged = (!model.merged_from().is_empty()).then_some(MERGED);
        for entry in kind.into_iter().chain(merged) {
            if !legend.contains(&entry) {
                legend.push(entry);
            }
        }
    }
    legend.sort_unstable();
    legend
}

const fn legend_width(name: &str) -> usize {
    (name.len() + 3) * CHARACTER + ROW
}

fn write_legend(f: &mut Formatter<'_>, legend: &[(&str, &str)]) -> fmt::Result {
    let (mut left, middle) = (MARGIN, MARGIN + BOX / 2);
    for (name, colour) in legend {
        let dashes = dashes(*name == MERGED.0);
        writeln!(
            f,
            "<path d=\"M{left} {middle}h{ROW}\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>\
             <text x=\"{}\" y=\"{}\" fill=\"{PLAIN}\">{name}</text>",
            left + ROW + CHARACTER,
            middle + 4
        )?;
        left += legend_width(name);
    }
    Ok(())
}

const fn dashes(dashed: bool) -> &'static str {
    if dashed {
        " stroke-dasharray=\"5 3\""
    } else {
        ""
    }
}

/// Draws the line shared by all edges from a parent to its children.
fn write_trunk(
    f: &mut Formatter<'_>,
    parent: Node,
    children: &[usize],
    nodes: &[Node],
) -> fmt::Result {
    let ([first, .., last] | [first @ last]) = children else {
        return Ok(());
    };
    let (first, last) = (nodes[*first], nodes[*last]);
    let turn = first.left - GAP / 2;
    writeln!(
        f,
        "<path d=\"M{} {}H{turn}M{turn} {}V{}\" stroke=\"#afb8c1\" stroke-width=\"1.5\"/>",
        parent.right(),
        parent.middle,
        first.middle,
        last.middle
    )
}

/// Draws dashed curves to a model from the models it is an average of.
fn write_merge(f: &mut Formatter<'_>, model: &Model, child: Node, nodes: &[Node]) -> fmt::Result {
    for part in model.merged_from() {
        let parent = nodes[part.parent];
        let (from, to) = (parent.right(), child.left);
        let (above, below) = (parent.middle, child.middle);
        let (after, before) = (from + GAP, to.saturating_sub(GAP));
        writeln!(
            f,
            "<path d=\"M{from} {above}C{after} {above} {before} {below} {to} {below}\" \
             stroke=\"{}\" stroke-width=\"1.5\"{}/>",
            MERGED.1,
            dashes(true)
        )?;
    }
    Ok(())
}

/// Draws the box of a model and the last part of the edge to it, with one tooltip for both.
fn write_node(f: &mut Formatter<'_>, graph: &ModelGraph, model: &Model, node: Node) -> fmt::Result {
    f.write_str("<g><title>")?;
    write_tooltip(f, graph, model)?;
    f.write_str("</title>")?;
    let mut line = PLAIN;
    if let Some(descent) = model.descent() {
        line = descent.kind().map_or(PLAIN, colour);
        let opacity = 20.0 + 80.0 * descent.confidence().unwrap_or(1.0);
        write!(
            f,
            "<path d=\"M{} {}H{}\" stroke=\"{line}\" stroke-width=\"2.5\" opacity=\"{}\"/>",
            node.left - GAP / 2,
            node.middle,
            node.left,
            Number(f64::from(opacity as u8) / 100.0)
        )?;
    }
    let name = shown(model.name());
    let fill = if model.descent().is_some() {
        "#ffffff"
    } else {
        "#eaeef2"
    };
    writeln!(
        f,
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{BOX}\" rx=\"4\" fill=\"{fill}\" \
         stroke=\"{line}\"{}/><text x=\"{}\" y=\"{}\" textLength=\"{}\" \
         lengthAdjust=\"spacingAndGlyphs\">{}</text></g>",
        node.left,
        node.middle - BOX / 2,
        node.width,
        dashes(model.is_hidden()),
        node.left + CHARACTER,
        node.middle + 4,
        node.width - 2 * CHARACTER,
        Escaped(&name)
    )
}

/// Writes everything known about a model, one fact per line.
fn write_tooltip(f: &mut Formatter<'_>, graph: &ModelGraph, model: &Model) -> fmt::Result {
    let label = |model| Label(graph.name(model).unwrap_or_default()).to_string();
    write!(f, "{}", Escaped(&Label(model.name()).to_string()))?;
    if let Some(descent) = model.descent() {
        write!(f, "\nparent: {}", Escaped(&label(descent.parent())))?;
        if let Some(kind) = descent.kind() {
            write!(f, "\nkind: {}", kind.name())?;
        }
        if let Some(rank) = descent.kind().and_then(DescentKind::rank) {
            write!(f, " of rank {rank}")?;
        }
        if has_evidence(descent) {
            f.write_char('\n')?;
            write_evidence(f, descent)?;
        }
    }
    if let Some(other) = model.runner_up() {
        let parent = other.parent.map_or_else(|| "no parent".into(), label);
        write!(
            f,
            "\nor else: {}  p={}",
            Escaped(&parent),
            Number(super::rounded(other.confidence, 4))
        )?;
    }
    for part in model.merged_from() {
        write!(
            f,
            "\nmerged from: {} × {}",
            Number(part.weight),
            Escaped(&label(part.parent))
        )?;
    }
    Ok(())
}
