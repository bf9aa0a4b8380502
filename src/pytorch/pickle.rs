//! A pickle machine that executes nothing: it records calls with their arguments.
//!
//! Its memory is bounded for any pickle, because it limits the bytes read, the nodes created, and the
//! values held.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::values::{Item, Node, Value, Values};
use crate::storage::input::{Input, Reading};

/// The maximum number of containers and objects; a model of 10,000 tensors creates about 100,000.
const MOST_NODES: usize = 1 << 20;

/// The maximum number of values in the stack, the memo and all containers together.
const MOST_VALUES: usize = 1 << 22;

/// What a pickle built, and the value it returned.
pub(super) struct Unpickled {
    pub(super) values: Values,
    pub(super) root: Value,
}

/// Reads one pickle up to and including its STOP.
pub(super) fn unpickle(input: &mut Input<'_>) -> Reading<Unpickled> {
    let mut machine = Machine {
        input,
        values: Values::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        pushed: 0,
    };
    loop {
        match machine.input.byte()? {
            b'.' => break,
            opcode => machine.step(opcode)?,
        }
    }
    let root = machine.pop()?;
    Ok(Unpickled {
        values: machine.values,
        root,
    })
}

struct Machine<'i, 'a> {
    input: &'i mut Input<'a>,
    values: Values,
    stack: Vec<Value>,
    /// The length of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    /// The number of values pushed or memoised so far.
    pushed: usize,
}

impl Machine<'_, '_> {
    fn step(&mut self, opcode: u8) -> Reading<()> {
        match opcode {
            b'(' | b'0'..=b'2' => self.shuffle(opcode),
            b'p' | b'q' | b'r' | b'g' | b'h' | b'j' | 0x94 => self.remember(opcode),
            b'N' | b'I' | b'J' | b'K' | b'L' | b'M' | b'F' | b'G' | 0x88..=0x8b => {
                self.number(opcode)
            }
            b'S' | b'T' | b'U' | b'V' | b'X' | b'B' | b'C' | 0x8c..=0x8e | 0x96..=0x98 => {
                self.string(opcode)
            }
            b']' | b'}' | b')' | b'l' | b'd' | b't' | 0x85..=0x87 | 0x8f | 0x91 => {
                self.container(opcode)
            }
            b'a' | b'e' | b's' | b'u' | 0x90 => self.put(opcode),
            b'c' | b'i' | b'o' | b'R' | b'b' | b'P' | b'Q' | 0x81..=0x84 | 0x92 | 0x93 => {
                self.object(opcode)
            }
            // The protocol's version, and the length of the frame that follows.
            0x80 => self.input.skip(1),
            0x95 => self.input.skip(8),
            _ => self.input.fault(format!("unknown opcode {opcode:#04x}")),
        }
    }

    fn push(&mut self, value: Value) -> Reading<()> {
        self.count()?;
        self.stack.push(value);
        Ok(())
    }

    fn count(&mut self) -> Reading<()> {
        self.pushed += 1;
        if self.pushed > MOST_VALUES {
            return self.input.fault("too many values");
        }
        Ok(())
    }

    fn push_node(&mut self, node: Node) -> Reading<()> {
        let at = self.values.nodes.len();
        if at == MOST_NODES {
            return self.input.fault("too many objects");
        }
        self.values.nodes.push(node);
        self.push(Value::Node(at as u32))
    }

    fn pop(&mut self) -> Reading<Value> {
        if self.stack.len() > self.marks.last().copied().unwrap_or(0)
            && let Some(value) = self.stack.pop()
        {
            return Ok(value);
        }
        self.input.fault("the stack is empty")
    }

