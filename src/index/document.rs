//! From an event to the fields of its stream: nested objects become dotted paths, arrays several
//! values, and every leaf goes to the field of its path or to a typed sub-field of it.
//!
//! Where a path leads is looked up in the stream's mapping once per segment; after that an event
//! whose keys come in the usual order costs a comparison of integers per field. No value is lost:
//! what no field can hold stays in `_source`.

use super::date;
use super::mapping::{DEPTH_MAX, KEYWORD_BYTES_MAX, Kind};
use super::stream::{Sample, Stream};
use crate::event::{Batch, EventId, FieldId, List, Timestamp, Value};
use rustc_hash::FxHashMap;
use std::io::Write;

/// A value as its field holds it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Leaf<'a> {
    Text(&'a str),
    Long(i64),
    Double(f64),
    Boolean(bool),
    Date(Timestamp),
}

impl<'a> Leaf<'a> {
    /// The leaf that a value is; null, arrays and hashes are none.
    #[inline]
    pub(super) fn of(batch: &'a Batch, value: Value) -> Option<Leaf<'a>> {
        Some(match value {
            Value::Bool(value) => Leaf::Boolean(value),
            Value::Int(value) => Leaf::Long(value),
            Value::Uint(value) => Leaf::Double(value as f64),
            Value::Big(_) => Leaf::Double(batch.number(value)?),
            Value::Float(value) => Leaf::Double(value),
            Value::Str(span) => Leaf::Text(batch.text(span)),
            Value::Time(at) => Leaf::Date(at),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        })
    }

    fn kind(&self) -> Kind {
        match self {
            Leaf::Text(_) => Kind::Keyword,
            Leaf::Long(_) => Kind::Long,
            Leaf::Double(_) => Kind::Double,
            Leaf::Boolean(_) => Kind::Boolean,
            Leaf::Date(_) => Kind::Date,
        }
    }
}

/// Takes the values of a document, field by number.
pub(super) trait Sink {
    fn value(&mut self, field: u32, kind: Kind, leaf: Leaf);
}

const UNKNOWN: u32 = u32::MAX;
const REFUSED: u32 = u32::MAX - 1;
const ROOT: u32 = 0;

struct Node {
    path: Box<str>,
    /// Children in the order in which they were first seen.
    children: Vec<(FieldId, u32)>,
    base: u32,
    kind: Kind,
    subs: [u32; 6],
}

impl Node {
    fn new(path: Box<str>) -> Node {
        Node { path, children: Vec::new(), base: UNKNOWN, kind: Kind::Keyword, subs: [UNKNOWN; 6] }
    }
}

/// Walks events of one stream.
pub(super) struct Walker<'a> {
    stream: &'a Stream,
    nodes: Vec<Node>,
    by_key: FxHashMap<(u32, FieldId), u32>,
    digits: Vec<u8>,
}

