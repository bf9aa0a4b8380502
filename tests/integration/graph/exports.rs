//! Every export read back by a small reader of its format.

use std::collections::HashMap;

use mother::heritage::{Descent, ModelGraph};
use proptest::prelude::*;

use super::{example, graph};

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn newick_reads_back(graph in graph(8)) {
        let text = graph.newick().to_string();
        let mut read = HashMap::new();
        prop_assert_eq!(text.lines().count(), graph.roots().len());
        for line in text.lines() {
            read_newick(line, &mut read);
        }
        prop_assert_eq!(read.len(), graph.len());
        for model in graph.models() {
            let parent = model.descent().and_then(|descent| graph.name(descent.parent()));
            let (read_parent, length) = &read[model.name()];
            prop_assert_eq!(read_parent.as_deref(), parent);
            prop_assert_eq!(*length, model.descent().and_then(Descent::distance));
        }
    }

    #[test]
    fn the_text_tree_reads_back(graph in graph(8)) {
        let text = graph.to_string();
        let lines: Vec<_> = text.split('\n').filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(lines.len(), graph.len());
        for (line, &node) in lines.iter().zip(graph.preorder()) {
            prop_assert!(!line.chars().any(char::is_control));
            let name = graph.name(node).unwrap();
            let depth = graph.depth(node).unwrap();
            let label: String = line.chars().skip(3 * depth).collect();
            let shown = if name.is_empty() { "\"\"".into() } else { escaped(name) };
            prop_assert!(label.starts_with(&shown), "{label:?} {shown:?}");
            if depth > 0 {
                let branch: String = line.chars().skip(3 * depth - 3).take(3).collect();
                let siblings = graph.children(graph.parent(node).unwrap());
                let last = siblings[siblings.len() - 1] == node;
                prop_assert_eq!(branch, if last { "└─ " } else { "├─ " });
            }
        }
    }

    #[test]
    fn dot_reads_back(graph in graph(8)) {
        let text = graph.dot().to_string();
        let lines: Vec<_> = text.split('\n').collect();
        prop_assert_eq!(lines.len(), 2 + graph.len() + graph.edges().count());
        for (node, line) in lines[1..=graph.len()].iter().enumerate() {
            let rest = line.strip_prefix(&format!("  n{node} [label=\"")).unwrap();
            let (label, rest) = split_quoted(rest);
            prop_assert_eq!(unescaped(&label.replace("&amp;", "&")), shown_name(&graph, node));
            let score = graph.models()[node].score();
            prop_assert_eq!(attribute(&rest, "score"), score);
        }
        let edges = lines[graph.len() + 1..].iter();
        for (line, (parent, child)) in edges.zip(graph.edges()) {
            let rest = line.strip_prefix(&format!("  n{parent} -> n{child}")).unwrap();
            let descent = graph.models()[child].descent().unwrap();
            prop_assert_eq!(attribute(rest, "distance"), descent.distance());
            prop_assert_eq!(attribute(rest, "confidence"), descent.confidence());
        }
    }

    #[test]
    fn mermaid_reads_back(graph in graph(8)) {
        let text = graph.mermaid().to_string();
        let lines: Vec<_> = text.split('\n').collect();
        prop_assert_eq!(lines.len(), 1 + graph.len() + graph.edges().count());
        for (node, line) in lines[1..=graph.len()].iter().enumerate() {
            let label = line.strip_prefix(&format!("  n{node}[\"")).unwrap();
            let label = label.strip_suffix("\"]").unwrap();
            prop_assert!(!label.is_empty() && !label.contains(['"', '<', '`', '\\', '*', '_']));
            prop_assert_eq!(unescaped(&decoded(label)), shown_name(&graph, node));
        }
    }
}

#[test]
fn the_exports_of_a_known_graph() {
    let graph = example();
    let text = "\
a1  (6 models)
├─ b2  d=0.01235  p=0.98
│  ├─ c3  d=16
│  └─ d4  p=1
│     └─ e5
└─ f 6  d=1e-7
g7  (1 model)";
    assert_eq!(graph.to_string(), text);
    assert_eq!(
        format!("{graph:.2}"),
        text.replace("0.01235", "0.012"),
        "a precision rounds numbers and cuts no name"
    );
    assert_eq!(
        graph.newick().to_string(),
        "((c3:16,(e5)d4)b2:0.012345678,'f 6':1e-7)a1;\ng7;"
    );
    assert_eq!(
        graph.dot().to_string(),
        r#"digraph heritage {
  n0 [label="a1", score="231.5"];
  n1 [label="b2", score="230.25"];
  n2 [label="c3"];
  n3 [label="d4"];
  n4 [label="e5"];
  n5 [label="f 6"];
  n6 [label="g7"];
  n0 -> n1 [label="d=0.01235  p=0.98", distance="0.012345678", confidence="0.98"];
  n1 -> n2 [label="d=16", distance="16"];
  n1 -> n3 [label="p=1", confidence="1"];
  n3 -> n4;
  n0 -> n5 [label="d=1e-7", distance="1e-7"];
}"#
    );
    assert_eq!(
        graph.mermaid().to_string(),
        r#"flowchart TD
  n0["a1"]
  n1["b2"]
  n2["c3"]
  n3["d4"]
  n4["e5"]
  n5["f 6"]
  n6["g7"]
  n0 -->|"d=0.01235  p=0.98"| n1
  n1 -->|"d=16"| n2
  n1 -->|"p=1"| n3
  n3 --> n4
  n0 -->|"d=1e-7"| n5"#
    );
}