    /// Pops the values pushed since the last mark, and the mark.
    fn pop_mark(&mut self) -> Reading<Vec<Value>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => self.input.fault("no mark on the stack"),
        }
    }

    fn pop_items(&mut self) -> Reading<Vec<Item>> {
        let values = self.pop_mark()?;
        let (pairs, rest) = values.as_chunks();
        if !rest.is_empty() {
            return self.input.fault("key without a value");
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    /// The value on top of the stack, which stays there.
    fn top(&mut self) -> Reading<Value> {
        let value = self.pop()?;
        self.stack.push(value);
        Ok(value)
    }

    fn shuffle(&mut self, opcode: u8) -> Reading<()> {
        match opcode {
            b'(' => {
                self.count()?;
                self.marks.push(self.stack.len());
            }
            b'2' => {
                let value = self.top()?;
                self.push(value)?;
            }
            // POP removes a mark if nothing is above it.
            b'0' if self.marks.last() != Some(&self.stack.len()) => drop(self.pop()?),
            _ => drop(self.pop_mark()?),
        }
        Ok(())
    }

    fn remember(&mut self, opcode: u8) -> Reading<()> {
        let key = match opcode {
            b'p' | b'g' => self.decimal()?.unsigned_abs(),
            b'q' | b'h' => self.input.byte()?.into(),
            b'r' | b'j' => u32::from_le_bytes(self.input.array()?).into(),
            _ => self.memo.len() as u64,
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            return match self.memo.get(&key) {
                Some(&value) => self.push(value),
                None => self.input.fault(format!("no memo entry {key}")),
            };
        }
        let value = self.top()?;
        self.count()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn decimal(&mut self) -> Reading<i64> {
        let line = self.input.line()?;
        let text = core::str::from_utf8(&line).unwrap_or_default();
        match text.trim().trim_end_matches('L').parse() {
            Ok(number) => Ok(number),
            Err(_) => self.input.fault("invalid number"),
        }
    }

    fn number(&mut self, opcode: u8) -> Reading<()> {
        let value = match opcode {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool(opcode == 0x88),
            b'I' | b'L' => Value::Int(self.decimal()?),
            b'J' => Value::Int(i32::from_le_bytes(self.input.array()?).into()),
            b'K' => Value::Int(self.input.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.input.array()?).into()),
            0x8a => {
                let length = self.input.byte()?.into();
                self.long(length)?
            }
            0x8b => {
                let length = u32::from_le_bytes(self.input.array()?).into();
                self.long(length)?
            }
            b'F' => {
                self.input.line()?;
                Value::Other
            }
            _ => {
                self.input.skip(8)?;
                Value::Other
            }
        };
        self.push(value)
    }

    /// A number in two's complement, if it fits into 64 bits.
    fn long(&mut self, length: u64) -> Reading<Value> {
        if length > 8 {
            self.input.skip(length)?;
            return Ok(Value::Other);
        }
        let bytes = self.input.bytes(length)?;
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(&bytes);
        Ok(Value::Int(i64::from_le_bytes(wide)))
    }

    fn string(&mut self, opcode: u8) -> Reading<()> {
        let length = match opcode {
            b'S' | b'V' => {
                let line = self.input.line()?;
                return self.push_text(trim_quotes(&line));
            }
            b'U' | b'C' | 0x8c => self.input.byte()?.into(),
            b'T' | b'X' | b'B' => u32::from_le_bytes(self.input.array()?).into(),
            0x8d | 0x8e | 0x96 => u64::from_le_bytes(self.input.array()?),
            // Buffers are outside the pickle.
            0x98 => return Ok(()),
            _ => return self.push(Value::Other),
        };
        if matches!(opcode, b'B' | b'C' | 0x8e | 0x96) {
            self.input.skip(length)?;
            return self.push(Value::Other);
        }
        let bytes = self.input.bytes(length)?;
        self.push_text(&bytes)
    }

    fn push_text(&mut self, bytes: &[u8]) -> Reading<()> {
        let text = self.text(bytes)?;
        self.push(text)
    }

    fn text(&mut self, bytes: &[u8]) -> Reading<Value> {
        match self.values.texts.push(&String::from_utf8_lossy(bytes)) {
            Some(span) => Ok(Value::Text(span)),
            None => self.input.fault("too much text"),
        }
    }

    fn container(&mut self, opcode: u8) -> Reading<()> {
        let node = match opcode {
            b']' | b')' | 0x8f => Node::Sequence(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            b'd' => Node::Dict(self.pop_items()?),
            b'l' | b't' | 0x91 => Node::Sequence(self.pop_mark()?),
            _ => {
                let mut values = Vec::new();
                for _ in 0..=opcode - 0x85 {
                    values.push(self.pop()?);
                }
                values.reverse();
                Node::Sequence(values)
            }
        };
        self.push_node(node)
    }

    /// Puts values into the container below them. If that can't hold them, they are dropped; none is a
    /// weight.
    fn put(&mut self, opcode: u8) -> Reading<()> {
        let (values, pairs) = match opcode {
            b'a' => (Vec::from([self.pop()?]), Vec::new()),
            b'e' | 0x90 => (self.pop_mark()?, Vec::new()),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                (Vec::new(), Vec::from([(key, value)]))
            }
            _ => (Vec::new(), self.pop_items()?),
        };
        let Value::Node(at) = self.top()? else {
            return Ok(());
        };
        match self.values.nodes.get_mut(at as usize) {
            Some(Node::Sequence(sequence)) => sequence.extend(values),
            Some(Node::Dict(items) | Node::Object { items, .. }) => items.extend(pairs),
            _ => {}
        }
        Ok(())
    }

    fn object(&mut self, opcode: u8) -> Reading<()> {
        match opcode {
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.push_global(&module, &name)
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => {
                    self.push_node(Node::Global(module, name))
                }
                _ => self.input.fault("the name of a global is not a string"),
            },
            0x82 => self.extension(1),
            0x83 => self.extension(2),
            0x84 => self.extension(4),
            b'P' => {
                let line = self.input.line()?;
                let id = self.text(&line)?;
                self.push_node(Node::Persistent(id))
            }
            b'Q' => {
                let id = self.pop()?;
                self.push_node(Node::Persistent(id))
            }
            b'b' => self.build(),
            _ => self.call(opcode),
        }
    }

    fn extension(&mut self, bytes: u64) -> Reading<()> {
        self.input.skip(bytes)?;
        self.push(Value::Other)
    }

    fn push_global(&mut self, module: &[u8], name: &[u8]) -> Reading<()> {
        match (self.text(module)?, self.text(name)?) {
            (Value::Text(module), Value::Text(name)) => self.push_node(Node::Global(module, name)),
            _ => self.push(Value::Other),
        }
    }

    /// Sets an object's state.
    fn build(&mut self) -> Reading<()> {
        let built = self.pop()?;
        if let Value::Node(at) = self.top()?
            && let Some(Node::Object { state, .. }) = self.values.nodes.get_mut(at as usize)
        {
            *state = built;
        }
        Ok(())
    }

    /// Records a call, or the creation of an object.
    fn call(&mut self, opcode: u8) -> Reading<()> {
        match opcode {
            b'R' | 0x81 => {}
            0x92 => drop(self.pop()?),
            // The arguments since the mark, preceded by the class, which INST gives by name.
            _ => {
                let mut arguments = self.pop_mark()?;
                if opcode == b'i' {
                    let (module, name) = (self.input.line()?, self.input.line()?);
                    self.push_global(&module, &name)?;
                } else if arguments.is_empty() {
                    return self.input.fault("object without a class");
                } else {
                    let class = arguments.remove(0);
                    self.push(class)?;
                }
                self.push_node(Node::Sequence(arguments))?;
            }
        }
        let (arguments, callable) = (self.pop()?, self.pop()?);
        self.push_node(Node::Object {
            callable,
            arguments,
            items: Vec::new(),
            state: Value::None,
        })
    }
}

/// The text of a STRING, without its quotes.
fn trim_quotes(line: &[u8]) -> &[u8] {
    match line {
        [b'\'', text @ .., b'\''] | [b'"', text @ .., b'"'] => text,
        _ => line,
    }
}
