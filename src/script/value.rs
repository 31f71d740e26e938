//! Values of code: arrays and hashes are shared by those who have them, as in Ruby.

use crate::event::Timestamp;
use crate::event::joda::write_iso8601;
use crate::event::ruby;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// `nil`
    Nil,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// `:name`
    Symbol(Arc<str>),
    /// A point in time.
    Time(Timestamp),
    /// Elements in order.
    Array(Arc<Mutex<Vec<Value>>>),
    /// Members in order.
    Hash(Arc<Mutex<Hash>>),
    /// An event that code made, by its fields.
    Event(Arc<Mutex<Hash>>),
}

/// What a member of a hash can be called.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// A text.
    Text(Arc<str>),
    /// `:name`, which is another key than the text.
    Symbol(Arc<str>),
    /// A whole number.
    Int(i64),
    /// `true` or `false`
    Bool(bool),
    /// `nil`
    Nil,
}

/// Members in the order in which they were set.
#[derive(Clone, Default, Debug)]
pub struct Hash {
    entries: Vec<(Key, Value)>,
    at: FxHashMap<Key, usize>,
}

impl Key {
    /// `None` for values that can't be keys here.
    pub fn of(value: &Value) -> Option<Key> {
        Some(match value {
            Value::Text(text) => Key::Text(text.clone()),
            Value::Symbol(name) => Key::Symbol(name.clone()),
            Value::Int(n) => Key::Int(*n),
            Value::Bool(b) => Key::Bool(*b),
            Value::Nil => Key::Nil,
            _ => return None,
        })
    }

    /// The key as a value.
    pub fn value(&self) -> Value {
        match self {
            Key::Text(text) => Value::Text(text.clone()),
            Key::Symbol(name) => Value::Symbol(name.clone()),
            Key::Int(n) => Value::Int(*n),
            Key::Bool(b) => Value::Bool(*b),
            Key::Nil => Value::Nil,
        }
    }
}

impl Hash {
    /// The value of a member.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.at.get(key).map(|&at| &self.entries[at].1)
    }

    /// Sets a member.
    pub fn set(&mut self, key: Key, value: Value) {
        match self.at.get(&key) {
            Some(&at) => self.entries[at].1 = value,
            None => {
                self.at.insert(key.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    /// Removes a member.
    pub fn remove(&mut self, key: &Key) -> Option<Value> {
        let at = self.at.remove(key)?;
        let (_, value) = self.entries.remove(at);
        self.at.values_mut().filter(|other| **other > at).for_each(|other| *other -= 1);
        Some(value)
    }

    /// The members.
    pub fn entries(&self) -> &[(Key, Value)] {
        &self.entries
    }
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    /// An array.
    pub fn array(elements: Vec<Value>) -> Value {
        Value::Array(Arc::new(Mutex::new(elements)))
    }

    /// A hash.
    pub fn hash(hash: Hash) -> Value {
        Value::Hash(Arc::new(Mutex::new(hash)))
    }

    /// All but `nil` and `false` are true.
    pub fn truthy(&self) -> bool {
        !matches!(self, Value::Nil | Value::Bool(false))
    }

    /// What Ruby calls its class.
    pub fn class(&self) -> &'static str {
        match self {
            Value::Nil => "NilClass",
            Value::Bool(true) => "TrueClass",
            Value::Bool(false) => "FalseClass",
            Value::Int(_) => "Integer",
            Value::Float(_) => "Float",
            Value::Text(_) => "String",
            Value::Symbol(_) => "Symbol",
            Value::Time(_) => "LogStash::Timestamp",
            Value::Array(_) => "Array",
            Value::Hash(_) => "Hash",
            Value::Event(_) => "LogStash::Event",
        }
    }

    /// A number as a float.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// `to_s`.
    pub fn to_text(&self) -> String {
        match self {
            Value::Nil => String::new(),
            Value::Text(text) | Value::Symbol(text) => text.to_string(),
            _ => {
                let mut out = Vec::new();
                self.inspect(&mut out, 0);
                String::from_utf8_lossy(&out).into_owned()
            }
        }
    }

    /// Appends `inspect`.
    pub fn inspect(&self, out: &mut Vec<u8>, depth: usize) {
        if depth > super::DEPTH_MAX {
            return out.extend_from_slice(b"...");
        }
        match self {
            Value::Nil => out.extend_from_slice(b"nil"),
            Value::Bool(b) => out.extend_from_slice(b.to_string().as_bytes()),
            Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Value::Float(n) => ruby::write_float(*n, out),
            Value::Text(text) => ruby::write_quoted(text, out),
            Value::Symbol(name) => out.extend_from_slice(format!(":{name}").as_bytes()),
            Value::Event(_) => out.extend_from_slice(b"#<LogStash::Event>"),
            Value::Time(at) => write_iso8601(*at, out),
            Value::Array(list) => {
                out.push(b'[');
                let list = list.lock().clone();
                for (at, element) in list.iter().enumerate() {
                    out.extend_from_slice(if at > 0 { b", " } else { b"" });
                    element.inspect(out, depth + 1);
                }
                out.push(b']');
            }
            Value::Hash(hash) => {
                out.push(b'{');
                let hash = hash.lock().clone();
                for (at, (key, value)) in hash.entries().iter().enumerate() {
                    out.extend_from_slice(if at > 0 { b", " } else { b"" });
                    key.value().inspect(out, depth + 1);
                    out.extend_from_slice(b"=>");
                    value.inspect(out, depth + 1);
                }
                out.push(b'}');
            }
        }
    }

    /// `==`.
    pub fn same(&self, other: &Value, depth: usize) -> bool {
        match (self, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => self.number() == other.number(),
            (Value::Text(a), Value::Text(b)) | (Value::Symbol(a), Value::Symbol(b)) => a == b,
            (Value::Event(a), Value::Event(b)) => Arc::ptr_eq(a, b),
            (Value::Time(a), Value::Time(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => {
                if Arc::ptr_eq(a, b) {
                    return true;
                }
                let (a, b) = (a.lock().clone(), b.lock().clone());
                depth < super::DEPTH_MAX && a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.same(b, depth + 1))
            }
            (Value::Hash(a), Value::Hash(b)) => {
                if Arc::ptr_eq(a, b) {
                    return true;
                }
                let (a, b) = (a.lock().clone(), b.lock().clone());
                let holds = |(key, value): &(Key, Value)| b.get(key).is_some_and(|other| value.same(other, depth + 1));
                depth < super::DEPTH_MAX && a.entries.len() == b.entries.len() && a.entries.iter().all(holds)
            }
            _ => false,
        }
    }
}
