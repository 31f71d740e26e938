//! Where the values of labels and metrics come from in an event, and the small numbers that stand
//! for label values while a worker counts.
//!
//! Each worker has its own table of values, so nothing is shared and a value that was seen before
//! costs no allocation. The table is bounded by [`VALUES_MAX`]; what does not fit counts as
//! `other`, see [`super::deriver`].

use crate::event::{Batch, EventId, FieldId, FieldRef, Span, Template, Timestamp, Value, write_value};
use crate::index::Tier;
use rustc_hash::FxHashMap;

/// Different values of one label that a worker knows at a time.
pub const VALUES_MAX: usize = 16_384;
/// Longer label values count as `other`.
pub const VALUE_BYTES_MAX: usize = 256;
/// Stands for a value that is too long or one too many.
pub const UNKNOWN: u32 = u32::MAX;

/// The level of the event's tier.
pub const LEVEL: &str = "%{[@level]}";
/// `[@service]`: `service`, or `[service][name]` where that is a hash.
pub const SERVICE: &str = "[@service]";
/// `[@error]`: 1 for an event of level ERROR, else 0.
pub const ERROR: &str = "[@error]";

/// The label values of [`Tier::ALL`].
const LEVELS: [&str; Tier::ALL.len()] = ["ERROR", "WARN", "INFO", "DEBUG"];

/// Where the text of a label comes from.
#[derive(Clone, Debug)]
pub enum Text {
    /// The level of the event's tier.
    Level,
    /// `service`, or `[service][name]`.
    Service,
    /// A top-level field.
    Key(FieldId),
    /// Any other field.
    Field(FieldRef),
    /// A text around fields.
    Template(Template),
    /// Always the same.
    Constant(String),
}

impl Text {
    /// Reads what stands in the configuration; a field that an event lacks is empty.
    pub fn parse(text: &str) -> Text {
        match text {
            LEVEL => return Text::Level,
            "%{[@service]}" => return Text::Service,
            _ => {}
        }
        let template = Template::parse(text);
        if let Some(constant) = template.constant() {
            return Text::Constant(constant.to_owned());
        }
        match template.single_field() {
            Some(field) if field.steps().len() == 1 => Text::Key(field.first()),
            Some(field) => Text::Field(field.clone()),
            None => Text::Template(template),
        }
    }
}

/// A source of label values, with the numbers of those that were seen.
pub(super) struct Source {
    text: Text,
    /// As written: sources of one text are one source.
    pub(super) written: String,
    /// Where the field stood in the last event.
    at: usize,
    ids: FxHashMap<Box<[u8]>, u32>,
    values: Vec<Box<str>>,
    /// Values seen lately, by their print: the few that most events have are found here without a
    /// look at their bytes elsewhere.
    near: Box<[(Print, u32); NEAR]>,
    scratch: Vec<u8>,
}

/// A power of two, far more than values that are common: two in one place cost a search each time.
const NEAR: usize = 1 << NEAR_BITS;
const NEAR_BITS: u32 = 8;

/// A short text as numbers, different for different texts.
#[derive(Clone, Copy, PartialEq)]
struct Print {
    ends: [u128; 2],
    len: usize,
}

impl Print {
    /// Equal to no text's.
    const NONE: Print = Print { ends: [0; 2], len: usize::MAX };
    const EMPTY: Print = Print { ends: [0; 2], len: 0 };

    /// `None` for a text of more than 32 bytes.
    #[inline]
    fn of_span(batch: &Batch, span: Span) -> Option<Print> {
        (span.len <= 32).then(|| Print { ends: batch.head(span), len: span.len as usize })
    }

    /// The same of a text that stands elsewhere.
    fn of(text: &[u8]) -> Option<Print> {
        let mut bytes = [0; 32];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let half = |at: usize| u128::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        Some(Print { ends: [half(0), half(16)], len: text.len() })
    }

    #[inline]
    fn place(self) -> usize {
        let both = self.ends[0] ^ self.ends[1].rotate_left(29);
        (((both >> 64) as u64).rotate_left(23) ^ both as u64 ^ self.len as u64).wrapping_mul(SPREAD) as usize
            >> (64 - NEAR_BITS)
    }
}

