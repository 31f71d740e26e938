//! Running a tree.

use super::parser::{Block, Node, Op};
use super::value::{Hash, Key, Value};
use super::{DEPTH_MAX, ELEMENTS_MAX, Host, Outcome, made, method};
use crate::event::Timestamp;
use std::cmp::Ordering;

/// Blocks within blocks, and what they evaluate, at the most.
const NESTED_MAX: usize = 8 * DEPTH_MAX;

/// One run of a program.
pub(super) struct Run<'a> {
    pub(super) host: &'a mut dyn Host,
    pub(super) map: &'a Value,
    pub(super) locals: Vec<Value>,
    pub(super) depth: usize,
}

impl Run<'_> {
    /// The value of a node.
    pub(super) fn node(&mut self, node: &Node) -> Outcome {
        self.depth += 1;
        if self.depth > NESTED_MAX {
            return Err("nested too deep".to_owned());
        }
        let value = self.evaluate(node);
        self.depth -= 1;
        value
    }

    fn nodes(&mut self, nodes: &[Node]) -> Outcome<Vec<Value>> {
        nodes.iter().map(|node| self.node(node)).collect()
    }

    fn evaluate(&mut self, node: &Node) -> Outcome {
        Ok(match node {
            Node::Nil => Value::Nil,
            Node::Bool(b) => Value::Bool(*b),
            Node::Int(n) => Value::Int(*n),
            Node::Float(n) => Value::Float(*n),
            Node::Plain(text) => Value::text(text),
            Node::Symbol(name) => Value::Symbol(name.as_str().into()),
            Node::Map => self.map.clone(),
            Node::Local(local) => self.locals[*local].clone(),
            Node::Text(parts) => {
                let parts = self.nodes(parts)?;
                Value::text(&parts.iter().map(Value::to_text).collect::<String>())
            }
            Node::Array(elements) => Value::array(self.nodes(elements)?),
            Node::Hash(members) => {
                let mut hash = Hash::default();
                for (key, value) in members {
                    let key = self.key(key)?;
                    hash.set(key, self.node(value)?);
                }
                Value::hash(hash)
            }
            Node::Index(on, key) => {
                let (on, key) = (self.node(on)?, self.node(key)?);
                index(&on, &key)?
            }
            Node::Not(value) => Value::Bool(!self.node(value)?.truthy()),
            Node::Negative(value) => arithmetic(Op::Subtract, &Value::Int(0), &self.node(value)?)?,
            Node::Binary(Op::Append, target, value) => self.append(target, value)?,
            Node::Binary(op, first, second) => {
                let (first, second) = (self.node(first)?, self.node(second)?);
                binary(*op, &first, &second)?
            }
            Node::Event(name, arguments) => self.event(name, arguments)?,
            Node::Create(event) => {
                let Value::Event(fields) = self.node(event)? else {
                    return Err("new_event_block.call takes an event: LogStash::Event.new(…)".to_owned());
                };
                self.host.create(&Value::Hash(fields))?;
                Value::Nil
            }
            Node::Make(members) => {
                let members = members.as_ref().map(|members| self.node(members)).transpose()?;
                made::new(members.as_ref())?
            }
            Node::Meta(name, value) => {
                let value = self.node(value)?;
                self.host.meta(name, &value)?;
                value
            }
            Node::Is(on, class) => {
                let on = self.node(on)?;
                Value::Bool(on.class() == *class || (*class == "Numeric" && on.number().is_some()))
            }
            node => return self.flow(node),
        })
    }

    /// Nodes that don't evaluate all that they are made of, or change variables and members.
    fn flow(&mut self, node: &Node) -> Outcome {
        Ok(match node {
            Node::And(first, second) => match self.node(first)? {
                value if value.truthy() => self.node(second)?,
                value => value,
            },
            Node::Or(first, second) => match self.node(first)? {
                value if value.truthy() => value,
                _ => self.node(second)?,
            },
            Node::Assign(target, value) => {
                let value = self.node(value)?;
                self.assign(target, value)?
            }
            Node::Change(op, target, value) => {
                let (old, value) = (self.node(target)?, self.node(value)?);
                let new = binary(*op, &old, &value)?;
                self.assign(target, new)?
            }
            Node::Default(target, and, value) => match self.node(target)? {
                old if old.truthy() != *and => old,
                _ => {
                    let value = self.node(value)?;
                    self.assign(target, value)?
                }
            },
            Node::If(condition, then, otherwise) => match self.node(condition)?.truthy() {
                true => self.node(then)?,
                false => self.node(otherwise)?,
            },
            Node::Sequence(nodes) => {
                let mut last = Value::Nil;
                for node in nodes {
                    last = self.node(node)?;
                }
                last
            }
            Node::Call { on, name, arguments, block, safe } => {
                let on = self.node(on)?;
                if *safe && matches!(on, Value::Nil) {
                    return Ok(Value::Nil);
                }
                let arguments = self.nodes(arguments)?;
                method::call(self, &on, name, &arguments, block.as_ref())?
            }
            other => return Err(format!("BUG: {other:?} is not evaluated")),
        })
    }

    /// Runs a block with its parameters. One array for several parameters is taken apart.
    pub(super) fn block(&mut self, block: &Block, values: &[Value]) -> Outcome {
        let apart;
        let values = match values {
            [Value::Array(list)] if block.parameters.len() > 1 => {
                apart = list.lock().clone();
                &apart[..]
            }
            // A pair for one parameter is an array.
            [_, _, ..] if block.parameters.len() == 1 => {
                apart = vec![Value::array(values.to_vec())];
                &apart[..]
            }
            values => values,
        };
        for (at, local) in block.parameters.iter().enumerate() {
            self.locals[*local] = values.get(at).cloned().unwrap_or(Value::Nil);
        }
        self.node(&block.body)
    }

    fn key(&mut self, node: &Node) -> Outcome<Key> {
        let value = self.node(node)?;
        Key::of(&value).ok_or_else(|| format!("{} can't be a key here", value.class()))
    }

    fn assign(&mut self, target: &Node, value: Value) -> Outcome {
        match target {
            Node::Local(local) => self.locals[*local] = value.clone(),
            Node::Index(on, key) => {
                let on = self.node(on)?;
                match &on {
                    Value::Hash(hash) => {
                        let key = self.key(key)?;
                        let mut hash = hash.lock();
                        if hash.entries().len() >= ELEMENTS_MAX && hash.get(&key).is_none() {
                            return Err(format!("a hash holds at most {ELEMENTS_MAX} members"));
                        }
                        hash.set(key, value.clone());
                    }
                    Value::Array(list) => {
                        let Value::Int(at) = self.node(key)? else {
                            return Err("an index must be a number".to_owned());
                        };
                        let mut list = list.lock();
                        let at = if at < 0 { at + list.len() as i64 } else { at };
                        let Some(at) = usize::try_from(at).ok().filter(|at| *at < ELEMENTS_MAX) else {
                            return Err("the index is out of range".to_owned());
                        };
                        if at >= list.len() {
                            list.resize(at + 1, Value::Nil);
                        }
                        list[at] = value.clone();
                    }
                    other => return Err(format!("undefined method `[]=' for {}", other.class())),
                }
            }
            _ => return Err("this can't be assigned to".to_owned()),
        }
        Ok(value)
    }

    /// `target << value`: arrays grow in place, texts are put anew.
    fn append(&mut self, target: &Node, value: &Node) -> Outcome {
        let (on, value) = (self.node(target)?, self.node(value)?);
        match (&on, &value) {
            (Value::Array(list), _) => {
                let mut list = list.lock();
                if list.len() >= ELEMENTS_MAX {
                    return Err(format!("an array holds at most {ELEMENTS_MAX} elements"));
                }
                list.push(value);
                drop(list);
                Ok(on)
            }
            (Value::Text(_), Value::Text(_)) => {
                let new = add(&on, &value)?;
                match target {
                    Node::Local(_) | Node::Index(..) => self.assign(target, new),
                    _ => Ok(new),
                }
            }
            _ => Err(format!("undefined method `<<' for {}", on.class())),
        }
    }

    fn event(&mut self, name: &str, arguments: &[Node]) -> Outcome {
        let arguments = self.nodes(arguments)?;
        let text = match arguments.first() {
            Some(Value::Text(text)) => text.clone(),
            Some(other) if name != "tag" => {
                return Err(format!("event.{name} takes the name of a field, not {}", other.class()));
            }
            other => other.map_or_else(String::new, Value::to_text).into(),
        };
        Ok(match (name, &arguments[..]) {
            ("get", _) => self.host.get(&text)?,
            ("set", [_, value]) => {
                self.host.set(&text, value)?;
                value.clone()
            }
            ("remove", _) => self.host.remove(&text)?,
            ("include?", _) => Value::Bool(self.host.includes(&text)?),
            ("tag", _) => {
                self.host.tag(&text);
                Value::Nil
            }
            ("cancel", _) => {
                self.host.cancel();
                Value::Nil
            }
            _ => self.host.timestamp().map_or(Value::Nil, Value::Time),
        })
    }
}

