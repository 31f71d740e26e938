//! A batch: the unit that moves between threads, and the owner of its events' bytes.

mod fields;
mod look;

pub(crate) use look::{Fields, Look};

use super::{Entry, FieldId, FieldRef, FieldRefError, List, Span, Timestamp, Value, field};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Room for top-level fields that an event gets with its first one: what the pipeline sets and an
/// access log's fields, so that most events never move.
const FIELDS: u32 = 16;

/// The arena is looked at in steps of so many bytes.
const ASCII_STEP: usize = 4096;

/// The place of an event in its batch.
pub type EventId = u32;

/// What an input cut out of its stream: the bytes of one event or (for a codec like
/// `json_lines` given a list) several, not decoded yet.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The bytes, without delimiter, perhaps not valid UTF-8.
    pub bytes: Span,
    /// Which of the batch's origins it came from.
    pub origin: u32,
    /// Index + 1 into [`Batch::frame_tags`] of tags that the framing adds; 0 for none.
    pub tags: u32,
}

/// Fields that an input sets on all events of one stream (its host, its file's path …),
/// where the event has none of its own.
#[derive(Debug, Default)]
pub struct Origin {
    /// The fields in the order in which they are set.
    pub fields: Vec<(FieldRef, String)>,
    /// Fields that hold a number: an offset, a port.
    pub numbers: Vec<(FieldRef, i64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Event {
    root: List,
    /// Room of the root list in the entries arena; at least `root.len`.
    capacity: u32,
    /// The union of the [`FieldId::bit`]s of the top-level fields that it has, or had: a name whose
    /// bit is missing needs no search.
    names: u64,
    cancelled: bool,
    /// The event of which this one was made, in the first generation; else itself.
    ancestor: EventId,
    raw: Option<Raw>,
}

/// The JSON object that an event was decoded from, where its bytes can serve again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    /// From the opening brace to the closing one, on one line.
    pub span: Span,
    /// The number of its members.
    pub members: u32,
}

/// Names that only one batch knows.
#[derive(Default)]
pub(super) struct LocalNames {
    names: Vec<Box<str>>,
    ids: FxHashMap<Box<str>, u32>,
}

impl LocalNames {
    /// The id of a name that came with the data.
    pub(super) fn key(&mut self, name: &str) -> FieldId {
        if let Some(id) = FieldId::intern_bounded(name) {
            return id;
        }
        if let Some(&at) = self.ids.get(name) {
            return FieldId(field::LOCAL | at);
        }
        while field::is_left_out(field::LOCAL | self.names.len() as u32) {
            self.names.push("".into());
        }
        let at = self.names.len() as u32;
        self.names.push(name.into());
        self.ids.insert(name.into(), at);
        FieldId(field::LOCAL | at)
    }
}

/// Events and all the bytes and values they consist of.
#[derive(Default)]
pub struct Batch {
    /// The byte arena: what the input read, then what decoding and filters made.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    events: Vec<Event>,
    /// How many of them are cancelled.
    cancelled: usize,
    local: LocalNames,
    /// What the input cut, waiting to be decoded by a worker.
    pub frames: Vec<Frame>,
    /// Where the frames came from.
    pub origins: Vec<Arc<Origin>>,
    /// Tags that the framing adds, see [`Frame::tags`].
    pub frame_tags: Vec<Box<[&'static str]>>,
    /// The time at which the input read the batch: `@timestamp` of events without one.
    pub read_at: Option<Timestamp>,
    /// Up to where the byte arena is ASCII, once anybody asked.
    ascii: Option<usize>,
    /// How many fields the last event of the batch before had in the end: room for a new event, so
    /// that it need not move while it grows.
    room: u32,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Empties the batch and keeps its memory, up to a limit so that one huge line
    /// does not pin its size for ever.
    pub fn recycle(&mut self) {
        const KEEP_BYTES: usize = 16 << 20;
        const ROOM_MAX: u32 = 64;
        self.room = self.events.last().map_or(0, |event| event.root.len.next_multiple_of(4).min(ROOM_MAX));
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_BYTES);
        self.entries.clear();
        self.entries.shrink_to(KEEP_BYTES / size_of::<Entry>());
        self.events.clear();
        self.cancelled = 0;
        self.local.names.clear();
        self.local.ids.clear();
        self.frames.clear();
        self.origins.clear();
        self.frame_tags.clear();
        self.read_at = None;
        self.ascii = None;
    }

    /// Bytes of memory that the batch holds, roughly.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.events.capacity() * size_of::<Event>()
    }