/// What a label shows in place of a name: the same, unless it is empty.
pub(super) fn shown_name(graph: &ModelGraph, node: usize) -> String {
    match graph.name(node) {
        Some("") => "\"\"".into(),
        name => name.unwrap().into(),
    }
}

/// The visible form of a name, from its description.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        match character {
            '\\' => text += "\\\\",
            '\n' => text += "\\n",
            '\r' => text += "\\r",
            '\t' => text += "\\t",
            '\u{61c}' | '\u{200e}' | '\u{200f}' => text += &character.escape_unicode().to_string(),
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                text += &character.escape_unicode().to_string();
            }
            _ if character.is_control() => text += &character.escape_unicode().to_string(),
            _ => text.push(character),
        }
    }
    text
}

/// Takes back the escapes of the visible form.
pub(super) fn unescaped(text: &str) -> String {
    let mut name = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        name.push(match character {
            '\\' => match rest.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '\\' => '\\',
                'u' => {
                    let code: String = rest.by_ref().take_while(|&next| next != '}').collect();
                    char::from_u32(u32::from_str_radix(&code[1..], 16).unwrap()).unwrap()
                }
                other => panic!("unknown escape {other}"),
            },
            other => other,
        });
    }
    name
}

/// Reads a DOT string up to its closing quote, as Graphviz does: `\"` and then its label's `\\`.
fn split_quoted(text: &str) -> (String, String) {
    let mut label = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next().unwrap() {
            '"' => return (label, rest.collect()),
            '\\' => label.push(rest.next().unwrap()),
            other => label.push(other),
        }
    }
}

fn attribute(text: &str, name: &str) -> Option<f64> {
    let (_, value) = text.split_once(&format!(", {name}=\""))?;
    value.split('"').next()?.parse().ok()
}

/// Takes back Mermaid's character codes.
fn decoded(label: &str) -> String {
    let mut text = String::new();
    let mut rest = label;
    while let Some((before, after)) = rest.split_once('#') {
        let (code, after) = after.split_once(';').unwrap();
        text += before;
        text.push(char::from_u32(code.parse().unwrap()).unwrap());
        rest = after;
    }
    text + rest
}

type NewickNodes = HashMap<String, (Option<String>, Option<f64>)>;

/// Reads one tree from its end: there each parent comes before its children.
fn read_newick(line: &str, nodes: &mut NewickNodes) {
    let mut tokens = newick_tokens(line);
    assert_eq!(tokens.pop().as_deref(), Some(";"));
    let mut parents: Vec<Option<String>> = vec![None];
    let mut last = None;
    while let Some(token) = tokens.pop() {
        match token.as_str() {
            ")" => parents.push(last.take()),
            "(" => assert!(parents.pop().is_some()),
            "," => {}
            token => {
                let (length, name) = match token.strip_prefix(':') {
                    Some(length) => (Some(length.parse().unwrap()), tokens.pop().unwrap()),
                    None => (None, token.to_string()),
                };
                let name = match name.strip_prefix('\'') {
                    Some(quoted) => unescaped(quoted),
                    None => name,
                };
                let parent = parents[parents.len() - 1].clone();
                assert!(nodes.insert(name.clone(), (parent, length)).is_none());
                last = Some(name);
            }
        }
    }
    assert_eq!(parents, [None], "parentheses are balanced");
}

/// Punctuation, `:length`, bare names, and quoted names after one `'`.
fn newick_tokens(line: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        let mut token = String::from(character);
        if character == '\'' {
            loop {
                match rest.next().expect("quotes are balanced") {
                    '\'' if rest.next_if_eq(&'\'').is_none() => break,
                    other => token.push(other),
                }
            }
        } else if !"(),;".contains(character) {
            while let Some(next) = rest.next_if(|&next| !"(),:;'".contains(next)) {
                assert!(!next.is_whitespace() && next != '_');
                token.push(next);
            }
        }
        tokens.push(token);
    }
    tokens
}