fn index(on: &Value, key: &Value) -> Outcome {
    Ok(match (on, key) {
        (Value::Hash(hash), key) => Key::of(key).and_then(|key| hash.lock().get(&key).cloned()).unwrap_or(Value::Nil),
        (Value::Array(list), Value::Int(at)) => {
            let list = list.lock();
            let at = if *at < 0 { at + list.len() as i64 } else { *at };
            usize::try_from(at).ok().and_then(|at| list.get(at).cloned()).unwrap_or(Value::Nil)
        }
        (Value::Text(text), Value::Int(at)) => {
            let at = if *at < 0 { at + text.chars().count() as i64 } else { *at };
            let c = usize::try_from(at).ok().and_then(|at| text.chars().nth(at));
            c.map_or(Value::Nil, |c| Value::text(c.encode_utf8(&mut [0; 4])))
        }
        (on, key) => return Err(format!("undefined method `[]' for {} with {}", on.class(), key.class())),
    })
}

fn binary(op: Op, first: &Value, second: &Value) -> Outcome {
    Ok(Value::Bool(match op {
        Op::Equal => first.same(second, 0),
        Op::NotEqual => !first.same(second, 0),
        Op::Less => compare(first, second)? == Ordering::Less,
        Op::LessEqual => compare(first, second)? != Ordering::Greater,
        Op::Greater => compare(first, second)? == Ordering::Greater,
        Op::GreaterEqual => compare(first, second)? != Ordering::Less,
        Op::Add => return add(first, second),
        op => return arithmetic(op, first, second),
    }))
}

