//! Finds the model's weights among a pickle's values, and their names.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::tensor::{Found, Tensor, tensor};
use super::values::{Item, Node, Value, Values};
use crate::storage::{FileError, FileErrorKind};
use crate::weights::SkippedLayer;

/// The keys under which programs store a model next to other data, the most likely first.
const WRAPPERS: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "ema",
    "ema_state_dict",
    "params_ema",
    "model_ema",
];

/// The maximum depth of nested containers.
const DEEPEST: usize = 64;

/// The maximum number of bytes of the names of all layers: values with shared parts can be
/// reached in more ways than can be listed.
const MOST_NAMES: usize = 1 << 24;

/// The tensors of a model by name, and those that were left out.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tensors: Vec<(String, Tensor)>,
    pub(super) skipped: Vec<SkippedLayer>,
}

/// The state of the model in a pickle.
pub(super) fn state(values: &Values, root: Value) -> Result<State, FileError> {
    let mut walk = Walk {
        values,
        holders: holders(values),
        state: State::default(),
        path: Vec::new(),
        names: 0,
    };
    let weights = walk.unwrap(root);
    walk.list(&mut String::new(), weights)?;
    let state = walk.state;
    if state
        .tensors
        .iter()
        .any(|(_, tensor)| tensor.kind.is_float())
    {
        Ok(state)
    } else {
        Err(FileErrorKind::NoWeights.in_file(""))
    }
}

struct Walk<'a> {
    values: &'a Values,
    /// Whether each node is or contains a tensor.
    holders: Vec<bool>,
    state: State,
    /// The nodes being listed, each inside the one before.
    path: Vec<u32>,
    /// The number of bytes in the names seen so far.
    names: usize,
}

impl<'a> Walk<'a> {
    /// Unwraps the model from the dictionaries into which programs put it.
    fn unwrap(&mut self, mut value: Value) -> Value {
        for _ in 0..DEEPEST {
            let children = children(self.values, value);
            let is_wrapped = |child: &Value| {
                matches!(tensor(self.values, *child), Found::Nothing) && self.has_tensors(*child)
            };
            let wrapped = WRAPPERS.iter().find_map(|wrapper| {
                let found = children.iter().find(|(name, _)| name == wrapper)?;
                Some(found.1)
                    .filter(is_wrapped)
                    .map(|child| (*wrapper, child))
            });
            let is_optimizer = has(&children, "state") && has(&children, "param_groups");
            let Some((wrapper, child)) = wrapped.filter(|_| !is_optimizer) else {
                return if is_optimizer { Value::None } else { value };
            };
            for &(ref name, other) in &children {
                if name != wrapper && self.has_tensors(other) {
                    self.skip(
                        name,
                        &format!("not part of the model, which is in `{wrapper}`"),
                    );
                }
            }
            value = child;
        }
        value
    }

    fn has_tensors(&self, value: Value) -> bool {
        match value {
            Value::Node(at) => self.holders.get(at as usize).copied().unwrap_or_default(),
            _ => false,
        }
    }

