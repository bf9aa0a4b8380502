//! What a pickle builds: plain values, and calls and objects that are only recorded, never created.

use alloc::vec::Vec;

use crate::storage::texts::{Span, Texts};

/// A value on the stack of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(Span),
    /// The position of a [`Node`].
    Node(u32),
    /// A float, bytes, or anything else that doesn't affect weights.
    Other,
}

/// A key and its value.
pub(super) type Item = (Value, Value);

/// A value to which others can refer.
#[derive(Debug)]
pub(super) enum Node {
    /// A list, a tuple or a set.
    Sequence(Vec<Value>),
    Dict(Vec<Item>),
    /// A class or a function: its module and its name.
    Global(Span, Span),
    /// Something outside the pickle, such as a storage.
    Persistent(Value),
    /// The result of a call that was only recorded, with the values added to it afterwards.
    Object {
        callable: Value,
        arguments: Value,
        items: Vec<Item>,
        state: Value,
    },
}

impl Node {
    /// Calls `visit` with every value inside.
    pub(super) fn for_each(&self, mut visit: impl FnMut(Value)) {
        match self {
            Self::Sequence(values) => values.iter().copied().for_each(visit),
            Self::Dict(items) => items.iter().for_each(|item| visit(item.1)),
            Self::Object {
                arguments,
                items,
                state,
                ..
            } => {
                visit(*arguments);
                visit(*state);
                items.iter().for_each(|item| visit(item.1));
            }
            Self::Global(..) | Self::Persistent(_) => {}
        }
    }
}

/// Everything that one pickle built.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) texts: Texts,
    pub(super) nodes: Vec<Node>,
}

impl Values {
    pub(super) fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(at) => self.nodes.get(at as usize),
            _ => None,
        }
    }

    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(span) => Some(self.texts.get(span)),
            _ => None,
        }
    }

    pub(super) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::Sequence(values) => Some(values),
            _ => None,
        }
    }

    /// The module and the name of a class or a function.
    pub(super) fn global(&self, value: Value) -> Option<(&str, &str)> {
        match self.node(value)? {
            &Node::Global(module, name) => Some((self.texts.get(module), self.texts.get(name))),
            _ => None,
        }
    }
}

/// A number that can't be negative, such as a length.
pub(super) fn natural(value: Value) -> Option<u64> {
    match value {
        Value::Int(value) => u64::try_from(value).ok(),
        _ => None,
    }
}