/// How two values of one kind are ordered.
pub(super) fn compare(first: &Value, second: &Value) -> Outcome<Ordering> {
    let order = match (first, second) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (a, b) => match (a.number(), b.number()) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => None,
        },
    };
    order.ok_or_else(|| format!("comparison of {} with {} failed", first.class(), second.class()))
}

/// `+`
pub(super) fn add(first: &Value, second: &Value) -> Outcome {
    match (first, second) {
        (Value::Text(a), Value::Text(b)) => Ok(Value::text(&format!("{a}{b}"))),
        (Value::Array(a), Value::Array(b)) => {
            let (mut a, b) = (a.lock().clone(), b.lock().clone());
            if a.len() + b.len() > ELEMENTS_MAX {
                return Err(format!("an array holds at most {ELEMENTS_MAX} elements"));
            }
            a.extend(b);
            Ok(Value::array(a))
        }
        (Value::Time(at), by) if by.number().is_some() => moved(*at, by.number().unwrap_or(0.0)),
        _ => arithmetic(Op::Add, first, second),
    }
}

fn moved(at: Timestamp, seconds: f64) -> Outcome {
    let nanos = at.nanos() as f64 + seconds * 1e9;
    if nanos.abs() < 9.2e18 {
        Ok(Value::Time(Timestamp::from_nanos(nanos as i64)))
    } else {
        Err("no such time".to_owned())
    }
}

fn arithmetic(op: Op, first: &Value, second: &Value) -> Outcome {
    if let (Value::Int(a), Value::Int(b)) = (first, second) {
        if matches!(op, Op::Divide | Op::Modulo) && *b == 0 {
            return Err("divided by 0".to_owned());
        }
        let whole = match op {
            Op::Add => a.checked_add(*b),
            Op::Subtract => a.checked_sub(*b),
            Op::Multiply => a.checked_mul(*b),
            // Ruby divides down: -7 / 2 is -4, and -7 % 2 is 1.
            Op::Divide => a.checked_div(*b).map(|q| if (a % b != 0) && ((a < &0) != (b < &0)) { q - 1 } else { q }),
            Op::Modulo => a.checked_rem(*b).map(|r| if r != 0 && ((r < 0) != (*b < 0)) { r + b } else { r }),
            Op::Power if *b >= 0 => u32::try_from(*b).ok().and_then(|b| a.checked_pow(b)),
            _ => return Ok(Value::Float((*a as f64).powf(*b as f64))),
        };
        return whole.map(Value::Int).ok_or_else(|| "the number is too large".to_owned());
    }
    match (op, first, second) {
        (Op::Subtract, Value::Time(a), Value::Time(b)) => {
            return Ok(Value::Float(a.nanos().saturating_sub(b.nanos()) as f64 / 1e9));
        }
        (Op::Subtract, Value::Time(at), by) if by.number().is_some() => return moved(*at, -by.number().unwrap_or(0.0)),
        (Op::Multiply, Value::Text(text), Value::Int(times @ 0..)) => {
            let times = usize::try_from(*times).ok().filter(|times| text.len().saturating_mul(*times) <= ELEMENTS_MAX);
            let times = times.ok_or_else(|| "the text is too long".to_owned())?;
            return Ok(Value::text(&text.repeat(times)));
        }
        _ => {}
    }
    let (Some(a), Some(b)) = (first.number(), second.number()) else {
        let name = match op {
            Op::Add => "+",
            Op::Subtract => "-",
            Op::Multiply => "*",
            Op::Divide => "/",
            Op::Modulo => "%",
            _ => "**",
        };
        return Err(format!("{} {name} {} is not known", first.class(), second.class()));
    };
    Ok(Value::Float(match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide => a / b,
        Op::Modulo => a - b * (a / b).floor(),
        _ => a.powf(b),
    }))
}