impl<'a> Walker<'a> {
    pub fn new(stream: &'a Stream) -> Walker<'a> {
        Walker { stream, nodes: vec![Node::new("".into())], by_key: FxHashMap::default(), digits: Vec::new() }
    }

    /// Gives all values of an event, without those of `@metadata`, to the sink.
    pub fn walk(&mut self, batch: &Batch, event: EventId, sink: &mut impl Sink) {
        for (at, entry) in batch.fields(event).iter().enumerate() {
            if entry.key != FieldId::METADATA {
                let node = self.child(batch, ROOT, entry.key, at);
                self.value(batch, node, entry.value, 1, sink);
            }
        }
    }

    #[inline]
    fn child(&mut self, batch: &Batch, parent: u32, key: FieldId, at: usize) -> u32 {
        match self.nodes[parent as usize].children.get(at) {
            Some(&(usual, node)) if usual == key && key.name().is_some() => node,
            _ => self.child_slow(batch, parent, key),
        }
    }

    #[cold]
    fn child_slow(&mut self, batch: &Batch, parent: u32, key: FieldId) -> u32 {
        // Ids that only the batch knows mean something else in the next one.
        let lasting = key.name().is_some();
        if lasting && let Some(&node) = self.by_key.get(&(parent, key)) {
            return node;
        }
        let above = &self.nodes[parent as usize].path;
        let name = batch.name(key);
        let path = if parent == ROOT { name.into() } else { format!("{above}.{name}").into() };
        let node = self.nodes.len() as u32;
        self.nodes.push(Node::new(path));
        if lasting {
            self.by_key.insert((parent, key), node);
            self.nodes[parent as usize].children.push((key, node));
        }
        node
    }

    fn value(&mut self, batch: &Batch, node: u32, value: Value, depth: usize, sink: &mut impl Sink) {
        match value {
            Value::Object(list) => self.object(batch, node, list, depth, sink),
            Value::Array(list) => {
                for at in 0..list.len() {
                    let element = batch.entries(list)[at].value;
                    self.value(batch, node, element, depth + matches!(element, Value::Array(_)) as usize, sink);
                }
            }
            leaf => {
                if let Some(leaf) = Leaf::of(batch, leaf) {
                    self.leaf(node, leaf, sink);
                }
            }
        }
    }

    fn object(&mut self, batch: &Batch, node: u32, list: List, depth: usize, sink: &mut impl Sink) {
        if depth >= DEPTH_MAX {
            self.stream.count_unmapped();
            return;
        }
        for (at, entry) in batch.entries(list).iter().enumerate() {
            let child = self.child(batch, node, entry.key, at);
            self.value(batch, child, entry.value, depth + 1, sink);
        }
    }

    #[inline]
    fn leaf(&mut self, at: u32, leaf: Leaf, sink: &mut impl Sink) {
        let node = &mut self.nodes[at as usize];
        if node.base == UNKNOWN {
            let sample = match leaf {
                Leaf::Text(text) => Sample::Text(text),
                other => Sample::Of(other.kind()),
            };
            (node.base, node.kind) = self.stream.resolve(&node.path, sample).unwrap_or((REFUSED, Kind::Keyword));
        }
        if node.base == REFUSED {
            self.stream.count_unmapped();
            return;
        }
        let (base, kind) = (node.base, node.kind);
        match fit(kind, leaf) {
            Some(leaf) => self.give(base, kind, leaf, sink),
            None if matches!(kind, Kind::Keyword | Kind::Text) => self.number_as_text(at, leaf, sink),
            None => self.sub(at, leaf, sink),
        }
    }

    fn give(&mut self, field: u32, kind: Kind, leaf: Leaf, sink: &mut impl Sink) {
        match leaf {
            Leaf::Text(text) if kind == Kind::Keyword && text.len() > KEYWORD_BYTES_MAX => self.stream.count_unmapped(),
            leaf => sink.value(field, kind, leaf),
        }
    }

    /// A number among strings: found as the string that it is, and by its value.
    fn number_as_text(&mut self, at: u32, leaf: Leaf, sink: &mut impl Sink) {
        let mut digits = std::mem::take(&mut self.digits);
        digits.clear();
        let written = match leaf {
            Leaf::Long(n) => write!(digits, "{n}"),
            Leaf::Double(n) => {
                crate::event::json::write_float(n, &mut digits);
                Ok(())
            }
            Leaf::Boolean(b) => write!(digits, "{b}"),
            Leaf::Date(time) => {
                crate::event::joda::write_iso8601(time, &mut digits);
                Ok(())
            }
            Leaf::Text(_) => Ok(()),
        };
        debug_assert!(written.is_ok());
        let node = &self.nodes[at as usize];
        if let Ok(text) = std::str::from_utf8(&digits) {
            sink.value(node.base, node.kind, Leaf::Text(text));
        }
        self.digits = digits;
        self.sub(at, leaf, sink);
    }

    fn sub(&mut self, at: u32, leaf: Leaf, sink: &mut impl Sink) {
        let kind = leaf.kind();
        let node = &mut self.nodes[at as usize];
        let slot = &mut node.subs[kind as usize];
        if *slot == UNKNOWN {
            *slot = self.stream.resolve_sub(&node.path, kind).unwrap_or(REFUSED);
        }
        match *slot {
            REFUSED => self.stream.count_unmapped(),
            field => self.give(field, kind, leaf, sink),
        }
    }
}

/// The value as a field of `kind` holds it, if it can: as Elasticsearch coerces, but never with
/// a loss.
pub(super) fn fit(kind: Kind, leaf: Leaf) -> Option<Leaf> {
    match (kind, leaf) {
        (Kind::Keyword | Kind::Text, Leaf::Text(_))
        | (Kind::Long, Leaf::Long(_))
        | (Kind::Double, Leaf::Double(_))
        | (Kind::Boolean, Leaf::Boolean(_))
        | (Kind::Date, Leaf::Date(_)) => Some(leaf),
        (Kind::Double, Leaf::Long(n)) => Some(Leaf::Double(n as f64)),
        (Kind::Long, Leaf::Double(n)) => whole(n).map(Leaf::Long),
        (Kind::Long, Leaf::Text(text)) => text.trim().parse().ok().map(Leaf::Long),
        (Kind::Double, Leaf::Text(text)) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()).map(Leaf::Double),
        (Kind::Boolean, Leaf::Text("true")) => Some(Leaf::Boolean(true)),
        (Kind::Boolean, Leaf::Text("false" | "")) => Some(Leaf::Boolean(false)),
        (Kind::Date, Leaf::Text(text)) => date::parse(text).map(Leaf::Date),
        (Kind::Date, Leaf::Long(millis)) => Some(Leaf::Date(Timestamp::from_millis(millis))),
        _ => None,
    }
}

