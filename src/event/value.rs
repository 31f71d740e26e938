//! Values of an event: 16 bytes each, everything longer lies in the batch's arenas.

use super::{FieldId, Timestamp};

/// A range of the batch's byte arena. That of a [`Value::Str`] is always valid UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The span of `start..end`.
    pub fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Span { start: start as u32, len: (end - start) as u32 }
    }

    /// The part `start..end` of this span, relative to it.
    #[inline(always)]
    pub fn slice(self, start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= self.len as usize);
        Span { start: self.start + start as u32, len: (end - start) as u32 }
    }

    /// As a range of `usize`, to index with.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    /// Whether it has no bytes.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A range of the batch's entries: the members of a hash or the elements of an array.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct List {
    pub(super) start: u32,
    pub(super) len: u32,
}

impl List {
    /// The number of members.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether it has no members.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// A value; copying it copies no bytes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    /// JSON's null, Ruby's nil.
    Null,
    /// true or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Uint(u64),
    /// A whole number outside of both: its digits in the byte arena, as [`super::Batch::whole`]
    /// makes it.
    Big(Span),
    /// Any other number.
    Float(f64),
    /// Text: valid UTF-8 in the byte arena.
    Str(Span),
    /// A point in time.
    Time(Timestamp),
    /// Elements in order; their keys mean nothing.
    Array(List),
    /// Members in order, each key once.
    Object(List),
}

impl Value {
    /// A number, rounded to what a float holds; `None` for one that only [`super::Batch::number`]
    /// can read.
    pub fn as_number(self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(n as f64),
            Value::Uint(n) => Some(n as f64),
            Value::Float(n) => Some(n),
            _ => None,
        }
    }
}

/// A member of a hash (or an element of an array, where `key` is [`FieldId::EMPTY`]).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Entry {
    /// Its name.
    pub key: FieldId,
    /// For a top-level member that is still what the raw bytes say: its place among the
    /// members there, from 1 on; else 0.
    pub(crate) raw: u32,
    /// Its value.
    pub value: Value,
}

impl Entry {
    /// A member that does not come from raw bytes.
    #[inline(always)]
    pub fn new(key: FieldId, value: Value) -> Entry {
        Entry { key, raw: 0, value }
    }

    /// An element of an array.
    #[inline(always)]
    pub fn element(value: Value) -> Entry {
        Entry::new(FieldId::EMPTY, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_hold() {
        assert_eq!(size_of::<Value>(), 16);
        assert_eq!(size_of::<Entry>(), 24);
    }
}