/// An odd number whose product's upper bits depend on all bits of the factor: 2⁶⁴ over the golden
/// ratio.
pub(super) const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Source {
    pub(super) fn new(text: Text, written: &str) -> Source {
        let mut source = Source {
            text,
            written: written.to_owned(),
            at: 0,
            ids: FxHashMap::default(),
            values: Vec::new(),
            near: Box::new([(Print::NONE, UNKNOWN); NEAR]),
            scratch: Vec::new(),
        };
        source.clear();
        source
    }

    pub(super) fn fork(&self) -> Source {
        Source::new(self.text.clone(), &self.written)
    }

    /// Forgets all values.
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.values.clear();
        self.near.fill((Print::NONE, UNKNOWN));
        if matches!(self.text, Text::Level) {
            LEVELS.iter().for_each(|level| {
                self.intern(level);
            });
        }
    }

    /// The numbers of events' values, one after the other. The number of a level is that of its
    /// [`Tier`].
    pub(super) fn fill(&mut self, batch: &Batch, events: &[EventId], ids: &mut Vec<u32>) {
        ids.clear();
        match &self.text {
            Text::Level => ids.extend(events.iter().map(|&event| Tier::of_event(batch, event) as u32)),
            Text::Constant(text) => {
                let text = text.clone();
                ids.resize(events.len(), self.intern(&text));
            }
            _ => ids.extend(events.iter().map(|&event| self.id(batch, event))),
        }
    }

    /// The number of an event's value.
    #[inline]
    fn id(&mut self, batch: &Batch, event: EventId) -> u32 {
        let value = match &self.text {
            Text::Key(key) => find(batch, event, *key, &mut self.at),
            Text::Service => match find(batch, event, service_key(), &mut self.at) {
                Some(Value::Object(list)) => {
                    batch.entries(list).iter().find(|e| e.key == name_key()).map(|entry| entry.value)
                }
                value => value,
            },
            Text::Field(field) => batch.get(event, field),
            Text::Template(template) => {
                self.scratch.clear();
                template.render_present(batch, event, &mut self.scratch);
                return self.number_of_scratch();
            }
            Text::Level | Text::Constant(_) => None,
        };
        match value {
            Some(Value::Str(span)) => self.number(Print::of_span(batch, span), batch.bytes(span)),
            None | Some(Value::Null) => self.number(Some(Print::EMPTY), b""),
            Some(value) => {
                self.scratch.clear();
                write_value(batch, value, &mut self.scratch);
                self.number_of_scratch()
            }
        }
    }

    fn number_of_scratch(&mut self) -> u32 {
        let scratch = std::mem::take(&mut self.scratch);
        let id = self.number(Print::of(&scratch), &scratch);
        self.scratch = scratch;
        id
    }

    #[inline]
    fn number(&mut self, print: Option<Print>, bytes: &[u8]) -> u32 {
        let Some(print) = print else { return self.find(bytes) };
        let place = print.place();
        if self.near[place].0 == print {
            return self.near[place].1;
        }
        let id = self.find(bytes);
        if id != UNKNOWN {
            self.near[place] = (print, id);
        }
        id
    }

    /// The number of a value that was not seen lately.
    #[inline(never)]
    fn find(&mut self, bytes: &[u8]) -> u32 {
        match self.ids.get(bytes) {
            Some(&id) => id,
            None => self.add(bytes),
        }
    }

    #[cold]
    fn add(&mut self, bytes: &[u8]) -> u32 {
        if bytes.len() > VALUE_BYTES_MAX || self.values.len() >= VALUES_MAX {
            return UNKNOWN;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => self.intern(text),
            Err(_) => UNKNOWN,
        }
    }

    /// The number of a text, a new one if need be.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text.as_bytes()) {
            return id;
        }
        let id = self.values.len() as u32;
        self.values.push(text.into());
        self.ids.insert(text.as_bytes().into(), id);
        id
    }

    /// The text of a number.
    pub(super) fn value(&self, id: u32) -> &str {
        &self.values[id as usize]
    }
}

fn service_key() -> FieldId {
    static KEY: std::sync::LazyLock<FieldId> = std::sync::LazyLock::new(|| FieldId::intern("service"));
    *KEY
}

fn name_key() -> FieldId {
    static KEY: std::sync::LazyLock<FieldId> = std::sync::LazyLock::new(|| FieldId::intern("name"));
    *KEY
}

/// A top-level field, looked for first where it stood in the event before: lines repeat the order
/// of their fields.
#[inline]
fn find(batch: &Batch, event: EventId, key: FieldId, at: &mut usize) -> Option<Value> {
    if batch.names(event) & key.bit() == 0 {
        return None;
    }
    let fields = batch.fields(event);
    if let Some(entry) = fields.get(*at)
        && entry.key == key
    {
        return Some(entry.value);
    }
    let found = fields.iter().position(|entry| entry.key == key)?;
    *at = found;
    Some(fields[found].value)
}

/// Where the number of a metric comes from.
#[derive(Clone, Debug)]
pub enum Number {
    /// Each event is worth 1.
    One,
    /// 1 for an event of level ERROR, else 0.
    Error,
    /// A field.
    Field(FieldRef),
}

/// The number that an event's field holds; `None` where there is none. `at` is where the field stood
/// last.
#[inline]
pub(super) fn read(batch: &Batch, event: EventId, field: &FieldRef, at: &mut usize) -> Option<f64> {
    let value = match field.steps() {
        [_] => find(batch, event, field.first(), at)?,
        _ => batch.get(event, field)?,
    };
    match value {
        Value::Str(span) => batch.text(span).trim().parse().ok(),
        Value::Bool(truth) => Some(f64::from(truth)),
        Value::Time(at) => Some(seconds(at)),
        value => value.as_number(),
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.seconds() as f64 + f64::from(at.subsec_nanos()) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_longer_than_a_print_has_none() {
        assert!(Print::of(&[b'a'; 32]).is_some());
        assert!(Print::of(&[b'a'; 33]).is_none());
    }

    proptest! {
        #[test]
        fn prints_are_equal_where_texts_are(one in "[ab]{0,34}", two in "[ab]{0,34}", cut in 0..34_usize, room in 0..40_usize) {
            // Random texts differ in many places; these in one.
            let mut near = one.clone().into_bytes();
            if let Some(byte) = near.get_mut(cut) {
                *byte = b'c';
            }
            let mut batch = Batch::new();
            let span = batch.push_text(&one);
            batch.push_text(&"x".repeat(room));
            let print = Print::of_span(&batch, span);
            prop_assert!(print == Print::of(one.as_bytes()));
            for other in [two.as_bytes(), &near, one.as_bytes()] {
                if let (Some(a), Some(b)) = (print, Print::of(other)) {
                    prop_assert_eq!(a == b, one.as_bytes() == other);
                }
            }
        }

        #[test]
        fn numbers_are_of_values(values in prop::collection::vec("[a-d]{0,40}", 0..300)) {
            let mut source = Source::new(Text::Key(service_key()), "%{service}");
            for value in &values {
                let id = source.number(Print::of(value.as_bytes()), value.as_bytes());
                prop_assert_eq!(source.value(id), value);
            }
        }
    }
}
