//! A small part of Ruby, for the code in filters' options: values, hashes and arrays, operators,
//! `if` and `unless`, blocks over collections, and the methods in [`method`].
//!
//! What is not part of it is a mistake when the code is read, never when it runs: nothing is taken
//! for something else. No I/O, no clock; what code may do to events it does through a [`Host`].
//! Strings don't change in place: `<<` puts a new one where the old one was.

mod eval;
mod lexer;
mod made;
pub mod method;
mod parser;
mod value;

pub use value::{Hash, Key, Value};

use crate::event::Timestamp;

/// Elements of one array or hash at the most; more is an error in the code.
pub const ELEMENTS_MAX: usize = 1_000_000;
/// How deep values may be nested.
pub const DEPTH_MAX: usize = 100;

/// Why code is none, or why it stopped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// In the code, from 1 on; 0 while it runs.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// What came of running code, or of a part of it.
pub type Outcome<T = Value> = Result<T, String>;

/// What code can do.
pub trait Host {
    /// `event.get(field)`.
    fn get(&mut self, field: &str) -> Outcome;
    /// `event.set(field, value)`.
    fn set(&mut self, field: &str, value: &Value) -> Outcome<()>;
    /// `event.remove(field)`.
    fn remove(&mut self, field: &str) -> Outcome;
    /// `event.include?(field)`.
    fn includes(&mut self, field: &str) -> Outcome<bool>;
    /// `event.tag(tag)`.
    fn tag(&mut self, tag: &str);
    /// `event.cancel`.
    fn cancel(&mut self);
    /// `event.timestamp`.
    fn timestamp(&mut self) -> Option<Timestamp>;
    /// `new_event_block.call(event)`, with the fields of an event that code made.
    fn create(&mut self, members: &Value) -> Outcome<()>;
    /// `map_meta.timeout = value` and others of that kind.
    fn meta(&mut self, name: &str, value: &Value) -> Outcome<()>;
}

/// Names that stand for something besides `event`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names {
    /// `map`, `map_meta` and `new_event_block`.
    pub map: bool,
}

/// Code that was read.
#[derive(Debug)]
pub struct Program {
    body: parser::Node,
    locals: usize,
}

impl Program {
    /// Reads code.
    pub fn parse(code: &str, names: Names) -> Result<Program, ScriptError> {
        let tokens = lexer::tokens(code)?;
        let (body, locals) = parser::parse(tokens, names)?;
        Ok(Program { body, locals })
    }

    /// Runs it; `map` is what the name stands for.
    pub fn run(&self, map: &Value, host: &mut dyn Host) -> Outcome {
        let locals = vec![Value::Nil; self.locals];
        eval::Run { host, map, locals, depth: 0 }.node(&self.body)
    }
}

#[cfg(test)]
mod tests;