    fn skip(&mut self, layer: &str, reason: &str) {
        self.state.skipped.push(SkippedLayer {
            layer: layer.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Lists the tensors in a value, with names that begin with `name`.
    fn list(&mut self, name: &mut String, value: Value) -> Result<(), FileError> {
        match tensor(self.values, value) {
            Found::Tensor(tensor) => {
                self.state.tensors.push((name.clone(), tensor));
                return Ok(());
            }
            Found::Unreadable(reason) => {
                self.skip(name, &reason);
                return Ok(());
            }
            Found::Nothing => {}
        }
        let Value::Node(at) = value else {
            return Ok(());
        };
        if self.path.contains(&at) {
            self.skip(name, "contains itself");
            return Ok(());
        }
        if self.path.len() == DEEPEST {
            self.skip(name, "nested too deeply");
            return Ok(());
        }
        self.path.push(at);
        let length = name.len();
        for (child, value) in children(self.values, value) {
            self.names = self.names.saturating_add(length + child.len() + 1);
            if self.names > MOST_NAMES {
                let reason = "too many layers, or names too long".to_owned();
                return Err(FileErrorKind::BadLayer { reason }.of_layer(&**name));
            }
            if is_training_state(&child) {
                if self.has_tensors(value) {
                    self.skip(&child, "training state, not weights");
                }
                continue;
            }
            if length > 0 {
                name.push('.');
            }
            name.push_str(&child);
            self.list(name, value)?;
            name.truncate(length);
        }
        self.path.pop();
        Ok(())
    }
}

/// Whether each node is or contains a tensor.
fn holders(values: &Values) -> Vec<bool> {
    let mut holders = alloc::vec![false; values.nodes.len()];
    let mut held: Vec<(u32, u32)> = Vec::new();
    let mut found: Vec<u32> = Vec::new();
    for (node, holder) in values.nodes.iter().zip(0_u32..) {
        if !matches!(tensor(values, Value::Node(holder)), Found::Nothing) {
            found.push(holder);
        }
        node.for_each(|value| {
            if let Value::Node(child) = value {
                held.push((child, holder));
            }
        });
    }
    held.sort_unstable();
    while let Some(node) = found.pop() {
        let Some(known @ false) = holders.get_mut(node as usize) else {
            continue;
        };
        *known = true;
        let first = held.partition_point(|&(child, _)| child < node);
        let of_node = held
            .iter()
            .skip(first)
            .take_while(|&&(child, _)| child == node);
        found.extend(of_node.map(|&(_, holder)| holder));
    }
    holders
}

fn has(children: &[(Cow<'_, str>, Value)], name: &str) -> bool {
    children.iter().any(|(child, _)| child == name)
}

/// Whether training programs keep their own state under this name.
fn is_training_state(name: &str) -> bool {
    !name.contains('.')
        && ([
            "optimizer",
            "optim_",
            "lr_sched",
            "scheduler",
            "rng_state",
            "cuda_rng",
            "scaler_state",
        ]
        .iter()
        .any(|beginning| name.starts_with(beginning))
            || ["optim", "scaler"].contains(&name)
            || name.ends_with("_optimizer"))
}

/// The children of a container or an object, by name.
fn children(values: &Values, value: Value) -> Vec<(Cow<'_, str>, Value)> {
    match values.node(value) {
        Some(Node::Dict(items)) => named(values, items).collect(),
        Some(Node::Sequence(sequence)) => (sequence.iter().enumerate())
            .map(|(at, &value)| (at.to_string().into(), value))
            .collect(),
        Some(Node::Object {
            callable,
            arguments,
            items,
            state,
        }) => match values.global(*callable) {
            // Its state is ignored: modules store versions there.
            Some(("collections", "OrderedDict")) if items.is_empty() => {
                pairs(values, *arguments).collect()
            }
            _ if items.is_empty() => attributes(values, *state),
            _ => named(values, items).collect(),
        },
        _ => Vec::new(),
    }
}

fn named<'a>(values: &'a Values, items: &'a [Item]) -> impl Iterator<Item = (Cow<'a, str>, Value)> {
    items.iter().filter_map(|&(key, value)| match key {
        Value::Text(span) => Some((values.texts.get(span).into(), value)),
        Value::Int(key) => Some((key.to_string().into(), value)),
        _ => None,
    })
}

/// The items of a dictionary that was created from a list of pairs.
fn pairs(values: &Values, arguments: Value) -> impl Iterator<Item = (Cow<'_, str>, Value)> {
    let arguments = values.sequence(arguments).unwrap_or_default();
    let list = arguments.first().and_then(|&list| values.sequence(list));
    let pairs = list.unwrap_or_default().iter();
    pairs.filter_map(|&pair| match values.sequence(pair)? {
        &[key, value] => Some((values.text(key)?.into(), value)),
        _ => None,
    })
}

/// The children of an object: for a module, its parameters, buffers and modules; otherwise its attributes.
fn attributes(values: &Values, state: Value) -> Vec<(Cow<'_, str>, Value)> {
    let attributes = match values.node(state) {
        Some(Node::Dict(items)) => named(values, items),
        _ => return Vec::new(),
    };
    let attributes: Vec<_> = attributes.collect();
    if !has(&attributes, "_modules") {
        return attributes;
    }
    let parts = ["_parameters", "_buffers", "_modules"].iter();
    parts
        .filter_map(|part| attributes.iter().find(|(name, _)| name == part))
        .flat_map(|&(_, part)| match values.node(part) {
            Some(Node::Dict(_) | Node::Object { .. }) => children(values, part),
            _ => Vec::new(),
        })
        .collect()
}