    // Bytes and text

    /// The byte arena, for inputs that read into it and codecs that cut it.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.forget_ascii();
        &mut self.bytes
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.bytes[span.range()]
    }

    /// Whether the bytes of a span are ASCII, by one look at the arena as it is at the first call:
    /// a batch of access logs needs no look at each line. `false` where that look did not reach.
    pub(crate) fn look_ascii(&mut self, span: Span) -> bool {
        let bytes = &self.bytes;
        let until = *self.ascii.get_or_insert_with(|| {
            let whole = bytes.chunks(ASCII_STEP).take_while(|chunk| chunk.is_ascii()).count();
            (whole * ASCII_STEP).min(bytes.len())
        });
        span.range().end <= until
    }

    /// The same, for who comes later: `false` also where nobody looked.
    #[inline]
    pub(crate) fn known_ascii(&self, span: Span) -> bool {
        self.ascii.is_some_and(|until| span.range().end <= until)
    }

    /// What was seen need not hold any more, since the arena is handed out to be written to.
    fn forget_ascii(&mut self) {
        if self.ascii.is_some() {
            self.ascii = Some(0);
        }
    }

    /// The text of a [`Value::Str`].
    pub fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).expect("BUG: a text value is not UTF-8")
    }

    /// Appends text to the arena.
    pub fn push_text(&mut self, text: &str) -> Span {
        self.push_bytes(text.as_bytes())
    }

    /// Appends bytes to the arena.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(start, self.bytes.len())
    }

    /// A text value made of `text`.
    pub fn str(&mut self, text: &str) -> Value {
        Value::Str(self.push_text(text))
    }

    /// The text of a value, if it is one.
    pub fn as_text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Str(span) => Some(self.text(span)),
            _ => None,
        }
    }

    /// A whole number of any size, from its decimal digits (at least none, which is 0).
    pub fn whole(&mut self, negative: bool, digits: &str) -> Value {
        let digits = digits.trim_start_matches('0');
        match digits.parse::<u64>() {
            _ if digits.is_empty() => Value::Int(0),
            Ok(n) if negative && n <= i64::MIN.unsigned_abs() => Value::Int((n as i64).wrapping_neg()),
            Ok(n) if !negative => i64::try_from(n).map_or(Value::Uint(n), Value::Int),
            _ => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(if negative { b"-" } else { b"" });
                self.bytes.extend_from_slice(digits.as_bytes());
                Value::Big(Span::new(start, self.bytes.len()))
            }
        }
    }

    /// A number of any size, rounded to what a float holds.
    pub fn number(&self, value: Value) -> Option<f64> {
        match value {
            Value::Big(digits) => self.text(digits).parse().ok(),
            _ => value.as_number(),
        }
    }

    // Names

    /// The id of a name that came with the data: process-wide where the table has room,
    /// else local to this batch.
    pub fn key(&mut self, name: &str) -> FieldId {
        self.local.key(name)
    }

    /// The name of an id used in this batch.
    pub fn name(&self, id: FieldId) -> &str {
        id.name().unwrap_or_else(|| &self.local.names[(id.0 & !field::LOCAL) as usize])
    }

    /// Parses a field reference that came with the data; its names may be local to this batch.
    pub fn reference(&mut self, text: &str) -> Result<FieldRef, FieldRefError> {
        FieldRef::parse_with(text, |name| self.key(name))
    }

    // Events

    /// Events that wait for a worker: frames, or events that another pipeline made.
    pub fn waiting(&self) -> usize {
        self.frames.len() + self.events.len()
    }

    /// The number of events, cancelled ones included.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it has no events.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Adds an event without fields.
    pub fn new_event(&mut self) -> EventId {
        let id = self.events.len() as EventId;
        self.events.push(Event { ancestor: id, ..Event::default() });
        id
    }

    /// Adds an event without fields that was made of `event`: it keeps its place in the order.
    pub fn new_event_from(&mut self, event: EventId) -> EventId {
        let id = self.new_event();
        self.events[id as usize].ancestor = self.events[event as usize].ancestor;
        id
    }

    /// Puts a selection into the order in which its events, or those of which they were made,
    /// were decoded; events made of the same one keep the order that they have.
    pub fn order(&self, events: &mut [EventId]) {
        let ancestor = |event: &EventId| self.events[*event as usize].ancestor;
        // Mostly in order already; sorting may allocate.
        if !events.is_sorted_by_key(ancestor) {
            events.sort_by_key(ancestor);
        }
    }

    /// Adds an event with the fields of `event`. Values are shared: none is copied.
    pub fn clone_event(&mut self, event: EventId) -> EventId {
        let id = self.new_event_from(event);
        let root = self.copy_list(self.events[event as usize].root);
        let Event { names, raw, .. } = self.events[event as usize];
        let made = &mut self.events[id as usize];
        (made.root, made.capacity, made.names, made.raw) = (root, root.len, names, raw);
        id
    }

    /// The event of which this one was made, in the first generation; else itself.
    pub fn ancestor(&self, event: EventId) -> EventId {
        self.events[event as usize].ancestor
    }

    /// Cancels an event: it reaches no further filter and no output.
    pub fn cancel(&mut self, event: EventId) {
        let event = &mut self.events[event as usize];
        self.cancelled += usize::from(!event.cancelled);
        event.cancelled = true;
    }

    /// Whether the event was cancelled.
    pub fn cancelled(&self, event: EventId) -> bool {
        self.events[event as usize].cancelled
    }

    /// How many events were cancelled so far: where it has not grown, nobody need look.
    pub(crate) fn cancellations(&self) -> usize {
        self.cancelled
    }

    /// The top-level fields.
    pub fn fields(&self, event: EventId) -> &[Entry] {
        &self.entries[self.events[event as usize].root.range()]
    }

    /// The JSON object that the event was decoded from. Entries with a raw place stand in it
    /// unchanged. `None` where the bytes can't be used again.
    pub(crate) fn raw(&self, event: EventId) -> Option<Raw> {
        self.events[event as usize].raw
    }

    /// Adds an event whose fields stand already in the entries arena, with `room` blank entries
    /// behind them; the caller numbered the entries of `raw`.
    pub(super) fn adopt_event(&mut self, root: List, room: u32, raw: Option<Raw>) -> EventId {
        debug_assert!(root.range().end + room as usize <= self.entries.len());
        let id = self.events.len() as EventId;
        let names = self.entries[root.range()].iter().fold(0, |bits, entry| bits | entry.key.bit());
        self.events.push(Event { root, capacity: root.len + room, names, cancelled: false, ancestor: id, raw });
        id
    }

    /// Says that the bytes behind [`Batch::raw`] can't be used again.
    pub(super) fn forget_raw(&mut self, event: EventId) {
        self.events[event as usize].raw = None;
    }

    /// Sets a top-level field that is there to another form of the same value; `same` says that
    /// the raw bytes are what would be written for it.
    pub(super) fn set_decoded(&mut self, event: EventId, key: FieldId, value: Value, same: bool) {
        let root = self.events[event as usize].root;
        if let Some(entry) = self.entries[root.range()].iter_mut().find(|e| e.key == key) {
            *entry = Entry { key, raw: if same { entry.raw } else { 0 }, value };
        }
    }

    /// The arenas, apart, for the JSON parser.
    pub(super) fn arenas(&mut self) -> (&mut Vec<u8>, &mut Vec<Entry>, &mut LocalNames) {
        self.forget_ascii();
        (&mut self.bytes, &mut self.entries, &mut self.local)
    }

    // Lists

    /// The members of a hash or the elements of an array.
    pub fn entries(&self, list: List) -> &[Entry] {
        &self.entries[list.range()]
    }

    /// Makes a list of entries.
    pub fn list(&mut self, entries: &[Entry]) -> List {
        let start = self.entries.len() as u32;
        self.entries.extend_from_slice(entries);
        List { start, len: entries.len() as u32 }
    }

    /// The members of one hash and those that only another has, as a new list.
    pub(crate) fn merged(&mut self, first: List, other: List) -> List {
        let mut merged = self.copy_list(first);
        for at in other.range() {
            let entry = self.entries[at];
            if !self.entries(first).iter().any(|e| e.key == entry.key) {
                self.entries.push(entry);
                merged.len += 1;
            }
        }
        merged
    }

    fn copy_list(&mut self, list: List) -> List {
        let start = self.entries.len() as u32;
        self.entries.extend_from_within(list.range());
        List { start, len: list.len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> FieldRef {
        FieldRef::parse(text).unwrap()
    }

    #[test]
    fn nested_values_are_set_read_and_removed() {
        let mut batch = Batch::new();
        let event = batch.new_event();
        assert!(batch.set(event, &reference("[a][b]"), Value::Int(1)));
        assert!(batch.set(event, &reference("[a][c]"), Value::Int(2)));
        assert_eq!(batch.get(event, &reference("[a][c]")), Some(Value::Int(2)));
        assert!(!batch.set(event, &reference("[a][b][c]"), Value::Int(3)), "a number has no members");
        assert_eq!(batch.remove(event, &reference("[a][b]")), Some(Value::Int(1)));
        assert_eq!(batch.get(event, &reference("[a][b]")), None);
        assert_eq!(batch.get(event, &reference("[a][c]")), Some(Value::Int(2)));
    }

    #[test]
    fn ascii_is_known_as_far_as_the_look_reached() {
        let mut batch = Batch::new();
        let line = batch.push_text(&"x".repeat(ASCII_STEP));
        let (short, far) = (batch.push_text("yes"), batch.push_text("é"));
        let last = batch.push_text("no");
        assert!(!batch.known_ascii(line), "nobody looked");
        assert!(batch.look_ascii(line));
        assert!(!batch.look_ascii(far));
        assert!(!batch.known_ascii(short) && !batch.known_ascii(last), "of the step with the other letter");
        let later = batch.push_text("later");
        assert!(!batch.known_ascii(later));
        batch.bytes_mut()[0] = 0xC3;
        assert!(!batch.known_ascii(line), "it may have been written to");
        batch.recycle();
        let line = batch.push_text("z");
        assert!(batch.look_ascii(line));
    }

    #[test]
    fn names_err_on_the_side_of_what_is_there() {
        let mut batch = Batch::new();
        let event = batch.new_event();
        // Of 65 names two share a bit.
        let fields: Vec<FieldRef> = (0..65).map(|n| reference(&format!("[name {n}]"))).collect();
        for (n, field) in fields.iter().enumerate() {
            assert_eq!(batch.get(event, field), None);
            batch.set(event, field, Value::Int(n as i64));
        }
        let copy = batch.clone_event(event);
        assert_eq!(batch.remove(event, &fields[64]), Some(Value::Int(64)));
        assert_eq!(batch.get(event, &fields[64]), None);
        assert_eq!(batch.get(event, &fields[0]), Some(Value::Int(0)));
        assert_eq!(batch.get(copy, &fields[64]), Some(Value::Int(64)));
    }

    #[test]
    fn arrays_count_from_both_ends() {
        let mut batch = Batch::new();
        let event = batch.new_event();
        for value in 1..=3 {
            batch.append(event, &reference("l"), Value::Int(value));
        }
        assert_eq!(batch.get(event, &reference("[l][-1]")), Some(Value::Int(3)));
        assert_eq!(batch.get(event, &reference("[l][3]")), None);
        assert_eq!(batch.remove(event, &reference("[l][0]")), Some(Value::Int(1)));
        assert_eq!(batch.get(event, &reference("[l][0]")), Some(Value::Int(2)));
        assert!(!batch.set(event, &reference("[l][1000000]"), Value::Null), "no list of a million nulls");
    }

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let mut batch = Batch::new();
        let event = batch.new_event();
        batch.set(event, &reference("[a][b]"), Value::Int(1));
        let clone = batch.clone_event(event);
        batch.set(event, &reference("[a][b]"), Value::Int(2));
        batch.set(event, &reference("new"), Value::Int(3));
        assert_eq!(batch.get(clone, &reference("[a][b]")), Some(Value::Int(1)));
        assert_eq!(batch.get(clone, &reference("new")), None);
    }

    #[test]
    fn clones_keep_the_place_of_what_they_were_made_of() {
        let mut batch = Batch::new();
        let (a, b) = (batch.new_event(), batch.new_event());
        let clone = batch.clone_event(a);
        let part = batch.new_event_from(clone);
        let mut events = [b, part, a, clone];
        batch.order(&mut events);
        assert_eq!(events, [part, a, clone, b]);
    }

    #[test]
    fn many_fields_keep_their_order() {
        let mut batch = Batch::new();
        let event = batch.new_event();
        for n in 0..40 {
            batch.set(event, &reference(&format!("f{n}")), Value::Int(n));
        }
        batch.remove(event, &reference("f3"));
        let names: Vec<String> = batch.fields(event).iter().map(|e| batch.name(e.key).to_owned()).collect();
        assert_eq!(names.len(), 39);
        assert_eq!(names[2..4], ["f2", "f4"]);
    }

    #[test]
    fn names_past_the_limit_of_length_live_in_the_batch() {
        let mut batch = Batch::new();
        let name = "x".repeat(field::NAME_BYTES_MAX + 1);
        let id = batch.key(&name);
        assert_eq!(batch.key(&name), id);
        assert_eq!(batch.name(id), name);
        assert_eq!(id.name(), None);
    }
}
