//! Bytes to values. [`scan`] does it in one pass where the document is as documents are; where it
//! declines, simd-json finds the structure or the mistake, and a pass over its tape fills the batch.
//!
//! simd-json writes texts that it unescapes into the buffer that it parses. A document without
//! a backslash is therefore parsed where it lies, since nothing will be written; any other is
//! copied behind the arena first, so that the bytes as read stay whole for [`super::write_event`].

use super::names::Names;
use super::scan::{Input, Scratch, scan};

use crate::event::batch::Raw;
use crate::event::{Batch, Entry, EventId, FieldId, List, Span, Timestamp, Value, joda};
use rustc_hash::{FxHashMap, FxHashSet};
use simd_json::tape::Node;
use simd_json::{Buffers, ErrorType, INPUT_PADDING, StaticNode, Tape};

/// How deep arrays and hashes may be nested: what Logstash's JSON library takes.
pub const DEPTH_MAX: usize = 1000;
/// Room for what the pipeline adds to an event: `@timestamp`, `@version`, `host`, `tags` …
const ROOM: u32 = 6;
/// A parser that grew past this on one document gives its memory back.
const KEEP_BYTES: usize = 1 << 20;
/// From this many members on, doubled names are looked for by a set.
const MANY: usize = 64;

/// Why bytes are no JSON.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("cannot parse JSON: {reason} at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub reason: &'static str,
    /// Where, as far as known.
    pub at: usize,
}

/// What [`Parser::parse_event`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decoded {
    /// A hash: it is an event now.
    Event(EventId),
    /// An array.
    Array(List),
    /// Any other value.
    Scalar(Value),
    /// Nothing but white space.
    Blank,
}

/// Parses JSON into batches; its memory is reused from document to document.
pub struct Parser {
    buffers: Buffers,
    tape: Tape<'static>,
    /// The lists that are not complete, without the innermost.
    open: Vec<Level>,
    names: Names,
    scratch: Scratch,
    text: Vec<u8>,
}

/// A list on its way to be filled.
#[derive(Clone, Copy)]
struct Level {
    start: u32,
    next: u32,
    end: u32,
    hash: bool,
    /// Ids seen in this hash, folded to 64 bits: a bit set twice may be a name set twice.
    seen: u64,
    /// Whether a name may stand there twice.
    doubled: bool,
    /// 1 at the top of an event, to number its members; else 0.
    step: u32,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser {
            buffers: Buffers::with_max_depth(1024, DEPTH_MAX),
            tape: Tape(Vec::new()),
            open: Vec::new(),
            names: Names::default(),
            scratch: Scratch::default(),
            text: Vec::new(),
        }
    }
}

impl Parser {
    /// Parses the JSON at a span into a value of the same batch. The bytes stay as they are.
    pub fn parse(&mut self, batch: &mut Batch, span: Span) -> Result<Value, JsonError> {
        Ok(self.document(batch, span, 0)?.0)
    }

    /// Parses the JSON at a span; a hash becomes an event, which may later leave as these bytes.
    ///
    /// As Logstash's `Event.fromJson`: `@timestamp` becomes a time, or where it is none moves to
    /// `_@timestamp` with the tag `_timestampparsefailure`; `tags` that are neither text nor texts
    /// move to `_tags` with the tag `_tagsparsefailure`.
    pub fn parse_event(&mut self, batch: &mut Batch, span: Span) -> Result<Decoded, JsonError> {
        let bytes = batch.bytes(span);
        let Some(first) = bytes.iter().position(|b| !is_space(*b)) else { return Ok(Decoded::Blank) };
        let last = bytes.iter().rposition(|b| !is_space(*b)).expect("BUG: a byte that is no space");
        let span = span.slice(first, last + 1);
        match self.document(batch, span, ROOM)? {
            (Value::Object(root), usable) => {
                let members = root.len() as u32;
                let event = batch.adopt_event(root, ROOM, usable.then_some(Raw { span, members }));
                self.settle(batch, event);
                Ok(Decoded::Event(event))
            }
            (Value::Array(list), _) => Ok(Decoded::Array(list)),
            (value, _) => Ok(Decoded::Scalar(value)),
        }
    }