fn whole(n: f64) -> Option<i64> {
    (n.fract() == 0.0 && n.abs() <= (1u64 << 53) as f64).then_some(n as i64)
}

/// When an event happened: its `@timestamp`, also where that is a string or a number.
pub(super) fn time_of(batch: &Batch, event: EventId) -> Option<Timestamp> {
    match batch.get_key(event, FieldId::TIMESTAMP)? {
        Value::Time(at) => Some(at),
        Value::Str(span) => date::parse(batch.text(span)),
        Value::Int(millis) => Some(Timestamp::from_millis(millis)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Span, json};

    #[derive(Default)]
    struct Seen(Vec<(u32, String)>);

    impl Sink for Seen {
        fn value(&mut self, field: u32, _: Kind, leaf: Leaf) {
            self.0.push((field, format!("{leaf:?}")));
        }
    }

    fn walk(documents: &[&str]) -> Vec<String> {
        let stream = Stream::new("s".into(), Vec::new().into());
        let mut walker = Walker::new(&stream);
        let mut seen = Seen::default();
        let mut batch = Batch::new();
        for text in documents {
            let span: Span = batch.push_text(text);
            json::Parser::default().parse_event(&mut batch, span).unwrap();
        }
        for event in 0..batch.len() as EventId {
            walker.walk(&batch, event, &mut seen);
        }
        let mapping = stream.mapping();
        let path = |field: u32| mapping.fields()[field as usize].path.to_string();
        seen.0.into_iter().map(|(field, leaf)| format!("{}={leaf}", path(field))).collect()
    }

    #[test]
    fn objects_become_paths_and_arrays_values() {
        let seen = walk(&[r#"{"a":{"b":1,"c":[true,null,[2.5]]},"a.b":2,"l":[],"o":[{"x":"p"},{"x":"q"}]}"#]);
        let want = [
            "a.b=Long(1)",
            "a.c=Boolean(true)",
            "a.c.as_double=Double(2.5)",
            "a.b=Long(2)",
            "o.x=Text(\"p\")",
            "o.x=Text(\"q\")",
        ];
        assert_eq!(seen, want);
    }

    #[test]
    fn other_kinds_go_to_sub_fields() {
        let seen = walk(&[r#"{"n":1,"s":"x"}"#, r#"{"n":"7","s":2}"#, r#"{"n":"seven","s":true}"#, r#"{"n":1.5}"#]);
        let want = [
            "n=Long(1)",
            "s=Text(\"x\")",
            "n=Long(7)",
            "s=Text(\"2\")",
            "s.as_long=Long(2)",
            "n.as_keyword=Text(\"seven\")",
            "s=Text(\"true\")",
            "s.as_boolean=Boolean(true)",
            "n.as_double=Double(1.5)",
        ];
        assert_eq!(seen, want);
    }

    #[test]
    fn deep_objects_and_metadata_have_no_fields() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(30), "}".repeat(30));
        assert!(walk(&[&deep]).is_empty());
        assert!(walk(&[r#"{"@metadata":{"x":1},"_id":"y"}"#]).is_empty());
    }
}