    /// Makes an event of a decoded hash, with the same rules for its fields.
    pub fn event(&mut self, batch: &mut Batch, members: List) -> EventId {
        let (_, entries, _) = batch.arenas();
        let root = List { start: entries.len() as u32, len: members.len };
        entries.extend_from_within(members.range());
        entries.resize(entries.len() + ROOM as usize, Entry::new(FieldId::EMPTY, Value::Null));
        let event = batch.adopt_event(root, ROOM, None);
        self.settle(batch, event);
        event
    }

    /// As [`Parser::parse`], by simd-json alone: what the laws compare the scan with.
    #[cfg(test)]
    pub(super) fn parse_by_tape(&mut self, batch: &mut Batch, span: Span) -> Result<Value, JsonError> {
        let end = span.range().end + INPUT_PADDING;
        let (arena, ..) = batch.arenas();
        arena.resize(arena.len().max(end), b' ');
        Ok(self.by_tape(batch, span, 0)?.0)
    }

    /// Gives the value and whether the bytes can serve again as the event's.
    fn document(&mut self, batch: &mut Batch, span: Span, room: u32) -> Result<(Value, bool), JsonError> {
        let (arena, entries, local) = batch.arenas();
        let len = span.len as usize;
        let kept = arena.len();
        // A document may have to be copied behind the arena.
        if kept + len + 2 * INPUT_PADDING > u32::MAX as usize {
            return Err(JsonError { reason: "the batch is full", at: 0 });
        }
        let end = span.range().end + INPUT_PADDING;
        if kept < end {
            arena.resize(end, b' ');
        }
        let input = Input {
            text: &arena[span.start as usize..end],
            len,
            start: span.start,
            unescaped: arena.len() as u32,
            entries,
            names: &mut self.names,
            local,
            scratch: &mut self.scratch,
        };
        let found = scan(input, room);
        if found.is_some() {
            arena.extend_from_slice(&self.scratch.unescaped);
        }
        let made = match found {
            Some(found) => Ok((found.value, found.once && !found.lines)),
            None => self.by_tape(batch, span, room),
        };
        if len > KEEP_BYTES {
            self.forget();
        }
        made
    }

    /// Gives memory back.
    fn forget(&mut self) {
        self.buffers = Buffers::with_max_depth(1024, DEPTH_MAX);
        self.tape = Tape(Vec::new());
        self.open = Vec::new();
        self.scratch = Scratch::default();
    }

    /// What [`scan`] declined.
    #[cold]
    fn by_tape(&mut self, batch: &mut Batch, span: Span, room: u32) -> Result<(Value, bool), JsonError> {
        let bytes = batch.bytes(span);
        let escapes = memchr::memchr(b'\\', bytes).is_some();
        let lines = memchr::memchr(b'\n', bytes).is_some();
        let (arena, entries, local) = batch.arenas();
        let len = span.len as usize;
        let kept = arena.len();
        let start = if escapes { kept } else { span.start as usize };
        if escapes {
            arena.reserve(len + INPUT_PADDING);
            arena.extend_from_within(span.range());
            arena.resize(start + len + INPUT_PADDING, b' ');
        }
        let address = arena.as_ptr() as usize;
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let padded = &mut arena[start..start + len + INPUT_PADDING];
        let filled = simd_json::fill_tape_padded(padded, len, &mut self.buffers, &mut tape);
        let made = match filled {
            Ok(()) => {
                self.names.begin();
                let mut pass = Pass { address, entries, names: &mut self.names, local, open: &mut self.open };
                Ok(pass.run(&tape.0, room, &mut self.scratch.seen))
            }
            Err(error) => Err(JsonError { reason: reason(error.error()), at: error.index() }),
        };
        self.tape = tape.reset();
        if escapes {
            arena.truncate(if made.is_ok() { kept + len } else { kept });
        }
        made.map(|(value, once)| (value, once && !lines))
    }

    /// What Logstash does to the fields of an event that came as a whole.
    #[inline]
    fn settle(&mut self, batch: &mut Batch, event: EventId) {
        let special = FieldId::TIMESTAMP.0..=FieldId::METADATA.0;
        for at in 0..batch.fields(event).len() {
            let entry = batch.fields(event)[at];
            if special.contains(&entry.key.0) {
                self.settle_special(batch, event, entry);
                // Removal moves the fields behind it: look at them all again.
                if batch.fields(event).get(at).is_none_or(|e| e.key != entry.key) {
                    return self.settle(batch, event);
                }
            }
        }
    }

    #[cold]
    fn settle_special(&mut self, batch: &mut Batch, event: EventId, entry: Entry) {
        match entry.key {
            FieldId::TIMESTAMP => self.settle_timestamp(batch, event, entry.value),
            FieldId::TAGS if !are_tags(batch, entry.value) => {
                let key = batch.key("_tags");
                batch.set_key(event, key, entry.value);
                batch.remove_key(event, FieldId::TAGS);
                batch.tag(event, "_tagsparsefailure");
            }
            // It never leaves, so the bytes can't leave as they are.
            FieldId::METADATA => batch.forget_raw(event),
            _ => {}
        }
    }

    fn settle_timestamp(&mut self, batch: &mut Batch, event: EventId, value: Value) {
        let parsed: Option<Timestamp> = batch.as_text(value).and_then(joda::parse_iso8601);
        match (parsed, value) {
            (Some(at), Value::Str(span)) => {
                self.text.clear();
                joda::write_iso8601(at, &mut self.text);
                let same = self.text == batch.bytes(span);
                batch.set_decoded(event, FieldId::TIMESTAMP, Value::Time(at), same);
            }
            (_, Value::Time(_)) => {}
            (_, Value::Null) => {
                batch.remove_key(event, FieldId::TIMESTAMP);
            }
            _ => {
                batch.remove_key(event, FieldId::TIMESTAMP);
                batch.set_key(event, FieldId::BAD_TIMESTAMP, value);
                batch.tag(event, "_timestampparsefailure");
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn are_tags(batch: &Batch, value: Value) -> bool {
    match value {
        Value::Str(_) | Value::Null => true,
        Value::Array(list) => batch.entries(list).iter().all(|e| matches!(e.value, Value::Str(_))),
        _ => false,
    }
}

/// One pass over a tape.
struct Pass<'a> {
    /// Where the arena begins: texts become offsets from there.
    address: usize,
    entries: &'a mut Vec<Entry>,
    names: &'a mut Names,
    local: &'a mut crate::event::batch::LocalNames,
    open: &'a mut Vec<Level>,
}

impl Pass<'_> {
    /// Gives the document's value, and whether every name stood in its hash only once.
    fn run(&mut self, nodes: &[Node<'_>], room: u32, seen: &mut FxHashSet<FieldId>) -> (Value, bool) {
        let (first, rest) = nodes.split_first().expect("BUG: an empty tape");
        let (top, mut level) = match *first {
            Node::Object { len, .. } => self.begin(len, true, room),
            Node::Array { len, .. } => self.begin(len, false, 0),
            ref leaf => return (self.leaf(leaf), true),
        };
        level.step = (room > 0) as u32;
        self.open.clear();
        let (mut top, mut once) = (top, true);
        let mut nodes = rest.iter();
        loop {
            while level.next == level.end {
                let list = self.end(&level, seen, &mut once);
                let Some(outer) = self.open.pop() else {
                    if let (Value::Array(of) | Value::Object(of), Some(list)) = (&mut top, list) {
                        *of = list;
                    }
                    return (top, once);
                };
                if let Some(list) = list {
                    self.entries[outer.next as usize - 1].value = Value::Object(list);
                }
                level = outer;
            }
            let mut node = nodes.next().expect("BUG: the tape ends early");
            let mut key = FieldId::EMPTY;
            if level.hash {
                if let Node::String(name) = node {
                    key = self.names.id(name, self.local);
                }
                node = nodes.next().expect("BUG: a name without a value");
                let bit = 1 << (key.0 & 63);
                level.doubled |= level.seen & bit != 0;
                level.seen |= bit;
            }
            let slot = level.next as usize;
            level.next += 1;
            let raw = (level.next - level.start) * level.step;
            match *node {
                Node::Object { len, .. } => {
                    let (value, inner) = self.begin(len, true, 0);
                    self.entries[slot] = Entry { key, raw, value };
                    self.open.push(level);
                    level = inner;
                }
                Node::Array { len, .. } => {
                    let (value, inner) = self.begin(len, false, 0);
                    self.entries[slot] = Entry { key, raw, value };
                    self.open.push(level);
                    level = inner;
                }
                ref leaf => self.entries[slot] = Entry { key, raw, value: self.leaf(leaf) },
            }
        }
    }

    #[inline]
    fn begin(&mut self, len: usize, hash: bool, room: u32) -> (Value, Level) {
        let (start, len) = (self.entries.len() as u32, len as u32);
        let end = start + len;
        self.entries.resize((end + room) as usize, Entry::new(FieldId::EMPTY, Value::Null));
        let list = List { start, len };
        let value = if hash { Value::Object(list) } else { Value::Array(list) };
        (value, Level { start, next: start, end, hash, seen: 0, doubled: false, step: 0 })
    }

    /// The shorter list, where a name stood in it twice.
    #[inline]
    fn end(&mut self, level: &Level, seen: &mut FxHashSet<FieldId>, once: &mut bool) -> Option<List> {
        if !level.doubled {
            return None;
        }
        let len = keep_last(&mut self.entries[level.start as usize..level.end as usize], seen)?;
        *once = false;
        Some(List { start: level.start, len: len as u32 })
    }

    #[inline]
    fn leaf(&self, node: &Node<'_>) -> Value {
        match *node {
            Node::String(text) => {
                Value::Str(Span { start: (text.as_ptr() as usize - self.address) as u32, len: text.len() as u32 })
            }
            Node::Static(StaticNode::I64(n)) => Value::Int(n),
            Node::Static(StaticNode::U64(n)) => i64::try_from(n).map_or(Value::Uint(n), Value::Int),
            Node::Static(StaticNode::F64(n)) => Value::Float(n),
            Node::Static(StaticNode::Bool(b)) => Value::Bool(b),
            Node::Static(StaticNode::Null) => Value::Null,
            Node::Object { .. } | Node::Array { .. } => unreachable!("BUG: a list among leaves"),
        }
    }
}

/// Of entries with the same name the last value stays, at the place of the first, as in a hash of
/// Ruby or Java. Gives their number if it is less than before.
#[cold]
pub(super) fn keep_last(entries: &mut [Entry], seen: &mut FxHashSet<FieldId>) -> Option<usize> {
    let doubled = if entries.len() < MANY {
        entries.iter().enumerate().any(|(at, e)| entries[..at].iter().any(|before| before.key == e.key))
    } else {
        seen.clear();
        !entries.iter().all(|e| seen.insert(e.key))
    };
    if !doubled {
        return None;
    }
    let mut places = FxHashMap::default();
    let mut len = 0;
    for at in 0..entries.len() {
        let entry = entries[at];
        let place = *places.entry(entry.key).or_insert(len);
        if place == len {
            entries[len] = entry;
            len += 1;
        } else {
            entries[place].value = entry.value;
        }
    }
    Some(len)
}

fn reason(error: &ErrorType) -> &'static str {
    match error {
        ErrorType::DepthLimitExceeded => "nested too deeply",
        ErrorType::Eof => "it ends early",
        ErrorType::InvalidUtf8 => "invalid UTF-8",
        ErrorType::InvalidEscape | ErrorType::InvalidUnicodeCodepoint | ErrorType::InvalidUnicodeEscape => {
            "invalid escape sequence"
        }
        ErrorType::InvalidNumber | ErrorType::InvalidExponent | ErrorType::Overflow => "invalid number",
        ErrorType::TrailingData => "more behind the value",
        ErrorType::ExpectedObjectKey => "expected a name",
        ErrorType::ExpectedArrayContent | ErrorType::ExpectedArrayComma => "expected `,` or `]`",
        ErrorType::ExpectedObjectContent | ErrorType::ExpectedObjectColon => "expected a member or `}`",
        ErrorType::InputTooLarge => "too long",
        _ => "syntax error",
    }
}
